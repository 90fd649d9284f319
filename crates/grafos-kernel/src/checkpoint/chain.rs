//! [`CheckpointChain`]: a full checkpoint and the deltas on it. Keeps no files: whoever does reads them first.
//!
//! Invariant: a delta is in the chain only if it fits what is before it, so that nothing is applied of a chain with a
//! bad link.

use super::Checkpoint;
use super::delta::{Outline, Plan, finished, must_be};
use super::digest::Digest;
use super::error::{CheckpointError, Kind};
use super::options::default_threads;

/// A full checkpoint, and deltas that follow each other.
///
/// ```
/// use grafos_kernel::checkpoint::{Checkpoint, CheckpointBuilder, CheckpointChain};
///
/// let step = |step| CheckpointBuilder::new("sim-1", "t").step(step).control_block(vec![step as u8; 256]).build();
/// let mut chain = CheckpointChain::new(step(0))?;
/// for at in 1..4 {
///     chain.push(Checkpoint::delta_from(&step(at - 1), &step(at)))?;
/// }
/// assert_eq!(chain.compact()?.chunks, step(3).chunks);
/// # Ok::<(), grafos_kernel::checkpoint::CheckpointError>(())
/// ```
#[derive(Clone, Debug)]
pub struct CheckpointChain {
    base: Checkpoint,
    deltas: Vec<Checkpoint>,
    /// What the base is, and what each delta makes.
    outlines: Vec<Outline>,
}

impl CheckpointChain {
    /// A chain without deltas. The base is hashed.
    ///
    /// # Errors
    ///
    /// [`WrongKind`](CheckpointError::WrongKind) if it is a delta.
    pub fn new(base: Checkpoint) -> Result<Self, CheckpointError> {
        must_be(Kind::Full, &base)?;
        let outlines = vec![Outline::of(&base, default_threads())];
        Ok(Self { base, deltas: Vec::new(), outlines })
    }

    /// Appends a delta, if it names the digest of what the chain makes so far, and each of its pages fits. If not, the
    /// chain stays as it was. RingKernel's deltas can't be in a chain: [apply](Checkpoint::applied_with_delta) them.
    ///
    /// # Errors
    ///
    /// [`WrongKind`](CheckpointError::WrongKind), [`NoParent`](CheckpointError::NoParent),
    /// [`ParentMismatch`](CheckpointError::ParentMismatch), [`MalformedDelta`](CheckpointError::MalformedDelta),
    /// [`Truncated`](CheckpointError::Truncated).
    pub fn push(&mut self, delta: Checkpoint) -> Result<(), CheckpointError> {
        let outline = Plan::of(&delta, self.tip(), self.deltas.len())?.outline;
        self.outlines.push(outline);
        self.deltas.push(delta);
        Ok(())
    }

    /// How many deltas there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.deltas.len()
    }

    /// True if there is only the base.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.deltas.is_empty()
    }

    /// The digest of the contents that the chain makes: the parent that the next delta must name.
    #[must_use]
    pub fn contents(&self) -> Digest {
        self.tip().contents
    }

    /// The step that the chain leads to.
    #[must_use]
    pub fn current_step(&self) -> u64 {
        self.deltas.last().unwrap_or(&self.base).metadata.current_step
    }

    /// How long the deltas' data is, all together: what compacting would save.
    #[must_use]
    pub fn delta_bytes(&self) -> u64 {
        self.deltas.iter().flat_map(|delta| &delta.chunks).map(|chunk| chunk.data.len() as u64).sum()
    }

    /// The full checkpoint that the chain makes. Pages are put in place in the base's own memory; the result is hashed,
    /// and is not handed out if its digest is not that of the last delta.
    ///
    /// # Errors
    ///
    /// [`ResultMismatch`](CheckpointError::ResultMismatch).
    pub fn compact(self) -> Result<Checkpoint, CheckpointError> {
        let Self { base, deltas, outlines } = self;
        let Some(last) = deltas.last() else { return Ok(base) };
        let mut chunks = base.chunks;
        for (link, (delta, parent)) in deltas.iter().zip(&outlines).enumerate() {
            let plan = Plan::of(delta, parent, link)?;
            let mut parents: Vec<_> = chunks.into_iter().map(Some).collect();
            // The recipe names each chunk once.
            chunks = plan.chunks(|index| parents[index].take().unwrap_or_else(super::delta::nothing));
        }
        finished(last, chunks, outlines[deltas.len()].contents, deltas.len() - 1)
    }

    fn tip(&self) -> &Outline {
        // There is one for the base from the beginning.
        &self.outlines[self.deltas.len()]
    }
}
