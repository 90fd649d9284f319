//! [`OpenSession`]: a session of the backend, behind the check of its lease; [`Owned`], what a handle owns in it.
//!
//! Invariants: nothing reaches the backend but through [`OpenSession::run`], which asks the lease before and after; a
//! session that has failed or was closed never works again; a handle works in its own session only, and only until
//! what it owns is given back.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

use fabricbios_core::state::LeaseStatus;

use super::lease::HeldGpu;
use super::{GpuError, GpuFault};
use crate::error::{FabricError, Result};
use crate::host::{DevicePtr, DeviceSession, EventId, ModuleId, StreamId};

/// A session of the backend; opened when it is first needed.
pub(super) struct OpenSession {
    pub(super) held: Arc<HeldGpu>,
    stage: Mutex<Stage>,
    /// The first fault, which is the answer to everything from then on.
    fault: OnceLock<GpuFault>,
}

enum Stage {
    Unopened,
    Open(Arc<dyn DeviceSession>),
    Closed,
}

impl OpenSession {
    pub(super) fn new(held: &Arc<HeldGpu>) -> Arc<Self> {
        let stage = Mutex::new(Stage::Unopened);
        Arc::new(Self { held: Arc::clone(held), stage, fault: OnceLock::new() })
    }

    /// Runs `work` on the backend's session if the lease is active and the session has not failed. What ends after
    /// the lease is refused too: nobody knows what it has seen.
    pub(super) fn run<T>(&self, work: impl FnOnce(&dyn DeviceSession) -> Result<T>) -> Result<T> {
        let device = self.device()?;
        // Not inside `with`: whoever ends the lease waits for what runs in there.
        let done = work(device.as_ref()).map_err(|error| self.remember(error));
        self.held.leased.with(|_| Ok(()))?;
        done
    }

    /// Asks the lease and the session whether anything can be done at all.
    pub(super) fn check(&self) -> Result<()> {
        self.held.leased.with(|_| Ok(()))?;
        match self.fault.get() {
            Some(fault) => Err(fault.clone().into()),
            None if matches!(*self.stage(), Stage::Closed) => Err(GpuError::SessionClosed.into()),
            None => Ok(()),
        }
    }

    pub(super) fn fault(&self) -> Option<&GpuFault> {
        self.fault.get()
    }

    fn device(&self) -> Result<Arc<dyn DeviceSession>> {
        self.check()?;
        let mut stage = self.stage();
        match &*stage {
            Stage::Open(device) => Ok(Arc::clone(device)),
            Stage::Closed => Err(GpuError::SessionClosed.into()),
            Stage::Unopened => {
                let opened = self.held.leased.with(|gpu| gpu.open_session());
                let device = opened.map_err(|error| self.remember(error))?;
                *stage = Stage::Open(Arc::clone(&device));
                Ok(device)
            }
        }
    }

    fn remember(&self, error: FabricError) -> FabricError {
        let FabricError::GpuSessionFailed { fault, .. } = &error else { return error };
        if self.fault.set(fault.as_ref().clone()).is_ok() {
            let lease_id = self.held.leased.state().lease_id();
            tracing::warn!(%lease_id, %error, "a GPU session failed");
            return error;
        }
        self.fault.get().map_or(error, |first| first.clone().into())
    }

    /// Closes the session on the backend. If the lease is gone, the backend has done so itself.
    pub(super) fn close(&self) -> Result<()> {
        match std::mem::replace(&mut *self.stage(), Stage::Closed) {
            Stage::Open(device) => device.close(),
            Stage::Unopened | Stage::Closed => Ok(()),
        }
    }

    fn give_back(&self, what: What) -> Result<()> {
        self.run(|device| match what {
            What::Memory(ptr) => device.free(ptr),
            What::Module(id) => device.unload_module(id),
            What::Stream(id) => device.destroy_stream(id),
            What::Event(id) => device.destroy_event(id),
            What::Staging => Ok(()),
        })
    }

    /// Whether there is anything left to give something back to.
    fn is_alive(&self) -> bool {
        self.held.leased.status() == LeaseStatus::Active
            && self.fault.get().is_none()
            && matches!(*self.stage(), Stage::Open(_))
    }

    fn stage(&self) -> MutexGuard<'_, Stage> {
        // Each change is one assignment.
        self.stage.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for OpenSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stage = match *self.stage() {
            Stage::Unopened => "unopened",
            Stage::Open(_) => "open",
            Stage::Closed => "closed",
        };
        f.debug_struct("OpenSession").field("stage", &stage).field("fault", &self.fault.get()).finish()
    }
}

/// What can belong to a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    Memory(DevicePtr),
    Module(ModuleId),
    Stream(StreamId),
    Event(EventId),
    /// Memory of the program, which frees itself.
    Staging,
}

impl What {
    fn name(self) -> &'static str {
        match self {
            Self::Memory(_) => "device memory",
            Self::Module(_) => "module",
            Self::Stream(_) => "stream",
            Self::Event(_) => "event",
            Self::Staging => "staging buffer",
        }
    }

    /// Whether it is there from the start of the session to its end.
    fn is_permanent(self) -> bool {
        matches!(self, Self::Staging | Self::Stream(StreamId::DEFAULT))
    }
}

/// Something in a session that a handle and its clones own. The drop of the last one gives it back.
pub(super) struct Owned {
    session: Weak<OpenSession>,
    what: What,
    is_gone: AtomicBool,
}

impl Owned {
    pub(super) fn new(session: &Arc<OpenSession>, what: What) -> Self {
        Self { session: Arc::downgrade(session), what, is_gone: AtomicBool::new(false) }
    }

    /// Refuses unless it belongs to `session` and is still there.
    pub(super) fn check(&self, session: &Arc<OpenSession>) -> Result<()> {
        let what = self.what.name();
        if !std::ptr::eq(self.session.as_ptr(), Arc::as_ptr(session)) {
            return Err(GpuError::ForeignHandle { what }.into());
        }
        if self.is_gone.load(Ordering::Acquire) {
            return Err(GpuError::FreedHandle { what }.into());
        }
        Ok(())
    }

    /// Gives it back now, whoever else has a clone.
    pub(super) fn give_back(&self, session: &Arc<OpenSession>) -> Result<()> {
        session.check()?;
        self.check(session)?;
        if self.what.is_permanent() {
            return Err(FabricError::InvalidRequest {
                what: "stream to destroy",
                expected: "one that was made",
                found: "the default stream".to_owned(),
            });
        }
        self.is_gone.store(true, Ordering::Release);
        session.give_back(self.what)
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        if *self.is_gone.get_mut() || self.what.is_permanent() {
            return;
        }
        // Without session or lease it is gone already.
        let Some(session) = self.session.upgrade().filter(|session| session.is_alive()) else { return };
        if let Err(error) = session.give_back(self.what) {
            tracing::debug!(what = self.what.name(), %error, "not given back by its handle");
        }
    }
}

impl fmt::Debug for Owned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Owned").field("what", &self.what).field("is_gone", &self.is_gone).finish()
    }
}
