//! Metrics and spans. The names of the metrics are public: they are listed in `docs/metrics.md`.

use grafos_std::block::BlockHandle;
use metrics::{counter, histogram};

use fabricbios_core::clock::{BootTime, Clock, SystemClock};

use super::store::Loaded;
use super::{Committed, DurableError};

/// Runs one commit in a span that names the lease, and counts how it went.
pub(super) fn commit(
    block: &BlockHandle,
    work: impl FnOnce() -> Result<Committed, DurableError>,
) -> Result<Committed, DurableError> {
    let _span =
        tracing::info_span!("checkpoint", lease_id = %block.lease_id(), epoch = %block.epoch()).entered();
    let begin = SystemClock.now();
    let outcome = work();
    match &outcome {
        Ok(committed) => {
            counter!("checkpoint_success_total").increment(1);
            counter!("checkpoint_bytes_written").increment(committed.written_bytes);
            histogram!("checkpoint_duration_ms").record(millis_since(begin));
            tracing::debug!(
                sequence = committed.sequence,
                payload_bytes = committed.payload_bytes,
                written_bytes = committed.written_bytes,
                "checkpoint committed"
            );
        }
        Err(error) => {
            counter!("checkpoint_fail_total").increment(1);
            tracing::warn!(%error, "checkpoint failed");
        }
    }
    outcome
}

/// Runs one restore in a span that names the lease, and counts it if there was something to restore.
pub(super) fn restore<T>(
    block: &BlockHandle,
    work: impl FnOnce() -> Result<Loaded<T>, DurableError>,
) -> Result<Loaded<T>, DurableError> {
    let _span =
        tracing::info_span!("restore", lease_id = %block.lease_id(), epoch = %block.epoch()).entered();
    let outcome = work();
    if let Ok(loaded) = &outcome {
        counter!("resume_count_total").increment(1);
        tracing::debug!(sequence = loaded.header.sequence, "checkpoint restored");
    }
    outcome
}

fn millis_since(begin: BootTime) -> f64 {
    SystemClock.now().saturating_since(begin).as_secs_f64() * 1e3
}
