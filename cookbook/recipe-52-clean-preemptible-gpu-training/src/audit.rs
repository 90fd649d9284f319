//! [`audit`]: what the records of a job's strides say, held against each other and against the newest state.
//!
//! Reads only, from any process, while workers are at it or not. Invariant: a job without a violation has done every step
//! from the first to where it stands exactly once, each after the ones before it.

use std::collections::BTreeMap;
use std::path::Path;

use grafos_replicated::SavedVersion;

use crate::run::RunError;
use crate::run::event::{Event, StrideEnd};
use crate::run::place::{Name, is_made};
use crate::run::store::{JobStore, Strides};
use crate::run::stride::StrideRecord;
use crate::state::FIRST_EPOCH;

/// How many takeovers between two strides are told one by one.
const MAX_TAKEN_OVER: u64 = 1000;

/// What is recorded of a job.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Audit {
    /// The strides that were done, in the order of their steps.
    pub strides: Vec<Stride>,
    /// The first steps of strides that somebody began and nobody has committed: at most one is being worked on.
    pub open: Vec<u64>,
    /// The newest version; 0 before the first commit.
    pub version: u64,
    /// The epoch below which workers are refused.
    pub epoch: u64,
    /// What contradicts the promise. Nothing, that is, unless something is broken.
    pub violations: Vec<Violation>,
}

/// A stride that was done.
#[derive(Clone, Debug, PartialEq)]
pub struct Stride {
    /// Its first step.
    pub from: u64,
    /// How many steps are done with it.
    pub to: u64,
    /// The version that it made.
    pub version: u64,
    /// The epoch of its worker.
    pub epoch: u64,
    /// How many images were consumed in all, with it.
    pub examples: u64,
    /// The digest of which ones, in which order.
    pub consumed: String,
    /// All that is recorded of it.
    pub record: StrideRecord,
}

impl Stride {
    fn new(record: StrideRecord) -> Self {
        Self {
            from: record.from,
            to: record.to,
            version: record.version,
            epoch: record.epoch,
            examples: record.consumed_examples,
            consumed: blake3::Hash::from(record.consumed_digest).to_string(),
            record,
        }
    }
}

/// What must not be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Violation {
    /// Steps that nobody has done, or that somebody has done and did not record.
    #[error("steps are missing: from={from}, to={to}")]
    StepsMissing {
        /// The first.
        from: u64,
        /// The one after the last.
        to: u64,
    },
    /// Steps that were done twice.
    #[error("steps were done twice: from={from}, to={to}, again by version={version}")]
    StepsTwice {
        /// The first.
        from: u64,
        /// The one after the last.
        to: u64,
        /// The stride that did them again.
        version: u64,
    },
    /// Versions are made one after the other, by one stride each.
    #[error("a version is out of order: from={from}, expected={expected}, found={found}")]
    VersionOutOfOrder {
        /// The first step of the stride.
        from: u64,
        /// The version after the one before.
        expected: u64,
        /// What is recorded.
        found: u64,
    },
    /// A worker has committed after it was fenced.
    #[error("an epoch fell: from={from}, before={before}, found={found}")]
    EpochFell {
        /// The first step of the stride.
        from: u64,
        /// The epoch of the stride before.
        before: u64,
        /// What is recorded.
        found: u64,
    },
    /// Images were consumed that no step accounts for, or the other way round.
    #[error("the images don't fit the steps: from={from}, expected={expected}, found={found}")]
    Consumed {
        /// The first step of the stride.
        from: u64,
        /// How many there should be in all.
        expected: u64,
        /// What is recorded.
        found: u64,
    },
    /// The register's newest version is not the one that the last stride made.
    #[error("the newest version is not that of the last stride: register={register}, stride={stride}")]
    HeadDisagrees {
        /// The register's.
        register: u64,
        /// The last stride's; 0 without any.
        stride: u64,
    },
    /// A kept version names another stride than the one that says it made it.
    #[error(
        "a version was not made by the stride that says so: version={version}, from={from:?}, recorded={recorded:?}"
    )]
    MadeByAnother {
        /// The version.
        version: u64,
        /// The first step of the stride that the register names.
        from: Option<u64>,
        /// The first step of the stride that says it made it.
        recorded: Option<u64>,
    },
}

/// What is recorded of the job of this name.
///
/// # Errors
/// The records can't be read: [`RunError::DamagedStride`], and those of the engine. What is read and makes no sense is in
/// the answer.
pub fn audit(home: &Path, job: &str) -> Result<Audit, RunError> {
    const WHAT: &str = "bytes of a job's name, as letters, digits, `-`, `_` or `.`";
    let name: Name = job.parse().map_err(|_| RunError::InvalidJob {
        what: WHAT,
        expected: "1 to 64",
        found: job.len() as u64,
    })?;
    // To look at a job makes no home for it.
    if !is_made(home) {
        return Ok(Audit::default());
    }
    audit_on(&JobStore::open(home, &name)?)
}

/// What is recorded in this store.
///
/// # Errors
/// Those of [`audit`].
pub fn audit_on(store: &JobStore) -> Result<Audit, RunError> {
    loop {
        // Workers may commit meanwhile: what is read between two looks at the same history belongs together.
        let before = store.history()?;
        let (strides, epoch) = (store.strides()?, store.epoch()?);
        let history = store.history()?;
        if before == history {
            return Ok(judge(strides, &history, epoch.0, |key| store.first_step(key)));
        }
    }
}

