//! Streams, events and staging buffers of a [`GpuSession`]: what overlaps copies with kernels.

use std::sync::Arc;

use super::GpuSession;
use crate::error::Result;
use crate::gpu::{GpuCopy, GpuEvent, GpuMemHandle, GpuStream, StagingBuffer};
use crate::host::StreamId;

impl GpuSession {
    /// The stream of everything that names none. It is a stream like the others: it does not wait for them, nor they
    /// for it.
    #[must_use]
    pub fn default_stream(&self) -> GpuStream {
        GpuStream::new(&self.open, StreamId::DEFAULT)
    }

    /// Makes a stream.
    ///
    /// # Errors
    /// See [`GpuSession`]; [`CapacityExceeded`](crate::FabricError::CapacityExceeded).
    pub fn stream_create(&mut self) -> Result<GpuStream> {
        let id = self.open.run(|device| device.create_stream())?;
        Ok(GpuStream::new(&self.open, id))
    }

    /// Destroys a stream, after everything that was submitted to it.
    ///
    /// # Errors
    /// See [`GpuSession`]; [`InvalidRequest`](crate::FabricError::InvalidRequest) for the default stream.
    pub fn stream_destroy(&mut self, stream: GpuStream) -> Result<()> {
        stream.into_owned().give_back(&self.open)
    }

    /// Waits until everything that was submitted to the stream before is done.
    ///
    /// # Errors
    /// See [`GpuSession`].
    pub fn stream_sync(&self, stream: &GpuStream) -> Result<()> {
        self.open.check()?;
        let stream = stream.id(&self.open)?;
        self.open.run(|device| device.synchronize(Some(stream)))
    }

    /// An event that happens when everything that was submitted to the stream before is done.
    ///
    /// # Errors
    /// See [`GpuSession`].
    pub fn event_record(&self, stream: &GpuStream) -> Result<GpuEvent> {
        self.open.check()?;
        let stream = stream.id(&self.open)?;
        let id = self.open.run(|device| device.record_event(stream))?;
        Ok(GpuEvent::new(&self.open, id))
    }

    /// Makes everything that is submitted to the stream from now on wait for the event.
    ///
    /// # Errors
    /// See [`GpuSession`].
    pub fn stream_wait(&self, stream: &GpuStream, event: &GpuEvent) -> Result<()> {
        self.open.check()?;
        let (stream, event) = (stream.id(&self.open)?, event.id(&self.open)?);
        self.open.run(|device| device.wait_event(stream, event))
    }

    /// Whether the event has happened.
    ///
    /// # Errors
    /// See [`GpuSession`].
    pub fn event_is_done(&self, event: &GpuEvent) -> Result<bool> {
        self.open.check()?;
        let event = event.id(&self.open)?;
        self.open.run(|device| device.event_is_done(event))
    }

    /// Waits until the event has happened.
    ///
    /// # Errors
    /// See [`GpuSession`].
    pub fn event_sync(&self, event: &GpuEvent) -> Result<()> {
        self.open.check()?;
        let event = event.id(&self.open)?;
        self.open.run(|device| device.synchronize_event(event))
    }

    /// [`mem_copy`](Self::mem_copy) in the order of a stream.
    ///
    /// # Errors
    /// Those of [`mem_copy`](Self::mem_copy).
    pub fn mem_copy_on(
        &self,
        stream: &GpuStream,
        to: &GpuMemHandle,
        to_offset: u64,
        from: &GpuMemHandle,
        from_offset: u64,
        len: u64,
    ) -> Result<()> {
        self.open.check()?;
        let stream = stream.id(&self.open)?;
        let target = to.range(&self.open, to_offset, len)?;
        let source = from.range(&self.open, from_offset, len)?;
        Self::check_overlap(to, to_offset, from, from_offset, len)?;
        if len == 0 {
            return Ok(());
        }
        self.open.run(|device| device.copy(stream, target, source, len))
    }

    /// Allocates `bytes` zero bytes of the program's memory that the device copies from and to at full speed. On a
    /// device it is pinned: take few, and use them again.
    ///
    /// # Errors
    /// See [`GpuSession`]; [`CapacityExceeded`](crate::FabricError::CapacityExceeded),
    /// [`InvalidRequest`](crate::FabricError::InvalidRequest) for no bytes.
    pub fn staging_alloc(&mut self, bytes: usize) -> Result<StagingBuffer> {
        crate::block::at_least_one("bytes of a staging buffer", bytes as u64)?;
        let memory = self.open.run(|device| device.staging(bytes))?;
        Ok(StagingBuffer::new(&self.open, memory))
    }

    /// Starts to copy `len` bytes of device memory, from `offset` on, to the start of a staging buffer, in the order of
    /// the stream. The copy owns the buffer and [gives it back](GpuCopy::wait).
    ///
    /// # Errors
    /// See [`GpuSession`]; [`CapacityExceeded`](crate::FabricError::CapacityExceeded) if the buffer is too small. The
    /// buffer is freed then.
    pub fn copy_to_staging(
        &self,
        stream: &GpuStream,
        from: &GpuMemHandle,
        offset: u64,
        staging: StagingBuffer,
        len: usize,
    ) -> Result<GpuCopy> {
        self.open.check()?;
        let stream = stream.id(&self.open)?;
        let source = from.range(&self.open, offset, len as u64)?;
        let memory = staging.into_memory(&self.open, len)?;
        let pending = self.open.run(|_| memory.copy_from_device(stream, source, 0..len))?;
        Ok(GpuCopy::new(Arc::clone(&self.open), pending))
    }

    /// Starts to copy the first `len` bytes of a staging buffer to device memory, to `offset` on, in the order of the
    /// stream. The copy owns the buffer and [gives it back](GpuCopy::wait).
    ///
    /// # Errors
    /// Those of [`copy_to_staging`](Self::copy_to_staging).
    pub fn copy_from_staging(
        &self,
        stream: &GpuStream,
        to: &GpuMemHandle,
        offset: u64,
        staging: StagingBuffer,
        len: usize,
    ) -> Result<GpuCopy> {
        self.open.check()?;
        let stream = stream.id(&self.open)?;
        let target = to.range(&self.open, offset, len as u64)?;
        let memory = staging.into_memory(&self.open, len)?;
        let pending = self.open.run(|_| memory.copy_to_device(stream, target, 0..len))?;
        Ok(GpuCopy::new(Arc::clone(&self.open), pending))
    }
}
