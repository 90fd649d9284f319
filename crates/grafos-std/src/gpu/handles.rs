//! What a session hands out: [`GpuMemHandle`], [`GpuModule`], [`GpuStream`], [`GpuEvent`].
//!
//! Each can be cloned, and the drop of its last clone gives back what it stands for, best effort; once session or
//! lease is gone there is nothing left to give back. None can be used in another session.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::open_session::{OpenSession, Owned, What};
use crate::error::{FabricError, Result};
use crate::host::{DevicePtr, EventId, KernelLayout, ModuleId, StreamId};

/// Memory on the device. The last clone's drop frees it.
///
/// ```
/// use grafos_std::gpu::{GpuBuilder, GpuSession};
/// # let home = tempfile::tempdir()?;
/// # let host = grafos_std::host::LocalHost::builder().home(home.path()).open()?;
/// # host.scope(|| -> grafos_std::Result<()> {
///
/// let lease = GpuBuilder::new().acquire()?;
/// let mut session = GpuSession::new(&lease);
/// let memory = session.mem_alloc(100)?;
/// let again = memory.clone();
/// session.mem_free(memory)?;
/// assert!(session.mem_read(&again, 0, 1_u32).is_err(), "freed for all clones");
/// # Ok(()) })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct GpuMemHandle {
    owned: Arc<Owned>,
    ptr: DevicePtr,
    len_bytes: u64,
}

impl GpuMemHandle {
    pub(super) fn new(session: &Arc<OpenSession>, ptr: DevicePtr, len_bytes: u64) -> Self {
        Self { owned: Arc::new(Owned::new(session, What::Memory(ptr))), ptr, len_bytes }
    }

    /// The address on the device, as kernels see it. It means nothing once the memory is freed.
    #[must_use]
    pub fn raw(&self) -> u64 {
        self.ptr.0
    }

    /// The size, in bytes.
    #[must_use]
    pub fn len_bytes(&self) -> u64 {
        self.len_bytes
    }

    pub(super) fn owned(&self) -> &Owned {
        &self.owned
    }

    pub(super) fn into_owned(self) -> Arc<Owned> {
        self.owned
    }

    /// Where `len` bytes from `offset` on start.
    pub(super) fn range(&self, session: &Arc<OpenSession>, offset: u64, len: u64) -> Result<DevicePtr> {
        self.owned.check(session)?;
        let end = offset.saturating_add(len);
        if end > self.len_bytes {
            return Err(FabricError::CapacityExceeded {
                what: "bytes of a device allocation",
                requested: end,
                available: self.len_bytes,
            });
        }
        Ok(DevicePtr(self.ptr.0 + offset))
    }

    pub(super) fn is_same_memory(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.owned, &other.owned)
    }
}

/// A module that is loaded in a session. The last clone's drop unloads it.
#[derive(Clone, Debug)]
pub struct GpuModule {
    owned: Arc<Owned>,
    id: ModuleId,
    /// Kernels that were launched before.
    kernels: Arc<Mutex<HashMap<String, Arc<KernelLayout>>>>,
}

impl GpuModule {
    pub(super) fn new(session: &Arc<OpenSession>, id: ModuleId) -> Self {
        Self { owned: Arc::new(Owned::new(session, What::Module(id))), id, kernels: Arc::default() }
    }

    pub(super) fn into_owned(self) -> Arc<Owned> {
        self.owned
    }

    /// The layout of a kernel, asked for once.
    pub(super) fn kernel(&self, session: &Arc<OpenSession>, name: &str) -> Result<Arc<KernelLayout>> {
        self.owned.check(session)?;
        // A lookup or an insertion is whole or not done.
        let known = || self.kernels.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(layout) = known().get(name) {
            return Ok(Arc::clone(layout));
        }
        let layout = Arc::new(session.run(|device| device.kernel(self.id, name))?);
        known().insert(name.to_owned(), Arc::clone(&layout));
        Ok(layout)
    }
}

/// An order of work within a session: what is submitted to one stream happens in order, what is submitted to several
/// at the same time, as far as the device can. The last clone's drop destroys it, after what was submitted.
#[derive(Clone, Debug)]
pub struct GpuStream {
    owned: Arc<Owned>,
    id: StreamId,
}

impl GpuStream {
    pub(super) fn new(session: &Arc<OpenSession>, id: StreamId) -> Self {
        Self { owned: Arc::new(Owned::new(session, What::Stream(id))), id }
    }

    pub(super) fn into_owned(self) -> Arc<Owned> {
        self.owned
    }

    pub(super) fn id(&self, session: &Arc<OpenSession>) -> Result<StreamId> {
        self.owned.check(session).map(|()| self.id)
    }
}

/// A point in a stream that other streams, or the program, can wait for. The last clone's drop destroys it.
#[derive(Clone, Debug)]
pub struct GpuEvent {
    owned: Arc<Owned>,
    id: EventId,
}

impl GpuEvent {
    pub(super) fn new(session: &Arc<OpenSession>, id: EventId) -> Self {
        Self { owned: Arc::new(Owned::new(session, What::Event(id))), id }
    }

    pub(super) fn id(&self, session: &Arc<OpenSession>) -> Result<EventId> {
        self.owned.check(session).map(|()| self.id)
    }
}
