//! What every host says when it grants or takes a lease.

use std::time::Duration;

use fabricbios_core::lease::{FenceEpoch, LeaseId, LeaseTiming};

/// What a host grants, whatever the resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseGrant {
    /// Names this grant; never reused.
    pub lease_id: LeaseId,
    /// Higher than that of every earlier grant of the same resource.
    pub epoch: FenceEpoch,
    /// How long, from when the host was asked. May be less than what was asked for.
    pub granted: Duration,
    /// How far the host's clock may be off from ours.
    pub timing: LeaseTiming,
}

/// What became of a lease that the host was told to take away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RevokeOutcome {
    /// Its handles fail closed from now on.
    TornDown,
    /// Its holder could not be cut off: the resource stays closed until an operator has looked.
    Fenced,
    /// The host knows of no such active lease.
    NotFound,
}
