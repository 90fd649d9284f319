//! [`Lease`]: a lease of a device, with its sessions; [`CudaLease`], the same in the hands of its holder.
//!
//! Invariants: no session opens after the end; the end shuts every session; the lease is struck out of the device's
//! book when the last one is gone.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fabricbios_core::state::LeaseStatus;
use grafos_std::error::{FabricError, Result};
use grafos_std::gpu::{GpuError, UnavailableReason};
use grafos_std::host::{DeviceSession, GpuUsage, LeasedGpu};

use crate::code::{Class, CudaError};
use crate::device::{DEVICE_MEMORY, Device};
use crate::host::Shared;
use crate::session::{CudaSession, Session};
use crate::term::Term;

/// A lease.
pub(crate) struct Lease {
    pub(crate) term: Term,
    pub(crate) device: Arc<Device>,
    pub(crate) vram_bytes: u64,
    pub(crate) host: Arc<Shared>,
    sessions: Mutex<Sessions>,
}

#[derive(Default)]
struct Sessions {
    last_number: u64,
    open: HashMap<u64, Arc<Session>>,
    /// Device memory of all sessions together.
    used_bytes: u64,
}

impl Lease {
    pub(crate) fn new(term: Term, device: Arc<Device>, vram_bytes: u64, host: Arc<Shared>) -> Self {
        Self { term, device, vram_bytes, host, sessions: Mutex::default() }
    }

    fn open_session(self: &Arc<Self>) -> Result<Arc<Session>> {
        self.term.check()?;
        let index = self.device.info.index;
        self.device.book().open_session(self.term.lease_id).map_err(|refused| refused.on_device(index))?;
        let number = {
            let mut sessions = self.sessions();
            sessions.last_number += 1;
            sessions.last_number
        };
        let session = match Session::open(number, Arc::clone(self)) {
            Ok(session) => session,
            Err(error) => {
                self.device.book().session_gone(self.term.lease_id, 0);
                return Err(not_opened(error));
            }
        };
        self.sessions().open.insert(number, Arc::clone(&session));
        // The end came in between, and did not see this session.
        if let Err(error) = self.term.check() {
            session.shut();
            return Err(error);
        }
        Ok(session)
    }

    /// A session is gone; `lost_bytes` are what it could not give back.
    pub(crate) fn session_gone(&self, number: u64, lost_bytes: u64) {
        if self.sessions().open.remove(&number).is_some() {
            self.device.book().session_gone(self.term.lease_id, lost_bytes);
            self.host.forget_if_gone(self);
        }
    }

    /// Takes device memory out of what the lease may use, if there is enough, and keeps it if `alloc` succeeds.
    pub(crate) fn take<T>(&self, bytes: u64, alloc: impl FnOnce() -> Result<T>) -> Result<T> {
        {
            let mut sessions = self.sessions();
            let available = self.vram_bytes.saturating_sub(sessions.used_bytes);
            if bytes > available {
                return Err(FabricError::CapacityExceeded {
                    what: DEVICE_MEMORY,
                    requested: bytes,
                    available,
                });
            }
            sessions.used_bytes += bytes;
        }
        alloc().inspect_err(|_| self.give_back(bytes))
    }

    /// Puts device memory back.
    pub(crate) fn give_back(&self, bytes: u64) {
        let mut sessions = self.sessions();
        sessions.used_bytes = sessions.used_bytes.saturating_sub(bytes);
    }

    /// Ends the lease, if it has not ended, and shuts its sessions; whether everything could be torn down.
    pub(crate) fn end(&self, status: LeaseStatus) -> bool {
        self.term.end(status);
        self.tear_down()
    }

    /// Shuts the sessions of a lease that has ended.
    pub(crate) fn tear_down(&self) -> bool {
        let open: Vec<Arc<Session>> = self.sessions().open.values().cloned().collect();
        // Every one of them, whatever became of those before.
        let lost = open.iter().filter(|session| !session.shut()).count();
        self.device.book().lease_over(self.term.lease_id);
        self.host.forget_if_gone(self);
        lost == 0
    }

    /// Whether it has ended and nothing of it is left.
    pub(crate) fn is_gone(&self) -> bool {
        self.term.status() != LeaseStatus::Active && self.sessions().open.is_empty()
    }

    /// Adds what is alive in here.
    pub(crate) fn count_in(&self, usage: &mut GpuUsage) {
        if self.term.status() == LeaseStatus::Active {
            usage.leases += 1;
        }
        let open: Vec<Arc<Session>> = self.sessions().open.values().cloned().collect();
        for session in open {
            session.count_in(usage);
        }
    }

    fn sessions(&self) -> MutexGuard<'_, Sessions> {
        // Each change is one insertion, removal or sum.
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why a context could not be made.
fn not_opened(error: CudaError) -> FabricError {
    let unavailable = |reason| GpuError::Unavailable { reason, message: error.to_string() }.into();
    match error.class() {
        Class::OutOfMemory => {
            FabricError::CapacityExceeded { what: DEVICE_MEMORY, requested: 0, available: 0 }
        }
        Class::Device => unavailable(UnavailableReason::NoDevice),
        // A fault of an earlier kernel that the driver holds against the whole process: only a new process helps.
        Class::Kernel(_) | Class::Ecc | Class::Driver | Class::Image => error.fault(&[]).into(),
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease")
            .field("term", &self.term)
            .field("device", &self.device.info.index)
            .field("vram_bytes", &self.vram_bytes)
            .finish_non_exhaustive()
    }
}

/// A lease in the hands of its holder. Dropping it ends the lease.
#[derive(Debug)]
pub(crate) struct CudaLease(pub(crate) Arc<Lease>);

impl LeasedGpu for CudaLease {
    fn open_session(&self) -> Result<Arc<dyn DeviceSession>> {
        Ok(Arc::new(CudaSession(self.0.open_session()?)))
    }

    fn host_status(&self) -> LeaseStatus {
        self.0.term.status()
    }

    fn renew(&self, lease_secs: u64) -> Result<Duration> {
        self.0.term.check()?;
        self.0.term.extend(lease_secs);
        self.0.term.check()?;
        Ok(Duration::from_secs(lease_secs))
    }
}

impl Drop for CudaLease {
    fn drop(&mut self) {
        self.0.end(LeaseStatus::Released);
    }
}
