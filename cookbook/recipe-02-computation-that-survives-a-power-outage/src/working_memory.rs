//! [`WorkingMemory`]: leased memory that the threads put their sums into.
//!
//! It holds nothing that can't be computed again. When its lease is lost, the stretch that was being computed is
//! lost with it, and that is all: durable state knows nothing of it.

use fabricbios_core::lease::LeaseId;
use grafos_std::error::Result;
use grafos_std::host::Host;
use grafos_std::mem::{MemBuilder, MemHandle, MemLease};

use crate::estimator::PieceSums;

const SLOT_LEN: usize = 16;
const SLOT_BYTES: u64 = SLOT_LEN as u64;

/// A lease on memory for a number of [`PieceSums`].
#[derive(Debug)]
pub(crate) struct WorkingMemory {
    lease: MemLease,
    slots: u64,
}

/// What a thread needs to put its sums there.
#[derive(Clone, Debug)]
pub(crate) struct Slots(MemHandle);

impl WorkingMemory {
    pub(crate) fn lease(host: &Host, slots: u64) -> Result<Self> {
        let lease = MemBuilder::new().on(host).min_bytes(slots.saturating_mul(SLOT_BYTES)).acquire()?;
        Ok(Self { lease, slots })
    }

    pub(crate) fn lease_id(&self) -> LeaseId {
        self.lease.lease_id()
    }

    pub(crate) fn num_slots(&self) -> u64 {
        self.slots
    }

    pub(crate) fn renew_if_due(&self) -> Result<()> {
        self.lease.renew_if_due()
    }

    pub(crate) fn slots(&self) -> Slots {
        Slots(self.lease.mem())
    }

    /// The sums in the first `count` slots.
    pub(crate) fn read(&self, count: u64) -> Result<Vec<PieceSums>> {
        let len = usize::try_from(count.min(self.slots) * SLOT_BYTES).unwrap_or(usize::MAX);
        let bytes = self.lease.mem().read(0, len)?;
        let (words, _) = bytes.as_chunks::<8>();
        let (pairs, _) = words.as_chunks::<2>();
        let sums = |pair: &[[u8; 8]; 2]| PieceSums {
            sum: u64::from_le_bytes(pair[0]),
            sum_sq: u64::from_le_bytes(pair[1]),
        };
        Ok(pairs.iter().map(sums).collect())
    }
}

impl Slots {
    pub(crate) fn put(&self, slot: u64, sums: &PieceSums) -> Result<()> {
        let mut bytes = [0; SLOT_LEN];
        let (left, right) = bytes.split_at_mut(8);
        left.copy_from_slice(&sums.sum.to_le_bytes());
        right.copy_from_slice(&sums.sum_sq.to_le_bytes());
        self.0.write(slot.saturating_mul(SLOT_BYTES), &bytes)
    }
}