/// The verdict, from the records alone.
fn judge(
    strides: Strides,
    history: &[SavedVersion],
    epoch: u64,
    first_step: impl Fn(&str) -> Option<u64>,
) -> Audit {
    let mut audit =
        Audit { epoch, version: history.last().map_or(0, |saved| saved.version.0), ..Audit::default() };
    for (from, record) in strides {
        match record {
            Some(record) => audit.strides.push(Stride::new(record)),
            None => audit.open.push(from),
        }
    }
    audit.violations = order_violations(&audit.strides);
    let last = audit.strides.last().map_or(0, |stride| stride.version);
    if last != audit.version {
        audit.violations.push(Violation::HeadDisagrees { register: audit.version, stride: last });
    }
    let by_version: BTreeMap<u64, u64> =
        audit.strides.iter().map(|stride| (stride.version, stride.from)).collect();
    for saved in history {
        let from = saved.step.as_ref().and_then(|mark| first_step(mark.key.as_str()));
        let (version, recorded) = (saved.version.0, by_version.get(&saved.version.0).copied());
        if from.is_none() || from != recorded {
            audit.violations.push(Violation::MadeByAnother { version, from, recorded });
        }
    }
    audit
}

/// What is wrong with the order of strides.
fn order_violations(strides: &[Stride]) -> Vec<Violation> {
    let mut violations = Vec::new();
    let (mut reached, mut version, mut epoch, mut examples) = (0, 0, 0, 0_u64);
    for stride in strides {
        let from = stride.from;
        if from > reached {
            violations.push(Violation::StepsMissing { from: reached, to: from });
        } else if from < reached {
            let (to, version) = (reached.min(stride.to), stride.version);
            violations.push(Violation::StepsTwice { from, to, version });
        }
        if stride.version != version + 1 {
            let (expected, found) = (version + 1, stride.version);
            violations.push(Violation::VersionOutOfOrder { from, expected, found });
        }
        if stride.epoch < epoch {
            violations.push(Violation::EpochFell { from, before: epoch, found: stride.epoch });
        }
        let expected = examples.saturating_add(stride.record.examples);
        if stride.examples != expected {
            violations.push(Violation::Consumed { from, expected, found: stride.examples });
        }
        reached = reached.max(stride.to);
        (version, epoch, examples) = (stride.version, epoch.max(stride.epoch), stride.examples);
    }
    violations
}

/// What happened to the workers of a job at some step, as far as strides tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Preemption {
    /// The step that had been reached, or committed where that is all that is known.
    pub step: u64,
    /// What happened.
    pub kind: PreemptionKind,
}

/// What happens to workers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PreemptionKind {
    /// It lost its GPU: the lease was revoked or ran out.
    GpuLost,
    /// It was killed or frozen, and another one took over. One that was asked to end at the very moment of a commit
    /// leaves the same trace.
    Killed,
    /// It was asked to end, and another one went on.
    Stopped,
}

impl Audit {
    /// What happened to the workers, in the order of the steps.
    #[must_use]
    pub fn preemptions(&self) -> Vec<Preemption> {
        let mut all = Vec::new();
        let mut before: Option<&Stride> = None;
        for stride in &self.strides {
            let record = &stride.record;
            // Every worker has an epoch of its own; the one that has committed this stride is none that was lost.
            let taken_over = before.map_or(0, |before| stride.epoch.saturating_sub(before.epoch));
            let kind = |nth: u64| match before.map(|before| before.record.end) {
                Some(StrideEnd::Stop) if nth == 0 => Some(PreemptionKind::Stopped),
                // A job that was done and got more steps.
                Some(StrideEnd::Done) if nth == 0 => None,
                _ => Some(PreemptionKind::Killed),
            };
            let killed = (0..taken_over.min(MAX_TAKEN_OVER)).filter_map(kind);
            all.extend(killed.map(|kind| Preemption { step: stride.from, kind }));
            let lost = record.lost.iter();
            all.extend(lost.map(|lost| Preemption { step: lost.step, kind: PreemptionKind::GpuLost }));
            before = Some(stride);
        }
        all.sort_unstable();
        all
    }

    /// How many GPUs were lost, as far as strides tell.
    #[must_use]
    pub fn leases_lost(&self) -> u64 {
        self.strides.iter().map(|stride| stride.record.leases_lost).fold(0, u64::saturating_add)
    }

    /// The audit as an event.
    #[must_use]
    pub fn status(&self, job: &str) -> Event {
        Event::Status {
            job: job.to_owned(),
            step: self.step(),
            version: self.version,
            epoch: self.epoch,
            strides: self.strides.len() as u64,
            workers: self.workers(),
            leases_lost: self.leases_lost(),
            examples: self.strides.last().map_or(0, |stride| stride.examples),
            consumed: self.strides.last().map(|stride| stride.consumed.clone()).unwrap_or_default(),
            violations: self.violations.iter().map(ToString::to_string).collect(),
        }
    }

    /// How many steps are done and committed.
    #[must_use]
    pub fn step(&self) -> u64 {
        self.strides.last().map_or(0, |stride| stride.to)
    }

    /// How many workers have taken the job over: each raises the epoch by one.
    #[must_use]
    pub fn workers(&self) -> u64 {
        self.epoch.saturating_sub(FIRST_EPOCH.0)
    }
}

#[cfg(test)]
mod tests;
