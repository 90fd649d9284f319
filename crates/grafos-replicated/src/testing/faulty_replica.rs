//! [`FaultyReplica`]: a replica on a disk that can't be trusted.
//!
//! Some of what it does breaks the contract of [`PayloadReplica`]: blobs that were acknowledged are gone, or torn. A
//! write quorum is there to survive that on some replicas, and digests to find it.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::fault_plan::{FaultCounts, FaultPlan};
use crate::error::StoreError;
use crate::payload_replica::{BlobSpace, BlobWriter, PayloadReplica};
use crate::register::BlobTag;

/// What goes wrong at one call of a replica, or of one of its writers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReplicaFault {
    /// Any call but a write: it can't be reached.
    Refuse,
    /// A creation or a write: no room is left.
    Full,
    /// A creation: of all that is written, only the first bytes are kept, and nobody is told.
    Tear {
        /// How many.
        kept_bytes: u64,
    },
    /// A finish: it is acknowledged, and the blob is not there.
    LoseSilently,
    /// A finish: it fails, and the blob is there.
    FailFinishThere,
    /// A finish: it fails, and the blob is not there.
    FailFinishGone,
    /// A read: one bit is another one.
    FlipBit {
        /// Which bit of what is read; counted on from the beginning again behind the end.
        bit: u64,
    },
    /// A read, or a question for the length: the blob is one byte shorter than it was.
    Short,
    /// Any call but a write and a finish: before it, all blobs are gone, as from a disk that was replaced. What was
    /// being written is lost too.
    ComeBackEmpty,
}

/// The kinds of call that are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Call {
    Create,
    Write,
    Finish,
    Read,
    Len,
    Other,
}

impl ReplicaFault {
    fn fits(self, call: Call) -> bool {
        match self {
            Self::Refuse => call != Call::Write,
            Self::Full => matches!(call, Call::Create | Call::Write),
            Self::Tear { .. } => call == Call::Create,
            Self::LoseSilently | Self::FailFinishThere | Self::FailFinishGone => call == Call::Finish,
            Self::FlipBit { .. } => call == Call::Read,
            Self::Short => matches!(call, Call::Read | Call::Len),
            Self::ComeBackEmpty => !matches!(call, Call::Write | Call::Finish),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Refuse => "refuse",
            Self::Full => "full",
            Self::Tear { .. } => "tear",
            Self::LoseSilently => "lose_silently",
            Self::FailFinishThere => "fail_finish_there",
            Self::FailFinishGone => "fail_finish_gone",
            Self::FlipBit { .. } => "flip_bit",
            Self::Short => "short",
            Self::ComeBackEmpty => "come_back_empty",
        }
    }
}

/// A replica that makes the faults of a plan. Clones share the plan.
///
/// ```
/// use grafos_replicated::memory::MemoryReplica;
/// use grafos_replicated::testing::{FaultPlan, FaultyReplica, ReplicaFault};
/// use grafos_replicated::{BlobSpace, BlobTag, FenceEpoch, Nonce, PayloadReplica, Version};
///
/// # fn main() -> Result<(), grafos_replicated::StoreError> {
/// // Creation is call 0, the write call 1.
/// let plan = FaultPlan::none().at(2, ReplicaFault::LoseSilently);
/// let replica = FaultyReplica::new(MemoryReplica::new(), plan);
/// let space = BlobSpace::new("job", "latest");
/// let tag = BlobTag { epoch: FenceEpoch(1), version: Version(1), nonce: Nonce(7) };
/// let mut writer = replica.create(&space, &tag, None)?;
/// writer.write(b"state")?;
/// writer.finish()?; // it says
/// assert!(replica.len_bytes(&space, &tag).is_err());
/// assert_eq!(replica.counts().faults["lose_silently"], 1);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct FaultyReplica {
    inner: Arc<dyn PayloadReplica>,
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    plan: FaultPlan<ReplicaFault>,
    counts: FaultCounts,
    /// Where blobs may be.
    spaces: BTreeSet<BlobSpace>,
    /// How often it has come back empty.
    disk: u64,
}

impl FaultyReplica {
    /// A decorator over `inner`.
    pub fn new(inner: impl PayloadReplica + 'static, plan: FaultPlan<ReplicaFault>) -> Self {
        let state = State { plan, counts: FaultCounts::default(), spaces: BTreeSet::new(), disk: 0 };
        Self { inner: Arc::new(inner), state: Arc::new(Mutex::new(state)) }
    }

    /// Which faults have happened.
    #[must_use]
    pub fn counts(&self) -> FaultCounts {
        let state = self.lock();
        FaultCounts { calls: state.plan.calls(), ..state.counts.clone() }
    }

