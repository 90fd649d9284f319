//! [`Kind`]: the ways in which a cloud takes back what it has lent.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One way to preempt a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Kind {
    /// The lease on the GPU is revoked in the middle of a step.
    Revoked,
    /// The lease is not renewed any more, and runs out.
    Expired,
    /// The process gets SIGKILL, as if its machine had lost power.
    Killed,
    /// The process gets SIGTERM: a notice, and some time to commit.
    Terminated,
    /// The process gets SIGSTOP, a worker on another host takes over, and later the first one wakes up.
    Frozen,
    /// The directory of one replica is gone.
    ReplicaLost,
    /// A file of one replica is not what was written.
    ReplicaDamaged,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Revoked,
        Self::Expired,
        Self::Killed,
        Self::Terminated,
        Self::Frozen,
        Self::ReplicaLost,
        Self::ReplicaDamaged,
    ];

    /// Whether it is the state that is hurt, and not the one who works on it. One such at a time is what the job's
    /// replicas promise to bear.
    #[must_use]
    pub const fn hurts_a_replica(self) -> bool {
        matches!(self, Self::ReplicaLost | Self::ReplicaDamaged)
    }

    /// What it does, in a few words.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Revoked => "lease revoked",
            Self::Expired => "lease expired",
            Self::Killed => "SIGKILL",
            Self::Terminated => "SIGTERM",
            Self::Frozen => "SIGSTOP, SIGCONT",
            Self::ReplicaLost => "replica lost",
            Self::ReplicaDamaged => "replica damaged",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
