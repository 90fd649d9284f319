//! What can be leased, by kind and by name.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The kinds of resource that a host can lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum ResourceKind {
    /// Blocks of 512 bytes that outlive the lease.
    Block,
    /// Memory that is gone with the lease.
    Memory,
    /// A GPU, whole or in part.
    Gpu,
}

impl fmt::Display for ResourceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Block => "block",
            Self::Memory => "memory",
            Self::Gpu => "gpu",
        })
    }
}

/// Names one resource of a host: a volume, a region of memory, a device. Outlives the leases on it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ResourceId {
    /// What it is.
    pub kind: ResourceKind,
    /// Its name on its host.
    pub name: String,
}

impl ResourceId {
    /// The resource `name` of this kind.
    #[must_use]
    pub fn new(kind: ResourceKind, name: impl Into<String>) -> Self {
        Self { kind, name: name.into() }
    }
}

impl fmt::Display for ResourceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.kind, self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resource_prints_as_kind_and_name() {
        assert_eq!(ResourceId::new(ResourceKind::Block, "sim-state").to_string(), "block:sim-state");
    }
}
