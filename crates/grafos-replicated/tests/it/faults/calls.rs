//! [`Call`]: the calls that change something, what each one brings about, and what a look from outside tells of it.

use std::sync::LazyLock;

use grafos_replicated::*;

use super::Faulty;
use crate::world::{OPERATION, name, payload};

/// A state of two chunks, of which the save after writes the first one only. For faults of replicas.
pub(super) const TWO_CHUNKS: usize = (1 << 20) + 3000;
/// A state that costs no time. For faults of the store, which sees no states.
pub(super) const SHORT: usize = 100;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Call {
    /// The save that makes the register.
    FirstSave,
    /// A save that builds on another one.
    Save,
    SaveStep,
    TakeOver,
    Reserve,
    /// The takeover of a reserved key, by a handle with a newer epoch.
    ReserveOver,
    Complete,
    Abandon,
    CommitStep,
}

impl Call {
    pub(super) const ALL: [Self; 9] = [
        Self::FirstSave,
        Self::Save,
        Self::SaveStep,
        Self::TakeOver,
        Self::Reserve,
        Self::ReserveOver,
        Self::Complete,
        Self::Abandon,
        Self::CommitStep,
    ];
}

/// What the calls want to see again.
#[derive(Debug)]
pub(super) struct Ready {
    pub(super) expected: Version,
    reservation: Option<Reservation>,
}

/// What a look from outside tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    epoch: FenceEpoch,
    pub(super) versions: Vec<(Version, FenceEpoch)>,
    pub(super) head: Option<Vec<u8>>,
    /// Epoch and outcome.
    effect: Option<(FenceEpoch, IdempotencyOutcome)>,
}

pub(super) fn key() -> IdempotencyKey {
    IdempotencyKey::new("job:1:step:42")
}

fn completed() -> IdempotencyOutcome {
    IdempotencyOutcome::Completed { effect: Some(b"loss 0.1".to_vec()) }
}

/// The state after so many saves. Only the first chunk differs.
pub(super) fn state(version: u64, len: usize) -> Vec<u8> {
    static BASE: LazyLock<Vec<u8>> = LazyLock::new(|| payload(TWO_CHUNKS, 1));
    let mut bytes = BASE[..len].to_vec();
    bytes[0] = u8::try_from(version).unwrap();
    bytes
}

pub(super) fn look(faulty: &Faulty) -> Seen {
    let mut job = faulty.clean.checkpoints(1);
    let versions: Vec<_> =
        job.history(&name()).unwrap().iter().map(|saved| (saved.version, saved.epoch)).collect();
    let effects = faulty.clean.effects(1);
    Seen {
        epoch: job.status(&name()).unwrap().epoch,
        versions,
        head: job.load_latest(&name()).unwrap().map(|loaded| loaded.value),
        effect: effects.lookup(&key()).unwrap().map(|found| (found.epoch, found.outcome)),
    }
}

impl Call {
    /// What must have happened before; nothing goes wrong yet.
    pub(super) fn prepare(self, faulty: &mut Faulty) -> Ready {
        let mut ready = Ready { expected: Version::NONE, reservation: None };
        if !matches!(self, Self::FirstSave) {
            let saved =
                faulty.job.save_bytes(name(), Version::NONE, &state(1, faulty.len), FenceEpoch(1)).unwrap();
            ready.expected = saved.version;
        }
        if matches!(self, Self::Complete | Self::Abandon | Self::CommitStep | Self::ReserveOver) {
            let reserved = faulty.effects.reserve(key(), OPERATION, Some(42), FenceEpoch(1)).unwrap();
            ready.reservation = Some(reserved);
        }
        if self == Self::ReserveOver {
            faulty.clean.effects(1).take_over_as(FenceEpoch(2)).unwrap();
        }
        ready
    }

    pub(super) fn make(self, faulty: &mut Faulty, ready: &Ready) -> Result<(), ReplicatedError> {
        let Faulty { job, effects, len, .. } = faulty;
        let (epoch, expected) = (FenceEpoch(1), ready.expected);
        let after = state(expected.next().0, *len);
        match (self, &ready.reservation) {
            (Self::FirstSave | Self::Save, _) => {
                let saved = job.save_bytes(name(), expected, &after, epoch)?;
                assert_eq!((saved.version, saved.epoch), (expected.next(), epoch));
            }
            (Self::SaveStep, _) => {
                job.save_step(name(), expected, &after, epoch, key(), OPERATION)?;
            }
            (Self::TakeOver, _) => assert!(job.take_over(&name())? > epoch),
            (Self::Reserve, _) => {
                effects.reserve(key(), OPERATION, Some(42), epoch)?;
            }
            (Self::ReserveOver, _) => {
                let reserved = effects.reserve(key(), OPERATION, Some(42), FenceEpoch(2))?;
                let kinds = [ReservationKind::TakenOver, ReservationKind::Resumed];
                assert!(kinds.contains(&reserved.kind), "{reserved:?}");
            }
            (Self::Complete, Some(reserved)) => {
                effects.complete(key(), reserved.version, completed(), epoch)?;
            }
            (Self::Abandon, Some(reserved)) => {
                effects.abandon(key(), reserved.version, epoch)?;
            }
            (Self::CommitStep, Some(reservation)) => {
                let (checkpoint, effect) = (name(), b"loss 0.1");
                let (bytes, effect) = (&after[..], Some(&effect[..]));
                let step =
                    StepCommit { checkpoint: &checkpoint, expected, bytes, reservation, effect, epoch };
                assert_eq!(commit_step(job, effects, step)?.version, expected.next());
            }
            (_, None) => unreachable!("it was not prepared"),
        }
        Ok(())
    }

    /// Whether what is `seen` is what the call wants, beginning from `before`, and nothing else.
    pub(super) fn is_done(self, before: &Seen, seen: &Seen) -> bool {
        let mut wanted = before.clone();
        let len = seen.head.as_ref().map_or(1, Vec::len);
        let publish = |wanted: &mut Seen| {
            let version = wanted.versions.last().map_or(Version::NONE, |(version, _)| *version).next();
            wanted.versions.push((version, FenceEpoch(1)));
            (wanted.head, wanted.epoch) = (Some(state(version.0, len)), FenceEpoch(1));
        };
        match self {
            Self::FirstSave | Self::Save | Self::SaveStep => publish(&mut wanted),
            Self::TakeOver => wanted.epoch = FenceEpoch(2),
            Self::Reserve => wanted.effect = Some((FenceEpoch(1), IdempotencyOutcome::Reserved)),
            Self::ReserveOver => wanted.effect = Some((FenceEpoch(2), IdempotencyOutcome::Reserved)),
            Self::Complete => wanted.effect = Some((FenceEpoch(1), completed())),
            Self::Abandon => wanted.effect = Some((FenceEpoch(1), IdempotencyOutcome::Abandoned)),
            Self::CommitStep => {
                publish(&mut wanted);
                wanted.effect = Some((FenceEpoch(1), completed()));
            }
        }
        *seen == wanted
    }

    /// Whether nothing that counts has happened. A register without a version may have been made.
    pub(super) fn is_untouched(before: &Seen, seen: &Seen) -> bool {
        let without_epoch = |seen: &Seen| Seen { epoch: FenceEpoch(0), ..seen.clone() };
        let is_made = before.epoch == FenceEpoch(0);
        if is_made { without_epoch(before) == without_epoch(seen) } else { before == seen }
    }

    /// Whether the same call can be made again on the same handle, whatever became of it. A takeover is another one each
    /// time.
    pub(super) fn is_repeatable(self) -> bool {
        self != Self::TakeOver
    }
}
