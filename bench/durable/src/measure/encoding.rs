//! Why `Bulk`: the same numbers committed as plain bytes, and element by element as serde does it by itself.

use grafos_collections::durable::{Bulk, Durable};
use serde::Serialize;
use serde::de::DeserializeOwned;

use grafos_bench_support::{Samples, timed};

use super::{Plan, settle, turns};
use crate::Result;
use crate::ours::{lease_for, open_host};
use crate::peer::Rename;
use grafos_bench_support::ByteSize;
use grafos_bench_support::mixed;

/// Seconds per commit of a vector of 64-bit words.
#[derive(Debug)]
pub(crate) struct EncodingResult {
    pub(crate) size: ByteSize,
    pub(crate) bulk: Samples,
    pub(crate) element_wise: Samples,
    /// Element by element too, then write, fsync and rename.
    pub(crate) rename: Samples,
}

/// A 64-bit word takes up to so many bytes when postcard writes it.
const LONGEST_WORD_BYTES: usize = 10;

pub(crate) fn measure(plan: &Plan<'_>, size: ByteSize) -> Result<EncodingResult> {
    let dir = tempfile::tempdir_in(plan.dir)?;
    let host = open_host(dir.path())?;
    let count = size.bytes() / size_of::<u64>();
    let room = size.bytes() / size_of::<u64>() * LONGEST_WORD_BYTES + 64;
    let mut bulk = Durable::new(Bulk(words(count, 0)), lease_for(&host, "bulk", room)?);
    let mut element_wise = Durable::new(words(count, 0), lease_for(&host, "element-wise", room)?);
    let rename = Rename::create(dir.path())?;
    let mut result = EncodingResult {
        size,
        bulk: Samples::default(),
        element_wise: Samples::default(),
        rename: Samples::default(),
    };
    // The first rounds write both slots and count for nothing.
    for round in 0..plan.rounds + 2 {
        let fresh = words(count, u64::from(round) + 1);
        let mut secs = [0.0; 3];
        for nth in turns(round, secs.len()) {
            settle(dir.path())?;
            secs[nth] = match nth {
                0 => commit(&mut bulk, Bulk(fresh.clone()))?,
                1 => commit(&mut element_wise, fresh.clone())?,
                _ => timed_rename(&rename, &fresh)?,
            };
        }
        if round >= 2 {
            result.bulk.push(secs[0]);
            result.element_wise.push(secs[1]);
            result.rename.push(secs[2]);
        }
    }
    Ok(result)
}

fn commit<T: Serialize + DeserializeOwned>(durable: &mut Durable<T>, fresh: T) -> Result<f64> {
    *durable.inner_mut() = fresh;
    let (committed, secs) = timed(|| durable.checkpoint());
    committed?;
    Ok(secs)
}

fn timed_rename(rename: &Rename, fresh: &[u64]) -> Result<f64> {
    let (replaced, secs) = timed(|| rename.replace(&postcard::to_allocvec(fresh)?));
    replaced?;
    Ok(secs)
}

fn words(count: usize, stamp: u64) -> Vec<u64> {
    let first = mixed(stamp);
    (0..count as u64).map(|nth| mixed(first.wrapping_add(nth))).collect()
}
