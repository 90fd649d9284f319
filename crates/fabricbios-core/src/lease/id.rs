//! [`LeaseId`]: the name of one grant.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Names one lease. Never reused: a new grant of the same resource has a new id.
///
/// It prints as 32 hexadecimal digits and parses from them, so that a program can keep it in a file and
/// [attach](https://docs.rs/grafos-std) again after a crash.
///
/// ```
/// use fabricbios_core::lease::LeaseId;
///
/// let id = LeaseId(0xfab);
/// assert_eq!(id.to_string().parse::<LeaseId>()?, id);
/// # Ok::<(), fabricbios_core::lease::ParseLeaseIdError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct LeaseId(pub u128);

impl From<u128> for LeaseId {
    fn from(id: u128) -> Self {
        Self(id)
    }
}

impl From<LeaseId> for u128 {
    fn from(id: LeaseId) -> Self {
        id.0
    }
}

impl fmt::Display for LeaseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// A text that is not the 32 hexadecimal digits of a [`LeaseId`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a lease id: expected 32 hexadecimal digits, found=`{found}`")]
pub struct ParseLeaseIdError {
    /// What was given, cut to 64 characters.
    pub found: String,
}

impl FromStr for LeaseId {
    type Err = ParseLeaseIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let all_digits = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        all_digits
            .then(|| u128::from_str_radix(text, 16).ok())
            .flatten()
            .map(Self)
            .ok_or_else(|| ParseLeaseIdError { found: text.chars().take(64).collect() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_survive_printing_and_parsing() {
        for id in [LeaseId(0), LeaseId(1), LeaseId(u128::MAX)] {
            assert_eq!(id.to_string().parse(), Ok(id));
        }
    }

    #[test]
    fn other_texts_are_refused_and_quoted_in_part() {
        for text in ["", "12", "+0000000000000000000000000000001", "zz000000000000000000000000000000"] {
            assert_eq!(text.parse::<LeaseId>(), Err(ParseLeaseIdError { found: text.into() }));
        }
        let long = "x".repeat(1000);
        assert_eq!(long.parse::<LeaseId>().unwrap_err().found.len(), 64);
    }
}
