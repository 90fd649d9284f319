//! Rules about launches.

use super::super::rule::{Checked, ensure, ensure_eq, ensure_error};
use super::{Loaded, TestedGpuHost, affine_args, bytes_of, words};
use crate::error::FabricError;
use crate::gpu::{GpuError, KernelArgs, LaunchConfig};

pub(super) fn every_thread_of_a_launch_runs_once(tested: &TestedGpuHost) -> Checked {
    let lease = tested.lease()?;
    let mut loaded = Loaded::new(&lease)?;
    for count in [1_u32, 31, 32, 33, 256, 257, 10_000] {
        let start: Vec<u32> = (0..count).collect();
        let data = loaded.session.mem_alloc(u64::from(count) * 4)?;
        loaded.session.mem_write(&data, 0, &bytes_of(&start))?;
        loaded.affine(&data, 3, 7)?;
        let found = words(&loaded.session.mem_read(&data, 0, data.len_bytes())?);
        let wrong = found.iter().zip(&start).position(|(found, start)| *found != start * 3 + 7);
        ensure!(wrong.is_none(), "{count} threads: the word of one is wrong: thread={wrong:?}");
    }
    Ok(())
}

pub(super) fn every_kind_of_argument_arrives(tested: &TestedGpuHost) -> Checked {
    let lease = tested.lease()?;
    let mut loaded = Loaded::new(&lease)?;
    let out = loaded.session.mem_alloc(56)?;
    let values = |args: KernelArgs| {
        let args = args.push_buffer(&out).push_bytes(&[0xA5]).push_u32(0x1234_5678).push_u64(u64::MAX - 1);
        args.push_i32(-2).push_i64(i64::MIN).push_f32(-0.0).push_f64(1.5)
    };
    let mut expected = vec![0_u8; 56];
    expected[0] = 0xA5;
    expected[8..12].copy_from_slice(&0x1234_5678_u32.to_le_bytes());
    expected[16..24].copy_from_slice(&(u64::MAX - 1).to_le_bytes());
    expected[24..28].copy_from_slice(&(-2_i32).to_le_bytes());
    expected[32..40].copy_from_slice(&i64::MIN.to_le_bytes());
    expected[40..44].copy_from_slice(&(-0.0_f32).to_le_bytes());
    expected[48..56].copy_from_slice(&1.5_f64.to_le_bytes());
    loaded.launch("store_arguments", 1, values(KernelArgs::new()))?;
    ensure_eq!(loaded.session.mem_read(&out, 0, 56)?, expected, "arguments of their types");

    loaded.session.mem_zero(&out, 0, 56)?;
    let mut args = out.raw().to_le_bytes().to_vec();
    args.push(0xA5);
    for part in [8..12, 16..24, 24..28, 32..40, 40..44, 48..56] {
        args.extend_from_slice(&expected[part]);
    }
    let sizes = [8, 1, 4, 8, 4, 8, 4, 8];
    loaded.session.launch(&loaded.module, "store_arguments", [1; 3], [1; 3], &args, &sizes)?;
    ensure_eq!(loaded.session.mem_read(&out, 0, 56)?, expected, "arguments as bytes and sizes");
    Ok(())
}

pub(super) fn wrong_arguments_are_refused_before_the_launch(tested: &TestedGpuHost) -> Checked {
    let lease = tested.lease()?;
    let mut loaded = Loaded::new(&lease)?;
    let data = loaded.session.mem_alloc(4)?;
    let before = tested.usage()?.launches;
    let few = KernelArgs::new().push_buffer(&data).push_u32(1).push_u32(1);
    ensure_error!(
        loaded.launch("affine", 1, few.clone()),
        FabricError::Gpu(GpuError::ArgumentCount { expected: 4, found: 3, .. }),
        "an argument too few"
    );
    ensure_error!(
        loaded.launch("affine", 1, few.clone().push_u32(1).push_u32(1)),
        FabricError::Gpu(GpuError::ArgumentCount { expected: 4, found: 5, .. }),
        "an argument too many"
    );
    ensure_error!(
        loaded.launch("affine", 1, few.push_u64(1)),
        FabricError::Gpu(GpuError::ArgumentSize { index: 3, expected: 4, found: 8, .. }),
        "an argument that is too long"
    );
    let refused = loaded.session.launch(&loaded.module, "affine", [1; 3], [1; 3], &[0; 20], &[8, 4, 4, 8]);
    ensure_error!(refused, FabricError::InvalidRequest { .. }, "sizes that do not add up");
    ensure_eq!(tested.usage()?.launches, before, "launches after none was submitted");
    loaded.affine(&data, 1, 5)?;
    ensure_eq!(loaded.word(&data)?, 5, "the word after the only launch");
    Ok(())
}

