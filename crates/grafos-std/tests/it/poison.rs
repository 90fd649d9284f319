//! After a failed write or flush a handle refuses every further one, and says why.

use std::sync::Arc;

use fabricbios_core::clock::{Clock, ManualClock};
use fabricbios_core::recovery::Recovery;
use fabricbios_core::state::LeaseStatus;
use grafos_std::FabricError;
use grafos_std::block::{BLOCK_SIZE, BlockBuilder, BlockHandle, BlockLease};
use grafos_std::host::Host;
use grafos_std::host::testing::{Fault, FaultPlan, FaultyBlockHost, Keep, OpKind, RamBlockHost};

const EIO: i32 = 5;
const ENOSPC: i32 = 28;

struct World {
    disk: FaultyBlockHost,
    host: Host,
}

impl World {
    fn new(plan: FaultPlan) -> Self {
        let clock: Arc<dyn Clock> = Arc::new(ManualClock::default());
        let disk = FaultyBlockHost::new(Arc::new(RamBlockHost::new(Arc::clone(&clock))));
        disk.set_plan(plan);
        let host = Host::builder().block(Arc::new(disk.clone())).clock(clock).build().unwrap();
        Self { disk, host }
    }

    fn lease(&self) -> BlockLease {
        BlockBuilder::new().on(&self.host).volume("v").min_blocks(2).acquire().unwrap()
    }
}

fn first_byte(handle: &BlockHandle, lba: u64) -> u8 {
    let mut block = [0; BLOCK_SIZE];
    handle.read_block(lba, &mut block).unwrap();
    block[0]
}

/// Checks that neither a write nor a flush gets through any clone, and that the first error is named.
fn assert_poisoned(lease: &BlockLease, first_error: &str) {
    let handle = lease.block();
    for result in [handle.write_block(0, &[9; BLOCK_SIZE]), handle.flush(), handle.clone().flush()] {
        let error = result.unwrap_err();
        assert_eq!(error.recovery(), Recovery::Reopen, "{error}");
        let FabricError::Poisoned { lease_id, first } = error else { panic!("{error}") };
        assert_eq!((lease_id, first.as_str()), (lease.lease_id(), first_error));
    }
}

#[test]
fn a_failed_flush_closes_the_handle_for_writes_and_flushes_but_not_for_reads() {
    let world = World::new(FaultPlan::none().at(1, Fault::Fail { errno: EIO }));
    let lease = world.lease();
    lease.block().write_block(0, &[1; BLOCK_SIZE]).unwrap();
    let first = lease.block().flush().unwrap_err();
    assert!(matches!(first, FabricError::IoError { errno: EIO, .. }), "{first}");
    assert_poisoned(&lease, &first.to_string());
    assert!(first.to_string().contains("errno=5"), "{first}");
    assert_eq!(first_byte(&lease.block(), 0), 1, "reads still work");
    assert_eq!(lease.status(), LeaseStatus::Active, "the lease itself has not ended");
    assert_eq!(world.disk.ops().len(), 2, "no refused operation came to the backend");
}

#[test]
fn a_failed_write_closes_the_handle_too_and_the_first_error_stays_the_one_that_is_named() {
    let plan = FaultPlan::none().at_every(OpKind::Write, Fault::Fail { errno: ENOSPC });
    let world = World::new(plan);
    let lease = world.lease();
    let first = lease.block().write_block(1, &[1; BLOCK_SIZE]).unwrap_err();
    assert!(matches!(first, FabricError::IoError { errno: ENOSPC, .. }), "{first}");
    assert_poisoned(&lease, &first.to_string());
    assert_eq!(first_byte(&lease.block(), 1), 0);
}

#[test]
fn a_torn_write_closes_the_handle_with_its_beginning_written() {
    let world = World::new(FaultPlan::none().at(0, Fault::Tear { blocks: 1 }));
    let lease = world.lease();
    let first = lease.block().write_blocks(0, &[1; 2 * BLOCK_SIZE]).unwrap_err();
    assert_poisoned(&lease, &first.to_string());
    assert_eq!((first_byte(&lease.block(), 0), first_byte(&lease.block(), 1)), (1, 0));
}

#[test]
fn a_failed_read_closes_nothing() {
    let plan = FaultPlan::none().counting_reads().at(0, Fault::Fail { errno: EIO });
    let world = World::new(plan);
    let lease = world.lease();
    let error = lease.block().read_block(0, &mut [0; BLOCK_SIZE]).unwrap_err();
    assert!(matches!(error, FabricError::IoError { errno: EIO, .. }), "{error}");
    lease.block().write_block(0, &[1; BLOCK_SIZE]).unwrap();
    lease.block().flush().unwrap();
    assert_eq!(first_byte(&lease.block(), 0), 1);
}

#[test]
fn a_request_that_never_came_to_the_backend_closes_nothing() {
    let world = World::new(FaultPlan::none());
    let lease = world.lease();
    assert!(lease.block().write_blocks(1, &[1; 2 * BLOCK_SIZE]).is_err());
    assert!(lease.block().write_block(0, &[1; 7]).is_err());
    lease.block().write_block(0, &[1; BLOCK_SIZE]).unwrap();
    lease.block().flush().unwrap();
}

#[test]
fn a_new_lease_opens_what_a_poisoned_handle_closed() {
    let world = World::new(FaultPlan::none().at(0, Fault::Fail { errno: EIO }));
    let lease = world.lease();
    lease.block().flush().unwrap_err();
    lease.block().flush().unwrap_err();
    lease.release().unwrap();
    let again = world.lease();
    again.block().write_block(0, &[1; BLOCK_SIZE]).unwrap();
    again.block().flush().unwrap();
}

#[test]
fn a_poisoned_lease_that_has_ended_says_that_it_has_ended() {
    let world = World::new(FaultPlan::none().at(0, Fault::Fail { errno: EIO }));
    let lease = world.lease();
    lease.block().flush().unwrap_err();
    world.host.revoke(lease.lease_id()).unwrap();
    let error = lease.block().flush().unwrap_err();
    assert!(matches!(error, FabricError::Revoked { .. }), "{error}");
}

#[test]
fn a_power_cut_poisons_what_is_left_of_its_holder() {
    let world = World::new(FaultPlan::none().at(1, Fault::PowerCut { keep: Keep::None }));
    let lease = world.lease();
    lease.block().write_block(0, &[1; BLOCK_SIZE]).unwrap();
    let first = lease.block().flush().unwrap_err();
    assert!(matches!(first, FabricError::Disconnected { .. }), "{first}");
    world.disk.power_on().unwrap();
    assert_poisoned(&lease, &first.to_string());
}
