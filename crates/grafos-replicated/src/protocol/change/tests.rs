//! A small world, tried in every way: a store whose answers are lost, whose requests land late or never, and a
//! competitor that comes in between.

use fabricbios_core::lease::FenceEpoch;

use super::*;
use crate::effect_record::IdempotencyOutcome;
use crate::error::ReplicaFailures;
use crate::memory::MemoryMetadataStore;
use crate::metadata_store::MetadataStore;
use crate::names::{
    CheckpointName, IdempotencyKey, LayoutHash, LogicalResourceName, OperationHash, PolicyHash, ReplicaId,
    ResourceGeneration, SchemaId, Version,
};
use crate::placement::{
    FailureDomain, PlacementPolicy, ReplicaHealth, ReplicaLocator, ReplicaPolicy, ReplicaRole,
    ReplicaSetLocator,
};
use crate::protocol::checkpoint::{Claim, Landed, Receipt, Save, TakeOver};
use crate::protocol::effect::{EffectsClaim, Reserve, Settle};
use crate::protocol::replica_change::{ChangeReplicas, Copies, NewReplicas};
use crate::register::{Register, SavedVersion};

/// Choices that were made before, and with how many ways each.
#[derive(Default)]
struct Tape {
    choices: Vec<(usize, usize)>,
    at: usize,
    /// How many choices may still differ from the first way.
    budget: usize,
}

impl Tape {
    fn choose(&mut self, ways: usize) -> usize {
        if self.at == self.choices.len() {
            self.choices.push((0, ways));
        }
        let (choice, _) = self.choices[self.at];
        self.at += 1;
        self.budget -= usize::from(choice > 0);
        choice
    }

    /// Moves on to the next world, if there is one.
    fn advance(&mut self, budget: usize) -> bool {
        while let Some((choice, ways)) = self.choices.pop() {
            let spent = self.choices.iter().filter(|(choice, _)| *choice > 0).count();
            if choice + 1 < ways && spent < budget {
                self.choices.push((choice + 1, ways));
                (self.at, self.budget) = (0, budget);
                return true;
            }
        }
        false
    }
}

/// A store that the tape makes fail.
struct World<'a> {
    store: MemoryMetadataStore,
    in_flight: Vec<Transaction>,
    tape: &'a mut Tape,
    competitor: Box<dyn FnMut(&MemoryMetadataStore)>,
    nonce: u128,
}

impl World<'_> {
    fn before_each(&mut self) {
        if !self.in_flight.is_empty() && self.tape.choose(2) == 1 {
            self.deliver();
        }
        if self.tape.choose(2) == 1 {
            (self.competitor)(&self.store);
        }
    }

    fn deliver(&mut self) {
        for late in self.in_flight.drain(..) {
            self.store.commit(&late).unwrap();
        }
    }

    fn commit(&mut self, transaction: &Transaction) -> CommitOutcome {
        let lost = CommitOutcome::Unknown(StoreError::Unavailable { reason: "no answer".into() });
        match self.tape.choose(4) {
            0 => self.store.commit(transaction).unwrap(),
            1 => {
                self.store.commit(transaction).unwrap();
                lost
            }
            2 => {
                self.in_flight.push(transaction.clone());
                lost
            }
            _ => lost,
        }
    }

    fn run<I: Intent>(&mut self, intent: I) -> Result<I::Output, ReplicatedError> {
        self.run_with(intent, |_| {})
    }

    fn run_with<I: Intent>(
        &mut self,
        intent: I,
        upload: impl Fn(&mut I),
    ) -> Result<I::Output, ReplicatedError> {
        let (mut change, mut event) = (Change::new(intent), Event::Start);
        let outcome = loop {
            let nonce = &mut self.nonce;
            let action = change.step(event, &mut || {
                *nonce += 1;
                Nonce(*nonce)
            });
            self.before_each();
            event = match action {
                Action::Read(keys) => Event::Read(keys.iter().map(|key| self.store.read(key)).collect()),
                Action::Commit(transaction) => Event::Committed(Ok(self.commit(&transaction))),
                Action::Upload => {
                    upload(change.intent_mut());
                    Event::Uploaded(Ok(()))
                }
                Action::Done(outcome) => break outcome,
            };
        };
        self.deliver();
        outcome
    }
}

