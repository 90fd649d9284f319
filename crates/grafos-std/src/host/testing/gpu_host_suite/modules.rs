//! Rules about modules.

use super::super::rule::{Checked, ensure, ensure_eq, ensure_error};
use super::{KERNELS, Loaded, TestedGpuHost};
use crate::error::FabricError;
use crate::gpu::{GpuError, GpuSession, KernelArgs};

pub(super) fn what_is_no_module_is_refused(tested: &TestedGpuHost) -> Checked {
    let lease = tested.lease()?;
    let mut session = GpuSession::new(&lease);
    let unknown = KERNELS.replace("st.global.u32", "frobnicate.u32");
    let half = &KERNELS[..KERNELS.len() / 2];
    let images: [(&str, &[u8]); 6] = [
        ("no bytes", b""),
        ("words", b"this is no module"),
        ("half a module", half.as_bytes()),
        ("zeros", &[0; 100]),
        ("the start of an ELF file", b"\x7fELF\x02\x01\x01\0"),
        ("an unknown instruction", unknown.as_bytes()),
    ];
    for (what, image) in images {
        ensure_error!(
            session.module_load(image),
            FabricError::Gpu(GpuError::ModuleRefused { log, .. }) if !log.is_empty(),
            "{what}"
        );
    }
    ensure_eq!(tested.usage()?.modules, 0, "modules after none was loaded");
    // With or without a NUL at its end, and the session goes on.
    let mut text = KERNELS.as_bytes().to_vec();
    session.module_load(&text)?;
    text.push(0);
    session.module_load(&text)?;
    Ok(())
}

pub(super) fn kernels_are_found_by_their_names_only(tested: &TestedGpuHost) -> Checked {
    let lease = tested.lease()?;
    let loaded = Loaded::new(&lease)?;
    for name in ["", "Affine", "affin", "affine ", "counter", "affine\0", "\0", "é", &"x".repeat(10_000)] {
        ensure_error!(
            loaded.launch(name, 1, KernelArgs::new()),
            FabricError::Gpu(GpuError::UnknownKernel { .. }),
            "a kernel named {:?}",
            name.chars().take(20).collect::<String>()
        );
    }
    loaded.launch("small_blocks", 1, KernelArgs::new())?;
    loaded.session.sync()?;
    Ok(())
}

pub(super) fn variables_live_as_long_as_their_module(tested: &TestedGpuHost) -> Checked {
    let lease = tested.lease()?;
    let mut session = GpuSession::new(&lease);
    let out = session.mem_alloc(4)?;
    for loading in 0..3 {
        let module = session.module_load(KERNELS)?;
        let other = session.module_load(KERNELS)?;
        for (turn, module) in [&module, &module, &other, &module].into_iter().enumerate() {
            let args = KernelArgs::new().push_buffer(&out);
            session.launch_with_args(module, "next_count", [1; 3], [1; 3], args)?;
            let found = session.mem_read(&out, 0, 4)?;
            let expected = [42_u32, 43, 42, 44][turn].to_le_bytes();
            ensure!(found == expected, "loading {loading}, launch {turn}: the variable is {found:?}");
        }
        session.module_unload(module)?;
    }
    ensure_eq!(tested.usage()?.modules, 0, "modules after they were unloaded or dropped");
    Ok(())
}
