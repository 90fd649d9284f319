//! Writers that save again and again, each as if it were alone; and readers.

use grafos_replicated::protocol::checkpoint::{Save, TakeOver};
use grafos_replicated::{FenceEpoch, Register, ReplicatedError, StepMark, Version};

use super::blobs::LostAttempt;
use super::{Actor, Upload, is_fencing};
use crate::fact::{Aim, Outcome};
use crate::message::{Answer, Request};
use crate::mutant::Mutant;
use crate::net::Net;
use crate::state::{Space, State};

impl Actor {
    /// Saves until it is fenced.
    pub(crate) async fn write_plain(self) {
        let Some(epoch) = self.epoch(Space::Plain).await else { return };
        let mut known = None;
        let mut lost = None;
        loop {
            self.rest(30).await;
            let expected = match known.take() {
                Some(version) => version,
                None => match self.register(Space::Plain).await {
                    Ok(register) => register.map_or(Version::NONE, |register| register.version),
                    Err(_) => continue,
                },
            };
            let reused = lost.take().filter(|_| self.is(Mutant::ReusedTag));
            let payload = reused
                .as_ref()
                .map_or_else(|| self.with(Net::new_number), |lost: &LostAttempt| lost.state.payload);
            let state = State { payload, made_from: expected.0, steps: 0 };
            let state = reused.as_ref().map_or(state, |lost| lost.state);
            let save = self.new_save(Space::Plain, expected, epoch, None);
            let tag = save.tag();
            let op = self.begin(Space::Plain, Aim::Save { expected: expected.0, payload, step: None }, epoch);
            let upload = Upload::State { space: Space::Plain, state, reused, save_of: |save| save };
            let outcome = self.drive(op, save, epoch, upload).await;
            self.end(op, &outcome.as_ref().map(|landed| landed.version));
            match outcome {
                Ok(landed) => known = Some(landed.version),
                Err(ReplicatedError::VersionConflict { current, .. }) => {
                    known = self.chance(500).then_some(current);
                    lost = Some(LostAttempt::of(tag, state, self.layout(Space::Plain).members.len()));
                }
                Err(error) if is_fencing(&error) => return,
                Err(_) => {}
            }
        }
    }

    pub(crate) fn new_save(
        &self,
        space: Space,
        expected: Version,
        epoch: u64,
        step: Option<StepMark>,
    ) -> Save {
        let layout = self.layout(space);
        let (policy, set) = (layout.policy.clone(), layout.set.clone());
        let (nonce, keep) = self.with(|net| (net.new_nonce(), net.weather.keep_versions));
        Save::new(self.claim(space), policy, set, expected, FenceEpoch(epoch), keep, step, nonce)
    }

    pub(crate) fn begin(&self, space: Space, aim: Aim, epoch: u64) -> u64 {
        let era = self.with(|net| net.watch.era());
        self.begin_in(era, space, aim, epoch)
    }

    /// The same for what builds on something that was read in this era.
    pub(crate) fn begin_in(&self, era: u32, space: Space, aim: Aim, epoch: u64) -> u64 {
        let generations = self.generations();
        self.with(|net| net.begin(space, aim, epoch, era, generations))
    }

    /// Says how a save ended.
    pub(crate) fn end(&self, op: u64, outcome: &Result<Version, &ReplicatedError>) {
        let outcome = match outcome {
            Ok(version) => Outcome::Saved { version: version.0 },
            Err(ReplicatedError::VersionConflict { current, .. }) => Outcome::Conflict { current: current.0 },
            Err(ReplicatedError::OutcomeUnknown { .. }) => Outcome::Unknown,
            Err(_) => Outcome::Failed,
        };
        self.with(|net| net.end(op, outcome));
    }

    /// An epoch to write with: a new one, or the one that others have.
    pub(crate) async fn epoch(&self, space: Space) -> Option<u64> {
        let known = self.with(|net| net.board.epochs[space.index()]);
        if self.chance(500) {
            return Some(known);
        }
        self.take_over(space).await
    }

    /// Fences everybody, as `ReplicatedCheckpoint::take_over` does.
    pub(crate) async fn take_over(&self, space: Space) -> Option<u64> {
        let op = self.begin(space, Aim::TakeOver, 0);
        let mut seen = FenceEpoch(0);
        for replica in self.layout(space).members.iter().copied() {
            if let Answer::Tags(blobs) = self.call(Request::List { replica, space }).await {
                seen = blobs.iter().map(|(tag, _)| tag.epoch).fold(seen, FenceEpoch::max);
            }
        }
        let take_over = TakeOver::new(self.claim(space), seen);
        let granted = self.drive(op, take_over, 0, Upload::Nothing).await;
        self.with(|net| {
            let outcome = match &granted {
                Ok(epoch) => Outcome::Granted { epoch: epoch.0 },
                Err(ReplicatedError::OutcomeUnknown { .. }) => Outcome::Unknown,
                Err(_) => Outcome::Done,
            };
            if let Ok(epoch) = &granted {
                net.watch.totals.takeovers += 1;
                net.board.epochs[space.index()] = epoch.0;
            }
            net.end(op, outcome);
        });
        Some(granted.ok()?.0)
    }

    /// Reads again and again.
    pub(crate) async fn read_always(self) {
        let mut old: [Option<Register>; 2] = [None, None];
        loop {
            self.rest(20).await;
            let space = if self.chance(500) { Space::Plain } else { Space::Job };
            let op = self.begin(space, Aim::Read, 0);
            let Ok(mut register) = self.register(space).await else { continue };
            if self.is(Mutant::StaleReads) && self.chance(200) {
                register = old[space.index()].take().or(register);
            }
            old[space.index()].clone_from(&register);
            if let Some(outcome) = self.read_state(space, register.as_ref()).await {
                self.with(|net| net.end(op, outcome));
            }
        }
    }

    async fn read_state(&self, space: Space, register: Option<&Register>) -> Option<Outcome> {
        let Some(head) = register.and_then(Register::head) else {
            return Some(Outcome::Read { version: 0, state: None });
        };
        let mut found = self.load(space, head).await.map(|state| (head.version, state));
        if found.is_none() && self.is(Mutant::LoadFallsBack) {
            for saved in register.into_iter().flat_map(|register| register.history.iter().rev().skip(1)) {
                found = self.load(space, saved).await.map(|state| (saved.version, state));
                if found.is_some() {
                    break;
                }
            }
        }
        self.with(|net| {
            net.watch.totals.reads += u64::from(found.is_some());
            net.watch.totals.unreadable += u64::from(found.is_none());
        });
        let (version, state) = found?;
        Some(Outcome::Read { version: version.0, state: Some(state) })
    }
}
