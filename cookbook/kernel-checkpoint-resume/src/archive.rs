//! [`Archive`]: the checkpoints of a simulation: a full one, then deltas, each of the state before it, then a full one
//! again. Knows no device.
//!
//! ```text
//! <home>/checkpoints/
//! ├── wave_0_step_120.rkcp        full, kept by a `CheckpointManager`
//! ├── wave_0_delta_140.rkcp       what changed since step 120
//! └── wave_0_delta_160.rkcp       what changed since step 140
//! ```
//!
//! Invariants: what is given out is whole and verified: a delta counts only on the very state that it names by its
//! digest. A damaged file is never deleted, and never passed over in silence. A delta is deleted only when the oldest full
//! checkpoint that is kept is newer.

use std::path::Path;

use grafos_kernel::checkpoint::{
    Checkpoint, CheckpointChain, CheckpointConfig, CheckpointManager, CheckpointReader, CheckpointStorage,
    Compression, DeltaOptions, Digest, FileStorage, Kind, Limits, StorageError, WriteOptions,
};

use crate::error::{RunError, in_full};
use crate::simulation::Simulation;
use crate::slice::Slice;
use crate::wave::Wave;

/// There is one kernel.
const SLOT: u32 = 0;

const PREFIX: &str = "wave";

/// The checkpoints of one simulation.
///
/// ```
/// use cookbook_kernel_checkpoint_resume::{Archive, Simulation, Wave};
/// use grafos_kernel::checkpoint::{CheckpointBuilder, Kind};
/// # let dir = tempfile::tempdir()?;
///
/// let simulation = Simulation { size: 8 };
/// let state = |step: u64| {
///     let builder = CheckpointBuilder::new(Wave::kernel_id(simulation), Wave::KERNEL_TYPE).step(step);
///     builder.device_memory("pressure_even", vec![step as u8; 100_000]).build()
/// };
/// let mut archive = Archive::open(dir.path(), simulation);
/// assert!(archive.resume()?.is_none());
/// assert_eq!(archive.save(state(10))?.kind, Kind::Full);
/// assert_eq!(archive.save(state(20))?.kind, Kind::Delta);
///
/// let mut archive = Archive::open(dir.path(), simulation);
/// let resumed = archive.resume()?.unwrap();
/// assert_eq!((resumed.step, resumed.full_step, resumed.deltas), (20, 10, 1));
/// assert_eq!(archive.newest().unwrap().contents(), state(20).contents());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Archive {
    manager: CheckpointManager,
    storage: FileStorage,
    tip: Option<Tip>,
}

/// The newest state: what the next delta is made from.
#[derive(Debug)]
struct Tip {
    checkpoint: Checkpoint,
    contents: Digest,
    deltas: u32,
}

/// A checkpoint that was saved, and is durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Saved {
    /// Its name.
    pub name: String,
    /// Whether it is a delta.
    pub kind: Kind,
    /// How long its data is, before compression.
    pub state_bytes: u64,
    /// How long its file is.
    pub file_bytes: u64,
}

/// Where a run goes on, and what that was made of. The state itself is [`Archive::newest`].
#[derive(Clone, Debug, PartialEq)]
pub struct Resumed {
    /// The step of the state.
    pub step: u64,
    /// The full checkpoint that it begins with.
    pub full_step: u64,
    /// How many deltas were applied to it.
    pub deltas: u32,
    /// The slice of the oldest full checkpoint that is kept.
    pub oldest: Option<Slice>,
    /// What was passed over.
    pub set_aside: Vec<SetAside>,
}

/// A file that is of no use, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetAside {
    /// The name of the checkpoint.
    pub name: String,
    /// Where it lies now; nothing if it is where it was.
    pub moved_to: Option<String>,
    /// What is wrong with it.
    pub cause: String,
}

impl Archive {
    /// So many deltas follow a full checkpoint.
    pub const DELTAS_PER_FULL: u32 = 4;

    /// So many full checkpoints are kept, with the deltas behind them.
    pub const KEPT_FULL: usize = 2;

    /// The archive in this directory, which is made by the first save.
    #[must_use]
    pub fn open(path: &Path, simulation: Simulation) -> Self {
        let storage = FileStorage::new(path)
            .with_options(WriteOptions::new().compression(Compression::zstd()))
            .with_limits(Limits::none());
        let config = CheckpointConfig::default().with_name_prefix(PREFIX).with_max_snapshots(Self::KEPT_FULL);
        let mut manager = CheckpointManager::with_storage(config, Box::new(storage.clone()));
        manager.register_actor(SLOT, Wave::kernel_id(simulation), Wave::KERNEL_TYPE);
        Self { manager, storage, tip: None }
    }

