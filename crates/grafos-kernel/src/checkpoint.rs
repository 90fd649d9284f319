//! Kernel checkpoints: the whole state of a persistent kernel, or what changed of it, as bytes that are verified when
//! they are read; and where they are kept.
//!
//! The names are those of RingKernel's `checkpoint` module. Its files, version 1, are read and written; what this crate
//! writes unless it is asked for that is version 2 (`docs/kernel-checkpoint-format.md`): each chunk can be compressed,
//! each segment of 1 MiB has a BLAKE3 digest, regions are found by name, a file may be larger than 1 GiB and is written
//! as a stream ([`CheckpointWriter`]) and read chunk by chunk ([`CheckpointReader`]).
//!
//! ```
//! use grafos_kernel::checkpoint::{Checkpoint, CheckpointBuilder, ChunkType};
//!
//! let full = CheckpointBuilder::new("sim-1", "fdtd_3d").step(1000).control_block(vec![1; 256]).build();
//! let bytes = full.to_bytes();
//! let again = Checkpoint::from_bytes(&bytes)?;
//! assert_eq!(again.get_chunk(ChunkType::ControlBlock).unwrap().data, vec![1; 256]);
//!
//! // What was damaged is never taken for a checkpoint.
//! let mut damaged = bytes.clone();
//! damaged[5000] ^= 1;
//! assert!(Checkpoint::from_bytes(&damaged).is_err());
//! # Ok::<(), grafos_kernel::checkpoint::CheckpointError>(())
//! ```
//!
//! Invariant: no bytes make this module panic, allocate more than [`Limits`] say, or hand out data that was not
//! verified.

mod builder;
mod bytes;
mod chain;
mod chunk;
mod compression;
mod delta;
mod digest;
mod encode;
mod error;
mod footer;
mod header;
mod hlc;
mod index;
mod kernel;
mod limits;
mod manager;
mod metadata;
mod options;
mod pages;
mod parallel;
mod read_at;
mod reader;
mod recipe;
mod storage;
mod v1;
mod v1_delta;
mod v2;
mod writer;

pub use builder::CheckpointBuilder;
pub use chain::CheckpointChain;
pub use chunk::{ChunkHeader, ChunkLabel, ChunkType, DataChunk, region_id};
pub use compression::Compression;
pub use delta::{DELTA_PARENT_DIGEST_KEY, DeltaInfo, DeltaOptions};
pub use digest::{Digest, SEGMENT_BYTES};
pub use error::{CheckpointError, Kind, Part};
pub use header::{
    CHECKPOINT_MAGIC, CHECKPOINT_VERSION, CHECKPOINT_VERSION_1, CheckpointHeader, MAX_CHECKPOINT_SIZE,
};
pub use hlc::HlcTimestamp;
pub use index::{ChunkInfo, SegmentInfo};
pub use kernel::CheckpointableKernel;
pub use limits::Limits;
pub use manager::{
    CheckpointConfig, CheckpointManager, LatestCheckpoint, ManagerError, SetAside, SnapshotOutcome,
    SnapshotRequest, SnapshotResponse,
};
pub use metadata::CheckpointMetadata;
pub use options::WriteOptions;
pub use read_at::{ReadAt, Seekable};
pub use reader::CheckpointReader;
#[cfg(feature = "replicated")]
pub use storage::ReplicatedStorage;
pub use storage::{
    CheckpointStorage, FileStorage, MAX_STORED_NAME_BYTES, MemoryStorage, NameProblem, StorageError,
    StoredCheckpoint, StreamError,
};
pub use writer::{CheckpointWriter, ChunkWriter, Written};

use options::default_threads;

/// The state of a kernel, or a delta, in memory.
///
/// See [`CheckpointBuilder`] for an example.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// What the file said that it was read from; of a new one only `created_at` has a meaning.
    pub header: CheckpointHeader,
    /// Whose state it is.
    pub metadata: CheckpointMetadata,
    /// The state.
    pub chunks: Vec<DataChunk>,
}

impl Checkpoint {
    /// A checkpoint without state, that is made now.
    #[must_use]
    pub fn new(metadata: CheckpointMetadata) -> Self {
        Self { header: CheckpointHeader::new(0, 0), metadata, chunks: Vec::new() }
    }

