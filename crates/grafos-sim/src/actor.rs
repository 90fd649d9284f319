//! [`Actor`]: what a program of this world can do. Programs are written as they would be for a real engine; where those
//! would block, these wait for the world, which is a single thread and decides when an answer comes.

pub(crate) mod blobs;
pub(crate) mod changer;
pub(crate) mod maintenance;
pub(crate) mod worker;
pub(crate) mod writer;

use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use grafos_replicated::protocol::change::{Action, Change, Event};
use grafos_replicated::protocol::checkpoint::{Claim, Save};
use grafos_replicated::protocol::replica_change::ChangeReplicas;
use grafos_replicated::{
    CommitOutcome, EffectsHead, FenceEpoch, Record, RecordKey, Register, ReplicatedError, StoreError,
    Transaction,
};

use crate::bend::{Bend, Bent, Fault};
use crate::layout::{EFFECTS, Layout, RECORDS};
use crate::message::{Answer, CallId, Request};
use crate::mutant::Mutant;
use crate::net::{Net, unavailable};
use crate::state::{Space, State};

#[derive(Clone, Debug)]
pub(crate) struct Actor {
    pub(crate) net: Rc<RefCell<Net>>,
    pub(crate) id: usize,
    /// The replica set that each record is in, as far as this program knows.
    layouts: Rc<RefCell<[Rc<Layout>; RECORDS]>>,
}

/// An answer that will come, if only that it did not.
struct Reply<'a> {
    net: &'a RefCell<Net>,
    call: CallId,
}

impl Future for Reply<'_> {
    type Output = Answer;

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Answer> {
        self.net.borrow_mut().take_answer(self.call).map_or(Poll::Pending, Poll::Ready)
    }
}

impl Actor {
    pub(crate) fn new(net: &Rc<RefCell<Net>>, id: usize) -> Self {
        let layouts = [0, 1, EFFECTS].map(|record| net.borrow().layouts.said(record));
        Self { net: Rc::clone(net), id, layouts: Rc::new(RefCell::new(layouts)) }
    }

    /// The replica set that a checkpoint is in, as far as this program knows.
    pub(crate) fn layout(&self, space: Space) -> Rc<Layout> {
        self.layout_of(space.index())
    }

    pub(crate) fn layout_of(&self, record: usize) -> Rc<Layout> {
        Rc::clone(&self.layouts.borrow()[record])
    }

    pub(crate) fn generations(&self) -> [u64; RECORDS] {
        self.layouts.borrow().each_ref().map(|layout| layout.generation)
    }

    /// Goes on with the replica set that a record is in, and tells the others.
    pub(crate) fn learn(&self, record: usize, generation: u64) {
        let layout = self.with(|net| {
            net.layouts.say(record, generation);
            net.layouts.of(generation)
        });
        if let (Some(layout), Some(known)) = (layout, self.layouts.borrow_mut().get_mut(record)) {
            *known = layout;
        }
    }

    pub(crate) fn with<R>(&self, look: impl FnOnce(&mut Net) -> R) -> R {
        look(&mut self.net.borrow_mut())
    }

    pub(crate) fn is(&self, mutant: Mutant) -> bool {
        self.with(|net| net.is(mutant))
    }

    pub(crate) fn chance(&self, per_thousand: u64) -> bool {
        self.with(|net| net.random.chance(per_thousand))
    }

    pub(crate) fn send(&self, request: Request) -> CallId {
        self.with(|net| net.send(self.id, request))
    }

    pub(crate) async fn answer_to(&self, call: CallId) -> Answer {
        Reply { net: &self.net, call }.await
    }

    pub(crate) async fn call(&self, request: Request) -> Answer {
        self.answer_to(self.send(request)).await
    }

    /// Sleeps for up to so many milliseconds.
    pub(crate) async fn rest(&self, ms: u64) {
        let us = self.with(|net| net.random.between(1, ms * 1000));
        self.call(Request::Sleep { us }).await;
    }

    pub(crate) fn claim(&self, space: Space) -> Claim {
        let layout = self.layout(space);
        let [plain, job] = &layout.claims;
        if space == Space::Plain { plain.clone() } else { job.clone() }
    }

    /// The register, read now.
    pub(crate) async fn register(&self, space: Space) -> Result<Option<Register>, ReplicatedError> {
        let claim = self.claim(space);
        let Some(record) = self.read(claim.key()).await? else { return Ok(None) };
        let register = claim.decode(&record)?;
        let checked = claim.check(&register);
        if let Err(ReplicatedError::WrongGeneration { found, .. }) = &checked {
            self.with(|net| net.watch.totals.misplaced += 1);
            self.learn(space.index(), found.0);
        }
        checked.map(|()| Some(register))
    }

    /// Looks which generation the effects are in.
    pub(crate) async fn learn_effects(&self) {
        let key = self.layout_of(EFFECTS).effects.head_key();
        let Ok(Some(record)) = self.read(key.clone()).await else { return };
        if let Ok(head) = EffectsHead::decode(&key, &record.body) {
            self.learn(EFFECTS, head.generation.0);
        }
    }

    async fn read(&self, key: RecordKey) -> Result<Option<Record>, StoreError> {
        match self.call(Request::Read(key)).await {
            Answer::Record(record) => Ok(record),
            _ => Err(unavailable()),
        }
    }

