//! Metrics and spans. The names of the metrics are public: they are listed in `docs/metrics.md`.
//!
//! Nothing here decides anything: a program without a recorder behaves the same. Names of resources and checkpoints
//! stand in spans, never in labels.

use fabricbios_core::clock::{BootTime, Clock, SystemClock};
use metrics::{counter, gauge, histogram};

use crate::checkpoint::{CheckpointStatus, SavedCheckpoint};
use crate::effect_record::IdempotencyOutcome;
use crate::error::{ReplicatedError, StoreError};
use crate::names::{CheckpointName, LogicalResourceName};
use crate::protocol::change::Counts;
use crate::protocol::effect::{ReservationKind, Reserved};

/// Runs one save in a span that names the checkpoint, and counts how it went.
pub(crate) fn save(
    resource: &LogicalResourceName,
    checkpoint: &CheckpointName,
    work: impl FnOnce() -> Result<SavedCheckpoint, ReplicatedError>,
) -> Result<SavedCheckpoint, ReplicatedError> {
    let _span = tracing::info_span!("replicated_save", %resource, %checkpoint).entered();
    let begin = SystemClock.now();
    let outcome = work();
    match &outcome {
        Ok(saved) => {
            counter!("checkpoint_success_total").increment(1);
            counter!("checkpoint_bytes_written").increment(saved.written_bytes);
            histogram!("checkpoint_save_seconds").record(seconds_since(begin));
            tracing::debug!(
                version = %saved.version,
                epoch = %saved.epoch,
                written_bytes = saved.written_bytes,
                "saved"
            );
        }
        Err(error) => {
            counter!("checkpoint_fail_total").increment(1);
            tracing::warn!(%error, "a save failed");
        }
    }
    outcome
}

/// Runs one load in a span that names the checkpoint, and counts it if it gave a state.
pub(crate) fn load<T>(
    resource: &LogicalResourceName,
    checkpoint: &CheckpointName,
    work: impl FnOnce() -> Result<T, ReplicatedError>,
) -> Result<T, ReplicatedError> {
    let _span = tracing::info_span!("replicated_load", %resource, %checkpoint).entered();
    let begin = SystemClock.now();
    let outcome = work();
    match &outcome {
        Ok(_) => histogram!("checkpoint_load_seconds").record(seconds_since(begin)),
        Err(error) => tracing::warn!(%error, "a load failed"),
    }
    outcome
}

/// Counts what a change met on its way.
pub(crate) fn changed<T>(counts: Counts, outcome: &Result<T, ReplicatedError>) {
    if counts.conflicts > 0 {
        counter!("cas_conflict_total").increment(counts.conflicts.into());
    }
    if counts.unknown > 0 {
        counter!("commit_unknown_total").increment(counts.unknown.into());
    }
    if let Err(ReplicatedError::StaleEpoch { resource, held, current }) = outcome {
        counter!("fence_rejected_total").increment(1);
        tracing::warn!(%resource, %held, %current, "a fenced writer was turned away");
    }
}

/// Counts what became of an attempt to take a key.
pub(crate) fn reserved(outcome: &Result<Reserved, ReplicatedError>) {
    let outcome = match outcome {
        Ok(reserved) => match reserved.kind {
            ReservationKind::Fresh => "fresh",
            ReservationKind::Resumed => "resumed",
            ReservationKind::TakenOver => "taken_over",
            ReservationKind::Completed => "duplicate",
        },
        Err(ReplicatedError::InProgress { .. }) => "in_progress",
        Err(ReplicatedError::FingerprintConflict { .. }) => "fingerprint_conflict",
        Err(ReplicatedError::Retired { .. }) => "retired",
        Err(_) => "failed",
    };
    counter!("idempotency_total", "outcome" => outcome).increment(1);
}

/// The label of an outcome.
pub(crate) fn label(outcome: &IdempotencyOutcome) -> &'static str {
    match outcome {
        IdempotencyOutcome::Reserved => "reserved",
        IdempotencyOutcome::Completed { .. } => "completed",
        IdempotencyOutcome::Abandoned => "abandoned",
    }
}

/// Counts a key that was settled with this [`label`].
pub(crate) fn settled(label: &'static str) {
    counter!("idempotency_total", "outcome" => label).increment(1);
}

/// Counts a copy that was read and is not what was committed.
pub(crate) fn copy_failed(error: &StoreError) {
    if matches!(error, StoreError::Corrupt { .. }) {
        counter!("payload_corrupt_total").increment(1);
    }
}

/// Counts copies that were made anew.
pub(crate) fn repaired(resource: &LogicalResourceName, checkpoint: &CheckpointName, copies: usize) {
    if copies > 0 {
        counter!("replica_repaired_total").increment(copies as u64);
        tracing::info!(%resource, %checkpoint, copies, "copies were made anew");
    }
}

/// Says how many versions lie on fewer replicas than a save needs.
pub(crate) fn looked_at(status: &CheckpointStatus) {
    let short = status.under_replicated().count();
    gauge!("under_replicated_versions").set(u32::try_from(short).unwrap_or(u32::MAX));
}

fn seconds_since(begin: BootTime) -> f64 {
    SystemClock.now().saturating_since(begin).as_secs_f64()
}
