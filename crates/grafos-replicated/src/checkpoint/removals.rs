//! [`Removals`]: dead blobs on their way out, while the program goes on: to give a large file's room back takes a file
//! system about as long as to write a good part of it.
//!
//! Nothing depends on a removal: what is not removed now is garbage, and is collected some other time. No more than
//! those of one save are under way.

use std::convert::Infallible;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};

use crate::payload_replica::{BlobSpace, PayloadReplica};
use crate::register::BlobTag;
use crate::replicas::{Replica, Replicas};
use crate::worker::{Job, Worker};

/// Removals under way. Dropped, it waits for them: a program that ends right after a save leaves nothing behind.
#[derive(Debug, Default)]
pub(super) struct Removals(Mutex<Option<Receiver<Infallible>>>);

impl Removals {
    /// Begins to remove blobs that nothing names any more, on the replicas' own threads.
    pub(super) fn begin(&self, replicas: &Replicas, space: &BlobSpace, dead: &[BlobTag]) {
        self.wait();
        if dead.is_empty() {
            return;
        }
        let (under_way, done) = channel();
        let removal = |replica| removal(replica, space.clone(), dead.to_vec(), under_way.clone());
        let mut jobs: Vec<(Arc<Worker>, Job)> =
            replicas.iter().map(|replica| (Arc::clone(replica.worker()), removal(replica))).collect();
        // The caller wakes one thread and goes on, since to wake a thread is a part of what a small save takes.
        let Some((first, own)) = jobs.pop() else { return };
        first.begin(Box::new(move || {
            jobs.into_iter().for_each(|(worker, job)| worker.begin(job));
            own();
        }));
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(done);
    }

    /// Returns when nothing is under way.
    pub(super) fn wait(&self) {
        if let Some(done) = self.0.lock().unwrap_or_else(PoisonError::into_inner).take() {
            // Nobody says anything. It ends when the last removal has let go of its end, done or not.
            let _ = done.recv();
        }
    }
}

impl Drop for Removals {
    fn drop(&mut self) {
        self.wait();
    }
}

fn removal(replica: &Replica, space: BlobSpace, dead: Vec<BlobTag>, under_way: Sender<Infallible>) -> Job {
    let replica = replica.clone();
    Box::new(move || {
        let remove =
            |handle: Arc<dyn PayloadReplica>| dead.iter().try_for_each(|blob| handle.delete(&space, blob));
        if let Err(error) = replica.handle().and_then(remove) {
            let id = replica.id();
            tracing::debug!(replica = %id, %error, "what is no longer kept could not be removed yet");
        }
        drop(under_way);
    })
}
