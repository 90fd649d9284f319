//! What is wrong with a name or a policy: [`NameProblem`], [`PolicyProblem`].

use crate::names::ReplicaId;
use crate::placement::FailureDomain;

/// What is wrong with a name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameProblem {
    /// No text at all.
    #[error("it is empty")]
    Empty,
    /// Too much text.
    #[error("it is too long, limit={limit}, bytes={bytes}")]
    TooLong {
        /// How long.
        bytes: usize,
        /// How long it may be.
        limit: usize,
    },
    /// A character that shows nothing.
    #[error("it has a control character, at={at}")]
    ControlCharacter {
        /// The byte where it stands.
        at: usize,
    },
}

/// Why a policy can't be met.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyProblem {
    /// A quorum of nobody.
    #[error("{what} is zero")]
    ZeroQuorum {
        /// Which quorum.
        what: &'static str,
    },
    /// More than there are.
    #[error("{what} is above the number of voters, quorum={quorum}, voters={voters}")]
    QuorumAboveReplicas {
        /// Which quorum.
        what: &'static str,
        /// What it asks for.
        quorum: usize,
        /// What there is.
        voters: usize,
    },
    /// Fewer than the policy wants.
    #[error("too few voters, min_replicas={min_replicas}, voters={voters}")]
    TooFewReplicas {
        /// What there is.
        voters: usize,
        /// What the policy asks for.
        min_replicas: usize,
    },
    /// More than a register can name.
    #[error("too many replicas, limit={limit}, replicas={replicas}")]
    TooManyReplicas {
        /// What there is.
        replicas: usize,
        /// What is allowed.
        limit: usize,
    },
    /// The voters lie too close together.
    #[error("too few failure domains, min_domains={min_domains}, domains={domains}")]
    TooFewDomains {
        /// Where the voters lie.
        domains: usize,
        /// What the policy asks for.
        min_domains: usize,
    },
    /// A replica where none may be.
    #[error("a replica lies in a domain that is not allowed, replica={replica}, domain={domain}")]
    DomainNotAllowed {
        /// The replica.
        replica: ReplicaId,
        /// Where it lies.
        domain: FailureDomain,
    },
    /// Two replicas of one name.
    #[error("a replica is named twice, replica={replica}")]
    DuplicateReplica {
        /// The name.
        replica: ReplicaId,
    },
}
