//! Planned power cuts over every host below: what was flushed is there, what was not can be lost.

use std::sync::Arc;

use fabricbios_core::clock::{Clock, ManualClock};
use grafos_std::FabricError;
use grafos_std::block::{BLOCK_SIZE, BlockBuilder, BlockLease};
use grafos_std::host::testing::{FaultyBlockHost, Keep, RamBlockHost};
use grafos_std::host::{BlockHost, Host, IoMode, LocalHost};

struct World {
    disk: FaultyBlockHost,
    host: Host,
}

impl World {
    fn over(below: Arc<dyn BlockHost>, clock: Arc<dyn Clock>) -> Self {
        let disk = FaultyBlockHost::new(below);
        let host = Host::builder().block(Arc::new(disk.clone())).clock(clock).build().unwrap();
        Self { disk, host }
    }

    fn lease(&self) -> BlockLease {
        BlockBuilder::new().on(&self.host).volume("v").min_blocks(24).acquire().unwrap()
    }

    fn cut_power(&self, keep: &Keep) {
        self.disk.cut_power(keep);
        self.disk.power_on().unwrap();
    }
}

/// Runs `test` over a host in memory, and over files with and without direct I/O.
fn over_every_host(test: impl Fn(&World)) {
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::default());
    test(&World::over(Arc::new(RamBlockHost::new(Arc::clone(&clock))), Arc::clone(&clock)));
    for io_mode in [IoMode::Auto, IoMode::Buffered] {
        let home = tempfile::tempdir().unwrap();
        let builder = LocalHost::builder().home(home.path()).clock(Arc::clone(&clock)).io_mode(io_mode);
        test(&World::over(Arc::new(builder.open_block_host().unwrap()), Arc::clone(&clock)));
    }
}

fn first_bytes(lease: &BlockLease) -> Vec<u8> {
    let mut bytes = vec![0; 24 * BLOCK_SIZE];
    lease.block().read_blocks(0, &mut bytes).unwrap();
    bytes.iter().step_by(BLOCK_SIZE).copied().collect()
}

#[test]
fn a_power_cut_takes_back_what_was_not_flushed_and_nothing_else() {
    over_every_host(|world| {
        let lease = world.lease();
        lease.block().write_blocks(0, &[1; 24 * BLOCK_SIZE]).unwrap();
        lease.block().flush().unwrap();
        lease.block().write_blocks(3, &[2; 17 * BLOCK_SIZE]).unwrap();
        lease.block().write_block(23, &[3; BLOCK_SIZE]).unwrap();
        let mut kept = vec![false; 18];
        (kept[0], kept[9], kept[17]) = (true, true, true);
        world.cut_power(&Keep::Subset(kept));
        let mut expected = [1; 24];
        (expected[3], expected[12], expected[23]) = (2, 2, 3);
        assert_eq!(first_bytes(&world.lease()), expected);
    });
}

#[test]
fn writes_of_a_dead_process_are_lost_by_a_power_cut_though_nobody_holds_the_volume() {
    over_every_host(|world| {
        let lease = world.lease();
        lease.block().write_block(0, &[1; BLOCK_SIZE]).unwrap();
        lease.block().flush().unwrap();
        lease.block().write_block(0, &[2; BLOCK_SIZE]).unwrap();
        world.disk.kill_holders();
        world.cut_power(&Keep::None);
        let attached = BlockBuilder::attach_on(&world.host, lease.lease_id()).unwrap();
        assert_eq!(first_bytes(&attached)[0], 1);
        attached.block().write_block(0, &[3; BLOCK_SIZE]).unwrap();
        attached.release().unwrap();
        // Now even the lease is over, so the way back to the volume is a new one.
        world.cut_power(&Keep::None);
        assert_eq!(first_bytes(&world.lease())[0], 1);
    });
}

#[test]
fn a_lease_outlives_a_power_cut_and_its_old_holder_does_not() {
    over_every_host(|world| {
        let lease = world.lease();
        world.cut_power(&Keep::All);
        let attached = BlockBuilder::attach_on(&world.host, lease.lease_id()).unwrap();
        assert_eq!(attached.lease_id(), lease.lease_id());
        assert!(attached.epoch() > lease.epoch());
        let error = lease.block().write_block(0, &[9; BLOCK_SIZE]).unwrap_err();
        assert!(matches!(error, FabricError::Disconnected { .. }), "{error}");
        drop(lease);
        assert_eq!(first_bytes(&attached)[0], 0, "the old holder is dead in every respect");
    });
}
