//! [`SyncOrder`]: how a new file and its name are made durable, one after the other or at the same time.
//!
//! A file system with a journal (ext4, XFS) has made the name durable together with the file, so that to sync the
//! directory afterwards takes nothing, while to sync both at once makes it write its journal twice. One without (ext4
//! made so, btrfs, a network's) takes for the directory what it takes for a small file, and both at once take as long as
//! one. Nothing tells them apart but the time that it takes, so both orders wait for both, and the time only chooses
//! between them.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::sync_channel;
use std::time::Duration;

use fabricbios_core::clock::{Clock, SystemClock};

use crate::error::StoreError;
use crate::worker::Worker;

/// A directory that takes this part of the time that its file took, or more, was not durable with it. Of small files
/// without a journal, 97 of 100 were seen to; on ext4 with one, 7 of 100.
const COSTLY_PART: u32 = 20;

/// A directory that was durable already speaks against as many that were not.
const WEIGHT_OF_DURABLE: u32 = 4;

/// So many more than that were not, and it is no accident.
const AT_ONCE_FROM: u32 = 16;

type Synced = Result<(), StoreError>;

/// The order that is right for one replica's file system, as far as it is known.
#[derive(Debug)]
pub(super) struct SyncOrder {
    /// What speaks for both at once: directories that were costly after their files, less those that were not.
    costly: AtomicU32,
    directory: Worker,
}

impl SyncOrder {
    /// One after the other, until it is known to be slower.
    pub(super) fn new() -> Self {
        Self { costly: AtomicU32::new(0), directory: Worker::new("replica names") }
    }

    /// Syncs a file and its directory, and returns when both are durable.
    ///
    /// # Errors
    /// That of the file, else that of the directory.
    pub(super) fn sync(
        &self,
        file: impl FnOnce() -> Synced,
        directory: impl Fn() -> Synced + Clone + Send + 'static,
    ) -> Synced {
        if self.is_at_once() {
            self.both_at_once(file, directory)
        } else {
            self.one_after_the_other(file, directory)
        }
    }

    /// Whether both are synced at the same time, since there is no journal.
    pub(super) fn is_at_once(&self) -> bool {
        self.costly.load(Ordering::Relaxed) >= AT_ONCE_FROM
    }

    fn one_after_the_other(
        &self,
        file: impl FnOnce() -> Synced,
        directory: impl FnOnce() -> Synced,
    ) -> Synced {
        let begin = SystemClock.now();
        file()?;
        let between = SystemClock.now();
        directory()?;
        let end = SystemClock.now();
        self.took(between.saturating_since(begin), end.saturating_since(between));
        Ok(())
    }

    fn took(&self, file: Duration, directory: Duration) {
        let is_costly = directory.saturating_mul(COSTLY_PART) >= file;
        // Decided once: from then on nothing is measured but what was under way.
        let _ = self.costly.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |costly| match is_costly {
            _ if costly >= AT_ONCE_FROM => None,
            true => Some(costly + 1),
            false => Some(costly.saturating_sub(WEIGHT_OF_DURABLE)),
        });
    }

    fn both_at_once(
        &self,
        file: impl FnOnce() -> Synced,
        directory: impl Fn() -> Synced + Clone + Send + 'static,
    ) -> Synced {
        let (tell, done) = sync_channel(1);
        let apart = directory.clone();
        self.directory.begin(Box::new(move || {
            // Who waits for it may have panicked meanwhile.
            let _ = tell.send(apart());
        }));
        let file = file();
        // Waited for in any case, and done here if there was no thread for it.
        let directory = done.recv().unwrap_or_else(|_| directory());
        file.and(directory)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, Sender, channel};
    use std::sync::{Arc, Mutex};

    use super::*;

    const LONG: Duration = Duration::from_millis(1);
    const SHORT: Duration = Duration::from_micros(1);

    fn failed(operation: &'static str) -> Synced {
        Err(StoreError::Io { operation, what: String::new(), errno: 5 })
    }

    fn at_once() -> SyncOrder {
        let order = SyncOrder::new();
        order.costly.store(AT_ONCE_FROM, Ordering::Relaxed);
        order
    }

    #[test]
    fn what_is_costly_again_and_again_is_done_at_once_from_then_on() {
        let order = SyncOrder::new();
        for nth in 0..1000 {
            let directory = if nth % 5 == 0 { SHORT } else { LONG };
            order.took(LONG, directory);
            assert!(
                !order.is_at_once(),
                "{nth}: a journal that is disturbed most of the time is one all the same"
            );
        }
        let order = SyncOrder::new();
        for nth in 0..AT_ONCE_FROM {
            assert!(!order.is_at_once(), "{nth}");
            order.took(LONG, LONG / COSTLY_PART);
        }
        assert!(order.is_at_once());
        for _ in 0..AT_ONCE_FROM {
            order.took(LONG, SHORT);
        }
        assert!(order.is_at_once(), "what was under way meanwhile changes nothing");
    }

    #[test]
    fn either_failure_is_one_in_both_orders() {
        for order in [SyncOrder::new(), at_once()] {
            assert_eq!(order.sync(|| Ok(()), || Ok(())), Ok(()));
            assert_eq!(order.sync(|| failed("file"), || Ok(())), failed("file"));
            assert_eq!(order.sync(|| Ok(()), || failed("directory")), failed("directory"));
            assert_eq!(order.sync(|| failed("file"), || failed("directory")), failed("file"));
        }
    }

    #[test]
    fn a_directory_whose_thread_dies_is_synced_all_the_same() {
        let caller = std::thread::current().id();
        let directory = move || {
            assert_eq!(std::thread::current().id(), caller, "not here");
            failed("directory")
        };
        assert_eq!(at_once().sync(|| Ok(()), directory), failed("directory"));
    }

    #[test]
    fn at_once_is_at_the_same_time() {
        let ((file, heard), (directory, begun)): ((Sender<()>, Receiver<()>), _) =
            (channel(), channel::<()>());
        let heard = Arc::new(Mutex::new(heard));
        let synced = at_once().sync(
            || {
                begun.recv().unwrap();
                file.send(()).unwrap();
                Ok(())
            },
            move || {
                directory.send(()).unwrap();
                heard.lock().unwrap().recv().unwrap();
                Ok(())
            },
        );
        assert_eq!(synced, Ok(()));
    }
}