pub(super) fn launches_out_of_range_are_refused(tested: &TestedGpuHost) -> Checked {
    let lease = tested.lease()?;
    let loaded = Loaded::new(&lease)?;
    let device = lease.device_info().clone();
    let launch = |kernel: &str, config: &LaunchConfig| {
        loaded.session.launch_with_config(&loaded.module, kernel, config, KernelArgs::new())
    };
    let before = tested.usage()?.launches;
    let [_, y, z] = device.max_grid;
    let shapes = [
        ([0, 1, 1], [1, 1, 1]),
        ([1, 1, 0], [1, 1, 1]),
        ([1, 1, 1], [1, 0, 1]),
        ([1, y.saturating_add(1), 1], [1, 1, 1]),
        ([1, 1, z.saturating_add(1)], [1, 1, 1]),
        ([1, 1, 1], [device.max_block[0] + 1, 1, 1]),
        ([1, 1, 1], [1, 1, device.max_block[2] + 1]),
        ([1, 1, 1], [64, 64, 1]),
        ([1, 1, 1], [65, 1, 1]), // `.maxntid 64`
        ([1, 1, 1], [u32::MAX, u32::MAX, u32::MAX]),
    ];
    for (grid, block) in shapes {
        ensure_error!(
            launch("small_blocks", &LaunchConfig::new(grid, block)),
            FabricError::Gpu(GpuError::LaunchOutOfRange { limit, found, .. }) if *found == 0 || found > limit,
            "{grid:?} blocks of {block:?} threads"
        );
    }
    let one = LaunchConfig::new([1; 3], [1; 3]);
    for bytes in [device.max_shared_bytes + 1, u32::MAX] {
        ensure_error!(
            launch("small_blocks", &one.clone().shared_bytes(bytes)),
            FabricError::Gpu(GpuError::LaunchOutOfRange { .. }),
            "{bytes} bytes of shared memory"
        );
    }
    ensure_eq!(tested.usage()?.launches, before, "launches after none was submitted");
    launch("small_blocks", &LaunchConfig::new([1, 2, 3], [4, 4, 4]))?;
    loaded.session.sync()?;
    Ok(())
}

pub(super) fn dynamic_shared_memory_is_there(tested: &TestedGpuHost) -> Checked {
    let lease = tested.lease()?;
    let mut loaded = Loaded::new(&lease)?;
    let out = loaded.session.mem_alloc(4)?;
    for threads in [1_u32, 32, 100, 1024] {
        let config = LaunchConfig::new([1; 3], [threads, 1, 1]).shared_bytes(threads * 4);
        let args = KernelArgs::new().push_buffer(&out);
        loaded.session.launch_with_config(&loaded.module, "sum_of_threads", &config, args)?;
        ensure_eq!(loaded.word(&out)?, threads * (threads - 1) / 2, "the sum of {threads} threads");
    }
    Ok(())
}

pub(super) fn launches_are_counted(tested: &TestedGpuHost) -> Checked {
    let lease = tested.lease()?;
    let mut loaded = Loaded::new(&lease)?;
    let data = loaded.session.mem_alloc(40)?;
    let before = tested.usage()?.launches;
    for turn in 1..=5 {
        let config = LaunchConfig::new([1; 3], [10, 1, 1]);
        loaded.session.launch_with_config(&loaded.module, "affine", &config, affine_args(&data, 1, 1))?;
        ensure_eq!(tested.usage()?.launches, before + turn, "launches after {turn}");
    }
    drop(loaded);
    lease.release()?;
    ensure_eq!(tested.usage()?.launches, before + 5, "launches after the end of the lease");
    Ok(())
}
