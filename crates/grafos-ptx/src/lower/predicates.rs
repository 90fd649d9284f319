//! Predicates: comparisons, and their logic.

use super::compute::select;
use super::function::Body;
use super::operands::{expect_count, misfit, refuse};
use super::registers::File;
use crate::compute::Compute;
use crate::error::LoadError;
use crate::program::{Guard, Op, PredicateOp, SetPredicate, Slot};
use crate::syntax::ast::{Instruction, Operand};
use crate::types::Type;

impl Body<'_, '_, '_> {
    /// `setp.lt.and.f32 p|q, a, b, !c`
    pub(super) fn set_predicate(&mut self, inst: &Instruction<'_>) -> Result<(), LoadError> {
        let (combine, modifiers) = split_combine(inst);
        let selected = select(inst, "setp", &modifiers)?;
        let count = 3 + usize::from(combine.is_some());
        expect_count(inst, count..=count)?;
        let [a, b] = self.compared(inst, &selected.sources)?;
        let (first, second) = self.pair(inst, 1)?;
        if second.is_none() && combine.is_none() && !matches!(selected.compute, Compute::ComparePacked(_)) {
            let dest = self.dest_of(inst, 1, &first, Type::Pred)?;
            return self.emit(Op::Compute { compute: selected.compute, dest, sources: [a, b, 0, 0] });
        }
        let combine = self.combined(inst, combine)?;
        let p = self.optional_pred(inst, Some(first))?;
        let q = self.optional_pred(inst, second)?;
        let compare = selected.compute;
        self.emit(Op::SetPredicate(Box::new(SetPredicate { compare, a, b, combine, p, q })))
    }

    /// `set.lt.u32.f32 d, a, b`, and with a predicate: `set.lt.and.u32.f32 d, a, b, !c`
    pub(super) fn set(&mut self, inst: &Instruction<'_>) -> Result<(), LoadError> {
        let (combine, modifiers) = split_combine(inst);
        if combine.is_none() {
            return self.compute(inst);
        }
        let types = modifiers.len().saturating_sub(2);
        let Some(&[to, from]) = modifiers.get(types..) else { return refuse(inst, "unknown type") };
        let (ty, one) = match to {
            "u32" | "s32" => (Type::B32, u32::MAX),
            "f32" => (Type::B32, 1.0_f32.to_bits()),
            "u16" | "s16" => (Type::B16, 0xffff),
            "f16" => (Type::B16, 0x3c00),
            "bf16" => (Type::B16, 0x3f80),
            _ => return refuse(inst, "a result of this type can't be combined with a predicate"),
        };
        let mut compare: Vec<&str> = modifiers.get(..types).unwrap_or_default().to_vec();
        compare.push(from);
        let selected = select(inst, "setp", &compare)?;
        if matches!(selected.compute, Compute::ComparePacked(_)) {
            return refuse(inst, "packed operands can't be combined with a predicate");
        }
        expect_count(inst, 4..=4)?;
        let [a, b] = self.compared(inst, &selected.sources)?;
        let combine = self.combined(inst, combine)?;
        let pred = self.fresh(File::Pred)?;
        let compare = selected.compute;
        let set = SetPredicate { compare, a, b, combine, p: Some(pred), q: None };
        self.emit(Op::SetPredicate(Box::new(set)))?;
        let (if_true, if_false) = (self.bits32(one)?, self.bits32(0)?);
        let dest = self.dest(inst, 1, ty)?;
        self.emit(Op::Select32 { dest, if_true, if_false, pred })
    }

    fn compared(&mut self, inst: &Instruction<'_>, sources: &[Type]) -> Result<[Slot; 2], LoadError> {
        let &[a, b] = sources else { return refuse(inst, "unknown form") };
        Ok([self.source(inst, 2, a)?, self.source(inst, 3, b)?])
    }

    fn combined(
        &mut self,
        inst: &Instruction<'_>,
        combine: Option<PredicateOp>,
    ) -> Result<Option<(PredicateOp, Guard)>, LoadError> {
        match combine {
            Some(op) => Ok(Some((op, self.pred(inst, 4)?))),
            None => Ok(None),
        }
    }

    /// A predicate to write to; none for `_`.
    pub(super) fn optional_pred(
        &mut self,
        inst: &Instruction<'_>,
        operand: Option<Operand<'_>>,
    ) -> Result<Option<Slot>, LoadError> {
        match operand {
            None | Some(Operand::Sink) => Ok(None),
            Some(operand) => self.dest_of(inst, 1, &operand, Type::Pred).map(Some),
        }
    }

    /// `and.pred`, `or.pred`, `xor.pred`, `not.pred`, `mov.pred`
    pub(super) fn predicate_logic(&mut self, inst: &Instruction<'_>) -> Result<(), LoadError> {
        if inst.modifiers.len() != 1 {
            return refuse(inst, "unknown form");
        }
        let op = match inst.opcode {
            "and" => PredicateOp::And,
            "or" => PredicateOp::Or,
            "xor" => PredicateOp::Xor,
            "not" => PredicateOp::Not,
            "mov" => PredicateOp::Move,
            _ => return refuse(inst, "unknown for predicates"),
        };
        let binary = matches!(op, PredicateOp::And | PredicateOp::Or | PredicateOp::Xor);
        let count = if binary { 3 } else { 2 };
        expect_count(inst, count..=count)?;
        let a = self.plain_pred(inst, 2)?;
        let b = if binary { self.plain_pred(inst, 3)? } else { a };
        if matches!(self.operand(inst, 1)?, Operand::Pair(..)) {
            return misfit(inst, 1, "a predicate", self.operand(inst, 1)?);
        }
        let dest = self.dest(inst, 1, Type::Pred)?;
        self.emit(Op::Predicate { op, dest, a, b })
    }
}

/// The operation that combines a comparison with a predicate, and the modifiers without it.
fn split_combine<'a>(inst: &Instruction<'a>) -> (Option<PredicateOp>, Vec<&'a str>) {
    let op_of = |name: &str| match name {
        "and" => Some(PredicateOp::And),
        "or" => Some(PredicateOp::Or),
        "xor" => Some(PredicateOp::Xor),
        _ => None,
    };
    match inst.modifiers.iter().position(|name| op_of(name).is_some()) {
        // The comparison comes first.
        Some(at) if at > 0 => {
            let mut modifiers = inst.modifiers.clone();
            let op = op_of(modifiers.remove(at));
            (op, modifiers)
        }
        _ => (None, inst.modifiers.clone()),
    }
}
