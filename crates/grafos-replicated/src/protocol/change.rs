//! [`Change`]: one change of records, driven to a certain outcome.
//!
//! The hard part is a commit whose answer is lost: it may have taken place, or may still do so. It is never repeated
//! blindly. [`Change`] reads again. If the record has moved, its ring of nonces tells whether ours is among the commits
//! that moved it. If it has not moved, the request may still be under way: a *barrier* (the same record with another
//! nonce) is committed on the same revision first; after that the old request can never land.
//!
//! Invariant: `Done(Ok)` is answered only for a commit that took place, and `Done(Err)` other than
//! [`OutcomeUnknown`](ReplicatedError::OutcomeUnknown) only if none of this change's did or will.

use crate::error::{ReplicatedError, StoreError};
use crate::metadata_store::{CommitOutcome, Expect, Record, RecordKey, Revision, Transaction};
use crate::ring::Nonce;

/// How often a change reads before it gives up: conflicts and lost answers together.
const MAX_READS: u32 = 64;

/// What a change is to achieve.
pub trait Intent {
    /// What the first record holds, whose ring tells what took place.
    type Body: RingBody;
    /// What it answers when it has taken place.
    type Output: Clone;

    /// The records that it reads and guards.
    fn keys(&self) -> &[RecordKey];

    /// What the first record holds.
    ///
    /// # Errors
    /// It does not verify.
    fn decode(&self, first: &Record) -> Result<Self::Body, ReplicatedError>;

    /// What to do, given what is there; one record for each key. `nonce` is new.
    ///
    /// # Errors
    /// What ends the change.
    fn decide(
        &mut self,
        first: Option<Self::Body>,
        others: &[Option<Record>],
        nonce: Nonce,
    ) -> Result<Decision<Self::Output>, ReplicatedError>;
}

/// The contents of a record that remembers the commits that made it.
pub trait RingBody {
    /// How many commits there were.
    fn commits(&self) -> u64;

    /// See [`Ring::has_seen`](crate::ring::Ring::has_seen).
    fn has_seen(&self, nonce: Nonce, commits_before: u64) -> Option<bool>;

    /// The bytes of the same contents after one more commit.
    ///
    /// # Errors
    /// They are too large.
    fn encode_as(self, nonce: Nonce) -> Result<Vec<u8>, ReplicatedError>;
}

/// What an intent does next.
#[derive(Debug)]
pub enum Decision<O> {
    /// Nothing needs to change.
    Finish(O),
    /// The driver is to upload the payload, tell the intent, and let it decide again.
    Upload,
    /// These bodies, by the index of their key; `None` removes the record. Every guard is on what was seen.
    Write {
        /// The new bodies.
        puts: Vec<(usize, Option<Vec<u8>>)>,
        /// What follows.
        then: Then<O>,
    },
}

/// What follows a write that took place.
#[derive(Clone, Debug)]
pub enum Then<O> {
    /// The change has taken place.
    Finish(O),
    /// Read and decide again: the write was a preparation.
    Again,
}

/// What the driver is to do.
#[derive(Debug)]
pub enum Action<O> {
    /// Read these records, each linearizably.
    Read(Vec<RecordKey>),
    /// Upload the payload, and tell the intent what that achieved.
    Upload,
    /// Commit this.
    Commit(Transaction),
    /// Nothing more.
    Done(Result<O, ReplicatedError>),
}

/// What came of the last action.
#[derive(Debug)]
pub enum Event {
    /// Nothing yet.
    Start,
    /// The records, in the order of the keys.
    Read(Result<Vec<Option<Record>>, StoreError>),
    /// The payload lies where it could, and the intent knows; or the source of the payload failed.
    Uploaded(Result<(), ReplicatedError>),
    /// The store's answer.
    Committed(Result<CommitOutcome, StoreError>),
}

/// See the module's description.
#[derive(Debug)]
pub struct Change<I: Intent> {
    intent: I,
    seen: Vec<Option<Record>>,
    /// The commit that was sent last.
    sent: Option<Sent<I::Output>>,
    /// Creations whose answers were lost. While the record is absent nothing can bar them, but they show in its ring
    /// once it is there.
    ghosts: Vec<Sent<I::Output>>,
    reads: u32,
    is_barrier: bool,
    unknown: Option<StoreError>,
    counts: Counts,
}

