//! [`Lane`]: the way of a blob to one replica, and [`write_blob`], which writes what comes along; [`OwnLane`]: the same
//! without a thread.
//!
//! Invariant: a lane whose replica has failed takes everything and keeps nothing, so it never holds up the others.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use super::meeting::Seat;
use crate::error::StoreError;
use crate::payload_replica::{BlobSpace, BlobWriter};
use crate::register::BlobTag;
use crate::replicas::Replica;

/// Some bytes of a blob.
#[derive(Clone, Debug)]
pub(super) enum Piece<'env> {
    /// In the caller's memory.
    Lent(&'env [u8]),
    /// In the upload's.
    Shared(Arc<Vec<u8>>),
    /// There are no more: the blob is whole.
    End,
}

impl Piece<'_> {
    pub(super) fn bytes(&self) -> &[u8] {
        match self {
            Self::Lent(bytes) => bytes,
            Self::Shared(bytes) => bytes,
            Self::End => &[],
        }
    }
}

/// The producer's end of a lane whose other end is a thread.
#[derive(Debug)]
pub(super) struct Lane<'env>(Option<SyncSender<Piece<'env>>>);

impl<'env> Lane<'env> {
    /// A lane in which so many pieces can wait, and its other end.
    pub(super) fn new(len: usize) -> (Self, Receiver<Piece<'env>>) {
        let (send, receive) = sync_channel(len);
        (Self(Some(send)), receive)
    }

    /// Waits while the lane is full. A replica that failed has hung up, and says why when its thread is joined.
    pub(super) fn send(&mut self, piece: Piece<'env>) {
        if self.0.as_ref().is_some_and(|lane| lane.send(piece).is_err()) {
            self.0 = None;
        }
    }
}

/// The lane of one replica that the producer's own thread writes: one thread less to start and to wait for, which is a
/// good part of what a small state takes.
#[derive(Debug)]
pub(super) struct OwnLane(Result<Box<dyn BlobWriter>, StoreError>);

impl OwnLane {
    /// Begins the blob.
    pub(super) fn begin(replica: &Replica, space: &BlobSpace, tag: &BlobTag) -> Self {
        Self(caught(|| replica.handle()?.create(space, tag, None)))
    }

    /// After a failure, nothing is written any more.
    pub(super) fn write(&mut self, bytes: &[u8]) {
        if let Ok(writer) = &mut self.0
            && let Err(error) = caught(|| writer.write(bytes))
        {
            self.0 = Err(error);
        }
    }

    /// Makes the blob durable.
    pub(super) fn finish(self, seat: Seat) -> Result<(), StoreError> {
        let writer = self.0?;
        caught(|| finish(writer, seat))
    }
}

/// A replica that panics fails, here as on a thread of its own.
fn caught<T>(work: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
    // What it leaves behind is the replica's, and its writer is dropped.
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| Err(panicked()))
}

/// What is said of a replica whose writer did not come back.
pub(super) fn panicked() -> StoreError {
    StoreError::Unavailable { reason: "its writer panicked, or no thread was to be had for it".to_owned() }
}

/// Who gains by it syncs his blob when all that are still writing have staged theirs.
fn finish(mut writer: Box<dyn BlobWriter>, seat: Seat) -> Result<(), StoreError> {
    writer.stage()?;
    if writer.waits_for_others() {
        seat.wait_for_all();
    } else {
        drop(seat);
    }
    writer.finish()
}

/// Writes a whole blob to one replica on its own thread. What became of it comes back.
pub(super) fn write_apart(
    replica: &Replica,
    space: &BlobSpace,
    tag: BlobTag,
    pieces: &[Arc<Vec<u8>>],
    seat: Seat,
) -> Receiver<Result<(), StoreError>> {
    let (tell, done) = sync_channel(1);
    let (handle, space, pieces) = (replica.handle(), space.clone(), pieces.to_vec());
    replica.worker().begin(Box::new(move || {
        let write = || -> Result<(), StoreError> {
            let mut writer = handle?.create(&space, &tag, None)?;
            pieces.iter().try_for_each(|piece| writer.write(piece))?;
            drop(pieces);
            finish(writer, seat)
        };
        // Whoever began it may have panicked meanwhile.
        let _ = tell.send(caught(write));
    }));
    done
}

/// Writes what comes along the lane to one replica, and makes it durable.
pub(super) fn write_blob(
    replica: &Replica,
    space: &BlobSpace,
    tag: &BlobTag,
    pieces: &Receiver<Piece<'_>>,
    seat: Seat,
) -> Result<(), StoreError> {
    let mut writer = replica.handle()?.create(space, tag, None)?;
    for piece in pieces {
        match piece {
            Piece::End => return finish(writer, seat),
            some => writer.write(some.bytes())?,
        }
    }
    Err(given_up())
}

/// What becomes of a blob whose state was not produced to its end.
pub(super) fn given_up() -> StoreError {
    StoreError::Unavailable { reason: "the upload was given up".to_owned() }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Sender, channel};
    use std::thread;

    use super::super::meeting::Meeting;
    use super::*;

    /// Says what is asked of it.
    #[derive(Debug)]
    struct Telling {
        waits: bool,
        tell: Sender<&'static str>,
    }

    impl BlobWriter for Telling {
        fn write(&mut self, _bytes: &[u8]) -> Result<(), StoreError> {
            Ok(())
        }

        fn stage(&mut self) -> Result<(), StoreError> {
            self.tell.send("staged").unwrap();
            Ok(())
        }

        fn waits_for_others(&self) -> bool {
            self.waits
        }

        fn finish(self: Box<Self>) -> Result<(), StoreError> {
            self.tell.send("finished").unwrap();
            Ok(())
        }
    }

    #[test]
    fn who_gains_by_it_waits_until_the_others_are_staged_and_nobody_else_does() {
        for waits in [false, true] {
            let (tell, told) = channel();
            let meeting = Meeting::of(2);
            let (own, other) = (meeting.seat(), meeting.seat());
            let writer = Box::new(Telling { waits, tell: tell.clone() });
            thread::scope(|scope| {
                scope.spawn(|| finish(writer, own).unwrap());
                assert_eq!(told.recv().unwrap(), "staged");
                if waits {
                    tell.send("the other is staged").unwrap();
                    drop(other);
                    assert_eq!(told.recv().unwrap(), "the other is staged");
                    assert_eq!(told.recv().unwrap(), "finished");
                } else {
                    assert_eq!(told.recv().unwrap(), "finished", "though nobody else is staged");
                    drop(other);
                }
            });
        }
    }
}
