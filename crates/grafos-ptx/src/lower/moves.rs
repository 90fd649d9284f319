//! `mov` in all its forms, and conversions of addresses.

use super::function::Body;
use super::memory;
use super::names::Entity;
use super::operands::{expect_count, last_type, misfit, refuse};
use super::scopes::Found;
use crate::error::LoadError;
use crate::program::{AddressOf, Op, Pack, Preset, Slot, Space, Symbol, Unpack};
use crate::syntax::ast::{Instruction, Operand};
use crate::types::Type;

impl Body<'_, '_, '_> {
    /// `mov`
    pub(super) fn mov(&mut self, inst: &Instruction<'_>) -> Result<(), LoadError> {
        let ty = last_type(inst)?;
        if inst.modifiers.len() != 1 {
            return refuse(inst, "vectors are moved element by element");
        }
        if ty == Type::Pred {
            return self.predicate_logic(inst);
        }
        expect_count(inst, 2..=2)?;
        let (dest, source) = (self.operand(inst, 1)?, self.operand(inst, 2)?);
        match (dest, source) {
            (Operand::Vector(elements), source) => self.unpack(inst, ty, elements, source),
            (_, Operand::Vector(elements)) => self.pack(inst, ty, elements),
            _ => {
                let source = match self.address_of(inst, source, ty)? {
                    Some(slot) => slot,
                    None => self.source_of(inst, 2, source, ty)?,
                };
                let dest = self.dest(inst, 1, ty)?;
                self.move_slot(ty, dest, source)
            }
        }
    }

    pub(super) fn move_slot(&mut self, ty: Type, dest: Slot, source: Slot) -> Result<(), LoadError> {
        self.emit(if ty.bits() == 64 { Op::Move64 { dest, source } } else { Op::Move32 { dest, source } })
    }

    /// `mov.b64 d, {a, b}`
    fn pack(&mut self, inst: &Instruction<'_>, ty: Type, elements: &[Operand<'_>]) -> Result<(), LoadError> {
        let element = element_type(inst, 2, ty, elements)?;
        let mut sources = Vec::with_capacity(elements.len());
        for operand in elements {
            sources.push(self.source_of(inst, 2, operand, element)?);
        }
        let dest = self.dest(inst, 1, ty)?;
        let element_bits = bits(element);
        self.emit(Op::Pack(Box::new(Pack { element_bits, dest_is_64: ty.bits() == 64, dest, sources })))
    }

    /// `mov.b64 {a, _}, s`
    fn unpack(
        &mut self,
        inst: &Instruction<'_>,
        ty: Type,
        elements: &[Operand<'_>],
        source: &Operand<'_>,
    ) -> Result<(), LoadError> {
        let element = element_type(inst, 1, ty, elements)?;
        let source = self.source_of(inst, 2, source, ty)?;
        let mut dests = Vec::with_capacity(elements.len());
        for operand in elements {
            dests.push(match operand {
                Operand::Sink => None,
                operand => Some(self.dest_of(inst, 1, operand, element)?),
            });
        }
        let (element_bits, source_is_64) = (bits(element), ty.bits() == 64);
        self.emit(Op::Unpack(Box::new(Unpack { element_bits, source_is_64, source, dests })))
    }

    /// The slot of the address of a variable or a function; none if the operand is no such name.
    fn address_of(
        &mut self,
        inst: &Instruction<'_>,
        operand: &Operand<'_>,
        ty: Type,
    ) -> Result<Option<Slot>, LoadError> {
        let (name, addend) = match operand {
            Operand::Name(name) => (*name, 0),
            Operand::NameOffset(name, addend) => (*name, *addend),
            _ => return Ok(None),
        };
        let Some(Found::Entity(entity)) = self.scopes.find(name) else { return Ok(None) };
        let Some(of) = self.symbol(inst, entity, name)? else { return Ok(None) };
        let address = AddressOf { of, addend, generic: false };
        let preset = match ty.bits() {
            64 => Preset::Address64(address),
            32 => Preset::Address32(address),
            _ => return misfit(inst, 2, "a type of 32 or 64 bits for an address", operand),
        };
        self.regs.preset(preset, self.line).map(Some)
    }

    /// What has an address.
    pub(super) fn symbol(
        &mut self,
        inst: &Instruction<'_>,
        entity: Entity,
        name: &str,
    ) -> Result<Option<Symbol>, LoadError> {
        Ok(Some(match entity {
            Entity::Frame { offset, .. } => Symbol::Local(offset),
            Entity::Param { offset } => Symbol::Param(offset),
            Entity::Variable { index, .. } => Symbol::Variable(index),
            Entity::Shared(area) => {
                self.uses.areas.insert(area);
                if self.areas.is_dynamic(area) { Symbol::DynamicShared } else { Symbol::Shared(area) }
            }
            Entity::Function(number) => {
                let function = self.scopes.module.functions.get(number as usize);
                if function.is_some_and(|function| function.is_kernel) {
                    return refuse(inst, "a kernel has no address");
                }
                match function.and_then(|function| function.index) {
                    Some(index) => {
                        self.uses.addresses.insert(index);
                        Symbol::Function(index)
                    }
                    None => return Err(super::unknown(inst.line, "definition of a function", name)),
                }
            }
            _ => return Ok(None),
        }))
    }

    /// `cvta.global.u64 d, a`, `cvta.to.global.u64 d, a`
    pub(super) fn convert_address(&mut self, inst: &Instruction<'_>) -> Result<(), LoadError> {
        expect_count(inst, 2..=2)?;
        let (to, rest) = match inst.modifiers.as_slice() {
            ["to", rest @ ..] => (true, rest),
            rest => (false, rest),
        };
        let &[space, "u64"] = rest else { return refuse(inst, "only 64-bit addresses are supported") };
        let Some(space) = memory::space_of(space) else { return refuse(inst, "unknown state space") };
        let space = self.param_space(space, inst);
        let operand = self.operand(inst, 2)?;
        let source = match self.address_of(inst, operand, Type::U64)? {
            Some(slot) => slot,
            None => self.source(inst, 2, Type::U64)?,
        };
        let dest = self.dest(inst, 1, Type::U64)?;
        self.emit(if to {
            Op::FromGeneric { space, dest, source }
        } else {
            Op::ToGeneric { space, dest, source }
        })
    }

    /// `isspacep.global p, a`
    pub(super) fn is_space(&mut self, inst: &Instruction<'_>) -> Result<(), LoadError> {
        expect_count(inst, 2..=2)?;
        let space = match inst.modifiers.as_slice() {
            // A block is a cluster of its own.
            ["shared::cluster"] => Space::Shared,
            [space] => match memory::space_of(space) {
                Some(space) => self.param_space(space, inst),
                None => return refuse(inst, "unknown state space"),
            },
            _ => return refuse(inst, "unknown form"),
        };
        let source = self.source(inst, 2, Type::U64)?;
        let dest = self.dest(inst, 1, Type::Pred)?;
        self.emit(Op::IsSpace { space, dest, source })
    }

    /// `createpolicy`: a hint to a cache that is not here.
    pub(super) fn create_policy(&mut self, inst: &Instruction<'_>) -> Result<(), LoadError> {
        let source = self.bits64(0)?;
        let dest = self.dest(inst, 1, Type::B64)?;
        self.emit(Op::Move64 { dest, source })
    }

    /// `activemask.b32 d`
    pub(super) fn active_mask(&mut self, inst: &Instruction<'_>) -> Result<(), LoadError> {
        expect_count(inst, 1..=1)?;
        let dest = self.dest(inst, 1, Type::B32)?;
        self.emit(Op::ActiveMask { dest })
    }
}

/// The type of one of so many elements of a register.
fn element_type(
    inst: &Instruction<'_>,
    index: usize,
    ty: Type,
    elements: &[Operand<'_>],
) -> Result<Type, LoadError> {
    Ok(match (ty.bits(), elements.len()) {
        (64, 2) => Type::B32,
        (64, 4) | (32, 2) => Type::B16,
        (64, 8) | (32, 4) | (16, 2) => Type::B8,
        _ => return misfit(inst, index, "another number of elements", &elements.len()),
    })
}

fn bits(element: Type) -> u8 {
    match element {
        Type::B8 => 8,
        Type::B16 => 16,
        _ => 32,
    }
}
