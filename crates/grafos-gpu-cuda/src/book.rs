//! [`Book`]: who has a device, and who is kept out. Pure: no driver, no clock.
//!
//! The rules are those of [`GpuExclusivityClass`]. A lease stays in the book until it is over and its last session is
//! gone: as long as a kernel of an ended lease runs on, it still keeps others out.

use std::collections::HashMap;

use fabricbios_core::lease::{FenceEpoch, LeaseId};
use grafos_std::FabricError;
use grafos_std::gpu::GpuExclusivityClass as Class;

/// Why somebody was not let in.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// Somebody else has the device.
    Held,
    /// Not enough device memory is left.
    OutOfMemory { requested: u64, available: u64 },
    /// A class that nobody enforces here.
    Unsupported,
}

/// The leases of one device.
#[derive(Debug, Default)]
pub(crate) struct Book {
    last_epoch: u64,
    leases: HashMap<LeaseId, Entry>,
    /// Memory that contexts hold which could not be destroyed.
    lost_bytes: u64,
}

#[derive(Debug)]
struct Entry {
    class: Class,
    vram_bytes: u64,
    sessions: usize,
    is_over: bool,
}

impl Book {
    /// Grants a lease: its epoch, and how much of the device's memory it may use.
    pub(crate) fn grant(
        &mut self,
        lease_id: LeaseId,
        class: Class,
        min_vram_bytes: u64,
        device_bytes: u64,
    ) -> Result<(FenceEpoch, u64), Refused> {
        let mut others = self.leases.values().map(|entry| entry.class);
        let is_held = match class {
            Class::DeviceExclusive => others.next().is_some(),
            Class::Shared | Class::SessionExclusive => others.any(|other| other == Class::DeviceExclusive),
            _ => return Err(Refused::Unsupported),
        };
        if is_held {
            return Err(Refused::Held);
        }
        let taken =
            self.leases.values().fold(self.lost_bytes, |sum, entry| sum.saturating_add(entry.vram_bytes));
        let available = device_bytes.saturating_sub(taken);
        if min_vram_bytes > available {
            return Err(Refused::OutOfMemory { requested: min_vram_bytes, available });
        }
        let vram_bytes = if class == Class::DeviceExclusive { available } else { min_vram_bytes };
        self.last_epoch = self.last_epoch.saturating_add(1);
        self.leases.insert(lease_id, Entry { class, vram_bytes, sessions: 0, is_over: false });
        Ok((FenceEpoch(self.last_epoch), vram_bytes))
    }

    /// Lets a session of a lease in.
    pub(crate) fn open_session(&mut self, lease_id: LeaseId) -> Result<(), Refused> {
        let class = match self.leases.get(&lease_id) {
            Some(entry) if !entry.is_over => entry.class,
            _ => return Err(Refused::Held),
        };
        let mut open = self.leases.values().filter(|entry| entry.sessions > 0).map(|entry| entry.class);
        let is_held = match class {
            Class::SessionExclusive => open.next().is_some(),
            _ => open.any(|other| other == Class::SessionExclusive),
        };
        if is_held {
            return Err(Refused::Held);
        }
        if let Some(entry) = self.leases.get_mut(&lease_id) {
            entry.sessions += 1;
        }
        Ok(())
    }

    /// A session is gone. `lost_bytes` are what it could not give back.
    pub(crate) fn session_gone(&mut self, lease_id: LeaseId, lost_bytes: u64) {
        self.lost_bytes = self.lost_bytes.saturating_add(lost_bytes);
        if let Some(entry) = self.leases.get_mut(&lease_id) {
            entry.sessions = entry.sessions.saturating_sub(1);
        }
        self.strike_out(lease_id);
    }

    /// A lease is over.
    pub(crate) fn lease_over(&mut self, lease_id: LeaseId) {
        if let Some(entry) = self.leases.get_mut(&lease_id) {
            entry.is_over = true;
        }
        self.strike_out(lease_id);
    }

    fn strike_out(&mut self, lease_id: LeaseId) {
        if self.leases.get(&lease_id).is_some_and(|entry| entry.is_over && entry.sessions == 0) {
            self.leases.remove(&lease_id);
        }
    }
}

