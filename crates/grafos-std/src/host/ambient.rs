//! [`Host`]: the backends of a program, and how the builders find them.

use std::cell::RefCell;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use fabricbios_core::clock::{Clock, SystemClock};
use fabricbios_core::lease::LeaseId;

use super::{BlockHost, GpuHost, LocalGpuHost, LocalHost, MemHost, RevokeOutcome};
use crate::error::{FabricError, Result};

static INSTALLED: OnceLock<Host> = OnceLock::new();
static LOCAL: Mutex<Option<Host>> = Mutex::new(None);

thread_local! {
    static SCOPES: RefCell<Vec<Host>> = const { RefCell::new(Vec::new()) };
}

/// The backends that builders take their resources from. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Host {
    block: Arc<dyn BlockHost>,
    mem: Arc<dyn MemHost>,
    gpu: Arc<dyn GpuHost>,
    clock: Arc<dyn Clock>,
}

impl Host {
    /// A host of the backends that the builder is given; the others are those of this machine.
    #[must_use]
    pub fn builder() -> HostBuilder {
        HostBuilder::default()
    }

    /// Makes this the host of the whole program. For applications, early in `main`; libraries leave it alone.
    ///
    /// # Errors
    /// [`AlreadyInstalled`] the second time: leases of the first host may be out already.
    pub fn install(self) -> Result<(), AlreadyInstalled> {
        INSTALLED.set(self).map_err(|_| AlreadyInstalled)
    }

    /// The host that a builder would use on this thread, now.
    ///
    /// # Errors
    /// Those of [`LocalHost::open`](super::LocalHost::open), when no other host is installed or in scope.
    pub fn current() -> Result<Self> {
        if let Some(scoped) = SCOPES.with_borrow(|scopes| scopes.last().cloned()) {
            return Ok(scoped);
        }
        if let Some(installed) = INSTALLED.get() {
            return Ok(installed.clone());
        }
        let mut local = LOCAL.lock().unwrap_or_else(PoisonError::into_inner);
        if local.is_none() {
            *local = Some(LocalHost::open()?);
        }
        local.clone().ok_or(FabricError::Unsupported { what: "a program without any host" })
    }

    /// Runs `work` with this host in place of the ambient one, on this thread only: threads that `work` starts
    /// choose for themselves. Scopes nest.
    pub fn scope<R>(&self, work: impl FnOnce() -> R) -> R {
        struct LeaveOnDrop;
        impl Drop for LeaveOnDrop {
            fn drop(&mut self) {
                SCOPES.with_borrow_mut(|scopes| scopes.pop());
            }
        }
        SCOPES.with_borrow_mut(|scopes| scopes.push(self.clone()));
        let _leave = LeaveOnDrop;
        work()
    }

    /// Takes a lease of any kind away from its holder, as the owner of the machine may.
    ///
    /// # Errors
    /// Those of the backends; it is unknown then whether the lease was taken.
    pub fn revoke(&self, lease_id: impl Into<LeaseId>) -> Result<RevokeOutcome> {
        let lease_id = lease_id.into();
        // Blocks last: memory and GPUs always know their leases, while a damaged volume hides which one it had.
        let outcome = self.mem.revoke(lease_id)?;
        let outcome = if outcome == RevokeOutcome::NotFound { self.gpu.revoke(lease_id)? } else { outcome };
        if outcome == RevokeOutcome::NotFound { self.block.revoke(lease_id) } else { Ok(outcome) }
    }

    /// The backend for block volumes.
    #[must_use]
    pub fn block_host(&self) -> &Arc<dyn BlockHost> {
        &self.block
    }

    /// The backend for memory.
    #[must_use]
    pub fn mem_host(&self) -> &Arc<dyn MemHost> {
        &self.mem
    }

    /// The backend for GPUs.
    #[must_use]
    pub fn gpu_host(&self) -> &Arc<dyn GpuHost> {
        &self.gpu
    }

    /// The clock that leases of this host are judged by.
    #[must_use]
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }
}

/// Puts a [`Host`] together.
#[derive(Debug, Default)]
pub struct HostBuilder {
    block: Option<Arc<dyn BlockHost>>,
    mem: Option<Arc<dyn MemHost>>,
    gpu: Option<Arc<dyn GpuHost>>,
    clock: Option<Arc<dyn Clock>>,
}

impl HostBuilder {
    /// Takes block volumes from there.
    #[must_use]
    pub fn block(mut self, block: Arc<dyn BlockHost>) -> Self {
        self.block = Some(block);
        self
    }

    /// Takes memory from there.
    #[must_use]
    pub fn mem(mut self, mem: Arc<dyn MemHost>) -> Self {
        self.mem = Some(mem);
        self
    }

    /// Takes GPUs from there.
    #[must_use]
    pub fn gpu(mut self, gpu: Arc<dyn GpuHost>) -> Self {
        self.gpu = Some(gpu);
        self
    }

    /// Judges leases by this clock. A backend that judges deadlines itself must be given the same one.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = Some(clock);
        self
    }

    /// The host. Backends that were not given are this machine's.
    ///
    /// # Errors
    /// Those of [`LocalHost::open`](super::LocalHost::open), when no block backend was given.
    pub fn build(self) -> Result<Host> {
        let clock = self.clock.unwrap_or_else(|| Arc::new(SystemClock));
        let mem = match self.mem {
            Some(mem) => mem,
            None => Arc::new(super::LocalMemHost::default()),
        };
        let (block, gpu) = match (self.block, self.gpu) {
            (Some(block), Some(gpu)) => (block, gpu),
            (Some(block), None) => (block, Self::gpu_of_this_process(&clock)?),
            (None, gpu) => {
                let local = LocalHost::builder().clock(Arc::clone(&clock)).open()?;
                (local.block, gpu.unwrap_or(local.gpu))
            }
        };
        Ok(Host { block, mem, gpu, clock })
    }

    /// A local GPU that other processes know nothing of: without a local home there is no place where they would meet.
    fn gpu_of_this_process(clock: &Arc<dyn Clock>) -> Result<Arc<dyn GpuHost>> {
        Ok(Arc::new(LocalGpuHost::builder().default_clock(clock).build()?))
    }
}

/// A host was installed before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a host is installed already: install once, early in main, before the first lease")]
pub struct AlreadyInstalled;
