//! Rules about copies between program and device, and within the device.

use super::super::random::Random;
use super::super::rule::{Checked, ensure, ensure_eq, ensure_error};
use super::{Loaded, PATIENCE, TestedGpuHost};
use crate::error::FabricError;
use crate::gpu::GpuSession;

pub(super) fn what_is_written_to_a_device_is_read(tested: &TestedGpuHost) -> Checked {
    const LEN: usize = 5000;
    let lease = tested.lease()?;
    for seed in 0..4 {
        let mut session = GpuSession::new(&lease);
        let memories = [session.mem_alloc(LEN as u64)?, session.mem_alloc(LEN as u64)?];
        let mut models = [vec![0_u8; LEN], vec![0; LEN]];
        let mut random = Random(seed);
        for step in 0..100 {
            let this = random.below(2);
            let that = 1 - this;
            let (offset, source) = (random.below(LEN), random.below(LEN));
            let len = random.below(LEN - offset.max(source) + 1);
            let (at, from) = (offset as u64, source as u64);
            match random.below(4) {
                0 => {
                    let bytes = random.bytes(len);
                    session.mem_write(&memories[this], at, &bytes)?;
                    models[this][offset..offset + len].copy_from_slice(&bytes);
                }
                1 => {
                    session.mem_copy(&memories[this], at, &memories[that], from, len as u64)?;
                    let bytes = models[that][source..source + len].to_vec();
                    models[this][offset..offset + len].copy_from_slice(&bytes);
                }
                2 => {
                    let byte = u8::try_from(step)?;
                    session.mem_fill(&memories[this], at, byte, len as u64)?;
                    models[this][offset..offset + len].fill(byte);
                }
                _ => {
                    let same =
                        session.mem_read(&memories[this], at, len)? == models[this][offset..offset + len];
                    ensure!(same, "read differs: seed={seed}, step={step}, offset={offset}, len={len}");
                }
            }
        }
        for (memory, model) in memories.iter().zip(&models) {
            let mut found = vec![7; LEN];
            session.mem_read_into(memory, 0, &mut found)?;
            ensure!(found == *model, "the memory differs at the end: seed={seed}");
        }
    }
    Ok(())
}

pub(super) fn staging_buffers_come_back_with_the_bytes(tested: &TestedGpuHost) -> Checked {
    let lease = tested.lease()?;
    let mut session = GpuSession::new(&lease);
    let stream = session.stream_create()?;
    let memory = session.mem_alloc(1000)?;
    let mut staging = session.staging_alloc(600)?;
    ensure!(staging.len() == 600 && staging.iter().all(|byte| *byte == 0), "a new buffer is 600 zeros");
    staging.fill(3);
    let staging = session.copy_from_staging(&stream, &memory, 100, staging, 500)?.wait()?;
    let mut expected = vec![0; 1000];
    expected[100..600].fill(3);
    ensure!(session.mem_read(&memory, 0, 1000)? == expected, "the device has something else than was copied");

    session.mem_write(&memory, 0, &[9; 50])?;
    let copy = session.copy_to_staging(&stream, &memory, 0, staging, 200)?;
    session.stream_sync(&stream)?;
    ensure!(copy.is_done(), "the stream is done and its copy is not");
    let mut staging = copy.wait()?;
    ensure_eq!(staging[..50], [9; 50], "the first bytes that were copied");
    ensure_eq!(staging[100..200], [3; 100], "the last bytes that were copied");
    ensure_eq!(staging[200..], [3; 400], "what lies behind the copied bytes");
    staging[0] = 1;

    ensure_error!(
        session.copy_to_staging(&stream, &memory, 0, staging, 601),
        FabricError::CapacityExceeded { requested: 601, available: 600, .. },
        "a copy that is longer than its buffer"
    );
    // One that nobody waits for takes nothing along.
    let staging = session.staging_alloc(600)?;
    drop(session.copy_to_staging(&stream, &memory, 0, staging, 600)?);
    session.sync()?;
    let survivor = session.staging_alloc(5)?;
    session.close()?;
    ensure_eq!(survivor[..], [0; 5], "a buffer that has outlived its session");
    Ok(())
}

pub(super) fn copies_overlap_with_kernels(tested: &TestedGpuHost) -> Checked {
    let lease = tested.lease()?;
    let mut loaded = Loaded::new(&lease)?;
    let (flag, out) = loaded.alloc_flag_and_out()?;
    let stream = loaded.session.stream_create()?;
    let mut staging = loaded.session.staging_alloc(4)?;
    staging.copy_from_slice(&1_u32.to_le_bytes());
    loaded.wait_for(&flag, &out, PATIENCE)?;
    // The kernel goes on only if this copy gets through while it runs.
    loaded.session.copy_from_staging(&stream, &flag, 0, staging, 4)?.wait()?;
    loaded.session.sync()?;
    ensure_eq!(loaded.word(&out)?, 1, "what the kernel says: 1 saw the copy, 2 gave up");
    Ok(())
}
