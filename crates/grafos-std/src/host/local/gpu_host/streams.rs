//! [`Streams`]: what a session was told to do, in order within each stream, at the same time across streams.
//!
//! A stream has a worker thread from its first step on. Everything waits on one condition: streams are few, and a
//! change that matters to somebody is always a step that was done, or the end.
//!
//! Invariant: once the streams have [stopped](Stop) no step begins, and nobody waits for one.

use std::collections::{HashMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use grafos_ptx::Interrupt;

use crate::error::{FabricError, Result};
use crate::gpu::{GpuError, GpuFault};
use crate::host::StreamId;

/// How many steps of a stream may wait. Whoever submits more waits too, as on a device.
const QUEUE_LEN: usize = 1024;

/// How a step ended.
pub(super) enum Outcome {
    Done,
    /// It was told to stop.
    Cancelled,
    /// It fails the session.
    Failed(GpuFault),
}

/// Why nothing happens any more.
#[derive(Clone, Debug)]
pub(super) enum Stop {
    /// The first fault.
    Failed(GpuFault),
    /// The session was closed, or its lease has ended.
    Closed,
}

/// A moment in a stream: when so many of its steps are done.
#[derive(Clone, Copy, Debug)]
pub(super) struct Point {
    stream: StreamId,
    steps: u64,
}

type Work = Box<dyn FnOnce() -> Outcome + Send>;

enum Step {
    Run(Work),
    WaitFor(Point),
}

pub(super) struct Streams {
    shared: Arc<Shared>,
    workers: Mutex<HashMap<StreamId, JoinHandle<()>>>,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    /// Stops the kernels of all streams.
    interrupt: Interrupt,
}

struct State {
    streams: HashMap<StreamId, Stream>,
    last_id: u64,
    stop: Option<Stop>,
}

#[derive(Default)]
struct Stream {
    waiting: VecDeque<Step>,
    submitted: u64,
    done: u64,
}

impl Streams {
    /// The default stream and no other.
    pub(super) fn new(interrupt: Interrupt) -> Self {
        let streams = HashMap::from([(StreamId::DEFAULT, Stream::default())]);
        let state = Mutex::new(State { streams, last_id: 0, stop: None });
        let shared = Arc::new(Shared { state, changed: Condvar::new(), interrupt });
        Self { shared, workers: Mutex::default() }
    }

    pub(super) fn interrupt(&self) -> &Interrupt {
        &self.shared.interrupt
    }

    /// Why nothing happens any more, if so.
    pub(super) fn stopped(&self) -> Option<Stop> {
        self.shared.state().stop.clone()
    }

    /// How many streams there are beside the default one.
    pub(super) fn count(&self) -> usize {
        self.shared.state().streams.len().saturating_sub(1)
    }

    pub(super) fn create(&self) -> StreamId {
        let mut state = self.shared.state();
        state.last_id += 1;
        let id = StreamId(state.last_id);
        state.streams.insert(id, Stream::default());
        id
    }

    /// Forgets a stream that has nothing to do, and ends its worker.
    pub(super) fn destroy(&self, stream: StreamId) {
        self.shared.state().streams.remove(&stream);
        self.shared.changed.notify_all();
        let worker = self.workers().remove(&stream);
        worker.into_iter().for_each(join);
    }

    /// Puts work at the end of a stream; the point is reached when it is done.
    pub(super) fn submit(
        &self,
        stream: StreamId,
        work: impl FnOnce() -> Outcome + Send + 'static,
    ) -> Result<Point, Refused> {
        self.push(stream, Step::Run(Box::new(work)))
    }

    /// Makes a stream wait for a point of another one.
    pub(super) fn submit_wait(&self, stream: StreamId, point: Point) -> Result<Point, Refused> {
        self.push(stream, Step::WaitFor(point))
    }

    fn push(&self, id: StreamId, step: Step) -> Result<Point, Refused> {
        let mut state = self.shared.state();
        if state.stop.is_none() && state.streams.contains_key(&id) {
            drop(state);
            self.start_worker(id)?;
            state = self.shared.state();
        }
        loop {
            if let Some(stop) = &state.stop {
                return Err(Refused::Stopped(stop.clone()));
            }
            let stream = state.streams.get_mut(&id).ok_or_else(unknown)?;
            if stream.waiting.len() < QUEUE_LEN {
                stream.waiting.push_back(step);
                stream.submitted += 1;
                let point = Point { stream: id, steps: stream.submitted };
                drop(state);
                self.shared.changed.notify_all();
                return Ok(point);
            }
            state = self.shared.wait(state);
        }
    }

    fn start_worker(&self, id: StreamId) -> Result<(), Refused> {
        let mut workers = self.workers();
        if workers.contains_key(&id) {
            return Ok(());
        }
        let shared = Arc::clone(&self.shared);
        let spawned = thread::Builder::new().name("grafos-gpu".to_owned()).spawn(move || shared.work(id));
        let worker = spawned.map_err(|_| {
            let what = "threads for streams";
            FabricError::CapacityExceeded { what, requested: 1, available: 0 }
        })?;
        workers.insert(id, worker);
        Ok(())
    }

    /// The point at which everything that was submitted to the stream so far is done.
    pub(super) fn end_of(&self, stream: StreamId) -> Result<Point, Refused> {
        let state = self.shared.state();
        let steps = state.streams.get(&stream).ok_or_else(unknown)?.submitted;
        Ok(Point { stream, steps })
    }

    /// Waits for a point.
    pub(super) fn wait(&self, point: Point) -> Result<(), Stop> {
        self.wait_until(|state| state.is_reached(point))
    }

    /// Waits until everything that was submitted before, to any stream, is done.
    pub(super) fn wait_for_all(&self) -> Result<(), Stop> {
        let points: Vec<Point> = {
            let state = self.shared.state();
            state.streams.iter().map(|(id, it)| Point { stream: *id, steps: it.submitted }).collect()
        };
        self.wait_until(|state| points.iter().all(|point| state.is_reached(*point)))
    }

    fn wait_until(&self, is_done: impl Fn(&State) -> bool) -> Result<(), Stop> {
        let mut state = self.shared.state();
        loop {
            if let Some(stop) = &state.stop {
                return Err(stop.clone());
            }
            if is_done(&state) {
                return Ok(());
            }
            state = self.shared.wait(state);
        }
    }

    pub(super) fn is_reached(&self, point: Point) -> bool {
        let state = self.shared.state();
        state.stop.is_some() || state.is_reached(point)
    }

    /// Stops everything and waits until nothing runs.
    pub(super) fn shut(&self) {
        self.shared.stop(Stop::Closed);
        let workers: Vec<_> = self.workers().drain().map(|(_, worker)| worker).collect();
        workers.into_iter().for_each(join);
    }

    fn workers(&self) -> MutexGuard<'_, HashMap<StreamId, JoinHandle<()>>> {
        self.workers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why a step was not taken.
pub(super) enum Refused {
    Stopped(Stop),
    Error(FabricError),
}

impl From<FabricError> for Refused {
    fn from(error: FabricError) -> Self {
        Self::Error(error)
    }
}

fn unknown() -> Refused {
    Refused::Error(GpuError::FreedHandle { what: "stream" }.into())
}

/// Waits for the end of a worker. Not for our own: what a kernel prints may end up in a caller's function, which may
/// do anything.
fn join(worker: JoinHandle<()>) {
    if worker.thread().id() != thread::current().id() {
        // A worker catches what its steps panic with.
        let _ = worker.join();
    }
}

impl State {
    fn is_reached(&self, point: Point) -> bool {
        self.streams.get(&point.stream).is_none_or(|stream| stream.done >= point.steps)
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        // No step runs under the lock, and nothing else in here panics.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        self.changed.wait(state).unwrap_or_else(PoisonError::into_inner)
    }

    /// The life of a worker.
    fn work(&self, id: StreamId) {
        while let Some(work) = self.next(id) {
            let outcome = catch_unwind(AssertUnwindSafe(work));
            let stop = match outcome {
                Ok(Outcome::Done) => None,
                Ok(Outcome::Cancelled) => Some(Stop::Closed),
                Ok(Outcome::Failed(fault)) => Some(Stop::Failed(fault)),
                Err(_) => Some(Stop::Failed(GpuFault::Driver {
                    code: 0,
                    message: "a step of the local device panicked; please report it".to_owned(),
                })),
            };
            if let Some(stop) = stop {
                self.stop(stop);
            }
            self.step_done(id);
        }
    }

    /// The next work of a stream, once there is some; `None` when there will be none.
    fn next(&self, id: StreamId) -> Option<Work> {
        let mut state = self.state();
        loop {
            if state.stop.is_some() {
                return None;
            }
            let waiting_for = match state.streams.get_mut(&id)?.waiting.pop_front() {
                Some(Step::Run(work)) => {
                    drop(state);
                    // Somebody may have waited for room.
                    self.changed.notify_all();
                    return Some(work);
                }
                Some(Step::WaitFor(point)) => Some(point),
                None => None,
            };
            match waiting_for {
                Some(point) if state.is_reached(point) => {
                    drop(state);
                    self.step_done(id);
                    state = self.state();
                }
                Some(point) => {
                    if let Some(stream) = state.streams.get_mut(&id) {
                        stream.waiting.push_front(Step::WaitFor(point));
                    }
                    state = self.wait(state);
                }
                None => state = self.wait(state),
            }
        }
    }

    fn step_done(&self, id: StreamId) {
        if let Some(stream) = self.state().streams.get_mut(&id) {
            stream.done += 1;
        }
        self.changed.notify_all();
    }

    /// The first reason stands; work that waits is given up, kernels that run are stopped.
    fn stop(&self, reason: Stop) {
        let given_up: Vec<_> = {
            let mut state = self.state();
            state.stop.get_or_insert(reason);
            state.streams.values_mut().map(|stream| std::mem::take(&mut stream.waiting)).collect()
        };
        self.interrupt.stop();
        self.changed.notify_all();
        // What the steps own is dropped without the lock.
        drop(given_up);
    }
}

impl std::fmt::Debug for Streams {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Streams").field("count", &self.count()).finish_non_exhaustive()
    }
}
