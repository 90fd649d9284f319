//! [`Device`]: one local device: who has leases and sessions on it, and who is kept out.
//!
//! Invariants: what the classes of [`GpuExclusivityClass`] promise holds between all leases and sessions of this
//! host, and across processes where the host has a home; leases together never have more memory than the device.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fabricbios_core::clock::Clock;
use fabricbios_core::lease::{EpochExhausted, FenceEpoch, LeaseId, LeaseTiming};

use super::super::volume_dir::new_lease_id;
use super::context::Context;
use super::device_files::{DeviceFiles, DeviceLock};
use super::lease::{HeldDevice, LocalLease};
use super::term::Term;
use crate::error::{FabricError, Result};
use crate::gpu::{GpuDeviceInfo, GpuExclusivityClass, resource};
use crate::host::{GpuGrant, GpuRequest, LeaseGrant};

/// Memory is counted in units of this.
const GRANULE: u64 = 256;

#[derive(Debug)]
pub(super) struct Device {
    context: Arc<Context>,
    home: Option<PathBuf>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    leases: HashMap<LeaseId, Arc<LocalLease>>,
    sessions: HashMap<u64, Admitted>,
    last_session: u64,
    /// The newest, where no file keeps it.
    epoch: FenceEpoch,
    /// Opened with the first lease.
    files: Option<Arc<DeviceFiles>>,
}

/// A session that lives on the device.
#[derive(Debug)]
struct Admitted {
    class: GpuExclusivityClass,
    /// Against other processes, until it is dropped.
    _lock: Option<DeviceLock>,
}

impl Device {
    pub(super) fn new(context: Context, home: Option<PathBuf>) -> Self {
        Self { context: Arc::new(context), home, state: Mutex::default() }
    }

    pub(super) fn info(&self) -> &GpuDeviceInfo {
        self.context.limits()
    }

    pub(super) fn context(&self) -> &Arc<Context> {
        &self.context
    }

    /// The leases that have not been forgotten.
    pub(super) fn leases(&self) -> Vec<Arc<LocalLease>> {
        self.state().leases.values().cloned().collect()
    }

    pub(super) fn lease(&self, lease_id: LeaseId) -> Option<Arc<LocalLease>> {
        self.state().leases.get(&lease_id).cloned()
    }

    /// Grants a lease on this device.
    pub(super) fn grant(
        self: &Arc<Self>,
        request: &GpuRequest,
        class: GpuExclusivityClass,
        clock: &Arc<dyn Clock>,
    ) -> Result<GpuGrant> {
        let mut state = self.state();
        self.check_leases(&state, class)?;
        let vram_bytes = self.vram_for(&state, request.min_vram_bytes, class)?;
        let lease_id = new_lease_id()?;
        let (lock, epoch) = match self.files(&mut state)? {
            Some(files) => {
                let (lock, epoch) = files.grant(class, lease_id, request.lease_secs, clock.as_ref())?;
                (Some(lock), epoch)
            }
            None => (None, state.epoch.next().map_err(|_| self.exhausted())?),
        };
        state.epoch = epoch;
        let device = Arc::clone(self);
        let term = Term::new(lease_id, epoch, self.info().index, clock, request.lease_secs);
        let lease = Arc::new(LocalLease::new(term, class, vram_bytes, device, lock));
        state.leases.insert(lease_id, Arc::clone(&lease));
        Ok(GpuGrant {
            lease: LeaseGrant {
                lease_id,
                epoch,
                granted: Duration::from_secs(request.lease_secs),
                timing: LeaseTiming::SAME_CLOCK,
            },
            device: self.info().clone(),
            exclusivity: class,
            vram_bytes,
            gpu: Box::new(HeldDevice(lease)),
        })
    }

    fn check_leases(&self, state: &State, class: GpuExclusivityClass) -> Result<()> {
        let wants_all = class == GpuExclusivityClass::DeviceExclusive;
        let is_kept_out =
            |other: &Arc<LocalLease>| wants_all || other.class == GpuExclusivityClass::DeviceExclusive;
        if state.leases.values().any(is_kept_out) { Err(self.held()) } else { Ok(()) }
    }

    /// How much memory the lease gets: all of it if it has the device for itself.
    fn vram_for(&self, state: &State, requested: u64, class: GpuExclusivityClass) -> Result<u64> {
        let all = self.info().vram_bytes;
        let taken: u64 = state.leases.values().map(|lease| lease.vram_bytes).sum();
        let available = all.saturating_sub(taken);
        if requested > available {
            return Err(FabricError::CapacityExceeded {
                what: "bytes of device memory that is not reserved",
                requested,
                available,
            });
        }
        let exact = requested.checked_next_multiple_of(GRANULE).unwrap_or(available);
        Ok(if class == GpuExclusivityClass::DeviceExclusive { all } else { exact.min(available) })
    }

    /// Lets a session in, unless its class or that of another one keeps the two apart, and numbers it.
    pub(super) fn admit_session(&self, class: GpuExclusivityClass) -> Result<u64> {
        let mut state = self.state();
        let alone = class == GpuExclusivityClass::SessionExclusive;
        let is_kept_out = |other: &Admitted| alone || other.class == GpuExclusivityClass::SessionExclusive;
        if state.sessions.values().any(is_kept_out) {
            return Err(self.held());
        }
        let lock = match self.files(&mut state)? {
            Some(files) => files.open_session(class)?,
            None => None,
        };
        state.last_session += 1;
        let number = state.last_session;
        state.sessions.insert(number, Admitted { class, _lock: lock });
        Ok(number)
    }

    pub(super) fn dismiss_session(&self, number: u64) {
        self.state().sessions.remove(&number);
    }

    pub(super) fn forget_lease(&self, lease_id: LeaseId) {
        self.state().leases.remove(&lease_id);
    }

    fn files(&self, state: &mut State) -> Result<Option<Arc<DeviceFiles>>> {
        let Some(home) = &self.home else { return Ok(None) };
        if state.files.is_none() {
            state.files = Some(Arc::new(DeviceFiles::open(Path::new(home), self.info().index)?));
        }
        Ok(state.files.clone())
    }

    fn held(&self) -> FabricError {
        let holder_pid = Some(std::process::id());
        FabricError::Held { resource: resource(self.info().index), holder_pid }
    }

    fn exhausted(&self) -> FabricError {
        FabricError::exhausted(resource(self.info().index), EpochExhausted)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Each change is one insertion, removal or assignment.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
