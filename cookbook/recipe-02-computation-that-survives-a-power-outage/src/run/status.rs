//! [`status`]: what a volume holds, verified, without going on with it.

use std::time::Duration;

use fabricbios_core::lease::FenceEpoch;
use grafos_collections::durable::{Durable, RejectedSlot};
use grafos_std::block::BlockBuilder;
use grafos_std::host::Host;

use super::session::MIN_BLOCKS;
use crate::error::{RecipeError, Result};
use crate::share::Share;
use crate::state::{SCHEMA, SimState};

/// The newest checkpoint on a volume that verifies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// Which checkpoint; its epoch is that of its writer.
    pub sequence: u64,
    /// The epoch of its writer.
    pub epoch: FenceEpoch,
    /// How long ago it was written, by the wall clock.
    pub age: Duration,
    /// What it holds.
    pub state: SimState,
    /// Slots that were passed over because they did not verify.
    pub rejected: Vec<RejectedSlot>,
}

/// Restores what `volume` holds, for a look at it. `None` for a volume without a checkpoint; a volume that is not
/// there is made, as every builder does.
///
/// # Errors
/// [`RecipeError`]: the volume is in use, is damaged, or holds something else.
pub fn status(host: &Host, volume: &str) -> Result<Option<Status>> {
    let lease = BlockBuilder::new().on(host).volume(volume).min_blocks(MIN_BLOCKS).acquire()?;
    let nothing = || SimState::new(0, Share::WHOLE);
    let durable = Durable::options()
        .schema(SCHEMA)
        .open_or_init(lease, nothing)
        .map_err(RecipeError::durable(volume))?;
    let status = durable.restored().map(|restored| Status {
        sequence: restored.sequence,
        epoch: restored.epoch,
        age: Duration::from_millis(host.clock().unix_ms().saturating_sub(restored.unix_ms)),
        state: durable.inner().clone(),
        rejected: durable.rejected().to_vec(),
    });
    durable.into_block_lease().map_err(RecipeError::durable(volume))?.release()?;
    Ok(status)
}
