//! Rules about device memory.

use std::thread;

use super::super::rule::{Broken, Checked, ensure, ensure_eq, ensure_error};
use super::{MIB, TestedGpuHost};
use crate::error::FabricError;
use crate::gpu::GpuSession;

const LEN: u64 = 100_000;

pub(super) fn new_device_memory_reads_as_zeros(tested: &TestedGpuHost) -> Checked {
    let lease = tested.lease()?;
    let mut session = GpuSession::new(&lease);
    for bytes in [1, 255, 256, 4096, LEN] {
        for memory in [session.mem_alloc(bytes)?, session.mem_alloc_zeroed(bytes)?] {
            let found = session.mem_read(&memory, 0, bytes)?;
            ensure!(found.iter().all(|byte| *byte == 0), "new memory of {bytes} bytes is not all zeros");
            session.mem_write(&memory, 0, &vec![0x5A; found.len()])?; // for the next one to find
        }
    }
    Ok(())
}

pub(super) fn memory_of_an_earlier_session_is_not_seen(tested: &TestedGpuHost) -> Checked {
    let lease = tested.lease()?;
    for end in ["freed", "dropped", "of a closed session", "of a released lease", "of a revoked lease"] {
        let inner = tested.lease()?;
        let mut session = GpuSession::new(&inner);
        let memory = session.mem_alloc(MIB)?;
        session.mem_fill(&memory, 0, 0x5A, MIB)?;
        session.sync()?;
        match end {
            "freed" => session.mem_free(memory)?,
            "dropped" => drop(memory),
            "of a closed session" => session.close()?,
            "of a released lease" => inner.release()?,
            _ => drop(tested.host.revoke(inner.lease_id())?),
        }
        let mut next = GpuSession::new(&lease);
        for _ in 0..4 {
            let memory = next.mem_alloc(MIB)?;
            let found = next.mem_read(&memory, 0, MIB)?;
            ensure!(found.iter().all(|byte| *byte == 0), "bytes of memory {end} are seen by the next one");
        }
    }
    Ok(())
}

pub(super) fn every_byte_inside_an_allocation_and_none_outside_can_be_used(
    tested: &TestedGpuHost,
) -> Checked {
    let lease = tested.lease()?;
    let mut session = GpuSession::new(&lease);
    let size = 1000;
    let memory = session.mem_alloc(size)?;
    let other = session.mem_alloc(size)?;
    ensure_eq!(memory.len_bytes(), size, "the size of an allocation");
    session.mem_write(&memory, 0, &[1; 1000])?;
    session.mem_write(&memory, size - 1, &[2])?;
    ensure_eq!(session.mem_read(&memory, size - 1, 1)?, [2], "the last byte");
    for (offset, len) in [(size, 1), (size - 1, 2), (0, 1001), (u64::MAX, 1), (u64::MAX - 1, 5)] {
        let end = offset.saturating_add(len);
        let bytes = vec![9; usize::try_from(len)?];
        let refused = [
            session.mem_write(&memory, offset, &bytes),
            session.mem_read(&memory, offset, len).map(drop),
            session.mem_read_into(&memory, offset, &mut bytes.clone()),
            session.mem_fill(&memory, offset, 9, len),
            session.mem_copy(&memory, offset, &other, 0, len),
            session.mem_copy(&other, 0, &memory, offset, len),
        ];
        for result in refused {
            ensure_error!(
                result,
                FabricError::CapacityExceeded { requested, available, .. }
                    if *available == size && (*requested == end || *requested == len),
                "{len} bytes at {offset} of {size}"
            );
        }
    }
    session.mem_write(&memory, size, &[])?;
    session.mem_zero(&memory, size, 0)?;
    ensure_error!(session.mem_alloc(0), FabricError::InvalidRequest { .. }, "an allocation of nothing");
    ensure_error!(
        session.mem_copy(&memory, 0, &memory, 10, 11),
        FabricError::InvalidRequest { .. },
        "a copy between ranges that overlap"
    );
    let found = session.mem_read(&memory, 0, 999)?;
    ensure!(found.iter().all(|byte| *byte == 1), "something that was refused changed the memory");
    Ok(())
}

