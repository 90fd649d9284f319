//! Rules about order: streams and events.

use super::super::rule::{Checked, ensure, ensure_eq};
use super::{Loaded, PATIENCE, TestedGpuHost, affine_args, wait_args};
use crate::error::Result;
use crate::gpu::{GpuMemHandle, GpuStream, LaunchConfig};

impl Loaded {
    fn affine_on(&self, stream: &GpuStream, data: &GpuMemHandle, factor: u32, addend: u32) -> Result<()> {
        let config = LaunchConfig::new([1; 3], [1; 3]).stream(stream);
        self.session.launch_with_config(&self.module, "affine", &config, affine_args(data, factor, addend))
    }

    /// Holds a stream up until the flag is set.
    fn hold_up(&self, stream: &GpuStream, flag: &GpuMemHandle, out: &GpuMemHandle) -> Result<()> {
        let config = LaunchConfig::new([1; 3], [1; 3]).stream(stream);
        self.session.launch_with_config(&self.module, "wait_for", &config, wait_args(flag, out, PATIENCE))
    }

    /// Sets the flag, in the order of the default stream.
    fn set(&self, flag: &GpuMemHandle) -> Result<()> {
        self.session.mem_write(flag, 0, &1_u32.to_le_bytes())
    }
}

pub(super) fn a_stream_keeps_its_order(tested: &TestedGpuHost) -> Checked {
    let lease = tested.lease()?;
    let mut loaded = Loaded::new(&lease)?;
    let made = loaded.session.stream_create()?;
    for stream in [loaded.session.default_stream(), made] {
        let (data, copy) = (loaded.session.mem_alloc(4)?, loaded.session.mem_alloc(4)?);
        let mut expected = 0_u32;
        for turn in 0..200 {
            loaded.affine_on(&stream, &data, 3, turn)?;
            expected = expected.wrapping_mul(3).wrapping_add(turn);
            loaded.session.mem_copy_on(&stream, &copy, 0, &data, 0, 4)?;
            loaded.affine_on(&stream, &copy, 5, 1)?;
            loaded.session.mem_copy_on(&stream, &data, 0, &copy, 0, 4)?;
            expected = expected.wrapping_mul(5).wrapping_add(1);
        }
        loaded.session.stream_sync(&stream)?;
        ensure_eq!(loaded.word(&data)?, expected, "800 steps that don't commute");
    }
    Ok(())
}

pub(super) fn streams_wait_for_events(tested: &TestedGpuHost) -> Checked {
    let lease = tested.lease()?;
    let mut loaded = Loaded::new(&lease)?;
    let (one, other) = (loaded.session.stream_create()?, loaded.session.stream_create()?);
    for turn in 0..10 {
        let (flag, out) = loaded.alloc_flag_and_out()?;
        let data = loaded.session.mem_alloc(4)?;
        // One is held up, then adds 5. The other waits for that and multiplies.
        loaded.hold_up(&one, &flag, &out)?;
        loaded.affine_on(&one, &data, 1, 5)?;
        let event = loaded.session.event_record(&one)?;
        loaded.session.stream_wait(&other, &event)?;
        loaded.affine_on(&other, &data, 10, 1)?;
        if turn % 2 == 1 {
            drop(event); // what waits for it goes on waiting
        }
        loaded.set(&flag)?;
        loaded.session.stream_sync(&other)?;
        ensure_eq!(loaded.word(&data)?, 51, "5 first, then times 10 plus 1");
    }
    Ok(())
}

pub(super) fn sync_waits_for_every_stream(tested: &TestedGpuHost) -> Checked {
    let lease = tested.lease()?;
    let mut loaded = Loaded::new(&lease)?;
    let (one, other) = (loaded.session.stream_create()?, loaded.session.stream_create()?);
    let data = [loaded.session.mem_alloc(4)?, loaded.session.mem_alloc(4)?];
    for turn in 1..=10 {
        let (flag, out) = loaded.alloc_flag_and_out()?;
        loaded.hold_up(&one, &flag, &out)?;
        loaded.affine_on(&one, &data[0], 1, 1)?;
        loaded.affine_on(&other, &data[1], 1, 1)?;
        loaded.set(&flag)?;
        loaded.session.sync()?;
        let found = [loaded.word(&data[0])?, loaded.word(&data[1])?];
        ensure_eq!(found, [turn, turn], "what both streams have counted after sync");
    }
    Ok(())
}

pub(super) fn an_event_tells_whether_it_has_happened(tested: &TestedGpuHost) -> Checked {
    let lease = tested.lease()?;
    let mut loaded = Loaded::new(&lease)?;
    let stream = loaded.session.stream_create()?;
    let idle = loaded.session.event_record(&stream)?;
    loaded.session.event_sync(&idle)?;
    ensure!(loaded.session.event_is_done(&idle)?, "an event of an idle stream has not happened");

    let (flag, out) = loaded.alloc_flag_and_out()?;
    loaded.hold_up(&stream, &flag, &out)?;
    let event = loaded.session.event_record(&stream)?;
    let too_early = loaded.session.event_is_done(&event)?;
    loaded.set(&flag)?;
    loaded.session.event_sync(&event)?;
    ensure!(loaded.session.event_is_done(&event)?, "an event that was waited for has not happened");
    ensure_eq!(loaded.word(&out)?, 1, "what the kernel says: 1 saw the flag, 2 gave up");
    ensure!(!too_early, "an event has happened while its stream was held up");
    Ok(())
}
