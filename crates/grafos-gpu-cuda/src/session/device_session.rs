//! [`CudaSession`]: a session in the hands of the front. The drop of the last reference closes it.

use std::sync::Arc;

use grafos_std::error::Result;
use grafos_std::host::{
    DeviceLaunch, DevicePtr, DeviceSession, EventId, KernelLayout, ModuleId, StagingMemory, StreamId,
};

use super::Session;
use super::staging::Staging;

/// A session in the hands of the front.
#[derive(Debug)]
pub(crate) struct CudaSession(pub(crate) Arc<Session>);

impl Drop for CudaSession {
    fn drop(&mut self) {
        self.0.shut();
    }
}

impl DeviceSession for CudaSession {
    fn alloc(&self, bytes: u64) -> Result<DevicePtr> {
        self.0.alloc(bytes)
    }

    fn free(&self, ptr: DevicePtr) -> Result<()> {
        self.0.free(ptr)
    }

    fn write(&self, stream: StreamId, to: DevicePtr, from: &[u8]) -> Result<()> {
        self.0.write(stream, to, from)
    }

    fn read(&self, stream: StreamId, from: DevicePtr, into: &mut [u8]) -> Result<()> {
        self.0.read(stream, from, into)
    }

    fn copy(&self, stream: StreamId, to: DevicePtr, from: DevicePtr, bytes: u64) -> Result<()> {
        self.0.copy(stream, to, from, bytes)
    }

    fn fill(&self, stream: StreamId, ptr: DevicePtr, byte: u8, bytes: u64) -> Result<()> {
        self.0.fill(stream, ptr, byte, bytes)
    }

    fn load_module(&self, image: &[u8]) -> Result<ModuleId> {
        self.0.load_module(image)
    }

    fn unload_module(&self, module: ModuleId) -> Result<()> {
        self.0.unload_module(module)
    }

    fn kernel(&self, module: ModuleId, name: &str) -> Result<KernelLayout> {
        self.0.kernel(module, name)
    }

    fn launch(&self, stream: StreamId, launch: &DeviceLaunch<'_>) -> Result<()> {
        self.0.launch(stream, launch)
    }

    fn create_stream(&self) -> Result<StreamId> {
        self.0.create_stream()
    }

    fn destroy_stream(&self, stream: StreamId) -> Result<()> {
        self.0.destroy_stream(stream)
    }

    fn synchronize(&self, stream: Option<StreamId>) -> Result<()> {
        self.0.synchronize(stream)
    }

    fn record_event(&self, stream: StreamId) -> Result<EventId> {
        self.0.record_event(stream)
    }

    fn wait_event(&self, stream: StreamId, event: EventId) -> Result<()> {
        self.0.wait_event(stream, event)
    }

    fn event_is_done(&self, event: EventId) -> Result<bool> {
        self.0.event_is_done(event)
    }

    fn synchronize_event(&self, event: EventId) -> Result<()> {
        self.0.synchronize_event(event)
    }

    fn destroy_event(&self, event: EventId) -> Result<()> {
        self.0.destroy_event(event)
    }

    fn staging(&self, bytes: usize) -> Result<Box<dyn StagingMemory>> {
        Ok(Box::new(Staging::new(&self.0, self.0.staging(bytes)?)))
    }

    fn close(&self) -> Result<()> {
        self.0.close();
        Ok(())
    }
}
