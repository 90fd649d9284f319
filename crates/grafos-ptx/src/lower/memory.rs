//! Loads and stores, and the addresses of everything that touches memory.

use super::function::Body;
use super::names::Entity;
use super::operands::{expect_count, misfit, preset, refuse};
use super::registers::Register;
use super::scopes::Found;
use crate::error::LoadError;
use crate::program::{
    Access, Address, AddressOf, Base, Element, Extend, Op, Param, Preset, Slot, Space, Symbol,
};
use crate::syntax::ast::{Instruction, Operand};
use crate::types::Type;

/// The modifiers of a load or a store.
#[derive(Clone, Copy, Debug)]
struct Form {
    space: Space,
    strong: bool,
    lanes: usize,
    ty: Type,
    policy: bool,
}

impl Body<'_, '_, '_> {
    /// `ld`, `ldu`
    pub(super) fn load(&mut self, inst: &Instruction<'_>) -> Result<(), LoadError> {
        let form = form(inst)?;
        expect_count(inst, 2..=2 + usize::from(form.policy))?;
        let (space, address, area) = self.address(inst, 2, form.space)?;
        let elements = self.elements(inst, 1, form.lanes)?;
        let mut registers = Vec::with_capacity(elements.len());
        for operand in &elements {
            registers.push(match operand {
                Operand::Sink => None,
                operand => Some(self.wide_enough(inst, 1, operand, form.ty)?),
            });
        }
        let first = registers.iter().flatten().next().copied();
        let bits = first.map_or(form.ty.bits().max(16), |register| register.bits);
        if registers.iter().flatten().any(|register| register.bits != bits) {
            return misfit(inst, 1, "registers of one size", &"registers of several");
        }
        let signed = matches!(form.ty, Type::S8 | Type::S16 | Type::S32) && bits > form.ty.bits();
        // What is narrower than 32 bits is kept zero-extended, whatever its sign.
        let extend = if signed && bits >= 32 { Extend::Sign } else { Extend::Zero };
        let slots: Vec<_> = registers.iter().map(|register| register.map(|r| r.slot)).collect();
        self.emit_access(
            Op::Load,
            Access {
                space,
                address,
                element: Element { bytes: bytes(form.ty), extend, is_64: bits == 64 },
                slots: slots.clone(),
                strong: form.strong,
            },
            area,
        )?;
        if signed && bits < 32 {
            for slot in slots.into_iter().flatten() {
                self.extend(inst, slot, form.ty, (slot, bits))?;
            }
        }
        Ok(())
    }

    /// `st`
    pub(super) fn store(&mut self, inst: &Instruction<'_>) -> Result<(), LoadError> {
        let form = form(inst)?;
        expect_count(inst, 2..=2 + usize::from(form.policy))?;
        if matches!(form.space, Space::Const) {
            return refuse(inst, "constant memory can't be written");
        }
        let (space, address, area) = self.address(inst, 1, form.space)?;
        if space == Space::Param {
            return refuse(inst, "parameters of a kernel can't be written");
        }
        let elements = self.elements(inst, 2, form.lanes)?;
        let mut is_64 = form.ty.bits() == 64;
        for operand in &elements {
            is_64 |= self.register_of(operand)?.is_some_and(Register::is_64);
        }
        let mut slots = Vec::with_capacity(elements.len());
        for operand in &elements {
            slots.push(Some(self.stored(inst, operand, form.ty, is_64)?));
        }
        let element = Element { bytes: bytes(form.ty), extend: Extend::Zero, is_64 };
        self.emit_access(Op::Store, Access { space, address, element, slots, strong: form.strong }, area)
    }

    /// A register or a constant to store.
    fn stored(
        &mut self,
        inst: &Instruction<'_>,
        operand: &Operand<'_>,
        ty: Type,
        is_64: bool,
    ) -> Result<Slot, LoadError> {
        if let Operand::Immediate(value) = operand {
            return match (preset(*value, ty), is_64) {
                (Some(Preset::Bits32(bits)), true) => self.bits64(u64::from(bits)),
                (Some(preset), _) => self.regs.preset(preset, self.line),
                (None, _) => misfit(inst, 2, "a constant of the type that is stored", operand),
            };
        }
        let register = self.wide_enough(inst, 2, operand, ty)?;
        if register.is_64() != is_64 {
            return misfit(inst, 2, "registers of one size", &"registers of several");
        }
        Ok(register.slot)
    }

    /// A register that can hold a value of a type, and may be wider.
    fn wide_enough(
        &mut self,
        inst: &Instruction<'_>,
        index: usize,
        operand: &Operand<'_>,
        ty: Type,
    ) -> Result<Register, LoadError> {
        let register = self.any_register(inst, index, operand)?;
        if register.is_pred() || register.bits < ty.bits() {
            return misfit(inst, index, "a register at least as wide as the type", operand);
        }
        Ok(register)
    }

    /// One operand, or those of a vector in braces or of vector registers.
    fn elements<'a>(
        &mut self,
        inst: &Instruction<'a>,
        index: usize,
        lanes: usize,
    ) -> Result<Vec<Operand<'a>>, LoadError> {
        let operand = self.operand(inst, index)?;
        let elements = match operand {
            Operand::Vector(elements) => elements.clone(),
            Operand::Name(name) if lanes > 1 => match self.scopes.find(name) {
                Some(Found::Entity(Entity::Register { lanes, .. })) if lanes > 1 => ["x", "y", "z", "w"]
                    .into_iter()
                    .take(usize::from(lanes))
                    .map(|component| Operand::Component(name, component))
                    .collect(),
                _ => vec![operand.clone()],
            },
            _ => vec![operand.clone()],
        };
        if elements.len() == lanes {
            Ok(elements)
        } else {
            misfit(inst, index, "as many elements as the vector has", operand)
        }
    }

    /// Where an operand in brackets points: its space as the machine knows it, and the area of shared memory that it
    /// names.
    pub(super) fn address(
        &mut self,
        inst: &Instruction<'_>,
        index: usize,
        space: Space,
    ) -> Result<(Space, Address, Option<u32>), LoadError> {
        let operand = self.operand(inst, index)?;
        let Operand::Address { base, offset } = operand else {
            return misfit(inst, index, "an address in brackets", operand);
        };
        let offset = *offset;
        let space_here = self.param_space(space, inst);
        let Some(name) = base else {
            return Ok((space_here, Address { base: Base::Zero, offset }, None));
        };
        if let Some(register) = self.register(name)? {
            let base = match register.bits {
                64 => Base::Reg64(register.slot),
                32 => Base::Reg32(register.slot),
                _ => return misfit(inst, index, "an address of 32 or 64 bits", operand),
            };
            return Ok((space_here, Address { base, offset }, None));
        }
        let Some(Found::Entity(entity)) = self.scopes.find(name) else {
            return Err(super::unknown(inst.line, "register or variable", name));
        };
        let Some(of) = self.symbol(inst, entity, name)? else {
            return misfit(inst, index, "an address", operand);
        };
        let direct = |space, place: u32| {
            Ok((space, Address { base: Base::Zero, offset: offset.wrapping_add(i64::from(place)) }, None))
        };
        match (space, entity, of) {
            (Space::Param, Entity::Frame { is_param: true, .. }, Symbol::Local(place))
            | (Space::Local, Entity::Frame { is_param: false, .. }, Symbol::Local(place)) => {
                direct(Space::Local, place)
            }
            (Space::Param, _, Symbol::Param(place)) => direct(Space::Param, place),
            (Space::Shared, _, Symbol::Shared(area)) => {
                Ok((Space::Shared, Address { base: Base::Zero, offset }, Some(area)))
            }
            (Space::Shared, _, Symbol::DynamicShared)
            | (Space::Global, Entity::Variable { is_const: false, .. }, _)
            | (Space::Const, Entity::Variable { is_const: true, .. }, _)
            | (Space::Generic, _, _)
                if !matches!(of, Symbol::Function(_)) =>
            {
                let address = AddressOf { of, addend: 0, generic: space == Space::Generic };
                let slot = self.regs.preset(Preset::Address64(address), self.line)?;
                Ok((space, Address { base: Base::Reg64(slot), offset }, None))
            }
            _ => misfit(inst, index, "a variable in the state space of the instruction", operand),
        }
    }

    /// What `.param` means where no name says it: the kernel's parameters, or the frame of a function.
    pub(super) fn param_space(&self, space: Space, inst: &Instruction<'_>) -> Space {
        let is_function = !self.is_kernel || inst.has("param::func");
        if space == Space::Param && is_function { Space::Local } else { space }
    }

    fn emit_access(
        &mut self,
        op: impl FnOnce(Box<Access>) -> Op,
        access: Access,
        area: Option<u32>,
    ) -> Result<(), LoadError> {
        self.note_area(area);
        self.emit(op(Box::new(access)))
    }

    /// The next instruction accesses an area whose place is not known yet.
    pub(super) fn note_area(&mut self, area: Option<u32>) {
        if let Some(area) = area {
            self.uses.accesses.push((self.code.len(), area));
        }
    }

    /// A parameter of a function that the source keeps in a register.
    pub(super) fn load_param(&mut self, name: &str, param: &Param) -> Result<(), LoadError> {
        if let Some(register) = self.register(name)? {
            let access = frame_access(register, param.offset);
            self.emit(Op::Load(Box::new(access)))?;
        }
        Ok(())
    }

    /// A register to a place in the frame.
    pub(super) fn store_param(&mut self, register: Register, offset: u32) -> Result<(), LoadError> {
        self.emit(Op::Store(Box::new(frame_access(register, offset))))
    }

    /// A place in the frame to a register.
    pub(super) fn fetch_result(&mut self, register: Register, offset: u32) -> Result<(), LoadError> {
        self.emit(Op::Load(Box::new(frame_access(register, offset))))
    }

    /// `prefetch`, `discard`, `applypriority`: the address must make sense, nothing else happens.
    pub(super) fn advice(&mut self, inst: &Instruction<'_>) -> Result<(), LoadError> {
        expect_count(inst, 1..=2)?;
        let space = inst.modifiers.iter().find_map(|name| space_of(name)).unwrap_or(Space::Generic);
        self.address(inst, 1, space)?;
        self.emit(Op::Nop)
    }
}

