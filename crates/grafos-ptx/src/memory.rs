//! [`DeviceMemory`]: the global memory of one device context, which kernels and the host share.
//!
//! Not here: shared, local and parameter memory, which live only as long as a block runs (`exec`).
//!
//! Invariant: an address belongs to at most one allocation, and addresses of freed memory stay unused until the whole
//! address space was handed out once. So a kernel that uses memory after it was freed gets a fault, not somebody
//! else's data.

mod allocation;
mod table;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub(crate) use allocation::{Allocation, Purpose, WideLock, update_bits};
use table::Table;
pub(crate) use table::{GLOBAL_END, GLOBAL_START, Snapshot};

use crate::error::MemoryError;

/// Allocations begin at multiples of this, and are accounted in units of it.
pub(crate) const GRANULE: u64 = 256;
/// How much is copied in one go.
const COPY_BYTES: usize = 64 << 10;

/// The global memory of one device context. All clones are the same memory.
///
/// Fresh memory holds zeros and takes pages of the machine only as they are written. Kernels and the host may use it
/// at the same time; words of 32 bits never tear. Bytes are little-endian, as on a device.
///
/// ```
/// use grafos_ptx::{DeviceMemory, MemoryError};
///
/// let memory = DeviceMemory::new(1 << 20);
/// let address = memory.alloc(1000)?;
/// memory.write(address, b"hello")?;
/// let mut back = [0; 6];
/// memory.read(address, &mut back)?;
/// assert_eq!(&back, b"hello\0");
/// assert_eq!(memory.used_bytes(), 1024, "counted in units of 256 bytes");
///
/// memory.free(address)?;
/// assert_eq!(memory.read(address, &mut back), Err(MemoryError::OutOfBounds { address, bytes: 6 }));
/// # Ok::<(), MemoryError>(())
/// ```
#[derive(Clone, Debug)]
pub struct DeviceMemory {
    table: Arc<Mutex<Table>>,
}

impl DeviceMemory {
    /// An empty memory that holds at most `limit_bytes`.
    #[must_use]
    pub fn new(limit_bytes: u64) -> Self {
        Self { table: Arc::new(Mutex::new(Table::new(limit_bytes))) }
    }

    /// Takes `bytes` bytes of zeros and gives their address, a multiple of 256. An allocation counts as its size
    /// rounded up to 256 bytes, an empty one as 256 bytes.
    ///
    /// # Errors
    /// [`MemoryError::OutOfMemory`] if the limit, or the machine's own memory, does not allow it.
    pub fn alloc(&self, bytes: u64) -> Result<u64, MemoryError> {
        self.alloc_for(bytes, GRANULE, Purpose::Data)
    }

    /// As [`alloc`](Self::alloc), for something that only [`release`](Self::release) frees.
    pub(crate) fn alloc_for(&self, bytes: u64, align: u64, purpose: Purpose) -> Result<u64, MemoryError> {
        // The reservation is made before the pages are asked for, so that the lock is not held meanwhile.
        let (address, accounted) = self.table().reserve(bytes, align)?;
        let allocation = Allocation::zeroed(address, bytes, purpose);
        let mut table = self.table();
        match allocation {
            Some(allocation) => {
                table.insert(allocation);
                Ok(address)
            }
            None => {
                table.unreserve(address, accounted);
                Err(MemoryError::OutOfMemory { requested: bytes, available: table.available_bytes() })
            }
        }
    }

    /// Gives an allocation back. Its bytes are overwritten with zeros, or their pages returned to the operating system,
    /// once no kernel runs that could see them: one that was launched before keeps what it can see to its end.
    ///
    /// # Errors
    /// [`MemoryError::NotAllocated`] if no allocation of [`alloc`](Self::alloc) starts there; variables of a module
    /// are freed with it, not by address.
    pub fn free(&self, address: u64) -> Result<(), MemoryError> {
        // Bound to a name, so that the bytes are cleared after the lock is gone.
        let freed = self.table().remove(address, |purpose| purpose == Purpose::Data);
        freed.map(drop).ok_or(MemoryError::NotAllocated { address })
    }

    /// Frees what `alloc_for` gave.
    pub(crate) fn release(&self, address: u64) {
        let freed = self.table().remove(address, |_| true);
        drop(freed);
    }

    /// Copies bytes out.
    ///
    /// # Errors
    /// [`MemoryError::OutOfBounds`] if the range does not lie within one allocation.
    pub fn read(&self, address: u64, into: &mut [u8]) -> Result<(), MemoryError> {
        let (allocation, offset) = self.find(address, into.len() as u64)?;
        allocation.read(offset, into);
        Ok(())
    }

    /// Copies bytes in.
    ///
    /// # Errors
    /// [`MemoryError::OutOfBounds`] if the range does not lie within one allocation.
    pub fn write(&self, address: u64, from: &[u8]) -> Result<(), MemoryError> {
        let (allocation, offset) = self.find(address, from.len() as u64)?;
        allocation.write(offset, from);
        Ok(())
    }

    /// Copies within the memory. The ranges may overlap.
    ///
    /// # Errors
    /// [`MemoryError::OutOfBounds`] if one of the ranges does not lie within one allocation; nothing was copied.
    pub fn copy(&self, to: u64, from: u64, bytes: u64) -> Result<(), MemoryError> {
        let (target, to_offset) = self.find(to, bytes)?;
        let (source, from_offset) = self.find(from, bytes)?;
        let len = to_len(bytes);
        let mut buffer = vec![0; COPY_BYTES.min(len)];
        let mut move_part = |start: usize| {
            let part = &mut buffer[..COPY_BYTES.min(len - start)];
            source.read(from_offset + start, part);
            target.write(to_offset + start, part);
        };
        let starts = (0..len).step_by(COPY_BYTES);
        // From the end when the target overlaps the source from above: parts are read before they are overwritten.
        if to > from {
            starts.rev().for_each(&mut move_part);
        } else {
            starts.for_each(&mut move_part);
        }
        Ok(())
    }

    /// Sets `bytes` bytes to `byte`.
    ///
    /// # Errors
    /// [`MemoryError::OutOfBounds`] if the range does not lie within one allocation.
    pub fn fill(&self, address: u64, byte: u8, bytes: u64) -> Result<(), MemoryError> {
        let (allocation, offset) = self.find(address, bytes)?;
        allocation.fill(offset, byte, to_len(bytes));
        Ok(())
    }

    /// How many bytes are allocated, each allocation rounded up to 256.
    #[must_use]
    pub fn used_bytes(&self) -> u64 {
        self.table().used_bytes()
    }

    /// How many bytes there are.
    #[must_use]
    pub fn limit_bytes(&self) -> u64 {
        self.table().limit_bytes()
    }

    /// How many allocations live, those of modules for their variables included.
    #[must_use]
    pub fn allocations(&self) -> usize {
        self.table().len()
    }

    /// What a kernel that starts now can see.
    pub(crate) fn snapshot(&self) -> Snapshot {
        self.table().snapshot()
    }

    fn find(&self, address: u64, bytes: u64) -> Result<(Arc<Allocation>, usize), MemoryError> {
        self.table().find(address, bytes).ok_or(MemoryError::OutOfBounds { address, bytes })
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        // The table is never left half changed.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The length of a range that lies within an allocation, and so fits.
fn to_len(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}
