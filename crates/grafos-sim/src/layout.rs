//! [`Layout`]: one replica set of a world, and what programs need to know to use it. Replicas of all sets are places of one
//! pool: those of a set, in its order, are its members.

use std::collections::BTreeMap;
use std::rc::Rc;

use grafos_replicated::protocol::checkpoint::Claim;
use grafos_replicated::protocol::effect::EffectsClaim;
use grafos_replicated::protocol::replica_change::NewReplicas;
use grafos_replicated::{
    CheckpointName, FailureDomain, FenceEpoch, LogicalResourceName, Nonce, PlacementPolicy, PolicyHash,
    ReplicaHealth, ReplicaId, ReplicaLocator, ReplicaPolicy, ReplicaRole, ReplicaSetLocator,
    ResourceGeneration, SchemaId,
};

use crate::config::Weather;
use crate::mutant::Mutant;
use crate::random::Random;
use crate::state::Space;

/// How many records have a generation of their own: the two registers, and the head of the effects.
pub(crate) const RECORDS: usize = 3;
/// The place of the effects among them.
pub(crate) const EFFECTS: usize = 2;

#[derive(Debug)]
pub(crate) struct Layout {
    pub(crate) generation: u64,
    /// Places in the pool.
    pub(crate) members: Vec<usize>,
    /// How many of them a save needs, as was promised.
    pub(crate) write_quorum: usize,
    pub(crate) policy: ReplicaPolicy,
    pub(crate) set: ReplicaSetLocator,
    pub(crate) claims: [Claim; 2],
    pub(crate) effects: EffectsClaim,
}

impl Layout {
    pub(crate) fn new(
        generation: u64,
        members: Vec<usize>,
        write_quorum: usize,
        mutant: Option<Mutant>,
    ) -> Self {
        let domain = FailureDomain::cell("sim", "world");
        let needed = if mutant == Some(Mutant::QuorumOfOne) { 1 } else { write_quorum };
        let policy = ReplicaPolicy::new(PlacementPolicy::new().allow(domain.clone()))
            .min_replicas(members.len())
            .write_quorum(needed);
        let locator = |at: &usize| ReplicaLocator {
            replica_id: ReplicaId::new(format!("r{at}")),
            domain: domain.clone(),
            role: ReplicaRole::Voter,
            health: ReplicaHealth::Healthy,
            epoch: FenceEpoch(1),
            content_generation: generation,
        };
        let number = ResourceGeneration(generation);
        let set = ReplicaSetLocator::new(number, members.iter().map(locator).collect());
        let (resource, schema) = (LogicalResourceName::new("sim"), SchemaId::new("sim"));
        let claims = Space::ALL.map(|space| Claim {
            resource: resource.clone(),
            checkpoint: CheckpointName::new(space.name()),
            schema: schema.clone(),
            policy_hash: PolicyHash([0; 32]),
            generation: number,
            layout: set.layout(),
            opened_at: FenceEpoch(1),
        });
        let (opened_at, holder) = (FenceEpoch(1), Nonce(0));
        let effects = EffectsClaim { resource, schema, generation: number, opened_at, holder };
        Self { generation, members, write_quorum, policy, set, claims, effects }
    }

    pub(crate) fn to_new_replicas(&self) -> NewReplicas {
        let (set, policy) = (self.set.clone(), self.policy.clone());
        NewReplicas { set, policy, policy_hash: PolicyHash([0; 32]) }
    }
}

/// All sets that somebody has drawn up, and which one each record is said to be in.
#[derive(Debug)]
pub(crate) struct Layouts {
    drawn_up: BTreeMap<u64, Rc<Layout>>,
    said: [u64; RECORDS],
}

impl Layouts {
    /// A world begins with the first places of its pool.
    pub(crate) fn new(weather: &Weather, mutant: Option<Mutant>) -> Self {
        let members = (0..weather.replicas).collect();
        let first = Layout::new(1, members, weather.write_quorum, mutant);
        Self { drawn_up: BTreeMap::from([(1, Rc::new(first))]), said: [1; RECORDS] }
    }

    /// The set that a record is in, as far as programs know.
    pub(crate) fn said(&self, record: usize) -> Rc<Layout> {
        let generation = self.said.get(record).copied().unwrap_or(1);
        self.of(generation).unwrap_or_else(|| Rc::clone(&self.drawn_up[&1]))
    }

    pub(crate) fn of(&self, generation: u64) -> Option<Rc<Layout>> {
        self.drawn_up.get(&generation).cloned()
    }

    /// Tells all programs which set a record is in.
    pub(crate) fn say(&mut self, record: usize, generation: u64) {
        if let Some(said) = self.said.get_mut(record) {
            *said = generation;
        }
    }

    /// A set that is not yet the one of any record: one drawn up before and given up on, or a new one.
    pub(crate) fn next_after(
        &mut self,
        from: &Layout,
        random: &mut Random,
        weather: &Weather,
        mutant: Option<Mutant>,
    ) -> (Rc<Layout>, bool) {
        let newest = self.drawn_up.last_key_value().map(|(_, layout)| Rc::clone(layout));
        if let Some(newest) = newest.clone().filter(|newest| newest.generation > from.generation)
            && random.chance(500)
        {
            return (newest, false);
        }
        let mut members = from.members.clone();
        let spare: Vec<usize> = (0..weather.pool()).filter(|place| !members.contains(place)).collect();
        let joins = spare.get(random.index(spare.len())).copied();
        let leaves = random.index(members.len());
        match random.below(10) {
            // One more, if there is one.
            0 | 1 => members.extend(joins),
            // One fewer.
            2 if members.len() > 2 => drop(members.remove(leaves)),
            // The same ones in another order.
            3 => members.rotate_left(1),
            _ => {
                members.remove(leaves);
                // Not in the place of the one that left: what stood for one replica stands for another now.
                members.extend(joins);
            }
        }
        let generation = newest.map_or(1, |newest| newest.generation) + 1;
        let write_quorum = members.len() / 2 + 1;
        let layout = Rc::new(Layout::new(generation, members, write_quorum, mutant));
        self.drawn_up.insert(generation, Rc::clone(&layout));
        (layout, true)
    }
}
