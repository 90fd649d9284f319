//! [`Wave`]: the simulation as a persistent kernel in a GPU session. Knows no files.
//!
//! A step is three launches: the field, then who speaks and who listens, then the halos. Whether a step is done is decided
//! on the device, between two steps: launches behind the last one do nothing.

use grafos_kernel::checkpoint::{Checkpoint, ChunkLabel, ChunkType};
use grafos_kernel::persistent::{ControlBlock, KernelError, PersistentKernel, Queue, Snapshot};
use grafos_std::gpu::{GpuEvent, GpuLease, GpuModule, GpuSession, KernelArgs};

use crate::error::RunError;
use crate::simulation::{Pulse, Simulation};

/// Made of `kernels/fdtd.cu`.
const FDTD: &[u8] = include_bytes!("../../../kernels/fdtd.ptx");

/// The regions of device memory with the pressure after even and odd numbers of steps.
pub const REGIONS: [&str; 2] = ["pressure_even", "pressure_odd"];

const HALOS: &str = "halos";

/// A field is worked on in blocks of so many cells.
const BLOCK: [u32; 3] = [16, 4, 4];

/// What the microphone heard behind a step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample {
    /// Behind which step.
    pub step: u64,
    /// The pressure there.
    pub pressure: f32,
}

/// A [`Simulation`] on a device.
///
/// ```
/// use cookbook_kernel_checkpoint_resume::{Simulation, Wave};
/// use grafos_kernel::checkpoint::CheckpointableKernel;
/// use grafos_std::gpu::GpuBuilder;
/// # let home = tempfile::tempdir()?;
/// # let host = grafos_std::host::LocalHost::builder().home(home.path()).open()?;
///
/// let lease = GpuBuilder::new().on(&host).min_vram(Wave::vram_bytes(Simulation { size: 8 })).acquire()?;
/// let wave = Wave::new(&lease, Simulation { size: 8 })?;
/// wave.begin()?;
/// wave.run_until(30)?;
/// wave.submit(50)?; // those behind step 30 do nothing
/// assert_eq!(wave.steps_done()?, 30);
/// assert_eq!(wave.hear()?.len(), 30);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Wave {
    simulation: Simulation,
    kernel: PersistentKernel,
    module: GpuModule,
}

impl Wave {
    /// How many samples wait for the host at most: it hears them behind so many steps, or loses some.
    pub const MAX_SAMPLES: u32 = 1024;

    const PULSES: Queue = Queue { capacity: Simulation::SOUND_STEPS, slot_bytes: Pulse::BYTES };
    const SAMPLES: Queue = Queue { capacity: Self::MAX_SAMPLES, slot_bytes: 16 };

    /// What checkpoints call this kernel.
    #[must_use]
    pub fn kernel_id(simulation: Simulation) -> String {
        format!("box-{}", simulation.size)
    }

    /// What sort of kernel it is.
    pub const KERNEL_TYPE: &str = "fdtd_3d";

    /// How much device memory it takes at most, in bytes: the state twice, and what allocations are rounded up by.
    #[must_use]
    pub fn vram_bytes(simulation: Simulation) -> u64 {
        2 * (2 * 4 * simulation.cells() + halo_bytes(simulation)) + (4 << 20)
    }

    /// Memory and code in a new session of this lease. Nothing is computed yet: [`begin`](Self::begin) or
    /// [`restore`](Self::restore) it.
    ///
    /// # Errors
    /// Those of [`PersistentKernelBuilder::build`](grafos_kernel::persistent::PersistentKernelBuilder::build) and of
    /// [`GpuSession::module_load`].
    pub fn new(lease: &GpuLease, simulation: Simulation) -> Result<Self, RunError> {
        let mut session = GpuSession::new(lease);
        let module = session.module_load(FDTD)?;
        let Simulation { size } = simulation;
        let [even, odd] = REGIONS;
        let kernel = PersistentKernel::builder(Self::kernel_id(simulation), Self::KERNEL_TYPE)
            .grid_size(size, size, size)
            .tile_size(size, size, Simulation::SLAB_DEPTH)
            .h2k_queue(Self::PULSES)
            .k2h_queue(Self::SAMPLES)
            .halo_buffers(HALOS, halo_bytes(simulation))
            .region(even, 4 * simulation.cells())
            .region(odd, 4 * simulation.cells())
            .build(session)?;
        Ok(Self { simulation, kernel, module })
    }

    /// A silent box with a sound to come.
    ///
    /// # Errors
    /// [`RunError::Kernel`].
    pub fn begin(&self) -> Result<(), RunError> {
        let application = self.simulation.parameters();
        self.kernel.set_control_block(&ControlBlock { application, ..ControlBlock::default() })?;
        let pulses: Vec<_> = self.simulation.pulses().iter().map(Pulse::to_bytes).collect();
        let messages: Vec<&[u8]> = pulses.iter().map(<[u8; Pulse::BYTES as usize]>::as_slice).collect();
        Ok(self.kernel.send(&messages)?)
    }

