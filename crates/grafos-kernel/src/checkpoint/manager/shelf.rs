//! [`Shelf`]: the checkpoints of all actors in a storage, by slot and step.
//!
//! Invariants: what is there is found in the storage each time, so that a restart forgets nothing; steps are compared as
//! numbers; a checkpoint is deleted only when a newer save has succeeded, which itself stays.

use std::sync::Arc;

use super::error::ManagerError;
use crate::checkpoint::storage::CheckpointStorage;
use crate::checkpoint::{Checkpoint, CheckpointError, CheckpointMetadata, Kind, StorageError};

/// How often to look again when checkpoints go away while they are looked at.
const TRIES: usize = 8;

/// A checkpoint that was found, and what was wrong with newer ones.
#[derive(Debug)]
#[non_exhaustive]
pub struct LatestCheckpoint {
    /// Its name.
    pub name: String,
    /// The step in its name.
    pub step: u64,
    /// What was loaded.
    pub checkpoint: Checkpoint,
    /// Newer checkpoints that are not good, the newest first.
    pub set_aside: Vec<SetAside>,
}

/// A checkpoint that is not good, and was passed over.
#[derive(Debug)]
#[non_exhaustive]
pub struct SetAside {
    /// Its name.
    pub name: String,
    /// The step in its name.
    pub step: u64,
    /// What is wrong with it.
    pub error: StorageError,
    /// Where it is now; `None` if it is where it was.
    pub moved_to: Option<String>,
}

/// Whose checkpoints they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Actor {
    pub(super) kernel_id: String,
    pub(super) kernel_type: String,
}

impl Actor {
    /// Whether it is the one in this metadata.
    fn check(&self, name: &str, metadata: &CheckpointMetadata) -> Result<(), ManagerError> {
        if self.kernel_id == metadata.kernel_id && self.kernel_type == metadata.kernel_type {
            return Ok(());
        }
        let shown = |id: &str, kind: &str| format!("{id} ({kind})");
        Err(ManagerError::OtherKernel {
            name: name.to_owned(),
            expected: shown(&self.kernel_id, &self.kernel_type),
            found: shown(&metadata.kernel_id, &metadata.kernel_type),
        })
    }
}

#[derive(Clone)]
pub(super) struct Shelf {
    pub(super) storage: Arc<dyn CheckpointStorage>,
    prefix: String,
    /// 0 for all.
    keep: usize,
}

impl Shelf {
    pub(super) fn new(storage: Arc<dyn CheckpointStorage>, prefix: &str, keep: usize) -> Self {
        Self { storage, prefix: prefix.to_owned(), keep }
    }

    /// The name of an actor's checkpoint.
    pub(super) fn name(&self, slot: u32, step: u64) -> String {
        format!("{}_{slot}_step_{step}", self.prefix)
    }

    /// The step in a name of this actor's.
    fn step_of(&self, slot: u32, name: &str) -> Option<u64> {
        let step: u64 = name.rsplit_once("_step_")?.1.parse().ok()?;
        // Not "007" nor "+7", which no checkpoint of ours is called.
        (name == self.name(slot, step)).then_some(step)
    }

    /// The steps that an actor has checkpoints of, in order.
    pub(super) fn steps(&self, slot: u32) -> Result<Vec<u64>, StorageError> {
        let names = self.storage.list()?;
        let mut steps: Vec<u64> = names.iter().filter_map(|name| self.step_of(slot, name)).collect();
        steps.sort_unstable();
        Ok(steps)
    }

    /// Saves a full checkpoint, then deletes the oldest ones that are too many.
    pub(super) fn save(
        &self,
        slot: u32,
        actor: &Actor,
        checkpoint: &Checkpoint,
    ) -> Result<String, ManagerError> {
        let step = checkpoint.metadata.current_step;
        let name = self.name(slot, step);
        actor.check(&name, &checkpoint.metadata)?;
        full(&name, checkpoint)?;
        self.storage.save(checkpoint, &name)?;
        tracing::debug!(checkpoint = name, step, "saved");
        if self.keep > 0 {
            self.delete_oldest(slot, step);
        }
        Ok(name)
    }

