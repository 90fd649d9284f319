//! [`LeaseStatus`]: where a lease stands, and the only ways it can move.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Where a lease stands. It moves forward once, from [`Active`](Self::Active) to one of the others, and stays.
///
/// ```
/// use fabricbios_core::state::LeaseStatus;
///
/// let status = LeaseStatus::Active.transition(LeaseStatus::Revoked)?;
/// assert!(status.transition(LeaseStatus::Active).is_err(), "no lease comes back to life");
/// # Ok::<(), fabricbios_core::state::IllegalTransition>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum LeaseStatus {
    /// Held, and before its deadline: the only state in which anything is allowed.
    Active,
    /// Past its deadline.
    Expired,
    /// Taken away by the host before its deadline.
    Revoked,
    /// Given back by its holder.
    Released,
    /// Closed to every writer, because tearing the resource down failed or its record can't be read: it takes an
    /// operator.
    Fenced,
}

impl LeaseStatus {
    /// Every status, in the order of their [codes](Self::code).
    pub const ALL: [Self; 5] = [Self::Active, Self::Expired, Self::Revoked, Self::Released, Self::Fenced];

    /// Whether nothing can follow.
    #[must_use]
    pub fn is_terminal(self) -> bool {
        self != Self::Active
    }

    /// Whether a lease of this status may become `next`. Staying is no transition.
    #[must_use]
    pub fn can_become(self, next: Self) -> bool {
        !self.is_terminal() && next.is_terminal()
    }

    /// The next status.
    ///
    /// # Errors
    /// [`IllegalTransition`] unless [`can_become`](Self::can_become) allows it.
    pub fn transition(self, next: Self) -> Result<Self, IllegalTransition> {
        if self.can_become(next) { Ok(next) } else { Err(IllegalTransition { from: self, to: next }) }
    }

    /// The byte that stands for this status in records; never changes.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Active => 0,
            Self::Expired => 1,
            Self::Revoked => 2,
            Self::Released => 3,
            Self::Fenced => 4,
        }
    }

    /// The status of a byte in a record, if it is one.
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.code() == code)
    }
}

impl fmt::Display for LeaseStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Active => "active",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
            Self::Released => "released",
            Self::Fenced => "fenced",
        })
    }
}

/// A lease was asked to move where no lease moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a lease cannot move: from={from}, to={to}")]
pub struct IllegalTransition {
    /// Where the lease stands.
    pub from: LeaseStatus,
    /// Where it was to go.
    pub to: LeaseStatus,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn codes_are_pinned() {
        let codes: Vec<u8> = LeaseStatus::ALL.iter().map(|status| status.code()).collect();
        assert_eq!(codes, [0, 1, 2, 3, 4]);
        for status in LeaseStatus::ALL {
            assert_eq!(LeaseStatus::from_code(status.code()), Some(status));
        }
        assert_eq!(LeaseStatus::from_code(5), None);
    }

    proptest! {
        #[test]
        fn no_terminal_state_is_left(wishes in prop::collection::vec(0..5_u8, 0..20)) {
            let mut status = LeaseStatus::Active;
            for wish in wishes.into_iter().filter_map(LeaseStatus::from_code) {
                let before = status;
                status = status.transition(wish).unwrap_or(status);
                prop_assert!(!before.is_terminal() || status == before);
                prop_assert!(status == before || status == wish);
            }
        }
    }
}
