//! Made-up results for the tests of the report: every kind of row, one target missed.

use grafos_bench_support::Samples;

use crate::contender::Contender;
use crate::measure::{
    ChangeResult, CommitResult, Counts, EncodingResult, Pattern, RestoreResult, Results, StallResult,
};
use grafos_bench_support::ByteSize;

fn secs(value: f64) -> Samples {
    Samples::from_iter([value; 3])
}

fn commit(bytes: usize, ours: f64, raw: f64) -> CommitResult {
    let measured = vec![
        (Contender::Ours, secs(ours)),
        (Contender::Raw { step: ByteSize::of(1 << 20) }, secs(raw)),
        (Contender::Raw { step: ByteSize::of(4 << 20) }, secs(raw * 1.1)),
        (Contender::Redb, secs(ours * 4.0)),
        (Contender::SqliteRollback, secs(ours * 9.0)),
        (Contender::SqliteWal, secs(ours * 7.0)),
        (Contender::Rename, secs(ours * 3.0)),
    ];
    CommitResult { size: ByteSize::of(bytes), measured }
}

fn change(pattern: Pattern) -> ChangeResult {
    let worst = Counts {
        dirty_bytes: 671_088,
        dirty_chunks_bytes: 1 << 20,
        due_chunks_bytes: 1_000_000,
        written_bytes: 1_050_000,
    };
    ChangeResult { size: ByteSize::of(64 << 20), pattern, worst, secs: secs(0.004) }
}

pub(super) fn results() -> Results {
    let size = ByteSize::of(64 << 20);
    let raw = Contender::Raw { step: ByteSize::of(4 << 20) };
    let stall =
        |bytes, stall, copy| StallResult { size: ByteSize::of(bytes), stall: secs(stall), copy: secs(copy) };
    Results {
        commits: vec![
            commit(512, 80e-6, 50e-6),
            commit(64 << 10, 120e-6, 90e-6),
            commit(64 << 20, 0.03, 0.027),
        ],
        restores: vec![RestoreResult {
            size,
            measured: vec![(Contender::Ours, secs(0.05)), (raw, secs(0.045))],
        }],
        stalls: vec![stall(1 << 20, 300e-6, 100e-6), stall(256 << 20, 0.055, 0.05)],
        changes: Pattern::ALL.map(change).into(),
        encoding: Some(EncodingResult { size, bulk: secs(0.03), element_wise: secs(0.3), rename: secs(0.4) }),
    }
}
