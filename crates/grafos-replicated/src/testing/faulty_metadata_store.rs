//! [`FaultyMetadataStore`]: a store behind a network that loses and delays.
//!
//! What it answers keeps the contract: a commit that failed did not take place, and one that may have is `Unknown`. So
//! whatever is built on a store must hold over this one too.

use std::sync::{Arc, Mutex, PoisonError};

use super::fault_plan::{FaultCounts, FaultPlan};
use crate::error::StoreError;
use crate::metadata_store::{CommitOutcome, MetadataStore, Record, RecordKey, Transaction};

/// What goes wrong at one call of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StoreFault {
    /// A read or a scan fails.
    FailRead,
    /// A commit fails before anything is done, and says so.
    FailBefore,
    /// A commit takes place, and its answer is lost: `Unknown`.
    UnknownLanded,
    /// A commit is lost on its way: `Unknown`, and it never takes place.
    UnknownLost,
    /// A commit is delayed: `Unknown`, and it is done, if its guards hold then, right before the call that comes so
    /// many calls later; 1 is the next one.
    UnknownDelayed {
        /// How many calls later.
        calls: u64,
    },
}

impl StoreFault {
    fn name(self) -> &'static str {
        match self {
            Self::FailRead => "fail_read",
            Self::FailBefore => "fail_before",
            Self::UnknownLanded => "unknown_landed",
            Self::UnknownLost => "unknown_lost",
            Self::UnknownDelayed { .. } => "unknown_delayed",
        }
    }
}

/// A store that makes the faults of a plan. Clones share the plan and what is delayed.
///
/// ```
/// use grafos_replicated::memory::MemoryMetadataStore;
/// use grafos_replicated::testing::{FaultPlan, FaultyMetadataStore, StoreFault};
/// use grafos_replicated::{CommitOutcome, Expect, MetadataStore, RecordKey, Transaction};
///
/// # fn main() -> Result<(), grafos_replicated::StoreError> {
/// let plan = FaultPlan::none().at(0, StoreFault::UnknownDelayed { calls: 2 });
/// let store = FaultyMetadataStore::new(MemoryMetadataStore::new(), plan);
/// let key = RecordKey::new("checkpoint", &["job"]);
/// let transaction = Transaction {
///     guards: vec![(key.clone(), Expect::Absent)],
///     puts: vec![(key.clone(), b"state".to_vec())],
///     deletes: vec![],
/// };
/// assert!(matches!(store.commit(&transaction)?, CommitOutcome::Unknown(_)));
/// assert!(store.read(&key)?.is_none(), "not yet");
/// assert!(store.read(&key)?.is_some());
/// assert_eq!(store.counts().faults["unknown_delayed"], 1);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct FaultyMetadataStore {
    inner: Arc<dyn MetadataStore>,
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    plan: FaultPlan<StoreFault>,
    counts: FaultCounts,
    /// Requests on their way, with the call before which each is done.
    delayed: Vec<(u64, Transaction)>,
}

impl FaultyMetadataStore {
    /// A decorator over `inner`.
    pub fn new(inner: impl MetadataStore + 'static, plan: FaultPlan<StoreFault>) -> Self {
        let state = State { plan, counts: FaultCounts::default(), delayed: Vec::new() };
        Self { inner: Arc::new(inner), state: Arc::new(Mutex::new(state)) }
    }

    /// Which faults have happened.
    #[must_use]
    pub fn counts(&self) -> FaultCounts {
        let state = self.lock();
        FaultCounts { calls: state.plan.calls(), ..state.counts.clone() }
    }

    /// How many requests are on their way.
    #[must_use]
    pub fn delayed(&self) -> usize {
        self.lock().delayed.len()
    }

    /// Does all that is delayed, now.
    pub fn settle(&self) {
        let mut state = self.lock();
        self.land(&mut state, u64::MAX);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is due is done, and what happens at this call is chosen.
    fn call(&self, fits: impl Fn(&StoreFault) -> bool) -> Option<StoreFault> {
        let mut state = self.lock();
        let call = state.plan.calls();
        self.land(&mut state, call);
        let fault = state.plan.next(fits)?;
        state.counts.add(fault.name());
        Some(fault)
    }

    fn land(&self, state: &mut State, call: u64) {
        let (due, later) = std::mem::take(&mut state.delayed).into_iter().partition(|(at, _)| *at <= call);
        state.delayed = later;
        let due: Vec<(u64, Transaction)> = due;
        for (_, transaction) in due {
            // Nobody waits for the answer.
            let _ = self.inner.commit(&transaction);
        }
    }

    fn look<T>(&self, look: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
        match self.call(|fault| matches!(fault, StoreFault::FailRead)) {
            Some(_) => Err(unavailable("the read was lost")),
            None => look(),
        }
    }
}

fn unavailable(reason: &str) -> StoreError {
    StoreError::Unavailable { reason: reason.to_owned() }
}

impl MetadataStore for FaultyMetadataStore {
    fn read(&self, key: &RecordKey) -> Result<Option<Record>, StoreError> {
        self.look(|| self.inner.read(key))
    }

    fn commit(&self, transaction: &Transaction) -> Result<CommitOutcome, StoreError> {
        transaction.check()?;
        let fault = self.call(|fault| !matches!(fault, StoreFault::FailRead));
        let unknown = || Ok(CommitOutcome::Unknown(unavailable("no answer came")));
        match fault {
            None | Some(StoreFault::FailRead) => self.inner.commit(transaction),
            Some(StoreFault::FailBefore) => Err(unavailable("the request was refused")),
            Some(StoreFault::UnknownLost) => unknown(),
            Some(StoreFault::UnknownLanded) => {
                // Whatever the answer is, it is lost.
                let _ = self.inner.commit(transaction);
                unknown()
            }
            Some(StoreFault::UnknownDelayed { calls }) => {
                let mut state = self.lock();
                // This call has been counted.
                let due = state.plan.calls().saturating_add(calls.saturating_sub(1));
                state.delayed.push((due, transaction.clone()));
                unknown()
            }
        }
    }

    fn scan(
        &self,
        prefix: &str,
        after: Option<&RecordKey>,
        limit: usize,
    ) -> Result<Vec<(RecordKey, Record)>, StoreError> {
        self.look(|| self.inner.scan(prefix, after, limit))
    }
}

#[cfg(test)]
mod tests;
