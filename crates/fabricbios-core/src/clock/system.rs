//! The machine's own clock: the only place in the workspace's libraries that asks what time it is.

use std::time::Duration;

use rustix::time::{ClockId, Timespec, clock_gettime};

use super::{BootTime, Clock};

/// Boot time from `CLOCK_BOOTTIME` on Linux, which goes on while the machine sleeps (`std::time::Instant` does
/// not); from `CLOCK_MONOTONIC` elsewhere. Wall-clock time from `CLOCK_REALTIME`.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

#[cfg(any(target_os = "linux", target_os = "android"))]
const BOOT_CLOCK: ClockId = ClockId::Boottime;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const BOOT_CLOCK: ClockId = ClockId::Monotonic;

impl Clock for SystemClock {
    fn now(&self) -> BootTime {
        BootTime::from_duration(to_duration(clock_gettime(BOOT_CLOCK)))
    }

    fn unix_ms(&self) -> u64 {
        let since_1970 = to_duration(clock_gettime(ClockId::Realtime));
        u64::try_from(since_1970.as_millis()).unwrap_or(u64::MAX)
    }
}

/// A time before the clock's zero counts as zero.
fn to_duration(time: Timespec) -> Duration {
    let secs = u64::try_from(time.tv_sec).unwrap_or(0);
    Duration::new(secs, u32::try_from(time.tv_nsec).unwrap_or(0))
}
