//! [`StagingBuffer`]: memory of the program that the device copies from and to; [`GpuCopy`], such a copy on its way.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use super::open_session::{OpenSession, Owned, What};
use crate::error::{FabricError, Result};
use crate::host::{PendingCopy, StagingMemory};

/// Memory of the program that the device copies from and to at full speed, while the program does something else.
///
/// It reads and writes like a slice of bytes. It outlives its session, and can be copied to and from in that session
/// only.
///
/// ```
/// use grafos_std::gpu::{GpuBuilder, GpuSession};
/// # let home = tempfile::tempdir()?;
/// # let host = grafos_std::host::LocalHost::builder().home(home.path()).open()?;
/// # host.scope(|| -> grafos_std::Result<()> {
///
/// let lease = GpuBuilder::new().acquire()?;
/// let mut session = GpuSession::new(&lease);
/// let memory = session.mem_alloc(3)?;
/// session.mem_write(&memory, 0, b"abc")?;
///
/// let stream = session.stream_create()?;
/// let staging = session.staging_alloc(16)?;
/// let copy = session.copy_to_staging(&stream, &memory, 0, staging, 3)?;
/// // … the program goes on …
/// let staging = copy.wait()?;
/// assert_eq!(staging[..3], *b"abc");
/// # Ok(()) })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct StagingBuffer {
    owned: Owned,
    memory: Box<dyn StagingMemory>,
}

impl StagingBuffer {
    pub(super) fn new(session: &Arc<OpenSession>, memory: Box<dyn StagingMemory>) -> Self {
        Self { owned: Owned::new(session, What::Staging), memory }
    }

    /// The memory, if it is of this session and has room for `len` bytes.
    pub(super) fn into_memory(
        self,
        session: &Arc<OpenSession>,
        len: usize,
    ) -> Result<Box<dyn StagingMemory>> {
        self.owned.check(session)?;
        crate::block::at_least_one("bytes to copy", len as u64)?;
        if len > self.len() {
            return Err(FabricError::CapacityExceeded {
                what: "bytes of a staging buffer",
                requested: len as u64,
                available: self.len() as u64,
            });
        }
        Ok(self.memory)
    }
}

impl Deref for StagingBuffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.memory.bytes()
    }
}

impl DerefMut for StagingBuffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        self.memory.bytes_mut()
    }
}

impl fmt::Debug for StagingBuffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StagingBuffer").field("len", &self.len()).finish_non_exhaustive()
    }
}

/// A copy between device memory and a staging buffer, on its way. Dropping it does not wait; the buffer is freed when
/// the device is done with it.
#[derive(Debug)]
#[must_use = "the buffer comes back from `wait`"]
pub struct GpuCopy {
    session: Arc<OpenSession>,
    pending: Box<dyn PendingCopy>,
}

impl GpuCopy {
    pub(super) fn new(session: Arc<OpenSession>, pending: Box<dyn PendingCopy>) -> Self {
        Self { session, pending }
    }

    /// Whether [`wait`](Self::wait) would return at once.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.pending.is_done()
    }

    /// Waits for the copy and gives the buffer back.
    ///
    /// # Errors
    /// Those of [`GpuSession`](super::GpuSession); the buffer is freed then.
    pub fn wait(self) -> Result<StagingBuffer> {
        let Self { session, pending } = self;
        let memory = session.run(|_| pending.wait())?;
        Ok(StagingBuffer::new(&session, memory))
    }
}
