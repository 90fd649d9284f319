//! Operands of instructions to slots: registers, constants and special registers, each checked for its size.

use super::function::Body;
use super::names::Entity;
use super::registers::{File, Register};
use super::scopes::Found;
use super::special;
use crate::compute::Width;
use crate::error::{LoadError, LoadErrorKind};
use crate::program::{Guard, Op, PredicateOp, Preset, Slot};
use crate::syntax::ast::{Immediate, Instruction, Operand, shown};
use crate::types::Type;

/// An operand that does not fit. `index` counts from 1.
pub(super) fn misfit<T>(
    inst: &Instruction<'_>,
    index: usize,
    expected: &'static str,
    found: &(impl ToString + ?Sized),
) -> Result<T, LoadError> {
    let kind = LoadErrorKind::Operand {
        opcode: shown(inst.text).to_owned(),
        index,
        expected,
        found: found.to_string(),
    };
    Err(LoadError { line: inst.line, kind })
}

/// An instruction, or a form of one, that is not supported.
pub(super) fn refuse<T>(inst: &Instruction<'_>, reason: &'static str) -> Result<T, LoadError> {
    let opcode = shown(inst.text).to_owned();
    Err(LoadError { line: inst.line, kind: LoadErrorKind::UnsupportedInstruction { opcode, reason } })
}

/// Checks how many operands there are.
pub(super) fn expect_count(
    inst: &Instruction<'_>,
    counts: std::ops::RangeInclusive<usize>,
) -> Result<(), LoadError> {
    let found = inst.operands.len();
    if counts.contains(&found) { Ok(()) } else { misfit(inst, 0, count_of(counts), &found) }
}

fn count_of(counts: std::ops::RangeInclusive<usize>) -> &'static str {
    match (*counts.start(), *counts.end()) {
        (0, 0) => "no operands",
        (1, 1) => "1 operand",
        (1, 2) => "1 or 2 operands",
        (2, 2) => "2 operands",
        (2, 3) => "2 or 3 operands",
        (3, 3) => "3 operands",
        (3, 4) => "3 or 4 operands",
        (4, 4) => "4 operands",
        (4, 5) => "4 or 5 operands",
        (5, 5) => "5 operands",
        _ => "another number of operands",
    }
}

/// The type that an instruction's modifiers end with.
pub(super) fn last_type(inst: &Instruction<'_>) -> Result<Type, LoadError> {
    match inst.modifiers.last().and_then(|name| Type::of_name(name)) {
        Some(ty) => Ok(ty),
        None => refuse(inst, "unknown type"),
    }
}

