//! [`ReplicatedIdempotencyStore`]: steps that happen once.

use fabricbios_core::lease::FenceEpoch;

use crate::checkpoint::{ReplicatedCheckpoint, SavedCheckpoint, send_all};
use crate::drive::drive_plain;
use crate::effect_record::{EffectRecord, EffectsHead, IdempotencyOutcome};
use crate::engine::{Engine, new_nonce};
use crate::error::ReplicatedError;
use crate::metadata_store::{CommitOutcome, Expect, RecordKey, Transaction};
use crate::names::{
    CheckpointName, IdempotencyKey, LogicalResourceName, OperationHash, ResourceGeneration, SchemaId, Version,
};
use crate::observe;
use crate::placement::{ReplicaPolicy, ReplicaSetLocator};
use crate::protocol::effect::{
    ChangeGeneration, EffectsClaim, EffectsTakeOver, RaiseLowWater, ReservationKind, Reserve, Settle,
};
use crate::protocol::step::CommitStep;
use crate::register::StepMark;

/// How many records are looked at in one go while old ones are forgotten.
const SCAN_LEN: usize = 1000;

/// Keys of steps, and what became of each. A step that was completed is never reserved again.
///
/// Records lie in the engine's registers, which are as durable and as available as the engine makes them.
#[derive(Debug)]
pub struct ReplicatedIdempotencyStore {
    engine: Engine,
    claim: EffectsClaim,
}

/// A key in the hands of its holder, or a step that was done.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reservation {
    /// The step.
    pub key: IdempotencyKey,
    /// How it came about.
    pub kind: ReservationKind,
    /// The version of the record: what [`complete`](ReplicatedIdempotencyStore::complete) wants to see again.
    pub version: Version,
    /// What is recorded.
    pub value: EffectValue,
}

/// What is recorded of a step.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct EffectValue {
    /// What became of it.
    pub outcome: IdempotencyOutcome,
    /// What it does.
    pub operation: OperationHash,
    /// The epoch of the one who did it, or is at it.
    pub epoch: FenceEpoch,
}

impl ReplicatedIdempotencyStore {
    /// The steps of this resource on the ambient [`Engine`]. Writes nothing.
    ///
    /// # Errors
    /// [`InvalidName`](ReplicatedError::InvalidName), [`InvalidPolicy`](ReplicatedError::InvalidPolicy), and those of
    /// the engine.
    #[allow(clippy::needless_pass_by_value, reason = "the published interface takes them by value")]
    pub fn new(
        resource: LogicalResourceName,
        schema: SchemaId,
        epoch: FenceEpoch,
        policy: ReplicaPolicy,
        locator: ReplicaSetLocator,
    ) -> Result<Self, ReplicatedError> {
        Self::new_on(&Engine::current()?, resource, schema, epoch, &policy, &locator)
    }

    /// The same on an engine of the caller's choice.
    ///
    /// # Errors
    /// Those of [`new`](Self::new).
    pub fn new_on(
        engine: &Engine,
        resource: LogicalResourceName,
        schema: SchemaId,
        epoch: FenceEpoch,
        policy: &ReplicaPolicy,
        locator: &ReplicaSetLocator,
    ) -> Result<Self, ReplicatedError> {
        resource.checked()?;
        schema.checked()?;
        policy.checked(locator)?;
        let (generation, holder) = (locator.generation(), new_nonce()?);
        let claim = EffectsClaim { resource, schema, generation, opened_at: epoch, holder };
        Ok(Self { engine: engine.clone(), claim })
    }

    /// Takes the key for a step that does `operation`, or says what became of it. `sequence` is the step's place in an
    /// order of the caller's own; steps without one are never forgotten.
    ///
    /// # Errors
    /// [`FingerprintConflict`](ReplicatedError::FingerprintConflict) if the key stands for another operation;
    /// [`InProgress`](ReplicatedError::InProgress) while another holder of this epoch is at it;
    /// [`StaleEpoch`](ReplicatedError::StaleEpoch) for a holder that was overtaken;
    /// [`Retired`](ReplicatedError::Retired) for a step before the low-water mark.
    pub fn reserve(
        &mut self,
        key: IdempotencyKey,
        operation: OperationHash,
        sequence: Option<u64>,
        epoch: FenceEpoch,
    ) -> Result<Reservation, ReplicatedError> {
        key.checked()?;
        let reserve = Reserve::new(self.claim.clone(), key.clone(), operation, sequence, epoch);
        let reserved = drive_plain(self.engine.registers().as_ref(), reserve);
        observe::reserved(&reserved);
        let reserved = reserved?;
        let value = EffectValue { outcome: reserved.outcome, operation, epoch };
        Ok(Reservation { key, kind: reserved.kind, version: reserved.version, value })
    }

