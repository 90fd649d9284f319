//! [`NoFlush`]: a host that says it has flushed, and has not. The control that the rig must see fail.
//!
//! Writes go through, so that a killed process loses nothing: only a power cut tells the difference.

use std::sync::Arc;
use std::time::Duration;

use grafos_std::Result;
use grafos_std::core::lease::LeaseId;
use grafos_std::core::state::LeaseStatus;
use grafos_std::host::{BlockGrant, BlockHost, BlockRequest, LeasedBlocks, RevokeOutcome};

/// Leaves out the flushes of the volumes that `inner` leases.
#[derive(Debug)]
pub(crate) struct NoFlush {
    inner: Arc<dyn BlockHost>,
}

#[derive(Debug)]
struct LyingVolume(Box<dyn LeasedBlocks>);

impl NoFlush {
    pub(crate) fn new(inner: Arc<dyn BlockHost>) -> Self {
        Self { inner }
    }
}

fn lying(grant: BlockGrant) -> BlockGrant {
    BlockGrant { blocks: Box::new(LyingVolume(grant.blocks)), ..grant }
}

impl BlockHost for NoFlush {
    fn acquire(&self, request: &BlockRequest) -> Result<BlockGrant> {
        self.inner.acquire(request).map(lying)
    }

    fn attach(&self, lease_id: LeaseId) -> Result<BlockGrant> {
        self.inner.attach(lease_id).map(lying)
    }

    fn revoke(&self, lease_id: LeaseId) -> Result<RevokeOutcome> {
        self.inner.revoke(lease_id)
    }
}

impl LeasedBlocks for LyingVolume {
    fn num_blocks(&self) -> u64 {
        self.0.num_blocks()
    }

    fn read(&self, first_block: u64, into: &mut [u8]) -> Result<()> {
        self.0.read(first_block, into)
    }

    fn write(&self, first_block: u64, from: &[u8]) -> Result<()> {
        self.0.write(first_block, from)
    }

    fn flush(&self) -> Result<()> {
        Ok(())
    }

    fn host_status(&self) -> LeaseStatus {
        self.0.host_status()
    }

    fn renew(&self, lease_secs: u64) -> Result<Duration> {
        self.0.renew(lease_secs)
    }

    fn release(&self) -> Result<()> {
        self.0.release()
    }
}
