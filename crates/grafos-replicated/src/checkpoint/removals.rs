//! [`Removals`]: dead blobs on their way out, while the program goes on: to give a large file's room back takes a file
//! system about as long as to write a good part of it.
//!
//! Nothing depends on a removal: what is not removed now is garbage, and is collected some other time. No more than
//! those of one save are under way.

use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Mutex, PoisonError};

use crate::payload_replica::BlobSpace;
use crate::register::BlobTag;
use crate::replicas::{Replica, Replicas};

/// Removals under way. Dropped, it waits for them: a program that ends right after a save leaves nothing behind.
#[derive(Debug, Default)]
pub(super) struct Removals(Mutex<Vec<Receiver<()>>>);

impl Removals {
    /// Begins to remove blobs that nothing names any more, on the replicas' own threads.
    pub(super) fn begin(&self, replicas: &Replicas, space: &BlobSpace, dead: &[BlobTag]) {
        self.wait();
        if dead.is_empty() {
            return;
        }
        let begun = replicas.iter().map(|replica| remove_apart(replica, space.clone(), dead.to_vec()));
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend(begun);
    }

    /// Returns when nothing is under way.
    pub(super) fn wait(&self) {
        for done in self.0.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            // One that says nothing has panicked, or had no thread.
            let _ = done.recv();
        }
    }
}

impl Drop for Removals {
    fn drop(&mut self) {
        self.wait();
    }
}

fn remove_apart(replica: &Replica, space: BlobSpace, dead: Vec<BlobTag>) -> Receiver<()> {
    let (tell, done) = sync_channel(1);
    let (id, handle) = (replica.id().clone(), replica.handle());
    replica.begin(Box::new(move || {
        let removed = handle.and_then(|handle| dead.iter().try_for_each(|blob| handle.delete(&space, blob)));
        if let Err(error) = removed {
            tracing::debug!(replica = %id, %error, "what is no longer kept could not be removed yet");
        }
        // Whoever began it may have panicked meanwhile.
        let _ = tell.send(());
    }));
    done
}