    /// Says what became of a step that this handle reserved as `version`. The same call again is no error.
    ///
    /// # Errors
    /// [`ReservationLost`](ReplicatedError::ReservationLost) if the step is another's now;
    /// [`StaleEpoch`](ReplicatedError::StaleEpoch); [`TooLarge`](ReplicatedError::TooLarge).
    pub fn complete(
        &mut self,
        key: IdempotencyKey,
        version: Version,
        outcome: IdempotencyOutcome,
        epoch: FenceEpoch,
    ) -> Result<Version, ReplicatedError> {
        let label = observe::label(&outcome);
        let settle = self.settle(key, version, outcome, epoch)?;
        let version = drive_plain(self.engine.registers().as_ref(), settle)?;
        observe::settled(label);
        Ok(version)
    }

    /// Gives the key back: the step has had no effect, and whoever reserves it next starts afresh.
    ///
    /// # Errors
    /// Those of [`complete`](Self::complete).
    pub fn abandon(
        &mut self,
        key: IdempotencyKey,
        version: Version,
        epoch: FenceEpoch,
    ) -> Result<Version, ReplicatedError> {
        self.complete(key, version, IdempotencyOutcome::Abandoned, epoch)
    }

    /// What is recorded of a step.
    ///
    /// # Errors
    /// [`CorruptRegister`](ReplicatedError::CorruptRegister), and those of the engine.
    pub fn lookup(&self, key: &IdempotencyKey) -> Result<Option<EffectValue>, ReplicatedError> {
        key.checked()?;
        let key = self.claim.key(key);
        let Some(record) = self.engine.registers().read(&key)? else { return Ok(None) };
        let EffectRecord { outcome, operation, epoch, .. } = EffectRecord::decode(&key, &record.body)?;
        Ok(Some(EffectValue { outcome, operation, epoch }))
    }

    /// Fences every holder so far, and returns the epoch to go on with.
    ///
    /// # Errors
    /// [`WrongSchema`](ReplicatedError::WrongSchema) and the like, and those of the engine.
    pub fn take_over(&mut self) -> Result<FenceEpoch, ReplicatedError> {
        let epoch = self.raise_epoch(None)?;
        tracing::info!(resource = %self.claim.resource, %epoch, "took over");
        Ok(epoch)
    }

    /// Fences every holder below `epoch`, which a checkpoint's `take_over` gave out, and goes on with that.
    ///
    /// # Errors
    /// Those of [`take_over`](Self::take_over), and [`StaleEpoch`](ReplicatedError::StaleEpoch) if the store has seen a
    /// higher one.
    pub fn take_over_as(&mut self, epoch: FenceEpoch) -> Result<(), ReplicatedError> {
        self.raise_epoch(Some(epoch)).map(drop)
    }

    /// Moves this store to another generation, as its checkpoints
    /// [move](crate::ReplicatedCheckpoint::change_replicas) to other replicas. From then on this handle, and
    /// everybody else's of the old generation, is refused; reservations stay with their records, and a handle of the new
    /// generation takes over to go on with them. Called again after it took place, it says so.
    ///
    /// # Errors
    /// [`GenerationNotNew`](ReplicatedError::GenerationNotNew); [`StaleEpoch`](ReplicatedError::StaleEpoch), and those
    /// of the engine.
    pub fn change_generation(
        &self,
        to: ResourceGeneration,
        epoch: FenceEpoch,
    ) -> Result<ResourceGeneration, ReplicatedError> {
        let change = ChangeGeneration::new(self.claim.clone(), to, epoch);
        let generation = drive_plain(self.engine.registers().as_ref(), change)?;
        tracing::info!(resource = %self.claim.resource, %generation, "moved to another generation");
        Ok(generation)
    }

