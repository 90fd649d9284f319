//! [`Form`]: the modifiers of one instruction while they are understood.
//!
//! Strictness comes from one rule: what nobody has taken at the end is refused. So a modifier that is unknown, stands
//! twice, contradicts another or does not go with the type is never silently ignored.

use super::Reason;

const NOT_UNDERSTOOD: Reason = "a modifier that is unknown, repeated, or does not go with the others";
const WRONG_TYPE: Reason = "not for this type, or not with this many types";

/// Names of types that have no [`Type`](crate::types::Type) of their own, beside those that have.
const MORE_TYPES: [&str; 7] = ["u16x2", "s16x2", "tf32", "u2", "s2", "u4", "s4"];

/// How a result that is between two values of its type becomes one of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rounding {
    Nearest,
    Zero,
    Down,
    Up,
}

impl Rounding {
    /// As a parameter of generic functions, and back: see [`Self::of_code`].
    pub(super) const fn code(self) -> u8 {
        self as u8
    }

    pub(super) const fn of_code(code: u8) -> Self {
        match code {
            0 => Self::Nearest,
            1 => Self::Zero,
            2 => Self::Down,
            _ => Self::Up,
        }
    }
}

/// Which part of a product is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Low,
    High,
    Wide,
}

/// The modifiers of an instruction that nobody has taken yet.
#[derive(Debug)]
pub(super) struct Form<'a> {
    types: Vec<&'a str>,
    others: Vec<&'a str>,
}

impl<'a> Form<'a> {
    pub(super) fn new(modifiers: &[&'a str]) -> Self {
        let is_type = |name: &&&str| crate::types::Type::of_name(name).is_some() || MORE_TYPES.contains(name);
        Self {
            types: modifiers.iter().filter(is_type).copied().collect(),
            others: modifiers.iter().filter(|name| !is_type(name)).copied().collect(),
        }
    }

    /// The type of an instruction that has one.
    pub(super) fn one_type(&self) -> Result<&'a str, Reason> {
        match self.types[..] {
            [ty] => Ok(ty),
            _ => Err(WRONG_TYPE),
        }
    }

    /// The types of an instruction that has two, in the order of the text.
    pub(super) fn two_types(&self) -> Result<(&'a str, &'a str), Reason> {
        match self.types[..] {
            [dest, source] => Ok((dest, source)),
            _ => Err(WRONG_TYPE),
        }
    }

    pub(super) fn types(&self) -> &[&'a str] {
        &self.types
    }

    /// The refusal for a type that the instruction does not have.
    pub(super) fn wrong_type<T>() -> Result<T, Reason> {
        Err(WRONG_TYPE)
    }

    /// Whether the modifier stands here. A second one like it stays, and is refused in the end.
    pub(super) fn take(&mut self, name: &str) -> bool {
        let found = self.others.iter().position(|&other| other == name);
        if let Some(index) = found {
            self.others.remove(index);
        }
        found.is_some()
    }

    /// One of several modifiers that exclude each other.
    pub(super) fn take_one<T: Copy>(&mut self, choices: &[(&str, T)]) -> Option<T> {
        choices.iter().find(|(name, _)| self.take(name)).map(|&(_, choice)| choice)
    }

    pub(super) fn rounding(&mut self) -> Option<Rounding> {
        self.take_one(&[
            ("rn", Rounding::Nearest),
            ("rz", Rounding::Zero),
            ("rm", Rounding::Down),
            ("rp", Rounding::Up),
        ])
    }

    pub(super) fn needs_rounding(&mut self) -> Result<Rounding, Reason> {
        self.rounding().ok_or("needs a rounding: .rn, .rz, .rm or .rp")
    }

    pub(super) fn needs_approx(&mut self) -> Result<(), Reason> {
        if self.take("approx") { Ok(()) } else { Err("needs .approx") }
    }

    pub(super) fn low_or_high(&mut self) -> Result<Part, Reason> {
        self.take_one(&[("lo", Part::Low), ("hi", Part::High)]).ok_or("needs .lo or .hi")
    }

    pub(super) fn part(&mut self) -> Result<Part, Reason> {
        self.take_one(&[("wide", Part::Wide)]).map_or_else(|| self.low_or_high(), Ok)
    }

    /// `.clamp` or `.wrap`: true for the former.
    pub(super) fn clamp_or_wrap(&mut self) -> Result<bool, Reason> {
        self.take_one(&[("clamp", true), ("wrap", false)]).ok_or("needs .clamp or .wrap")
    }

    /// `.xorsign.abs`, which go together.
    pub(super) fn take_xorsign(&mut self) -> Result<bool, Reason> {
        let (xorsign, abs) = (self.take("xorsign"), self.take("abs"));
        if xorsign == abs { Ok(xorsign) } else { Err("needs .xorsign and .abs together") }
    }

    /// # Errors
    /// If something is left that nobody has taken.
    pub(super) fn finish(self) -> Result<(), Reason> {
        if self.others.is_empty() { Ok(()) } else { Err(NOT_UNDERSTOOD) }
    }
}
