//! Instructions at which threads meet: barriers and fences of a block, shuffles, votes and the like of a warp.

use super::function::Body;
use super::operands::{expect_count, last_type, misfit, refuse};
use crate::error::LoadError;
use crate::program::{Barrier, BarrierReduce, BarrierReduceOp, Op, ReduceOp, Shuffle, ShuffleMode, VoteKind};
use crate::syntax::ast::{Instruction, Operand};
use crate::types::Type;

impl Body<'_, '_, '_> {
    /// `bar`, `barrier`, `bar.warp.sync`
    pub(super) fn barrier(&mut self, inst: &Instruction<'_>) -> Result<(), LoadError> {
        if inst.opcode == "bar" && inst.modifiers == ["warp", "sync"] {
            expect_count(inst, 1..=1)?;
            let members = self.source(inst, 1, Type::B32)?;
            return self.emit(Op::WarpSync { members });
        }
        let aligned = inst.opcode == "bar" || inst.has("aligned");
        let form: Vec<&str> =
            inst.modifiers.iter().copied().filter(|m| !matches!(*m, "cta" | "aligned")).collect();
        match form.as_slice() {
            ["sync"] => {
                expect_count(inst, 1..=2)?;
                self.meet(inst, 1, inst.operands.len() == 2, (false, aligned), None)
            }
            ["arrive"] => {
                expect_count(inst, 2..=2)?;
                self.meet(inst, 1, true, (true, aligned), None)
            }
            ["red", op, ty] => {
                let (op, ty) = match (*op, *ty) {
                    ("popc", "u32") => (BarrierReduceOp::Count, Type::U32),
                    ("and", "pred") => (BarrierReduceOp::And, Type::Pred),
                    ("or", "pred") => (BarrierReduceOp::Or, Type::Pred),
                    _ => return refuse(inst, "unknown reduction"),
                };
                expect_count(inst, 3..=4)?;
                let source = self.pred(inst, inst.operands.len())?;
                let dest = self.dest(inst, 1, ty)?;
                let reduce = BarrierReduce { op, source, dest };
                self.meet(inst, 2, inst.operands.len() == 4, (false, aligned), Some(reduce))
            }
            _ => refuse(inst, "unknown form"),
        }
    }

    /// A barrier whose number is operand `index`, and whose count follows if it `has_count`.
    fn meet(
        &mut self,
        inst: &Instruction<'_>,
        index: usize,
        has_count: bool,
        (arrive, aligned): (bool, bool),
        reduce: Option<BarrierReduce>,
    ) -> Result<(), LoadError> {
        let id = self.source(inst, index, Type::U32)?;
        let count = if has_count { Some(self.source(inst, index + 1, Type::U32)?) } else { None };
        self.emit(Op::Barrier(Box::new(Barrier { id, count, arrive, reduce, aligned })))
    }

    /// `membar.gl`, `fence.acq_rel.gpu`
    pub(super) fn fence(&mut self, inst: &Instruction<'_>) -> Result<(), LoadError> {
        for modifier in &inst.modifiers {
            let known = matches!(
                *modifier,
                "cta" | "gl" | "sys" | "gpu" | "cluster" | "sc" | "acq_rel" | "acquire" | "release"
            ) || matches!(*modifier, "proxy" | "alias" | "async")
                || modifier.starts_with("async::")
                || modifier.starts_with("sync_restrict::")
                || modifier.starts_with("proxy::");
            if !known {
                return refuse(inst, "unknown modifier");
            }
        }
        expect_count(inst, 0..=0)?;
        self.emit(Op::Fence)
    }

    /// `shfl.sync.idx.b32 d|p, a, b, c, members`
    pub(super) fn shuffle(&mut self, inst: &Instruction<'_>) -> Result<(), LoadError> {
        let (sync, mode) = match inst.modifiers.as_slice() {
            ["sync", mode, "b32"] => (true, *mode),
            [mode, "b32"] => (false, *mode),
            _ => return refuse(inst, "unknown form"),
        };
        let mode = match mode {
            "up" => ShuffleMode::Up,
            "down" => ShuffleMode::Down,
            "bfly" => ShuffleMode::Bfly,
            "idx" => ShuffleMode::Idx,
            _ => return refuse(inst, "unknown form"),
        };
        let count = 4 + usize::from(sync);
        expect_count(inst, count..=count)?;
        let source = self.source(inst, 2, Type::B32)?;
        let lane = self.source(inst, 3, Type::B32)?;
        let clamp = self.source(inst, 4, Type::B32)?;
        let members = if sync { Some(self.source(inst, 5, Type::B32)?) } else { None };
        let (dest, pred) = self.pair(inst, 1)?;
        let dest = self.dest_of(inst, 1, &dest, Type::B32)?;
        let pred = self.optional_pred(inst, pred)?;
        self.emit(Op::Shuffle(Box::new(Shuffle { mode, dest, pred, source, lane, clamp, members })))
    }

    /// `vote.sync.any.pred p, !q, members`, `vote.sync.ballot.b32 d, q, members`
    pub(super) fn vote(&mut self, inst: &Instruction<'_>) -> Result<(), LoadError> {
        let (sync, mode, ty) = match inst.modifiers.as_slice() {
            ["sync", mode, ty] => (true, *mode, *ty),
            [mode, ty] => (false, *mode, *ty),
            _ => return refuse(inst, "unknown form"),
        };
        let (kind, ty) = match (mode, ty) {
            ("all", "pred") => (VoteKind::All, Type::Pred),
            ("any", "pred") => (VoteKind::Any, Type::Pred),
            ("uni", "pred") => (VoteKind::Uni, Type::Pred),
            ("ballot", "b32") => (VoteKind::Ballot, Type::B32),
            _ => return refuse(inst, "unknown form"),
        };
        let count = 2 + usize::from(sync);
        expect_count(inst, count..=count)?;
        let source = self.pred(inst, 2)?;
        let members = if sync { Some(self.source(inst, 3, Type::B32)?) } else { None };
        let dest = self.dest(inst, 1, ty)?;
        self.emit(Op::Vote { kind, dest, source, members })
    }

    /// `match.any.sync.b32 d, a, members`, `match.all.sync.b64 d|p, a, members`
    pub(super) fn match_lanes(&mut self, inst: &Instruction<'_>) -> Result<(), LoadError> {
        let (all, ty) = match inst.modifiers.as_slice() {
            ["any", "sync", ty] => (false, *ty),
            ["all", "sync", ty] => (true, *ty),
            _ => return refuse(inst, "unknown form"),
        };
        let ty = match ty {
            "b32" => Type::B32,
            "b64" => Type::B64,
            _ => return refuse(inst, "unknown type"),
        };
        expect_count(inst, 3..=3)?;
        let source = self.source(inst, 2, ty)?;
        let members = self.source(inst, 3, Type::B32)?;
        let (dest, pred) = self.pair(inst, 1)?;
        if pred.is_some() && !all {
            return misfit(inst, 1, "a register", self.operand(inst, 1)?);
        }
        let dest = self.dest_of(inst, 1, &dest, Type::B32)?;
        let pred = self.optional_pred(inst, pred)?;
        self.emit(Op::Match { all, is_64: ty == Type::B64, dest, pred, source, members })
    }

    /// `redux.sync.add.u32 d, a, members`
    pub(super) fn warp_reduce(&mut self, inst: &Instruction<'_>) -> Result<(), LoadError> {
        let op = match inst.modifiers.as_slice() {
            ["sync", "add", "u32" | "s32"] => ReduceOp::AddU32,
            ["sync", "min", "u32"] => ReduceOp::MinU32,
            ["sync", "min", "s32"] => ReduceOp::MinS32,
            ["sync", "max", "u32"] => ReduceOp::MaxU32,
            ["sync", "max", "s32"] => ReduceOp::MaxS32,
            ["sync", "and", "b32"] => ReduceOp::And,
            ["sync", "or", "b32"] => ReduceOp::Or,
            ["sync", "xor", "b32"] => ReduceOp::Xor,
            _ => return refuse(inst, "no such reduction of a warp"),
        };
        expect_count(inst, 3..=3)?;
        let ty = last_type(inst)?;
        let source = self.source(inst, 2, ty)?;
        let members = self.source(inst, 3, Type::B32)?;
        let dest = self.dest(inst, 1, ty)?;
        self.emit(Op::WarpReduce { op, dest, source, members })
    }

    /// `elect.sync d|p, members`
    pub(super) fn elect(&mut self, inst: &Instruction<'_>) -> Result<(), LoadError> {
        if inst.modifiers != ["sync"] {
            return refuse(inst, "unknown form");
        }
        expect_count(inst, 2..=2)?;
        let members = self.source(inst, 2, Type::B32)?;
        let (dest, Some(pred)) = self.pair(inst, 1)? else {
            return misfit(inst, 1, "a register and a predicate", self.operand(inst, 1)?);
        };
        let dest = match dest {
            Operand::Sink => None,
            dest => Some(self.dest_of(inst, 1, &dest, Type::B32)?),
        };
        let pred = self.dest_of(inst, 1, &pred, Type::Pred)?;
        self.emit(Op::Elect { dest, pred, members })
    }
}