    /// Appends a chunk.
    pub fn add_chunk(&mut self, chunk: DataChunk) {
        self.chunks.push(chunk);
    }

    /// Appends the control block.
    pub fn add_control_block(&mut self, data: Vec<u8>) {
        self.add_chunk(DataChunk::new(ChunkType::ControlBlock, data));
    }

    /// Appends the queue from host to kernel.
    pub fn add_h2k_queue(&mut self, data: Vec<u8>) {
        self.add_chunk(DataChunk::new(ChunkType::H2KQueue, data));
    }

    /// Appends the queue from kernel to host.
    pub fn add_k2h_queue(&mut self, data: Vec<u8>) {
        self.add_chunk(DataChunk::new(ChunkType::K2HQueue, data));
    }

    /// Appends the state of the hybrid logical clock.
    pub fn add_hlc_state(&mut self, data: Vec<u8>) {
        self.add_chunk(DataChunk::new(ChunkType::HlcState, data));
    }

    /// Appends a region of device memory.
    pub fn add_device_memory(&mut self, name: &str, data: Vec<u8>) {
        self.add_chunk(DataChunk::region(name, data));
    }

    /// The first chunk of this type.
    #[must_use]
    pub fn get_chunk(&self, chunk_type: ChunkType) -> Option<&DataChunk> {
        self.chunks.iter().find(|chunk| chunk.chunk_type() == Some(chunk_type))
    }

    /// All chunks of this type, in order.
    #[must_use]
    pub fn get_chunks(&self, chunk_type: ChunkType) -> Vec<&DataChunk> {
        self.chunks.iter().filter(|chunk| chunk.chunk_type() == Some(chunk_type)).collect()
    }

    /// The region of device memory with this name. In a checkpoint of version 1 it is found by the hash of its name.
    ///
    /// # Errors
    ///
    /// [`NameCollision`](CheckpointError::NameCollision) if another name has the same hash.
    pub fn region(&self, name: &str) -> Result<Option<&DataChunk>, CheckpointError> {
        let id = region_id(name);
        for chunk in &self.chunks {
            if chunk.label().is_region(name, id)? {
                return Ok(Some(chunk));
            }
        }
        Ok(None)
    }

    /// Full, or a delta: that is, whether the metadata names a parent.
    #[must_use]
    pub fn kind(&self) -> Kind {
        reader::kind_of(&self.metadata)
    }

    /// How long [`to_bytes`](Self::to_bytes) will be.
    #[must_use]
    pub fn total_size(&self) -> usize {
        bytes::usize_of(encode::raw_bytes(self, &WriteOptions::new()))
    }

