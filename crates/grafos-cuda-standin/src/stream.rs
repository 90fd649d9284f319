//! [`Stream`]: work in order, on a thread that lives while there is some.
//!
//! Invariants: work of a stream never overlaps; marks are reached even when the context has a fault, so that nobody
//! waits for ever; after a fault nothing else runs.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;

use crate::code::{Answer, Code, SUCCESS, UNKNOWN};
use crate::context::ContextId;
use crate::event::Event;
use crate::sync::{locked, wait_while};

/// The first fault of a context, which every later call answers.
#[derive(Debug, Default)]
pub(crate) struct StickyFault(AtomicU32);

impl StickyFault {
    /// An error if there was a fault.
    pub(crate) fn check(&self) -> Answer {
        match self.0.load(Ordering::SeqCst) {
            SUCCESS => Ok(()),
            code => Err(code),
        }
    }

    /// The first fault stays.
    pub(crate) fn set(&self, code: Code) {
        let _ = self.0.compare_exchange(SUCCESS, code, Ordering::SeqCst, Ordering::SeqCst);
    }
}

/// One piece of work.
pub(crate) enum Task {
    /// A copy or a kernel.
    Work(Box<dyn FnOnce() -> Answer + Send>),
    /// Reaches a mark.
    Record(Arc<Event>, u64),
    /// Waits for a mark of another stream.
    Wait(Arc<Event>, u64),
}

/// A stream of a context.
pub(crate) struct Stream {
    pub(crate) context: ContextId,
    fault: Arc<StickyFault>,
    queue: Mutex<Queue>,
    idle: Condvar,
}

#[derive(Default)]
struct Queue {
    tasks: VecDeque<Task>,
    has_worker: bool,
}

impl Stream {
    /// A stream without work.
    pub(crate) fn new(context: ContextId, fault: Arc<StickyFault>) -> Self {
        Self { context, fault, queue: Mutex::default(), idle: Condvar::new() }
    }

    /// Adds work.
    pub(crate) fn submit(self: &Arc<Self>, task: Task) -> Answer {
        let mut queue = locked(&self.queue);
        queue.tasks.push_back(task);
        if !queue.has_worker {
            let stream = Arc::clone(self);
            let worker =
                thread::Builder::new().name("stand-in stream".to_owned()).spawn(move || stream.work());
            if worker.is_err() {
                queue.tasks.pop_back();
                return Err(UNKNOWN);
            }
            queue.has_worker = true;
        }
        Ok(())
    }

    /// Whether all work is done.
    pub(crate) fn is_idle(&self) -> bool {
        !locked(&self.queue).has_worker
    }

    /// Waits until all work is done.
    pub(crate) fn wait(&self) {
        drop(wait_while(&self.idle, locked(&self.queue), |queue| queue.has_worker));
    }

    fn work(&self) {
        while let Some(task) = self.next() {
            match task {
                Task::Work(work) => {
                    if self.fault.check().is_ok()
                        && let Err(code) = work()
                    {
                        self.fault.set(code);
                    }
                }
                Task::Record(event, record) => event.reach(record),
                Task::Wait(event, record) => event.wait(record),
            }
        }
    }

    /// The next piece of work; `None` ends the worker.
    fn next(&self) -> Option<Task> {
        let mut queue = locked(&self.queue);
        let task = queue.tasks.pop_front();
        if task.is_none() {
            queue.has_worker = false;
            self.idle.notify_all();
        }
        task
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;
    use crate::code::ILLEGAL_ADDRESS;

    fn stream() -> (Arc<Stream>, Arc<StickyFault>) {
        let fault = Arc::new(StickyFault::default());
        (Arc::new(Stream::new(ContextId(1), Arc::clone(&fault))), fault)
    }

    fn work(work: impl FnOnce() -> Answer + Send + 'static) -> Task {
        Task::Work(Box::new(work))
    }

    #[test]
    fn work_runs_in_order_and_a_call_does_not_wait_for_it() {
        let (stream, _) = stream();
        let (go, wait_for_go) = mpsc::channel();
        let (tell, told) = mpsc::channel();
        let again = tell.clone();
        stream
            .submit(work(move || {
                wait_for_go.recv().unwrap();
                tell.send(1).unwrap();
                Ok(())
            }))
            .unwrap();
        stream
            .submit(work(move || {
                again.send(2).unwrap();
                Ok(())
            }))
            .unwrap();
        assert!(!stream.is_idle());
        go.send(()).unwrap();
        stream.wait();
        assert!(stream.is_idle());
        assert_eq!(told.iter().collect::<Vec<_>>(), [1, 2]);
    }

    #[test]
    fn nothing_runs_after_a_fault_but_marks_are_reached() {
        let (stream, fault) = stream();
        let event = Arc::new(Event::new(ContextId(1)));
        let record = event.record();
        assert!(!event.is_reached());
        stream.submit(work(|| Err(ILLEGAL_ADDRESS))).unwrap();
        stream.submit(work(|| panic!("runs after a fault"))).unwrap();
        stream.submit(Task::Record(Arc::clone(&event), record)).unwrap();
        event.wait(record);
        stream.wait();
        assert_eq!(fault.check(), Err(ILLEGAL_ADDRESS));
    }

    #[test]
    fn a_stream_waits_for_the_mark_of_another() {
        let (first, _) = stream();
        let (second, _) = stream();
        let event = Arc::new(Event::new(ContextId(1)));
        let (go, wait_for_go) = mpsc::channel();
        let (tell, told) = mpsc::channel();
        let late = tell.clone();
        first
            .submit(work(move || {
                wait_for_go.recv().unwrap();
                tell.send("first").unwrap();
                Ok(())
            }))
            .unwrap();
        first.submit(Task::Record(Arc::clone(&event), event.record())).unwrap();
        second.submit(Task::Wait(Arc::clone(&event), event.last())).unwrap();
        second
            .submit(work(move || {
                late.send("second").unwrap();
                Ok(())
            }))
            .unwrap();
        go.send(()).unwrap();
        second.wait();
        first.wait();
        assert_eq!(told.iter().collect::<Vec<_>>(), ["first", "second"]);
    }
}
