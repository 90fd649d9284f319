//! [`Scheduler`]: virtual time. Events come in the order of their time, those of one time in the order in which they
//! were planned. Nothing here waits: time is a number.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

#[derive(Debug)]
struct Planned<E> {
    at_us: u64,
    order: u64,
    event: E,
}

impl<E> PartialEq for Planned<E> {
    fn eq(&self, other: &Self) -> bool {
        self.order == other.order
    }
}

impl<E> Eq for Planned<E> {}

impl<E> PartialOrd for Planned<E> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<E> Ord for Planned<E> {
    /// The earliest is the greatest: the heap gives out the greatest first.
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at_us, other.order).cmp(&(self.at_us, self.order))
    }
}

/// What will happen, and what time it is: microseconds since the world began.
#[derive(Debug)]
pub(crate) struct Scheduler<E> {
    heap: BinaryHeap<Planned<E>>,
    now_us: u64,
    planned: u64,
}

impl<E> Scheduler<E> {
    pub(crate) fn new() -> Self {
        Self { heap: BinaryHeap::new(), now_us: 0, planned: 0 }
    }

    pub(crate) fn now_us(&self) -> u64 {
        self.now_us
    }

    pub(crate) fn plan(&mut self, in_us: u64, event: E) {
        self.planned += 1;
        self.heap.push(Planned { at_us: self.now_us + in_us, order: self.planned, event });
    }

    /// The next event; it is its time now.
    pub(crate) fn next(&mut self) -> Option<E> {
        let planned = self.heap.pop()?;
        self.now_us = planned.at_us;
        Some(planned.event)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_in_the_order_of_their_time_and_then_of_their_planning() {
        let mut scheduler = Scheduler::new();
        for (in_us, name) in [(5, "c"), (1, "a"), (5, "d"), (1, "b")] {
            scheduler.plan(in_us, name);
        }
        let order: Vec<_> = std::iter::from_fn(|| scheduler.next()).collect();
        assert_eq!(order, ["a", "b", "c", "d"]);
        assert_eq!(scheduler.now_us(), 5);
    }
}
