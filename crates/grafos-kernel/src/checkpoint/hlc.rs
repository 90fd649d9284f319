//! [`HlcTimestamp`]: when a checkpoint was made, in the order of a hybrid logical clock. The clock itself is not here.

use std::fmt;

use fabricbios_core::clock::{Clock, SystemClock};

/// A point in time of a hybrid logical clock (Kulkarni et al. 2014): wall-clock time, a counter for events at the same
/// time, and the node as tie-break. They are ordered in this order.
///
/// ```
/// use grafos_kernel::checkpoint::HlcTimestamp;
///
/// assert!(HlcTimestamp::new(5, 1, 9) < HlcTimestamp::new(5, 2, 0));
/// assert!(HlcTimestamp::zero().is_zero());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HlcTimestamp {
    /// Microseconds since 1970 (UTC).
    pub physical: u64,
    /// Counts events at the same physical time.
    pub logical: u64,
    /// Which node.
    pub node_id: u64,
}

impl HlcTimestamp {
    /// A timestamp of its three parts.
    #[must_use]
    pub const fn new(physical: u64, logical: u64, node_id: u64) -> Self {
        Self { physical, logical, node_id }
    }

    /// Before all others.
    #[must_use]
    pub const fn zero() -> Self {
        Self::new(0, 0, 0)
    }

    /// The wall-clock time of this machine, to the millisecond.
    #[must_use]
    pub fn now(node_id: u64) -> Self {
        Self::new(SystemClock.unix_ms().saturating_mul(1000), 0, node_id)
    }

    /// True if no time was ever set, whatever the node.
    #[must_use]
    pub const fn is_zero(&self) -> bool {
        self.physical == 0 && self.logical == 0
    }

    /// Physical time in microseconds since 1970.
    #[must_use]
    pub const fn as_micros(&self) -> u64 {
        self.physical
    }

    /// Physical time in milliseconds since 1970.
    #[must_use]
    pub const fn as_millis(&self) -> u64 {
        self.physical / 1000
    }
}

impl fmt::Display for HlcTimestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}@{}", self.physical, self.logical, self.node_id)
    }
}