    async fn read_all(&self, keys: Vec<RecordKey>) -> Result<Vec<Option<Record>>, StoreError> {
        // One after the other, as the real driver does: other commits come in between.
        let mut records = Vec::with_capacity(keys.len());
        for key in keys {
            records.push(self.read(key).await?);
        }
        Ok(records)
    }

    async fn commit(&self, transaction: Transaction, op: u64) -> Result<CommitOutcome, StoreError> {
        let transaction = Rc::new(transaction);
        let answer = self.call(Request::Commit { transaction: Rc::clone(&transaction), op }).await;
        match answer {
            Answer::Committed(outcome) => Ok(outcome),
            Answer::Refused => Err(unavailable()),
            _ => Ok(self.lost(&transaction)),
        }
    }

    /// What a program makes of a commit whose answer was lost. Only planted faults make more of it than there is.
    fn lost(&self, transaction: &Transaction) -> CommitOutcome {
        self.with(|net| {
            net.watch.totals.unknown += 1;
            let has_moved = transaction.guards.first().is_some_and(|(key, expect)| {
                let now = net.store.read(key).map(|record| record.revision);
                let then = match expect {
                    grafos_replicated::Expect::Absent => None,
                    grafos_replicated::Expect::At(revision) => Some(*revision),
                };
                now != then
            });
            match net.mutant {
                Some(Mutant::TimeoutIsFailure) => CommitOutcome::Conflict,
                Some(Mutant::NoBarrier) if !has_moved => CommitOutcome::Conflict,
                _ => CommitOutcome::Unknown(unavailable()),
            }
        })
    }

    /// Drives a change to its end, as the real driver does. `save` finds the save that is to upload `state`.
    pub(crate) async fn drive<I: Bend>(
        &self,
        op: u64,
        intent: I,
        held: u64,
        mut upload: Upload<I>,
    ) -> Result<I::Output, ReplicatedError>
    where
        I::Body: Clone,
    {
        let fault = self.with(|net| net.mutant);
        let completes = matches!(upload, Upload::Completes);
        let layouts = self.layouts.borrow().clone();
        let held = FenceEpoch(held);
        let fault = fault.map(|mutant| Fault { mutant, reused: None, held, completes, layouts });
        let mut change = Change::new(Bent { inner: intent, fault });
        let mut event = Event::Start;
        loop {
            let action = self.with(|net| change.step(event, &mut || net.new_nonce()));
            event = match action {
                Action::Read(keys) => Event::Read(self.read_all(keys).await),
                Action::Commit(transaction) => Event::Committed(self.commit(transaction, op).await),
                Action::Upload => Event::Uploaded(self.upload_for(change.intent_mut(), &mut upload).await),
                Action::Done(outcome) => {
                    let (counts, is_fenced) =
                        (change.counts(), matches!(&outcome, Err(error) if is_fencing(error)));
                    let is_misplaced = matches!(&outcome, Err(ReplicatedError::WrongGeneration { .. }));
                    self.with(|net| {
                        net.watch.totals.barriers += u64::from(counts.barriers);
                        net.watch.totals.conflicts += u64::from(counts.conflicts);
                        net.watch.totals.fencings += u64::from(is_fenced);
                        net.watch.totals.misplaced += u64::from(is_misplaced);
                    });
                    return outcome;
                }
            };
        }
    }

    async fn upload_for<I: Bend>(
        &self,
        intent: &mut Bent<I>,
        upload: &mut Upload<I>,
    ) -> Result<(), ReplicatedError> {
        let (space, state, reused, save_of) = match upload {
            Upload::State { space, state, reused, save_of } => (space, state, reused, save_of),
            Upload::Copies { mover, change_of } => {
                let change = change_of(&mut intent.inner);
                let copies = mover.bring(self, change.wanted()).await?;
                change.copied(copies);
                return Ok(());
            }
            Upload::Nothing | Upload::Completes => return Ok(()),
        };
        let save = save_of(&mut intent.inner);
        let receipt = match reused {
            Some(lost) => lost.receipt(save.tag()),
            None => self.upload(*space, save.tag(), save.base().cloned(), *state).await,
        };
        save.uploaded(receipt);
        if let (Some(fault), Some(lost)) = (&mut intent.fault, reused) {
            fault.reused = Some(lost.tag);
        }
        Ok(())
    }
}

/// What there is to upload.
pub(crate) enum Upload<I> {
    Nothing,
    /// Nothing, and the change is to complete a step.
    Completes,
    State {
        space: Space,
        state: State,
        /// The blob of an attempt that was lost, if a planted fault takes it again.
        reused: Option<blobs::LostAttempt>,
        save_of: fn(&mut I) -> &mut Save,
    },
    /// The blobs of a checkpoint that moves to other replicas.
    Copies {
        mover: changer::Mover,
        change_of: fn(&mut I) -> &mut ChangeReplicas,
    },
}

/// The error says that a newer writer has taken over.
pub(crate) fn is_fencing(error: &ReplicatedError) -> bool {
    matches!(error, ReplicatedError::StaleEpoch { .. } | ReplicatedError::UnknownEpoch { .. })
}
