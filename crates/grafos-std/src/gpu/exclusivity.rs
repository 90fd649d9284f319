//! [`GpuExclusivityClass`]: how far a lease keeps others away from its device.
//!
//! Invariant: a byte that is not a class, or a class that a host can't enforce, is refused and never read as a weaker
//! one.

use std::fmt;

use crate::error::FabricError;

/// How far a lease keeps others away from its device.
///
/// Between leases of one device:
///
/// | a lease of this class | lives beside | and its sessions beside |
/// |---|---|---|
/// | `Shared` | `Shared`, `SessionExclusive` | sessions of `Shared` leases |
/// | `SessionExclusive` | `Shared`, `SessionExclusive` | none, not even another one of the same lease |
/// | `DeviceExclusive` | none | other sessions of the same lease |
///
/// Who comes second is refused with [`Held`](FabricError::Held): a lease by
/// [`acquire`](crate::gpu::GpuBuilder::acquire), a session by its first operation.
///
/// ```
/// use grafos_std::gpu::GpuExclusivityClass;
///
/// assert_eq!(GpuExclusivityClass::try_from(1)?, GpuExclusivityClass::SessionExclusive);
/// assert!(GpuExclusivityClass::try_from(4).is_err(), "unknown, so refused");
/// # Ok::<(), grafos_std::FabricError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum GpuExclusivityClass {
    /// Others may share the device.
    Shared,
    /// No other session for the life of a session.
    SessionExclusive,
    /// The whole device for the life of the lease.
    DeviceExclusive,
    /// A partition of the device. Reserved: every host refuses it today.
    PartitionExclusive,
}

impl GpuExclusivityClass {
    /// Every class, in the order of their [codes](Self::code).
    pub const ALL: [Self; 4] =
        [Self::Shared, Self::SessionExclusive, Self::DeviceExclusive, Self::PartitionExclusive];

    /// The byte that stands for this class; never changes.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Shared => 0,
            Self::SessionExclusive => 1,
            Self::DeviceExclusive => 2,
            Self::PartitionExclusive => 3,
        }
    }

    /// The class of a byte, if it is one.
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.code() == code)
    }
}

impl TryFrom<u8> for GpuExclusivityClass {
    type Error = FabricError;

    /// # Errors
    /// [`InvalidRequest`](FabricError::InvalidRequest) for a byte that is no class.
    fn try_from(code: u8) -> Result<Self, FabricError> {
        Self::from_code(code).ok_or_else(|| FabricError::InvalidRequest {
            what: "exclusivity class",
            expected: "0 shared, 1 session-exclusive, 2 device-exclusive or 3 partition-exclusive",
            found: code.to_string(),
        })
    }
}

impl fmt::Display for GpuExclusivityClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Shared => "shared",
            Self::SessionExclusive => "session-exclusive",
            Self::DeviceExclusive => "device-exclusive",
            Self::PartitionExclusive => "partition-exclusive",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_pinned_and_unknown_ones_refused() {
        let codes: Vec<u8> = GpuExclusivityClass::ALL.iter().map(|class| class.code()).collect();
        assert_eq!(codes, [0, 1, 2, 3]);
        for class in GpuExclusivityClass::ALL {
            assert_eq!(GpuExclusivityClass::try_from(class.code()).unwrap(), class);
        }
        for unknown in 4..=u8::MAX {
            let error = GpuExclusivityClass::try_from(unknown).unwrap_err();
            assert!(error.to_string().contains(&format!("found={unknown}")), "{error}");
        }
    }
}