pub(super) fn allocations_are_aligned_and_apart(tested: &TestedGpuHost) -> Checked {
    let lease = tested.lease()?;
    let mut session = GpuSession::new(&lease);
    let mut ranges = Vec::new();
    for bytes in [1, 2, 255, 256, 257, 5000] {
        let memory = session.mem_alloc(bytes)?;
        ensure!(memory.raw() != 0 && memory.raw() % 256 == 0, "an allocation at {:#x}", memory.raw());
        let byte = u8::try_from(ranges.len() + 1)?;
        session.mem_fill(&memory, 0, byte, bytes)?;
        ranges.push((memory, byte));
    }
    for (memory, byte) in &ranges {
        let found = session.mem_read(memory, 0, memory.len_bytes())?;
        ensure!(found.iter().all(|it| it == byte), "an allocation holds bytes of another one");
    }
    ranges.sort_by_key(|(memory, _)| memory.raw());
    for pair in ranges.windows(2) {
        let (end, next) = (pair[0].0.raw() + pair[0].0.len_bytes(), pair[1].0.raw());
        ensure!(end <= next, "an allocation ends at {end:#x}, the next one begins at {next:#x}");
    }
    Ok(())
}

pub(super) fn sessions_do_not_share_memory(tested: &TestedGpuHost) -> Checked {
    let lease = tested.lease()?;
    let mut sessions = Vec::new();
    for byte in 1..=3_u8 {
        let mut session = GpuSession::new(&lease);
        let memory = session.mem_alloc(LEN)?;
        session.mem_fill(&memory, 0, byte, LEN)?;
        sessions.push((session, memory, byte));
    }
    for (session, memory, byte) in &sessions {
        let found = session.mem_read(memory, 0, LEN)?;
        ensure!(found.iter().all(|it| it == byte), "memory of a session holds bytes of another one");
    }
    Ok(())
}

pub(super) fn threads_can_share_a_session(tested: &TestedGpuHost) -> Checked {
    let lease = tested.lease()?;
    let mut session = GpuSession::new(&lease);
    let memory = session.mem_alloc(400)?;
    let (shared, all) = (&session, &memory);
    thread::scope(|scope| {
        let workers: Vec<_> = (0..4_u8)
            .map(|number| {
                scope.spawn(move || -> Checked {
                    let start = u64::from(number) * 100;
                    for turn in 0..50 {
                        shared.mem_write(all, start, &[number ^ turn; 100])?;
                        let found = shared.mem_read(all, start, 100)?;
                        ensure!(found == [number ^ turn; 100], "a thread reads what another one wrote");
                    }
                    Ok(())
                })
            })
            .collect();
        workers.into_iter().try_for_each(|worker| {
            worker.join().unwrap_or_else(|_| Err(Broken("a thread panicked".to_owned())))
        })
    })
}

pub(super) fn a_lease_allocates_no_more_than_it_has(tested: &TestedGpuHost) -> Checked {
    let lease = tested.lease()?; // of 16 MiB
    let has = lease.vram_bytes();
    ensure!(has < 32 * MIB, "16 MiB asked for, {has} bytes granted though it is shared");
    let (mut one, mut other) = (GpuSession::new(&lease), GpuSession::new(&lease));
    let kept = one.mem_alloc(has - 4 * MIB)?;
    for session in [&mut one, &mut other] {
        ensure_error!(
            session.mem_alloc(5 * MIB),
            FabricError::CapacityExceeded { .. },
            "more than is left of the lease's memory"
        );
        ensure_error!(
            session.mem_alloc(u64::MAX),
            FabricError::CapacityExceeded { .. },
            "all there could be"
        );
    }
    let rest = other.mem_alloc(3 * MIB)?;
    one.mem_write(&kept, 0, b"still there")?;
    other.mem_write(&rest, 0, b"still there")?;
    Ok(())
}

pub(super) fn freed_memory_can_be_allocated_again(tested: &TestedGpuHost) -> Checked {
    let lease = tested.lease()?;
    let mut session = GpuSession::new(&lease);
    for turn in 0..6 {
        let memory = session.mem_alloc(12 * MIB)?;
        if turn % 2 == 0 { session.mem_free(memory)? } else { drop(memory) }
    }
    for _ in 0..3 {
        let mut other = GpuSession::new(&lease);
        let _memory = other.mem_alloc(12 * MIB)?;
    }
    let _memory = session.mem_alloc(12 * MIB)?;
    Ok(())
}
