//! Calls: direct, indirect, and of the two functions that every device has.

use super::function::{Body, Prototype};
use super::names::Entity;
use super::operands::{misfit, refuse};
use super::registers::Register;
use super::scopes::Found;
use super::unknown;
use crate::error::LoadError;
use crate::program::{Call, FrameBytes, Op, Param};
use crate::syntax::ast::{Instruction, Operand};
use crate::types::Type;

/// A call by its parts.
struct Parts<'i, 'a> {
    results: &'i [Operand<'a>],
    target: &'i Operand<'a>,
    arguments: &'i [Operand<'a>],
    /// Which operand the arguments are.
    index: usize,
    /// Of an indirect call.
    prototype: Option<&'i Operand<'a>>,
}

impl<'a> Body<'_, '_, 'a> {
    /// `call (result), function, (arguments);` and `call (result), %rd1, (arguments), prototype;`
    pub(super) fn call(&mut self, inst: &Instruction<'a>) -> Result<(), LoadError> {
        let parts = parts(inst)?;
        let Operand::Name(name) = *parts.target else {
            return misfit(inst, 1, "a function", parts.target);
        };
        if let Some(register) = self.register(name)? {
            return self.call_indirect(inst, &parts, register);
        }
        let Some(Found::Entity(Entity::Function(number))) = self.scopes.find(name) else {
            return Err(unknown(inst.line, "function", name));
        };
        let module = self.scopes.module;
        let Some(callee) = module.functions.get(number as usize) else {
            return Err(unknown(inst.line, "function", name));
        };
        if callee.is_kernel {
            return refuse(inst, "a kernel can't be called");
        }
        if parts.prototype.is_some() {
            return misfit(inst, 0, "no prototype for a call by name", &inst.operands.len());
        }
        let (arguments, results, fetch) = self.passed(inst, &parts, &callee.params, &callee.results)?;
        let op = match callee.index {
            Some(function) => {
                self.uses.calls.insert(function);
                Op::Call(Box::new(Call { function, arguments, results }))
            }
            None => match builtin(callee.name, &arguments, &results) {
                Some(op) => op,
                None => return Err(unknown(inst.line, "definition of a function", name)),
            },
        };
        self.emit(op)?;
        self.fetch(fetch)
    }

    fn call_indirect(
        &mut self,
        inst: &Instruction<'a>,
        parts: &Parts<'_, 'a>,
        register: Register,
    ) -> Result<(), LoadError> {
        if !register.is_64() {
            return misfit(inst, 1, "a register of 64 bits", parts.target);
        }
        let Some(Operand::Name(name)) = parts.prototype else {
            return misfit(inst, 0, "a prototype or a list of targets at the end", &inst.operands.len());
        };
        let prototype = match self.scopes.find(name) {
            Some(Found::Entity(Entity::Prototype(number))) => self.prototypes.get(number as usize).cloned(),
            _ => None,
        };
        let module = self.scopes.module;
        let function = match &prototype {
            Some(Prototype::Of(number)) => module.functions.get(*number as usize),
            _ => None,
        };
        let (params, results) = match (&prototype, function) {
            (Some(Prototype::Own(own)), _) => (&own.0, &own.1),
            (_, Some(function)) => (&function.params, &function.results),
            _ => return Err(unknown(inst.line, "prototype", name)),
        };
        let (arguments, results, fetch) = self.passed(inst, parts, params, results)?;
        self.uses.calls_indirectly = true;
        self.emit(Op::CallIndirect(Box::new(Call { function: 0, arguments, results }), register.slot))?;
        self.fetch(fetch)
    }

