//! Memory of the device, host memory that it copies from and to, and the copies. Every copy is asynchronous.

use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::ops::Range;
use std::ptr::NonNull;
use std::slice;

use super::{Bound, Stream, call, checked};
use crate::code::{CudaError, INVALID_VALUE};

/// Pages are locked whole.
const PAGE_BYTES: usize = 4096;

/// Host memory of our own, in whole pages, so that it can be page-locked and outlives any context.
///
/// While a copy is under way nobody but the device touches the bytes: whoever submits one gives the memory away until
/// the copy is known to be done. That is what the users of [`Bound::copy_in`] and [`Bound::copy_out`] keep.
#[derive(Debug)]
pub(crate) struct HostMemory {
    place: NonNull<u8>,
    layout: Layout,
    len: usize,
}

// SAFETY: it owns its memory; access is by `&` and `&mut` as with a `Vec`.
unsafe impl Send for HostMemory {}
// SAFETY: as above.
unsafe impl Sync for HostMemory {}

impl HostMemory {
    /// So many zeroed bytes, at least one; `None` if there is no memory.
    pub(crate) fn new(len: usize) -> Option<Self> {
        let bytes = len.max(1).checked_next_multiple_of(PAGE_BYTES)?;
        let layout = Layout::from_size_align(bytes, PAGE_BYTES).ok()?;
        // SAFETY: the layout has at least one page.
        let place = NonNull::new(unsafe { alloc_zeroed(layout) })?;
        Some(Self { place, layout, len })
    }

    /// How many bytes can be used.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Where it begins: what names it while it is page-locked.
    pub(crate) fn address(&self) -> usize {
        self.place.addr().get()
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        // SAFETY: `len` initialized bytes of ours, borrowed like `self`; no copy is under way (see the type).
        unsafe { slice::from_raw_parts(self.place.as_ptr(), self.len) }
    }

    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above, and `self` is borrowed for us alone.
        unsafe { slice::from_raw_parts_mut(self.place.as_ptr(), self.len) }
    }
}

impl Drop for HostMemory {
    fn drop(&mut self) {
        // SAFETY: it was allocated with this layout, and is freed once.
        unsafe { dealloc(self.place.as_ptr(), self.layout) }
    }
}

impl Bound<'_> {
    /// Allocates memory of the device. What it holds is unknown.
    pub(crate) fn alloc(&self, bytes: u64) -> Result<u64, CudaError> {
        let mut address = 0;
        let len = to_usize("cuMemAlloc_v2", bytes)?;
        // SAFETY: the pointer is to a number of ours.
        unsafe { call!(self.driver, cuMemAlloc_v2(&raw mut address, len)) }?;
        Ok(address)
    }

    /// Frees memory of the device. A wrong address is an error of the driver's.
    pub(crate) fn free(&self, address: u64) -> Result<(), CudaError> {
        // SAFETY: the driver looks addresses up in its own tables.
        unsafe { call!(self.driver, cuMemFree_v2(address)) }
    }

    /// Locks host memory in its pages, so that copies of it are fast and really asynchronous.
    pub(crate) fn register(&self, memory: &HostMemory) -> Result<(), CudaError> {
        let (place, len) = (memory.place.as_ptr().cast(), memory.layout.size());
        // SAFETY: whole pages of ours. Their owner unregisters them before it frees them, or does not free them.
        unsafe { call!(self.driver, cuMemHostRegister_v2(place, len, 0)) }
    }

    /// Ends what [`register`](Self::register) began, for the memory that starts at `address`.
    pub(crate) fn unregister(&self, address: usize) -> Result<(), CudaError> {
        // SAFETY: it only ends a registration; if there is none at this address, that is an error of the driver's.
        unsafe { call!(self.driver, cuMemHostUnregister(std::ptr::without_provenance_mut(address))) }
    }

    /// Submits a copy of `range` of `from` to the device. Until it is done, nobody touches `from` and nobody frees it.
    ///
    /// # Safety
    /// `from` stays where it is until the stream has come past this copy, or the context is destroyed.
    pub(crate) unsafe fn copy_in(
        &self,
        stream: &Stream,
        to: u64,
        from: &HostMemory,
        range: Range<usize>,
    ) -> Result<(), CudaError> {
        self.check("cuMemcpyHtoDAsync_v2", stream.context)?;
        let bytes =
            from.bytes().get(range).ok_or(CudaError { call: "cuMemcpyHtoDAsync_v2", code: INVALID_VALUE })?;
        // SAFETY: `bytes` are readable, and stay so until the copy is done, as the caller promises.
        unsafe {
            call!(self.driver, cuMemcpyHtoDAsync_v2(to, bytes.as_ptr().cast(), bytes.len(), stream.raw))
        }
    }

    /// Submits a copy from the device into `range` of `to`. Until it is done, nobody touches `to` and nobody frees it.
    ///
    /// # Safety
    /// `to` stays where it is until the stream has come past this copy, or the context is destroyed.
    pub(crate) unsafe fn copy_out(
        &self,
        stream: &Stream,
        from: u64,
        to: &mut HostMemory,
        range: Range<usize>,
    ) -> Result<(), CudaError> {
        self.check("cuMemcpyDtoHAsync_v2", stream.context)?;
        let bytes = to.bytes_mut().get_mut(range);
        let bytes = bytes.ok_or(CudaError { call: "cuMemcpyDtoHAsync_v2", code: INVALID_VALUE })?;
        // SAFETY: `bytes` are writable, and stay so until the copy is done, as the caller promises.
        unsafe {
            call!(self.driver, cuMemcpyDtoHAsync_v2(bytes.as_mut_ptr().cast(), from, bytes.len(), stream.raw))
        }
    }

    /// Submits a copy within the device.
    pub(crate) fn copy(&self, stream: &Stream, to: u64, from: u64, bytes: u64) -> Result<(), CudaError> {
        self.check("cuMemcpyDtoDAsync_v2", stream.context)?;
        let len = to_usize("cuMemcpyDtoDAsync_v2", bytes)?;
        // SAFETY: both addresses are the device's business; the stream is alive and of this context.
        unsafe { call!(self.driver, cuMemcpyDtoDAsync_v2(to, from, len, stream.raw)) }
    }

    /// Submits setting each of `bytes` bytes.
    pub(crate) fn fill(&self, stream: &Stream, to: u64, byte: u8, bytes: u64) -> Result<(), CudaError> {
        self.check("cuMemsetD8Async", stream.context)?;
        let len = to_usize("cuMemsetD8Async", bytes)?;
        // SAFETY: the address is the device's business; the stream is alive and of this context.
        unsafe { call!(self.driver, cuMemsetD8Async(to, byte, len, stream.raw)) }
    }
}

fn to_usize(call: &'static str, bytes: u64) -> Result<usize, CudaError> {
    usize::try_from(bytes).map_err(|_| CudaError { call, code: INVALID_VALUE })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_memory_is_zeroed_whole_pages_of_the_asked_length() {
        for len in [1, 4095, 4096, 4097, 1 << 20] {
            let mut memory = HostMemory::new(len).unwrap();
            assert_eq!(memory.len(), len);
            assert_eq!(memory.address() % PAGE_BYTES, 0);
            assert!(memory.layout.size().is_multiple_of(PAGE_BYTES) && memory.layout.size() >= len);
            assert!(memory.bytes().iter().all(|byte| *byte == 0));
            memory.bytes_mut().fill(7);
            assert_eq!(memory.bytes()[len - 1], 7);
        }
        assert!(HostMemory::new(usize::MAX).is_none());
    }
}
