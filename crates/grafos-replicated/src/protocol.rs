//! The protocol: what to read, to upload and to commit next, and what an answer means. Pure: no clock, no I/O, no
//! randomness of its own. A driver does what it says; the simulation drives the very same code.
//!
//! - [`change`]: one change of a record, from its first read to a certain outcome, also when a commit's answer is lost.
//! - [`checkpoint`]: what saving and taking over do to a register.
//! - [`effect`]: what reserving, completing and abandoning do to the record of an effect.
//! - [`replica_change`]: how a checkpoint moves to another replica set.
//! - [`step`]: a save and the effect of its step as one.

pub mod change;
pub mod checkpoint;
pub mod effect;
pub mod replica_change;
pub mod step;
