//! What every computing instruction should give, written from the specification and not from the machine: integers by
//! `i128`, floats by `rustc_apfloat`, bits one at a time.

mod bits;
mod compare;
mod convert;
mod float;
mod integer;
mod smooth;

use super::form::Form;

pub(crate) use smooth::as_f64;

/// What one execution should give.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Want {
    /// These bits.
    Bits(u64),
    /// These bits, and in the second result those.
    Two(u64, u64),
    /// A number near this one: off by no more than the larger of both bounds.
    Near { value: f64, relative: f64, absolute: f64 },
}

/// What is expected of a form.
pub(crate) struct Oracle {
    /// The type of each operand; a carry that goes in is one more at the end.
    pub(crate) sources: Vec<String>,
    pub(crate) dest: String,
    /// From the operands' bits.
    #[allow(clippy::type_complexity, reason = "one function of one table")]
    pub(crate) want: Box<dyn Fn(&[u64]) -> Want>,
}

impl Oracle {
    /// None if nobody has written down what the form does.
    pub(crate) fn of(form: &Form) -> Option<Self> {
        integer::oracle(form)
            .or_else(|| bits::oracle(form))
            .or_else(|| compare::oracle(form))
            .or_else(|| convert::oracle(form))
            .or_else(|| smooth::oracle(form))
            .or_else(|| float::oracle(form))
    }

    fn new<S: AsRef<str>>(
        dest: &str,
        sources: &[S],
        want: impl Fn(&[u64]) -> Want + 'static,
    ) -> Option<Self> {
        let sources = sources.iter().map(|ty| ty.as_ref().to_owned()).collect();
        Some(Self { sources, dest: dest.to_owned(), want: Box::new(want) })
    }
}

/// How many bits a type has.
pub(crate) fn bits_of(ty: &str) -> u32 {
    match ty {
        "pred" => 1,
        "tf32" | "carry" | "table" => 32,
        _ if ty.contains("x2") => 32,
        _ => ty.trim_start_matches(char::is_alphabetic).parse().unwrap(),
    }
}

pub(crate) fn mask(ty: &str) -> u64 {
    u64::MAX >> (64 - bits_of(ty))
}

/// The value of an integer.
pub(crate) fn value(ty: &str, bits: u64) -> i128 {
    let bits = bits & mask(ty);
    let sign = 1 << (bits_of(ty) - 1);
    if ty.starts_with('s') { i128::from(bits ^ sign) - i128::from(sign) } else { i128::from(bits) }
}

/// The bits of a value, cut to the type.
pub(crate) fn cut(ty: &str, value: i128) -> u64 {
    value as u64 & mask(ty)
}

/// The smallest and largest value of an integer type.
pub(crate) fn range(ty: &str) -> (i128, i128) {
    let bits = bits_of(ty);
    if ty.starts_with('s') { (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) } else { (0, (1 << bits) - 1) }
}

/// A function of halves applied to both halves of words.
pub(crate) fn by_halves(words: &[u64], f: impl Fn(&[u64]) -> u64) -> u64 {
    let [low, high] = [0, 16].map(|shift| {
        let halves: Vec<u64> = words.iter().map(|word| word >> shift & 0xffff).collect();
        f(&halves) & 0xffff
    });
    high << 16 | low
}
