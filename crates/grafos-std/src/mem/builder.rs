//! [`MemBuilder`]: how a program asks for memory.

use std::sync::Arc;

use super::MemLease;
use crate::block::at_least_one;
use crate::error::Result;
use crate::host::{Host, MemRequest};

/// Asks for a lease on memory.
#[derive(Clone, Debug)]
#[must_use = "nothing is leased before `acquire`"]
pub struct MemBuilder {
    host: Option<Host>,
    min_bytes: u64,
    lease_secs: u64,
}

impl MemBuilder {
    /// How long a lease is when nothing else is asked for: a day, in seconds.
    pub const DEFAULT_LEASE_SECS: u64 = 24 * 60 * 60;

    /// One byte at least, for a day, from the ambient host.
    pub fn new() -> Self {
        Self { host: None, min_bytes: 1, lease_secs: Self::DEFAULT_LEASE_SECS }
    }

    /// Asks this host and not the ambient one.
    pub fn on(mut self, host: &Host) -> Self {
        self.host = Some(host.clone());
        self
    }

    /// How many bytes at least.
    pub fn min_bytes(mut self, bytes: u64) -> Self {
        self.min_bytes = bytes;
        self
    }

    /// For how long, in seconds.
    pub fn lease_secs(mut self, secs: u64) -> Self {
        self.lease_secs = secs;
        self
    }

    /// Takes the lease. The memory reads as zeros.
    ///
    /// # Errors
    /// [`CapacityExceeded`](crate::FabricError::CapacityExceeded);
    /// [`InvalidRequest`](crate::FabricError::InvalidRequest) for no bytes or no time; those of
    /// [`MemHost::acquire`](crate::host::MemHost::acquire).
    pub fn acquire(self) -> Result<MemLease> {
        at_least_one("min_bytes", self.min_bytes)?;
        at_least_one("lease_secs", self.lease_secs)?;
        let host = self.host.map_or_else(Host::current, Ok)?;
        let request = MemRequest { min_bytes: self.min_bytes, lease_secs: self.lease_secs };
        let requested_at = host.clock().now();
        let grant = host.mem_host().acquire(&request)?;
        Ok(MemLease::new(grant, self.lease_secs, requested_at, Arc::clone(host.clock())))
    }
}

impl Default for MemBuilder {
    fn default() -> Self {
        Self::new()
    }
}
