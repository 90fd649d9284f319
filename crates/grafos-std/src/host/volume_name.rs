//! [`VolumeName`]: a name that is safe to use as a file name.

use std::fmt;
use std::str::FromStr;

use crate::error::FabricError;

/// The name of a volume on its host: 1 to 64 characters out of `A-Z a-z 0-9 . _ -`, the first a letter or a digit.
///
/// ```
/// use grafos_std::host::VolumeName;
///
/// assert!("sim-state.v2".parse::<VolumeName>().is_ok());
/// assert!("../etc/passwd".parse::<VolumeName>().is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VolumeName(String);

impl VolumeName {
    const MAX_LEN: usize = 64;

    /// Checks a name.
    ///
    /// # Errors
    /// [`FabricError::InvalidRequest`] if it has another form.
    pub fn new(name: impl Into<String>) -> Result<Self, FabricError> {
        let name = name.into();
        if Self::is_valid(&name) {
            return Ok(Self(name));
        }
        Err(FabricError::InvalidRequest {
            what: "volume name",
            expected: "1 to 64 characters out of A-Z a-z 0-9 . _ -, the first a letter or a digit",
            found: name.chars().take(Self::MAX_LEN + 1).collect(),
        })
    }

    fn is_valid(name: &str) -> bool {
        let mut bytes = name.bytes();
        name.len() <= Self::MAX_LEN
            && bytes.next().is_some_and(|first| first.is_ascii_alphanumeric())
            && bytes.all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for VolumeName {
    type Err = FabricError;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::new(name)
    }
}

impl fmt::Display for VolumeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_could_leave_the_directory_are_refused() {
        for name in ["", ".", "..", ".hidden", "-f", "a/b", "a\\b", "a\0b", "a b", "ä", &"a".repeat(65)] {
            assert!(matches!(VolumeName::new(name), Err(FabricError::InvalidRequest { .. })), "{name:?}");
        }
        for name in ["a", "0", "sim-state", "Run_7.ckpt", &"a".repeat(64)] {
            assert_eq!(VolumeName::new(name).unwrap().as_str(), name);
        }
    }
}
