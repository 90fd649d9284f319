//! [`Staging`]: page-locked memory in the hands of the program; [`Copying`]: the same while a copy is under way.
//!
//! Neither keeps the session open: when it is gone, the memory is ordinary memory.

use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Weak};

use grafos_std::error::{FabricError, Result};
use grafos_std::gpu::GpuError;
use grafos_std::host::{DevicePtr, PendingCopy, StagingMemory, StreamId};

use super::Session;
use super::transfer::{FlightId, Way};
use crate::driver::HostMemory;

/// Page-locked memory of the program.
pub(super) struct Staging {
    session: Weak<Session>,
    /// `None` once it was given to a copy.
    memory: Option<HostMemory>,
}

/// A copy under way.
pub(super) struct Copying {
    session: Weak<Session>,
    /// `None` once it was waited for.
    flight: Option<FlightId>,
}

impl Staging {
    pub(super) fn new(session: &Arc<Session>, memory: HostMemory) -> Self {
        Self { session: Arc::downgrade(session), memory: Some(memory) }
    }

    fn submit(
        mut self,
        stream: StreamId,
        way: Way,
        ptr: DevicePtr,
        range: Range<usize>,
    ) -> Result<Box<dyn PendingCopy>> {
        let session = self.session.upgrade().ok_or(GpuError::SessionClosed)?;
        let len = self.bytes().len();
        if range.start > range.end || range.end > len {
            let requested = range.end.max(range.start) as u64;
            let what = "bytes of a staging buffer";
            return Err(FabricError::CapacityExceeded { what, requested, available: len as u64 });
        }
        let memory = self.memory.take().ok_or(GpuError::FreedHandle { what: "staging buffer" })?;
        let flight = session.fly(stream, way, ptr.0, memory, range)?;
        Ok(Box::new(Copying { session: Arc::downgrade(&session), flight: Some(flight) }))
    }
}

impl StagingMemory for Staging {
    fn bytes(&self) -> &[u8] {
        self.memory.as_ref().map_or(&[], HostMemory::bytes)
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        self.memory.as_mut().map_or(&mut [], HostMemory::bytes_mut)
    }

    fn copy_from_device(
        self: Box<Self>,
        stream: StreamId,
        from: DevicePtr,
        range: Range<usize>,
    ) -> Result<Box<dyn PendingCopy>> {
        self.submit(stream, Way::FromDevice, from, range)
    }

    fn copy_to_device(
        self: Box<Self>,
        stream: StreamId,
        to: DevicePtr,
        range: Range<usize>,
    ) -> Result<Box<dyn PendingCopy>> {
        self.submit(stream, Way::ToDevice, to, range)
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        if let (Some(session), Some(memory)) = (self.session.upgrade(), self.memory.take()) {
            session.put_memory(memory);
        }
    }
}

impl fmt::Debug for Staging {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Staging").field("len", &self.bytes().len()).finish_non_exhaustive()
    }
}

impl PendingCopy for Copying {
    fn is_done(&self) -> bool {
        match (self.session.upgrade(), self.flight) {
            (Some(session), Some(flight)) => session.has_landed(flight),
            _ => true,
        }
    }

    fn wait(mut self: Box<Self>) -> Result<Box<dyn StagingMemory>> {
        let session = self.session.upgrade().ok_or(GpuError::SessionClosed)?;
        let flight = self.flight.ok_or(GpuError::FreedHandle { what: "copy" })?;
        let memory = session.land(flight)?;
        self.flight = None;
        Ok(Box::new(Staging::new(&session, memory)))
    }
}

impl Drop for Copying {
    fn drop(&mut self) {
        if let (Some(session), Some(flight)) = (self.session.upgrade(), self.flight.take()) {
            session.abandon(flight);
        }
    }
}

impl fmt::Debug for Copying {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Copying").field("flight", &self.flight).finish_non_exhaustive()
    }
}
