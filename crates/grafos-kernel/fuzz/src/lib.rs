//! What the fuzz targets do with their bytes. `cargo test` does the same with the corpus.
//!
//! Whatever the bytes are: nothing panics, and nothing is made that is larger than the limits allow.

use grafos_kernel::checkpoint::{
    Checkpoint, CheckpointBuilder, CheckpointChain, CheckpointError, CheckpointReader, Compression,
    DELTA_PARENT_DIGEST_KEY, DataChunk, Limits, WriteOptions,
};

/// What a file may grow to when it is decompressed.
const STATE_BYTES: u64 = 1 << 20;

/// Takes the bytes for a checkpoint; then again with right checksums and digests, so that what stands behind them is
/// looked at too.
pub fn decode(bytes: &[u8]) {
    decode_as_it_is(bytes);
    let mut mended = bytes.to_vec();
    mend(&mut mended);
    decode_as_it_is(&mended);
}

fn decode_as_it_is(bytes: &[u8]) {
    let limits = Limits { state_bytes: STATE_BYTES, ..Limits::default() };
    let checkpoint = match Checkpoint::decode(bytes, &limits) {
        Ok(checkpoint) => checkpoint,
        Err(error) => return assert!(said(&error).len() < 500),
    };
    let state: usize = checkpoint.chunks.iter().map(|chunk| chunk.data.len()).sum();
    assert!(state as u64 <= STATE_BYTES.max(bytes.len() as u64), "{state} bytes of {}", bytes.len());
    let reader = CheckpointReader::open_with(bytes, &limits).expect("it was read before");
    assert_eq!(reader.state_bytes(), state as u64);
    reader.verify().expect("it was read before");
    let _ = checkpoint.delta_info().map_err(|error| said(&error));
    // What was read can be written, and is the same then.
    let options = WriteOptions::new().compression(Compression::Lz4).alignment(64).threads(1);
    let again = checkpoint.encode(&options).expect("it was read before");
    let again = Checkpoint::decode(&again, &Limits::none()).expect("it was written here");
    assert_eq!((again.metadata, again.chunks), (checkpoint.metadata, checkpoint.chunks));
}

/// Takes the bytes for the chunks of a delta: the first says where the recipe ends.
pub fn delta(bytes: &[u8]) {
    let base = CheckpointBuilder::new("k", "t")
        .control_block(vec![1; 700])
        .device_memory("a", vec![2; 5000])
        .device_memory("b", vec![])
        .build();
    let Some((&recipe_bytes, rest)) = bytes.split_first() else { return };
    let mut delta =
        CheckpointBuilder::new("k", "t").custom(DELTA_PARENT_DIGEST_KEY, base.content_digest()).build();
    let (recipe, rest) = rest.split_at(rest.len().min(usize::from(recipe_bytes)));
    for (index, data) in std::iter::once(recipe).chain(rest.chunks(rest.len().div_ceil(2).max(1))).enumerate()
    {
        let mut chunk = DataChunk::region("a", data.to_vec());
        chunk.header.flags = if index == 0 { 1 << 30 } else { u32::from(recipe_bytes & 1) << 31 };
        delta.chunks.push(chunk);
    }
    let _ = delta.delta_info().map_err(|error| said(&error));
    let mut chain = CheckpointChain::new(base.clone()).expect("the base is full");
    match (Checkpoint::applied_with_delta(&base, &delta), chain.push(delta)) {
        (Ok(made), fits) => {
            fits.expect("what can be applied fits a chain");
            assert_eq!(chain.compact().expect("it was applied before"), made);
        }
        (Err(error), Ok(())) => {
            assert!(matches!(error, CheckpointError::ResultMismatch { .. }), "{error}");
            assert!(matches!(chain.compact(), Err(CheckpointError::ResultMismatch { .. })));
        }
        (Err(error), Err(_)) => assert!(said(&error).len() < 500),
    }
}

fn said(error: &CheckpointError) -> String {
    let _ = error.recovery();
    error.to_string()
}

/// Makes the checksums and digests of the bytes right, if they have a place for them.
fn mend(bytes: &mut [u8]) {
    const HEADER: usize = 64;
    const FOOTER: usize = 128;
    if bytes.len() < HEADER {
        return;
    }
    if bytes[8] == 1 {
        let checksum = crc32fast::hash(&bytes[HEADER..]);
        bytes[32..36].copy_from_slice(&checksum.to_le_bytes());
        return;
    }
    bytes[32..36].fill(0);
    let checksum = crc32fast::hash(&bytes[..HEADER]);
    bytes[32..36].copy_from_slice(&checksum.to_le_bytes());
    if bytes.len() < HEADER + FOOTER {
        return;
    }
    let (rest, footer) = bytes.split_at_mut(bytes.len() - FOOTER);
    let number = |at: usize| {
        footer[at..at + 8].iter().rev().fold(0, |number, byte| (number << 8) | usize::from(*byte))
    };
    let (begin, len) = (number(24), number(32));
    if let Some(index) = begin.checked_add(len).and_then(|end| rest.get(begin..end)) {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&rest[..HEADER]);
        hasher.update(index);
        footer[64..96].copy_from_slice(hasher.finalize().as_bytes());
    }
    let digest = blake3::hash(&footer[..96]);
    footer[96..].copy_from_slice(digest.as_bytes());
}
