//! What compression costs and saves, on data that it does nothing for and on data that it does much for.

use grafos_bench_support::{Samples, settle, timed};
use grafos_kernel::checkpoint::{Checkpoint, CheckpointStorage, Compression, FileStorage, WriteOptions};

use super::{Plan, must_be_same};
use crate::Result;
use crate::state::{self, Data};

/// One compression on one sort of data; seconds.
#[derive(Debug)]
pub(crate) struct CompressionResult {
    pub(crate) data: Data,
    pub(crate) compression: Compression,
    /// Length of the file.
    pub(crate) file_bytes: usize,
    pub(crate) encode: Samples,
    pub(crate) decode: Samples,
    pub(crate) save: Samples,
}

const COMPRESSIONS: [Compression; 3] = [Compression::None, Compression::Lz4, Compression::zstd()];

pub(super) fn all(plan: &Plan<'_>) -> Result<Vec<CompressionResult>> {
    let mut results = Vec::new();
    for data in Data::ALL {
        let checkpoint = state::ours(data.region(plan.size.bytes()), 1);
        let mut of_this = COMPRESSIONS.map(|compression| CompressionResult {
            data,
            compression,
            file_bytes: 0,
            encode: Samples::default(),
            decode: Samples::default(),
            save: Samples::default(),
        });
        let dir = plan.dir.join("compressed");
        let storages = COMPRESSIONS.map(|compression| {
            FileStorage::new(&dir).with_options(WriteOptions::new().compression(compression))
        });
        let mut buffer = Vec::new();
        for _ in 0..plan.rounds {
            for (result, storage) in of_this.iter_mut().zip(&storages) {
                settle(plan.dir)?;
                round(storage, &checkpoint, &mut buffer, result)?;
            }
        }
        results.extend(of_this);
    }
    Ok(results)
}

fn round(
    storage: &FileStorage,
    checkpoint: &Checkpoint,
    buffer: &mut Vec<u8>,
    result: &mut CompressionResult,
) -> Result<()> {
    let options = WriteOptions::new().compression(result.compression);
    let (encoded, secs) = timed(|| checkpoint.encode_into(buffer, &options));
    encoded?;
    result.encode.push(secs);
    result.file_bytes = buffer.len();
    let (read, secs) = timed(|| Checkpoint::from_bytes(buffer));
    must_be_same("a compressed checkpoint", read?.chunks == checkpoint.chunks)?;
    result.decode.push(secs);
    let (saved, secs) = timed(|| storage.save(checkpoint, "compressed"));
    saved?;
    result.save.push(secs);
    must_be_same("a compressed file", storage.load("compressed")?.chunks == checkpoint.chunks)
}
