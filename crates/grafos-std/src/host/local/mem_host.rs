//! [`LocalMemHost`]: leases memory of this process.
//!
//! Invariants: all leases together never hold more than the limit; memory is zeroed before it goes back to the
//! allocator; memory that was revoked is gone at once, whoever still has a handle.

use std::collections::HashMap;
use std::fmt;
use std::hint;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, Weak};
use std::time::Duration;

use fabricbios_core::lease::{FenceEpoch, LeaseId, LeaseTiming};
use fabricbios_core::state::LeaseStatus;

use super::volume_dir::new_lease_id;
use crate::error::{FabricError, Result};
use crate::host::{LeaseGrant, LeasedMemory, MemGrant, MemHost, MemRequest, RevokeOutcome};

const LEASABLE: &str = "bytes of leasable memory";

/// The backend for memory of this process. Clones share the limit and the leases.
///
/// ```
/// use grafos_std::host::{LocalMemHost, MemHost, MemRequest};
///
/// let host = LocalMemHost::with_limit_bytes(4096);
/// let grant = host.acquire(&MemRequest { min_bytes: 4096, lease_secs: 60 })?;
/// assert_eq!((host.live_leases(), host.live_bytes()), (1, 4096));
/// drop(grant);
/// assert_eq!((host.live_leases(), host.live_bytes()), (0, 0));
/// # Ok::<(), grafos_std::FabricError>(())
/// ```
#[derive(Clone)]
pub struct LocalMemHost {
    shared: Arc<Shared>,
}

struct Shared {
    limit_bytes: u64,
    live: Mutex<Live>,
}

#[derive(Default)]
struct Live {
    bytes: u64,
    regions: HashMap<LeaseId, Weak<Region>>,
}

impl LocalMemHost {
    /// How much all leases together may hold when nothing else is said: 4 GiB.
    pub const DEFAULT_LIMIT_BYTES: u64 = 4 << 30;

    /// A host whose leases together may hold `limit_bytes`.
    #[must_use]
    pub fn with_limit_bytes(limit_bytes: u64) -> Self {
        Self { shared: Arc::new(Shared { limit_bytes, live: Mutex::default() }) }
    }

    /// How many leases hold memory now.
    #[must_use]
    pub fn live_leases(&self) -> usize {
        self.shared.live().regions.len()
    }

    /// How many bytes they hold.
    #[must_use]
    pub fn live_bytes(&self) -> u64 {
        self.shared.live().bytes
    }
}

impl Default for LocalMemHost {
    fn default() -> Self {
        Self::with_limit_bytes(Self::DEFAULT_LIMIT_BYTES)
    }
}

impl fmt::Debug for LocalMemHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalMemHost")
            .field("limit_bytes", &self.shared.limit_bytes)
            .field("live_leases", &self.live_leases())
            .field("live_bytes", &self.live_bytes())
            .finish()
    }
}

impl MemHost for LocalMemHost {
    fn acquire(&self, request: &MemRequest) -> Result<MemGrant> {
        let lease_id = new_lease_id()?;
        let num_bytes = request.min_bytes;
        // Counted before it is allocated, so that two at a time can't both take the last of it.
        self.shared.take(num_bytes)?;
        let Some(bytes) = zeroed(num_bytes) else {
            self.shared.live().bytes -= num_bytes;
            return Err(FabricError::CapacityExceeded { what: LEASABLE, requested: num_bytes, available: 0 });
        };
        let region = Arc::new(Region { lease_id, num_bytes, bytes: RwLock::new(Some(Zeroing(bytes))) });
        self.shared.live().regions.insert(lease_id, Arc::downgrade(&region));
        let lease = LeaseGrant {
            lease_id,
            // Each region is a resource of its own, and this is its only holder.
            epoch: FenceEpoch(1),
            granted: Duration::from_secs(request.lease_secs),
            timing: LeaseTiming::SAME_CLOCK,
        };
        let memory = HeldRegion { region, shared: Arc::clone(&self.shared) };
        Ok(MemGrant { lease, memory: Box::new(memory) })
    }

    fn revoke(&self, lease_id: LeaseId) -> Result<RevokeOutcome> {
        let region = self.shared.live().regions.get(&lease_id).and_then(Weak::upgrade);
        let taken = region.is_some_and(|region| self.shared.tear_down(&region));
        Ok(if taken { RevokeOutcome::TornDown } else { RevokeOutcome::NotFound })
    }
}

