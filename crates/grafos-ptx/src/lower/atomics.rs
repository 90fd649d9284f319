//! `atom` and `red`.

use super::function::Body;
use super::memory::space_of;
use super::operands::{expect_count, refuse};
use crate::error::LoadError;
use crate::program::{Atomic, AtomicOp, AtomicType, Op, Space};
use crate::syntax::ast::{Instruction, Operand};
use crate::types::Type;

/// The modifiers of an atomic operation.
struct Form {
    space: Space,
    op: AtomicOp,
    ty: Type,
    policy: bool,
}

impl Body<'_, '_, '_> {
    /// `atom.global.add.u32 d, [a], b`, `red.global.add.u32 [a], b`
    pub(super) fn atomic(&mut self, inst: &Instruction<'_>) -> Result<(), LoadError> {
        let Form { space, op, ty, policy } = form(inst)?;
        let atomic_type = atomic_type(inst, op, ty)?;
        let returns = usize::from(inst.opcode == "atom");
        let is_cas = op == AtomicOp::CompareAndSwap;
        let least = returns + 2 + usize::from(is_cas);
        expect_count(inst, least..=least + usize::from(policy))?;
        let (space, address, area) = self.address(inst, returns + 1, space)?;
        let operand = self.source(inst, returns + 2, ty)?;
        let new = if is_cas { Some(self.source(inst, returns + 3, ty)?) } else { None };
        let dest = match self.operand(inst, 1)? {
            Operand::Sink => None,
            _ if returns == 0 => None,
            operand => Some(self.dest_of(inst, 1, operand, ty)?),
        };
        self.note_area(area);
        let ty = atomic_type;
        self.emit(Op::Atomic(Box::new(Atomic { space, op, ty, address, dest, operand, new })))
    }
}

fn form(inst: &Instruction<'_>) -> Result<Form, LoadError> {
    let Some((ty, modifiers)) = inst.modifiers.split_last() else { return refuse(inst, "no type") };
    let Some(ty) = Type::of_name(ty) else { return refuse(inst, "unknown type") };
    let (mut space, mut op, mut policy) = (Space::Generic, None, false);
    for modifier in modifiers {
        match *modifier {
            "relaxed" | "acquire" | "release" | "acq_rel" => {}
            "cta" | "cluster" | "gpu" | "sys" | "noftz" => {}
            "L2::cache_hint" => policy = true,
            "v2" | "v4" | "v8" => return refuse(inst, "vectors can't be atomic"),
            name => match (space_of(name), operation(name)) {
                (Some(named @ (Space::Global | Space::Shared)), _) => space = named,
                (None, Some(named)) if op.is_none() => op = Some(named),
                _ => return refuse(inst, "unknown modifier"),
            },
        }
    }
    match op {
        Some(op) => Ok(Form { space, op, ty, policy }),
        None => refuse(inst, "no operation"),
    }
}

fn operation(name: &str) -> Option<AtomicOp> {
    Some(match name {
        "add" => AtomicOp::Add,
        "min" => AtomicOp::Min,
        "max" => AtomicOp::Max,
        "inc" => AtomicOp::Inc,
        "dec" => AtomicOp::Dec,
        "and" => AtomicOp::And,
        "or" => AtomicOp::Or,
        "xor" => AtomicOp::Xor,
        "exch" => AtomicOp::Exchange,
        "cas" => AtomicOp::CompareAndSwap,
        _ => return None,
    })
}

/// The type by which the machine does it, for those pairs that the language has.
fn atomic_type(inst: &Instruction<'_>, op: AtomicOp, ty: Type) -> Result<AtomicType, LoadError> {
    use AtomicOp as O;
    Ok(match (op, ty) {
        (O::CompareAndSwap, Type::B16) => AtomicType::B16,
        (O::And | O::Or | O::Xor | O::Exchange | O::CompareAndSwap, Type::B32 | Type::U32 | Type::S32) => {
            AtomicType::B32
        }
        (O::And | O::Or | O::Xor | O::Exchange | O::CompareAndSwap, Type::B64 | Type::U64 | Type::S64) => {
            AtomicType::B64
        }
        (O::Add | O::Min | O::Max | O::Inc | O::Dec, Type::U32) => AtomicType::U32,
        (O::Add | O::Min | O::Max, Type::S32) => AtomicType::S32,
        (O::Add | O::Min | O::Max, Type::U64) => AtomicType::U64,
        (O::Min | O::Max, Type::S64) => AtomicType::S64,
        (O::Add, Type::F16) => AtomicType::F16,
        (O::Add, Type::F16x2) => AtomicType::F16x2,
        (O::Add, Type::Bf16) => AtomicType::Bf16,
        (O::Add, Type::Bf16x2) => AtomicType::Bf16x2,
        (O::Add, Type::F32) => AtomicType::F32,
        (O::Add, Type::F64) => AtomicType::F64,
        _ => return refuse(inst, "no such atomic operation on this type"),
    })
}
