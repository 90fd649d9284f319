//! [`Job`]: work on a GPU that is shared, cut into slices.
//!
//! Invariant: between two slices nothing of the job runs on the device.

use std::fmt;

use grafos_std::Result;
use grafos_std::gpu::{
    GpuBuilder, GpuExclusivityClass, GpuLease, GpuMemHandle, GpuModule, GpuSession, GpuStream, KernelArgs,
    LaunchConfig,
};
use grafos_std::host::Host;

/// How many slices the work of a job has.
pub const SLICES: u64 = 8;

/// The size of a job's state, in bytes.
pub const STATE_BYTES: u32 = 64 << 10;

const TRAIN_STEP: &[u8] = include_bytes!("../../../kernels/train_step.ptx");
const WAIT: &[u8] = include_bytes!("wait.ptx");

/// A job with its lease, its session, and its state in device memory.
pub struct Job {
    name: &'static str,
    session: GpuSession,
    module: GpuModule,
    state: GpuMemHandle,
    done: u64,
    lease: GpuLease,
}

impl Job {
    /// A job that shares a device, with so much of its memory for itself. Its state begins as `first`, repeated.
    ///
    /// # Errors
    /// `CapacityExceeded` if the other leases of the device leave less; `Held` while somebody has it alone.
    pub fn start(host: &Host, name: &'static str, vram_bytes: u64, first: u8) -> Result<Self> {
        let lease = GpuBuilder::new()
            .on(host)
            .min_vram(vram_bytes)
            .lease_secs(60)
            .exclusivity(GpuExclusivityClass::Shared)
            .acquire()?;
        let mut session = GpuSession::new(&lease);
        let state = session.mem_alloc(u64::from(STATE_BYTES))?;
        session.mem_fill(&state, 0, first, state.len_bytes())?;
        let module = session.module_load(TRAIN_STEP)?;
        Ok(Self { name, session, module, state, done: 0, lease })
    }

    /// What it is called.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Its lease.
    #[must_use]
    pub fn lease(&self) -> &GpuLease {
        &self.lease
    }

    /// The address of its state, as its kernels see it.
    #[must_use]
    pub fn state_address(&self) -> u64 {
        self.state.raw()
    }

    /// How many slices were done.
    #[must_use]
    pub fn done(&self) -> u64 {
        self.done
    }

    /// Does one slice: one kernel, to its end.
    ///
    /// # Errors
    /// Those of the session.
    pub fn slice(&mut self) -> Result<()> {
        let args = KernelArgs::new().push_u64(self.done).push_u32(STATE_BYTES).push_buffer(&self.state);
        self.session.launch_with_args(&self.module, "train_step", [4, 1, 1], [128, 1, 1], args)?;
        self.session.sync()?;
        self.done += 1;
        Ok(())
    }

    /// The state as it is.
    ///
    /// # Errors
    /// Those of the session.
    pub fn state(&self) -> Result<Vec<u8>> {
        self.session.mem_read(&self.state, 0, STATE_BYTES)
    }

    /// Starts a kernel that waits, and holds its part of the device, until [`Waiting::end`].
    ///
    /// # Errors
    /// Those of the session.
    pub fn wait_on_the_device(&mut self) -> Result<Waiting<'_>> {
        let module = self.session.module_load(WAIT)?;
        let word = self.session.mem_alloc(4)?;
        // A stream of its own: what sets the word must not queue up behind the kernel.
        let stream = self.session.stream_create()?;
        let config = LaunchConfig::new([1; 3], [1; 3]).stream(&stream);
        let args = KernelArgs::new().push_buffer(&word);
        self.session.launch_with_config(&module, "wait_for_word", &config, args)?;
        Ok(Waiting { session: &self.session, word, _stream: stream, _module: module })
    }

    /// Another session on this job's lease.
    #[must_use]
    pub fn another_session(&self) -> GpuSession {
        GpuSession::new(&self.lease)
    }
}

/// A kernel that waits on the device.
pub struct Waiting<'job> {
    session: &'job GpuSession,
    word: GpuMemHandle,
    _stream: GpuStream,
    _module: GpuModule,
}

impl Waiting<'_> {
    /// Lets the kernel go on, and waits for its end.
    ///
    /// # Errors
    /// Those of the session.
    pub fn end(self) -> Result<()> {
        self.set_word()?;
        self.session.sync()
    }

    fn set_word(&self) -> Result<()> {
        self.session.mem_write(&self.word, 0, &1_u32.to_le_bytes())
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        // What is freed next waits for the kernel. If the session has ended, so has the kernel.
        let _ = self.set_word();
    }
}

impl fmt::Debug for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Job").field("name", &self.name).field("done", &self.done).finish_non_exhaustive()
    }
}

impl fmt::Debug for Waiting<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Waiting").finish_non_exhaustive()
    }
}
