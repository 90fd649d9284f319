//! [`StrideRecord`]: what is remembered of a stride, the mini-batches from one commit to the next. It is the effect of
//! the stride's key, so it comes to be in the same transaction as the state that the stride made.
//!
//! Strides tile the steps: the key names the first one, and a worker begins where the newest state ends. So the records
//! together say which steps were done, by whom, with which losses, and how often workers and GPUs were lost in between.
//!
//! Invariant: a record that does not verify is an error, never a default.

use grafos_replicated::{IdempotencyKey, MAX_EFFECT_BYTES, OperationHash, ReplicatedError};
use serde::{Deserialize, Serialize};

use super::error::RunError;
use super::event::StrideEnd;
use super::place::Name;

/// How many losses a record keeps. A longer stride keeps means of several steps.
pub const MAX_LOSSES: usize = 4096;

/// How many lost GPUs a record keeps. More are counted.
pub const MAX_LOST: usize = 64;

/// What is remembered of a stride.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StrideRecord {
    /// Its first step, counted from 0.
    pub from: u64,
    /// How many steps are done with it.
    pub to: u64,
    /// The version that it made.
    pub version: u64,
    /// The epoch of its worker. Each worker has one of its own.
    pub epoch: u64,
    /// The machine of its worker.
    pub host: String,
    /// The process of its worker.
    pub pid: u32,
    /// When it was committed, in milliseconds since 1970.
    pub committed_unix_ms: u64,
    /// Why it ended there.
    pub end: StrideEnd,
    /// How many images it consumed.
    pub examples: u64,
    /// How many of them were recognised before they were learned from.
    pub correct: u64,
    /// How many images were consumed in all, with it.
    pub consumed_examples: u64,
    /// The digest of which ones, in which order.
    pub consumed_digest: [u8; 32],
    /// How many steps each of the losses stands for; the last one may stand for fewer.
    pub steps_per_loss: u32,
    /// The mean losses, in the order of the steps.
    pub losses: Vec<f32>,
    /// The GPUs that its worker lost since the commit before, the first [`MAX_LOST`] of them.
    pub lost: Vec<LostLease>,
    /// How many they were in all.
    pub leases_lost: u64,
}

/// A GPU that was lost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LostLease {
    /// The step that had been reached.
    pub step: u64,
    /// How the lease ended, as in [`Event::LeaseLost`](super::event::Event::LeaseLost).
    pub status: String,
}

impl StrideRecord {
    /// The bytes of the effect.
    ///
    /// # Errors
    /// [`ReplicatedError::Serialization`], which plain numbers and short lists don't come to.
    pub fn encode(&self) -> Result<Vec<u8>, RunError> {
        let what = "the record of a stride can't be encoded";
        postcard::to_stdvec(self).map_err(|cause| ReplicatedError::Serialization { what, cause }.into())
    }

    /// The record in an effect's bytes, of the stride from this step.
    ///
    /// # Errors
    /// [`RunError::DamagedStride`].
    pub fn decode(from: u64, bytes: &[u8]) -> Result<Self, RunError> {
        let damaged = |problem| RunError::DamagedStride { from, problem };
        if bytes.len() > MAX_EFFECT_BYTES {
            return Err(damaged("it is longer than any that was written"));
        }
        let (record, rest) =
            postcard::take_from_bytes::<Self>(bytes).map_err(|_| damaged("its bytes are not one"))?;
        if !rest.is_empty() {
            return Err(damaged("there are bytes behind it"));
        }
        record.problem(from).map_or(Ok(record), |problem| Err(damaged(problem)))
    }

    fn problem(&self, from: u64) -> Option<&'static str> {
        let steps = self.to.saturating_sub(self.from);
        if self.from != from {
            Some("it is another stride's")
        } else if steps == 0 {
            Some("it has no step")
        } else if self.steps_per_loss == 0
            || self.losses.len() as u64 != steps.div_ceil(u64::from(self.steps_per_loss))
        {
            Some("its losses don't fit its steps")
        } else if self.lost.len() as u64 > self.leases_lost {
            Some("it names more lost leases than it counts")
        } else {
            None
        }
    }

    /// The mean loss over its steps.
    #[must_use]
    pub fn mean_loss(&self) -> f32 {
        let points = self.points();
        let (sum, steps) = points.fold((0.0, 0.0), |(sum, steps), point| {
            let weight = f64::from(point.steps);
            (sum + f64::from(point.loss) * weight, steps + weight)
        });
        narrow(sum / steps.max(1.0))
    }

    /// The losses with the steps that they stand for.
    pub fn points(&self) -> impl Iterator<Item = LossPoint> {
        let each = u64::from(self.steps_per_loss);
        (0_u64..).zip(&self.losses).map(move |(at, loss)| {
            let step = self.from.saturating_add(at.saturating_mul(each));
            let steps = u32::try_from(self.to.saturating_sub(step).min(each)).unwrap_or(u32::MAX);
            LossPoint { step, steps, loss: *loss }
        })
    }
}

/// A loss, and what it is the mean of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LossPoint {
    /// The first step.
    pub step: u64,
    /// How many.
    pub steps: u32,
    /// Their mean loss.
    pub loss: f32,
}

