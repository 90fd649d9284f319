//! `testp`: to which class of numbers a float belongs.

use std::num::FpCategory;

use super::compare::mask;
use super::form::Form;
use super::{Reason, Selected};
use crate::compute::Compute;
use crate::types::Type;

/// Tests by class, of each type.
macro_rules! test_class {
    ($shape:ident, $float:ty, $ty:ident; $class:expr) => {
        Selected {
            compute: Compute::$shape(|a| mask(|lane| $class(<$float>::from_bits(a[lane]).classify()))),
            dest: Type::Pred,
            sources: vec![Type::$ty],
        }
    };
}

macro_rules! testp_of {
    ($shape:ident, $float:ty, $ty:ident, $form:expr) => {
        if $form.take("finite") {
            test_class!($shape, $float, $ty; |class| !matches!(class, FpCategory::Nan | FpCategory::Infinite))
        } else if $form.take("infinite") {
            test_class!($shape, $float, $ty; |class| class == FpCategory::Infinite)
        } else if $form.take("number") {
            test_class!($shape, $float, $ty; |class| class != FpCategory::Nan)
        } else if $form.take("notanumber") {
            test_class!($shape, $float, $ty; |class| class == FpCategory::Nan)
        } else if $form.take("normal") {
            test_class!($shape, $float, $ty; |class| class == FpCategory::Normal)
        } else if $form.take("subnormal") {
            test_class!($shape, $float, $ty; |class| class == FpCategory::Subnormal)
        } else {
            return Err("needs a class of numbers");
        }
    };
}

pub(super) fn testp(form: &mut Form<'_>) -> Result<Selected, Reason> {
    Ok(match form.one_type()? {
        "f32" => testp_of!(Test32, f32, F32, form),
        "f64" => testp_of!(Test64, f64, F64, form),
        _ => return Form::wrong_type(),
    })
}