impl Body<'_, '_, '_> {
    /// The register of this name, if it is one.
    pub(super) fn register(&mut self, name: &str) -> Result<Option<Register>, LoadError> {
        let (id, number, bits) = match self.scopes.find(name) {
            Some(Found::Numbered { id, number, bits }) => (id, number, bits),
            Some(Found::Entity(Entity::Register { id, lanes: 1, bits })) => (id, 0, bits),
            _ => return Ok(None),
        };
        self.regs.named(id, number, bits, self.line).map(Some)
    }

    /// Register `component` of a vector of registers.
    pub(super) fn component(&mut self, name: &str, component: &str) -> Result<Option<Register>, LoadError> {
        let number = match component {
            "x" | "r" => 0,
            "y" | "g" => 1,
            "z" | "b" => 2,
            "w" | "a" => 3,
            _ => return Ok(None),
        };
        match self.scopes.find(name) {
            Some(Found::Entity(Entity::Register { id, lanes, bits })) if number < u32::from(lanes) => {
                self.regs.named(id, number, bits, self.line).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// The register that an operand names, if it names one.
    pub(super) fn register_of(&mut self, operand: &Operand<'_>) -> Result<Option<Register>, LoadError> {
        match operand {
            Operand::Name(name) => self.register(name),
            Operand::Component(name, component) => self.component(name, component),
            _ => Ok(None),
        }
    }

    /// The register that an operand must name.
    pub(super) fn any_register(
        &mut self,
        inst: &Instruction<'_>,
        index: usize,
        operand: &Operand<'_>,
    ) -> Result<Register, LoadError> {
        if let Some(register) = self.register_of(operand)? {
            return Ok(register);
        }
        match operand {
            Operand::Name(name) if self.scopes.find(name).is_none() => self.unknown_name(inst, name),
            _ => misfit(inst, index, "a register", operand),
        }
    }

    pub(super) fn unknown_name<T>(&self, inst: &Instruction<'_>, name: &str) -> Result<T, LoadError> {
        if special::is_unsupported(name) {
            return Err(super::unsupported(inst.line, "special register", name));
        }
        Err(super::unknown(inst.line, "register or variable", name))
    }

    /// Operand `index`, from 1.
    pub(super) fn operand<'i, 'a>(
        &self,
        inst: &'i Instruction<'a>,
        index: usize,
    ) -> Result<&'i Operand<'a>, LoadError> {
        match inst.operands.get(index.wrapping_sub(1)) {
            Some(operand) => Ok(operand),
            None => misfit(inst, 0, "more operands", &inst.operands.len()),
        }
    }

    /// A register to write to.
    pub(super) fn dest(&mut self, inst: &Instruction<'_>, index: usize, ty: Type) -> Result<Slot, LoadError> {
        let operand = self.operand(inst, index)?;
        self.dest_of(inst, index, operand, ty)
    }

    /// A register to write to; for `_`, one that nobody reads.
    pub(super) fn dest_of(
        &mut self,
        inst: &Instruction<'_>,
        index: usize,
        operand: &Operand<'_>,
        ty: Type,
    ) -> Result<Slot, LoadError> {
        if matches!(operand, Operand::Sink) {
            return self.fresh(File::of_bits(ty.bits()));
        }
        let register = self.any_register(inst, index, operand)?;
        if register.bits != ty.bits() {
            return misfit(inst, index, register_of_bits(ty.bits()), operand);
        }
        Ok(register.slot)
    }

    /// A register, a constant or a special register to read.
    pub(super) fn source(
        &mut self,
        inst: &Instruction<'_>,
        index: usize,
        ty: Type,
    ) -> Result<Slot, LoadError> {
        let operand = self.operand(inst, index)?;
        self.source_of(inst, index, operand, ty)
    }

    pub(super) fn source_of(
        &mut self,
        inst: &Instruction<'_>,
        index: usize,
        operand: &Operand<'_>,
        ty: Type,
    ) -> Result<Slot, LoadError> {
        if let Operand::Immediate(value) = operand {
            return match preset(*value, ty) {
                Some(preset) => self.regs.preset(preset, self.line),
                None => misfit(inst, index, constant_of(ty), operand),
            };
        }
        if let Some(slot) = self.special_operand(operand, ty.bits())? {
            return Ok(slot);
        }
        let register = self.any_register(inst, index, operand)?;
        if register.bits != ty.bits() {
            return misfit(inst, index, register_of_bits(ty.bits()), operand);
        }
        Ok(register.slot)
    }

    /// A constant of 32 bits in a register.
    pub(super) fn bits32(&mut self, bits: u32) -> Result<Slot, LoadError> {
        self.regs.preset(Preset::Bits32(bits), self.line)
    }

    /// A constant of 64 bits in a register.
    pub(super) fn bits64(&mut self, bits: u64) -> Result<Slot, LoadError> {
        self.regs.preset(Preset::Bits64(bits), self.line)
    }

    /// A predicate to read, possibly negated, or a constant truth.
    pub(super) fn pred(&mut self, inst: &Instruction<'_>, index: usize) -> Result<Guard, LoadError> {
        let operand = self.operand(inst, index)?;
        let (register, negated) = match operand {
            Operand::Immediate(Immediate::Int { bits, .. }) => {
                return Ok(Guard { pred: self.truth()?, negated: *bits == 0 });
            }
            never if Self::is_never(never) => return Ok(Guard { pred: self.truth()?, negated: true }),
            Operand::Negated(name) => (self.any_register(inst, index, &Operand::Name(name))?, true),
            _ => (self.any_register(inst, index, operand)?, false),
        };
        if !register.is_pred() {
            return misfit(inst, index, register_of_bits(1), operand);
        }
        Ok(Guard { pred: register.slot, negated })
    }

    /// A predicate to read that is not negated, whatever the source says.
    pub(super) fn plain_pred(&mut self, inst: &Instruction<'_>, index: usize) -> Result<Slot, LoadError> {
        let Guard { pred, negated } = self.pred(inst, index)?;
        if !negated {
            return Ok(pred);
        }
        let dest = self.fresh(File::Pred)?;
        self.emit_guarded(None, Op::Predicate { op: PredicateOp::Not, dest, a: pred, b: pred })?;
        Ok(dest)
    }

    /// A predicate that holds.
    fn truth(&mut self) -> Result<Slot, LoadError> {
        let dest = self.fresh(File::Pred)?;
        self.emit_guarded(None, Op::Predicate { op: PredicateOp::Xor, dest, a: dest, b: dest })?;
        self.emit_guarded(None, Op::Predicate { op: PredicateOp::Not, dest, a: dest, b: dest })?;
        Ok(dest)
    }

    /// `d|p` or `d`: both as operands.
    pub(super) fn pair<'a>(
        &self,
        inst: &Instruction<'a>,
        index: usize,
    ) -> Result<(Operand<'a>, Option<Operand<'a>>), LoadError> {
        let half = |name: &'a str| if name == "_" { Operand::Sink } else { Operand::Name(name) };
        Ok(match self.operand(inst, index)? {
            Operand::Pair(first, second) => (half(first), Some(half(second))),
            operand => (operand.clone(), None),
        })
    }
}

/// A constant as a register of this type holds it. None if it can't.
pub(super) fn preset(value: Immediate, ty: Type) -> Option<Preset> {
    let bits = match (ty, value) {
        (Type::Pred, _) => return None,
        (Type::F32, Immediate::F32(bits)) => u64::from(bits),
        #[expect(clippy::cast_possible_truncation, reason = "a constant is rounded to the type that uses it")]
        (Type::F32, Immediate::F64(bits)) => u64::from((f64::from_bits(bits) as f32).to_bits()),
        (Type::F64, Immediate::F64(bits)) => bits,
        (Type::F64, Immediate::F32(bits)) => f64::from(f32::from_bits(bits)).to_bits(),
        (
            Type::F16 | Type::F16x2 | Type::Bf16 | Type::Bf16x2 | Type::F32 | Type::F64,
            Immediate::Int { .. },
        ) => return None,
        (_, Immediate::Int { bits, .. }) => bits,
        (Type::B32, Immediate::F32(bits)) => u64::from(bits),
        (Type::B64, Immediate::F64(bits)) => bits,
        _ => return None,
    };
    Some(match ty.width()? {
        Width::W64 => Preset::Bits64(bits),
        Width::W32 => Preset::Bits32(u32::try_from(bits & (u64::MAX >> (64 - ty.bits()))).ok()?),
    })
}

fn register_of_bits(bits: u32) -> &'static str {
    match bits {
        1 => "a predicate",
        8 => "a register of 8 bits",
        16 => "a register of 16 bits",
        32 => "a register of 32 bits",
        _ => "a register of 64 bits",
    }
}

fn constant_of(ty: Type) -> &'static str {
    match ty {
        Type::F32 | Type::F64 => "a floating-point constant",
        Type::Pred => "a predicate",
        _ => "an integer constant",
    }
}
