//! [`Net`]: everything but the programs: the engine, the replicas, and the messages between. Messages are lost, come late,
//! twice, and in another order than they were sent in; an answer that does not come in time is a lost one, though the request
//! may still be on its way.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use grafos_replicated::{BlobTag, CommitOutcome, Nonce, StoreError, Transaction};

use crate::config::Weather;
use crate::fact::{Aim, Fact, Op, Outcome};
use crate::layout::{EFFECTS, Layout, Layouts, RECORDS};
use crate::message::{Answer, CallId, Request};
use crate::mutant::Mutant;
use crate::random::Random;
use crate::replica::Replica;
use crate::scheduler::Scheduler;
use crate::state::{Content, Space, State};
use crate::store::{Change, Store};
use crate::watch::Watch;

/// How long a program waits for an answer.
const TIMEOUT_US: u64 = 60_000;
/// How much of what it acknowledged a replica loses in a crash, if it lies about flushes.
const UNFLUSHED_US: u64 = 200_000;

/// How many commits in a thousand the engine refuses for good.
const REFUSED: u64 = 5;

#[derive(Debug)]
pub(crate) enum Event {
    Start {
        actor: usize,
    },
    /// A request arrives where it is to go.
    Arrive {
        call: CallId,
        request: Request,
        era: u32,
    },
    Answer {
        call: CallId,
        answer: Answer,
    },
    Fault(Fault),
    ReplicaUp {
        replica: usize,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    Crash,
    Pause,
    ReplicaCrash,
    Wipe,
    Flip,
    Copy,
    Restore,
}

/// What programs know of each other, as if somebody had told them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Board {
    pub(crate) epochs: [u64; 2],
    /// The step of the job that comes next, as far as is known.
    pub(crate) next_step: u64,
}

#[derive(Debug)]
pub(crate) struct Net {
    pub(crate) clock: Scheduler<Event>,
    pub(crate) random: Random,
    pub(crate) weather: Weather,
    pub(crate) mutant: Option<Mutant>,
    pub(crate) store: Store,
    pub(crate) replicas: Vec<Replica>,
    pub(crate) watch: Watch,
    pub(crate) board: Board,
    pub(crate) layouts: Layouts,
    /// Nothing goes wrong any more: the world comes to rest.
    pub(crate) is_calm: bool,
    /// Who waits for an answer.
    waiting: BTreeMap<CallId, usize>,
    /// Answers that were handed over and not yet looked at.
    answers: BTreeMap<CallId, (usize, Answer)>,
    ops: BTreeMap<u64, Op>,
    /// What is in each blob that anybody made.
    states: BTreeMap<(Space, BlobTag), State>,
    /// Commits that have arrived once, and those of them that were refused.
    arrived: BTreeSet<CallId>,
    refused: BTreeSet<CallId>,
    calls: u64,
    numbers: u64,
}

impl Net {
    pub(crate) fn new(
        mut random: Random,
        weather: Weather,
        mutant: Option<Mutant>,
        store: Store,
        layouts: Layouts,
    ) -> Self {
        let replicas = (0..weather.pool()).map(|_| Replica::default()).collect();
        let numbers = random.below(1 << 20);
        let first = layouts.said(EFFECTS);
        let mut net = Self {
            clock: Scheduler::new(),
            random,
            weather,
            mutant,
            store,
            replicas,
            watch: Watch::new(),
            board: Board { epochs: [1, 1], next_step: 1 },
            layouts,
            is_calm: false,
            waiting: BTreeMap::new(),
            answers: BTreeMap::new(),
            ops: BTreeMap::new(),
            states: BTreeMap::new(),
            arrived: BTreeSet::new(),
            refused: BTreeSet::new(),
            calls: 0,
            numbers,
        };
        net.draw_up(&first);
        net
    }

    fn draw_up(&mut self, layout: &Layout) {
        let Layout { generation, members, write_quorum, .. } = layout;
        let (generation, write_quorum) = (*generation, *write_quorum);
        self.watch.see(&Fact::DrawnUp { generation, members, write_quorum });
    }

    /// A set to change to. A replica that joins is a new disk, or comes back with what it had.
    pub(crate) fn next_layout(&mut self, from: &Layout, space: Option<Space>) -> Rc<Layout> {
        let (weather, mutant) = (self.weather, self.mutant);
        let (layout, is_new) = self.layouts.next_after(from, &mut self.random, &weather, mutant);
        if is_new {
            self.draw_up(&layout);
        }
        for place in layout.members.iter().filter(|place| !from.members.contains(place)) {
            if let Some(space) = space.filter(|_| is_new && self.random.chance(500)) {
                self.empty(*place, space);
            }
        }
        layout
    }