impl Shared {
    fn live(&self) -> MutexGuard<'_, Live> {
        // Each change is one assignment or one call, so a panic elsewhere can't leave half of one.
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, requested: u64) -> Result<()> {
        let mut live = self.live();
        let available = self.limit_bytes.saturating_sub(live.bytes);
        if requested > available {
            return Err(FabricError::CapacityExceeded { what: LEASABLE, requested, available });
        }
        live.bytes += requested;
        Ok(())
    }

    /// Zeroes and frees the memory of a region; `false` if somebody has before.
    fn tear_down(&self, region: &Region) -> bool {
        let Some(bytes) = region.bytes.write().unwrap_or_else(PoisonError::into_inner).take() else {
            return false;
        };
        drop(bytes);
        let mut live = self.live();
        live.regions.remove(&region.lease_id);
        live.bytes -= region.num_bytes;
        true
    }
}

/// Bytes of a lease; `None` once they are gone.
struct Region {
    lease_id: LeaseId,
    num_bytes: u64,
    bytes: RwLock<Option<Zeroing>>,
}

/// Bytes that are zeroed before they are freed.
struct Zeroing(Vec<u8>);

impl Drop for Zeroing {
    fn drop(&mut self) {
        self.0.fill(0);
        // Nobody reads them any more, which is no reason to leave the zeroing out.
        hint::black_box(&mut self.0);
    }
}

/// `None` if there is no memory for so many bytes.
fn zeroed(num_bytes: u64) -> Option<Vec<u8>> {
    let len = usize::try_from(num_bytes).ok()?;
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(len).ok()?;
    bytes.resize(len, 0);
    Some(bytes)
}

struct HeldRegion {
    region: Arc<Region>,
    shared: Arc<Shared>,
}

impl HeldRegion {
    fn revoked(&self) -> FabricError {
        FabricError::Revoked { lease_id: self.region.lease_id }
    }

    /// Where `len` bytes from `offset` lie. The front has checked the range; once more costs nothing.
    fn range(&self, offset: u64, len: usize) -> Result<std::ops::Range<usize>> {
        let end = offset.saturating_add(len as u64);
        let start = usize::try_from(offset).ok().filter(|_| end <= self.region.num_bytes);
        start.map(|start| start..start + len).ok_or(FabricError::CapacityExceeded {
            what: "bytes of leased memory",
            requested: end,
            available: self.region.num_bytes,
        })
    }
}

impl LeasedMemory for HeldRegion {
    fn num_bytes(&self) -> u64 {
        self.region.num_bytes
    }

    fn read(&self, offset: u64, into: &mut [u8]) -> Result<()> {
        let range = self.range(offset, into.len())?;
        let bytes = self.region.bytes.read().unwrap_or_else(PoisonError::into_inner);
        into.copy_from_slice(&bytes.as_ref().ok_or_else(|| self.revoked())?.0[range]);
        Ok(())
    }

    fn write(&self, offset: u64, from: &[u8]) -> Result<()> {
        let range = self.range(offset, from.len())?;
        let mut bytes = self.region.bytes.write().unwrap_or_else(PoisonError::into_inner);
        bytes.as_mut().ok_or_else(|| self.revoked())?.0[range].copy_from_slice(from);
        Ok(())
    }

    fn host_status(&self) -> LeaseStatus {
        let is_there = self.region.bytes.read().unwrap_or_else(PoisonError::into_inner).is_some();
        if is_there { LeaseStatus::Active } else { LeaseStatus::Revoked }
    }

    fn renew(&self, lease_secs: u64) -> Result<Duration> {
        match self.host_status() {
            LeaseStatus::Active => Ok(Duration::from_secs(lease_secs)),
            _ => Err(self.revoked()),
        }
    }
}

impl Drop for HeldRegion {
    fn drop(&mut self) {
        // Nothing is left to do if the memory was revoked.
        let _ = self.shared.tear_down(&self.region);
    }
}

impl fmt::Debug for HeldRegion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HeldRegion")
            .field("lease_id", &self.region.lease_id)
            .field("num_bytes", &self.region.num_bytes)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