    /// The state of a full checkpoint of this simulation.
    ///
    /// # Errors
    /// [`RunError::Kernel`] if it is another one's; [`RunError::OtherParameters`] if it was computed in another way.
    pub fn restore(&mut self, checkpoint: &Checkpoint) -> Result<(), RunError> {
        let control = checkpoint.get_chunk(ChunkType::ControlBlock);
        let parameters = control.and_then(|chunk| chunk.data.get(CONTROL_PARAMETERS_AT..));
        if parameters.is_some_and(|found| *found != self.simulation.parameters()) {
            return Err(RunError::OtherParameters { step: checkpoint.metadata.current_step });
        }
        Ok(self.kernel.restore(checkpoint)?)
    }

    /// Lets the kernel do steps until it has done so many, of those that are submitted from now on.
    ///
    /// # Errors
    /// [`RunError::Kernel`].
    pub fn run_until(&self, steps: u64) -> Result<(), RunError> {
        self.kernel.run_until(steps)?;
        Ok(())
    }

    /// Submits so many steps, and does not wait for them. One event for each: the step is done, or was not to be done.
    ///
    /// # Errors
    /// [`RunError::Fabric`].
    pub fn submit(&self, steps: u64) -> Result<Vec<GpuEvent>, RunError> {
        let Self { kernel, module, simulation } = self;
        let session = kernel.session();
        let [even, odd] = REGIONS;
        let (control, even, odd) = (kernel.control_memory(), kernel.memory(even)?, kernel.memory(odd)?);
        let (halos, pulses) = (kernel.memory(HALOS)?, kernel.memory(&queue(ChunkType::H2KQueue))?);
        let samples = kernel.memory(&queue(ChunkType::K2HQueue))?;
        let blocks = |edge: u32| simulation.size.div_ceil(edge);
        let cells = [blocks(BLOCK[0]), blocks(BLOCK[1]), blocks(BLOCK[2])];
        let layers = [blocks(BLOCK[0]), blocks(BLOCK[1]), simulation.slabs()];
        let of_field =
            KernelArgs::new().push_buffer(control).push_buffer(even).push_buffer(odd).push_buffer(halos);
        let of_messages = KernelArgs::new()
            .push_buffer(control)
            .push_buffer(even)
            .push_buffer(odd)
            .push_buffer(pulses)
            .push_buffer(samples);
        let stream = session.default_stream();
        let mut done = Vec::new();
        for _ in 0..steps {
            session.launch_with_args(module, "fdtd_step", cells, BLOCK, of_field.clone())?;
            session.launch_with_args(module, "fdtd_advance", [1; 3], [1; 3], of_messages.clone())?;
            let layer = [BLOCK[0], BLOCK[1], 1];
            session.launch_with_args(module, "fdtd_exchange", layers, layer, of_field.clone())?;
            done.push(session.event_record(&stream)?);
        }
        Ok(done)
    }

    /// Waits for a step that was submitted.
    ///
    /// # Errors
    /// [`RunError::Fabric`], `Revoked` above all.
    pub fn wait(&self, step: &GpuEvent) -> Result<(), RunError> {
        Ok(self.kernel.session().event_sync(step)?)
    }

    /// Lets the kernel stop behind the step that it is at, whatever else was submitted.
    ///
    /// # Errors
    /// [`RunError::Kernel`].
    pub fn request_stop(&self) -> Result<(), RunError> {
        Ok(self.kernel.request_stop()?)
    }

    /// How many steps are done, once all that were submitted have had their turn.
    ///
    /// # Errors
    /// [`RunError::Kernel`].
    pub fn steps_done(&self) -> Result<u64, RunError> {
        Ok(self.kernel.control_block()?.steps_done)
    }

    /// What the microphone has heard since the last time.
    ///
    /// # Errors
    /// [`RunError::Kernel`].
    pub fn hear(&self) -> Result<Vec<Sample>, RunError> {
        let (messages, _dropped) = self.kernel.receive()?;
        let sample = |message: &Vec<u8>| {
            let step = message.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
            let pressure = message.get(8..).and_then(<[u8]>::first_chunk);
            Sample { step, pressure: pressure.map_or(0.0, |bytes| f32::from_le_bytes(*bytes)) }
        };
        Ok(messages.iter().map(sample).collect())
    }

    /// A copy of the state within the device; the kernel goes on meanwhile.
    ///
    /// # Errors
    /// [`RunError::Kernel`].
    pub fn snapshot(&self) -> Result<Snapshot<'_>, KernelError> {
        self.kernel.snapshot()
    }
}

/// Where in the control block the parameters begin.
const CONTROL_PARAMETERS_AT: usize =
    grafos_kernel::persistent::CONTROL_BLOCK_BYTES - grafos_kernel::persistent::APPLICATION_BYTES;

/// Two layers for each slab: what lies below it, and above.
fn halo_bytes(simulation: Simulation) -> u64 {
    4 * 2 * u64::from(simulation.slabs()) * simulation.layer()
}

/// The name of a queue's memory.
fn queue(kind: ChunkType) -> String {
    debug_assert_eq!(ChunkLabel::of(kind).name, None);
    format!("{kind:?}")
}
