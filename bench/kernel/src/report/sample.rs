//! Made-up results for the tests of the report.

use grafos_bench_support::{ByteSize, Samples};
use grafos_kernel::checkpoint::Compression;

use crate::measure::{CompressionResult, DeltaResult, Operation, OperationResult, Results};
use crate::state::Data;

fn secs(secs: f64) -> Samples {
    [secs].into_iter().collect()
}

pub(super) fn results() -> Results {
    let size = ByteSize::of(256 << 20);
    let operation =
        |operation, ours, theirs| OperationResult { operation, ours: secs(ours), theirs: secs(theirs) };
    let compression = |compression, file_bytes| CompressionResult {
        data: Data::Sparse,
        compression,
        file_bytes,
        encode: secs(0.1),
        decode: secs(0.2),
        save: secs(0.25),
    };
    Results {
        size,
        operations: vec![
            operation(Operation::Encode, 0.08, 0.9),
            operation(Operation::EncodeFresh, 0.15, 0.9),
            operation(Operation::Decode, 0.05, 1.0),
            operation(Operation::DecodeFresh, 0.16, 1.0),
            operation(Operation::Digest, 0.2, 1.5),
            operation(Operation::Save, 0.19, 1.0),
            operation(Operation::Load, 0.1, 1.0),
        ],
        copies: secs(0.11),
        delta: DeltaResult {
            dirty_bytes: 2_684_354,
            ours_bytes: 2_700_000,
            theirs_bytes: 256 << 20,
            ours_made: secs(0.04),
            theirs_made: secs(1.2),
            ours_applied: secs(0.1),
            theirs_applied: secs(2.0),
        },
        compressions: vec![
            compression(Compression::None, 256 << 20),
            compression(Compression::Lz4, 65 << 20),
            compression(Compression::zstd(), 64 << 20),
        ],
    }
}
