//! Those who change the replica set of a checkpoint, and the generation of the effects: what
//! `ReplicatedCheckpoint::change_replicas` does. A disk that joins is new, or was in the set before.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use grafos_replicated::protocol::effect::ChangeGeneration;
use grafos_replicated::protocol::replica_change::{ChangeReplicas, Copies};
use grafos_replicated::{
    BlobTag, FenceEpoch, ReplicaFailures, ReplicaId, ReplicatedError, ResourceGeneration, SavedVersion,
};

use super::{Actor, Upload};
use crate::fact::Aim;
use crate::layout::{EFFECTS, Layout};
use crate::message::{Answer, Request};
use crate::mutant::Mutant;
use crate::state::{Digest, Space, digest};

/// Brings the blobs of a checkpoint to the replicas of another set.
#[derive(Debug)]
pub(crate) struct Mover {
    space: Space,
    from: Rc<Layout>,
    to: Rc<Layout>,
    holders: BTreeMap<BlobTag, BTreeSet<usize>>,
}

impl Actor {
    /// Changes replica sets, now and then.
    pub(crate) async fn change_always(self) {
        let mut raised = None;
        loop {
            let every_ms = self.with(|net| net.weather.change_ms).unwrap_or(1000);
            self.rest(every_ms).await;
            match self.with(|net| net.random.below(4)) {
                0 => self.change_effects().await,
                1 => raised = self.change(Space::Plain, raised).await,
                _ => raised = self.change(Space::Job, raised).await,
            }
        }
    }

    /// Moves a checkpoint to another set. Returns the epoch to go on with if the register has gone back.
    async fn change(&self, space: Space, raised: Option<FenceEpoch>) -> Option<FenceEpoch> {
        let register = self.register(space).await.ok()?;
        let from = self.layout(space);
        let to = self.with(|net| net.next_layout(&from, Some(space)));
        let known = self.with(|net| FenceEpoch(net.board.epochs[space.index()]));
        let mut claim = self.claim(space);
        let epoch = match raised {
            // As an operator does who was told that a replica has seen more than the register.
            Some(raised) if register.is_none_or(|register| register.epoch < raised) => {
                claim.opened_at = raised;
                raised
            }
            _ => known,
        };
        let listed = self.list(space, &to.members).await;
        let tags = listed.iter().flat_map(|(at, blobs)| blobs.iter().map(move |(tag, _)| (*tag, *at)));
        let newest = tags.max().map(|(tag, at)| (ReplicaId::new(format!("r{at}")), tag));
        let op = self.begin(space, Aim::ChangeReplicas, epoch.0);
        let change = ChangeReplicas::new(claim, to.to_new_replicas(), epoch, newest);
        let mover = Mover { space, from, to: Rc::clone(&to), holders: BTreeMap::new() };
        let upload = Upload::Copies { mover, change_of: |change| change };
        match self.drive(op, change, epoch.0, upload).await {
            Ok(moved) => {
                self.learn(space.index(), moved.generation.0);
                self.with(|net| {
                    net.watch.totals.set_changes += 1;
                    let known = &mut net.board.epochs[space.index()];
                    *known = epoch.0.max(*known);
                });
                None
            }
            Err(ReplicatedError::MetadataRegressed { seen_epoch, .. }) => seen_epoch.next().ok(),
            Err(ReplicatedError::StaleEpoch { .. }) => {
                self.take_over(space).await;
                None
            }
            Err(_) => None,
        }
    }

    async fn change_effects(&self) {
        self.learn_effects().await;
        let from = self.layout_of(EFFECTS);
        let to = self.with(|net| net.next_layout(&from, None));
        let epoch = self.with(|net| net.board.epochs[Space::Job.index()]);
        let op = self.begin(Space::Job, Aim::Effect, epoch);
        let change =
            ChangeGeneration::new(from.effects.clone(), ResourceGeneration(to.generation), FenceEpoch(epoch));
        if let Ok(generation) = self.drive(op, change, epoch, Upload::Nothing).await {
            self.learn(EFFECTS, generation.0);
            self.with(|net| net.watch.totals.set_changes += 1);
        }
    }
}

impl Mover {
    /// Gives the new replicas what these versions are made of.
    pub(super) async fn bring(
        &mut self,
        actor: &Actor,
        wanted: &[SavedVersion],
    ) -> Result<Copies, ReplicatedError> {
        let both: BTreeSet<_> = self.from.members.iter().chain(&self.to.members).copied().collect();
        let both: Vec<_> = both.into_iter().collect();
        let digests = actor.digests(&both, self.space, wanted).await;
        for (tag, expected) in digests {
            if !wanted.iter().any(|saved| saved.blobs.contains(&tag)) || self.holders.contains_key(&tag) {
                continue;
            }
            let mut holders = BTreeSet::new();
            for (place, replica) in self.to.members.iter().enumerate() {
                if self.has_or_gets(actor, *replica, &both, tag, expected).await {
                    holders.insert(place);
                }
            }
            self.holders.insert(tag, holders);
        }
        Ok(Copies { holders: self.holders.clone(), failures: ReplicaFailures::default() })
    }

    async fn has_or_gets(
        &self,
        actor: &Actor,
        replica: usize,
        both: &[usize],
        tag: BlobTag,
        expected: Digest,
    ) -> bool {
        let (space, mutant) = (self.space, actor.with(|net| net.mutant));
        let found = match mutant {
            Some(Mutant::RegisterBeforeCopies) => return true,
            _ => actor.call(Request::Get { replica, space, tag }).await,
        };
        let is_good = match found {
            Answer::Blob(Some(_)) if mutant == Some(Mutant::CopiesUnverified) => true,
            Answer::Blob(found) => found.is_some_and(|bytes| digest(&bytes) == expected),
            // It does not answer.
            _ => return mutant == Some(Mutant::QuorumOnOldSet),
        };
        if is_good {
            return true;
        }
        let Some(bytes) = actor.fetch(both, space, tag, expected).await else { return false };
        let put = Request::Put { replica, space, tag, bytes, replaces: true };
        matches!(actor.call(put).await, Answer::Stored(true)) || mutant == Some(Mutant::QuorumOnOldSet)
    }
}