/// What happened on the way, for metrics and for the simulation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Commits whose guards did not hold.
    pub conflicts: u32,
    /// Commits whose answer was lost.
    pub unknown: u32,
    /// Barriers that were sent.
    pub barriers: u32,
}

#[derive(Clone, Debug)]
struct Sent<O> {
    nonce: Nonce,
    then: Then<O>,
    /// The revision of the first record that it expects, and how many commits that had seen.
    base: Option<(Revision, u64)>,
}

impl<I: Intent> Change<I> {
    /// A change that has not begun.
    pub fn new(intent: I) -> Self {
        Self {
            intent,
            seen: Vec::new(),
            sent: None,
            ghosts: Vec::new(),
            reads: 0,
            is_barrier: false,
            unknown: None,
            counts: Counts::default(),
        }
    }

    /// What the change is to achieve, to be told of an upload.
    pub fn intent_mut(&mut self) -> &mut I {
        &mut self.intent
    }

    /// What has happened so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// What to do next. `nonces` gives a new number each time it is asked.
    pub fn step(&mut self, event: Event, nonces: &mut dyn FnMut() -> Nonce) -> Action<I::Output> {
        let next = match event {
            Event::Start => Ok(self.read()),
            Event::Read(Ok(seen)) => self.seen(seen, nonces),
            Event::Read(Err(cause)) => Err(self.failed(cause)),
            Event::Uploaded(Ok(())) => self.decide(nonces),
            Event::Uploaded(Err(error)) => Err(error),
            Event::Committed(answer) => self.answered(answer),
        };
        next.unwrap_or_else(|error| Action::Done(Err(error)))
    }

    fn read(&mut self) -> Action<I::Output> {
        self.reads += 1;
        if self.reads > MAX_READS {
            let reason = "too many conflicts and lost answers one after another".to_owned();
            return Action::Done(Err(self.failed(StoreError::Unavailable { reason })));
        }
        Action::Read(self.intent.keys().to_vec())
    }

    /// The error for a failure of the store: it is only harmless while no commit of ours may be under way.
    fn failed(&self, cause: StoreError) -> ReplicatedError {
        let is_open = self.unknown.is_some() || !self.ghosts.is_empty();
        if is_open {
            ReplicatedError::OutcomeUnknown { what: "a commit's answer was lost", cause }
        } else {
            ReplicatedError::Store(cause)
        }
    }

    fn seen(
        &mut self,
        seen: Vec<Option<Record>>,
        nonces: &mut dyn FnMut() -> Nonce,
    ) -> Result<Action<I::Output>, ReplicatedError> {
        self.seen = seen;
        if let Some(action) = self.find_ghost()? {
            return Ok(action);
        }
        match self.unknown.take() {
            Some(cause) => self.resolve(cause, nonces),
            None => self.decide(nonces),
        }
    }

    /// A creation of ours, given up for lost, that did take place.
    fn find_ghost(&mut self) -> Result<Option<Action<I::Output>>, ReplicatedError> {
        let Some(record) = self.first().filter(|_| !self.ghosts.is_empty()) else { return Ok(None) };
        let body = self.intent.decode(record)?;
        let mut found = None;
        for ghost in &self.ghosts {
            match body.has_seen(ghost.nonce, 0) {
                Some(true) => found = Some(ghost.then.clone()),
                Some(false) => {}
                None => {
                    let reason = "the record has seen too many commits since".to_owned();
                    return Err(self.failed(StoreError::Unavailable { reason }));
                }
            }
        }
        // The record is there: no other creation of ours can take place any more.
        self.ghosts.clear();
        match found {
            Some(Then::Finish(output)) => Ok(Some(Action::Done(Ok(output)))),
            _ => Ok(None),
        }
    }

    /// Finds out what became of the commit whose answer was lost.
    fn resolve(
        &mut self,
        cause: StoreError,
        nonces: &mut dyn FnMut() -> Nonce,
    ) -> Result<Action<I::Output>, ReplicatedError> {
        let Some(sent) = self.sent.clone() else { return self.decide(nonces) };
        let unknown = |cause| ReplicatedError::OutcomeUnknown { what: "a commit's answer was lost", cause };
        let Some(record) = self.first() else {
            if sent.base.is_some() {
                // The record has been removed since, and what its ring knew is gone with it.
                return Err(unknown(cause));
            }
            self.ghosts.push(sent);
            self.sent = None;
            return self.decide(nonces);
        };
        let (base, commits_before) = sent.base.unzip();
        if base == Some(record.revision) {
            return self.bar(cause, nonces);
        }
        match self.intent.decode(record)?.has_seen(sent.nonce, commits_before.unwrap_or(0)) {
            Some(true) => Ok(self.landed(sent.then)),
            Some(false) => self.decide(nonces),
            None => Err(unknown(cause)),
        }
    }

