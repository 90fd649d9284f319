//! [`Region`]: a piece of a kernel's state with a name, where it lies, and where snapshots of it lie.

use std::fmt;

use grafos_std::gpu::GpuMemHandle;

use super::queue::Queue;
use crate::checkpoint::{ChunkLabel, ChunkType};

/// The names of what has none.
pub(super) const CONTROL: &str = "ControlBlock";
pub(super) const H2K: &str = "H2KQueue";
pub(super) const K2H: &str = "K2HQueue";

/// What a region is, before there is memory for it.
#[derive(Clone, Debug)]
pub(super) struct Description {
    pub(super) label: ChunkLabel,
    pub(super) name: String,
    pub(super) len_bytes: u64,
    pub(super) queue: Option<Queue>,
}

impl Description {
    pub(super) fn new(label: ChunkLabel, len_bytes: u64) -> Self {
        let name = name_of(&label);
        Self { label, name, len_bytes, queue: None }
    }

    pub(super) fn queue(chunk_type: ChunkType, queue: Queue) -> Self {
        Self { queue: Some(queue), ..Self::new(ChunkLabel::of(chunk_type), queue.len_bytes()) }
    }
}

pub(super) struct Region {
    pub(super) label: ChunkLabel,
    pub(super) name: String,
    pub(super) queue: Option<Queue>,
    pub(super) memory: GpuMemHandle,
    /// The copy that a snapshot makes.
    pub(super) shadow: GpuMemHandle,
}

impl Region {
    pub(super) fn len_bytes(&self) -> u64 {
        self.memory.len_bytes()
    }

    /// Whether a chunk is of this region. In version 1 of the format names are their hashes.
    pub(super) fn is_of(&self, chunk: &ChunkLabel) -> bool {
        let is_named = chunk.name.is_none() || chunk.name == self.label.name;
        chunk.chunk_type == self.label.chunk_type && chunk.chunk_id == self.label.chunk_id && is_named
    }
}

impl fmt::Debug for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Region")
            .field("name", &self.name)
            .field("len_bytes", &self.len_bytes())
            .finish_non_exhaustive()
    }
}

/// How people call a chunk.
pub(super) fn name_of(label: &ChunkLabel) -> String {
    match (&label.name, label.kind()) {
        (Some(name), _) => name.clone(),
        (None, Some(kind)) if label.chunk_id == 0 => format!("{kind:?}"),
        (None, Some(kind)) => format!("{kind:?} {:016x}", label.chunk_id),
        (None, None) => format!("type {} {:016x}", label.chunk_type, label.chunk_id),
    }
}
