//! [`Worker`]: a thread that is started for the first job and then kept, because to start one takes a good part of the
//! time that a small job takes.

use std::sync::mpsc::{SendError, Sender, channel};
use std::sync::{Mutex, PoisonError};
use std::thread;

/// Something to do.
pub(crate) type Job = Box<dyn FnOnce() + Send>;

/// Does one job after the other on a thread of its own, which ends with this value, after the jobs that it has.
#[derive(Debug)]
pub(crate) struct Worker {
    name: &'static str,
    jobs: Mutex<Option<Sender<Job>>>,
}

impl Worker {
    /// A worker whose thread will have this name.
    pub(crate) fn new(name: &'static str) -> Self {
        Self { name, jobs: Mutex::new(None) }
    }

    /// Hands the job over. One that can't be done, since no thread can be had, is dropped.
    pub(crate) fn begin(&self, job: Job) {
        let mut jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        let refused = match jobs.as_ref() {
            Some(jobs) => jobs.send(job).err().map(|SendError(job)| job),
            None => Some(job),
        };
        // There is no thread yet, or it has ended.
        if let Some(job) = refused {
            *jobs = self.begin_anew(job);
        }
    }

    fn begin_anew(&self, job: Job) -> Option<Sender<Job>> {
        let (send, jobs) = channel::<Job>();
        let thread = thread::Builder::new().name(self.name.to_owned());
        thread.spawn(move || jobs.into_iter().for_each(|job| job())).ok()?;
        // It has just been started, and takes it.
        let _ = send.send(job);
        Some(send)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The thread that does a job.
    fn thread_of(worker: &Worker) -> thread::ThreadId {
        let (tell, done) = channel();
        worker.begin(Box::new(move || tell.send(thread::current().id()).unwrap()));
        done.recv().unwrap()
    }

    #[test]
    fn the_thread_stays_and_one_that_has_died_is_replaced() {
        let worker = Worker::new("tested");
        let first = thread_of(&worker);
        assert_eq!(thread_of(&worker), first);
        worker.begin(Box::new(|| panic!("on purpose")));
        // What is handed over while it dies is lost, and its sender hears of it.
        let (tell, done) = channel::<()>();
        worker.begin(Box::new(move || drop(tell)));
        assert!(done.recv().is_err());
        let mut later = first;
        while later == first {
            let (tell, done) = channel();
            worker.begin(Box::new(move || tell.send(thread::current().id()).unwrap()));
            later = done.recv().unwrap_or(first);
        }
        assert_eq!(thread_of(&worker), later);
    }
}
