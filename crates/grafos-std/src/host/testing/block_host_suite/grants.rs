//! Who gets a volume, under which name, id and epoch.

use std::collections::BTreeSet;
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Duration;

use fabricbios_core::clock::Clock;
use fabricbios_core::resource::{ResourceId, ResourceKind};
use fabricbios_core::state::LeaseStatus;

use super::super::rule::{Checked, ensure, ensure_eq, ensure_error};
use super::{HOUR_SECS, TestedBlockHost, block_of, fills, request};
use crate::error::FabricError;
use crate::host::{BlockGrant, BlockHost, BlockRequest};

pub(super) fn a_grant_is_what_was_asked_for(tested: &TestedBlockHost) -> Checked {
    let grant = tested.grant("asked.for_1", 9)?;
    ensure_eq!(grant.volume.as_str(), "asked.for_1", "name of the granted volume");
    ensure!(grant.blocks.num_blocks() >= 9, "9 blocks asked for, {} granted", grant.blocks.num_blocks());
    let granted = grant.lease.granted;
    let asked = Duration::from_secs(HOUR_SECS);
    ensure!(granted > Duration::ZERO && granted <= asked, "{asked:?} asked for, {granted:?} granted");
    ensure_eq!(grant.blocks.host_status(), LeaseStatus::Active, "what the host says of a new lease");
    drop(grant);

    let lease = tested.lease("through-the-builder", 1)?;
    ensure_eq!(lease.status(), LeaseStatus::Active, "status of a new lease");
    let (now, ends) = (tested.clock.unix_ms() / 1000, lease.expires_at_unix_secs());
    ensure!(ends > now && ends <= now + HOUR_SECS, "leased for an hour at {now}, ends at {ends}");
    Ok(())
}

pub(super) fn epochs_only_rise(tested: &TestedBlockHost) -> Checked {
    let mut last = None;
    for turn in 0..12 {
        let grant = tested.grant("v", 1)?;
        let (acquired, lease_id) = (grant.lease.epoch, grant.lease.lease_id);
        ensure!(last < Some(acquired), "epoch of grant {turn}: before={last:?}, granted={acquired}");
        if turn % 3 == 0 {
            grant.blocks.release()?;
            last = Some(acquired);
            continue;
        }
        drop(grant);
        let attached = tested.host.attach(lease_id)?.lease.epoch;
        ensure!(attached > acquired, "epoch of a reattachment: before={acquired}, granted={attached}");
        last = Some(attached);
    }
    Ok(())
}

pub(super) fn epochs_do_not_fall_with_a_restart(tested: &TestedBlockHost) -> Checked {
    let mut last = None;
    for turn in 0..6 {
        let epoch = (tested.reopen)().acquire(&request("v", 1)?)?.lease.epoch;
        ensure!(last < Some(epoch), "epoch after restart {turn}: before={last:?}, granted={epoch}");
        last = Some(epoch);
    }
    let epoch = tested.grant("v", 1)?.lease.epoch;
    ensure!(last < Some(epoch), "epoch on the first host: before={last:?}, granted={epoch}");
    Ok(())
}

pub(super) fn lease_ids_are_never_used_again(tested: &TestedBlockHost) -> Checked {
    let reopened = (tested.reopen)();
    let mut ids = BTreeSet::new();
    for turn in 0..8 {
        for host in [&tested.host, &reopened] {
            for volume in ["v", "w"] {
                let id = host.acquire(&request(volume, 1)?)?.lease.lease_id;
                ensure!(ids.insert(id), "a lease id came twice: lease={id}, turn={turn}");
            }
        }
    }
    Ok(())
}

pub(super) fn a_volume_has_one_holder(tested: &TestedBlockHost) -> Checked {
    let grant = tested.grant("v", 2)?;
    ensure_held(&tested.host, "v")?;
    grant.blocks.write(0, &block_of(1))?;
    drop(grant);

    const RACERS: usize = 6;
    let (host, request) = (&tested.host, request("raced-for", 1)?);
    let start = Barrier::new(RACERS);
    let outcomes: Vec<Result<BlockGrant, FabricError>> = thread::scope(|scope| {
        let race = || {
            start.wait();
            host.acquire(&request)
        };
        let racers: Vec<_> = (0..RACERS).map(|_| scope.spawn(race)).collect();
        racers.into_iter().filter_map(|racer| racer.join().ok()).collect()
    });
    let winners = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
    ensure_eq!((outcomes.len(), winners), (RACERS, 1), "racers that came home, and how many have the volume");
    for loser in outcomes.iter().filter(|outcome| outcome.is_err()) {
        ensure_error!(loser, FabricError::Held { .. }, "one that lost the race");
    }
    Ok(())
}

pub(super) fn a_volume_has_one_holder_across_hosts(tested: &TestedBlockHost) -> Checked {
    let reopened = (tested.reopen)();
    let grant = tested.grant("v", 2)?;
    ensure_held(&reopened, "v")?;
    grant.blocks.write(0, &block_of(1))?;
    drop(grant);
    let grant = reopened.acquire(&request("v", 2)?)?;
    ensure_held(&tested.host, "v")?;
    grant.blocks.write(0, &block_of(2))?;
    Ok(())
}

fn ensure_held(host: &Arc<dyn BlockHost>, volume: &str) -> Checked {
    let refused = host.acquire(&request(volume, 1)?);
    let expected = ResourceId::new(ResourceKind::Block, volume);
    ensure_error!(
        refused,
        FabricError::Held { resource, .. } if *resource == expected,
        "volume {volume} of a living holder"
    );
    Ok(())
}

pub(super) fn a_dead_holder_holds_nothing(tested: &TestedBlockHost) -> Checked {
    let dead = tested.grant("v", 1)?;
    let (dead_id, dead_epoch) = (dead.lease.lease_id, dead.lease.epoch);
    drop(dead);
    let next = tested.grant("v", 1)?;
    ensure!(next.lease.lease_id != dead_id, "the next holder got the lease of the dead one");
    ensure!(next.lease.epoch > dead_epoch, "the next holder's epoch is not above that of the dead one");
    next.blocks.write(0, &block_of(1))?;
    Ok(())
}

pub(super) fn unnamed_volumes_are_new_and_can_be_found_again(tested: &TestedBlockHost) -> Checked {
    let unnamed = BlockRequest { volume: None, min_blocks: 2, lease_secs: HOUR_SECS };
    let (first, second) = (tested.host.acquire(&unnamed)?, tested.host.acquire(&unnamed)?);
    ensure!(first.volume != second.volume, "two unnamed volumes have the same name: {}", first.volume);
    first.blocks.write(0, &[1; 1024])?;
    second.blocks.write(0, &[2; 1024])?;
    let names = [first.volume.clone(), second.volume.clone()];
    drop((first, second));
    let third = tested.host.acquire(&unnamed)?;
    ensure!(!names.contains(&third.volume), "an unnamed volume was given out again: {}", third.volume);
    ensure_eq!(fills(third.blocks.as_ref())?[..2], [0, 0], "blocks of a new unnamed volume");
    for (name, fill) in names.into_iter().zip([1, 2]) {
        let found = tested.grant(name.as_str(), 1)?;
        ensure_eq!(
            fills(found.blocks.as_ref())?[..2],
            [fill, fill],
            "blocks of volume {name}, found by its name"
        );
    }
    Ok(())
}
