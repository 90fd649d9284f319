//! [`block_host_suite`]: the contract of [`BlockHost`], rule by rule.
//!
//! Most rules look through the builder and the handle, as programs do; where a holder has to die, they hold the
//! backend's own value and drop it, which the contract makes the same as a crash.

use std::sync::Arc;
use std::time::Duration;

use fabricbios_core::clock::{Clock, ManualClock};

use super::rule::{Broken, Rule, assert_all, rules};
use crate::block::{BLOCK_SIZE, BlockBuilder, BlockLease};
use crate::error::Result;
use crate::host::{BlockGrant, BlockHost, BlockRequest, Host, LeasedBlocks, VolumeName};

mod addresses;
mod attaching;
mod contents;
mod endings;
mod grants;
mod revoking;

/// A host to test, without volumes and leases. The suite asks for a new one for each rule.
pub struct TestedBlockHost {
    /// The host.
    pub host: Arc<dyn BlockHost>,
    /// The clock that the host judges its leases by. The suite moves it.
    pub clock: Arc<ManualClock>,
    /// A second host on the same storage and by the same clock: another process of the same machine, or the same
    /// one after a restart. It may own what must live as long as the test, such as a temporary directory.
    pub reopen: Box<dyn Fn() -> Arc<dyn BlockHost>>,
}

/// The rules, in the words of their names.
const RULES: &[Rule<TestedBlockHost>] = rules![
    contents::{
        new_blocks_read_as_zeros,
        what_is_written_is_read,
        writes_of_any_size_do_the_same_as_single_blocks,
        buffers_of_any_alignment_work,
        threads_can_share_a_handle,
        volumes_do_not_share_blocks,
        data_outlive_a_released_lease,
        data_outlive_a_dead_holder,
        flushed_data_outlive_a_restart,
        growth_keeps_data_and_adds_zeros,
        a_volume_never_shrinks,
    },
    addresses::{
        every_block_inside_and_none_outside_can_be_used,
        requests_that_cannot_be_met_change_nothing,
    },
    grants::{
        a_grant_is_what_was_asked_for,
        epochs_only_rise,
        epochs_do_not_fall_with_a_restart,
        lease_ids_are_never_used_again,
        a_volume_has_one_holder,
        a_volume_has_one_holder_across_hosts,
        a_dead_holder_holds_nothing,
        unnamed_volumes_are_new_and_can_be_found_again,
    },
    attaching::{
        an_attached_lease_is_the_same_with_a_higher_epoch,
        attaching_does_not_extend_a_lease,
        leases_can_be_attached_after_a_restart,
        a_lease_with_a_living_holder_cannot_be_attached,
        an_unknown_lease_cannot_be_attached,
        a_released_lease_cannot_be_attached,
        a_revoked_lease_cannot_be_attached,
        an_expired_lease_cannot_be_attached,
        an_older_lease_of_a_volume_cannot_be_attached,
    },
    endings::{
        a_released_volume_can_be_leased_again,
        a_lease_ends_at_its_deadline,
        an_expired_volume_can_be_leased_again,
        renewal_moves_the_deadline,
        the_host_remembers_a_renewal,
    },
    revoking::{
        revocation_closes_every_handle,
        revocation_reaches_a_holder_on_another_host,
        revocation_says_what_it_found,
        a_revocation_outlives_a_restart,
        a_revoked_volume_can_be_leased_again,
    },
];

/// Checks every rule of the contract of [`BlockHost`], each on a new host.
///
/// # Panics
/// If a rule is broken; the message names all that are, and how they were seen broken.
pub fn block_host_suite(make: impl Fn() -> TestedBlockHost) {
    assert_all("BlockHost", RULES, make);
}

/// The names of the rules that [`block_host_suite`] checks.
pub fn block_host_rules() -> impl Iterator<Item = &'static str> {
    RULES.iter().map(|rule| rule.name)
}

const HOUR_SECS: u64 = 3600;

impl TestedBlockHost {
    /// A host that `open` opens, now and after each restart.
    #[must_use]
    pub fn new<H: BlockHost + 'static>(clock: Arc<ManualClock>, open: impl Fn() -> H + 'static) -> Self {
        Self { host: Arc::new(open()), clock, reopen: Box::new(move || Arc::new(open())) }
    }

    /// What a program would use.
    fn front(&self) -> Result<Host> {
        self.front_of(&self.host)
    }

    fn front_of(&self, host: &Arc<dyn BlockHost>) -> Result<Host> {
        let clock: Arc<dyn Clock> = Arc::clone(&self.clock) as Arc<dyn Clock>;
        Host::builder().block(Arc::clone(host)).clock(clock).build()
    }

    /// A lease of an hour through the builder.
    fn lease(&self, volume: &str, min_blocks: u64) -> Result<BlockLease> {
        self.builder(volume, min_blocks)?.acquire()
    }

    fn builder(&self, volume: &str, min_blocks: u64) -> Result<BlockBuilder> {
        let builder = BlockBuilder::new().on(&self.front()?).volume(volume);
        Ok(builder.min_blocks(min_blocks).lease_secs(HOUR_SECS))
    }

    /// A lease of an hour from the backend itself; dropping its blocks is the death of its holder.
    fn grant(&self, volume: &str, min_blocks: u64) -> Result<BlockGrant> {
        self.host.acquire(&request(volume, min_blocks)?)
    }

    fn pass(&self, secs: u64) {
        self.clock.advance(Duration::from_secs(secs));
    }
}

fn request(volume: &str, min_blocks: u64) -> Result<BlockRequest> {
    let volume = Some(VolumeName::new(volume)?);
    Ok(BlockRequest { volume, min_blocks, lease_secs: HOUR_SECS })
}

/// One block full of `fill`.
fn block_of(fill: u8) -> [u8; BLOCK_SIZE] {
    [fill; BLOCK_SIZE]
}

/// What stands in each block from the first to the last: its byte if all its bytes are alike.
fn fills(blocks: &dyn LeasedBlocks) -> Result<Vec<u8>, Broken> {
    let mut block = [0; BLOCK_SIZE];
    let mut fills = Vec::new();
    for lba in 0..blocks.num_blocks() {
        blocks.read(lba, &mut block)?;
        fills.push(one_fill(lba, &block)?);
    }
    Ok(fills)
}

/// As [`fills`], through a handle.
fn lease_fills(lease: &BlockLease) -> Result<Vec<u8>, Broken> {
    let (handle, mut block) = (lease.block(), [0; BLOCK_SIZE]);
    let mut fills = Vec::new();
    for lba in 0..handle.num_blocks() {
        handle.read_block(lba, &mut block)?;
        fills.push(one_fill(lba, &block)?);
    }
    Ok(fills)
}

fn one_fill(lba: u64, block: &[u8; BLOCK_SIZE]) -> Result<u8, Broken> {
    let fill = block[0];
    if block.iter().any(|byte| *byte != fill) {
        return Err(Broken(format!("a block that was written whole is mixed: block={lba}")));
    }
    Ok(fill)
}
