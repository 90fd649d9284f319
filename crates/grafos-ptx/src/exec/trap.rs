//! [`Trap`]: what a lane did wrong, before the machine has said where.

use crate::compute::Mask;
use crate::error::FaultKind;

use super::registers::first;

/// A fault of a lane.
#[derive(Debug)]
pub(super) struct Trap {
    pub(super) lane: usize,
    pub(super) kind: FaultKind,
}

impl Trap {
    /// The first lane of `lanes` is to blame.
    pub(super) fn new(lanes: Mask, kind: FaultKind) -> Box<Self> {
        Box::new(Self { lane: first(lanes), kind })
    }
}

/// What can trap.
pub(super) type Trapped<T> = Result<T, Box<Trap>>;
