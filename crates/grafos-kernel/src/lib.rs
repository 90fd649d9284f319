//! What a persistent GPU kernel must not lose.
//!
//! [`checkpoint`] turns the state of a kernel (its control block, queues and device memory) into bytes that are
//! verified when they are read, and back; whole, or as the pages that changed. [`persistent`] takes that state from a
//! kernel on a GPU while the kernel goes on, and puts it back on another one.

pub mod checkpoint;
pub mod persistent;
#[cfg(feature = "testing")]
pub mod testing;
