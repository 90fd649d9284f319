//! [`Ring`]: the nonces of the last commits of a record, by which a writer finds out whether its own took place.

use serde::{Deserialize, Serialize};

/// A number that nobody has chosen before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Nonce(pub u128);

/// The last `LEN` commits of a record, oldest first, and how many there were in all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ring<const LEN: usize> {
    commits: u64,
    nonces: Vec<Nonce>,
}

impl<const LEN: usize> Ring<LEN> {
    /// How many commits there were.
    #[must_use]
    pub fn commits(&self) -> u64 {
        self.commits
    }

    /// One more commit.
    pub(crate) fn push(&mut self, nonce: Nonce) {
        self.commits = self.commits.saturating_add(1);
        if self.nonces.len() >= LEN {
            self.nonces.remove(0);
        }
        self.nonces.push(nonce);
    }

    /// Whether the commit of this nonce took place, which was tried when there were `commits_before`. `None` if so many
    /// came since that it may have been forgotten.
    #[must_use]
    pub fn has_seen(&self, nonce: Nonce, commits_before: u64) -> Option<bool> {
        if self.nonces.contains(&nonce) {
            return Some(true);
        }
        let since = self.commits.saturating_sub(commits_before);
        (since <= LEN as u64).then_some(false)
    }

    pub(crate) fn is_consistent(&self) -> bool {
        self.nonces.len() <= LEN && self.nonces.len() as u64 <= self.commits
    }
}