impl Refused {
    /// The error for a caller of this device.
    pub(crate) fn on_device(self, device: u32) -> FabricError {
        match self {
            Self::Held => FabricError::Held {
                resource: crate::device::resource(device),
                holder_pid: Some(std::process::id()),
            },
            Self::OutOfMemory { requested, available } => {
                FabricError::CapacityExceeded { what: crate::device::DEVICE_MEMORY, requested, available }
            }
            Self::Unsupported => FabricError::Unsupported { what: "this exclusivity class, on CUDA devices" },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;

    fn grant(book: &mut Book, id: u128, class: Class) -> Result<(FenceEpoch, u64), Refused> {
        book.grant(LeaseId(id), class, GIB, 4 * GIB)
    }

    #[test]
    fn leases_live_beside_each_other_as_their_classes_say() {
        use Class::{DeviceExclusive, SessionExclusive, Shared};
        for first in [Shared, SessionExclusive, DeviceExclusive] {
            for second in [Shared, SessionExclusive, DeviceExclusive] {
                let mut book = Book::default();
                grant(&mut book, 1, first).unwrap();
                let may = first != DeviceExclusive && second != DeviceExclusive;
                assert_eq!(grant(&mut book, 2, second).is_ok(), may, "{first} and {second}");
                book.lease_over(LeaseId(1));
                book.lease_over(LeaseId(2));
                assert!(grant(&mut book, 3, DeviceExclusive).is_ok(), "{first} and {second}");
            }
        }
        assert_eq!(grant(&mut Book::default(), 1, Class::PartitionExclusive), Err(Refused::Unsupported));
    }

    #[test]
    fn sessions_live_beside_each_other_as_the_classes_of_their_leases_say() {
        use Class::{SessionExclusive, Shared};
        for (first, second, may) in [
            (Shared, Shared, true),
            (Shared, SessionExclusive, false),
            (SessionExclusive, Shared, false),
            (SessionExclusive, SessionExclusive, false),
        ] {
            let mut book = Book::default();
            grant(&mut book, 1, first).unwrap();
            grant(&mut book, 2, second).unwrap();
            book.open_session(LeaseId(1)).unwrap();
            assert_eq!(book.open_session(LeaseId(2)).is_ok(), may, "{first} and {second}");
            book.session_gone(LeaseId(1), 0);
            assert!(book.open_session(LeaseId(2)).is_ok(), "{first} and {second}");
        }
        let mut book = Book::default();
        grant(&mut book, 1, SessionExclusive).unwrap();
        book.open_session(LeaseId(1)).unwrap();
        assert_eq!(
            book.open_session(LeaseId(1)),
            Err(Refused::Held),
            "not even another one of the same lease"
        );
        let mut book = Book::default();
        grant(&mut book, 1, Class::DeviceExclusive).unwrap();
        book.open_session(LeaseId(1)).unwrap();
        book.open_session(LeaseId(1)).unwrap();
    }

    #[test]
    fn a_lease_that_is_over_keeps_others_out_until_its_last_session_is_gone() {
        let mut book = Book::default();
        grant(&mut book, 1, Class::DeviceExclusive).unwrap();
        book.open_session(LeaseId(1)).unwrap();
        book.lease_over(LeaseId(1));
        assert_eq!(book.open_session(LeaseId(1)), Err(Refused::Held));
        assert_eq!(grant(&mut book, 2, Class::Shared), Err(Refused::Held));
        book.session_gone(LeaseId(1), 0);
        assert!(grant(&mut book, 2, Class::Shared).is_ok());
    }

    #[test]
    fn memory_is_never_lent_twice_and_what_is_lost_is_not_lent_at_all() {
        let mut book = Book::default();
        book.grant(LeaseId(1), Class::Shared, 3 * GIB, 4 * GIB).unwrap();
        let refused = Refused::OutOfMemory { requested: 2 * GIB, available: GIB };
        assert_eq!(book.grant(LeaseId(2), Class::Shared, 2 * GIB, 4 * GIB), Err(refused));
        book.open_session(LeaseId(1)).unwrap();
        book.session_gone(LeaseId(1), GIB);
        book.lease_over(LeaseId(1));
        let (epoch, vram_bytes) = book.grant(LeaseId(3), Class::DeviceExclusive, 1, 4 * GIB).unwrap();
        assert_eq!(
            (epoch, vram_bytes),
            (FenceEpoch(2), 3 * GIB),
            "epochs rise, and the rest of the device is lent"
        );
    }
}
