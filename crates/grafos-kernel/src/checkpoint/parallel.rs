//! Segments on several threads. Starts no thread that outlives its call; the order of results is that of the work.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use super::compression::{Codec, Compression};
use super::digest::{Digest, SEGMENT_BYTES};

/// Less work than this is not worth a thread.
const LEAST_PIECES: usize = 4;

/// How many finished segments wait for their turn on each thread.
const AHEAD: usize = 2;

/// Does `work` on each of `jobs`, which are divided among the threads; the results, or the first error in their order.
pub(super) fn map<J, R, E, F>(mut jobs: Vec<J>, threads: usize, work: F) -> Result<Vec<R>, E>
where
    J: Send,
    R: Send,
    E: Send,
    F: Fn(&mut Codec, J) -> Result<R, E> + Sync,
{
    let threads = threads.min(jobs.len() / (LEAST_PIECES / 2)).max(1);
    let run = |jobs: Vec<J>| {
        let mut codec = Codec::default();
        jobs.into_iter().map(|job| work(&mut codec, job)).collect::<Result<Vec<R>, E>>()
    };
    if threads == 1 {
        return run(jobs);
    }
    let share = jobs.len().div_ceil(threads);
    let mut results = Vec::with_capacity(jobs.len());
    thread::scope(|scope| {
        let mut others = Vec::new();
        while jobs.len() > share {
            let rest = jobs.split_off(share);
            let mine = std::mem::replace(&mut jobs, rest);
            others.push(scope.spawn(|| run(mine)));
        }
        let last = run(jobs);
        for other in others {
            results.extend(other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?);
        }
        results.extend(last?);
        Ok(results)
    })
}

/// A segment that is ready to be written.
pub(super) struct Packed<'a> {
    pub(super) raw: &'a [u8],
    /// Digest of `raw`.
    pub(super) contents: Digest,
    /// What to store in its place, how it is compressed, and its digest.
    pub(super) packed: Option<(Compression, Vec<u8>, Digest)>,
}

impl<'a> Packed<'a> {
    pub(super) fn of(raw: &'a [u8], compression: Compression, codec: &mut Codec) -> Self {
        let packed = codec.compress(compression, raw).map(|bytes| {
            let digest = Digest::of(&bytes);
            (compression, bytes, digest)
        });
        Self { raw, contents: Digest::of(raw), packed }
    }
}

/// Hashes and compresses the segments of `data`, and hands them to `each` in order, on the caller's thread, while later
/// ones are worked on.
pub(super) fn pack<E>(
    data: &[u8],
    compression: Compression,
    threads: usize,
    codec: &mut Codec,
    mut each: impl FnMut(Packed<'_>) -> Result<(), E>,
) -> Result<(), E> {
    let count = data.len().div_ceil(SEGMENT_BYTES);
    if threads <= 1 || count < LEAST_PIECES {
        return data.chunks(SEGMENT_BYTES).try_for_each(|raw| each(Packed::of(raw, compression, codec)));
    }
    thread::scope(|scope| {
        let mut queues: Vec<Receiver<Packed<'_>>> = Vec::with_capacity(threads);
        for first in 0..threads.min(count) {
            let (sender, receiver) = sync_channel(AHEAD);
            queues.push(receiver);
            scope.spawn(move || pack_every(data, first, threads, compression, &sender));
        }
        for index in 0..count {
            // A queue ends early only if its thread has panicked, and then the scope panics too.
            let Ok(packed) = queues[index % threads].recv() else { break };
            each(packed)?;
        }
        Ok(())
    })
}

/// Segment `first` and each `step`-th behind it. Ends early when nobody wants them any more.
fn pack_every<'a>(
    data: &'a [u8],
    first: usize,
    step: usize,
    compression: Compression,
    to: &SyncSender<Packed<'a>>,
) {
    let mut codec = Codec::default();
    for raw in data.chunks(SEGMENT_BYTES).skip(first).step_by(step) {
        if to.send(Packed::of(raw, compression, &mut codec)).is_err() {
            return;
        }
    }
}
