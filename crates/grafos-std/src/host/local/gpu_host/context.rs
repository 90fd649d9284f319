//! [`Context`]: what all sessions on one local device share: its limits, where kernels print, the count of launches.

use std::fmt;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use grafos_ptx::Limits;

use crate::gpu::GpuDeviceInfo;

/// Where the output of kernels goes.
pub(super) type Print = Arc<dyn Fn(&[u8]) + Send + Sync>;

pub(super) struct Context {
    info: GpuDeviceInfo,
    limits: Limits,
    print: Option<Print>,
    /// Shared by all devices of the host.
    launches: Arc<AtomicU64>,
}

impl Context {
    pub(super) fn new(
        info: GpuDeviceInfo,
        limits: Limits,
        print: Option<Print>,
        launches: &Arc<AtomicU64>,
    ) -> Self {
        Self { info, limits, print, launches: Arc::clone(launches) }
    }

    /// The device, with the limits of a launch.
    pub(super) fn limits(&self) -> &GpuDeviceInfo {
        &self.info
    }

    /// What a kernel may use while it runs.
    pub(super) fn run_limits(&self) -> &Limits {
        &self.limits
    }

    pub(super) fn count_launch(&self) {
        self.launches.fetch_add(1, Ordering::SeqCst);
    }

    /// Passes on what a kernel has printed: to standard output, as on a device, if nothing else was said.
    pub(super) fn print(&self, printed: &[u8], dropped_bytes: u64) {
        if dropped_bytes > 0 {
            tracing::warn!(dropped_bytes, "a kernel printed more than is kept of one launch");
        }
        if printed.is_empty() {
            return;
        }
        match &self.print {
            Some(print) => print(printed),
            None => {
                let mut out = std::io::stdout().lock();
                if let Err(error) = out.write_all(printed).and_then(|()| out.flush()) {
                    tracing::debug!(%error, "what a kernel printed is lost");
                }
            }
        }
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context").field("info", &self.info).finish_non_exhaustive()
    }
}
