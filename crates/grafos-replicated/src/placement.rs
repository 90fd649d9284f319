//! Where replicas may lie and how many of them a write needs: [`FailureDomain`], [`PlacementPolicy`],
//! [`ReplicaPolicy`], [`ReplicaSetLocator`].
//!
//! Invariant: a policy that has passed [`ReplicaPolicy::checked`] can be met by its replica set when all replicas are
//! well. What can't be met is refused when the resource is opened, not when the first save fails.

use std::collections::BTreeSet;
use std::fmt;

use fabricbios_core::lease::FenceEpoch;
use serde::{Deserialize, Serialize};

use crate::error::{PolicyProblem, ReplicatedError};
use crate::names::{LayoutHash, ReplicaId, ResourceGeneration};

/// The most replicas a set can have.
pub const MAX_REPLICAS: usize = 32;

/// What fails together.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum FailureDomain {
    /// A place within a site: a rack, a machine, a disk.
    Cell {
        /// Who runs it.
        provider: String,
        /// Which one.
        cell: String,
    },
    /// A provider's zone.
    Zone {
        /// Who runs it.
        provider: String,
        /// The region that it is a part of.
        region: String,
        /// Which one.
        zone: String,
    },
    /// A provider's region.
    Region {
        /// Who runs it.
        provider: String,
        /// Which one.
        region: String,
    },
}

impl FailureDomain {
    /// A place within a site.
    pub fn cell(provider: impl Into<String>, cell: impl Into<String>) -> Self {
        Self::Cell { provider: provider.into(), cell: cell.into() }
    }

    /// A zone of a provider's region.
    pub fn zone(provider: impl Into<String>, region: impl Into<String>, zone: impl Into<String>) -> Self {
        Self::Zone { provider: provider.into(), region: region.into(), zone: zone.into() }
    }

    /// A provider's region.
    pub fn region(provider: impl Into<String>, region: impl Into<String>) -> Self {
        Self::Region { provider: provider.into(), region: region.into() }
    }

    /// Whether `other` is this domain, or a zone of this region.
    #[must_use]
    pub fn contains(&self, other: &Self) -> bool {
        match (self, other) {
            (
                Self::Region { provider, region },
                Self::Zone { provider: its_provider, region: its_region, .. },
            ) => provider == its_provider && region == its_region,
            _ => self == other,
        }
    }
}

impl fmt::Display for FailureDomain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cell { provider, cell } => write!(f, "cell:{provider}/{cell}"),
            Self::Zone { provider, region, zone } => write!(f, "zone:{provider}/{region}/{zone}"),
            Self::Region { provider, region } => write!(f, "region:{provider}/{region}"),
        }
    }
}

/// Which domains may hold replicas. Without any allowed domain, none may.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[must_use = "a policy does nothing by itself"]
pub struct PlacementPolicy {
    allowed: BTreeSet<FailureDomain>,
    min_domains: usize,
}

impl PlacementPolicy {
    /// No domain yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Replicas may lie there, and in what it contains.
    pub fn allow(mut self, domain: FailureDomain) -> Self {
        self.allowed.insert(domain);
        self
    }

    /// A save is acknowledged only once this many domains hold it.
    pub fn min_domains(mut self, domains: usize) -> Self {
        self.min_domains = domains;
        self
    }

    /// Whether a replica may lie there.
    #[must_use]
    pub fn allows(&self, domain: &FailureDomain) -> bool {
        self.allowed.iter().any(|allowed| allowed.contains(domain))
    }
}

/// How many replicas there are, and how many of them a save and a load need.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[must_use = "a policy does nothing by itself"]
pub struct ReplicaPolicy {
    placement: PlacementPolicy,
    min_replicas: usize,
    write_quorum: usize,
    read_quorum: usize,
}

impl ReplicaPolicy {
    /// One replica, which every save and every load needs.
    pub fn new(placement: PlacementPolicy) -> Self {
        Self { placement, min_replicas: 1, write_quorum: 1, read_quorum: 1 }
    }

    /// How many replicas the set must have.
    pub fn min_replicas(mut self, replicas: usize) -> Self {
        self.min_replicas = replicas;
        self
    }

    /// How many replicas must hold a state durably before its save is acknowledged: it survives the loss of one fewer.
    pub fn write_quorum(mut self, replicas: usize) -> Self {
        self.write_quorum = replicas;
        self
    }

    /// How many replicas a load wants to find the state on, verified. What is current is decided by the register
    /// alone, so one is consistent too.
    pub fn read_quorum(mut self, replicas: usize) -> Self {
        self.read_quorum = replicas;
        self
    }

    /// How many replicas a load wants.
    #[must_use]
    pub fn reads(&self) -> usize {
        self.read_quorum
    }

    /// How many replicas a save needs.
    #[must_use]
    pub fn writes(&self) -> usize {
        self.write_quorum
    }

