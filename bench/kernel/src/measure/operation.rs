//! Encode, decode, save, load and digest, ours and theirs by turns. The calls have the same names in both crates.

use std::hint::black_box;

use grafos_bench_support::{Samples, settle, timed, turns};
use grafos_kernel::checkpoint::{self as ours, CheckpointStorage as _, WriteOptions};
use ringkernel_core::checkpoint::{self as theirs, CheckpointStorage as _};

use super::{Plan, must_be_same};
use crate::Result;
use crate::state::{self, Data};

/// What both crates do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    /// Into a buffer that was used before; theirs has no such call, and makes its bytes anew.
    Encode,
    /// Into memory that was just allocated, as theirs does.
    EncodeFresh,
    /// Into memory that is there: that of the kernel that goes on. Theirs as above.
    Decode,
    /// As theirs does.
    DecodeFresh,
    Digest,
    Save,
    Load,
}

impl Operation {
    pub(crate) const ALL: [Self; 7] = [
        Self::Encode,
        Self::EncodeFresh,
        Self::Decode,
        Self::DecodeFresh,
        Self::Digest,
        Self::Save,
        Self::Load,
    ];
}

/// One operation, in seconds.
#[derive(Debug)]
pub(crate) struct OperationResult {
    pub(crate) operation: Operation,
    pub(crate) ours: Samples,
    pub(crate) theirs: Samples,
}

/// Both contenders with the same state.
struct Contenders<'a> {
    plan: &'a Plan<'a>,
    ours: ours::Checkpoint,
    theirs: theirs::Checkpoint,
    our_bytes: Vec<u8>,
    their_bytes: Vec<u8>,
    our_files: ours::FileStorage,
    their_files: theirs::FileStorage,
    /// Used again, as a program that checkpoints again and again would.
    buffer: Vec<u8>,
    /// The same for each chunk that is read.
    memory: Vec<Vec<u8>>,
}

const NAME: &str = "checkpoint";

pub(super) fn all(plan: &Plan<'_>) -> Result<Vec<OperationResult>> {
    let region = Data::Noise.region(plan.size.bytes());
    let ours = state::ours(region.clone(), 1);
    let theirs = state::theirs(region, 1);
    let (our_bytes, their_bytes) = (ours.to_bytes(), theirs.to_bytes());
    let our_files = ours::FileStorage::new(plan.dir.join("ours"));
    let their_files = theirs::FileStorage::new(plan.dir.join("theirs"));
    our_files.save(&ours, NAME)?;
    their_files.save(&theirs, NAME)?;
    let mut buffer = Vec::new();
    ours.encode_into(&mut buffer, &WriteOptions::new())?;
    let memory = ours.chunks.iter().map(|chunk| chunk.data.clone()).collect();
    let mut contenders =
        Contenders { plan, ours, theirs, our_bytes, their_bytes, our_files, their_files, buffer, memory };
    Operation::ALL.into_iter().map(|operation| contenders.measure(operation)).collect()
}

/// How long a plain copy of the state into memory takes that was just allocated: less is not to be had there.
pub(super) fn copies(plan: &Plan<'_>) -> Result<Samples> {
    let region = Data::Noise.region(plan.size.bytes());
    (0..plan.rounds)
        .map(|_| {
            let (copy, secs) = timed(|| black_box(region.clone()));
            must_be_same("a copy", copy == region).map(|()| secs)
        })
        .collect()
}

impl Contenders<'_> {
    fn measure(&mut self, operation: Operation) -> Result<OperationResult> {
        let (mut ours, mut theirs) = (Samples::default(), Samples::default());
        for round in 0..self.plan.rounds {
            for turn in turns(round, 2) {
                settle(self.plan.dir)?;
                if turn == 0 {
                    ours.push(self.ours(operation)?);
                } else {
                    theirs.push(self.theirs(operation)?);
                }
            }
        }
        Ok(OperationResult { operation, ours, theirs })
    }

    /// Seconds.
    fn ours(&mut self, operation: Operation) -> Result<f64> {
        let Self { ours, our_bytes, our_files, .. } = self;
        Ok(match operation {
            Operation::Encode => {
                let (encoded, secs) = timed(|| ours.encode_into(&mut self.buffer, &WriteOptions::new()));
                encoded?;
                must_be_same("our encode", self.buffer == *our_bytes)?;
                secs
            }
            Operation::EncodeFresh => {
                let (bytes, secs) = timed(|| ours.to_bytes());
                must_be_same("our encode", bytes == *our_bytes)?;
                secs
            }
            Operation::Decode => {
                let (read, secs) = timed(|| read_into(our_bytes, &mut self.memory));
                read?;
                let same = self.memory.iter().zip(&ours.chunks).all(|(read, chunk)| *read == chunk.data);
                must_be_same("our decode", same)?;
                secs
            }
            Operation::DecodeFresh => {
                let (read, secs) = timed(|| ours::Checkpoint::from_bytes(our_bytes));
                must_be_same("our decode", read?.chunks == ours.chunks)?;
                secs
            }
            Operation::Digest => timed(|| black_box(ours.content_digest())).1,
            Operation::Save => {
                let (saved, secs) = timed(|| our_files.save(ours, NAME));
                saved?;
                must_be_same("our save", our_files.load(NAME)?.chunks == ours.chunks)?;
                secs
            }
            Operation::Load => {
                let (read, secs) = timed(|| our_files.load(NAME));
                must_be_same("our load", read?.chunks == ours.chunks)?;
                secs
            }
        })
    }

    /// Seconds.
    fn theirs(&self, operation: Operation) -> Result<f64> {
        let Self { theirs, their_bytes, their_files, .. } = self;
        let same = |read: &theirs::Checkpoint| {
            let data =
                |checkpoint: &theirs::Checkpoint| checkpoint.chunks.last().map(|chunk| chunk.data.len());
            data(read) == data(theirs)
                && read.chunks.iter().zip(&theirs.chunks).all(|(one, other)| one.data == other.data)
        };
        Ok(match operation {
            Operation::Encode | Operation::EncodeFresh => {
                let (bytes, secs) = timed(|| theirs.to_bytes());
                must_be_same("their encode", bytes.len() == their_bytes.len())?;
                secs
            }
            Operation::Decode | Operation::DecodeFresh => {
                let (read, secs) = timed(|| theirs::Checkpoint::from_bytes(their_bytes));
                must_be_same("their decode", same(&read?))?;
                secs
            }
            Operation::Digest => timed(|| black_box(theirs.content_digest())).1,
            Operation::Save => {
                let (saved, secs) = timed(|| their_files.save(theirs, NAME));
                saved?;
                must_be_same("their save", same(&their_files.load(NAME)?))?;
                secs
            }
            Operation::Load => {
                let (read, secs) = timed(|| their_files.load(NAME));
                must_be_same("their load", same(&read?))?;
                secs
            }
        })
    }
}

/// Every chunk into its place.
fn read_into(bytes: &[u8], memory: &mut [Vec<u8>]) -> Result<(), ours::CheckpointError> {
    let reader = ours::CheckpointReader::open(bytes)?;
    for (chunk, into) in memory.iter_mut().enumerate() {
        reader.read_chunk_into(chunk, into)?;
    }
    Ok(())
}
