//! [`Session`]: a context of its own on a local device: memory, modules, streams.
//!
//! Invariants: nothing is allocated past the memory of the lease; what is freed is zeroed; after
//! [`shut`](Session::shut) nothing runs and nothing is left.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use grafos_ptx::{DeviceMemory, Interrupt, Launch, LoadedModule, MemoryError, Module};

use super::context::Context;
use super::faults;
use super::lease::LocalLease;
use super::streams::{Outcome, Point, Refused, Stop, Streams};
use super::term::Term;
use crate::error::{FabricError, Result};
use crate::gpu::{GpuError, GpuFault};
use crate::host::{
    DeviceLaunch, DevicePtr, EventId, GpuUsage, KernelId, KernelLayout, KernelParam, ModuleId, StreamId,
};

pub(super) struct Session {
    /// Names it on its device.
    pub(super) number: u64,
    term: Arc<Term>,
    context: Arc<Context>,
    memory: DeviceMemory,
    streams: Streams,
    objects: Mutex<Objects>,
    /// One at a time shuts it, and the others wait until that is done.
    shutting: Mutex<()>,
}

/// What lives in the session.
#[derive(Default)]
struct Objects {
    last_id: u64,
    /// Sizes by address.
    allocations: BTreeMap<u64, u64>,
    modules: HashMap<ModuleId, Arc<LoadedModule>>,
    kernels: HashMap<KernelId, Kernel>,
    events: HashMap<EventId, Point>,
}

#[derive(Clone)]
struct Kernel {
    module_id: ModuleId,
    module: Arc<LoadedModule>,
    name: Arc<str>,
}

impl Objects {
    fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }
}

impl Outcome {
    /// Only somebody who goes past the front gets a step with a wrong address this far.
    pub(super) fn of_memory(result: Result<(), MemoryError>) -> Self {
        match result {
            Ok(()) => Self::Done,
            Err(error) => Self::Failed(GpuFault::Driver { code: 0, message: error.to_string() }),
        }
    }
}

impl Session {
    pub(super) fn new(number: u64, term: Arc<Term>, context: Arc<Context>, vram_bytes: u64) -> Self {
        let probed = Arc::clone(&term);
        let interrupt = Interrupt::new().with_probe(move || !probed.is_active());
        Self {
            number,
            term,
            context,
            memory: DeviceMemory::new(vram_bytes),
            streams: Streams::new(interrupt),
            objects: Mutex::default(),
            shutting: Mutex::default(),
        }
    }

    pub(super) fn memory(&self) -> &DeviceMemory {
        &self.memory
    }

    /// Adds what is alive in here, bytes left aside.
    pub(super) fn count_in(&self, usage: &mut GpuUsage) {
        let objects = self.objects();
        usage.sessions += 1;
        usage.modules += objects.modules.len() as u64;
        usage.allocations += objects.allocations.len() as u64;
        usage.events += objects.events.len() as u64;
        usage.streams += self.streams.count() as u64;
    }

    /// Stops what runs, then zeroes and frees everything.
    pub(super) fn shut(&self) {
        let _alone = self.shutting.lock().unwrap_or_else(PoisonError::into_inner);
        self.streams.shut();
        let Objects { allocations, modules, kernels, .. } = std::mem::take(&mut *self.objects());
        // The last references to the modules: their variables go with them.
        drop((kernels, modules));
        for address in allocations.into_keys() {
            if let Err(error) = self.memory.free(address) {
                tracing::error!(%error, "an allocation of a local device was gone before it was freed");
            }
        }
    }

    pub(super) fn submit(
        &self,
        stream: StreamId,
        work: impl FnOnce() -> Outcome + Send + 'static,
    ) -> Result<Point> {
        self.check()?;
        self.streams.submit(stream, work).map_err(|refused| self.refused(refused))
    }

    pub(super) fn wait(&self, point: Point) -> Result<()> {
        self.streams.wait(point).map_err(|stop| self.stopped(stop))
    }

    pub(super) fn is_reached(&self, point: Point) -> bool {
        self.streams.is_reached(point)
    }

