//! [`mem_host_suite`]: the contract of [`MemHost`], rule by rule.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use fabricbios_core::clock::{Clock, ManualClock};
use fabricbios_core::lease::LeaseId;
use fabricbios_core::state::LeaseStatus;

use super::random::Random;
use super::rule::{Broken, Checked, Rule, assert_all, ensure, ensure_eq, ensure_error, rules};
use crate::error::{FabricError, Result};
use crate::host::{BlockHost, Host, MemGrant, MemHost, MemRequest, RevokeOutcome};
use crate::mem::{MemBuilder, MemLease};

/// A host to test, with nothing leased. The suite asks for a new one for each rule.
#[derive(Debug)]
pub struct TestedMemHost {
    /// The host.
    pub host: Arc<dyn MemHost>,
    /// The clock that leases are judged by. The suite moves it.
    pub clock: Arc<ManualClock>,
    /// How many bytes the host lends at once at most. The suite leases more than half of it, so give the host a
    /// small limit: a few megabytes, and at least 64 KiB.
    pub capacity_bytes: u64,
}

/// The rules, in the words of their names.
const RULES: &[Rule<TestedMemHost>] = rules![
    self::{
        new_memory_reads_as_zeros,
        memory_of_an_earlier_lease_is_not_seen,
        what_is_written_is_read,
        threads_can_share_a_handle,
        leases_do_not_share_bytes,
        every_byte_inside_and_none_outside_can_be_used,
        a_grant_is_what_was_asked_for,
        lease_ids_are_never_used_again,
        more_than_there_is_is_refused,
        dropped_memory_is_free_again,
        released_memory_is_free_again,
        revoked_memory_is_free_again,
        a_lease_ends_at_its_deadline,
        renewal_moves_the_deadline,
        revocation_closes_every_handle,
        revocation_takes_the_contents,
        revocation_says_what_it_found,
    },
];

/// Checks every rule of the contract of [`MemHost`], each on a new host.
///
/// # Panics
/// If a rule is broken; the message names all that are, and how they were seen broken.
pub fn mem_host_suite(make: impl Fn() -> TestedMemHost) {
    assert_all("MemHost", RULES, make);
}

/// The names of the rules that [`mem_host_suite`] checks.
pub fn mem_host_rules() -> impl Iterator<Item = &'static str> {
    RULES.iter().map(|rule| rule.name)
}

const HOUR_SECS: u64 = 3600;

impl TestedMemHost {
    /// A lease of an hour through the builder.
    fn lease(&self, min_bytes: u64) -> Result<MemLease> {
        MemBuilder::new().on(&self.front()?).min_bytes(min_bytes).lease_secs(HOUR_SECS).acquire()
    }

    /// What a program would use; blocks are of no interest here.
    fn front(&self) -> Result<Host> {
        let clock: Arc<dyn Clock> = Arc::clone(&self.clock) as Arc<dyn Clock>;
        let block: Arc<dyn BlockHost> = Arc::new(super::RamBlockHost::new(Arc::clone(&clock)));
        Host::builder().block(block).mem(Arc::clone(&self.host)).clock(clock).build()
    }

    /// A lease of an hour from the backend itself.
    fn grant(&self, min_bytes: u64) -> Result<MemGrant> {
        self.host.acquire(&MemRequest { min_bytes, lease_secs: HOUR_SECS })
    }

    fn pass(&self, secs: u64) {
        self.clock.advance(Duration::from_secs(secs));
    }

    /// So much that two of it are more than there is.
    fn more_than_half(&self) -> u64 {
        self.capacity_bytes / 2 + 1
    }
}

fn new_memory_reads_as_zeros(tested: &TestedMemHost) -> Checked {
    let lease = tested.lease(10_000)?;
    let bytes = lease.mem().read(0, 10_000)?;
    ensure!(bytes.iter().all(|byte| *byte == 0), "new memory is not all zeros");
    Ok(())
}

fn memory_of_an_earlier_lease_is_not_seen(tested: &TestedMemHost) -> Checked {
    let bytes = tested.more_than_half();
    let len = usize::try_from(bytes)?;
    for end in ["dropped", "released", "revoked"] {
        let lease = tested.lease(bytes)?;
        lease.mem().write(0, &vec![0x5A; len])?;
        match end {
            "released" => lease.release()?,
            "revoked" => {
                tested.host.revoke(lease.lease_id())?;
                ensure_eq!(lease.status(), LeaseStatus::Revoked, "status");
            }
            _ => drop(lease),
        }
        let found = tested.lease(bytes)?.mem().read(0, len)?;
        ensure!(found.iter().all(|byte| *byte == 0), "bytes of a {end} lease are seen by the next one");
    }
    Ok(())
}