    fn empty(&mut self, at: usize, space: Space) {
        let Some(replica) = self.replicas.get_mut(at) else { return };
        for tag in replica.empty(space) {
            self.watch.see(&Fact::Destroyed { replica: at, space, tag });
        }
    }

    /// A number that nobody has chosen before.
    pub(crate) fn new_number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    pub(crate) fn new_nonce(&mut self) -> Nonce {
        Nonce(u128::from(self.new_number()))
    }

    pub(crate) fn is(&self, mutant: Mutant) -> bool {
        self.mutant == Some(mutant)
    }

    /// `era` is that of what the operation builds on.
    pub(crate) fn begin(
        &mut self,
        space: Space,
        aim: Aim,
        epoch: u64,
        era: u32,
        generations: [u64; RECORDS],
    ) -> u64 {
        let id = self.new_number();
        let op = Op { id, space, aim, epoch, generations, era };
        self.ops.insert(id, op);
        self.watch.see(&Fact::Began { op: &op });
        id
    }

    pub(crate) fn end(&mut self, op: u64, outcome: Outcome) {
        if outcome == Outcome::Unknown {
            self.watch.totals.unknown_outcomes += 1;
        }
        if let Some(op) = self.ops.get(&op) {
            self.watch.see(&Fact::Ended { op, outcome });
        }
    }

    /// Notes what is in a blob that somebody is about to upload.
    pub(crate) fn made(&mut self, space: Space, tag: BlobTag, content: &Content) {
        self.states.insert((space, tag), content.state);
    }

    pub(crate) fn send(&mut self, actor: usize, request: Request) -> CallId {
        self.calls += 1;
        let call = CallId(self.calls);
        self.waiting.insert(call, actor);
        if let Request::Sleep { us } = request {
            self.clock.plan(us, Event::Answer { call, answer: Answer::Done });
            return call;
        }
        self.clock.plan(TIMEOUT_US, Event::Answer { call, answer: Answer::Lost });
        let era = self.watch.era();
        if self.happens(self.weather.twice) {
            let in_us = self.delay_us();
            self.clock.plan(in_us, Event::Arrive { call, request: request.clone(), era });
        }
        if !self.happens(self.weather.lost) {
            let in_us = self.delay_us();
            self.clock.plan(in_us, Event::Arrive { call, request, era });
        }
        call
    }

    fn happens(&mut self, per_thousand: u64) -> bool {
        !self.is_calm && self.random.chance(per_thousand)
    }

    fn delay_us(&mut self) -> u64 {
        if self.happens(self.weather.late) {
            return self.random.between(1000, self.weather.late_ms * 1000);
        }
        self.random.between(200, 4000)
    }

    /// A request is where it was to go. Answers nothing if nobody is there.
    pub(crate) fn arrive(&mut self, call: CallId, request: &Request, era: u32) {
        let Some(answer) = self.answer(call, request, era) else { return };
        // An engine whose second look at one request says "conflict" breaks its contract: it answers the first.
        if matches!(request, Request::Commit { .. }) && !self.arrived.insert(call) {
            return;
        }
        if !self.happens(self.weather.lost) {
            let in_us = self.delay_us();
            self.clock.plan(in_us, Event::Answer { call, answer });
        }
    }

    fn answer(&mut self, call: CallId, request: &Request, era: u32) -> Option<Answer> {
        let is_of_old = era != self.watch.era();
        match request {
            // Requests to an engine that was replaced by an older copy of itself go down with it.
            Request::Read(_) | Request::Commit { .. } | Request::Scan if is_of_old => None,
            Request::Read(key) => Some(Answer::Record(self.store.read(key))),
            Request::Scan => Some(Answer::Records(self.store.scan())),
            Request::Commit { transaction, op } => Some(self.commit(call, transaction, *op)),
            Request::Put { replica, space, tag, bytes, replaces } => {
                let now_us = self.clock.now_us();
                let at = self.up(*replica)?;
                let is_new = at.put(*space, *tag, bytes, now_us, *replaces);
                if is_new {
                    self.watch.see(&Fact::Stored { replica: *replica, space: *space, tag: *tag });
                }
                Some(Answer::Stored(is_new))
            }
            Request::Get { replica, space, tag } => Some(Answer::Blob(self.up(*replica)?.get(*space, *tag))),
            Request::List { replica, space } => Some(Answer::Tags(self.up(*replica)?.list(*space))),
            Request::Delete { replica, space, tag, era } => {
                let (replica, space, tag) = (*replica, *space, *tag);
                let is_of_old = *era != self.watch.era();
                if self.up(replica)?.delete(space, tag).is_some() {
                    self.watch.totals.deletes += 1;
                    let register = self.store.register(space);
                    self.watch.see(&Fact::Removed { replica, space, tag, register, is_of_old });
                }
                Some(Answer::Done)
            }
            Request::Sleep { .. } => Some(Answer::Done),
        }
    }

