//! [`CommitStep`]: a state and the effect of the step that made it, in one transaction.

use super::change::{Decision, Intent, RingBody, Then};
use super::checkpoint::{Landed, Save};
use super::effect::{Settle, Settled};
use crate::error::ReplicatedError;
use crate::metadata_store::{Record, RecordKey};
use crate::register::Register;
use crate::ring::Nonce;

/// Publishes a new version and completes the step that made it, in one transaction.
#[derive(Debug)]
pub struct CommitStep {
    save: Save,
    settle: Settle,
    keys: [RecordKey; 3],
}

impl CommitStep {
    /// The save's step is the settled one.
    #[must_use]
    pub fn new(save: Save, settle: Settle) -> Self {
        let [register] = save.keys();
        let [effect, head] = &settle.keys;
        let keys = [register.clone(), head.clone(), effect.clone()];
        Self { save, settle, keys }
    }

    /// The save within, to be told of its upload.
    pub fn save_mut(&mut self) -> &mut Save {
        &mut self.save
    }
}

impl Intent for CommitStep {
    type Body = Register;
    type Output = Landed;

    fn keys(&self) -> &[RecordKey] {
        &self.keys
    }

    fn decode(&self, first: &Record) -> Result<Register, ReplicatedError> {
        self.save.decode(first)
    }

    fn decide(
        &mut self,
        first: Option<Register>,
        others: &[Option<Record>],
        nonce: Nonce,
    ) -> Result<Decision<Landed>, ReplicatedError> {
        let claim = &self.settle.claim;
        let (head, is_head_new) = claim.head(claim.head_of(others, 0)?, self.settle.epoch)?;
        let effect =
            others.get(1).and_then(Option::as_ref).map(|record| self.settle.decode(record)).transpose()?;
        let done_before = first.as_ref().and_then(|register| register.made_by(&self.settle.key)).cloned();
        let record = match (self.settle.settled(effect)?, &done_before) {
            // The step was settled with the commit that made this version.
            (Settled::Before, Some(saved)) => return Ok(Decision::Finish(Landed::of(saved))),
            (Settled::Before, None) => {
                let (key, held) = (self.settle.key.clone(), self.settle.version);
                return Err(ReplicatedError::ReservationLost { key, held, current: held.next() });
            }
            (Settled::Now(record), _) => record,
        };
        let mut puts = vec![(2, Some(record.encode_as(nonce)?))];
        if is_head_new {
            puts.push((1, Some(head.encode_as(nonce)?)));
        }
        // The state was published in a step of two parts, whose second part is made up for now.
        if let (Some(saved), Some(register)) = (done_before, first.clone()) {
            puts.push((0, Some(register.encode_as(nonce)?)));
            return Ok(Decision::Write { puts, then: Then::Finish(Landed::of(&saved)) });
        }
        match self.save.decide(first, &[], nonce)? {
            Decision::Write { puts: save, then: Then::Finish(landed) } => {
                puts.extend(save);
                Ok(Decision::Write { puts, then: Then::Finish(landed) })
            }
            other => Ok(other),
        }
    }
}
