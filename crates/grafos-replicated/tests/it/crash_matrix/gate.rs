//! [`Gate`]: a store of registers that ends or stops its process at exactly one point of a step.

use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use grafos_replicated::*;
use rustix::process::{Signal, getpid, kill_process};

use crate::child::{hear_parent, say};
use crate::machine::Machine;

/// Where a step is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Point {
    /// The writer has its epoch, and has not asked for the key.
    BeforeReserve,
    /// The key is its own.
    Reserved,
    /// The work is done, in memory alone.
    Launched,
    /// The new state lies on the replicas, and nothing names it.
    Uploaded,
    /// The engine has moved the register to the new state; the writer has not heard.
    Moved,
    /// The engine has the effect as completed; in a step of one commit, the writer has heard that too.
    Completed,
    /// The engine has done the last commit, its answer was lost, and the writer is about to find out.
    AcknowledgementLost,
}

impl Point {
    pub(crate) const ALL: [Self; 7] = [
        Self::BeforeReserve,
        Self::Reserved,
        Self::Launched,
        Self::Uploaded,
        Self::Moved,
        Self::Completed,
        Self::AcknowledgementLost,
    ];
}

/// What happens at the point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The process kills itself with SIGKILL.
    Die,
    /// The process stops itself with SIGSTOP, and goes on when it is told to.
    Stop,
}

impl FromStr for Point {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|point| format!("{point:?}") == text).ok_or_else(|| text.to_owned())
    }
}

impl FromStr for End {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        [Self::Die, Self::Stop]
            .into_iter()
            .find(|end| format!("{end:?}") == text)
            .ok_or_else(|| text.to_owned())
    }
}

/// See the module's description. Cuts once: who was stopped and goes on is not stopped again.
#[derive(Debug)]
pub(crate) struct Gate {
    inner: Arc<dyn MetadataStore>,
    cut: Option<(IdempotencyKey, Point, End)>,
    /// Whether a commit is one that both publishes and completes.
    is_one_commit: bool,
    is_over: AtomicBool,
    is_answer_lost: AtomicBool,
}

impl Gate {
    /// The machine at `home`, behind a gate that cuts the step of this key at this point.
    pub(crate) fn machine(
        home: &Path,
        is_one_commit: bool,
        cut: Option<(IdempotencyKey, Point, End)>,
    ) -> (Machine, Arc<Self>) {
        let mut gate = None;
        let machine = Machine::with_registers(home, |inner| {
            let (is_over, is_answer_lost) = (AtomicBool::new(false), AtomicBool::new(false));
            let new = Arc::new(Self { inner, cut, is_one_commit, is_over, is_answer_lost });
            gate = Some(Arc::clone(&new));
            new
        });
        (machine, gate.unwrap())
    }

    /// The process has come to this point of this step.
    pub(crate) fn reach_in(&self, key: &IdempotencyKey, point: Point) {
        if self.cut.as_ref().is_some_and(|(cut, _, _)| cut == key) {
            self.reach(point);
        }
    }

    fn reach(&self, point: Point) {
        let Some((_, _, end)) = self.cut.as_ref().filter(|(_, at, _)| *at == point) else { return };
        if self.is_over.swap(true, Ordering::SeqCst) {
            return;
        }
        say(&format!("reached {point:?}"));
        match end {
            End::Die => kill_process(getpid(), Signal::KILL).unwrap(),
            End::Stop => {
                kill_process(getpid(), Signal::STOP).unwrap();
                // A signal may take a moment to reach this thread; this makes it certain that nothing more is done.
                assert_eq!(hear_parent().as_deref(), Some("go on"));
            }
        }
    }

    /// Whether the commit makes the state of the step that is to be cut the current one.
    fn publishes(&self, transaction: &Transaction) -> bool {
        let Some((cut, _, _)) = &self.cut else { return false };
        let registers = transaction.puts.iter().filter_map(|(key, body)| Register::decode(key, body).ok());
        registers.into_iter().any(|register| {
            register.head().and_then(|head| head.step.as_ref()).is_some_and(|step| step.key == *cut)
        })
    }

    /// Whether the commit completes that step.
    fn completes(&self, transaction: &Transaction) -> bool {
        let Some((cut, _, _)) = &self.cut else { return false };
        let record_key = RecordKey::new("effect", &["job-effects", cut.as_str()]);
        let puts = transaction.puts.iter().filter(|(key, _)| *key == record_key);
        let mut effects = puts.filter_map(|(key, body)| EffectRecord::decode(key, body).ok());
        effects.any(|effect| matches!(effect.outcome, IdempotencyOutcome::Completed { .. }))
    }
}

impl MetadataStore for Gate {
    fn read(&self, key: &RecordKey) -> Result<Option<Record>, StoreError> {
        if self.is_answer_lost.load(Ordering::SeqCst) {
            self.reach(Point::AcknowledgementLost);
        }
        self.inner.read(key)
    }

    fn commit(&self, transaction: &Transaction) -> Result<CommitOutcome, StoreError> {
        let (publishes, completes) = (self.publishes(transaction), self.completes(transaction));
        if publishes {
            self.reach(Point::Uploaded);
        }
        let outcome = self.inner.commit(transaction)?;
        if matches!(outcome, CommitOutcome::Committed(_)) {
            if publishes {
                self.reach(Point::Moved);
            }
            // A step of one commit is completed with it: it is cut there once its writer has heard.
            if completes && !self.is_one_commit {
                self.reach(Point::Completed);
            }
            let loses = self.cut.as_ref().is_some_and(|(_, point, _)| *point == Point::AcknowledgementLost);
            if completes && loses && !self.is_answer_lost.swap(true, Ordering::SeqCst) {
                return Ok(CommitOutcome::Unknown(StoreError::Unavailable {
                    reason: "no answer came".to_owned(),
                }));
            }
        }
        Ok(outcome)
    }

    fn scan(
        &self,
        prefix: &str,
        after: Option<&RecordKey>,
        limit: usize,
    ) -> Result<Vec<(RecordKey, Record)>, StoreError> {
        self.inner.scan(prefix, after, limit)
    }
}