    /// The signature that `.calltargets` stands for: that of its first function.
    pub(super) fn call_targets(&self, line: u32, targets: &[&'a str]) -> Result<Prototype, LoadError> {
        let mut first = None;
        for target in targets {
            let Some(Found::Entity(Entity::Function(number))) = self.scopes.find(target) else {
                return Err(unknown(line, "function", target));
            };
            first = first.or(Some(number));
        }
        match first {
            Some(number) => Ok(Prototype::Of(number)),
            None => Err(unknown(line, "function", targets.first().copied().unwrap_or_default())),
        }
    }

    /// Where arguments and results lie in the frame, and results that go to registers afterwards.
    #[expect(clippy::type_complexity, reason = "three lists that are taken apart at once")]
    fn passed(
        &mut self,
        inst: &Instruction<'a>,
        parts: &Parts<'_, 'a>,
        params: &[Param],
        results: &[Param],
    ) -> Result<(Vec<FrameBytes>, Vec<FrameBytes>, Vec<(Register, u32)>), LoadError> {
        if parts.arguments.len() != params.len() {
            return misfit(inst, 0, "as many arguments as the function has", &parts.arguments.len());
        }
        if parts.results.len() != results.len() {
            return misfit(inst, 0, "as many results as the function has", &parts.results.len());
        }
        let mut arguments = Vec::with_capacity(params.len());
        for (operand, param) in parts.arguments.iter().zip(params) {
            arguments.push(self.argument(inst, (parts.index, operand), param)?);
        }
        let (mut places, mut fetch) = (Vec::with_capacity(results.len()), Vec::new());
        for (operand, param) in parts.results.iter().zip(results) {
            if let Some(place) = self.frame_place_of(inst, (1, operand), param)? {
                places.push(place);
                continue;
            }
            let offset = self.frame_place(inst.line, (u64::from(param.size), param.align))?;
            places.push(FrameBytes { offset, size: param.size });
            if !matches!(operand, Operand::Sink) {
                fetch.push((self.register_for(inst, (1, operand), param)?, offset));
            }
        }
        Ok((arguments, places, fetch))
    }

    /// A `.param` variable, a register or a constant as an argument.
    fn argument(
        &mut self,
        inst: &Instruction<'a>,
        (index, operand): (usize, &Operand<'a>),
        param: &Param,
    ) -> Result<FrameBytes, LoadError> {
        if let Some(place) = self.frame_place_of(inst, (index, operand), param)? {
            return Ok(place);
        }
        let offset = self.frame_place(inst.line, (u64::from(param.size), param.align))?;
        let ty = match param.size {
            1 => Type::B8,
            2 => Type::B16,
            4 => Type::B32,
            8 => Type::B64,
            _ => return misfit(inst, index, "a `.param` variable for a structure", operand),
        };
        let register = if let Operand::Immediate(_) = operand {
            Register { slot: self.source_of(inst, index, operand, ty)?, bits: ty.bits() }
        } else {
            self.register_for(inst, (index, operand), param)?
        };
        self.store_param(register, offset)?;
        Ok(FrameBytes { offset, size: param.size })
    }

    fn register_for(
        &mut self,
        inst: &Instruction<'a>,
        (index, operand): (usize, &Operand<'a>),
        param: &Param,
    ) -> Result<Register, LoadError> {
        let register = self.any_register(inst, index, operand)?;
        if register.is_pred() || register.bits != param.size.saturating_mul(8) {
            return misfit(inst, index, "a register as wide as the parameter", operand);
        }
        Ok(register)
    }

    /// The place of the `.param` variable that an operand names; none if it names none.
    fn frame_place_of(
        &mut self,
        inst: &Instruction<'a>,
        (index, operand): (usize, &Operand<'a>),
        param: &Param,
    ) -> Result<Option<FrameBytes>, LoadError> {
        let Operand::Name(name) = operand else { return Ok(None) };
        match self.scopes.find(name) {
            Some(Found::Entity(Entity::Frame { offset, size, is_param: true })) => {
                if size != param.size {
                    return misfit(inst, index, "a variable as large as the parameter", operand);
                }
                Ok(Some(FrameBytes { offset, size }))
            }
            _ => Ok(None),
        }
    }

    fn fetch(&mut self, results: Vec<(Register, u32)>) -> Result<(), LoadError> {
        for (register, offset) in results {
            self.fetch_result(register, offset)?;
        }
        Ok(())
    }
}

fn parts<'i, 'a>(inst: &'i Instruction<'a>) -> Result<Parts<'i, 'a>, LoadError> {
    if inst.modifiers.iter().any(|modifier| *modifier != "uni") {
        return refuse(inst, "unknown modifier");
    }
    let (results, rest) = match inst.operands.as_slice() {
        [Operand::Group(results), rest @ ..] => (results.as_slice(), rest),
        rest => (&[][..], rest),
    };
    let (target, rest) = match rest {
        [target, rest @ ..] => (target, rest),
        [] => return misfit(inst, 0, "a function", &inst.operands.len()),
    };
    let (arguments, rest) = match rest {
        [Operand::Group(arguments), rest @ ..] => (arguments.as_slice(), rest),
        rest => (&[][..], rest),
    };
    let index = inst.operands.len() - rest.len();
    match rest {
        [] => Ok(Parts { results, target, arguments, index, prototype: None }),
        [prototype] => Ok(Parts { results, target, arguments, index, prototype: Some(prototype) }),
        _ => misfit(inst, 0, "another number of operands", &inst.operands.len()),
    }
}

/// Functions that the machine brings along.
fn builtin(name: &str, arguments: &[FrameBytes], results: &[FrameBytes]) -> Option<Op> {
    let sizes: Vec<u32> = arguments.iter().map(|place| place.size).collect();
    let place = |i: usize| arguments.get(i).map_or(0, |place| place.offset);
    match (name, sizes.as_slice(), results) {
        ("vprintf", [8, 8], [] | [FrameBytes { size: 4, .. }]) => Some(Op::Print {
            format: place(0),
            arguments: place(1),
            result: results.first().map(|place| place.offset),
        }),
        ("__assertfail", [8, 8, 4, 8, 8], []) => {
            Some(Op::AssertFail { params: [place(0), place(1), place(2), place(3), place(4)] })
        }
        _ => None,
    }
}
