//! Deltas: a checkpoint that holds what differs from another one, its parent.
//!
//! A delta is a [`Checkpoint`] whose metadata names the digest of its parent's contents. Its first chunk is the recipe
//! (see `recipe.rs`); the others are new chunks, or the changed pages of old ones (see `pages.rs`).
//!
//! Invariant: what a delta makes has the digest that it was made with, or it is not handed out.

use std::collections::HashMap;

use super::chunk::{ChunkLabel, ChunkType, DataChunk, FLAG_PAGES, FLAG_RECIPE, OUR_FLAGS};
use super::digest::Digest;
use super::error::{CheckpointError, Kind};
use super::metadata::CheckpointMetadata;
use super::options::default_threads;
use super::pages::{self, Diff, Patch};
use super::recipe::{Recipe, Step, is_page_size};
use super::{Checkpoint, v1_delta};

/// The key of the metadata under which a delta names the digest of its parent's contents.
pub const DELTA_PARENT_DIGEST_KEY: &str = "ringkernel.delta.parent_digest";

/// How a delta is made.
///
/// ```
/// use grafos_kernel::checkpoint::{Checkpoint, CheckpointBuilder, DeltaOptions};
///
/// let step = |step, byte| {
///     let mut field = vec![0; 1 << 20];
///     field[70_000] = byte;
///     CheckpointBuilder::new("sim-1", "fdtd_3d").step(step).device_memory("pressure", field).build()
/// };
/// let (old, new) = (step(1, 1), step(2, 2));
/// let delta = DeltaOptions::new().page_bytes(16 << 10).between(&old, &new)?;
/// assert!(delta.chunks[1].data.len() < 17 << 10);
/// let again = Checkpoint::applied_with_delta(&old, &delta)?;
/// assert_eq!((again.metadata, again.chunks), (new.metadata, new.chunks));
/// # Ok::<(), grafos_kernel::checkpoint::CheckpointError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeltaOptions {
    page_bytes: u32,
    threads: usize,
    parent: Option<Digest>,
}

impl DeltaOptions {
    /// The smallest page in bytes.
    pub const MIN_PAGE_BYTES: u32 = 512;
    /// The largest page in bytes.
    pub const MAX_PAGE_BYTES: u32 = 1 << 20;

    /// Pages of 4096 bytes, as many threads as the machine has, at most 8.
    #[must_use]
    pub fn new() -> Self {
        Self { page_bytes: 4096, threads: default_threads(), parent: None }
    }

    /// What is compared and stored as one: a power of two from [`MIN_PAGE_BYTES`](Self::MIN_PAGE_BYTES) to
    /// [`MAX_PAGE_BYTES`](Self::MAX_PAGE_BYTES).
    #[must_use]
    pub fn page_bytes(mut self, bytes: u32) -> Self {
        self.page_bytes = bytes;
        self
    }

    /// Compare and hash on so many threads; 0 counts as 1: the caller's own.
    #[must_use]
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = threads.max(1);
        self
    }

    /// The digest of the parent's contents, where it is known ([`Written`](super::Written) has it), so that the parent
    /// need not be hashed again. A wrong one makes a delta that can't be applied.
    #[must_use]
    pub fn parent(mut self, contents: Digest) -> Self {
        self.parent = Some(contents);
        self
    }

    /// What differs in `new` from `parent`.
    ///
    /// # Errors
    ///
    /// [`InvalidOption`](CheckpointError::InvalidOption) for the size of a page;
    /// [`WrongKind`](CheckpointError::WrongKind) if one of them is a delta.
    pub fn between(&self, parent: &Checkpoint, new: &Checkpoint) -> Result<Checkpoint, CheckpointError> {
        if !is_page_size(self.page_bytes) {
            return Err(CheckpointError::InvalidOption {
                option: "page_bytes (a power of two)",
                least: u64::from(Self::MIN_PAGE_BYTES),
                most: u64::from(Self::MAX_PAGE_BYTES),
                found: u64::from(self.page_bytes),
            });
        }
        must_be(Kind::Full, parent)?;
        must_be(Kind::Full, new)?;
        Ok(self.make(parent, new))
    }

    pub(super) fn make(&self, parent: &Checkpoint, new: &Checkpoint) -> Checkpoint {
        let mut steps = Vec::with_capacity(new.chunks.len());
        let mut chunks = vec![DataChunk::labelled(recipe_label(), Vec::new())];
        let matches = matches(&parent.chunks, &new.chunks);
        for (chunk, old) in new.chunks.iter().zip(matches) {
            let Some((parent_index, old)) = old else {
                steps.push(Step::Whole { parent: None });
                chunks.push(chunk.clone());
                continue;
            };
            match pages::diff(&old.data, &chunk.data, self.page_bytes, self.threads) {
                Diff::Same => steps.push(Step::Keep { parent: parent_index }),
                Diff::Pages(patch) => {
                    steps.push(Step::Pages { parent: parent_index });
                    let mut label = chunk.label();
                    label.flags |= FLAG_PAGES;
                    chunks.push(DataChunk::labelled(label, patch));
                }
                Diff::Whole => {
                    steps.push(Step::Whole { parent: Some(parent_index) });
                    chunks.push(chunk.clone());
                }
            }
        }
        let recipe = Recipe {
            page_bytes: self.page_bytes,
            parent_chunks: super::bytes::count_of(parent.chunks.len()),
            result: new.contents_with(self.threads),
            steps,
        };
        chunks[0] = DataChunk::labelled(recipe_label(), recipe.to_bytes());
        let contents = self.parent.unwrap_or_else(|| parent.contents_with(self.threads));
        let metadata = new.metadata.clone().with_custom(DELTA_PARENT_DIGEST_KEY, contents.to_string());
        Checkpoint { header: new.header, metadata, chunks }
    }
}

