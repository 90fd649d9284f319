//! What the conformance suite does not see: images, the size limit, holders that were cut off.

use fabricbios_core::clock::ManualClock;

use super::*;
use crate::error::FenceReason;

fn host() -> RamBlockHost {
    RamBlockHost::with_max_blocks(Arc::new(ManualClock::default()), 10)
}

fn name(name: &str) -> VolumeName {
    name.parse().unwrap()
}

fn acquire(host: &RamBlockHost, volume: &str, min_blocks: u64) -> Result<BlockGrant> {
    host.acquire(&BlockRequest { volume: Some(name(volume)), min_blocks, lease_secs: 60 })
}

#[test]
fn an_image_is_what_the_holder_wrote_and_the_holder_reads_what_the_image_says() {
    let host = host();
    let grant = acquire(&host, "v", 2).unwrap();
    grant.blocks.write(1, &[7; BLOCK_SIZE]).unwrap();
    let mut image = host.image(&name("v")).unwrap();
    assert_eq!((image.len(), image[BLOCK_SIZE - 1], image[BLOCK_SIZE]), (2 * BLOCK_SIZE, 0, 7));
    image[3] = 9;
    host.set_image(&name("v"), image).unwrap();
    let mut block = [0; BLOCK_SIZE];
    grant.blocks.read(0, &mut block).unwrap();
    assert_eq!(block[..5], [0, 0, 0, 9, 0]);
    assert_eq!(host.image(&name("other")), None);
}

#[test]
fn an_image_makes_a_volume_or_cuts_an_unheld_one_short() {
    let host = host();
    host.set_image(&name("v"), vec![1; 3 * BLOCK_SIZE]).unwrap();
    let grant = acquire(&host, "v", 1).unwrap();
    assert_eq!(grant.blocks.num_blocks(), 3);
    let error = host.set_image(&name("v"), vec![1; BLOCK_SIZE]).unwrap_err();
    assert!(matches!(error, FabricError::Held { .. }), "{error}");
    drop(grant);
    host.set_image(&name("v"), vec![1; BLOCK_SIZE]).unwrap();
    assert_eq!(acquire(&host, "v", 1).unwrap().blocks.num_blocks(), 1);
    for len in [0, 1, BLOCK_SIZE + 1] {
        let error = host.set_image(&name("v"), vec![0; len]).unwrap_err();
        assert!(matches!(error, FabricError::InvalidRequest { .. }), "{len}: {error}");
    }
}

#[test]
fn all_volumes_together_stay_below_the_limit() {
    let host = host();
    let _first = acquire(&host, "first", 6).unwrap();
    for refused in
        [acquire(&host, "second", 5).map(drop), host.set_image(&name("second"), vec![0; 5 * BLOCK_SIZE])]
    {
        let error = refused.unwrap_err();
        assert!(matches!(error, FabricError::CapacityExceeded { requested: 5, available: 4, .. }), "{error}");
    }
    assert_eq!(host.image(&name("second")), None, "a refused volume is not made");
    acquire(&host, "second", 4).unwrap();
}

#[test]
fn a_volume_can_grow_to_the_limit_whatever_it_had_before() {
    let host = host();
    acquire(&host, "v", 8).unwrap();
    assert_eq!(acquire(&host, "v", 10).unwrap().blocks.num_blocks(), 10);
    assert!(acquire(&host, "v", 11).is_err());
}

#[test]
fn a_host_without_a_limit_still_refuses_what_memory_cannot_hold() {
    let host = RamBlockHost::with_max_blocks(Arc::new(ManualClock::default()), u64::MAX);
    for blocks in [u64::MAX, 1 << 54] {
        let error = acquire(&host, "v", blocks).unwrap_err();
        assert!(
            matches!(error, FabricError::CapacityExceeded { requested, .. } if requested == blocks),
            "{error}"
        );
    }
    assert_eq!(host.image(&name("v")), None);
}

#[test]
fn a_forgotten_holder_works_until_the_next_one_comes_and_is_fenced_then() {
    let host = host();
    assert!(!host.forget_holder(&name("v")), "there is no such volume");
    let old = acquire(&host, "v", 1).unwrap();
    assert!(host.forget_holder(&name("v")));
    assert!(!host.forget_holder(&name("v")), "it has no holder any more");
    old.blocks.write(0, &[1; BLOCK_SIZE]).unwrap();

    let new = acquire(&host, "v", 1).unwrap();
    let mut block = [0; BLOCK_SIZE];
    let fenced = [old.blocks.write(0, &[9; BLOCK_SIZE]), old.blocks.flush(), old.blocks.read(0, &mut block)];
    for result in fenced {
        let error = result.unwrap_err();
        let FabricError::Fenced { held, current, reason, .. } = error else { panic!("{error}") };
        assert_eq!((held, current, reason), (old.lease.epoch, new.lease.epoch, FenceReason::NewerWriter));
    }
    assert!(matches!(old.blocks.renew(60), Err(FabricError::LeaseNotFound { .. })));
    drop(old);
    let error = acquire(&host, "v", 1).unwrap_err();
    assert!(matches!(error, FabricError::Held { .. }), "the old holder's death frees nothing: {error}");
    new.blocks.read(0, &mut block).unwrap();
    assert_eq!(block, [1; BLOCK_SIZE]);
}

#[test]
fn addresses_past_the_end_are_refused_though_callers_should_have_checked() {
    let host = host();
    let grant = acquire(&host, "v", 2).unwrap();
    for (first, blocks) in [(2, 1), (1, 2), (u64::MAX, 1), (u64::MAX / 512, 1)] {
        let mut buffer = vec![0; blocks * BLOCK_SIZE];
        for result in [grant.blocks.write(first, &buffer), grant.blocks.read(first, &mut buffer)] {
            let error = result.unwrap_err();
            assert!(matches!(error, FabricError::CapacityExceeded { available: 2, .. }), "{error}");
        }
    }
}
