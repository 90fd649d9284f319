//! [`Background`]: the thread that saves snapshots while their kernels go on, one after the other.
//!
//! Invariant: each job that was taken is saved or reported, also if the manager is dropped before.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use super::error::ManagerError;
use super::shelf::{Actor, Shelf};
use super::snapshot::SnapshotOutcome;
use crate::checkpoint::Checkpoint;

/// A snapshot to save.
pub(super) struct Job {
    pub(super) request_id: u64,
    pub(super) slot: u32,
    pub(super) actor: Actor,
    pub(super) checkpoint: Checkpoint,
}

pub(super) struct Background {
    /// `None` once the thread is to end. How many wait in it the manager sees to.
    jobs: Option<Sender<Job>>,
    outcomes: Receiver<SnapshotOutcome>,
    thread: Option<JoinHandle<()>>,
    outstanding: usize,
}

impl Background {
    /// # Errors
    /// That of the system if it starts no thread.
    pub(super) fn start(shelf: Shelf) -> std::io::Result<Self> {
        let (jobs, waiting) = channel::<Job>();
        let (done, outcomes) = channel();
        let work = move || {
            for job in waiting {
                // Nobody listens any more if the manager is being dropped; then the log has it.
                let _ = done.send(saved(&shelf, job));
            }
        };
        let thread = std::thread::Builder::new().name("checkpoint-manager".to_owned()).spawn(work)?;
        Ok(Self { jobs: Some(jobs), outcomes, thread: Some(thread), outstanding: 0 })
    }

    pub(super) fn outstanding(&self) -> usize {
        self.outstanding
    }

    pub(super) fn submit(&mut self, job: Job) {
        // The thread catches panics, so it is there for as long as this is.
        if self.jobs.as_ref().is_some_and(|jobs| jobs.send(job).is_ok()) {
            self.outstanding += 1;
        }
    }

    /// The next outcome that is there.
    pub(super) fn poll(&mut self) -> Option<SnapshotOutcome> {
        let outcome = self.outcomes.try_recv().ok()?;
        self.outstanding -= 1;
        Some(outcome)
    }

    /// The next outcome, waited for; `None` if nothing is outstanding.
    pub(super) fn wait(&mut self) -> Option<SnapshotOutcome> {
        if self.outstanding == 0 {
            return None;
        }
        let outcome = self.outcomes.recv().ok()?;
        self.outstanding -= 1;
        Some(outcome)
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        drop(self.jobs.take());
        if let Some(thread) = self.thread.take() {
            // It has caught all panics.
            let _ = thread.join();
        }
    }
}

fn saved(shelf: &Shelf, job: Job) -> SnapshotOutcome {
    let Job { request_id, slot: actor_slot, actor, checkpoint } = job;
    let step = checkpoint.metadata.current_step;
    let save = AssertUnwindSafe(|| shelf.save(actor_slot, &actor, &checkpoint));
    let result =
        catch_unwind(save).unwrap_or_else(|_| Err(ManagerError::StoragePanicked { slot: actor_slot, step }));
    if let Err(error) = &result {
        tracing::error!(slot = actor_slot, step, error = %error, "a snapshot could not be saved");
    }
    SnapshotOutcome { request_id, actor_slot, step, result }
}