fn what_is_written_is_read(tested: &TestedMemHost) -> Checked {
    const LEN: usize = 5000;
    for seed in 0..4 {
        let lease = tested.lease(LEN as u64)?;
        let mut random = Random(seed);
        let mut model = vec![0; LEN];
        for step in 0..200 {
            let offset = random.below(LEN);
            let len = random.below(LEN - offset + 1);
            if random.below(2) == 0 {
                let bytes = random.bytes(len);
                lease.mem().write(offset as u64, &bytes)?;
                model[offset..offset + len].copy_from_slice(&bytes);
            } else {
                let same = lease.mem().read(offset as u64, len)? == model[offset..offset + len];
                ensure!(same, "read differs: seed={seed}, step={step}, offset={offset}, len={len}");
            }
        }
        ensure!(lease.mem().read(0, LEN)? == model, "the memory differs at the end: seed={seed}");
    }
    Ok(())
}

fn threads_can_share_a_handle(tested: &TestedMemHost) -> Checked {
    let lease = tested.lease(400)?;
    thread::scope(|scope| {
        let workers: Vec<_> = (0..4_u8)
            .map(|number| {
                let mem = lease.mem();
                scope.spawn(move || -> Checked {
                    let offset = u64::from(number) * 100;
                    for round in 0..=100 {
                        mem.write(offset, &[round; 100])?;
                        let kept = mem.read(offset, 100)? == [round; 100];
                        ensure!(kept, "bytes of one thread were changed by another: offset={offset}");
                    }
                    Ok(())
                })
            })
            .collect();
        workers.into_iter().try_for_each(|worker| match worker.join() {
            Ok(checked) => checked,
            Err(_) => Err(Broken("it panicked in a thread".to_owned())),
        })
    })?;
    ensure!(lease.mem().read(0, 400)? == [100; 400], "bytes differ after all threads have ended");
    Ok(())
}

fn leases_do_not_share_bytes(tested: &TestedMemHost) -> Checked {
    let (one, other) = (tested.lease(1000)?, tested.lease(1000)?);
    one.mem().write(0, &[1; 1000])?;
    other.mem().write(500, &[2; 500])?;
    ensure!(one.mem().read(0, 1000)? == [1; 1000], "a write to one lease changed another");
    ensure!(other.mem().read(0, 500)? == [0; 500], "a write to one lease is seen in another");
    Ok(())
}

fn every_byte_inside_and_none_outside_can_be_used(tested: &TestedMemHost) -> Checked {
    let lease = tested.lease(777)?;
    let (mem, size) = (lease.mem(), lease.mem().num_bytes());
    ensure!(size >= 777, "777 bytes asked for, {size} granted");
    mem.write(0, &vec![1; usize::try_from(size)?])?;
    for (offset, len) in [(size, 1), (size - 1, 2), (size + 9, 0), (u64::MAX, 1), (u64::MAX, 0)] {
        let end = offset.saturating_add(len as u64);
        let mut buffer = vec![9; len];
        let refused = [
            mem.write(offset, &vec![9; len]),
            mem.read_into(offset, &mut buffer),
            mem.read(offset, len).map(drop),
        ];
        for result in refused {
            ensure_error!(
                result,
                FabricError::CapacityExceeded { requested, available, .. }
                    if (*requested, *available) == (end, size),
                "{len} bytes at {offset} of {size}"
            );
        }
    }
    let too_long = mem.read(0, usize::MAX);
    ensure_error!(too_long, FabricError::CapacityExceeded { .. }, "a read of as many bytes as can be named");
    mem.write(size, &[])?;
    let found = mem.read(0, usize::try_from(size)?)?;
    ensure!(found.iter().all(|byte| *byte == 1), "a refused write changed something");
    Ok(())
}

fn a_grant_is_what_was_asked_for(tested: &TestedMemHost) -> Checked {
    let grant = tested.grant(12_345)?;
    ensure!(
        grant.memory.num_bytes() >= 12_345,
        "12345 bytes asked for, {} granted",
        grant.memory.num_bytes()
    );
    let (granted, asked) = (grant.lease.granted, Duration::from_secs(HOUR_SECS));
    ensure!(granted > Duration::ZERO && granted <= asked, "{asked:?} asked for, {granted:?} granted");
    ensure_eq!(grant.memory.host_status(), LeaseStatus::Active, "what the host says of a new lease");
    Ok(())
}

fn lease_ids_are_never_used_again(tested: &TestedMemHost) -> Checked {
    let mut ids = BTreeSet::new();
    for turn in 0..20 {
        let id = tested.grant(1)?.lease.lease_id;
        ensure!(ids.insert(id), "a lease id came twice: lease={id}, turn={turn}");
    }
    Ok(())
}

fn more_than_there_is_is_refused(tested: &TestedMemHost) -> Checked {
    let capacity = tested.capacity_bytes;
    for too_much in [capacity + 1, u64::MAX / 2, u64::MAX] {
        ensure_error!(
            tested.lease(too_much),
            FabricError::CapacityExceeded { requested, available, .. }
                if (*requested, *available) == (too_much, capacity),
            "{too_much} bytes of {capacity}"
        );
    }
    let held = tested.lease(tested.more_than_half())?;
    let left = capacity - held.mem().num_bytes();
    ensure_error!(
        tested.lease(tested.more_than_half()),
        FabricError::CapacityExceeded { available, .. } if *available == left,
        "the larger half of the memory, twice"
    );
    let front = tested.front()?;
    for senseless in [MemBuilder::new().on(&front).min_bytes(0), MemBuilder::new().on(&front).lease_secs(0)] {
        let what = format!("{senseless:?}");
        ensure_error!(senseless.acquire(), FabricError::InvalidRequest { .. }, "{what}");
    }
    held.mem().write(0, b"still there")?;
    Ok(())
}

