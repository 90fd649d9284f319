//! Two processes and one volume of the local host: who gets it, who is told what, what a kill leaves.

use std::env;
use std::path::Path;

use fabricbios_core::lease::{FenceEpoch, LeaseId};
use fabricbios_core::recovery::Recovery;
use fabricbios_core::state::LeaseStatus;
use grafos_std::FabricError;
use grafos_std::block::{BLOCK_SIZE, BlockBuilder, BlockLease};
use grafos_std::host::{Host, LocalHost, RevokeOutcome};

use super::child::{Child, listen, say};

const VOLUME: &str = "shared";

/// The child's part: takes the volume, writes and flushes a 1, then does what it is told.
pub(crate) fn play_holder() {
    let home = env::var_os("GRAFOS_HOME").unwrap();
    let lease = acquire(&open(Path::new(&home))).unwrap();
    let block = lease.block();
    block.write_block(0, &[1; BLOCK_SIZE]).unwrap();
    block.flush().unwrap();
    say(&format!("{} {}", lease.lease_id(), lease.epoch()));
    for order in listen() {
        match order.as_str() {
            "write" => match block.write_block(0, &[2; BLOCK_SIZE]).and_then(|()| block.flush()) {
                Ok(()) => say("written"),
                Err(error) => say(&error.to_string()),
            },
            "status" => say(&lease.status().to_string()),
            other => panic!("no such order: {other}"),
        }
    }
}

struct Holder {
    child: Child,
    lease_id: LeaseId,
    epoch: FenceEpoch,
}

impl Holder {
    fn start(home: &Path) -> Self {
        let mut child = Child::start("holder", home);
        let said = child.hear();
        let (lease_id, epoch) = said.split_once(' ').unwrap();
        Self { child, lease_id: lease_id.parse().unwrap(), epoch: FenceEpoch(epoch.parse().unwrap()) }
    }
}

fn open(home: &Path) -> Host {
    LocalHost::builder().home(home).open().unwrap()
}

fn acquire(host: &Host) -> grafos_std::Result<BlockLease> {
    BlockBuilder::new().on(host).volume(VOLUME).min_blocks(2).acquire()
}

fn first_byte(lease: &BlockLease) -> u8 {
    let mut block = [0; BLOCK_SIZE];
    lease.block().read_block(0, &mut block).unwrap();
    block[0]
}

#[test]
fn the_second_process_learns_who_holds_the_volume() {
    let home = tempfile::tempdir().unwrap();
    let mut holder = Holder::start(home.path());
    let host = open(home.path());
    for refused in [acquire(&host), BlockBuilder::attach_on(&host, holder.lease_id)] {
        let error = refused.unwrap_err();
        assert_eq!(error.recovery(), Recovery::RetryLater);
        let pid = holder.child.pid();
        assert!(
            matches!(&error, FabricError::Held { holder_pid: Some(found), .. } if *found == pid),
            "{error}"
        );
        assert!(error.to_string().contains(&format!("holder_pid={pid}")), "{error}");
    }
    assert_eq!(holder.child.ask("write"), "written", "the holder is not disturbed");
    BlockBuilder::new().on(&host).volume("another").acquire().unwrap();
}

#[test]
fn the_volume_of_a_killed_process_is_free_at_once() {
    let home = tempfile::tempdir().unwrap();
    let mut last_epoch = FenceEpoch(0);
    for _ in 0..3 {
        let holder = Holder::start(home.path());
        assert!(holder.epoch > last_epoch);
        holder.child.kill();
        let lease = acquire(&open(home.path())).unwrap();
        assert!(lease.epoch() > holder.epoch);
        assert_ne!(lease.lease_id(), holder.lease_id);
        assert_eq!(first_byte(&lease), 1, "what the dead process flushed");
        last_epoch = lease.epoch();
    }
}

#[test]
fn the_lease_of_a_killed_process_can_be_attached() {
    let home = tempfile::tempdir().unwrap();
    let holder = Holder::start(home.path());
    holder.child.kill();
    let lease = BlockBuilder::attach_on(&open(home.path()), holder.lease_id).unwrap();
    assert_eq!((lease.lease_id(), lease.status()), (holder.lease_id, LeaseStatus::Active));
    assert!(lease.epoch() > holder.epoch);
    assert_eq!(first_byte(&lease), 1);
}

#[test]
fn revocation_reaches_a_holder_in_another_process() {
    let home = tempfile::tempdir().unwrap();
    let mut holder = Holder::start(home.path());
    let host = open(home.path());
    assert_eq!(holder.child.ask("status"), "active");
    assert_eq!(host.revoke(holder.lease_id).unwrap(), RevokeOutcome::TornDown);
    let refused = holder.child.ask("write");
    assert_eq!(refused, FabricError::Revoked { lease_id: holder.lease_id }.to_string());
    assert_eq!(holder.child.ask("status"), "revoked");

    // The holder has seen the end and let go, though its process and its lease value live on.
    let lease = acquire(&host).unwrap();
    assert!(lease.epoch() > holder.epoch);
    assert_eq!(first_byte(&lease), 1, "the refused write did not land");
    assert_eq!(holder.child.ask("status"), "revoked");
    assert_eq!(lease.status(), LeaseStatus::Active, "the new lease is not the revoked one");
}

#[test]
fn a_holder_that_ends_in_order_releases() {
    let home = tempfile::tempdir().unwrap();
    let Holder { child, lease_id, .. } = Holder::start(home.path());
    assert!(child.close().success());
    let error = BlockBuilder::attach_on(&open(home.path()), lease_id).unwrap_err();
    assert!(matches!(error, FabricError::Released { .. }), "{error}");
}