    /// The newest state that is good; `None` if there never was one. Files that are not good are put in quarantine.
    ///
    /// # Errors
    /// [`RunError::Manager`] if the checkpoints are another simulation's, if there are some and none is good, or if they
    /// can't be read now.
    pub fn resume(&mut self) -> Result<Option<Resumed>, RunError> {
        let Some(latest) = self.manager.find_latest(SLOT)? else { return Ok(None) };
        let aside = |bad: grafos_kernel::checkpoint::SetAside| SetAside {
            cause: cause_of(&bad.error),
            name: bad.name,
            moved_to: bad.moved_to,
        };
        let mut set_aside: Vec<_> = latest.set_aside.into_iter().map(aside).collect();
        let mut chain = CheckpointChain::new(latest.checkpoint)?;
        for step in self.delta_steps()?.into_iter().filter(|step| *step > latest.step) {
            let name = delta_name(step);
            let cause = match self.storage.load(&name) {
                Ok(delta) => match chain.push(delta) {
                    Ok(()) => continue,
                    Err(error) => in_full(&error),
                },
                Err(error) if error.is_damage() => cause_of(&error),
                Err(error) => return Err(error.into()),
            };
            set_aside.push(self.quarantine(name, cause)?);
        }
        let deltas = u32::try_from(chain.len()).unwrap_or(u32::MAX);
        let contents = chain.contents();
        let checkpoint = chain.compact()?;
        let step = checkpoint.metadata.current_step;
        self.tip = Some(Tip { checkpoint, contents, deltas });
        Ok(Some(Resumed { step, full_step: latest.step, deltas, oldest: self.oldest(), set_aside }))
    }

    /// The state that was saved last, or that [`resume`](Self::resume) has found.
    #[must_use]
    pub fn newest(&self) -> Option<&Checkpoint> {
        self.tip.as_ref().map(|tip| &tip.checkpoint)
    }

    /// Saves a whole state: as a delta of the state before it, or in full if there were
    /// [`DELTAS_PER_FULL`](Self::DELTAS_PER_FULL) of those. It is durable when this returns.
    ///
    /// # Errors
    /// [`RunError::Storage`], [`RunError::Manager`]: the archive is as it was.
    pub fn save(&mut self, checkpoint: Checkpoint) -> Result<Saved, RunError> {
        let (name, kind, state_bytes, deltas) = match &self.tip {
            Some(tip) if tip.deltas < Self::DELTAS_PER_FULL => {
                let delta = DeltaOptions::new().parent(tip.contents).between(&tip.checkpoint, &checkpoint)?;
                let name = delta_name(checkpoint.metadata.current_step);
                self.storage.save(&delta, &name)?;
                (name, Kind::Delta, bytes_of(&delta), tip.deltas + 1)
            }
            _ => {
                let name = self.manager.save_checkpoint(SLOT, &checkpoint)?;
                if let Err(error) = self.delete_old_deltas() {
                    // The state is durable; this is tried again behind the next full one.
                    tracing::warn!(error = error.in_full(), "old deltas can't be deleted");
                }
                (name, Kind::Full, bytes_of(&checkpoint), 0)
            }
        };
        let contents = checkpoint.contents();
        self.tip = Some(Tip { checkpoint, contents, deltas });
        let file_bytes = self.storage.open(&name)?.file_bytes();
        Ok(Saved { name, kind, state_bytes, file_bytes })
    }

    fn oldest(&self) -> Option<Slice> {
        let name = self.manager.list_checkpoints(SLOT).ok()?.into_iter().next()?;
        let reader: CheckpointReader<_> = self.storage.open(&name).ok()?;
        let size = reader.metadata().grid_size.0;
        // It is for a picture: one that is not good leaves a gap there.
        Slice::read(Simulation { size }, &reader).ok()
    }

    fn quarantine(&self, name: String, cause: String) -> Result<SetAside, RunError> {
        let moved_to = Some(self.storage.quarantine(&name)?);
        Ok(SetAside { name, moved_to, cause })
    }

    /// Deltas of states that nobody can make any more.
    fn delete_old_deltas(&self) -> Result<(), RunError> {
        let steps = self.manager.list_checkpoints(SLOT)?;
        let oldest = steps.first().and_then(|name| name.rsplit_once('_')?.1.parse().ok()).unwrap_or(0);
        for step in self.delta_steps()?.into_iter().filter(|step| *step < oldest) {
            self.storage.delete(&delta_name(step))?;
        }
        Ok(())
    }

    /// The steps that there are deltas of, in order.
    fn delta_steps(&self) -> Result<Vec<u64>, RunError> {
        let names = self.storage.list()?;
        let step_of = |name: &String| {
            let step: u64 = name.rsplit_once('_')?.1.parse().ok()?;
            (*name == delta_name(step)).then_some(step)
        };
        let mut steps: Vec<u64> = names.iter().filter_map(step_of).collect();
        steps.sort_unstable();
        Ok(steps)
    }
}

fn delta_name(step: u64) -> String {
    format!("{PREFIX}_{SLOT}_delta_{step}")
}

fn bytes_of(checkpoint: &Checkpoint) -> u64 {
    checkpoint.chunks.iter().map(|chunk| chunk.data.len() as u64).sum()
}

/// What is wrong with a stored checkpoint, without its name.
fn cause_of(error: &StorageError) -> String {
    match error {
        StorageError::Checkpoint { source, .. } => in_full(source),
        error => in_full(error),
    }
}
