//! Instructions that compute from registers alone: [`alu::select`] says what they take, this checks and fetches it.

use super::function::Body;
use super::operands::{expect_count, last_type, misfit, refuse};
use super::registers::File;
use crate::alu::{self, Selected};
use crate::error::LoadError;
use crate::program::{Op, Slot, Unpack};
use crate::syntax::ast::{Instruction, Operand};
use crate::types::Type;

impl Body<'_, '_, '_> {
    /// `add.s32 d, a, b` and everything like it.
    pub(super) fn compute(&mut self, inst: &Instruction<'_>) -> Result<(), LoadError> {
        let selected = select(inst, inst.opcode, &inst.modifiers)?;
        expect_operands(inst, &selected)?;
        let mut sources = [0; 4];
        for (i, ty) in selected.sources.iter().enumerate() {
            let slot = self.source(inst, i + 2, *ty)?;
            set(&mut sources, i, slot);
        }
        let dest = self.dest(inst, 1, selected.dest)?;
        self.emit(Op::Compute { compute: selected.compute, dest, sources })
    }

    /// `cvt`, whose registers may be wider than its types.
    pub(super) fn convert(&mut self, inst: &Instruction<'_>) -> Result<(), LoadError> {
        let selected = select(inst, inst.opcode, &inst.modifiers)?;
        expect_operands(inst, &selected)?;
        let mut sources = [0; 4];
        for (i, ty) in selected.sources.iter().enumerate() {
            let slot = self.wide_source(inst, i + 2, *ty)?;
            set(&mut sources, i, slot);
        }
        let ty = selected.dest;
        let operand = self.operand(inst, 1)?;
        let register = match operand {
            Operand::Sink => None,
            _ => Some(self.any_register(inst, 1, operand)?),
        };
        let Some(register) = register.filter(|register| register.bits != ty.bits()) else {
            let dest = self.dest(inst, 1, ty)?;
            return self.emit(Op::Compute { compute: selected.compute, dest, sources });
        };
        let float = matches!(ty, Type::F32 | Type::F64 | Type::F16x2 | Type::Bf16x2);
        if float || register.bits < ty.bits() {
            return misfit(inst, 1, "a register as wide as the result", operand);
        }
        let narrow = self.fresh(File::W32)?;
        self.emit(Op::Compute { compute: selected.compute, dest: narrow, sources })?;
        self.extend(inst, narrow, ty, (register.slot, register.bits))
    }

    /// A value of an integer type into a register that is wider.
    pub(super) fn extend(
        &mut self,
        inst: &Instruction<'_>,
        source: Slot,
        ty: Type,
        (dest, bits): (Slot, u32),
    ) -> Result<(), LoadError> {
        let (from, signed) = match ty {
            Type::S8 => ("s8", true),
            Type::S16 => ("s16", true),
            Type::S32 => ("s32", true),
            Type::U8 | Type::B8 => ("u8", false),
            Type::U16 | Type::B16 | Type::F16 | Type::Bf16 => ("u16", false),
            _ => ("u32", false),
        };
        let to = match (signed, bits) {
            (false, 16) => "u16",
            (true, 16) => "s16",
            (false, 32) => "u32",
            (true, 32) => "s32",
            (false, _) => "u64",
            (true, _) => "s64",
        };
        let Selected { compute, .. } = select(inst, "cvt", &[to, from])?;
        self.emit(Op::Compute { compute, dest, sources: [source, 0, 0, 0] })
    }

    /// A source whose register may be wider than its type: its lowest bits.
    fn wide_source(&mut self, inst: &Instruction<'_>, index: usize, ty: Type) -> Result<Slot, LoadError> {
        let operand = self.operand(inst, index)?;
        let Some(register) = self.register_of(operand)? else {
            return self.source_of(inst, index, operand, ty);
        };
        if register.is_pred() || register.bits <= ty.bits() {
            return self.source_of(inst, index, operand, ty);
        }
        if !register.is_64() {
            // What computes looks at no bits above its type.
            return Ok(register.slot);
        }
        let dest = self.fresh(File::W32)?;
        self.emit(Op::Unpack(Box::new(Unpack {
            element_bits: 32,
            source_is_64: true,
            source: register.slot,
            dests: vec![Some(dest), None],
        })))?;
        Ok(dest)
    }

    /// `selp.b32 d, a, b, p`
    pub(super) fn select_by_predicate(&mut self, inst: &Instruction<'_>) -> Result<(), LoadError> {
        expect_count(inst, 4..=4)?;
        let ty = last_type(inst)?;
        if inst.modifiers.len() != 1 || ty.bits() < 16 {
            return refuse(inst, "unknown form");
        }
        let if_true = self.source(inst, 2, ty)?;
        let if_false = self.source(inst, 3, ty)?;
        let pred = self.plain_pred(inst, 4)?;
        let dest = self.dest(inst, 1, ty)?;
        self.emit(if ty.bits() == 64 {
            Op::Select64 { dest, if_true, if_false, pred }
        } else {
            Op::Select32 { dest, if_true, if_false, pred }
        })
    }
}

/// Looks an instruction up; what is not supported is an error with its reason.
pub(super) fn select(
    inst: &Instruction<'_>,
    opcode: &str,
    modifiers: &[&str],
) -> Result<Selected, LoadError> {
    alu::select(opcode, modifiers).or_else(|reason| refuse(inst, reason))
}

fn expect_operands(inst: &Instruction<'_>, selected: &Selected) -> Result<(), LoadError> {
    let count = selected.sources.len() + 1;
    expect_count(inst, count..=count)
}

fn set(sources: &mut [Slot; 4], i: usize, slot: Slot) {
    if let Some(place) = sources.get_mut(i) {
        *place = slot;
    }
}
