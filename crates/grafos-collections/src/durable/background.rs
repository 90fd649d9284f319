//! [`Checkpointer`]: commits, one after the other, in the caller's thread or in one of its own.
//!
//! Invariants: commits happen in the order of the calls, so that a late older value never replaces a newer one; the
//! outcome of every commit in the background is seen by somebody.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, TryLockError};
use std::thread::{Builder, JoinHandle};

use grafos_std::block::{AlignedBuf, BlockHandle};
use serde::Serialize;

use super::encode::{BUFFER_BYTES, BufferExchange, Filled, count, encode};
use super::store::{Payload, Store};
use super::{Committed, DurableError, observe};

#[derive(Debug)]
pub(super) struct Checkpointer {
    shared: Arc<Shared>,
    /// Held during every call: callers take turns.
    turn: Mutex<Turn>,
}

#[derive(Debug)]
struct Shared {
    /// The volume, for those who can't wait for the store.
    block: BlockHandle,
    store: Mutex<Store>,
    sequence: AtomicU64,
}

#[derive(Debug, Default)]
struct Turn {
    /// The last commit in the background, until its outcome has been seen.
    pending: Option<Arc<Outcome>>,
    worker: Option<Worker>,
}

impl Checkpointer {
    pub(super) fn new(store: Store) -> Self {
        let block = store.block().clone();
        let shared = Shared { block, store: Mutex::new(store), sequence: AtomicU64::new(0) };
        Self { shared: Arc::new(shared), turn: Mutex::new(Turn::default()) }
    }

    pub(super) fn sequence(&self) -> u64 {
        self.shared.sequence.load(Ordering::SeqCst)
    }

    pub(super) fn set_sequence(&self, sequence: u64) {
        self.shared.sequence.store(sequence, Ordering::SeqCst);
    }

    /// Runs `work` on the store when nothing is being written.
    pub(super) fn with_store<R>(
        &self,
        work: impl FnOnce(&mut Store) -> Result<R, DurableError>,
    ) -> Result<R, DurableError> {
        let mut turn = self.turn();
        turn.settle()?;
        work(&mut self.shared.store())
    }

    /// Waits for what is being written, and returns its error if nobody has seen it.
    pub(super) fn settle(&self) -> Result<(), DurableError> {
        self.turn().settle()
    }

    /// Returns the error of a commit in the background that has ended; waits for nothing.
    pub(super) fn settle_if_finished(&self) -> Result<(), DurableError> {
        let mut turn = match self.turn.try_lock() {
            Ok(turn) => turn,
            Err(TryLockError::Poisoned(turn)) => turn.into_inner(),
            // Another thread is in a call, and will see the outcome.
            Err(TryLockError::WouldBlock) => return Ok(()),
        };
        if turn.pending.as_ref().is_some_and(|outcome| outcome.is_finished()) {
            turn.settle()?;
        }
        Ok(())
    }

    pub(super) fn commit<T: Serialize>(&self, value: &T, unix_ms: u64) -> Result<Committed, DurableError> {
        let mut turn = self.turn();
        turn.settle()?;
        self.shared.commit(|store| {
            let payload_bytes = count(value)?;
            store.commit(Payload::Value(value), payload_bytes, unix_ms)
        })
    }

    pub(super) fn commit_in_background<T: Serialize>(
        &self,
        value: &T,
        unix_ms: u64,
    ) -> Result<PendingCheckpoint, DurableError> {
        let mut turn = self.turn();
        turn.settle()?;
        let payload_bytes = count(value)?;
        let filled = {
            let mut store = self.shared.store();
            store.check_fits(payload_bytes)?;
            encode_whole(value, payload_bytes, &mut store)?
        };
        let outcome = Arc::new(Outcome::default());
        let (shared, reported) = (Arc::clone(&self.shared), Arc::clone(&outcome));
        turn.worker()?.run(Box::new(move || {
            let report = ReportOnDrop(&reported);
            let payload: Payload<'_, ()> = Payload::Encoded(filled);
            report.report(shared.commit(|store| store.commit(payload, payload_bytes, unix_ms)));
        }))?;
        turn.pending = Some(Arc::clone(&outcome));
        Ok(PendingCheckpoint { outcome })
    }

    fn turn(&self) -> MutexGuard<'_, Turn> {
        // A panic in a caller's `Serialize` leaves nothing half done here.
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shared {
    fn store(&self) -> MutexGuard<'_, Store> {
        // A commit that panicked has marked its slot as bad before it wrote.
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn commit(
        &self,
        work: impl FnOnce(&mut Store) -> Result<Committed, DurableError>,
    ) -> Result<Committed, DurableError> {
        let committed = observe::commit(&self.block, || work(&mut self.store()))?;
        self.sequence.store(committed.sequence, Ordering::SeqCst);
        Ok(committed)
    }
}

impl Turn {
    fn settle(&mut self) -> Result<(), DurableError> {
        match self.pending.take() {
            Some(outcome) => outcome.wait_unseen(),
            None => Ok(()),
        }
    }

