//! [`BrokenSession`]: the session of a broken host. What is not broken goes straight to a good one.

use std::mem;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread::{self, ThreadId};

use grafos_std::gpu::{GpuError, GpuFault};
use grafos_std::host::{
    DeviceLaunch, DevicePtr, DeviceSession, EventId, KernelLayout, ModuleId, PendingCopy, StagingMemory,
    StreamId,
};
use grafos_std::{FabricError, Result};

use super::{Flaw, Memory, lock};

const EMPTY_MODULE: &[u8] = b".version 6.3\n.target sm_70\n.address_size 64\n.visible .entry k() { ret; }";
/// How far an allocation is moved to be misaligned.
const SHIFT: u64 = 8;

#[derive(Debug)]
pub(super) struct BrokenSession {
    flaw: Flaw,
    inner: Arc<dyn DeviceSession>,
    memory: Arc<Mutex<Memory>>,
    first_thread: OnceLock<ThreadId>,
    late_copies: Mutex<Vec<(StreamId, DevicePtr, DevicePtr, u64)>>,
    only_module: OnceLock<ModuleId>,
    has_failed: AtomicBool,
}

impl BrokenSession {
    pub(super) fn new(flaw: Flaw, inner: Arc<dyn DeviceSession>, memory: Arc<Mutex<Memory>>) -> Self {
        Self {
            flaw,
            inner,
            memory,
            first_thread: OnceLock::new(),
            late_copies: Mutex::default(),
            only_module: OnceLock::new(),
            has_failed: AtomicBool::new(false),
        }
    }

    fn is(&self, flaw: Flaw) -> bool {
        self.flaw == flaw
    }

    fn check_thread(&self) -> Result<()> {
        let thread = thread::current().id();
        if self.is(Flaw::ServesOneThreadOnly) && *self.first_thread.get_or_init(|| thread) != thread {
            return Err(FabricError::Unsupported { what: "a second thread" });
        }
        Ok(())
    }

    fn check_spread(&self) -> Result<()> {
        match lock(&self.memory).fault.clone() {
            Some(fault) if self.is(Flaw::FaultsSpread) => Err(fault.into()),
            _ => Ok(()),
        }
    }

    fn copy_at_last(&self) -> Result<()> {
        let late = mem::take(&mut *lock(&self.late_copies));
        late.into_iter().try_for_each(|(stream, to, from, bytes)| self.inner.copy(stream, to, from, bytes))
    }

    fn must_stay(&self) -> bool {
        self.is(Flaw::SessionsAreNeverClosed)
            || (self.is(Flaw::FailedSessionsStay) && self.has_failed.load(Ordering::SeqCst))
    }
}

impl DeviceSession for BrokenSession {
    fn alloc(&self, bytes: u64) -> Result<DevicePtr> {
        if self.is(Flaw::AllocationsAreNotAligned) {
            let DevicePtr(start) = self.inner.alloc(bytes.saturating_add(SHIFT))?;
            return Ok(DevicePtr(start + SHIFT));
        }
        let known = lock(&self.memory).by_size.get(&bytes).copied();
        if let (Flaw::SessionsOfALeaseAreOne, Some(ptr)) = (self.flaw, known) {
            return Ok(ptr);
        }
        let ptr = self.inner.alloc(bytes)?;
        lock(&self.memory).by_size.insert(bytes, ptr);
        let old = lock(&self.memory).last_byte;
        match (self.flaw, old) {
            (Flaw::NewMemoryHoldsGarbage, _) => self.inner.fill(StreamId::DEFAULT, ptr, 0xEE, bytes)?,
            (Flaw::OldBytesShine, Some(byte)) => self.inner.fill(StreamId::DEFAULT, ptr, byte, bytes)?,
            _ => {}
        }
        Ok(ptr)
    }

    fn free(&self, ptr: DevicePtr) -> Result<()> {
        match self.flaw {
            Flaw::FreesNothing => Ok(()),
            Flaw::FreeFails => Err(FabricError::Unsupported { what: "free" }),
            Flaw::AllocationsAreNotAligned => self.inner.free(DevicePtr(ptr.0 - SHIFT)),
            _ => self.inner.free(ptr),
        }
    }

    fn write(&self, stream: StreamId, to: DevicePtr, from: &[u8]) -> Result<()> {
        self.check_thread()?;
        let from = match from.split_last() {
            Some((_, first)) if self.is(Flaw::WritesLoseTheirLastByte) => first,
            _ => from,
        };
        self.inner.write(stream, to, from)
    }

    fn read(&self, stream: StreamId, from: DevicePtr, into: &mut [u8]) -> Result<()> {
        self.check_thread()?;
        self.copy_at_last()?;
        self.inner.read(stream, from, into)
    }

    fn copy(&self, stream: StreamId, to: DevicePtr, from: DevicePtr, bytes: u64) -> Result<()> {
        match self.flaw {
            Flaw::CopiesVanish => Ok(()),
            Flaw::CopiesComeLate => {
                lock(&self.late_copies).push((stream, to, from, bytes));
                Ok(())
            }
            _ => self.inner.copy(stream, to, from, bytes),
        }
    }

    fn fill(&self, stream: StreamId, ptr: DevicePtr, byte: u8, bytes: u64) -> Result<()> {
        lock(&self.memory).last_byte = Some(byte);
        self.inner.fill(stream, ptr, byte, bytes)
    }