    /// Makes sure that the commit under way can never land.
    fn bar(
        &mut self,
        cause: StoreError,
        nonces: &mut dyn FnMut() -> Nonce,
    ) -> Result<Action<I::Output>, ReplicatedError> {
        let (Some(record), Some(key)) = (self.first(), self.intent.keys().first()) else {
            return self.decide(nonces);
        };
        let body = self.intent.decode(record)?.encode_as(nonces())?;
        let transaction = Transaction {
            guards: vec![(key.clone(), Expect::At(record.revision))],
            puts: vec![(key.clone(), body)],
            deletes: Vec::new(),
        };
        self.unknown = Some(cause);
        self.is_barrier = true;
        self.counts.barriers += 1;
        Ok(Action::Commit(transaction))
    }

    fn decide(&mut self, nonces: &mut dyn FnMut() -> Nonce) -> Result<Action<I::Output>, ReplicatedError> {
        let nonce = nonces();
        let first = self.first().map(|record| self.intent.decode(record)).transpose()?;
        let commits = first.as_ref().map(RingBody::commits);
        let others = self.seen.get(1..).unwrap_or_default();
        match self.intent.decide(first, others, nonce)? {
            Decision::Finish(output) => Ok(Action::Done(Ok(output))),
            Decision::Upload => Ok(Action::Upload),
            Decision::Write { puts, then } => {
                let base = self.first().map(|record| record.revision).zip(commits);
                self.sent = Some(Sent { nonce, then, base });
                Ok(Action::Commit(self.transaction(puts)))
            }
        }
    }

    fn transaction(&self, puts: Vec<(usize, Option<Vec<u8>>)>) -> Transaction {
        let keys = self.intent.keys();
        let expect = |record: &Option<Record>| {
            record.as_ref().map_or(Expect::Absent, |record| Expect::At(record.revision))
        };
        let guards = keys.iter().cloned().zip(self.seen.iter().map(expect)).collect();
        let mut transaction = Transaction { guards, ..Transaction::default() };
        for (index, body) in puts {
            let Some(key) = keys.get(index) else { continue };
            match body {
                Some(body) => transaction.puts.push((key.clone(), body)),
                None => transaction.deletes.push(key.clone()),
            }
        }
        transaction
    }

    fn answered(
        &mut self,
        answer: Result<CommitOutcome, StoreError>,
    ) -> Result<Action<I::Output>, ReplicatedError> {
        if std::mem::take(&mut self.is_barrier) {
            return self.barred(answer);
        }
        match answer {
            Ok(CommitOutcome::Committed(_)) => match self.sent.take() {
                Some(sent) => Ok(self.landed(sent.then)),
                None => Ok(self.read()),
            },
            Ok(CommitOutcome::Conflict) => {
                self.counts.conflicts += 1;
                self.sent = None;
                Ok(self.read())
            }
            Ok(CommitOutcome::Unknown(cause)) => {
                self.counts.unknown += 1;
                self.unknown = Some(cause);
                Ok(self.read())
            }
            Err(cause) => Err(self.failed(cause)),
        }
    }

    /// Whatever became of the barrier, the next read tells: the record has moved, or another barrier is needed.
    fn barred(
        &mut self,
        answer: Result<CommitOutcome, StoreError>,
    ) -> Result<Action<I::Output>, ReplicatedError> {
        match answer {
            Ok(_) => Ok(self.read()),
            Err(cause) => Err(self.failed(cause)),
        }
    }

    fn landed(&mut self, then: Then<I::Output>) -> Action<I::Output> {
        self.sent = None;
        match then {
            Then::Finish(output) => Action::Done(Ok(output)),
            Then::Again => self.read(),
        }
    }

    fn first(&self) -> Option<&Record> {
        self.seen.first().and_then(Option::as_ref)
    }
}

#[cfg(test)]
mod tests;
