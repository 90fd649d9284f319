//! [`Stretch`]: a run of samples, computed by several threads into leased memory.
//!
//! Threads take piece after piece from a common counter and finish what they have taken. So the finished pieces are
//! always the first ones, whenever the threads are told that it is enough: a stretch can end after any piece.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, Scope, ScopedJoinHandle};
use std::time::Duration;

use grafos_std::error::FabricError;

use crate::error::RecipeError;
use crate::estimator::{PieceSums, draw};
use crate::share::{Cuts, Share};
use crate::working_memory::{Slots, WorkingMemory};

/// How often the caller is asked whether to go on, when no piece is finished in the meantime.
const TICK: Duration = Duration::from_millis(50);

/// Which samples to compute.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stretch {
    pub(crate) seed: u64,
    pub(crate) share: Share,
    /// The first position of the share.
    pub(crate) from: u64,
    /// One past the last.
    pub(crate) until: u64,
    pub(crate) threads: NonZeroUsize,
}

/// What was computed: less than was asked for if memory or patience ended.
#[derive(Debug)]
pub(crate) struct Computed {
    /// One past the last position that is counted in the sums.
    pub(crate) until: u64,
    pub(crate) sums: Vec<PieceSums>,
}

/// Why nothing was computed.
#[derive(Debug)]
pub(crate) enum StretchError {
    /// Working memory failed: with another lease, the stretch can be computed again.
    Memory(FabricError),
    Other(RecipeError),
}

impl Stretch {
    /// Computes pieces until the end, the end of `memory`, or until `go_on`, which is told the position that is
    /// reached so far, answers `false`.
    pub(crate) fn compute(
        &self,
        memory: &WorkingMemory,
        mut go_on: impl FnMut(u64) -> bool,
    ) -> Result<Computed, StretchError> {
        let crew = Crew {
            cuts: Cuts::new(self.from, self.until, memory.num_slots()),
            stretch: *self,
            slots: memory.slots(),
            next: AtomicU64::new(0),
            enough: AtomicBool::new(false),
        };
        thread::scope(|scope| {
            let (finished, reports) = mpsc::channel();
            let workers = crew.start(scope, &finished)?;
            drop(finished);
            let mut pieces = 0;
            loop {
                match reports.recv_timeout(TICK) {
                    Ok(()) => pieces += 1 + reports.try_iter().count() as u64,
                    Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => break,
                }
                if !go_on(crew.cuts.position_after(pieces)) {
                    crew.enough.store(true, Ordering::Relaxed);
                }
            }
            join(workers)
        })?;
        let pieces = crew.next.load(Ordering::SeqCst).min(crew.cuts.count());
        let sums = memory.read(pieces).map_err(StretchError::Memory)?;
        Ok(Computed { until: crew.cuts.position_after(pieces), sums })
    }
}

/// What the threads of a stretch share.
struct Crew {
    cuts: Cuts,
    stretch: Stretch,
    slots: Slots,
    /// The first piece that nobody has taken.
    next: AtomicU64,
    enough: AtomicBool,
}

type Worker<'scope> = ScopedJoinHandle<'scope, Result<(), FabricError>>;

impl Crew {
    /// Starts the threads. Each has a `finished` of its own and hangs up when it ends.
    fn start<'scope, 'env>(
        &'env self,
        scope: &'scope Scope<'scope, 'env>,
        finished: &Sender<()>,
    ) -> Result<Vec<Worker<'scope>>, StretchError> {
        let mut workers = Vec::new();
        let pieces = usize::try_from(self.cuts.count()).unwrap_or(usize::MAX);
        for _ in 0..self.stretch.threads.get().min(pieces) {
            let finished = finished.clone();
            let started = thread::Builder::new().spawn_scoped(scope, move || self.work(&finished));
            match started {
                Ok(worker) => workers.push(worker),
                // Fewer threads do the same work; only none at all can't.
                Err(error) if workers.is_empty() => {
                    return Err(StretchError::Other(RecipeError::Thread(error)));
                }
                Err(error) => {
                    tracing::warn!(%error, threads = workers.len(), "no more threads");
                    break;
                }
            }
        }
        Ok(workers)
    }

    fn work(&self, finished: &Sender<()>) -> Result<(), FabricError> {
        loop {
            let index = self.next.fetch_add(1, Ordering::SeqCst);
            if index >= self.cuts.count() {
                return Ok(());
            }
            let sums = draw(self.stretch.seed, &self.cuts.piece(&self.stretch.share, index));
            if let Err(error) = self.slots.put(index, &sums) {
                self.enough.store(true, Ordering::Relaxed);
                return Err(error);
            }
            // The listener waits until every thread has hung up.
            let _ = finished.send(());
            // Asked only now, so that a stretch gets on however little time it is given.
            if self.enough.load(Ordering::Relaxed) {
                return Ok(());
            }
        }
    }
}

fn join(workers: Vec<Worker<'_>>) -> Result<(), StretchError> {
    let mut outcome = Ok(());
    for worker in workers {
        match worker.join() {
            Ok(Ok(())) => {}
            Ok(Err(error)) => outcome = Err(StretchError::Memory(error)),
            // A panic is a bug: it ends this thread as it has ended that one.
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }
    outcome
}
