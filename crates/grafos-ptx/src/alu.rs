//! Instructions that compute from registers alone: [`select`] finds by name what one does.
//!
//! Not here: memory, control flow, meetings of threads, predicates' own logic, and moves.
//!
//! Every function is total and deterministic: for any bits in any lane it gives the same bits on every machine. Where
//! the specification leaves a result open, it is what devices are known to give, and `docs/ptx.md` says so. Results
//! narrower than their register are zero-extended; bits of a source above its type are ignored.

mod approx;
mod arithmetic;
mod bits;
mod carry;
mod class;
mod compare;
mod convert;
mod exact;
mod extreme;
mod float;
mod form;
mod half;
mod half_arithmetic;
mod integer;
mod lane;
mod permute;
mod root;
mod round;

#[cfg(test)]
mod tests;

use crate::compute::Compute;
use crate::types::Type;
use form::Form;

/// An instruction that computes, with the types of its operands.
#[derive(Clone, Debug)]
pub(crate) struct Selected {
    pub(crate) compute: Compute,
    /// `Pred` for tests and comparisons. A result narrower than the register it goes to is to be extended by the
    /// caller, as its type says: `cvt.s8.s32` gives 8 bits, zero-extended like all narrow values.
    pub(crate) dest: Type,
    /// One for each source operand, in the order of the source text.
    pub(crate) sources: Vec<Type>,
}

/// Why a form of an instruction is not supported.
type Reason = &'static str;

/// What the instruction `opcode` computes, for its modifiers without their dots: `add`, `["rn", "ftz", "f32"]`.
/// An immediate that picks a function, such as the table of `lop3`, is a source operand like any other. For `setp`, the
/// combining operation (`and`, `or`, `xor`) is not among the modifiers: the caller has taken it out.
///
/// # Errors
/// Why it is not supported, in words for [`LoadErrorKind::UnsupportedInstruction`](crate::LoadErrorKind).
pub(crate) fn select(opcode: &str, modifiers: &[&str]) -> Result<Selected, Reason> {
    let mut form = Form::new(modifiers);
    let selected = by_opcode(opcode, &mut form)?;
    form.finish()?;
    Ok(selected)
}

/// Takes from the form what it understands.
fn by_opcode(opcode: &str, form: &mut Form<'_>) -> Result<Selected, Reason> {
    match opcode {
        "add" => arithmetic::add(form),
        "sub" => arithmetic::sub(form),
        "mul" => arithmetic::mul(form),
        "mad" => arithmetic::mad(form),
        "fma" => arithmetic::fma(form),
        "div" => arithmetic::div(form),
        "abs" => arithmetic::abs(form),
        "neg" => arithmetic::neg(form),
        "min" => arithmetic::min(form),
        "max" => arithmetic::max(form),
        "rem" => integer::rem(form),
        "sad" => integer::sad(form),
        "mul24" => integer::mul24(form),
        "mad24" => integer::mad24(form),
        "dp4a" => integer::dp4a(form),
        "dp2a" => integer::dp2a(form),
        "addc" => carry::addc(form),
        "subc" => carry::subc(form),
        "madc" => carry::madc(form),
        "and" => bits::and(form),
        "or" => bits::or(form),
        "xor" => bits::xor(form),
        "not" => bits::not(form),
        "cnot" => bits::cnot(form),
        "shl" => bits::shl(form),
        "shr" => bits::shr(form),
        "popc" => bits::popc(form),
        "clz" => bits::clz(form),
        "brev" => bits::brev(form),
        "bfind" => bits::bfind(form),
        "bfe" => bits::bfe(form),
        "bfi" => bits::bfi(form),
        "bmsk" => permute::bmsk(form),
        "szext" => permute::szext(form),
        "fns" => permute::fns(form),
        "shf" => permute::shf(form),
        "prmt" => permute::prmt(form),
        "lop3" => permute::lop3(form),
        "setp" => compare::setp(form),
        "set" => compare::set(form),
        "slct" => compare::slct(form),
        "testp" => class::testp(form),
        "copysign" => extreme::copysign(form),
        "sqrt" => root::sqrt(form),
        "rcp" => root::rcp(form),
        "rsqrt" => root::rsqrt(form),
        "sin" => approx::sin(form),
        "cos" => approx::cos(form),
        "lg2" => approx::lg2(form),
        "ex2" => approx::ex2(form),
        "tanh" => approx::tanh(form),
        "cvt" => convert::cvt(form),
        _ => Err("unknown opcode"),
    }
}
