//! [`LocalLease`]: a lease on a local device, and what its sessions have; [`HeldDevice`], it in its holder's hands.
//!
//! Invariant: when [`end`](LocalLease::end) returns, whoever called it first, nothing of the lease runs, nothing is
//! allocated, and others may have the device.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fabricbios_core::state::LeaseStatus;

use super::device::Device;
use super::device_files::DeviceLock;
use super::faults;
use super::held_session::HeldSession;
use super::session::Session;
use super::term::Term;
use crate::error::Result;
use crate::gpu::GpuExclusivityClass;
use crate::host::{DeviceSession, GpuUsage, LeasedGpu};

#[derive(Debug)]
pub(super) struct LocalLease {
    pub(super) term: Arc<Term>,
    pub(super) class: GpuExclusivityClass,
    pub(super) vram_bytes: u64,
    device: Arc<Device>,
    sessions: Mutex<Vec<Arc<Session>>>,
    /// Against other processes.
    lock: Mutex<Option<DeviceLock>>,
    ending: Mutex<()>,
}

impl LocalLease {
    pub(super) fn new(
        term: Term,
        class: GpuExclusivityClass,
        vram_bytes: u64,
        device: Arc<Device>,
        lock: Option<DeviceLock>,
    ) -> Self {
        Self {
            term: Arc::new(term),
            class,
            vram_bytes,
            device,
            sessions: Mutex::default(),
            lock: Mutex::new(lock),
            ending: Mutex::default(),
        }
    }

    /// Does `take`, which allocates `bytes` or an unknown amount, if the lease has room for it.
    ///
    /// # Errors
    /// `CapacityExceeded`; what was taken is dropped then.
    pub(super) fn take_memory<T>(&self, bytes: u64, take: impl FnOnce() -> Result<T>) -> Result<T> {
        // Held while it is counted and taken, so that two at a time can't both take the last of it.
        let sessions = self.sessions();
        let used = || sessions.iter().map(|session| session.memory().used_bytes()).sum::<u64>();
        let available = self.vram_bytes.saturating_sub(used());
        if bytes > available {
            return Err(faults::out_of_lease(bytes, available));
        }
        let taken = take()?;
        let used = used();
        if used > self.vram_bytes {
            return Err(faults::out_of_lease(used, self.vram_bytes));
        }
        Ok(taken)
    }

    pub(super) fn open_session(self: &Arc<Self>) -> Result<Arc<dyn DeviceSession>> {
        if !self.term.is_active() {
            return Err(self.term.ended_error());
        }
        let number = self.device.admit_session(self.class)?;
        let context = Arc::clone(self.device.context());
        let session = Arc::new(Session::new(number, Arc::clone(&self.term), context, self.vram_bytes));
        let held = HeldSession::new(Arc::clone(&session), Arc::clone(self));
        self.sessions().push(session);
        // Ended in the meantime: whoever ended it may not have seen this session. Dropped, it is closed.
        if !self.term.is_active() {
            return Err(self.term.ended_error());
        }
        Ok(Arc::new(held))
    }

    /// Closes a session; nothing the second time.
    pub(super) fn close(&self, session: &Arc<Session>) {
        session.shut();
        self.sessions().retain(|other| !Arc::ptr_eq(other, session));
        self.device.dismiss_session(session.number);
    }

    /// Ends the lease and waits until nothing is left of it; `false` if it had ended before.
    pub(super) fn end(&self, status: LeaseStatus) -> bool {
        let is_first = self.term.is_active() && self.term.end(status);
        let _alone = self.ending.lock().unwrap_or_else(PoisonError::into_inner);
        let sessions = self.sessions().clone();
        for session in &sessions {
            self.close(session);
        }
        self.device.forget_lease(self.term.lease_id);
        drop(self.lock.lock().unwrap_or_else(PoisonError::into_inner).take());
        if is_first {
            tracing::debug!(lease_id = %self.term.lease_id, %status, "a lease on a local device has ended");
        }
        is_first
    }

    pub(super) fn count_in(&self, usage: &mut GpuUsage) {
        usage.leases += 1;
        for session in self.sessions().iter() {
            session.count_in(usage);
            usage.bytes += session.memory().used_bytes();
        }
    }

    fn sessions(&self) -> MutexGuard<'_, Vec<Arc<Session>>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A lease in the hands of the front.
#[derive(Debug)]
pub(super) struct HeldDevice(pub(super) Arc<LocalLease>);

impl LeasedGpu for HeldDevice {
    fn open_session(&self) -> Result<Arc<dyn DeviceSession>> {
        self.0.open_session()
    }

    fn host_status(&self) -> LeaseStatus {
        self.0.term.status()
    }

    fn renew(&self, lease_secs: u64) -> Result<Duration> {
        if !self.0.term.is_active() {
            return Err(self.0.term.ended_error());
        }
        self.0.term.extend(lease_secs);
        Ok(Duration::from_secs(lease_secs))
    }
}

impl Drop for HeldDevice {
    fn drop(&mut self) {
        self.0.end(LeaseStatus::Released);
    }
}
