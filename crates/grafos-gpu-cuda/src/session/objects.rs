//! [`Objects`]: everything that lives in a context, by id.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use grafos_std::error::FabricError;
use grafos_std::gpu::GpuError;
use grafos_std::host::{GpuUsage, StreamId};

use super::Trouble;
use crate::code::CudaError;
use crate::driver::{Bound, Event, Function, HostMemory, Module, Stream};

/// Kernels that are remembered until the next time everything is known to be done.
const MOST_SUSPECTS: usize = 8;
/// Events that are kept for the next copy.
const MOST_SPARE_EVENTS: usize = 16;

/// Everything that lives in a context.
pub(super) struct Objects {
    last_id: u64,
    default_stream: Stream,
    /// Zeroes what is allocated, without waiting for what the program does.
    pub(super) chores: Stream,
    pub(super) streams: HashMap<u64, Stream>,
    pub(super) events: HashMap<u64, Event>,
    pub(super) spare_events: Vec<Event>,
    /// Sizes by address.
    pub(super) allocations: BTreeMap<u64, u64>,
    pub(super) modules: HashMap<u64, LoadedImage>,
    pub(super) kernels: HashMap<u64, Kernel>,
    pub(super) flights: HashMap<u64, Flight>,
    /// Buffers for copies of memory that the program has not pinned.
    pub(super) buffers: Vec<HostMemory>,
    /// Where page-locked memory starts, whoever has it.
    pub(super) registered: BTreeSet<usize>,
    suspects: Vec<String>,
}

/// A module.
pub(super) struct LoadedImage {
    pub(super) module: Module,
    /// Its text, as our own parser understands it: for drivers that don't tell what parameters a kernel has.
    pub(super) parsed: Option<grafos_ptx::Module>,
}

/// A kernel.
pub(super) struct Kernel {
    pub(super) module: u64,
    pub(super) name: String,
    pub(super) function: Function,
    pub(super) param_bytes: u32,
    /// How much dynamic shared memory it may have so far.
    pub(super) allowed_shared_bytes: u32,
}

/// A copy that is under way, with the memory that it copies from or to.
pub(super) struct Flight {
    pub(super) event: Event,
    pub(super) memory: HostMemory,
    /// Nobody will ask for it.
    pub(super) is_abandoned: bool,
}

impl Objects {
    pub(super) fn new(bound: &Bound<'_>) -> Result<Self, CudaError> {
        // If the second one fails, the context is destroyed, and the first one with it.
        let (default_stream, chores) = (bound.create_stream()?, bound.create_stream()?);
        Ok(Self {
            last_id: 0,
            default_stream,
            chores,
            streams: HashMap::new(),
            events: HashMap::new(),
            spare_events: Vec::new(),
            allocations: BTreeMap::new(),
            modules: HashMap::new(),
            kernels: HashMap::new(),
            flights: HashMap::new(),
            buffers: Vec::new(),
            registered: BTreeSet::new(),
            suspects: Vec::new(),
        })
    }

    /// An id that was never used in this session.
    pub(super) fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    /// A stream that the program knows.
    pub(super) fn stream(&self, id: StreamId) -> Result<&Stream, Trouble> {
        if id == StreamId::DEFAULT {
            return Ok(&self.default_stream);
        }
        self.streams.get(&id.0).ok_or_else(|| gone("stream"))
    }

    /// All streams, ours included.
    pub(super) fn all_streams(&self) -> impl Iterator<Item = &Stream> {
        [&self.default_stream, &self.chores].into_iter().chain(self.streams.values())
    }

    /// The streams that a program waits for.
    pub(super) fn program_streams(&self) -> impl Iterator<Item = &Stream> {
        std::iter::once(&self.default_stream).chain(self.streams.values())
    }

    /// Refuses a range that is not inside one allocation: with unified addresses, it might be memory of the program.
    pub(super) fn check_range(&self, address: u64, bytes: u64) -> Result<(), Trouble> {
        let below = self.allocations.range(..=address).next_back();
        let is_inside = below.is_some_and(|(start, size)| (address - start).saturating_add(bytes) <= *size);
        if is_inside {
            return Ok(());
        }
        Err(Trouble::Other(FabricError::InvalidRequest {
            what: "address on the device",
            expected: "one inside an allocation of this session",
            found: format!("{address:#x} with {bytes} bytes"),
        }))
    }

    /// An event that nothing waits for.
    pub(super) fn take_event(&mut self, bound: &Bound<'_>) -> Result<Event, CudaError> {
        match self.spare_events.pop() {
            Some(event) => Ok(event),
            None => bound.create_event(),
        }
    }

    /// Keeps an event for the next copy, or destroys it.
    pub(super) fn put_event(&mut self, bound: &Bound<'_>, event: Event) -> Result<(), CudaError> {
        if self.spare_events.len() < MOST_SPARE_EVENTS {
            self.spare_events.push(event);
            return Ok(());
        }
        bound.destroy_event(event)
    }

    /// A kernel that may be to blame for the next fault.
    pub(super) fn suspect(&mut self, kernel: u64) {
        let Some(name) = self.kernels.get(&kernel).map(|kernel| &kernel.name) else { return };
        if !self.suspects.contains(name) && self.suspects.len() < MOST_SUSPECTS {
            self.suspects.push(name.clone());
        }
    }

    /// Everything that was launched has ended well.
    pub(super) fn clear_suspects(&mut self) {
        self.suspects.clear();
    }

    pub(super) fn suspects(&self) -> &[String] {
        &self.suspects
    }

    /// What is alive; the session itself left aside.
    pub(super) fn usage(&self) -> GpuUsage {
        GpuUsage {
            modules: self.modules.len() as u64,
            allocations: self.allocations.len() as u64,
            bytes: self.allocations.values().sum(),
            streams: self.streams.len() as u64,
            events: self.events.len() as u64,
            ..GpuUsage::default()
        }
    }

    /// The two streams that are always there, when everything ends.
    pub(super) fn into_own_streams(self) -> [Stream; 2] {
        [self.default_stream, self.chores]
    }
}

/// The answer for an id that names nothing.
pub(super) fn gone(what: &'static str) -> Trouble {
    GpuError::FreedHandle { what }.into()
}
