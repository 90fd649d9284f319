//! [`Launch`]: what a caller says about one run of a kernel; [`Interrupt`], how it stops one.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::error::LaunchError;

/// One run of a kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Launch<'a> {
    /// How many blocks, along x, y and z.
    pub grid: [u32; 3],
    /// How many threads a block has, along x, y and z.
    pub block: [u32; 3],
    /// Dynamic shared memory of each block, in bytes.
    pub shared_bytes: u32,
    /// The parameters, laid out as [`ParamLayout`](crate::ParamLayout) says.
    pub params: &'a [u8],
}

/// What a run may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// How many instructions all threads together may execute. None: any number.
    pub instructions: Option<u64>,
    /// Local memory and call frames of one thread, in bytes.
    pub stack_bytes: u32,
    /// What `printf` may write in one launch; the rest is dropped and counted.
    pub print_bytes: usize,
    /// How many processor cores to use. None: all there are.
    pub threads: Option<usize>,
}

impl Default for Limits {
    /// Any number of instructions on all cores, 512 KiB of stack per thread as on a device, 1 MiB of `printf`.
    fn default() -> Self {
        Self { instructions: None, stack_bytes: 512 << 10, print_bytes: 1 << 20, threads: None }
    }
}

/// What a run did, to its end or until it was stopped.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
#[must_use = "whether the kernel ran to its end is in `outcome`"]
pub struct LaunchReport {
    /// Whether the kernel ran to its end.
    pub outcome: Result<(), LaunchError>,
    /// Instructions executed, counted once for each active thread.
    pub thread_instructions: u64,
    /// What the kernel printed, block by block in the order of blocks.
    pub printed: Vec<u8>,
    /// How many bytes of it were dropped for [`Limits::print_bytes`].
    pub print_dropped_bytes: u64,
}

/// Stops kernels. Cheap to clone; all clones are one switch.
///
/// A kernel looks at the switch at every jump backwards and before every block, so it stops within a fraction of a
/// millisecond.
#[derive(Clone, Default)]
pub struct Interrupt {
    stopped: Arc<AtomicBool>,
    probe: Option<Arc<dyn Fn() -> bool + Send + Sync>>,
}

impl Interrupt {
    /// A switch that nobody has touched.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Also stops once `probe` answers true: for deadlines, by a clock of the caller's. It is asked often, about every
    /// tenth of a millisecond, from every core that runs the kernel.
    #[must_use]
    pub fn with_probe(mut self, probe: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        self.probe = Some(Arc::new(probe));
        self
    }

    /// Stops every kernel that runs under this switch, now and from now on.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::Release);
    }

    /// Whether [`stop`](Self::stop) was called or the probe has answered true, as far as it was asked.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }

    /// Asks the probe, if there is one, and remembers its answer.
    pub(crate) fn probe(&self) -> bool {
        if !self.is_stopped() && self.probe.as_ref().is_some_and(|probe| probe()) {
            self.stop();
        }
        self.is_stopped()
    }
}

impl fmt::Debug for Interrupt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Interrupt").field("is_stopped", &self.is_stopped()).finish_non_exhaustive()
    }
}
