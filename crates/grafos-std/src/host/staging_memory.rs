//! [`StagingMemory`]: memory of the program that a [`DeviceSession`](super::DeviceSession) copies from and to;
//! [`PendingCopy`], such a copy on its way.
//!
//! Invariant: while a copy is on its way nobody else can reach the memory.

use std::fmt;
use std::ops::Range;

use super::{DevicePtr, StreamId};
use crate::error::Result;

/// Memory of the program that a device copies from and to while the program goes on.
///
/// The bytes are the program's: they stay where they are and can be read when the session is closed, whatever its
/// end. So a backend pins memory that it owns itself, or keeps alive what it has pinned.
pub trait StagingMemory: fmt::Debug + Send {
    /// The bytes.
    fn bytes(&self) -> &[u8];

    /// The bytes, to be changed.
    fn bytes_mut(&mut self) -> &mut [u8];

    /// Submits a copy from the device into `range` of these bytes. If that fails, the memory is freed.
    ///
    /// # Errors
    /// Those of [`DeviceSession`](super::DeviceSession).
    fn copy_from_device(
        self: Box<Self>,
        stream: StreamId,
        from: DevicePtr,
        range: Range<usize>,
    ) -> Result<Box<dyn PendingCopy>>;

    /// Submits a copy of `range` of these bytes to the device. If that fails, the memory is freed.
    ///
    /// # Errors
    /// Those of [`DeviceSession`](super::DeviceSession).
    fn copy_to_device(
        self: Box<Self>,
        stream: StreamId,
        to: DevicePtr,
        range: Range<usize>,
    ) -> Result<Box<dyn PendingCopy>>;
}

/// A copy on its way. It owns the memory, so that nobody else reads or writes it meanwhile. Dropping it does not
/// wait: the memory is freed when the device is done with it.
pub trait PendingCopy: fmt::Debug + Send {
    /// Whether [`wait`](Self::wait) would not have to wait.
    fn is_done(&self) -> bool;

    /// Waits for the copy and gives the memory back.
    ///
    /// # Errors
    /// Those of [`DeviceSession`](super::DeviceSession); the memory is freed then.
    fn wait(self: Box<Self>) -> Result<Box<dyn StagingMemory>>;
}
