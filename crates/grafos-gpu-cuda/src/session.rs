//! [`Session`]: a context of its own on a device, and everything in it.
//!
//! One lock guards all that the driver is asked to do in the context, and nothing waits for the device under it: what
//! waits asks again and again whether it is done, with the lease looked at in between, so that the end of a lease ends
//! every wait.
//!
//! Invariants:
//! - nothing is asked of the driver for a session whose lease has ended, that was closed, or that has failed, but its
//!   teardown;
//! - host memory under a copy belongs to the session until the copy is done or the context destroyed;
//! - the context is destroyed exactly once, when nothing runs in it, or it is counted as lost.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use grafos_std::error::{FabricError, Result};
use grafos_std::gpu::{GpuError, GpuFault};
use grafos_std::host::GpuUsage;

use crate::code::CudaError;
use crate::driver::{Bound, Context};
use crate::lease::Lease;

mod device_session;
mod memory;
mod modules;
mod objects;
mod order;
mod shutting;
mod staging;
mod transfer;

pub(crate) use device_session::CudaSession;
use objects::Objects;

/// A session.
pub(crate) struct Session {
    number: u64,
    lease: Arc<Lease>,
    stage: Mutex<Stage>,
    /// Told when the stage changes and when waiting is over for another reason.
    changed: Condvar,
    /// The first fault, which every later operation answers.
    fault: OnceLock<GpuFault>,
    /// From the moment on that somebody wants it closed.
    is_closing: AtomicBool,
}

/// Where the life of a session stands.
enum Stage {
    Open(Box<Live>),
    /// Somebody tears it down, or waits for a kernel to do so; what was in it when that began.
    ShuttingDown {
        left: GpuUsage,
        is_waiting: bool,
    },
    /// Nothing is left, or what is left is out of reach.
    Gone {
        is_lost: bool,
    },
}

/// A context and what is in it.
struct Live {
    context: Context,
    objects: Objects,
}

/// Why an operation of a session did not succeed.
enum Trouble {
    /// The driver said so: the session has failed.
    Driver(CudaError),
    /// Another reason: the session goes on.
    Other(FabricError),
}

impl From<CudaError> for Trouble {
    fn from(error: CudaError) -> Self {
        Self::Driver(error)
    }
}

impl From<FabricError> for Trouble {
    fn from(error: FabricError) -> Self {
        Self::Other(error)
    }
}

impl From<GpuError> for Trouble {
    fn from(error: GpuError) -> Self {
        Self::Other(error.into())
    }
}

impl Session {
    /// Makes a context with nothing in it. The book of the device has let it in.
    pub(crate) fn open(number: u64, lease: Arc<Lease>) -> Result<Arc<Self>, CudaError> {
        let driver = lease.host.driver;
        let context = driver.create_context(lease.device.raw)?;
        let objects = driver.bind(&context).and_then(|bound| Objects::new(&bound));
        let objects = match objects {
            Ok(objects) => objects,
            Err(error) => {
                if let Err(error) = driver.destroy_context(context) {
                    lease.host.lost_contexts.fetch_add(1, Ordering::SeqCst);
                    tracing::error!(%error, "a context that was of no use could not be destroyed");
                }
                return Err(error);
            }
        };
        Ok(Arc::new(Self {
            number,
            lease,
            stage: Mutex::new(Stage::Open(Box::new(Live { context, objects }))),
            changed: Condvar::new(),
            fault: OnceLock::new(),
            is_closing: AtomicBool::new(false),
        }))
    }

    /// Does `work` in the context, if session and lease are as they should be.
    fn with<T>(&self, work: impl FnOnce(&mut Objects, &Bound<'_>) -> Result<T, Trouble>) -> Result<T> {
        self.check()?;
        let mut stage = self.stage();
        let Stage::Open(live) = &mut *stage else {
            drop(stage);
            self.check()?;
            return Err(GpuError::SessionClosed.into());
        };
        let Live { context, objects } = live.as_mut();
        let done = match self.lease.host.driver.bind(context) {
            Ok(bound) => work(objects, &bound),
            Err(error) => Err(error.into()),
        };
        let trouble = match done {
            Ok(value) => return Ok(value),
            Err(Trouble::Other(error)) => return Err(error),
            Err(Trouble::Driver(error)) => error.fault(objects.suspects()),
        };
        drop(stage);
        Err(self.failed(trouble))
    }

    /// Waits until `is_done`, or until there is a reason to wait no longer.
    fn wait_until(
        &self,
        mut is_done: impl FnMut(&mut Objects, &Bound<'_>) -> Result<bool, Trouble>,
    ) -> Result<()> {
        let mut pause = Pause::default();
        while !self.with(&mut is_done)? {
            self.pause(&mut pause);
        }
        Ok(())
    }

    /// Lets a little time pass, less than it takes to notice; the end of the session cuts it short.
    fn pause(&self, pause: &mut Pause) {
        match pause.next() {
            None => std::thread::yield_now(),
            Some(length) => {
                let stage = self.stage();
                if !self.is_closing.load(Ordering::SeqCst) {
                    drop(self.changed.wait_timeout(stage, length).unwrap_or_else(PoisonError::into_inner));
                }
            }
        }
    }

    /// Lets a little time pass, whatever happens meanwhile.
    fn rest(pause: &mut Pause) {
        match pause.next() {
            None => std::thread::yield_now(),
            Some(length) => std::thread::park_timeout(length),
        }
    }

    /// Refuses once lease or session have ended.
    fn check(&self) -> Result<()> {
        self.lease.term.check()?;
        if let Some(fault) = self.fault.get() {
            return Err(fault.clone().into());
        }
        if self.is_closing.load(Ordering::SeqCst) {
            return Err(GpuError::SessionClosed.into());
        }
        Ok(())
    }

    /// Remembers the first fault and answers it.
    fn failed(&self, fault: GpuFault) -> FabricError {
        let lease_id = self.lease.term.lease_id;
        let first = self.fault.get_or_init(|| {
            tracing::warn!(%lease_id, session = self.number, %fault, "a CUDA session has failed");
            fault
        });
        first.clone().into()
    }

    /// Adds what is alive in here.
    pub(crate) fn count_in(&self, usage: &mut GpuUsage) {
        let found = match &*self.stage() {
            Stage::Open(live) => live.objects.usage(),
            Stage::ShuttingDown { left, .. } => *left,
            Stage::Gone { .. } => return,
        };
        usage.sessions += 1;
        usage.modules += found.modules;
        usage.allocations += found.allocations;
        usage.bytes += found.bytes;
        usage.streams += found.streams;
        usage.events += found.events;
    }

    fn stage(&self) -> MutexGuard<'_, Stage> {
        // A panic under the lock would be one of ours between two calls of the driver, each of which is whole.
        self.stage.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("number", &self.number)
            .field("lease_id", &self.lease.term.lease_id)
            .field("fault", &self.fault.get())
            .finish_non_exhaustive()
    }
}

/// How long to wait before asking again: not at all at first, since most waits are short, then longer and longer.
#[derive(Default)]
struct Pause {
    times: u32,
}

impl Pause {
    /// How often to ask without a pause.
    const SPINS: u32 = 64;
    /// The longest pause: what the end of a lease or of a kernel is noticed late at most.
    const LONGEST: Duration = Duration::from_micros(500);

    fn next(&mut self) -> Option<Duration> {
        self.times = self.times.saturating_add(1);
        let doublings = self.times.checked_sub(Self::SPINS)?;
        let length = Duration::from_micros(10).saturating_mul(1 << doublings.min(6));
        Some(length.min(Self::LONGEST))
    }
}
