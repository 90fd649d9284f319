//! [`BrokenGpuHost`]: a GPU host that breaks one rule of the contract, of a caller's choosing.

mod session;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fabricbios_core::clock::{Clock, ManualClock};
use fabricbios_core::lease::{FenceEpoch, LeaseId};
use fabricbios_core::state::LeaseStatus;
use grafos_std::gpu::{GpuDeviceInfo, GpuExclusivityClass, GpuFault};
use grafos_std::host::testing::TestedGpuHost;
use grafos_std::host::{
    DevicePtr, DeviceSession, GpuGrant, GpuHost, GpuRequest, GpuUsage, LeasedGpu, LocalGpuHost, RevokeOutcome,
};
use grafos_std::{FabricError, Result};
use session::BrokenSession;

/// What the host does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flaw {
    Nothing,
    // Memory.
    NewMemoryHoldsGarbage,
    OldBytesShine,
    WritesLoseTheirLastByte,
    AllocationsAreNotAligned,
    SessionsOfALeaseAreOne,
    ServesOneThreadOnly,
    LendsMoreThanItSays,
    FreesNothing,
    FreeFails,
    // Copies and order.
    CopiesVanish,
    CopiesComeLate,
    StagingBuffersAreTooLong,
    CopiesWaitForKernels,
    HasNoStreams,
    IgnoresEvents,
    SyncWaitsForNothing,
    EventsHappenAtOnce,
    // Launches and modules.
    LosesABlock,
    LosesTheLastArgument,
    OverlooksAParameter,
    KnowsNoLimits,
    ForgetsSharedMemory,
    CountsNoLaunches,
    LoadsAnything,
    FindsAnyKernel,
    LoadsAModuleOnce,
    // Grants.
    LetsEverybodyIn,
    SharesByDefault,
    PromisesTheImpossible,
    GrantsTooLittle,
    AnyDeviceWillDo,
    EpochsRepeat,
    LeaseIdsRepeat,
    GrantsTenTimesTheTime,
    RenewsForNoTime,
    // Ends.
    SessionsAreNeverClosed,
    LeasesAreNeverEnded,
    NeverLooksAtTheClock,
    IgnoresRevocation,
    RevokesWhatIsNotThere,
    // Faults.
    ForgetsFaults,
    FaultsSpread,
    FailedSessionsStay,
    MistakesAreFatal,
}

#[derive(Debug)]
struct BrokenGpuHost {
    flaw: Flaw,
    inner: LocalGpuHost,
    memory: Arc<Mutex<Memory>>,
}

/// What it has to remember to do wrong.
#[derive(Debug, Default)]
struct Memory {
    last_byte: Option<u8>,
    /// The first allocation of each size.
    by_size: HashMap<u64, DevicePtr>,
    fault: Option<GpuFault>,
}

pub(crate) fn tested(flaw: Flaw) -> TestedGpuHost {
    let clock = Arc::new(ManualClock::default());
    let host_clock: Arc<dyn Clock> =
        if flaw == Flaw::NeverLooksAtTheClock { Arc::new(ManualClock::default()) } else { clock.clone() };
    let inner = LocalGpuHost::builder().clock(host_clock).build().unwrap();
    TestedGpuHost { host: Arc::new(BrokenGpuHost { flaw, inner, memory: Arc::default() }), clock }
}

impl GpuHost for BrokenGpuHost {
    fn devices(&self) -> Result<Vec<GpuDeviceInfo>> {
        self.inner.devices()
    }

    fn acquire(&self, request: &GpuRequest) -> Result<GpuGrant> {
        let mut asked = *request;
        match self.flaw {
            Flaw::LetsEverybodyIn => asked.exclusivity = Some(GpuExclusivityClass::Shared),
            Flaw::SharesByDefault => {
                asked.exclusivity = asked.exclusivity.or(Some(GpuExclusivityClass::Shared));
            }
            Flaw::LendsMoreThanItSays => asked.min_vram_bytes = asked.min_vram_bytes.saturating_mul(2),
            Flaw::AnyDeviceWillDo => asked.device = None,
            _ => {}
        }
        let grant = match self.inner.acquire(&asked) {
            Err(FabricError::CapacityExceeded { .. }) if self.flaw == Flaw::PromisesTheImpossible => {
                self.inner.acquire(&GpuRequest { min_vram_bytes: 1, ..asked })
            }
            other => other,
        };
        let mut grant = grant?;
        match self.flaw {
            Flaw::LetsEverybodyIn => grant.exclusivity = request.exclusivity.unwrap_or(grant.exclusivity),
            Flaw::LendsMoreThanItSays | Flaw::PromisesTheImpossible => {
                grant.vram_bytes = request.min_vram_bytes;
            }
            Flaw::GrantsTooLittle => grant.vram_bytes = request.min_vram_bytes / 2,
            Flaw::EpochsRepeat => grant.lease.epoch = FenceEpoch(1),
            Flaw::LeaseIdsRepeat => grant.lease.lease_id = LeaseId(7),
            Flaw::GrantsTenTimesTheTime => grant.lease.granted *= 10,
            _ => {}
        }
        let (flaw, memory) = (self.flaw, Arc::clone(&self.memory));
        let gpu = BrokenGpu { flaw, inner: Some(grant.gpu), memory, first: Mutex::default() };
        Ok(GpuGrant { gpu: Box::new(gpu), ..grant })
    }

    fn revoke(&self, lease_id: LeaseId) -> Result<RevokeOutcome> {
        match self.flaw {
            Flaw::IgnoresRevocation => Ok(RevokeOutcome::TornDown),
            Flaw::RevokesWhatIsNotThere => self.inner.revoke(lease_id).map(|_| RevokeOutcome::TornDown),
            _ => self.inner.revoke(lease_id),
        }
    }

    fn usage(&self) -> Result<GpuUsage> {
        let usage = self.inner.usage()?;
        Ok(if self.flaw == Flaw::CountsNoLaunches { GpuUsage { launches: 0, ..usage } } else { usage })
    }
}

#[derive(Debug)]
struct BrokenGpu {
    flaw: Flaw,
    /// `None` only while it is dropped.
    inner: Option<Box<dyn LeasedGpu>>,
    memory: Arc<Mutex<Memory>>,
    first: Mutex<Option<Arc<dyn DeviceSession>>>,
}

impl BrokenGpu {
    fn inner(&self) -> &dyn LeasedGpu {
        self.inner.as_deref().unwrap()
    }
}

impl LeasedGpu for BrokenGpu {
    fn open_session(&self) -> Result<Arc<dyn DeviceSession>> {
        let mut first = lock(&self.first);
        if let (Flaw::SessionsOfALeaseAreOne, Some(first)) = (self.flaw, &*first) {
            return Ok(Arc::clone(first));
        }
        let inner = self.inner().open_session()?;
        let session: Arc<dyn DeviceSession> =
            Arc::new(BrokenSession::new(self.flaw, inner, Arc::clone(&self.memory)));
        if self.flaw == Flaw::SessionsOfALeaseAreOne {
            *first = Some(Arc::clone(&session));
        }
        Ok(session)
    }

    fn host_status(&self) -> LeaseStatus {
        self.inner().host_status()
    }

    fn renew(&self, lease_secs: u64) -> Result<Duration> {
        if self.flaw == Flaw::RenewsForNoTime { Ok(Duration::ZERO) } else { self.inner().renew(lease_secs) }
    }
}

impl Drop for BrokenGpu {
    fn drop(&mut self) {
        if self.flaw == Flaw::LeasesAreNeverEnded {
            std::mem::forget(self.inner.take());
        }
    }
}

/// A panic of one check must not become another one here.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