    fn up(&mut self, replica: usize) -> Option<&mut Replica> {
        self.replicas.get_mut(replica).filter(|replica| !replica.is_down)
    }

    fn commit(&mut self, call: CallId, transaction: &Transaction, op: u64) -> Answer {
        // What is refused is refused for good: also when it comes a second time.
        let is_first = !self.arrived.contains(&call);
        if self.refused.contains(&call) || (is_first && self.happens(REFUSED)) {
            self.refused.insert(call);
            return Answer::Refused;
        }
        let (outcome, changes) = self.store.commit(transaction);
        let Some(op) = self.ops.get(&op) else { return Answer::Refused };
        if matches!(outcome, CommitOutcome::Committed(_)) {
            self.watch.totals.commits += 1;
            self.watch.totals.late_commits += u64::from(!self.waiting.contains_key(&call));
        }
        for change in &changes {
            match change {
                Change::Register { space, before } => {
                    let Some(after) = self.store.register(*space) else { continue };
                    let state = after.head().and_then(|head| self.states.get(&(*space, head.manifest)));
                    self.watch.see(&Fact::Moved { op, before: before.as_deref(), after, state });
                }
                Change::Head { before } => {
                    let (before, after) = (before.as_deref(), self.store.head.as_deref());
                    self.watch.see(&Fact::HeadMoved { before, after });
                }
                Change::Effect { .. } => {}
            }
        }
        // Effects last: a completion looks for the version that was published with it.
        for change in &changes {
            if let Change::Effect { step, before, after } = change {
                let (before, after, head) = (before.as_deref(), after.as_deref(), self.store.head.as_deref());
                self.watch.see(&Fact::EffectMoved { op, step: *step, before, after, head });
            }
        }
        Answer::Committed(outcome)
    }

    /// Who is to be told an answer; nobody, if it comes too late.
    pub(crate) fn waits_for(&self, call: CallId) -> Option<usize> {
        self.waiting.get(&call).copied()
    }

    pub(crate) fn hand_over(&mut self, call: CallId, answer: Answer) {
        if let Some(actor) = self.waiting.remove(&call) {
            self.answers.insert(call, (actor, answer));
        }
    }

    pub(crate) fn take_answer(&mut self, call: CallId) -> Option<Answer> {
        self.answers.remove(&call).map(|(_, answer)| answer)
    }

    /// The program is gone: nobody waits for its answers.
    pub(crate) fn forget(&mut self, actor: usize) {
        self.waiting.retain(|_, waits| *waits != actor);
        self.answers.retain(|_, (waits, _)| *waits != actor);
    }

    pub(crate) fn crash_replica(&mut self, at: usize) {
        let now_us = self.clock.now_us();
        let lies = self.is(Mutant::AckBeforeDurable);
        let Some(replica) = self.replicas.get_mut(at) else { return };
        replica.is_down = true;
        if lies {
            let gone = replica.forget_since(now_us.saturating_sub(UNFLUSHED_US));
            for (space, tag) in gone {
                self.watch.see(&Fact::Vanished { replica: at, space, tag });
            }
        }
        self.watch.totals.replica_crashes += 1;
        let in_us = self.random.between(5_000, 500_000);
        self.clock.plan(in_us, Event::ReplicaUp { replica: at });
    }

    pub(crate) fn wipe(&mut self, at: usize) {
        let Some(lost) = self.replicas.get_mut(at).map(Replica::wipe) else { return };
        self.watch.totals.wipes += 1;
        for (space, tag) in lost {
            self.watch.see(&Fact::Destroyed { replica: at, space, tag });
        }
    }

    pub(crate) fn flip(&mut self, at: usize) {
        let Some(replica) = self.replicas.get_mut(at) else { return };
        let (blob, bit) = (self.random.index(replica.blobs.len()), self.random.index(1 << 16));
        let Some((space, tag)) = replica.flip(blob, bit) else { return };
        self.watch.totals.flips += 1;
        self.watch.see(&Fact::Destroyed { replica: at, space, tag });
    }

    pub(crate) fn restore(&mut self) {
        let at = self.random.index(self.store.copies());
        if self.store.restore(at) {
            let registers = Space::ALL.map(|space| self.store.register(space));
            self.watch.see(&Fact::Restored { registers });
            self.board.next_step = 1;
        }
    }
}

/// The error for an answer that did not come.
pub(crate) fn unavailable() -> StoreError {
    StoreError::Unavailable { reason: String::new() }
}
