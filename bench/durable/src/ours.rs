//! [`Ours`]: a durable value on the local host, set up as the documentation advises for large states.

use std::path::Path;

use grafos_collections::durable::{Bulk, Committed, Durable, blocks_needed};
use grafos_std::block::{BlockBuilder, BlockLease};
use grafos_std::host::{Host, LocalHost};

use grafos_bench_support::timed;

use crate::Result;
use crate::contender::Commit;
use crate::state::State;
use grafos_bench_support::ByteSize;

/// How many states a volume holds.
pub(crate) const SLOTS: usize = 2;

/// What a checkpoint compares, and writes or leaves, as a whole: see `docs/durable-format.md`.
pub(crate) const CHUNK_BYTES: usize = 64 << 10;

type Value = Bulk<Vec<u8>>;

pub(crate) struct Ours {
    /// `None` only after a restore has failed.
    durable: Option<Durable<Value>>,
}

impl Ours {
    pub(crate) fn create(dir: &Path, size: ByteSize) -> Result<Self> {
        let value = Bulk(vec![0; size.bytes()]);
        let payload_bytes = postcard::experimental::serialized_size(&value)?;
        let lease = lease_for(&open_host(dir)?, "state", payload_bytes)?;
        let durable = Some(Durable::new(value, lease));
        Ok(Self { durable })
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        self.durable.as_ref().map_or(&[], |durable| durable.inner().as_slice())
    }

    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        self.durable.as_mut().map_or(&mut [], |durable| durable.inner_mut().as_mut_slice())
    }

    fn durable(&self) -> Result<&Durable<Value>> {
        self.durable.as_ref().ok_or_else(|| "an earlier restore failed".into())
    }

    /// The bytes that a checkpoint is made of.
    pub(crate) fn payload(&self) -> Result<Vec<u8>> {
        let value = self.durable()?.inner();
        Ok(postcard::to_extend(value, Vec::with_capacity(postcard::experimental::serialized_size(value)?))?)
    }

    /// A checkpoint, with its seconds.
    pub(crate) fn timed_checkpoint(&self) -> Result<(Committed, f64)> {
        let durable = self.durable()?;
        let (committed, secs) = timed(|| durable.checkpoint());
        Ok((committed?, secs))
    }

    /// Seconds that a background checkpoint holds its caller up. Returns when it is committed.
    pub(crate) fn stall(&self) -> Result<f64> {
        let durable = self.durable()?;
        let (pending, secs) = timed(|| durable.checkpoint_in_background());
        must_be_full(&pending?.wait()?)?;
        Ok(secs)
    }

    /// Drops the value and restores it; the seconds of the restore.
    pub(crate) fn restore(&mut self) -> Result<f64> {
        let lease = self.durable.take().ok_or("an earlier restore failed")?.into_block_lease()?;
        let (restored, secs) = timed(|| Durable::restore(lease));
        self.durable = Some(restored?);
        Ok(secs)
    }
}

impl Commit for Ours {
    fn prepare(&mut self, state: &State) {
        self.bytes_mut().copy_from_slice(state.bytes());
    }

    fn commit(&mut self, _state: &State) -> Result<()> {
        must_be_full(&self.durable()?.checkpoint()?)
    }

    /// Through a restore of the whole value, as a program that starts again would find it.
    fn read_back(&mut self) -> Result<Vec<u8>> {
        self.restore()?;
        Ok(self.bytes().to_vec())
    }
}

/// Fails if a checkpoint wrote less than the state: then it has not done the work that it is compared for.
fn must_be_full(committed: &Committed) -> Result<()> {
    let Committed { payload_bytes, written_bytes, .. } = committed;
    if written_bytes < payload_bytes {
        return Err(format!("not a full checkpoint: payload={payload_bytes}, written={written_bytes}").into());
    }
    Ok(())
}

/// A local host with its home in `dir`.
pub(crate) fn open_host(dir: &Path) -> Result<Host> {
    Ok(LocalHost::builder().home(dir.join("home")).open()?)
}

/// A volume that takes payloads of up to `payload_bytes`.
pub(crate) fn lease_for(host: &Host, volume: &str, payload_bytes: usize) -> Result<BlockLease> {
    let blocks = blocks_needed(payload_bytes as u64, u32::try_from(SLOTS)?);
    Ok(BlockBuilder::new().on(host).volume(volume).min_blocks(blocks).acquire()?)
}
