//! What was promised of a ratio, and whether it was kept. Small states are measured and not judged: there a save is the
//! latency of the disk, which both pay or only one.

use grafos_bench_support::{ByteSize, Ratio, Target, Verdict};

use crate::measure::{DeltaResult, Operation, OperationResult, Results};

/// From this size on, targets hold.
const LARGE: ByteSize = ByteSize::of(256 << 20);

/// How many times as fast as theirs.
pub(super) const SPEED_TARGET: f64 = 10.0;
/// The same of a save, of which only ours is durable.
pub(super) const SAVE_TARGET: f64 = 5.0;
/// A delta's bytes over those of the pages that changed.
const DELTA_TARGET: f64 = 1.1;

impl Operation {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Encode => "encode",
            Self::EncodeFresh => "encode, fresh",
            Self::Decode => "decode",
            Self::DecodeFresh => "decode, fresh",
            Self::Digest => "digest",
            Self::Save => "save",
            Self::Load => "load",
        }
    }

    /// What was promised; of loads nothing, nor of what is bound by the system's handing out of fresh memory.
    pub(super) fn target(self) -> Option<f64> {
        match self {
            Self::Encode | Self::Decode | Self::Digest => Some(SPEED_TARGET),
            Self::Save => Some(SAVE_TARGET),
            Self::EncodeFresh | Self::DecodeFresh | Self::Load => None,
        }
    }
}

impl OperationResult {
    /// How many times as fast ours is.
    pub(super) fn speedup(&self) -> Ratio {
        self.theirs.over(&self.ours)
    }

    pub(super) fn target(&self, size: ByteSize) -> Option<Target> {
        self.operation.target().filter(|_| size >= LARGE).map(Target::AtLeast)
    }

    pub(super) fn verdict(&self, size: ByteSize) -> Option<Verdict> {
        self.target(size).map(|target| target.judge(self.speedup().of_medians))
    }
}

impl DeltaResult {
    #[expect(clippy::cast_precision_loss, reason = "sizes stay far below 2^52")]
    pub(super) fn over_dirty(&self) -> f64 {
        self.ours_bytes as f64 / self.dirty_bytes as f64
    }

    pub(super) fn target(size: ByteSize) -> Option<Target> {
        (size >= LARGE).then_some(Target::AtMost(DELTA_TARGET))
    }

    pub(super) fn verdict(&self, size: ByteSize) -> Option<Verdict> {
        Self::target(size).map(|target| target.judge(self.over_dirty()))
    }
}

/// How many targets were missed.
pub(super) fn missed(results: &Results) -> usize {
    let operations = results.operations.iter().map(|result| result.verdict(results.size));
    let verdicts = operations.chain([results.delta.verdict(results.size)]);
    verdicts.filter(|verdict| *verdict == Some(Verdict::Missed)).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    #[test]
    fn targets_are_judged_from_the_size_on_that_they_were_set_for() {
        let mut results = sample::results();
        let verdicts = |results: &Results| {
            results.operations.iter().map(|result| result.verdict(results.size)).collect::<Vec<_>>()
        };
        let (met, missed_one) = (Some(Verdict::Met), Some(Verdict::Missed));
        assert_eq!(verdicts(&results), [met, None, met, None, missed_one, met, None]);
        assert_eq!(missed(&results), 1);
        results.delta.ours_bytes *= 2;
        assert_eq!(missed(&results), 2);
        results.size = ByteSize::of(16 << 20);
        assert_eq!((verdicts(&results), missed(&results)), (vec![None; 7], 0));
    }
}
