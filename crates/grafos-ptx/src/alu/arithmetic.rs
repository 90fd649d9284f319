//! Opcodes that exist for integers and for floats: which of the two is meant.

use super::form::Form;
use super::{Reason, Selected, carry, extreme, float, half_arithmetic, integer};

/// What the operands are, by the type that the instruction names.
enum Kind {
    Integer,
    Float,
    Half,
}

fn kind(form: &Form<'_>) -> Result<Kind, Reason> {
    Ok(match form.one_type()? {
        "f32" | "f64" => Kind::Float,
        "f16" | "f16x2" | "bf16" | "bf16x2" => Kind::Half,
        _ => Kind::Integer,
    })
}

pub(super) fn add(form: &mut Form<'_>) -> Result<Selected, Reason> {
    match kind(form)? {
        Kind::Integer if form.take("cc") => carry::add_cc(form),
        Kind::Integer => integer::add(form),
        Kind::Float => float::add(form),
        Kind::Half => half_arithmetic::add(form),
    }
}

pub(super) fn sub(form: &mut Form<'_>) -> Result<Selected, Reason> {
    match kind(form)? {
        Kind::Integer if form.take("cc") => carry::sub_cc(form),
        Kind::Integer => integer::sub(form),
        Kind::Float => float::sub(form),
        Kind::Half => half_arithmetic::sub(form),
    }
}

pub(super) fn mul(form: &mut Form<'_>) -> Result<Selected, Reason> {
    match kind(form)? {
        Kind::Integer => integer::mul(form),
        Kind::Float => float::mul(form),
        Kind::Half => half_arithmetic::mul(form),
    }
}

/// On floats, `mad` is `fma` by another name.
pub(super) fn mad(form: &mut Form<'_>) -> Result<Selected, Reason> {
    match kind(form)? {
        Kind::Integer if form.take("cc") => carry::mad_cc(form),
        Kind::Integer => integer::mad(form),
        Kind::Float => float::fma(form),
        Kind::Half => Form::wrong_type(),
    }
}

pub(super) fn fma(form: &mut Form<'_>) -> Result<Selected, Reason> {
    match kind(form)? {
        Kind::Integer => Form::wrong_type(),
        Kind::Float => float::fma(form),
        Kind::Half => half_arithmetic::fma(form),
    }
}

pub(super) fn div(form: &mut Form<'_>) -> Result<Selected, Reason> {
    match kind(form)? {
        Kind::Integer => integer::div(form),
        Kind::Float => float::div(form),
        Kind::Half => Form::wrong_type(),
    }
}

pub(super) fn abs(form: &mut Form<'_>) -> Result<Selected, Reason> {
    match kind(form)? {
        Kind::Integer => integer::abs(form),
        Kind::Float => extreme::abs(form),
        Kind::Half => half_arithmetic::abs(form),
    }
}

pub(super) fn neg(form: &mut Form<'_>) -> Result<Selected, Reason> {
    match kind(form)? {
        Kind::Integer => integer::neg(form),
        Kind::Float => extreme::neg(form),
        Kind::Half => half_arithmetic::neg(form),
    }
}

pub(super) fn min(form: &mut Form<'_>) -> Result<Selected, Reason> {
    match kind(form)? {
        Kind::Integer => integer::min(form),
        Kind::Float => extreme::min(form),
        Kind::Half => half_arithmetic::min(form),
    }
}

pub(super) fn max(form: &mut Form<'_>) -> Result<Selected, Reason> {
    match kind(form)? {
        Kind::Integer => integer::max(form),
        Kind::Float => extreme::max(form),
        Kind::Half => half_arithmetic::max(form),
    }
}
