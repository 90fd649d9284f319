//! Collections whose contents survive the program.
//!
//! [`durable::Durable`] keeps a value on a leased block volume: a checkpoint is written all or nothing, whatever
//! moment the power fails, and the next program goes on from it.

pub mod durable;

/// The example of the README compiles.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
