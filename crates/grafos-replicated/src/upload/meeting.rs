//! [`Meeting`]: where lanes wait for each other before they sync.
//!
//! Replicas may share a disk, and always do so in a program's home: a file system with a journal syncs what all of them
//! have written at once if all have written it by then, else one after the other.
//!
//! Invariant: whoever leaves, for whatever reason, is not waited for.

use std::sync::{Arc, Condvar, Mutex, PoisonError};

/// A number of seats.
#[derive(Debug)]
pub(super) struct Meeting {
    awaited: Mutex<usize>,
    all: Condvar,
}

/// Somebody who is waited for, until he waits himself or leaves.
#[derive(Debug)]
pub(super) struct Seat(Arc<Meeting>);

impl Meeting {
    /// A meeting of so many, each of whom takes one [`seat`](Self::seat).
    pub(super) fn of(seats: usize) -> Arc<Self> {
        Arc::new(Self { awaited: Mutex::new(seats), all: Condvar::new() })
    }

    pub(super) fn seat(self: &Arc<Self>) -> Seat {
        Seat(Arc::clone(self))
    }
}

impl Seat {
    /// Returns when nobody is waited for any more.
    pub(super) fn wait_for_all(self) {
        let meeting = Arc::clone(&self.0);
        drop(self);
        let mut awaited = meeting.awaited.lock().unwrap_or_else(PoisonError::into_inner);
        while *awaited > 0 {
            awaited = meeting.all.wait(awaited).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut awaited = self.0.awaited.lock().unwrap_or_else(PoisonError::into_inner);
        *awaited = awaited.saturating_sub(1);
        if *awaited == 0 {
            self.0.all.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;

    use super::*;

    #[test]
    fn nobody_goes_on_before_all_have_come_or_left() {
        for leaving in 0..4 {
            let (meeting, arrived) = (Meeting::of(4), AtomicUsize::new(0));
            thread::scope(|scope| {
                for nth in 0..4 {
                    let (seat, arrived) = (meeting.seat(), &arrived);
                    scope.spawn(move || {
                        arrived.fetch_add(1, Ordering::SeqCst);
                        if nth < leaving {
                            drop(seat);
                            return;
                        }
                        seat.wait_for_all();
                        assert_eq!(arrived.load(Ordering::SeqCst), 4);
                    });
                }
            });
        }
    }
}
