//! [`HeldSession`]: a local session in the hands of the front.
//!
//! Invariant: when the last reference is dropped, the session is closed.

use std::sync::Arc;

use grafos_ptx::{DeviceMemory, MemoryError};

use super::faults;
use super::lease::LocalLease;
use super::session::Session;
use super::staging::LocalStaging;
use super::streams::Outcome;
use crate::error::{FabricError, Result};
use crate::host::{
    DeviceLaunch, DevicePtr, DeviceSession, EventId, KernelLayout, ModuleId, StagingMemory, StreamId,
};

/// How many bytes are copied between two looks at the lease.
const COPY_BYTES: usize = 16 << 20;

/// A session in the hands of the front.
#[derive(Debug)]
pub(super) struct HeldSession {
    session: Arc<Session>,
    lease: Arc<LocalLease>,
}

impl HeldSession {
    pub(super) fn new(session: Arc<Session>, lease: Arc<LocalLease>) -> Self {
        Self { session, lease }
    }

    /// Submits something to do with the memory.
    fn submit(
        &self,
        stream: StreamId,
        work: impl FnOnce(&DeviceMemory) -> Result<(), MemoryError> + Send + 'static,
    ) -> Result<()> {
        let memory = self.session.memory().clone();
        self.session.submit(stream, move || Outcome::of_memory(work(&memory))).map(drop)
    }
}

impl DeviceSession for HeldSession {
    fn alloc(&self, bytes: u64) -> Result<DevicePtr> {
        self.session.alloc(&self.lease, bytes)
    }

    fn free(&self, ptr: DevicePtr) -> Result<()> {
        self.session.wait_for_all()?;
        self.session.free_now(ptr.0)
    }

    fn write(&self, stream: StreamId, to: DevicePtr, from: &[u8]) -> Result<()> {
        self.session.wait_for_stream(stream)?;
        let mut address = to.0;
        for part in from.chunks(COPY_BYTES) {
            self.session.check()?;
            self.session.memory().write(address, part).map_err(faults::of_memory)?;
            address += part.len() as u64;
        }
        Ok(())
    }

    fn read(&self, stream: StreamId, from: DevicePtr, into: &mut [u8]) -> Result<()> {
        self.session.wait_for_stream(stream)?;
        let mut address = from.0;
        for part in into.chunks_mut(COPY_BYTES) {
            self.session.check()?;
            self.session.memory().read(address, part).map_err(faults::of_memory)?;
            address += part.len() as u64;
        }
        Ok(())
    }

    fn copy(&self, stream: StreamId, to: DevicePtr, from: DevicePtr, bytes: u64) -> Result<()> {
        self.session.check_range(to, bytes)?;
        self.session.check_range(from, bytes)?;
        self.submit(stream, move |memory| memory.copy(to.0, from.0, bytes))
    }

    fn fill(&self, stream: StreamId, ptr: DevicePtr, byte: u8, bytes: u64) -> Result<()> {
        self.session.check_range(ptr, bytes)?;
        self.submit(stream, move |memory| memory.fill(ptr.0, byte, bytes))
    }

    fn load_module(&self, image: &[u8]) -> Result<ModuleId> {
        self.session.load(&self.lease, image)
    }

    fn unload_module(&self, module: ModuleId) -> Result<()> {
        self.session.unload(module)
    }

    fn kernel(&self, module: ModuleId, name: &str) -> Result<KernelLayout> {
        self.session.kernel(module, name)
    }

    fn launch(&self, stream: StreamId, launch: &DeviceLaunch<'_>) -> Result<()> {
        self.session.launch(stream, launch)
    }

    fn create_stream(&self) -> Result<StreamId> {
        self.session.create_stream()
    }

    fn destroy_stream(&self, stream: StreamId) -> Result<()> {
        self.session.destroy_stream(stream)
    }

    fn synchronize(&self, stream: Option<StreamId>) -> Result<()> {
        match stream {
            Some(stream) => self.session.wait_for_stream(stream),
            None => self.session.wait_for_all(),
        }
    }

    fn record_event(&self, stream: StreamId) -> Result<EventId> {
        self.session.record_event(stream)
    }

    fn wait_event(&self, stream: StreamId, event: EventId) -> Result<()> {
        let point = self.session.event(event)?;
        self.session.submit_wait(stream, point)
    }

    fn event_is_done(&self, event: EventId) -> Result<bool> {
        let point = self.session.event(event)?;
        Ok(self.session.is_reached(point))
    }

    fn synchronize_event(&self, event: EventId) -> Result<()> {
        let point = self.session.event(event)?;
        self.session.wait(point)
    }

    fn destroy_event(&self, event: EventId) -> Result<()> {
        self.session.destroy_event(event)
    }

    fn staging(&self, bytes: usize) -> Result<Box<dyn StagingMemory>> {
        self.session.check()?;
        let mut memory = Vec::new();
        memory.try_reserve_exact(bytes).map_err(|_| FabricError::CapacityExceeded {
            what: "bytes of memory for a staging buffer",
            requested: bytes as u64,
            available: 0,
        })?;
        memory.resize(bytes, 0);
        Ok(Box::new(LocalStaging::new(Arc::clone(&self.session), memory)))
    }

    fn close(&self) -> Result<()> {
        self.lease.close(&self.session);
        Ok(())
    }
}

impl Drop for HeldSession {
    fn drop(&mut self) {
        self.lease.close(&self.session);
    }
}