    /// The bytes of the checkpoint in version 2, with the default [`WriteOptions`].
    ///
    /// A text of 4 GiB or more, a chunk of a delta in a full checkpoint, and a machine without memory give no bytes at
    /// all, which no reader takes for a checkpoint; [`encode`](Self::encode) says which it is.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        self.encode(&WriteOptions::new()).unwrap_or_default()
    }

    /// The bytes of the checkpoint in version 2. They depend on nothing but the checkpoint and the options.
    ///
    /// # Errors
    ///
    /// [`InvalidOption`](CheckpointError::InvalidOption), [`TooLarge`](CheckpointError::TooLarge) for a text of 4 GiB
    /// or more, [`WrongKind`](CheckpointError::WrongKind) for a chunk with a flag of deltas in a full checkpoint,
    /// [`OutOfMemory`](CheckpointError::OutOfMemory).
    pub fn encode(&self, options: &WriteOptions) -> Result<Vec<u8>, CheckpointError> {
        let mut bytes = Vec::new();
        self.encode_into(&mut bytes, options)?;
        Ok(bytes)
    }

    /// As [`encode`](Self::encode), into a buffer that is used again: its old bytes are gone. Memory that was never
    /// touched is several times slower than memory that was.
    ///
    /// # Errors
    ///
    /// As [`encode`](Self::encode).
    pub fn encode_into(&self, into: &mut Vec<u8>, options: &WriteOptions) -> Result<(), CheckpointError> {
        encode::encode_into(self, into, options)
    }

    /// Writes the checkpoint in version 2 to a sink, the same bytes as [`encode`](Self::encode) makes, without holding
    /// them.
    ///
    /// # Errors
    ///
    /// As [`encode`](Self::encode), and [`Write`](CheckpointError::Write).
    pub fn write_to(
        &self,
        sink: impl std::io::Write,
        options: &WriteOptions,
    ) -> Result<Written, CheckpointError> {
        let mut writer =
            CheckpointWriter::with_created_at(sink, &self.metadata, options, self.header.created_at)?;
        for chunk in &self.chunks {
            writer.chunk(chunk.label(), &chunk.data)?;
        }
        writer.finish().map(|(_, written)| written)
    }

    /// The bytes of the checkpoint in version 1, which RingKernel reads.
    ///
    /// # Errors
    ///
    /// [`NotInVersion1`](CheckpointError::NotInVersion1) for more than [`MAX_CHECKPOINT_SIZE`], and for a delta of this
    /// crate. The names of regions are not kept, only their hashes.
    pub fn to_bytes_v1(&self) -> Result<Vec<u8>, CheckpointError> {
        v1::encode(self)
    }

    /// The checkpoint that the bytes are of, in either version, under the default [`Limits`]. Every byte is checked.
    ///
    /// # Errors
    ///
    /// As [`CheckpointReader::open_with`] and [`CheckpointReader::read_all`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, CheckpointError> {
        Self::decode(bytes, &Limits::default())
    }

    /// As [`from_bytes`](Self::from_bytes), under other limits.
    ///
    /// # Errors
    ///
    /// As [`from_bytes`](Self::from_bytes).
    pub fn decode(bytes: &[u8], limits: &Limits) -> Result<Self, CheckpointError> {
        CheckpointReader::open_with(bytes, limits)?.read_all()
    }

    /// The digest of the chunks, metadata left aside, as 64 hexadecimal digits: see [`contents`](Self::contents).
    #[must_use]
    pub fn content_digest(&self) -> String {
        self.contents().to_string()
    }

    /// The digest of the chunks, metadata left aside: types, flags, ids, names, data and order. It is the same however
    /// they are stored.
    #[must_use]
    pub fn contents(&self) -> Digest {
        self.contents_with(default_threads())
    }

    fn contents_with(&self, threads: usize) -> Digest {
        encode::contents(self, threads)
    }

    /// What differs in `new` from `base`, in pages of 4096 bytes: both must be full, see [`DeltaOptions::between`], which
    /// checks it. The delta of a delta can't be applied.
    ///
    /// The metadata is that of `new`, and names the digest of `base` under [`DELTA_PARENT_DIGEST_KEY`].
    #[must_use]
    pub fn delta_from(base: &Self, new: &Self) -> Self {
        DeltaOptions::new().make(base, new)
    }

    /// What a delta of [`delta_from`](Self::delta_from), or one of RingKernel's, makes of its parent.
    ///
    /// # Errors
    ///
    /// [`WrongKind`](CheckpointError::WrongKind), [`NoParent`](CheckpointError::NoParent),
    /// [`ParentMismatch`](CheckpointError::ParentMismatch), [`MalformedDelta`](CheckpointError::MalformedDelta),
    /// [`Truncated`](CheckpointError::Truncated), [`ResultMismatch`](CheckpointError::ResultMismatch).
    pub fn applied_with_delta(base: &Self, delta: &Self) -> Result<Self, CheckpointError> {
        delta::apply(base, delta)
    }

    /// What a delta says of itself; `None` if the checkpoint is full.
    ///
    /// # Errors
    ///
    /// [`NoParent`](CheckpointError::NoParent), [`MalformedDelta`](CheckpointError::MalformedDelta),
    /// [`Truncated`](CheckpointError::Truncated).
    pub fn delta_info(&self) -> Result<Option<DeltaInfo>, CheckpointError> {
        if self.kind() == Kind::Full {
            return Ok(None);
        }
        let recipe = self.chunks.first().filter(|chunk| delta::is_recipe(chunk.header.flags));
        DeltaInfo::of(&self.metadata, recipe.map(|chunk| chunk.data.as_slice())).map(Some)
    }
}