    /// Whether replicas in these domains are enough for a save.
    pub(crate) fn is_met_by<'a>(&self, domains: impl IntoIterator<Item = &'a FailureDomain>) -> bool {
        let mut count = 0;
        let distinct: BTreeSet<_> = domains.into_iter().inspect(|_| count += 1).collect();
        count >= self.write_quorum && distinct.len() >= self.placement.min_domains
    }

    /// The policy together with its replicas, if they fit.
    pub(crate) fn checked(&self, set: &ReplicaSetLocator) -> Result<(), ReplicatedError> {
        self.problem(set).map_or(Ok(()), |problem| Err(ReplicatedError::InvalidPolicy { problem }))
    }

    fn problem(&self, set: &ReplicaSetLocator) -> Option<PolicyProblem> {
        let voters = set.voters().count();
        for (what, quorum) in [("write_quorum", self.write_quorum), ("read_quorum", self.read_quorum)] {
            if quorum == 0 {
                return Some(PolicyProblem::ZeroQuorum { what });
            }
            if quorum > voters {
                return Some(PolicyProblem::QuorumAboveReplicas { what, quorum, voters });
            }
        }
        if voters < self.min_replicas {
            return Some(PolicyProblem::TooFewReplicas { voters, min_replicas: self.min_replicas });
        }
        if set.replicas.len() > MAX_REPLICAS {
            return Some(PolicyProblem::TooManyReplicas {
                replicas: set.replicas.len(),
                limit: MAX_REPLICAS,
            });
        }
        let outside = set.replicas.iter().find(|replica| !self.placement.allows(&replica.domain));
        if let Some(replica) = outside {
            let (replica, domain) = (replica.replica_id.clone(), replica.domain.clone());
            return Some(PolicyProblem::DomainNotAllowed { replica, domain });
        }
        let mut seen = BTreeSet::new();
        if let Some(twice) = set.replicas.iter().find(|replica| !seen.insert(&replica.replica_id)) {
            return Some(PolicyProblem::DuplicateReplica { replica: twice.replica_id.clone() });
        }
        let domains: BTreeSet<_> = set.voters().map(|replica| &replica.domain).collect();
        let min_domains = self.placement.min_domains;
        (domains.len() < min_domains)
            .then_some(PolicyProblem::TooFewDomains { domains: domains.len(), min_domains })
    }
}

/// What a replica does in its set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum ReplicaRole {
    /// Counts for quorums.
    Voter,
    /// Gets what the others get, and counts for nothing.
    Learner,
}

/// What is known of a replica's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum ReplicaHealth {
    /// As far as is known, well.
    Healthy,
    /// Reachable, but not everything on it is good.
    Degraded,
    /// Not to be asked.
    Unreachable,
}

/// One replica of a set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplicaLocator {
    /// Which one.
    pub replica_id: ReplicaId,
    /// What it fails together with.
    pub domain: FailureDomain,
    /// What it does.
    pub role: ReplicaRole,
    /// What is known of it.
    pub health: ReplicaHealth,
    /// The epoch in which it joined the set.
    pub epoch: FenceEpoch,
    /// The generation of the set whose contents it holds.
    pub content_generation: u64,
}

impl ReplicaLocator {
    pub(crate) fn is_voter(&self) -> bool {
        self.role == ReplicaRole::Voter
    }
}

/// The replicas of a resource, and which layout this is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplicaSetLocator {
    pub(crate) generation: ResourceGeneration,
    pub(crate) replicas: Vec<ReplicaLocator>,
}

impl ReplicaSetLocator {
    /// A set of these replicas.
    #[must_use]
    pub fn new(generation: ResourceGeneration, replicas: Vec<ReplicaLocator>) -> Self {
        Self { generation, replicas }
    }

    /// Which layout this is.
    #[must_use]
    pub fn generation(&self) -> ResourceGeneration {
        self.generation
    }

    /// The replicas.
    #[must_use]
    pub fn replicas(&self) -> &[ReplicaLocator] {
        &self.replicas
    }

    /// Stands for the set in a register: BLAKE3 of the generation, and of id, role and domain of each replica in order,
    /// each text with its length before it. What changes from day to day, health for one, is not in it.
    #[must_use]
    pub fn layout(&self) -> LayoutHash {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&self.generation.0.to_le_bytes());
        let mut text = |text: &str| {
            hasher.update(&(text.len() as u64).to_le_bytes());
            hasher.update(text.as_bytes());
        };
        for replica in &self.replicas {
            text(replica.replica_id.as_str());
            text(if replica.is_voter() { "voter" } else { "learner" });
            match &replica.domain {
                FailureDomain::Cell { provider, cell } => {
                    ["cell", provider, cell].into_iter().for_each(&mut text);
                }
                FailureDomain::Zone { provider, region, zone } => {
                    ["zone", provider, region, zone].into_iter().for_each(&mut text);
                }
                FailureDomain::Region { provider, region } => {
                    ["region", provider, region].into_iter().for_each(&mut text);
                }
            }
        }
        LayoutHash(*hasher.finalize().as_bytes())
    }

    pub(crate) fn voters(&self) -> impl Iterator<Item = &ReplicaLocator> {
        self.replicas.iter().filter(|replica| replica.is_voter())
    }
}

#[cfg(test)]
mod tests;
