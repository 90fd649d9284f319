//! [`Durable`]: a value that survives power loss on a leased block volume.
//!
//! A checkpoint is all or nothing. It goes to the oldest of two or more *slots*, and counts from the moment its
//! header verifies; the newest good checkpoint is never written to. [`Durable::restore`] takes the newest slot that
//! verifies, says what it passed over, and never makes a value up.
//!
//! ```
//! use grafos_collections::durable::Durable;
//! use grafos_std::block::BlockBuilder;
//! use serde::{Deserialize, Serialize};
//! # let home = tempfile::tempdir()?;
//! # let host = grafos_std::host::LocalHost::builder().home(home.path()).open()?;
//! # host.scope(|| -> Result<(), Box<dyn std::error::Error>> {
//!
//! #[derive(Serialize, Deserialize)]
//! struct SimState {
//!     iter: u64,
//!     sum: f64,
//! }
//!
//! let volume = || BlockBuilder::new().volume("sim-state").min_blocks(64).acquire();
//!
//! let mut state = Durable::open_or_init(volume()?, || SimState { iter: 0, sum: 0.0 })?;
//! state.iter += 1;
//! state.sum += 0.5;
//! state.checkpoint()?; // durable from here on
//! state.iter += 1; // not checkpointed
//! drop(state); // or a power cut
//!
//! let state: Durable<SimState> = Durable::restore(volume()?)?;
//! assert_eq!(state.iter, 1);
//! # Ok(()) })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! What is on the volume, and why a torn write can't hurt, is written down in `docs/durable-format.md`.

mod background;
mod bulk;
mod decode;
mod encode;
mod error;
mod format;
mod info;
mod inspect;
mod layout;
mod observe;
mod options;
mod reader;
mod store;
mod writer;

use std::ops::{Deref, DerefMut};

use grafos_std::block::BlockLease;
use serde::Serialize;
use serde::de::DeserializeOwned;

use background::Checkpointer;
pub use background::PendingCheckpoint;
pub use bulk::{Bulk, Plain};
pub use error::{DurableError, RejectedSlot, SlotFault};
pub use info::{CheckpointInfo, Committed};
pub use inspect::{SlotCheckpoint, SlotReport, VolumeReport, inspect};
pub use layout::blocks_needed;
pub use options::DurableOptions;
use store::{Loaded, Store, StoreOptions};

/// A value together with the leased volume that keeps it.
///
/// It derefs to the value. Nothing is written by itself unless
/// [`set_auto_checkpoint`](Self::set_auto_checkpoint) says so; a checkpoint holds the value as it was when the call
/// was made. Every checkpoint also renews the lease once its renewal point has passed.
///
/// Dropping it releases the lease and keeps the volume; changes since the last checkpoint are lost.
///
/// # Errors that stay
/// After a write or flush has failed, every later checkpoint fails with
/// [`Poisoned`](grafos_std::FabricError::Poisoned): drop the value, acquire the volume again and restore. The last
/// committed checkpoint is still there.
#[derive(Debug)]
pub struct Durable<T> {
    value: T,
    auto_checkpoint: Option<u64>,
    mutations: u64,
    restored: Option<CheckpointInfo>,
    rejected: Vec<RejectedSlot>,
    /// Before the lease, so that what is being written is done before the lease is released.
    checkpointer: Checkpointer,
    lease: BlockLease,
}

impl<T> Durable<T> {
    /// Starts anew with `value`. Writes nothing; the first checkpoint follows those that the volume already has,
    /// and overwrites the oldest.
    #[must_use]
    pub fn new(value: T, lease: BlockLease) -> Self {
        Self::options().start(value, lease)
    }

    /// How to open a volume other than by default: slots, schema tag.
    pub fn options() -> DurableOptions<T> {
        DurableOptions::default()
    }

