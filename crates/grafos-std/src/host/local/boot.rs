//! [`BootId`] and [`Moment`]: which run of the machine it is, and what time.
//!
//! Time since boot means nothing after a reboot, so a record that outlives one says which boot it counts from.

use fabricbios_core::clock::{BootTime, Clock};

/// Names one run of the machine, from power on to power off. All zeros: unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BootId(pub(super) [u8; 16]);

impl BootId {
    pub(super) const UNKNOWN: Self = Self([0; 16]);

    /// The run that this process is part of. Known on Linux; elsewhere leases of a dead holder are judged by the
    /// wall clock.
    pub(super) fn current() -> Self {
        if !cfg!(any(target_os = "linux", target_os = "android")) {
            return Self::UNKNOWN;
        }
        std::fs::read_to_string("/proc/sys/kernel/random/boot_id")
            .ok()
            .and_then(|text| Self::parse(&text))
            .unwrap_or(Self::UNKNOWN)
    }

    /// Reads 32 hexadecimal digits with dashes between them.
    fn parse(text: &str) -> Option<Self> {
        let digits: String = text.trim().chars().filter(|digit| *digit != '-').collect();
        if digits.len() != 32 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        u128::from_str_radix(&digits, 16).ok().map(|id| Self(id.to_be_bytes()))
    }

    /// Whether times since boot of the two can be compared.
    pub(super) fn is_same_as(self, other: Self) -> bool {
        self == other && self != Self::UNKNOWN
    }
}

/// A point in time on both clocks, and the boot that the first one counts from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    pub(super) boot: BootTime,
    pub(super) unix_ms: u64,
    pub(super) boot_id: BootId,
}

impl Moment {
    pub(super) fn now(clock: &dyn Clock, boot_id: BootId) -> Self {
        Self { boot: clock.now(), unix_ms: clock.unix_ms(), boot_id }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_boot_id_is_read_from_its_text_and_from_no_other() {
        let id = BootId::parse("00112233-4455-6677-8899-aabbccddeeff\n").unwrap();
        assert_eq!(id.0, *b"\x00\x11\x22\x33\x44\x55\x66\x77\x88\x99\xaa\xbb\xcc\xdd\xee\xff");
        for text in
            ["", "0011", "zz112233-4455-6677-8899-aabbccddeeff", "+0112233-4455-6677-8899-aabbccddeeff"]
        {
            assert_eq!(BootId::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn an_unknown_boot_is_not_even_the_same_as_itself() {
        assert!(!BootId::UNKNOWN.is_same_as(BootId::UNKNOWN));
        assert!(BootId([1; 16]).is_same_as(BootId([1; 16])));
        assert!(!BootId([1; 16]).is_same_as(BootId([2; 16])));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_machine_knows_its_boot() {
        assert!(BootId::current().is_same_as(BootId::current()));
    }
}
