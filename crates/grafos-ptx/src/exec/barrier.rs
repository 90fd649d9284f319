//! [`Barriers`]: the sixteen barriers of a block.
//!
//! Threads are counted as devices count them. Without a count, a barrier waits for all threads that have not exited.
//! With a count, warps are counted whole: once all of a warp's remaining threads have arrived, those that exited or
//! never were count as well.

use crate::compute::Mask;
use crate::error::FaultKind;
use crate::program::BarrierReduceOp;

/// How many barriers a block has.
pub(super) const BARRIERS: usize = 16;
/// The largest block has so many warps.
pub(super) const WARPS: usize = 32;

/// All barriers of a block.
#[derive(Debug, Default)]
pub(super) struct Barriers {
    barriers: [Barrier; BARRIERS],
    /// Lanes of each warp that have not exited.
    alive: Vec<Mask>,
    /// A bit for each barrier at which somebody has arrived, and for each one whose threads have all come.
    open: u16,
    complete: u16,
}

#[derive(Clone, Debug, Default)]
struct Barrier {
    count: Option<u32>,
    arrived: [Mask; WARPS],
    /// How many of the arrived brought a predicate, and how many of these were true.
    offered: u32,
    holding: u32,
}

/// What threads do at a barrier.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Arrival {
    pub(super) warp: usize,
    pub(super) lanes: Mask,
    pub(super) id: u32,
    pub(super) count: Option<u32>,
    /// Of a reduction: the lanes that brought a true predicate.
    pub(super) holding: Option<Mask>,
}

impl Barriers {
    /// For a new block with these threads.
    pub(super) fn reset(&mut self, alive: &[Mask]) {
        self.alive.clear();
        self.alive.extend_from_slice(alive);
        for id in 0..BARRIERS {
            if self.open & (1 << id) != 0 {
                self.barriers[id] = Barrier::default();
            }
        }
        (self.open, self.complete) = (0, 0);
    }

    /// Notes that threads have come; gives the number of the barrier.
    pub(super) fn arrive(&mut self, arrival: Arrival) -> Result<usize, FaultKind> {
        let misuse = |problem, found| Err(FaultKind::BarrierMisuse { problem, found });
        let id = arrival.id as usize;
        if id >= BARRIERS {
            return misuse("there are 16 barriers", arrival.id);
        }
        if let Some(count) = arrival.count {
            let most = u32::try_from(self.alive.len() * 32).unwrap_or(u32::MAX);
            if count == 0 || count % 32 != 0 {
                return misuse("the count of threads is no multiple of 32", count);
            }
            if count > most {
                return misuse("the count of threads is larger than the block", count);
            }
        }
        let barrier = &mut self.barriers[id];
        if self.open & (1 << id) != 0 && barrier.count != arrival.count {
            return misuse("threads that wait there named another count", arrival.count.unwrap_or(0));
        }
        if barrier.arrived[arrival.warp] & arrival.lanes != 0 {
            return misuse("a thread arrived twice before all others came", arrival.id);
        }
        barrier.count = arrival.count;
        barrier.arrived[arrival.warp] |= arrival.lanes;
        if let Some(holding) = arrival.holding {
            barrier.offered += arrival.lanes.count_ones();
            barrier.holding += (holding & arrival.lanes).count_ones();
        }
        self.open |= 1 << id;
        self.check(id);
        Ok(id)
    }

    /// Notes that threads have exited: others may have waited for them.
    pub(super) fn exit(&mut self, warp: usize, lanes: Mask) {
        self.alive[warp] &= !lanes;
        if self.open != 0 {
            for id in 0..BARRIERS {
                if self.open & (1 << id) != 0 {
                    self.check(id);
                }
            }
        }
    }

    fn check(&mut self, id: usize) {
        let barrier = &self.barriers[id];
        let is_complete = match barrier.count {
            None => {
                self.alive.iter().zip(&barrier.arrived).rev().all(|(alive, arrived)| alive & !arrived == 0)
            }
            Some(_) => {
                let (expected, arrived) = self.counts(id);
                arrived >= expected
            }
        };
        if is_complete {
            self.complete |= 1 << id;
        }
    }

    /// How many threads a barrier waits for, and how many have come.
    pub(super) fn counts(&self, id: usize) -> (u32, u32) {
        let barrier = &self.barriers[id];
        let warps = || self.alive.iter().zip(barrier.arrived);
        match barrier.count {
            None => {
                let expected = self.alive.iter().map(|alive| alive.count_ones()).sum();
                (expected, warps().map(|(alive, arrived)| (alive & arrived).count_ones()).sum())
            }
            Some(expected) => {
                let counted = |(alive, arrived): (&Mask, Mask)| {
                    if arrived == 0 {
                        0
                    } else if alive & !arrived == 0 {
                        Mask::BITS
                    } else {
                        arrived.count_ones()
                    }
                };
                (expected, warps().map(counted).sum())
            }
        }
    }

    /// Whether any barrier has all its threads.
    pub(super) fn is_any_complete(&self) -> bool {
        self.complete != 0
    }

    /// Takes a barrier that has all its threads and makes it ready for use again; what its reductions say.
    pub(super) fn take_complete(&mut self) -> Option<(usize, Reduced)> {
        if self.complete == 0 {
            return None;
        }
        let id = self.complete.trailing_zeros() as usize;
        self.complete &= !(1 << id);
        self.open &= !(1 << id);
        let barrier = std::mem::take(&mut self.barriers[id]);
        Some((id, Reduced { offered: barrier.offered, holding: barrier.holding }))
    }
}

/// What a reduction knows of the predicates of all threads.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reduced {
    offered: u32,
    holding: u32,
}

impl Reduced {
    /// The number of `.popc`, or 1 and 0 for true and false.
    pub(super) fn value(self, op: BarrierReduceOp) -> u32 {
        match op {
            BarrierReduceOp::Count => self.holding,
            BarrierReduceOp::And => (self.holding == self.offered).into(),
            BarrierReduceOp::Or => (self.holding != 0).into(),
        }
    }
}
