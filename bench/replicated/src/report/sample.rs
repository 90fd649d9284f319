//! Made-up results for the tests of the report: every kind of row, one target missed.

use grafos_bench_support::{ByteSize, Samples};

use crate::measure::{ChangeResult, CommitResult, Counts, KeysResult, Pair, PayloadResult, Results};

fn secs(value: f64) -> Samples {
    Samples::from_iter([value; 3])
}

fn pair(ours: f64, baseline: f64) -> Pair {
    Pair { ours: secs(ours), baseline: secs(baseline) }
}

pub(super) fn results() -> Results {
    let payload = |bytes, secs: f64| PayloadResult {
        size: ByteSize::of(bytes),
        save: pair(secs, secs * 0.8),
        load: pair(secs / 2.0, secs / 4.0),
    };
    let commit =
        |what, ours, baseline| CommitResult { what, pair: pair(ours, baseline), short_log: secs(ours / 2.0) };
    let keys = |keys, cost| KeysResult { keys, secs: secs(cost), slowest: cost * 7.0 };
    let second = Counts { changed: 671_088, chunks: 1 << 20, written: 1_050_000 };
    let series = Counts { changed: 6_710_880, chunks: 10 << 20, written: 15 << 20 };
    Results {
        payloads: vec![payload(64 << 10, 0.002), payload(256 << 20, 0.5)],
        changes: vec![ChangeResult { size: ByteSize::of(64 << 20), second, secs: secs(0.004), series }],
        commits: vec![
            commit("register: read and move", 250e-6, 200e-6),
            commit("reserve", 300e-6, 200e-6),
            commit("complete", 220e-6, 200e-6),
        ],
        keys: vec![keys(1000, 500e-6), keys(1_000_000, 1e-3)],
    }
}