/// Runs `world` in every way in which up to `budget` things go differently.
fn in_every_world(budget: usize, mut world: impl FnMut(&mut Tape)) -> usize {
    let (mut tape, mut count) = (Tape { budget, ..Tape::default() }, 0);
    loop {
        world(&mut tape);
        count += 1;
        if !tape.advance(budget) {
            return count;
        }
    }
}

fn claim() -> Claim {
    Claim {
        resource: LogicalResourceName::new("r"),
        checkpoint: CheckpointName::new("c"),
        schema: SchemaId::new("s"),
        policy_hash: PolicyHash([0; 32]),
        generation: ResourceGeneration(1),
        layout: LayoutHash([0; 32]),
        opened_at: FenceEpoch(1),
    }
}

/// Runs on a store that answers at once. `seed` is where its nonces begin.
fn honest<I: Intent>(
    store: &MemoryMetadataStore,
    intent: I,
    seed: u128,
) -> Result<I::Output, ReplicatedError> {
    let (mut change, mut event, mut nonce) = (Change::new(intent), Event::Start, seed);
    loop {
        let action = change.step(event, &mut || {
            nonce += 1;
            Nonce(nonce)
        });
        event = match action {
            Action::Read(keys) => Event::Read(keys.iter().map(|key| store.read(key)).collect()),
            Action::Commit(transaction) => Event::Committed(store.commit(&transaction)),
            Action::Upload => Event::Uploaded(Ok(())),
            Action::Done(outcome) => return outcome,
        };
    }
}

fn is_certain<T>(outcome: &Result<T, ReplicatedError>) -> bool {
    !matches!(outcome, Err(ReplicatedError::OutcomeUnknown { .. }))
}

#[test]
fn a_takeover_takes_place_exactly_once_if_it_says_so_and_never_if_not() {
    for exists_before in [false, true] {
        let count = in_every_world(4, |tape| {
            let store = MemoryMetadataStore::new();
            let before = u64::from(exists_before);
            if exists_before {
                honest(&store, TakeOver::new(claim(), FenceEpoch(0)), 1 << 100).unwrap();
            }
            let rivals = std::rc::Rc::new(std::cell::RefCell::new(Vec::new()));
            let seen = std::rc::Rc::clone(&rivals);
            let competitor = Box::new(move |store: &MemoryMetadataStore| {
                let seed = (2 + seen.borrow().len() as u128) << 100;
                let epoch = honest(store, TakeOver::new(claim(), FenceEpoch(0)), seed).unwrap();
                seen.borrow_mut().push(epoch);
            });
            let mut world = World { store: store.clone(), in_flight: Vec::new(), tape, competitor, nonce: 0 };
            let outcome = world.run(TakeOver::new(claim(), FenceEpoch(0)));
            let rivals = rivals.borrow();
            let record = store.read(&claim().key()).unwrap();
            let epoch = record.map_or(1, |r| Register::decode(&claim().key(), &r.body).unwrap().epoch.0);
            let taken = epoch - 1 - before - rivals.len() as u64;
            match &outcome {
                Ok(epoch) => {
                    assert_eq!(taken, 1, "{rivals:?} {epoch}");
                    assert!(!rivals.contains(epoch), "two writers of one epoch");
                }
                Err(error) if is_certain(&outcome) => assert_eq!(taken, 0, "{error}"),
                Err(_) => assert!(taken <= 1),
            }
        });
        assert!(count > 500, "only {count} worlds");
    }
}

fn effects(holder: u128) -> EffectsClaim {
    EffectsClaim {
        resource: LogicalResourceName::new("r"),
        schema: SchemaId::new("s"),
        generation: ResourceGeneration(1),
        opened_at: FenceEpoch(1),
        holder: Nonce(holder),
    }
}

fn reserve(holder: u128) -> Reserve {
    let key = IdempotencyKey::new("k");
    Reserve::new(effects(holder), key, OperationHash([1; 32]), None, FenceEpoch(1))
}