impl Default for DeltaOptions {
    fn default() -> Self {
        Self::new()
    }
}

/// What a delta says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeltaInfo {
    /// The digest of the parent's contents, as the metadata has it: 64 hexadecimal digits, or the 8 of a CRC-32 in
    /// RingKernel's deltas.
    pub parent: String,
    /// The digest of the contents that it makes; RingKernel's deltas have none.
    pub result: Option<Digest>,
    /// The size of a page in bytes; 0 if it has whole chunks only.
    pub page_bytes: u32,
    /// How many chunks stay as they are, have pages that change, are new or replaced, and are deleted.
    pub kept: usize,
    /// Chunks of which some pages change.
    pub patched: usize,
    /// Chunks that are new, or replaced whole.
    pub whole: usize,
    /// Chunks of the parent that are not there any more.
    pub deleted: usize,
}

impl DeltaInfo {
    /// Of the metadata and the first chunk, if that is a recipe.
    pub(super) fn of(metadata: &CheckpointMetadata, recipe: Option<&[u8]>) -> Result<Self, CheckpointError> {
        let parent = parent_of(metadata)?.to_owned();
        let Some(recipe) = recipe else {
            v1_delta::check_parent(&parent)?;
            return Ok(Self {
                parent,
                result: None,
                page_bytes: 0,
                kept: 0,
                patched: 0,
                whole: 0,
                deleted: 0,
            });
        };
        let recipe = Recipe::parse(recipe)?;
        let count = |wanted: fn(&Step) -> bool| recipe.steps.iter().filter(|step| wanted(step)).count();
        Ok(Self {
            parent,
            result: Some(recipe.result),
            page_bytes: recipe.page_bytes,
            kept: count(|step| matches!(step, Step::Keep { .. })),
            patched: count(|step| matches!(step, Step::Pages { .. })),
            whole: count(|step| matches!(step, Step::Whole { .. })),
            deleted: recipe.deleted(),
        })
    }
}

/// What is known of a checkpoint without its data: enough to tell whether a delta fits it.
#[derive(Clone, Debug)]
pub(super) struct Outline {
    pub(super) contents: Digest,
    /// How long each chunk is.
    pub(super) lens: Vec<u64>,
}

impl Outline {
    pub(super) fn of(checkpoint: &Checkpoint, threads: usize) -> Self {
        let lens = checkpoint.chunks.iter().map(|chunk| chunk.data.len() as u64).collect();
        Self { contents: checkpoint.contents_with(threads), lens }
    }
}

/// A delta that fits its parent in every number. Only the digest of what it makes is not checked yet.
pub(super) struct Plan<'a> {
    steps: Vec<(Step, Option<usize>, Option<Patch<'a>>)>,
    delta: &'a Checkpoint,
    /// What it makes.
    pub(super) outline: Outline,
}

impl<'a> Plan<'a> {
    /// `link` is the place of the delta in its chain.
    pub(super) fn of(delta: &'a Checkpoint, parent: &Outline, link: usize) -> Result<Self, CheckpointError> {
        must_be(Kind::Delta, delta)?;
        let named = parent_of(&delta.metadata)?;
        let Some(digest) = Digest::from_hex(named) else { return Err(no_parent(named)) };
        if digest != parent.contents {
            let (expected, found) = (named.to_owned(), parent.contents.to_string());
            return Err(CheckpointError::ParentMismatch { link, expected, found });
        }
        let recipe = match delta.chunks.first() {
            Some(chunk) if is_recipe(chunk.header.flags) => Recipe::parse(&chunk.data)?,
            _ => return Err(malformed("chunks that are a recipe", 1, 0)),
        };
        let found = parent.lens.len() as u64;
        if u64::from(recipe.parent_chunks) != found {
            return Err(malformed("chunks of the parent", found, u64::from(recipe.parent_chunks)));
        }
        let assigned = recipe.assign(&delta.chunks)?;
        let mut steps = Vec::with_capacity(assigned.len());
        let mut lens = Vec::with_capacity(assigned.len());
        for (step, chunk) in recipe.steps.iter().zip(assigned) {
            let data = chunk.map_or(&[][..], |chunk| &delta.chunks[chunk].data);
            let (len, patch) = match *step {
                Step::Keep { parent: index } => (parent.lens[index as usize], None),
                Step::Whole { .. } => (data.len() as u64, None),
                Step::Pages { parent: index } => {
                    let parent_bytes = parent.lens[index as usize];
                    let patch = Patch::parse(data, chunk.unwrap_or(0), parent_bytes, recipe.page_bytes)?;
                    (patch.len_bytes(), Some(patch))
                }
            };
            lens.push(len);
            steps.push((*step, chunk, patch));
        }
        Ok(Self { steps, delta, outline: Outline { contents: recipe.result, lens } })
    }