    fn worker(&mut self) -> Result<&Worker, DurableError> {
        let worker = match self.worker.take() {
            Some(worker) => worker,
            None => Worker::start()?,
        };
        Ok(self.worker.insert(worker))
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if let Err(error) = self.settle() {
            tracing::error!(%error, "a checkpoint failed, and its value was dropped before anybody asked");
        }
    }
}

/// Encodes `value` into buffers that were used before, as far as there are any.
fn encode_whole<T: Serialize>(
    value: &T,
    payload_bytes: u64,
    store: &mut Store,
) -> Result<Vec<Filled>, DurableError> {
    let mut whole = Whole { filled: Vec::new(), payload_bytes, store };
    let encoded = encode(value, &mut whole)?.unwrap_or(0);
    if encoded == payload_bytes {
        return Ok(whole.filled);
    }
    Err(DurableError::UnstableEncoding { counted: payload_bytes, encoded })
}

struct Whole<'a> {
    filled: Vec<Filled>,
    payload_bytes: u64,
    store: &'a mut Store,
}

impl BufferExchange for Whole<'_> {
    fn give(&mut self, filled: Filled) -> bool {
        self.filled.push(filled);
        true
    }

    fn take(&mut self) -> Option<AlignedBuf> {
        // A value that encodes to more than was counted gets no buffer, and is refused.
        let taken = self.filled.len() as u64 * BUFFER_BYTES as u64;
        (taken <= self.payload_bytes).then(|| self.store.take_buffer(BUFFER_BYTES))
    }
}

/// A checkpoint that is being written.
///
/// Dropping it is fine: the checkpoint goes on, and if it fails the next call on its [`Durable`](super::Durable)
/// says so.
#[derive(Debug)]
pub struct PendingCheckpoint {
    outcome: Arc<Outcome>,
}

impl PendingCheckpoint {
    /// Waits until the checkpoint is durable, or has failed.
    ///
    /// # Errors
    /// Those of [`Durable::checkpoint`](super::Durable::checkpoint). If a call on the value has returned the error
    /// before, this says [`BackgroundLost`](DurableError::BackgroundLost).
    pub fn wait(self) -> Result<Committed, DurableError> {
        self.outcome.wait()
    }

    /// Whether [`wait`](Self::wait) would return at once.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.outcome.is_finished()
    }
}

#[derive(Debug, Default)]
struct Outcome {
    state: Mutex<State>,
    finished: Condvar,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    Running,
    Committed(Committed),
    Failed(DurableError),
    /// It failed, and the error was returned to somebody.
    Seen,
}

impl Outcome {
    fn report(&self, outcome: Result<Committed, DurableError>) {
        let mut state = self.state();
        if matches!(*state, State::Running) {
            *state = outcome.map_or_else(State::Failed, State::Committed);
        }
        self.finished.notify_all();
    }

    fn wait(&self) -> Result<Committed, DurableError> {
        let mut state = self.finished_state();
        match std::mem::replace(&mut *state, State::Seen) {
            State::Committed(committed) => {
                *state = State::Committed(committed);
                Ok(committed)
            }
            State::Failed(error) => Err(error),
            State::Running | State::Seen => {
                Err(DurableError::BackgroundLost { reason: "an earlier call returned its error".to_owned() })
            }
        }
    }

    /// The error, unless somebody has seen it.
    fn wait_unseen(&self) -> Result<(), DurableError> {
        let seen = matches!(*self.finished_state(), State::Seen);
        if seen { Ok(()) } else { self.wait().map(drop) }
    }

    fn finished_state(&self) -> MutexGuard<'_, State> {
        self.finished
            .wait_while(self.state(), |state| matches!(state, State::Running))
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn is_finished(&self) -> bool {
        !matches!(*self.state(), State::Running)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reports a loss if the commit ends without a report, so that nobody waits for ever.
struct ReportOnDrop<'a>(&'a Outcome);

impl ReportOnDrop<'_> {
    fn report(self, outcome: Result<Committed, DurableError>) {
        self.0.report(outcome);
    }
}

impl Drop for ReportOnDrop<'_> {
    fn drop(&mut self) {
        // A second report changes nothing.
        self.0.report(Err(DurableError::BackgroundLost { reason: "it panicked while writing".to_owned() }));
    }
}

type Job = Box<dyn FnOnce() + Send>;

/// The thread that commits in the background. Started by the first such commit, ended with the value.
#[derive(Debug)]
struct Worker {
    /// `None` once it is to end.
    jobs: Option<Sender<Job>>,
    thread: Option<JoinHandle<()>>,
}

impl Worker {
    fn start() -> Result<Self, DurableError> {
        let (jobs, inbox) = channel::<Job>();
        let thread = Builder::new()
            .name("durable-checkpoint".to_owned())
            .spawn(move || inbox.iter().for_each(|job| job()))
            .map_err(|error| DurableError::BackgroundLost { reason: error.to_string() })?;
        Ok(Self { jobs: Some(jobs), thread: Some(thread) })
    }

    fn run(&self, job: Job) -> Result<(), DurableError> {
        let sent = self.jobs.as_ref().map(|jobs| jobs.send(job).is_ok());
        if sent == Some(true) {
            return Ok(());
        }
        Err(DurableError::BackgroundLost { reason: "its thread has ended".to_owned() })
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            // It has reported its panic, if it had one.
            let _ = thread.join();
        }
    }
}