    /// Forgets completed and abandoned steps whose sequence is below `sequence`. From then on, a step below it that is
    /// not on record is refused as [`Retired`](ReplicatedError::Retired): what was done never looks new. Returns how
    /// many records were removed.
    ///
    /// # Errors
    /// [`StaleEpoch`](ReplicatedError::StaleEpoch), and those of the engine; what was not removed is the next time.
    pub fn retire_below(&mut self, sequence: u64, epoch: FenceEpoch) -> Result<usize, ReplicatedError> {
        let raise = RaiseLowWater::new(self.claim.clone(), sequence, epoch);
        drive_plain(self.engine.registers().as_ref(), raise)?;
        let head_key = self.claim.head_key();
        let Some(head) = self.engine.registers().read(&head_key)? else { return Ok(0) };
        let low_water = EffectsHead::decode(&head_key, &head.body)?.low_water;
        let prefix = format!("{}/", RecordKey::new("effect", &[self.claim.resource.as_str()]));
        let (mut removed, mut after) = (0, None);
        loop {
            let page = self.engine.registers().scan(&prefix, after.as_ref(), SCAN_LEN)?;
            let Some((last, _)) = page.last() else { return Ok(removed) };
            after = Some(last.clone());
            for (key, record) in page {
                let effect = EffectRecord::decode(&key, &record.body)?;
                let is_old = effect.sequence.is_some_and(|sequence| sequence < low_water);
                if is_old && effect.outcome != IdempotencyOutcome::Reserved {
                    // The head is guarded too: were it put back to an old copy, its mark could be one that does not
                    // refuse the key yet.
                    let guards = [(key.clone(), record.revision), (head_key.clone(), head.revision)];
                    let guards = guards.map(|(key, revision)| (key, Expect::At(revision))).to_vec();
                    let forget = Transaction { guards, deletes: vec![key], ..Transaction::default() };
                    match self.engine.registers().commit(&forget)? {
                        CommitOutcome::Committed(_) => removed += 1,
                        // What is still there goes the next time.
                        CommitOutcome::Conflict | CommitOutcome::Unknown(_) => {}
                    }
                }
            }
        }
    }

    fn raise_epoch(&mut self, to: Option<FenceEpoch>) -> Result<FenceEpoch, ReplicatedError> {
        let take_over = EffectsTakeOver::new(self.claim.clone(), to);
        drive_plain(self.engine.registers().as_ref(), take_over)
    }

    fn settle(
        &self,
        key: IdempotencyKey,
        version: Version,
        outcome: IdempotencyOutcome,
        epoch: FenceEpoch,
    ) -> Result<Settle, ReplicatedError> {
        key.checked()?;
        Ok(Settle::new(self.claim.clone(), key, version, outcome, epoch))
    }
}

/// A step's state and its outcome, to be committed as one.
#[derive(Clone, Copy, Debug)]
pub struct StepCommit<'a> {
    /// The checkpoint that the step moves on.
    pub checkpoint: &'a CheckpointName,
    /// The version that the step has built on.
    pub expected: Version,
    /// The state after it.
    pub bytes: &'a [u8],
    /// What [`reserve`](ReplicatedIdempotencyStore::reserve) gave out.
    pub reservation: &'a Reservation,
    /// What is to be remembered of the step.
    pub effect: Option<&'a [u8]>,
    /// The writer's epoch, in both stores.
    pub epoch: FenceEpoch,
}

/// Publishes the state after a step and completes the step, in one transaction of the engine that both are on: either
/// both took place or neither did. A step whose state was published before, by
/// [`save_step`](ReplicatedCheckpoint::save_step), is completed without another save, and its version returned.
///
/// # Errors
/// Those of [`save_bytes`](ReplicatedCheckpoint::save_bytes) and
/// [`complete`](ReplicatedIdempotencyStore::complete); [`DifferentEngines`](ReplicatedError::DifferentEngines).
pub fn commit_step(
    checkpoints: &mut ReplicatedCheckpoint,
    effects: &mut ReplicatedIdempotencyStore,
    step: StepCommit<'_>,
) -> Result<SavedCheckpoint, ReplicatedError> {
    if !checkpoints.engine().has_same_registers(&effects.engine) {
        return Err(ReplicatedError::DifferentEngines);
    }
    let Reservation { key, version, value, .. } = step.reservation;
    let mark = StepMark { key: key.clone(), operation: value.operation };
    let save = checkpoints.new_save(step.checkpoint, step.expected, step.epoch, Some(mark))?;
    let outcome = IdempotencyOutcome::Completed { effect: step.effect.map(<[u8]>::to_vec) };
    let label = observe::label(&outcome);
    let settle = effects.settle(key.clone(), *version, outcome, step.epoch)?;
    let bytes = step.bytes;
    let intent = CommitStep::new(save, settle);
    let (name, len) = (step.checkpoint, Some(bytes.len()));
    let saved =
        checkpoints.drive_save(name, intent, CommitStep::save_mut, len, |sink| send_all(sink, bytes))?;
    observe::settled(label);
    Ok(saved)
}