    /// Refuses a range that is not inside one allocation.
    pub(super) fn check_range(&self, ptr: DevicePtr, len: u64) -> Result<()> {
        let objects = self.objects();
        let below = objects.allocations.range(..=ptr.0).next_back();
        let is_inside = below.is_some_and(|(start, size)| (ptr.0 - start).saturating_add(len) <= *size);
        if is_inside {
            return Ok(());
        }
        Err(faults::of_memory(MemoryError::OutOfBounds { address: ptr.0, bytes: len }))
    }

    /// Refuses once lease or session have ended.
    pub(super) fn check(&self) -> Result<()> {
        if !self.term.is_active() {
            return Err(self.term.ended_error());
        }
        match self.streams.stopped() {
            Some(stop) => Err(self.stopped(stop)),
            None => Ok(()),
        }
    }

    fn stopped(&self, stop: Stop) -> FabricError {
        match stop {
            Stop::Failed(fault) => fault.into(),
            Stop::Closed if self.term.is_active() => GpuError::SessionClosed.into(),
            Stop::Closed => self.term.ended_error(),
        }
    }

    fn refused(&self, refused: Refused) -> FabricError {
        match refused {
            Refused::Stopped(stop) => self.stopped(stop),
            Refused::Error(error) => error,
        }
    }

    /// Waits until everything that was submitted to the stream is done.
    pub(super) fn wait_for_stream(&self, stream: StreamId) -> Result<()> {
        self.check()?;
        let end = self.streams.end_of(stream).map_err(|refused| self.refused(refused))?;
        self.wait(end)
    }

    pub(super) fn wait_for_all(&self) -> Result<()> {
        self.check()?;
        self.streams.wait_for_all().map_err(|stop| self.stopped(stop))
    }

    pub(super) fn create_stream(&self) -> Result<StreamId> {
        self.check()?;
        Ok(self.streams.create())
    }

    pub(super) fn destroy_stream(&self, stream: StreamId) -> Result<()> {
        self.wait_for_stream(stream)?;
        self.streams.destroy(stream);
        Ok(())
    }

    pub(super) fn record_event(&self, stream: StreamId) -> Result<EventId> {
        self.check()?;
        let point = self.streams.end_of(stream).map_err(|refused| self.refused(refused))?;
        let mut objects = self.objects();
        let event = EventId(objects.next_id());
        objects.events.insert(event, point);
        Ok(event)
    }

    /// Makes a stream wait for a point of another one.
    pub(super) fn submit_wait(&self, stream: StreamId, point: Point) -> Result<()> {
        self.streams.submit_wait(stream, point).map(drop).map_err(|refused| self.refused(refused))
    }

    pub(super) fn destroy_event(&self, event: EventId) -> Result<()> {
        self.event(event)?;
        self.objects().events.remove(&event);
        Ok(())
    }

    /// The point of an event.
    pub(super) fn event(&self, event: EventId) -> Result<Point> {
        self.check()?;
        let point = self.objects().events.get(&event).copied();
        point.ok_or_else(|| GpuError::FreedHandle { what: "event" }.into())
    }

    pub(super) fn alloc(&self, lease: &LocalLease, bytes: u64) -> Result<DevicePtr> {
        self.check()?;
        let address = lease.take_memory(bytes, || self.memory.alloc(bytes).map_err(faults::of_memory))?;
        self.objects().allocations.insert(address, bytes);
        // Closed in the meantime: nobody would free it any more.
        if let Err(error) = self.check() {
            let _ = self.free_now(address);
            return Err(error);
        }
        Ok(DevicePtr(address))
    }

    pub(super) fn free_now(&self, address: u64) -> Result<()> {
        if self.objects().allocations.remove(&address).is_none() {
            return Err(faults::of_memory(MemoryError::NotAllocated { address }));
        }
        self.memory.free(address).map_err(faults::of_memory)
    }

