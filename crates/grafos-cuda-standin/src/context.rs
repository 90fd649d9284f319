//! [`Context`]: what belongs together on a device: memory, a default stream, the first fault.

use std::sync::Arc;

use grafos_ptx::DeviceMemory;

use crate::stream::{StickyFault, Stream};

/// Names a context; its handle is the same number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ContextId(pub(crate) usize);

/// A context.
pub(crate) struct Context {
    pub(crate) id: ContextId,
    pub(crate) device: i32,
    pub(crate) memory: DeviceMemory,
    pub(crate) fault: Arc<StickyFault>,
    /// The stream with the handle null.
    pub(crate) default_stream: Arc<Stream>,
}

impl Context {
    pub(crate) fn new(id: ContextId, device: i32, memory_bytes: u64, fault: Arc<StickyFault>) -> Self {
        let default_stream = Arc::new(Stream::new(id, Arc::clone(&fault)));
        Self { id, device, memory: DeviceMemory::new(memory_bytes), fault, default_stream }
    }
}
