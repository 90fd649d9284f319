//! Names and numbers, one type each, so that none can stand where another belongs.
//!
//! Names are made without a check, as literals are; whatever takes one checks it, and answers
//! [`InvalidName`](crate::ReplicatedError::InvalidName) for one that is empty, too long or not plain text. A name is
//! never used as a path: storage encodes it.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::error::{NameProblem, ReplicatedError};

/// The longest name, in bytes of UTF-8.
pub const MAX_NAME_BYTES: usize = 256;

macro_rules! name {
    ($(#[$doc:meta])* $type:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub struct $type(String);

        impl $type {
            /// A name of this text. It is checked where it is used.
            pub fn new(name: impl Into<String>) -> Self {
                Self(name.into())
            }

            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// The name, if it can be one.
            pub(crate) fn checked(&self) -> Result<&str, ReplicatedError> {
                check($what, &self.0)
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl From<&str> for $type {
            fn from(name: &str) -> Self {
                Self::new(name)
            }
        }
    };
}

name! {
    /// Names a replicated resource: a set of checkpoints, or a store of effects.
    LogicalResourceName, "resource name"
}
name! {
    /// Names one checkpoint of a resource; each has its own versions.
    CheckpointName, "checkpoint name"
}
name! {
    /// Says what the bytes of a resource mean. A resource that was written under another schema is refused.
    SchemaId, "schema id"
}
name! {
    /// Names one replica of a set: a disk, a mount, a bucket.
    ReplicaId, "replica id"
}
name! {
    /// Names one step that must happen once.
    IdempotencyKey, "idempotency key"
}

fn check<'a>(what: &'static str, name: &'a str) -> Result<&'a str, ReplicatedError> {
    let problem = if name.is_empty() {
        NameProblem::Empty
    } else if name.len() > MAX_NAME_BYTES {
        NameProblem::TooLong { bytes: name.len(), limit: MAX_NAME_BYTES }
    } else if let Some(at) = name.find(char::is_control) {
        NameProblem::ControlCharacter { at }
    } else {
        return Ok(name);
    };
    Err(ReplicatedError::InvalidName { what, problem })
}

/// Counts the saves of one checkpoint: 0 before the first, and one more with each. Not an epoch, which orders writers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Version(pub u64);

impl Version {
    /// Nothing is saved yet.
    pub const NONE: Self = Self(0);

    /// The version that the next save makes. No program lives to see the last one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Counts the layouts of a replica set. Who knows another layout than the register is refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ResourceGeneration(pub u64);

impl fmt::Display for ResourceGeneration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Stands for the policy that a resource is written under. Writers with different ones don't mix.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PolicyHash(pub [u8; 32]);

/// Stands for the replicas of a set: which ones, where, in which order, and in which generation. Two programs that mean
/// different replicas by the same generation don't mix.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct LayoutHash(pub [u8; 32]);

/// Stands for what a step does: its operation and its input, in a canonical form. The same key with another one is an
/// error.
///
/// ```
/// use grafos_replicated::OperationHash;
///
/// let once = OperationHash::of_parts(&[b"train", &42_u64.to_le_bytes(), b"batch 7"]);
/// assert_ne!(once, OperationHash::of_parts(&[b"train", &43_u64.to_le_bytes(), b"batch 7"]));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct OperationHash(pub [u8; 32]);

impl OperationHash {
    /// The BLAKE3 digest of the parts, each with its length before it, so that no two lists run together.
    #[must_use]
    pub fn of_parts(parts: &[&[u8]]) -> Self {
        let mut hasher = blake3::Hasher::new();
        for part in parts {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
        Self(*hasher.finalize().as_bytes())
    }
}

macro_rules! digest {
    ($type:ident) => {
        impl fmt::Display for $type {
            /// The first eight bytes in hexadecimal: enough to tell two apart.
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().take(8).try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({self}…)", stringify!($type))
            }
        }
    };
}

digest!(LayoutHash);
digest!(PolicyHash);
digest!(OperationHash);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_can_not_be_one_is_refused_where_it_is_used() {
        let problem = |name: &str| match CheckpointName::new(name).checked() {
            Err(ReplicatedError::InvalidName { what: "checkpoint name", problem }) => Some(problem),
            other => {
                assert_eq!(other.unwrap(), name);
                None
            }
        };
        assert_eq!(problem("job:spot-resnet:latest"), None);
        assert_eq!(problem("../../etc/passwd"), None, "names are encoded, so a path is only a text");
        assert_eq!(problem(&"é".repeat(128)), None);
        assert_eq!(problem(""), Some(NameProblem::Empty));
        assert_eq!(problem("a\nb"), Some(NameProblem::ControlCharacter { at: 1 }));
        assert_eq!(problem(&"x".repeat(257)), Some(NameProblem::TooLong { bytes: 257, limit: 256 }));
    }

    #[test]
    fn parts_of_an_operation_do_not_run_together() {
        assert_ne!(OperationHash::of_parts(&[b"ab", b"c"]), OperationHash::of_parts(&[b"a", b"bc"]));
        assert_ne!(OperationHash::of_parts(&[]), OperationHash::of_parts(&[b""]));
    }
}