    fn load_module(&self, image: &[u8]) -> Result<ModuleId> {
        if let (Flaw::LoadsAModuleOnce, Some(module)) = (self.flaw, self.only_module.get()) {
            return Ok(*module);
        }
        let loaded = match self.inner.load_module(image) {
            Err(FabricError::Gpu(_)) if self.is(Flaw::LoadsAnything) => self.inner.load_module(EMPTY_MODULE),
            Err(FabricError::Gpu(error)) if self.is(Flaw::MistakesAreFatal) => {
                Err(GpuFault::Driver { code: 1, message: error.to_string() }.into())
            }
            other => other,
        }?;
        self.only_module.get_or_init(|| loaded);
        Ok(loaded)
    }

    fn unload_module(&self, module: ModuleId) -> Result<()> {
        if self.is(Flaw::LoadsAModuleOnce) { Ok(()) } else { self.inner.unload_module(module) }
    }

    fn kernel(&self, module: ModuleId, name: &str) -> Result<KernelLayout> {
        let found = match self.inner.kernel(module, name) {
            Err(FabricError::Gpu(GpuError::UnknownKernel { .. })) if self.is(Flaw::FindsAnyKernel) => {
                self.inner.kernel(module, "small_blocks")
            }
            other => other,
        };
        let mut layout = found?;
        match self.flaw {
            Flaw::OverlooksAParameter => drop(layout.params.pop()),
            Flaw::KnowsNoLimits => {
                layout.max_threads = u32::MAX;
                layout.max_dynamic_shared_bytes = u32::MAX;
            }
            _ => {}
        }
        Ok(layout)
    }

    fn launch(&self, stream: StreamId, launch: &DeviceLaunch<'_>) -> Result<()> {
        self.check_spread()?;
        let mut params = launch.params.to_vec();
        let mut changed = *launch;
        match self.flaw {
            Flaw::LosesABlock if changed.grid[0] > 1 => changed.grid[0] -= 1,
            Flaw::ForgetsSharedMemory => changed.shared_bytes = 0,
            Flaw::LosesTheLastArgument => {
                if let Some(last) = params.last_chunk_mut::<2>() {
                    *last = [0; 2];
                }
            }
            _ => {}
        }
        self.inner.launch(stream, &DeviceLaunch { params: &params, ..changed })
    }

    fn create_stream(&self) -> Result<StreamId> {
        if self.is(Flaw::HasNoStreams) {
            return Err(FabricError::Unsupported { what: "streams" });
        }
        self.inner.create_stream()
    }

    fn destroy_stream(&self, stream: StreamId) -> Result<()> {
        self.inner.destroy_stream(stream)
    }

    fn synchronize(&self, stream: Option<StreamId>) -> Result<()> {
        self.check_spread()?;
        self.copy_at_last()?;
        if self.is(Flaw::SyncWaitsForNothing) {
            return Ok(());
        }
        match self.inner.synchronize(stream) {
            Err(FabricError::GpuSessionFailed { fault, code }) => {
                self.has_failed.store(true, Ordering::SeqCst);
                lock(&self.memory).fault = Some(*fault.clone());
                if self.is(Flaw::ForgetsFaults) {
                    return Ok(());
                }
                Err(FabricError::GpuSessionFailed { fault, code })
            }
            other => other,
        }
    }

    fn record_event(&self, stream: StreamId) -> Result<EventId> {
        self.inner.record_event(stream)
    }

    fn wait_event(&self, stream: StreamId, event: EventId) -> Result<()> {
        if self.is(Flaw::IgnoresEvents) { Ok(()) } else { self.inner.wait_event(stream, event) }
    }

    fn event_is_done(&self, event: EventId) -> Result<bool> {
        if self.is(Flaw::EventsHappenAtOnce) { Ok(true) } else { self.inner.event_is_done(event) }
    }

    fn synchronize_event(&self, event: EventId) -> Result<()> {
        self.inner.synchronize_event(event)
    }

    fn destroy_event(&self, event: EventId) -> Result<()> {
        self.inner.destroy_event(event)
    }

    fn staging(&self, bytes: usize) -> Result<Box<dyn StagingMemory>> {
        match self.flaw {
            Flaw::StagingBuffersAreTooLong => self.inner.staging(bytes + 1),
            Flaw::CopiesWaitForKernels => {
                let (inner, session) = (self.inner.staging(bytes)?, Arc::clone(&self.inner));
                Ok(Box::new(PatientStaging { inner, session }))
            }
            _ => self.inner.staging(bytes),
        }
    }

    fn close(&self) -> Result<()> {
        if self.must_stay() { Ok(()) } else { self.inner.close() }
    }
}

impl Drop for BrokenSession {
    fn drop(&mut self) {
        if self.must_stay() {
            mem::forget(Arc::clone(&self.inner));
        }
    }
}

/// Staging memory whose copies begin when nothing else runs.
#[derive(Debug)]
struct PatientStaging {
    inner: Box<dyn StagingMemory>,
    session: Arc<dyn DeviceSession>,
}

impl StagingMemory for PatientStaging {
    fn bytes(&self) -> &[u8] {
        self.inner.bytes()
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        self.inner.bytes_mut()
    }

    fn copy_from_device(
        self: Box<Self>,
        stream: StreamId,
        from: DevicePtr,
        range: Range<usize>,
    ) -> Result<Box<dyn PendingCopy>> {
        self.session.synchronize(None)?;
        self.inner.copy_from_device(stream, from, range)
    }

    fn copy_to_device(
        self: Box<Self>,
        stream: StreamId,
        to: DevicePtr,
        range: Range<usize>,
    ) -> Result<Box<dyn PendingCopy>> {
        self.session.synchronize(None)?;
        self.inner.copy_to_device(stream, to, range)
    }
}