    pub(super) fn load(&self, lease: &LocalLease, image: &[u8]) -> Result<ModuleId> {
        self.check()?;
        let module = Module::load(image).map_err(|error| faults::of_load(&error))?;
        let loaded = lease.take_memory(0, || {
            LoadedModule::new(&module, &self.memory).map_err(|error| faults::of_load(&error))
        })?;
        let id = {
            let mut objects = self.objects();
            let id = ModuleId(objects.next_id());
            objects.modules.insert(id, Arc::new(loaded));
            id
        };
        if let Err(error) = self.check() {
            self.objects().modules.remove(&id);
            return Err(error);
        }
        Ok(id)
    }

    pub(super) fn unload(&self, module: ModuleId) -> Result<()> {
        self.wait_for_all()?;
        let mut objects = self.objects();
        let unloaded = objects.modules.remove(&module);
        objects.kernels.retain(|_, kernel| kernel.module_id != module);
        drop(objects);
        unloaded.map(drop).ok_or_else(|| GpuError::FreedHandle { what: "module" }.into())
    }

    pub(super) fn kernel(&self, module_id: ModuleId, name: &str) -> Result<KernelLayout> {
        self.check()?;
        let mut objects = self.objects();
        let module = objects.modules.get(&module_id).map(Arc::clone);
        let module = module.ok_or(GpuError::FreedHandle { what: "module" })?;
        let unknown = || GpuError::UnknownKernel { name: name.chars().take(256).collect() };
        let info = module.module().kernel(name).ok_or_else(unknown)?;
        let device = self.context.limits();
        let threads = |counts: [u32; 3]| counts.iter().fold(1_u32, |all, count| all.saturating_mul(*count));
        let layout = KernelLayout {
            id: KernelId(objects.next_id()),
            params: info
                .params()
                .iter()
                .map(|param| KernelParam { offset: param.offset, size: param.size })
                .collect(),
            max_threads: info.max_threads().map_or(u32::MAX, threads).min(device.max_threads_per_block),
            max_dynamic_shared_bytes: device.max_shared_bytes.saturating_sub(info.shared_bytes()),
        };
        let kernel = Kernel { module_id, module: Arc::clone(&module), name: name.into() };
        objects.kernels.insert(layout.id, kernel);
        Ok(layout)
    }

    pub(super) fn launch(&self, stream: StreamId, launch: &DeviceLaunch<'_>) -> Result<()> {
        self.check()?;
        let kernel = self.objects().kernels.get(&launch.kernel).cloned();
        let kernel = kernel.ok_or(GpuError::FreedHandle { what: "kernel" })?;
        self.check_launch(&kernel, launch)?;
        let DeviceLaunch { grid, block, shared_bytes, params, .. } = *launch;
        let params = params.to_vec();
        let (context, interrupt) = (Arc::clone(&self.context), self.streams.interrupt().clone());
        self.submit(stream, move || {
            let launch = Launch { grid, block, shared_bytes, params: &params };
            let report = kernel.module.launch(&kernel.name, &launch, context.run_limits(), &interrupt);
            context.print(&report.printed, report.print_dropped_bytes);
            match report.outcome {
                Ok(()) => Outcome::Done,
                Err(error) => faults::of_launch(&error).map_or(Outcome::Cancelled, Outcome::Failed),
            }
        })?;
        self.context.count_launch();
        Ok(())
    }

    /// What the front can't know.
    fn check_launch(&self, kernel: &Kernel, launch: &DeviceLaunch<'_>) -> Result<()> {
        let refused = |message: String| {
            Err(GpuError::LaunchRefused { kernel: kernel.name.to_string(), message }.into())
        };
        let Some(info) = kernel.module.module().kernel(&kernel.name) else {
            return refused("the module has no such kernel".to_owned());
        };
        let found = launch.block;
        match info.required_threads() {
            Some(required) if required != found => {
                refused(format!("threads of a block: required={required:?}, found={found:?}"))
            }
            _ => Ok(()),
        }
    }

    fn objects(&self) -> MutexGuard<'_, Objects> {
        // Each change is one insertion or removal.
        self.objects.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("number", &self.number)
            .field("lease_id", &self.term.lease_id)
            .field("streams", &self.streams)
            .finish_non_exhaustive()
    }
}
