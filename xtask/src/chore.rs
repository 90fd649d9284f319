//! The verbs that only call other programs: one file each.

pub(crate) mod bench;
pub(crate) mod fix;
pub(crate) mod preempt;
pub(crate) mod sim;
pub(crate) mod torture;
pub(crate) mod verify;
