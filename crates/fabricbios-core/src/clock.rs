//! Time as a parameter: the [`Clock`] trait, the machine's own clock, and one that tests turn by hand.
//!
//! Deadlines are measured on a clock that keeps running while a machine sleeps and that nobody can set. Wall-clock
//! time is for people, and for records that must be judged after a reboot.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

mod system;

pub use system::SystemClock;

/// Time since the machine started, sleep included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BootTime(Duration);

impl BootTime {
    /// This long after the start.
    #[must_use]
    pub const fn from_duration(since_boot: Duration) -> Self {
        Self(since_boot)
    }

    /// So many whole seconds after the start.
    #[must_use]
    pub const fn from_secs(secs: u64) -> Self {
        Self(Duration::from_secs(secs))
    }

    /// So many milliseconds after the start.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self(Duration::from_millis(millis))
    }

    /// How long after the start.
    #[must_use]
    pub const fn since_boot(self) -> Duration {
        self.0
    }

    /// Later by `by`, or the end of time.
    #[must_use]
    pub const fn saturating_add(self, by: Duration) -> Self {
        Self(self.0.saturating_add(by))
    }

    /// How long after `earlier`, zero if it is not.
    #[must_use]
    pub const fn saturating_since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

/// Where time comes from.
pub trait Clock: fmt::Debug + Send + Sync {
    /// Time since the machine started: never falls, goes on during sleep.
    fn now(&self) -> BootTime;

    /// Wall-clock time in milliseconds since 1970 (UTC). May jump.
    fn unix_ms(&self) -> u64;
}

/// A clock that stands still until it is moved.
///
/// ```
/// use std::time::Duration;
/// use fabricbios_core::clock::{BootTime, Clock, ManualClock};
///
/// let clock = ManualClock::default();
/// clock.advance(Duration::from_secs(3));
/// assert_eq!(clock.now(), BootTime::from_secs(3));
/// ```
#[derive(Debug, Default)]
pub struct ManualClock {
    elapsed_ms: AtomicU64,
}

impl ManualClock {
    /// Wall-clock time at which every manual clock starts: 2026-01-01 00:00 UTC.
    pub const START_UNIX_MS: u64 = 1_767_225_600_000;

    /// Moves the time on, in whole milliseconds.
    pub fn advance(&self, by: Duration) {
        let by_ms = u64::try_from(by.as_millis()).unwrap_or(u64::MAX);
        let add = |now: u64| Some(now.saturating_add(by_ms));
        // The closure always answers `Some`, so there is nothing to hear about.
        let _ = self.elapsed_ms.fetch_update(Ordering::SeqCst, Ordering::SeqCst, add);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> BootTime {
        BootTime::from_millis(self.elapsed_ms.load(Ordering::SeqCst))
    }

    fn unix_ms(&self) -> u64 {
        Self::START_UNIX_MS.saturating_add(self.elapsed_ms.load(Ordering::SeqCst))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manual_clock_stops_at_the_end_of_time() {
        let clock = ManualClock::default();
        clock.advance(Duration::MAX);
        clock.advance(Duration::from_secs(1));
        assert_eq!(clock.now(), BootTime::from_millis(u64::MAX));
        assert_eq!(clock.unix_ms(), u64::MAX);
    }

    #[test]
    fn the_system_clock_does_not_fall_and_knows_the_year() {
        let clock = SystemClock;
        let first = clock.now();
        assert!(clock.now() >= first);
        assert!(clock.unix_ms() > ManualClock::START_UNIX_MS);
    }
}
