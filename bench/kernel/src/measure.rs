//! What is measured, round by round: all contenders of an operation in turns, with the file system settled between them.

mod compression;
mod delta;
mod operation;

use std::path::Path;

use grafos_bench_support::{ByteSize, Samples};

use crate::Result;

pub(crate) use compression::CompressionResult;
pub(crate) use delta::DeltaResult;
pub(crate) use operation::{Operation, OperationResult};

/// How much, how often, where.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan<'a> {
    pub(crate) dir: &'a Path,
    pub(crate) rounds: u32,
    pub(crate) size: ByteSize,
}

/// All that was measured.
#[derive(Debug)]
pub(crate) struct Results {
    pub(crate) size: ByteSize,
    pub(crate) operations: Vec<OperationResult>,
    /// A plain copy of the state into fresh memory, in seconds.
    pub(crate) copies: Samples,
    pub(crate) delta: DeltaResult,
    pub(crate) compressions: Vec<CompressionResult>,
}

pub(crate) fn all(plan: &Plan<'_>) -> Result<Results> {
    eprintln!("beside ringkernel-core …");
    let operations = operation::all(plan)?;
    let copies = operation::copies(plan)?;
    eprintln!("deltas …");
    let delta = delta::all(plan)?;
    eprintln!("compression …");
    let compressions = compression::all(plan)?;
    Ok(Results { size: plan.size, operations, copies, delta, compressions })
}

/// `Err` if what was read is not what was written: then no figure means anything.
fn must_be_same(what: &str, same: bool) -> Result<()> {
    if same { Ok(()) } else { Err(format!("{what}: what was read is not what was written").into()) }
}