#[allow(clippy::cast_possible_truncation, reason = "a mean of such numbers is one")]
fn narrow(mean: f64) -> f32 {
    mean as f32
}

/// Collects the losses of a stride that is under way.
#[derive(Clone, Debug, Default)]
pub(super) struct Losses {
    all: Vec<f32>,
}

impl Losses {
    pub(super) fn push(&mut self, loss: f32) {
        self.all.push(loss);
    }

    /// The losses in no more than [`MAX_LOSSES`] means, and how many steps each stands for.
    pub(super) fn thinned(&self) -> (u32, Vec<f32>) {
        let each = self.all.len().div_ceil(MAX_LOSSES).max(1);
        let mean = |chunk: &[f32]| {
            let sum: f64 = chunk.iter().copied().map(f64::from).sum();
            #[expect(clippy::cast_precision_loss, reason = "no stride has so many steps")]
            narrow(sum / chunk.len() as f64)
        };
        let losses = if each == 1 { self.all.clone() } else { self.all.chunks(each).map(mean).collect() };
        (u32::try_from(each).unwrap_or(u32::MAX), losses)
    }
}

/// The key of the stride from this step.
#[must_use]
pub fn key(job: &Name, from: u64) -> IdempotencyKey {
    IdempotencyKey::new(format!("{job}:from-step-{from}"))
}

/// What the stride from this step does under this plan. How far it goes is not part of it: that is recorded with the
/// outcome, and whoever does it again may be interrupted elsewhere.
#[must_use]
pub fn operation(plan: &[u8; 32], from: u64) -> OperationHash {
    OperationHash::of_parts(&[b"recipe-52 stride", plan, &from.to_le_bytes()])
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn record(from: u64, to: u64, version: u64, epoch: u64) -> StrideRecord {
        let losses = (from..to).map(|step| 1.0 / (1.0 + step as f32)).collect();
        StrideRecord {
            from,
            to,
            version,
            epoch,
            host: "host-a".into(),
            pid: 7,
            committed_unix_ms: 1_800_000_000_000,
            end: StrideEnd::Interval,
            examples: (to - from) * 32,
            correct: (to - from) * 30,
            consumed_examples: to * 32,
            consumed_digest: [9; 32],
            steps_per_loss: 1,
            losses,
            lost: Vec::new(),
            leases_lost: 0,
        }
    }

    #[test]
    fn a_record_comes_back_as_it_was() {
        let mut whole = record(10, 20, 3, 5);
        whole.lost = vec![LostLease { step: 14, status: "revoked".into() }];
        whole.leases_lost = 1;
        assert_eq!(StrideRecord::decode(10, &whole.encode().unwrap()).unwrap(), whole);
    }

    #[test]
    fn a_record_that_is_damaged_or_another_stride_s_is_refused() {
        let bytes = record(10, 20, 3, 5).encode().unwrap();
        assert!(matches!(StrideRecord::decode(11, &bytes), Err(RunError::DamagedStride { from: 11, .. })));
        for len in 0..bytes.len() {
            assert!(StrideRecord::decode(10, &bytes[..len]).is_err(), "{len}");
        }
        let longer = [bytes.as_slice(), &[0]].concat();
        assert!(StrideRecord::decode(10, &longer).is_err());
        assert!(StrideRecord::decode(10, &vec![0xff; MAX_EFFECT_BYTES + 1]).is_err());
        let mut none = record(10, 20, 3, 5);
        none.to = 10;
        assert!(StrideRecord::decode(10, &none.encode().unwrap()).is_err());
        let mut too_few = record(10, 20, 3, 5);
        too_few.losses.pop();
        assert!(StrideRecord::decode(10, &too_few.encode().unwrap()).is_err());
    }

    #[test]
    fn a_long_stride_keeps_means_and_fits_into_an_effect() {
        let mut losses = Losses::default();
        let steps = 3 * MAX_LOSSES as u64 - 1;
        (0..steps).for_each(|step| losses.push(step as f32));
        let (steps_per_loss, means) = losses.thinned();
        assert_eq!((steps_per_loss, means[0], means[1]), (3, 1.0, 4.0));
        let mut long = record(0, 1, 1, 1);
        (long.to, long.steps_per_loss, long.losses) = (steps, steps_per_loss, means);
        long.lost = vec![LostLease { step: u64::MAX, status: "released".into() }; MAX_LOST];
        long.leases_lost = MAX_LOST as u64;
        assert!(long.encode().unwrap().len() < MAX_EFFECT_BYTES, "{}", long.encode().unwrap().len());
        assert_eq!(StrideRecord::decode(0, &long.encode().unwrap()).unwrap(), long);
        let last = long.points().last().unwrap();
        assert_eq!((last.step, last.steps), (steps - 2, 2));
        assert!((f64::from(long.mean_loss()) - (steps - 1) as f64 / 2.0).abs() < 1.0);
    }

    #[test]
    fn every_stride_of_every_plan_is_an_operation_of_its_own() {
        let job: Name = "digits".parse().unwrap();
        assert_eq!(key(&job, 12).as_str(), "digits:from-step-12");
        assert_ne!(operation(&[1; 32], 12), operation(&[1; 32], 13));
        assert_ne!(operation(&[1; 32], 12), operation(&[2; 32], 12));
    }
}
