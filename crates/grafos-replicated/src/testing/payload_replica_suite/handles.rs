//! Rules of several handles, and several threads, on the same blobs.

use std::thread;

use grafos_suite::{Broken, Checked, ensure, ensure_eq};

use super::{TestedPayloadReplica, all_of, bytes, put, space, tag};

pub(super) fn another_handle_sees_finished_blobs(tested: &TestedPayloadReplica) -> Checked {
    let (one, other) = (tested.replica.as_ref(), (tested.reopen)());
    ensure_eq!(other.list(&space(), None, 10)?, [], "the blobs at first");
    put(one, &tag(1, 1, 7), b"of the one")?;
    ensure_eq!(all_of(other.as_ref(), &tag(1, 1, 7))?, b"of the one", "what the other handle reads");
    other.delete(&space(), &tag(1, 1, 7))?;
    ensure_eq!(one.list(&space(), None, 10)?, [], "what the other handle has deleted");
    Ok(())
}

pub(super) fn blobs_outlive_their_handle(tested: &TestedPayloadReplica) -> Checked {
    let first = (tested.reopen)();
    put(first.as_ref(), &tag(1, 1, 7), &bytes(8, 100_000))?;
    drop(first);
    let second = (tested.reopen)();
    ensure!(
        all_of(second.as_ref(), &tag(1, 1, 7))? == bytes(8, 100_000),
        "the blob is another after a restart"
    );
    Ok(())
}

pub(super) fn threads_can_write_at_once(tested: &TestedPayloadReplica) -> Checked {
    const THREADS: u64 = 4;
    let replica = tested.replica.as_ref();
    let len = |thread: u64| 500_000 + 1000 * usize::try_from(thread).unwrap_or(0);
    thread::scope(|scope| {
        let write = |thread| put(replica, &tag(1, thread, 7), &bytes(thread, len(thread)));
        let writers: Vec<_> = (0..THREADS).map(|thread| scope.spawn(move || write(thread))).collect();
        for writer in writers {
            writer.join().map_err(|_| Broken("a thread panicked".to_owned()))??;
        }
        Ok::<(), Broken>(())
    })?;
    for thread in 0..THREADS {
        let found = all_of(replica, &tag(1, thread, 7))?;
        ensure!(found == bytes(thread, len(thread)), "the blob of thread {thread} is another");
    }
    Ok(())
}