fn frame_access(register: Register, offset: u32) -> Access {
    let bytes = match register.bits {
        8 => 1,
        16 => 2,
        32 => 4,
        _ => 8,
    };
    Access {
        space: Space::Local,
        address: Address { base: Base::Zero, offset: i64::from(offset) },
        element: Element { bytes, extend: Extend::Zero, is_64: register.is_64() },
        slots: vec![Some(register.slot)],
        strong: false,
    }
}

/// A state space by its name.
pub(super) fn space_of(name: &str) -> Option<Space> {
    Some(match name {
        "global" => Space::Global,
        "shared" | "shared::cta" => Space::Shared,
        "local" => Space::Local,
        "const" => Space::Const,
        "param" | "param::entry" | "param::func" => Space::Param,
        _ => return None,
    })
}

/// Reads the modifiers of a load or a store. Caches are not modelled, so hints to them mean nothing.
fn form(inst: &Instruction<'_>) -> Result<Form, LoadError> {
    let mut form = Form { space: Space::Generic, strong: false, lanes: 1, ty: Type::Pred, policy: false };
    let Some((ty, modifiers)) = inst.modifiers.split_last() else { return refuse(inst, "no type") };
    for modifier in modifiers {
        match *modifier {
            "weak" | "cta" | "cluster" | "gpu" | "sys" => {}
            "volatile" | "relaxed" | "acquire" | "release" | "mmio" => form.strong = true,
            "ca" | "cg" | "cs" | "lu" | "cv" | "wb" | "wt" | "nc" => {}
            "v2" => form.lanes = 2,
            "v4" => form.lanes = 4,
            "v8" => form.lanes = 8,
            "L2::cache_hint" => form.policy = true,
            hint if hint.starts_with("L1::") || hint.starts_with("L2::") => {}
            name => match space_of(name) {
                Some(space) => form.space = space,
                None => return refuse(inst, "unknown modifier"),
            },
        }
    }
    form.ty = match Type::of_name(ty) {
        Some(Type::Pred) | None => return refuse(inst, "unknown type"),
        Some(ty) => ty,
    };
    if form.lanes as u64 * u64::from(form.ty.bits()) > 256 {
        return refuse(inst, "vectors have at most 256 bits");
    }
    Ok(form)
}

fn bytes(ty: Type) -> u8 {
    match ty.bits() {
        8 => 1,
        16 => 2,
        32 => 4,
        _ => 8,
    }
}
