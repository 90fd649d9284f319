//! What each opcode is lowered by, and instructions that decide where a thread goes on.

use super::function::Body;
use super::names::Entity;
use super::operands::{expect_count, misfit, refuse};
use super::scopes::Found;
use crate::error::LoadError;
use crate::program::{Guard, Op};
use crate::syntax::ast::{Instruction, Operand};
use crate::types::Type;

impl<'a> Body<'_, '_, 'a> {
    pub(super) fn instruction(&mut self, inst: &Instruction<'a>) -> Result<(), LoadError> {
        self.line = inst.line;
        self.guard = None;
        if let Some(guard) = inst.guard {
            let register = self.any_register(inst, 0, &Operand::Name(guard.pred))?;
            if !register.is_pred() {
                return misfit(inst, 0, "a predicate as guard", guard.pred);
            }
            self.guard = Some(Guard { pred: register.slot, negated: guard.negated });
        }
        let last = inst.modifiers.last().copied();
        match inst.opcode {
            "mov" => self.mov(inst),
            "ld" | "ldu" => self.load(inst),
            "st" => self.store(inst),
            "cvta" => self.convert_address(inst),
            "isspacep" => self.is_space(inst),
            "cvt" => self.convert(inst),
            "setp" => self.set_predicate(inst),
            "set" => self.set(inst),
            "selp" => self.select_by_predicate(inst),
            "and" | "or" | "xor" | "not" if last == Some("pred") => self.predicate_logic(inst),
            "atom" | "red" => self.atomic(inst),
            "bar" | "barrier" => self.barrier(inst),
            "membar" | "fence" => self.fence(inst),
            "shfl" => self.shuffle(inst),
            "vote" => self.vote(inst),
            "match" => self.match_lanes(inst),
            "redux" => self.warp_reduce(inst),
            "elect" => self.elect(inst),
            "activemask" => self.active_mask(inst),
            "bra" => self.branch(inst),
            "brx" => self.branch_indexed(inst),
            "call" => self.call(inst),
            "ret" => self.no_operands(inst).and_then(|()| self.leave_function()),
            "exit" => self.no_operands(inst).and_then(|()| self.emit(Op::Exit)),
            // Without a debugger, a breakpoint is a trap.
            "trap" | "brkpt" => self.no_operands(inst).and_then(|()| self.emit(Op::Trap)),
            "nanosleep" => {
                expect_count(inst, 1..=1)?;
                self.source(inst, 1, Type::U32)?;
                self.emit(Op::Nop)
            }
            "prefetch" | "prefetchu" | "discard" | "applypriority" => self.advice(inst),
            "createpolicy" => self.create_policy(inst),
            "pmevent" | "griddepcontrol" => self.emit(Op::Nop),
            _ => self.compute(inst),
        }
    }

    fn no_operands(&self, inst: &Instruction<'a>) -> Result<(), LoadError> {
        match inst.modifiers.as_slice() {
            [] => expect_count(inst, 0..=0),
            ["uni"] if inst.opcode == "ret" => expect_count(inst, 0..=0),
            _ => refuse(inst, "unknown modifier"),
        }
    }

    /// The end of the function, after its results have been put where the caller finds them.
    pub(super) fn leave_function(&mut self) -> Result<(), LoadError> {
        if self.is_kernel {
            return self.emit(Op::Exit);
        }
        for (name, offset) in self.register_results.clone() {
            if let Some(register) = self.register(name)? {
                self.store_param(register, offset)?;
            }
        }
        self.emit(Op::Return)
    }

    fn branch(&mut self, inst: &Instruction<'a>) -> Result<(), LoadError> {
        if !matches!(inst.modifiers.as_slice(), [] | ["uni"]) {
            return refuse(inst, "unknown modifier");
        }
        expect_count(inst, 1..=1)?;
        let operand = self.operand(inst, 1)?;
        let Operand::Name(name) = operand else { return misfit(inst, 1, "a label", operand) };
        match self.label(name) {
            Some(target) => self.emit(Op::Branch { target }),
            None => Err(super::unknown(inst.line, "label", name)),
        }
    }

    /// `brx.idx index, table;`
    fn branch_indexed(&mut self, inst: &Instruction<'a>) -> Result<(), LoadError> {
        if !matches!(inst.modifiers.as_slice(), ["idx"] | ["idx", "uni"]) {
            return refuse(inst, "unknown modifier");
        }
        expect_count(inst, 2..=2)?;
        let index = self.source(inst, 1, Type::U32)?;
        let operand = self.operand(inst, 2)?;
        let Operand::Name(name) = operand else { return misfit(inst, 2, "a list of labels", operand) };
        match self.scopes.find(name) {
            Some(Found::Entity(Entity::BranchTable(table))) => {
                let table = u16::try_from(table).unwrap_or(u16::MAX);
                self.emit(Op::BranchIndexed { table, index })
            }
            _ => Err(super::unknown(inst.line, "list of labels", name)),
        }
    }
}