fn complete(holder: u128) -> Settle {
    let outcome = IdempotencyOutcome::Completed { effect: Some(vec![u8::try_from(holder).unwrap()]) };
    Settle::new(effects(holder), IdempotencyKey::new("k"), Version(1), outcome, FenceEpoch(1))
}

#[test]
fn a_key_has_one_holder_and_one_outcome_in_every_world() {
    let count = in_every_world(4, |tape| {
        let store = MemoryMetadataStore::new();
        let rival_has_it = std::rc::Rc::new(std::cell::Cell::new(false));
        let seen = std::rc::Rc::clone(&rival_has_it);
        let competitor = Box::new(move |store: &MemoryMetadataStore| {
            if honest(store, reserve(2), 1 << 100).is_ok_and(|r| r.outcome == IdempotencyOutcome::Reserved) {
                seen.set(true);
            }
        });
        let mut world = World { store: store.clone(), in_flight: Vec::new(), tape, competitor, nonce: 0 };
        let ours = world.run(reserve(1));
        if ours.is_ok() {
            assert!(!rival_has_it.get(), "two hold one key");
            let done = world.run(complete(1));
            let key = effects(1).key(&IdempotencyKey::new("k"));
            let record = store.read(&key).unwrap().unwrap();
            let record = crate::effect_record::EffectRecord::decode(&key, &record.body).unwrap();
            match &done {
                Ok(_) => assert_eq!(record.outcome, IdempotencyOutcome::Completed { effect: Some(vec![1]) }),
                Err(error) => assert!(!is_certain(&done), "{error}"),
            }
        }
    });
    assert!(count > 500, "only {count} worlds");
}

/// A replica set, as far as a register knows it.
fn set(generation: u64) -> ReplicaSetLocator {
    let locator = |id: &str| ReplicaLocator {
        replica_id: ReplicaId::new(id),
        domain: FailureDomain::cell("local", "here"),
        role: ReplicaRole::Voter,
        health: ReplicaHealth::Healthy,
        epoch: FenceEpoch(1),
        content_generation: 1,
    };
    ReplicaSetLocator::new(ResourceGeneration(generation), vec![locator("a"), locator("b")])
}

fn in_set(generation: u64) -> Claim {
    let set = set(generation);
    Claim { generation: set.generation(), layout: set.layout(), ..claim() }
}

fn policy() -> ReplicaPolicy {
    ReplicaPolicy::new(PlacementPolicy::new()).write_quorum(2)
}

fn change_to(generation: u64) -> ChangeReplicas {
    let to = NewReplicas { set: set(generation), policy: policy(), policy_hash: PolicyHash([0; 32]) };
    ChangeReplicas::new(in_set(1), to, FenceEpoch(1), None)
}

fn save(expected: u64, nonce: u128) -> Save {
    Save::new(in_set(1), policy(), set(1), Version(expected), FenceEpoch(1), 8, None, Nonce(nonce))
}

fn receipt(save: &Save) -> Receipt {
    Receipt {
        manifest_digest: [0; 32],
        payload_bytes: 1,
        blobs: vec![save.tag()],
        acknowledged: [0, 1].into(),
        failures: ReplicaFailures::default(),
    }
}

/// Everything that is asked for is on both replicas.
fn copies(wanted: &[SavedVersion]) -> Copies {
    let blobs = wanted.iter().flat_map(|saved| saved.blobs.iter());
    let holders = blobs.map(|blob| (*blob, [0, 1].into())).collect();
    Copies { holders, failures: ReplicaFailures::default() }
}

fn register(store: &MemoryMetadataStore) -> Register {
    let key = claim().key();
    Register::decode(&key, &store.read(&key).unwrap().unwrap().body).unwrap()
}