fn dropped_memory_is_free_again(tested: &TestedMemHost) -> Checked {
    for _ in 0..3 {
        drop(tested.grant(tested.more_than_half())?);
    }
    Ok(())
}

fn released_memory_is_free_again(tested: &TestedMemHost) -> Checked {
    for _ in 0..3 {
        let lease = tested.lease(tested.more_than_half())?;
        let stale = lease.mem();
        lease.release()?;
        ensure_error!(stale.read(0, 1), FabricError::Released { .. }, "a read after release");
    }
    Ok(())
}

fn revoked_memory_is_free_again(tested: &TestedMemHost) -> Checked {
    let mut revoked = Vec::new();
    for _ in 0..3 {
        let lease = tested.lease(tested.more_than_half())?;
        tested.host.revoke(lease.lease_id())?;
        ensure_eq!(lease.status(), LeaseStatus::Revoked, "status");
        revoked.push(lease); // seen to be over, and not dropped
    }
    Ok(())
}

fn a_lease_ends_at_its_deadline(tested: &TestedMemHost) -> Checked {
    let lease = tested.lease(100)?;
    let (mem, ends) = (lease.mem(), lease.expires_at_unix_secs());
    let now = tested.clock.unix_ms() / 1000;
    ensure!(ends <= now + HOUR_SECS, "leased for an hour at {now}, ends at {ends}");
    tested.pass((ends - now).saturating_sub(1));
    ensure_eq!(lease.status(), LeaseStatus::Active, "status a second before the deadline");
    mem.write(0, &[1])?;
    tested.pass(2);
    ensure_eq!(lease.status(), LeaseStatus::Expired, "status after the deadline");
    for result in [mem.write(0, &[2]), mem.read(0, 1).map(drop), lease.renew()] {
        ensure_error!(result, FabricError::LeaseExpired { .. }, "an operation after the deadline");
    }
    Ok(())
}

fn renewal_moves_the_deadline(tested: &TestedMemHost) -> Checked {
    let lease = tested.lease(100)?;
    lease.mem().write(0, &[7])?;
    for _ in 0..3 {
        tested.pass(HOUR_SECS - 600);
        lease.renew()?;
        ensure_eq!(lease.status(), LeaseStatus::Active, "status after renewal");
    }
    ensure_eq!(lease.mem().read(0, 1)?, [7], "contents after renewal");
    tested.pass(HOUR_SECS + 1);
    ensure_eq!(lease.status(), LeaseStatus::Expired, "status after the last deadline");
    Ok(())
}

fn revocation_closes_every_handle(tested: &TestedMemHost) -> Checked {
    let lease = tested.lease(100)?;
    let (one, other) = (lease.mem(), lease.mem());
    one.write(0, &[1])?;
    ensure_eq!(tested.host.revoke(lease.lease_id())?, RevokeOutcome::TornDown, "outcome");
    for result in [one.write(0, &[2]), one.read(0, 1).map(drop), other.write(0, &[2]), lease.renew()] {
        ensure_error!(
            result,
            FabricError::Revoked { lease_id } if *lease_id == lease.lease_id(),
            "an operation after revocation"
        );
    }
    tested.pass(2 * HOUR_SECS);
    ensure_eq!(lease.status(), LeaseStatus::Revoked, "status after the deadline, which came second");
    Ok(())
}

fn revocation_takes_the_contents(tested: &TestedMemHost) -> Checked {
    let grant = tested.grant(100)?;
    grant.memory.write(0, &[0x5A; 100])?;
    tested.host.revoke(grant.lease.lease_id)?;
    ensure_eq!(grant.memory.host_status(), LeaseStatus::Revoked, "what the host says");
    // Past all checks: whoever still has the memory must not find its contents in it.
    let mut found = [0; 100];
    if grant.memory.read(0, &mut found).is_ok() {
        ensure!(found == [0; 100], "the contents are still there after revocation");
    }
    ensure!(found != [0x5A; 100], "the contents were handed out with an error after revocation");
    Ok(())
}

fn revocation_says_what_it_found(tested: &TestedMemHost) -> Checked {
    let unknown = LeaseId(0x00dd_1e5e_0000_0000_0000_0000_0000_0003);
    ensure_eq!(tested.host.revoke(unknown)?, RevokeOutcome::NotFound, "of a lease that never was");
    let lease = tested.lease(10)?;
    let id = lease.lease_id();
    ensure_eq!(tested.host.revoke(id)?, RevokeOutcome::TornDown, "of an active lease");
    ensure_eq!(tested.host.revoke(id)?, RevokeOutcome::NotFound, "of a lease that was revoked before");
    let lease = tested.lease(10)?;
    let id = lease.lease_id();
    lease.release()?;
    ensure_eq!(tested.host.revoke(id)?, RevokeOutcome::NotFound, "of a released lease");
    Ok(())
}