    /// Makes the chunks; `take` gives a chunk of the parent, which is asked for once at most.
    pub(super) fn chunks(&self, mut take: impl FnMut(usize) -> DataChunk) -> Vec<DataChunk> {
        let mut chunks = Vec::with_capacity(self.steps.len());
        for (step, chunk, patch) in &self.steps {
            let new = chunk.map(|chunk| &self.delta.chunks[chunk]);
            chunks.push(match (*step, new) {
                (Step::Pages { parent }, Some(pages)) => {
                    let mut data = take(parent as usize).data;
                    if let Some(patch) = patch {
                        patch.apply(&mut data);
                    }
                    let mut label = pages.label();
                    label.flags &= !OUR_FLAGS;
                    DataChunk::labelled(label, data)
                }
                (Step::Keep { parent } | Step::Pages { parent }, _) => take(parent as usize),
                (Step::Whole { .. }, new) => new.cloned().unwrap_or_else(nothing),
            });
        }
        chunks
    }
}

/// What `delta` makes of `parent`.
pub(super) fn apply(parent: &Checkpoint, delta: &Checkpoint) -> Result<Checkpoint, CheckpointError> {
    must_be(Kind::Full, parent)?;
    must_be(Kind::Delta, delta)?;
    if v1_delta::is_one(delta)? {
        return v1_delta::apply(parent, delta);
    }
    let threads = default_threads();
    let plan = Plan::of(delta, &Outline::of(parent, threads), 0)?;
    let chunks = plan.chunks(|index| parent.chunks[index].clone());
    finished(delta, chunks, plan.outline.contents, 0)
}

/// The checkpoint that a delta has made, if it is the right one.
pub(super) fn finished(
    delta: &Checkpoint,
    chunks: Vec<DataChunk>,
    expected: Digest,
    link: usize,
) -> Result<Checkpoint, CheckpointError> {
    let mut metadata = delta.metadata.clone();
    metadata.custom.remove(DELTA_PARENT_DIGEST_KEY);
    let made = Checkpoint { header: delta.header.of_full(), metadata, chunks };
    let found = made.contents();
    if found == expected { Ok(made) } else { Err(CheckpointError::ResultMismatch { link, expected, found }) }
}

pub(super) fn must_be(expected: Kind, checkpoint: &Checkpoint) -> Result<(), CheckpointError> {
    if checkpoint.kind() == expected { Ok(()) } else { Err(CheckpointError::WrongKind { expected }) }
}

pub(super) fn is_recipe(flags: u32) -> bool {
    flags & OUR_FLAGS == FLAG_RECIPE
}

/// What stands in the place of the parent's digest.
pub(super) fn parent_of(metadata: &CheckpointMetadata) -> Result<&str, CheckpointError> {
    metadata.custom.get(DELTA_PARENT_DIGEST_KEY).map(String::as_str).ok_or_else(|| no_parent(""))
}

pub(super) fn no_parent(found: &str) -> CheckpointError {
    CheckpointError::NoParent { found: found.chars().take(64).collect() }
}

/// In the place of a chunk that is always there. Its digest fits nothing.
pub(super) fn nothing() -> DataChunk {
    DataChunk::labelled(recipe_label(), Vec::new())
}

fn recipe_label() -> ChunkLabel {
    ChunkLabel { flags: FLAG_RECIPE, ..ChunkLabel::of(ChunkType::Custom) }
}

fn malformed(field: &'static str, expected: u64, found: u64) -> CheckpointError {
    CheckpointError::MalformedDelta { field, chunk: 0, offset: 0, expected, found }
}

/// For each new chunk the parent's chunk with the same label; of several, the first with the first, and so on.
fn matches<'a>(parent: &'a [DataChunk], new: &[DataChunk]) -> Vec<Option<(u32, &'a DataChunk)>> {
    let mut by_label: HashMap<ChunkLabel, std::collections::VecDeque<(u32, &DataChunk)>> = HashMap::new();
    for (index, chunk) in (0..).zip(parent) {
        by_label.entry(chunk.label()).or_default().push_back((index, chunk));
    }
    new.iter().map(|chunk| by_label.get_mut(&chunk.label())?.pop_front()).collect()
}