    /// Removes all blobs of the spaces that were ever asked for, as a disk that was replaced has none.
    ///
    /// # Errors
    /// Those of the replica below.
    pub fn come_back_empty(&self) -> Result<(), StoreError> {
        let mut state = self.lock();
        state.disk += 1;
        for space in &state.spaces {
            for tag in self.inner.list(space, None, usize::MAX)? {
                self.inner.delete(space, &tag)?;
            }
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What happens at this call, if what it answers is not decided by it already.
    fn call(&self, call: Call, space: &BlobSpace) -> Result<Option<ReplicaFault>, StoreError> {
        let fault = {
            let mut state = self.lock();
            state.spaces.insert(space.clone());
            let fault = state.plan.next(|fault| fault.fits(call));
            if let Some(fault) = fault {
                state.counts.add(fault.name());
            }
            fault
        };
        match fault {
            Some(ReplicaFault::Refuse) => Err(unavailable("the replica can't be reached")),
            Some(ReplicaFault::Full) => Err(StoreError::Full { what: space.to_string() }),
            Some(ReplicaFault::ComeBackEmpty) => self.come_back_empty().map(|()| None),
            fault => Ok(fault),
        }
    }
}

fn unavailable(reason: &str) -> StoreError {
    StoreError::Unavailable { reason: reason.to_owned() }
}

fn shorter(space: &BlobSpace, tag: &BlobTag) -> StoreError {
    let problem = "the blob is shorter than it should be";
    StoreError::Corrupt { what: format!("{space}/{}", tag.file_name()), problem }
}

impl FaultyReplica {
    fn begin(
        &self,
        space: &BlobSpace,
        tag: &BlobTag,
        inner: impl FnOnce() -> Result<Box<dyn BlobWriter>, StoreError>,
    ) -> Result<Box<dyn BlobWriter>, StoreError> {
        let keeps_bytes = match self.call(Call::Create, space)? {
            Some(ReplicaFault::Tear { kept_bytes }) => kept_bytes,
            _ => u64::MAX,
        };
        let inner = inner()?;
        let (replica, disk) = (self.clone(), self.lock().disk);
        Ok(Box::new(FaultyWriter { replica, inner, space: space.clone(), tag: *tag, keeps_bytes, disk }))
    }
}

impl PayloadReplica for FaultyReplica {
    fn create(
        &self,
        space: &BlobSpace,
        tag: &BlobTag,
        max_bytes: Option<u64>,
    ) -> Result<Box<dyn BlobWriter>, StoreError> {
        self.begin(space, tag, || self.inner.create(space, tag, max_bytes))
    }

    fn replace(
        &self,
        space: &BlobSpace,
        tag: &BlobTag,
        max_bytes: Option<u64>,
    ) -> Result<Box<dyn BlobWriter>, StoreError> {
        self.begin(space, tag, || self.inner.replace(space, tag, max_bytes))
    }

    fn read(&self, space: &BlobSpace, tag: &BlobTag, offset: u64, into: &mut [u8]) -> Result<(), StoreError> {
        let fault = self.call(Call::Read, space)?;
        self.inner.read(space, tag, offset, into)?;
        let end = offset.saturating_add(into.len() as u64);
        match fault {
            Some(ReplicaFault::FlipBit { bit }) if !into.is_empty() => {
                let bit = bit % (into.len() as u64 * 8);
                if let Some(byte) = usize::try_from(bit / 8).ok().and_then(|at| into.get_mut(at)) {
                    *byte ^= 1 << (bit % 8);
                }
                Ok(())
            }
            Some(ReplicaFault::Short) if end >= self.inner.len_bytes(space, tag)? => {
                into.fill(0);
                Err(shorter(space, tag))
            }
            _ => Ok(()),
        }
    }

    fn len_bytes(&self, space: &BlobSpace, tag: &BlobTag) -> Result<u64, StoreError> {
        let fault = self.call(Call::Len, space)?;
        let len = self.inner.len_bytes(space, tag)?;
        Ok(if fault == Some(ReplicaFault::Short) { len.saturating_sub(1) } else { len })
    }

    fn list(
        &self,
        space: &BlobSpace,
        after: Option<&BlobTag>,
        limit: usize,
    ) -> Result<Vec<BlobTag>, StoreError> {
        self.call(Call::Other, space)?;
        self.inner.list(space, after, limit)
    }

    fn delete(&self, space: &BlobSpace, tag: &BlobTag) -> Result<(), StoreError> {
        self.call(Call::Other, space)?;
        self.inner.delete(space, tag)
    }

    fn make_durable(&self, space: &BlobSpace, tag: &BlobTag) -> Result<(), StoreError> {
        self.call(Call::Other, space)?;
        self.inner.make_durable(space, tag)
    }
}

#[derive(Debug)]
struct FaultyWriter {
    replica: FaultyReplica,
    inner: Box<dyn BlobWriter>,
    space: BlobSpace,
    tag: BlobTag,
    /// How many bytes more are kept.
    keeps_bytes: u64,
    /// The disk that it was begun on.
    disk: u64,
}

impl BlobWriter for FaultyWriter {
    fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        self.replica.call(Call::Write, &self.space)?;
        let kept = usize::try_from(self.keeps_bytes).unwrap_or(usize::MAX).min(bytes.len());
        self.keeps_bytes -= kept as u64;
        self.inner.write(bytes.get(..kept).unwrap_or(bytes))
    }

    fn finish(self: Box<Self>) -> Result<(), StoreError> {
        let Self { replica, inner, space, tag, disk, .. } = *self;
        let fault = replica.call(Call::Finish, &space)?;
        if disk != replica.lock().disk {
            return Err(unavailable("the disk was replaced while it was written to"));
        }
        match fault {
            Some(ReplicaFault::FailFinishGone) => Err(unavailable("the replica went away")),
            Some(ReplicaFault::FailFinishThere) => {
                // Whatever the answer is, it is lost.
                let _ = inner.finish();
                Err(unavailable("no answer came"))
            }
            Some(ReplicaFault::LoseSilently) => {
                // What was there before is not lost by this.
                inner.finish()?;
                replica.inner.delete(&space, &tag)
            }
            _ => inner.finish(),
        }
    }
}

#[cfg(test)]
mod tests;
