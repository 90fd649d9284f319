//! [`Store`]: the engine of this world. Linearizable and atomic, as the contract of `MetadataStore` asks; what it does not
//! promise, the network around it makes use of: answers are lost, requests land late or twice. It may be restored from an
//! old copy, which the contract forbids and operators do.

use std::collections::BTreeMap;

use grafos_replicated::protocol::checkpoint::Claim;
use grafos_replicated::protocol::effect::EffectsClaim;
use grafos_replicated::{
    CommitOutcome, EffectRecord, EffectsHead, Expect, Record, RecordKey, Register, Revision, Transaction,
};

use crate::state::Space;

/// What one transaction changed.
#[derive(Debug)]
pub(crate) enum Change {
    Register { space: Space, before: Option<Box<Register>> },
    Head { before: Option<Box<EffectsHead>> },
    Effect { step: u64, before: Option<Box<EffectRecord>>, after: Option<Box<EffectRecord>> },
}

#[derive(Debug)]
pub(crate) struct Store {
    records: BTreeMap<RecordKey, Record>,
    last_revision: u64,
    copies: Vec<BTreeMap<RecordKey, Record>>,
    /// What the records hold, decoded: the truth that invariants are held against.
    registers: [Option<Box<Register>>; 2],
    pub(crate) head: Option<Box<EffectsHead>>,
    claims: [Claim; 2],
    effects: EffectsClaim,
    /// The key of each step, once known.
    steps: BTreeMap<RecordKey, u64>,
}

impl Store {
    pub(crate) fn new(claims: [Claim; 2], effects: EffectsClaim) -> Self {
        Self {
            records: BTreeMap::new(),
            last_revision: 0,
            copies: Vec::new(),
            registers: [None, None],
            head: None,
            claims,
            effects,
            steps: BTreeMap::new(),
        }
    }

    pub(crate) fn register(&self, space: Space) -> Option<&Register> {
        self.registers.get(space.index())?.as_deref()
    }

    /// Tells which step a key stands for.
    pub(crate) fn knows_step(&mut self, key: &RecordKey, step: u64) {
        self.steps.insert(key.clone(), step);
    }

    pub(crate) fn read(&self, key: &RecordKey) -> Option<Record> {
        self.records.get(key).cloned()
    }

    /// The records of effects.
    pub(crate) fn scan(&self) -> Vec<(RecordKey, Record)> {
        let of_effects = self.records.iter().filter(|(key, _)| self.steps.contains_key(*key));
        of_effects.map(|(key, record)| (key.clone(), record.clone())).collect()
    }

    pub(crate) fn commit(&mut self, transaction: &Transaction) -> (CommitOutcome, Vec<Change>) {
        let holds = |(key, expect): &(RecordKey, Expect)| {
            let found = self.records.get(key).map(|record| record.revision);
            match expect {
                Expect::Absent => found.is_none(),
                Expect::At(revision) => found == Some(*revision),
            }
        };
        if transaction.check().is_err() || !transaction.guards.iter().all(holds) {
            return (CommitOutcome::Conflict, Vec::new());
        }
        self.last_revision += 1;
        let revision = Revision(self.last_revision);
        let mut changed = Vec::new();
        for (key, body) in &transaction.puts {
            let record = Record { revision, body: body.clone() };
            let before = self.records.insert(key.clone(), record);
            changed.extend(self.changed(key, before.as_ref(), Some(body)));
        }
        for key in &transaction.deletes {
            let before = self.records.remove(key);
            changed.extend(self.changed(key, before.as_ref(), None));
        }
        (CommitOutcome::Committed(revision), changed)
    }

    fn changed(
        &mut self,
        key: &RecordKey,
        before: Option<&Record>,
        after: Option<&Vec<u8>>,
    ) -> Option<Change> {
        for space in Space::ALL {
            let claim = self.claims.get(space.index())?;
            if claim.key() == *key {
                let register = after.and_then(|body| Register::decode(key, body).ok()).map(Box::new);
                let before = std::mem::replace(self.registers.get_mut(space.index())?, register);
                return Some(Change::Register { space, before });
            }
        }
        if self.effects.head_key() == *key {
            let head = after.and_then(|body| EffectsHead::decode(key, body).ok()).map(Box::new);
            return Some(Change::Head { before: std::mem::replace(&mut self.head, head) });
        }
        let step = *self.steps.get(key)?;
        let effect = |body: &Vec<u8>| EffectRecord::decode(key, body).ok().map(Box::new);
        let (before, after) = (before.and_then(|record| effect(&record.body)), after.and_then(effect));
        Some(Change::Effect { step, before, after })
    }

    /// Somebody makes a copy of everything.
    pub(crate) fn take_copy(&mut self) {
        self.copies.push(self.records.clone());
    }

    /// Everything is as in an earlier copy. Revisions are new all the same: what was decided against a lost record can
    /// not come true.
    pub(crate) fn restore(&mut self, at: usize) -> bool {
        let Some(copy) = self.copies.get(at).cloned() else { return false };
        self.copies.truncate(at + 1);
        self.records = copy;
        for record in self.records.values_mut() {
            self.last_revision += 1;
            record.revision = Revision(self.last_revision);
        }
        for space in Space::ALL {
            let Some(key) = self.claims.get(space.index()).map(Claim::key) else { continue };
            let register =
                self.records.get(&key).and_then(|record| Register::decode(&key, &record.body).ok());
            if let Some(known) = self.registers.get_mut(space.index()) {
                *known = register.map(Box::new);
            }
        }
        let key = self.effects.head_key();
        let head = self.records.get(&key).and_then(|record| EffectsHead::decode(&key, &record.body).ok());
        self.head = head.map(Box::new);
        true
    }

    pub(crate) fn copies(&self) -> usize {
        self.copies.len()
    }
}
