//! [`LocalStaging`]: staging memory of a local session, which is ordinary memory; its copies are steps of a stream.

use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use super::session::Session;
use super::streams::{Outcome, Point};
use crate::error::Result;
use crate::gpu::GpuError;
use crate::host::{DevicePtr, PendingCopy, StagingMemory, StreamId};

pub(super) struct LocalStaging {
    session: Arc<Session>,
    bytes: Vec<u8>,
}

/// Which way a copy goes.
#[derive(Clone, Copy)]
enum Way {
    FromDevice,
    ToDevice,
}

impl LocalStaging {
    pub(super) fn new(session: Arc<Session>, bytes: Vec<u8>) -> Self {
        Self { session, bytes }
    }

    fn start(self, stream: StreamId, ptr: DevicePtr, range: Range<usize>, way: Way) -> Result<LocalCopy> {
        let Self { session, mut bytes } = self;
        let len = range.len() as u64;
        session.check_range(ptr, len)?;
        if bytes.get(range.clone()).is_none() {
            return Err(crate::FabricError::CapacityExceeded {
                what: "bytes of a staging buffer",
                requested: range.end as u64,
                available: bytes.len() as u64,
            });
        }
        let back = Arc::new(Mutex::new(None));
        let (memory, slot) = (session.memory().clone(), Arc::clone(&back));
        let point = session.submit(stream, move || {
            let part = &mut bytes[range];
            let copied = match way {
                Way::FromDevice => memory.read(ptr.0, part),
                Way::ToDevice => memory.write(ptr.0, part),
            };
            *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(bytes);
            Outcome::of_memory(copied)
        })?;
        Ok(LocalCopy { session, point, back })
    }
}

impl StagingMemory for LocalStaging {
    fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.bytes
    }

    fn copy_from_device(
        self: Box<Self>,
        stream: StreamId,
        from: DevicePtr,
        range: Range<usize>,
    ) -> Result<Box<dyn PendingCopy>> {
        Ok(Box::new(self.start(stream, from, range, Way::FromDevice)?))
    }

    fn copy_to_device(
        self: Box<Self>,
        stream: StreamId,
        to: DevicePtr,
        range: Range<usize>,
    ) -> Result<Box<dyn PendingCopy>> {
        Ok(Box::new(self.start(stream, to, range, Way::ToDevice)?))
    }
}

impl fmt::Debug for LocalStaging {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalStaging").field("len", &self.bytes.len()).finish_non_exhaustive()
    }
}

struct LocalCopy {
    session: Arc<Session>,
    point: Point,
    /// Where the step puts the bytes when it is done with them.
    back: Arc<Mutex<Option<Vec<u8>>>>,
}

impl PendingCopy for LocalCopy {
    fn is_done(&self) -> bool {
        self.session.is_reached(self.point)
    }

    fn wait(self: Box<Self>) -> Result<Box<dyn StagingMemory>> {
        self.session.wait(self.point)?;
        let bytes = self.back.lock().unwrap_or_else(PoisonError::into_inner).take();
        let bytes = bytes.ok_or(GpuError::SessionClosed)?;
        Ok(Box::new(LocalStaging { session: Arc::clone(&self.session), bytes }))
    }
}

impl fmt::Debug for LocalCopy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalCopy").field("point", &self.point).finish_non_exhaustive()
    }
}