/// A save of the old set on a store that answers at once.
fn honest_save(store: &MemoryMetadataStore, expected: u64, seed: u128) -> Result<Landed, ReplicatedError> {
    let mut change = Change::new(save(expected, seed));
    let (mut event, mut nonce) = (Event::Start, seed);
    loop {
        let action = change.step(event, &mut || {
            nonce += 1;
            Nonce(nonce)
        });
        event = match action {
            Action::Read(keys) => Event::Read(keys.iter().map(|key| store.read(key)).collect()),
            Action::Commit(transaction) => Event::Committed(store.commit(&transaction)),
            Action::Upload => {
                let receipt = receipt(change.intent_mut());
                change.intent_mut().uploaded(receipt);
                Event::Uploaded(Ok(()))
            }
            Action::Done(outcome) => return outcome,
        };
    }
}

#[test]
fn a_change_of_replicas_and_a_save_of_the_old_set_never_pass_each_other_in_any_world() {
    let (mut saved_before, mut refused) = (0, 0);
    let count = in_every_world(4, |tape| {
        let store = MemoryMetadataStore::new();
        honest_save(&store, 0, 1 << 90).unwrap();
        let outcomes = std::rc::Rc::new(std::cell::RefCell::new(Vec::new()));
        let seen = std::rc::Rc::clone(&outcomes);
        let competitor = Box::new(move |store: &MemoryMetadataStore| {
            let generation = register(store).generation;
            let outcome = honest_save(store, 1, (2 + seen.borrow().len() as u128) << 100);
            seen.borrow_mut().push((generation, outcome));
        });
        let mut world = World { store: store.clone(), in_flight: Vec::new(), tape, competitor, nonce: 0 };
        let outcome = world.run_with(change_to(2), |change| {
            let copies = copies(change.wanted());
            change.copied(copies);
        });
        let now = register(&store);
        let mut versions = 1;
        for (generation, outcome) in outcomes.borrow().iter() {
            match outcome {
                Ok(landed) => {
                    assert_eq!(*generation, ResourceGeneration(1), "a save of the old set under the new one");
                    assert_eq!(landed.version, Version(2));
                    versions += 1;
                    saved_before += 1;
                }
                Err(ReplicatedError::WrongGeneration { .. }) => {
                    assert_eq!(*generation, ResourceGeneration(2));
                    refused += 1;
                }
                Err(error) => assert!(matches!(error, ReplicatedError::VersionConflict { .. }), "{error}"),
            }
        }
        assert_eq!(now.version, Version(versions), "no version is lost, and none is made");
        assert_eq!(now.history.len() as u64, versions);
        let has_moved = now.generation == ResourceGeneration(2);
        match &outcome {
            Ok(moved) => assert!(has_moved && moved.version <= now.version),
            Err(error) if is_certain(&outcome) => assert!(!has_moved, "{error}"),
            Err(_) => {}
        }
        let places: Vec<_> = now.history.iter().map(|saved| saved.acknowledged).collect();
        assert!(places.iter().all(|places| *places == 0b11), "{places:?}");
    });
    assert!(count > 500 && saved_before > 100 && refused > 100, "{count} {saved_before} {refused}");
}

#[test]
fn a_store_that_never_answers_ends_in_an_unknown_outcome() {
    let store = MemoryMetadataStore::new();
    honest(&store, TakeOver::new(claim(), FenceEpoch(0)), 1 << 100).unwrap();
    let mut change = Change::new(TakeOver::new(claim(), FenceEpoch(0)));
    let (mut event, mut steps) = (Event::Start, 0);
    let lost = || CommitOutcome::Unknown(StoreError::Unavailable { reason: "no answer".into() });
    let outcome = loop {
        steps += 1;
        event = match change.step(event, &mut || Nonce(7 + steps)) {
            Action::Read(keys) => Event::Read(keys.iter().map(|key| store.read(key)).collect()),
            Action::Commit(_) => Event::Committed(Ok(lost())),
            Action::Upload => Event::Uploaded(Ok(())),
            Action::Done(outcome) => break outcome,
        };
    };
    assert!(matches!(outcome, Err(ReplicatedError::OutcomeUnknown { .. })), "{outcome:?}");
    assert!(steps < 200, "it gives up");
    assert_eq!(change.counts().unknown, 1);
    assert!(change.counts().barriers > 10);
}