    /// [Options](Self::options) with this many slots, from 2 to 64. Two keep one good checkpoint at any moment;
    /// each further one keeps an older one to [go back](Self::restore_at) to. The number is fixed by the first
    /// checkpoint on a volume.
    pub fn with_slots(slots: u32) -> DurableOptions<T> {
        Self::options().slots(slots)
    }

    fn assemble(value: T, lease: BlockLease, store: Store) -> Self {
        Self {
            value,
            auto_checkpoint: None,
            mutations: 0,
            restored: None,
            rejected: Vec::new(),
            checkpointer: Checkpointer::new(store),
            lease,
        }
    }

    fn from_loaded(loaded: Loaded<T>, lease: BlockLease, store: Store) -> Self {
        let mut durable = Self::assemble(loaded.value, lease, store);
        durable.came_from(&loaded.header, loaded.rejected);
        durable
    }

    fn came_from(&mut self, header: &format::Header, rejected: Vec<RejectedSlot>) {
        self.checkpointer.set_sequence(header.sequence);
        self.restored = Some(CheckpointInfo::from(header));
        self.rejected = rejected;
    }

    /// The value. Also reached by `*durable`.
    pub fn inner(&self) -> &T {
        &self.value
    }

    /// The value, to be changed. Not counted for [`set_auto_checkpoint`](Self::set_auto_checkpoint).
    pub fn inner_mut(&mut self) -> &mut T {
        &mut self.value
    }

    /// Makes every `every`th [`mutate`](Self::mutate) end with a checkpoint; `None`, as at first, makes none do.
    /// `Some(0)` counts as `Some(1)`.
    pub fn set_auto_checkpoint(&mut self, every: Option<u64>) {
        self.auto_checkpoint = every.map(|every| every.max(1));
        self.mutations = 0;
    }

    /// The sequence of the last checkpoint that was committed or restored through this value; 0 if there is none.
    pub fn sequence(&self) -> u64 {
        self.checkpointer.sequence()
    }

    /// The checkpoint that the value came from, if it came from one.
    pub fn restored(&self) -> Option<&CheckpointInfo> {
        self.restored.as_ref()
    }

    /// What [`restore`](Self::restore) passed over, and why. One rejected slot is what a power cut during a
    /// checkpoint leaves behind.
    pub fn rejected(&self) -> &[RejectedSlot] {
        &self.rejected
    }

    /// The lease on the volume.
    pub fn lease(&self) -> &BlockLease {
        &self.lease
    }

    /// The checkpoints that the volume holds, newest first. Their headers have been verified, their payloads not.
    ///
    /// # Errors
    /// Those of the device; those of a checkpoint in the background.
    pub fn history(&self) -> Result<Vec<CheckpointInfo>, DurableError> {
        let mut history: Vec<CheckpointInfo> =
            self.checkpointer.with_store(Store::history)?.iter().map(CheckpointInfo::from).collect();
        history.dedup_by_key(|info| (info.epoch, info.sequence));
        Ok(history)
    }

    /// Gives the lease back without the value, once what is being written in the background is done.
    ///
    /// # Errors
    /// The error of a checkpoint in the background; the lease is released then.
    pub fn into_block_lease(self) -> Result<BlockLease, DurableError> {
        self.checkpointer.settle()?;
        Ok(self.lease)
    }
}

impl<T: Serialize> Durable<T> {
    /// Commits the value. When this returns, it survives a power cut.
    ///
    /// # Errors
    /// [`DoesNotFit`](DurableError::DoesNotFit) says how many blocks the volume must have; nothing was written
    /// then. [`ForeignVolume`](DurableError::ForeignVolume), [`StaleEpoch`](DurableError::StaleEpoch) and the like
    /// protect what is on the volume. [`Fabric`](DurableError::Fabric) when lease or device failed: the checkpoint
    /// may or may not be there after a restart, the one before it is. The error of an earlier checkpoint in the
    /// background that nobody has seen comes first.
    pub fn checkpoint(&self) -> Result<Committed, DurableError> {
        self.renew_if_due()?;
        self.checkpointer.commit(&self.value, self.lease.unix_ms_now())
    }

