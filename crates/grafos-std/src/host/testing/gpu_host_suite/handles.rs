//! Rules about what a session hands out.

use super::super::rule::{Checked, ensure_eq, ensure_error};
use super::{KERNELS, Loaded, TestedGpuHost, affine_args};
use crate::error::FabricError;
use crate::gpu::{GpuError, GpuSession, KernelArgs, LaunchConfig};

pub(super) fn handles_of_another_session_are_refused(tested: &TestedGpuHost) -> Checked {
    let lease = tested.lease()?;
    let mut mine = Loaded::new(&lease)?;
    let mut other = Loaded::new(&lease)?;
    let memory = mine.session.mem_alloc(64)?;
    let foreign = other.session.mem_alloc(64)?;
    let (stream, event) = {
        let stream = other.session.stream_create()?;
        let event = other.session.event_record(&stream)?;
        (stream, event)
    };
    let config = LaunchConfig::new([1; 3], [1; 3]);
    let session = &mut mine.session;
    let foreign_staging = other.session.staging_alloc(8)?;
    let own = session.default_stream();
    let refused = [
        session.mem_write(&foreign, 0, &[1]),
        session.mem_read(&foreign, 0, 1).map(drop),
        session.mem_copy(&memory, 0, &foreign, 0, 1),
        session.mem_copy(&foreign, 0, &memory, 0, 1),
        session.mem_zero(&foreign, 0, 1),
        session.launch_with_args(&mine.module, "affine", [1; 3], [1; 3], affine_args(&foreign, 1, 1)),
        session.launch_with_args(&other.module, "affine", [1; 3], [1; 3], affine_args(&memory, 1, 1)),
        session.launch_with_config(&mine.module, "small_blocks", &config.stream(&stream), KernelArgs::new()),
        session.stream_sync(&stream),
        session.event_record(&stream).map(drop),
        session.stream_wait(&own, &event),
        session.event_sync(&event),
        session.copy_to_staging(&own, &memory, 0, foreign_staging, 8).map(drop),
        session.mem_free(foreign.clone()),
        session.module_unload(other.module.clone()),
        session.stream_destroy(stream.clone()),
    ];
    for (number, result) in refused.into_iter().enumerate() {
        ensure_error!(result, FabricError::Gpu(GpuError::ForeignHandle { .. }), "use number {number}");
    }
    // Nothing has happened to them.
    other.session.mem_write(&foreign, 0, &[7; 4])?;
    other.affine(&foreign, 1, 0)?;
    other.session.stream_sync(&stream)?;
    ensure_eq!(other.session.mem_read(&foreign, 0, 4)?, [7; 4], "the memory of the other session");
    Ok(())
}

pub(super) fn freed_handles_are_refused(tested: &TestedGpuHost) -> Checked {
    let lease = tested.lease()?;
    let mut loaded = Loaded::new(&lease)?;
    let memory = loaded.session.mem_alloc(64)?;
    let args = affine_args(&memory, 1, 1);
    let session = &mut loaded.session;
    let stream = session.stream_create()?;
    session.mem_free(memory.clone())?;
    session.stream_destroy(stream.clone())?;
    let refused = [
        session.mem_write(&memory, 0, &[1]),
        session.mem_read(&memory, 0, 1).map(drop),
        session.launch_with_args(&loaded.module, "affine", [1; 3], [1; 3], args),
        session.mem_free(memory),
        session.stream_sync(&stream),
        session.stream_destroy(stream),
    ];
    for (number, result) in refused.into_iter().enumerate() {
        ensure_error!(result, FabricError::Gpu(GpuError::FreedHandle { .. }), "use number {number}");
    }
    session.module_unload(loaded.module.clone())?;
    for kernel in ["small_blocks", "affine"] {
        ensure_error!(
            session.launch_with_args(&loaded.module, kernel, [1; 3], [1; 3], KernelArgs::new()),
            FabricError::Gpu(GpuError::FreedHandle { .. }),
            "a launch from a module that was unloaded"
        );
    }
    Ok(())
}

pub(super) fn the_last_clone_frees(tested: &TestedGpuHost) -> Checked {
    let lease = tested.lease()?;
    let mut session = GpuSession::new(&lease);
    let memory = session.mem_alloc(64)?;
    let module = session.module_load(KERNELS)?;
    let stream = session.stream_create()?;
    let event = session.event_record(&stream)?;
    let alive = |what: &str| -> crate::Result<_> {
        let usage = tested.usage()?;
        Ok((what.to_owned(), usage.allocations, usage.modules, usage.streams, usage.events))
    };
    let clones = (memory.clone(), module.clone(), stream.clone(), event.clone());
    drop((memory, module, stream, event));
    ensure_eq!(
        alive("clones left")?,
        ("clones left".to_owned(), 1, 1, 1, 1),
        "allocations, modules, streams, events"
    );
    session.mem_write(&clones.0, 0, &[1])?;
    drop(clones);
    ensure_eq!(
        alive("none left")?,
        ("none left".to_owned(), 0, 0, 0, 0),
        "allocations, modules, streams, events"
    );
    ensure_eq!(tested.usage()?.bytes, 0, "bytes of device memory");
    drop(session);

    // What was submitted before still finds the memory.
    let mut loaded = Loaded::new(&lease)?;
    let data = loaded.session.mem_alloc(40_000)?;
    for _ in 0..100 {
        loaded.affine(&data, 1, 1)?;
    }
    drop(data);
    loaded.session.sync()?;
    Ok(())
}
