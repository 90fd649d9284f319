//! [`BrokenMemHost`]: a memory host that breaks one rule of the contract, of a caller's choosing.

use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::{self, ThreadId};
use std::time::Duration;

use fabricbios_core::clock::ManualClock;
use fabricbios_core::lease::LeaseId;
use fabricbios_core::state::LeaseStatus;
use grafos_std::host::testing::TestedMemHost;
use grafos_std::host::{LeasedMemory, LocalMemHost, MemGrant, MemHost, MemRequest, RevokeOutcome};
use grafos_std::{FabricError, Result};

const CAPACITY_BYTES: u64 = 1 << 20;

/// What the host does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flaw {
    Nothing,
    NewMemoryHoldsGarbage,
    OldBytesShine,
    WritesVanish,
    ServesOneThreadOnly,
    AllLeasesReadTheNewest,
    CountsOneByteTooMany,
    GrantsTooLittle,
    LeaseIdsRepeat,
    PromisesTheImpossible,
    NothingIsFreed,
    RevokedMemoryStaysTaken,
    GrantsTenTimesTheTime,
    RenewsForNoTime,
    IgnoresRevocation,
    KeepsRevokedContents,
    RevokesWhatIsNotThere,
}

#[derive(Debug)]
struct BrokenMemHost {
    flaw: Flaw,
    inner: LocalMemHost,
    memory: Arc<Mutex<Memory>>,
}

/// What it has to remember to do wrong.
#[derive(Debug, Default)]
struct Memory {
    last_contents: Vec<u8>,
    newest: Option<Arc<dyn LeasedMemory>>,
    newest_bytes: Option<u64>,
}

pub(crate) fn tested(flaw: Flaw) -> TestedMemHost {
    let inner = LocalMemHost::with_limit_bytes(CAPACITY_BYTES);
    TestedMemHost {
        host: Arc::new(BrokenMemHost { flaw, inner, memory: Arc::default() }),
        clock: Arc::new(ManualClock::default()),
        capacity_bytes: CAPACITY_BYTES,
    }
}

impl MemHost for BrokenMemHost {
    fn acquire(&self, request: &MemRequest) -> Result<MemGrant> {
        let grant = match self.inner.acquire(request) {
            Err(FabricError::CapacityExceeded { .. }) if self.flaw == Flaw::PromisesTheImpossible => {
                self.inner.acquire(&MemRequest { min_bytes: 1, ..*request })
            }
            other => other,
        };
        let MemGrant { mut lease, memory } = grant?;
        let inner: Arc<dyn LeasedMemory> = Arc::from(memory);
        let bytes = inner.num_bytes();
        let mut num_bytes = bytes;
        self.memory().newest_bytes = Some(bytes);
        match self.flaw {
            Flaw::NewMemoryHoldsGarbage => inner.write(0, &vec![0xEE; usize::try_from(bytes).unwrap()])?,
            Flaw::OldBytesShine => {
                let old = mem::take(&mut self.memory().last_contents);
                let len = old.len().min(usize::try_from(bytes).unwrap());
                inner.write(0, &old[..len])?;
            }
            Flaw::AllLeasesReadTheNewest => self.memory().newest = Some(Arc::clone(&inner)),
            Flaw::CountsOneByteTooMany => num_bytes += 1,
            Flaw::GrantsTooLittle => num_bytes = (bytes - 1).max(1),
            Flaw::LeaseIdsRepeat => lease.lease_id = LeaseId(7),
            Flaw::GrantsTenTimesTheTime => lease.granted *= 10,
            _ => {}
        }
        let memory = BrokenMemory {
            flaw: self.flaw,
            inner: Some(inner),
            num_bytes,
            host_memory: Arc::clone(&self.memory),
            shadow: Mutex::new(vec![0; usize::try_from(num_bytes).unwrap()]),
            first_thread: OnceLock::new(),
        };
        Ok(MemGrant { lease, memory: Box::new(memory) })
    }

    fn revoke(&self, lease_id: LeaseId) -> Result<RevokeOutcome> {
        let outcome = self.inner.revoke(lease_id)?;
        if let (Flaw::RevokedMemoryStaysTaken, Some(bytes)) = (self.flaw, self.memory().newest_bytes) {
            let taken = self.inner.acquire(&MemRequest { min_bytes: bytes, lease_secs: 60 })?;
            mem::forget(taken.memory);
        }
        if self.flaw == Flaw::RevokesWhatIsNotThere { Ok(RevokeOutcome::TornDown) } else { Ok(outcome) }
    }
}

impl BrokenMemHost {
    fn memory(&self) -> MutexGuard<'_, Memory> {
        lock(&self.memory)
    }
}

#[derive(Debug)]
struct BrokenMemory {
    flaw: Flaw,
    /// `None` only while it is dropped.
    inner: Option<Arc<dyn LeasedMemory>>,
    num_bytes: u64,
    host_memory: Arc<Mutex<Memory>>,
    /// Everything that was written, kept past all ends.
    shadow: Mutex<Vec<u8>>,
    first_thread: OnceLock<ThreadId>,
}

impl BrokenMemory {
    fn inner(&self) -> &dyn LeasedMemory {
        self.inner.as_deref().unwrap()
    }

    fn check_thread(&self) -> Result<()> {
        let thread = thread::current().id();
        if self.flaw == Flaw::ServesOneThreadOnly && *self.first_thread.get_or_init(|| thread) != thread {
            return Err(FabricError::Unsupported { what: "a second thread" });
        }
        Ok(())
    }
}

impl LeasedMemory for BrokenMemory {
    fn num_bytes(&self) -> u64 {
        self.num_bytes
    }

    fn read(&self, offset: u64, into: &mut [u8]) -> Result<()> {
        self.check_thread()?;
        if self.flaw == Flaw::AllLeasesReadTheNewest {
            let newest = lock(&self.host_memory).newest.clone();
            return newest.unwrap().read(offset, into);
        }
        let read = self.inner().read(offset, into);
        match (self.flaw, self.inner().host_status()) {
            (Flaw::KeepsRevokedContents, LeaseStatus::Revoked) => {
                let start = usize::try_from(offset).unwrap();
                into.copy_from_slice(&lock(&self.shadow)[start..start + into.len()]);
                Ok(())
            }
            (Flaw::IgnoresRevocation, LeaseStatus::Revoked) => {
                into.fill(0);
                Ok(())
            }
            _ => read,
        }
    }

    fn write(&self, offset: u64, from: &[u8]) -> Result<()> {
        self.check_thread()?;
        let start = usize::try_from(offset).unwrap();
        lock(&self.shadow)[start..start + from.len()].copy_from_slice(from);
        match (self.flaw, self.inner().host_status()) {
            (Flaw::WritesVanish, _) | (Flaw::IgnoresRevocation, LeaseStatus::Revoked) => Ok(()),
            _ => self.inner().write(offset, from),
        }
    }

    fn host_status(&self) -> LeaseStatus {
        if self.flaw == Flaw::IgnoresRevocation { LeaseStatus::Active } else { self.inner().host_status() }
    }

    fn renew(&self, lease_secs: u64) -> Result<Duration> {
        if self.flaw == Flaw::RenewsForNoTime { Ok(Duration::ZERO) } else { self.inner().renew(lease_secs) }
    }
}

impl Drop for BrokenMemory {
    fn drop(&mut self) {
        lock(&self.host_memory).last_contents = lock(&self.shadow).clone();
        if self.flaw == Flaw::NothingIsFreed {
            mem::forget(self.inner.take());
        }
    }
}

/// A panic of one check must not become another one here.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