    /// Copies the value, as it is now, and commits the copy on another thread. Stalls for the copy only, and for
    /// the checkpoint before it if that is still being written.
    ///
    /// An error can't be missed: it is returned by [`PendingCheckpoint::wait`], or else by the next call.
    ///
    /// # Errors
    /// Those of [`checkpoint`](Self::checkpoint) that show before anything is written.
    pub fn checkpoint_in_background(&self) -> Result<PendingCheckpoint, DurableError> {
        self.renew_if_due()?;
        self.checkpointer.commit_in_background(&self.value, self.lease.unix_ms_now())
    }

    /// Changes the value, and checkpoints it if it is [time to](Self::set_auto_checkpoint).
    ///
    /// # Errors
    /// Those of [`checkpoint`](Self::checkpoint); the change has been made in memory then. The error of an earlier
    /// checkpoint in the background comes before the change.
    pub fn mutate<R>(&mut self, change: impl FnOnce(&mut T) -> R) -> Result<R, DurableError> {
        self.checkpointer.settle_if_finished()?;
        let answer = change(&mut self.value);
        self.mutations += 1;
        if self.auto_checkpoint.is_some_and(|every| self.mutations >= every) {
            self.mutations = 0;
            self.checkpoint()?;
        }
        Ok(answer)
    }

    /// A lease that can't be renewed is no reason to stop while it lasts.
    fn renew_if_due(&self) -> Result<(), DurableError> {
        match self.lease.renew_if_due() {
            Err(error) if self.lease.status().is_terminal() => Err(error.into()),
            Err(error) => {
                tracing::warn!(%error, "the lease could not be renewed yet");
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }
}

impl<T: DeserializeOwned> Durable<T> {
    /// Goes on from the newest checkpoint that verifies.
    ///
    /// # Errors
    /// [`NoCheckpoint`](DurableError::NoCheckpoint) on a blank volume;
    /// [`AllSlotsDamaged`](DurableError::AllSlotsDamaged) if there were checkpoints and none verifies;
    /// [`ForeignVolume`](DurableError::ForeignVolume),
    /// [`OtherFormatVersion`](DurableError::OtherFormatVersion),
    /// [`SchemaMismatch`](DurableError::SchemaMismatch), [`Decode`](DurableError::Decode) if it holds something
    /// else; [`StaleEpoch`](DurableError::StaleEpoch) if a newer lease has written to it;
    /// [`Fabric`](DurableError::Fabric).
    pub fn restore(lease: BlockLease) -> Result<Self, DurableError> {
        Self::options().restore(lease)
    }

    /// [Restores](Self::restore), or starts with `init()` if no checkpoint was ever committed on the volume.
    ///
    /// # Errors
    /// Those of [`restore`](Self::restore) except `NoCheckpoint`. Damage is an error and not a new start.
    pub fn open_or_init(lease: BlockLease, init: impl FnOnce() -> T) -> Result<Self, DurableError> {
        Self::options().open_or_init(lease, init)
    }

    /// Replaces the value by that of an older checkpoint of the [history](Self::history). The next checkpoint has
    /// a new sequence; the one that was gone back to stays until that one is committed.
    ///
    /// # Errors
    /// [`NotInHistory`](DurableError::NotInHistory) names those that there are; those of
    /// [`restore`](Self::restore). The value is as before then.
    pub fn restore_at(&mut self, sequence: u64) -> Result<(), DurableError> {
        let Loaded { value, header, rejected } =
            self.checkpointer.with_store(|store| store.load_at(sequence))?;
        self.value = value;
        self.came_from(&header, rejected);
        Ok(())
    }
}

impl<T> Deref for Durable<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> DerefMut for Durable<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.value
    }
}