    /// What fails here is tried again after the next save.
    fn delete_oldest(&self, slot: u32, saved: u64) {
        let steps = match self.steps(slot) {
            Ok(steps) => steps,
            Err(error) => {
                tracing::warn!(slot, error = %error, "old checkpoints can't be listed");
                return;
            }
        };
        let too_many = steps.len().saturating_sub(self.keep);
        for step in steps.into_iter().filter(|step| *step != saved).take(too_many) {
            let name = self.name(slot, step);
            match self.storage.delete(&name) {
                Ok(()) | Err(StorageError::NotFound { .. }) => {}
                Err(error) => {
                    tracing::warn!(checkpoint = name, error = %error, "an old checkpoint can't be deleted");
                }
            }
        }
    }

    /// Whether the newest checkpoint in a slot, if it can be read, is this kernel's.
    pub(super) fn check_owner(&self, slot: u32, actor: &Actor) -> Result<(), ManagerError> {
        let Some(step) = self.steps(slot)?.pop() else { return Ok(()) };
        let name = self.name(slot, step);
        match self.storage.open(&name) {
            Ok(found) => actor.check(&name, found.metadata()),
            // That is for those who want to load it.
            Err(_) => Ok(()),
        }
    }

    /// The good checkpoint with the highest step; `None` if there is none at all. Damaged ones above it are put in
    /// quarantine.
    pub(super) fn newest(
        &self,
        slot: u32,
        actor: Option<&Actor>,
    ) -> Result<Option<LatestCheckpoint>, ManagerError> {
        let mut tries = TRIES;
        'again: loop {
            tries -= 1;
            let steps = self.steps(slot)?;
            let count = steps.len();
            let mut set_aside = Vec::new();
            for step in steps.into_iter().rev() {
                let name = self.name(slot, step);
                let checkpoint = match self.storage.load(&name) {
                    Ok(checkpoint) => checkpoint,
                    // Another process deletes old ones, and has newer ones to offer.
                    Err(StorageError::NotFound { .. }) if tries > 0 => continue 'again,
                    Err(error) if error.is_damage() || is_unreadable(&error) => {
                        set_aside.push(SetAside { name, step, error, moved_to: None });
                        continue;
                    }
                    Err(error) => return Err(error.into()),
                };
                full(&name, &checkpoint)?;
                actor.map_or(Ok(()), |actor| actor.check(&name, &checkpoint.metadata))?;
                set_aside.iter_mut().for_each(|bad| self.quarantine(bad));
                return Ok(Some(LatestCheckpoint { name, step, checkpoint, set_aside }));
            }
            let mut set_aside = set_aside.into_iter();
            return match set_aside.next() {
                None => Ok(None),
                // They stay where they are, so that the next start does not take this for a beginning.
                Some(SetAside { name: newest, error: source, .. }) => {
                    Err(ManagerError::NoneGood { slot, count, newest, source: Box::new(source) })
                }
            };
        }
    }

    /// Moves a damaged checkpoint away if the storage can, and says so. One that could only not be read stays.
    fn quarantine(&self, bad: &mut SetAside) {
        if bad.error.is_damage() {
            match self.storage.quarantine(&bad.name) {
                Ok(place) => bad.moved_to = Some(place),
                Err(StorageError::Unsupported { .. } | StorageError::NotFound { .. }) => {}
                Err(error) => tracing::warn!(checkpoint = bad.name, error = %error, "quarantine failed"),
            }
        }
        let cause: &dyn std::error::Error = match &bad.error {
            StorageError::Checkpoint { source, .. } => source,
            error => error,
        };
        let moved_to = bad.moved_to.as_deref().unwrap_or("nowhere");
        tracing::error!(checkpoint = bad.name, cause = %cause, moved_to, "passed over a checkpoint that is not good");
    }
}

/// A manager keeps no deltas: their parents would have to be kept with them.
fn full(name: &str, checkpoint: &Checkpoint) -> Result<(), ManagerError> {
    match checkpoint.kind() {
        Kind::Full => Ok(()),
        Kind::Delta => {
            let source = CheckpointError::WrongKind { expected: Kind::Full };
            Err(StorageError::Checkpoint { name: name.to_owned(), source }.into())
        }
    }
}

/// The disk can't give it out, and perhaps never will. It may be good, so it is not touched.
fn is_unreadable(error: &StorageError) -> bool {
    let code = match error {
        StorageError::Checkpoint { source: CheckpointError::Read { source, .. }, .. } => {
            source.raw_os_error()
        }
        _ => None,
    };
    code == Some(rustix::io::Errno::IO.raw_os_error())
}
