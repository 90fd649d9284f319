//! What the fuzz targets do with their bytes. `cargo test` does the same with the corpus.
//!
//! Neither may panic, run longer than its limits allow, or take memory that nothing bounds, whatever the bytes are.

use grafos_ptx::{DeviceMemory, Interrupt, Launch, Limits, LoadedModule, Module};

/// Loads the bytes as a module, and looks at what is known of it.
pub fn load(bytes: &[u8]) {
    match Module::load(bytes) {
        Ok(module) => {
            for kernel in module.kernels() {
                let end = kernel.params().iter().map(|param| param.offset + param.size).max().unwrap_or(0);
                assert!(end <= 32_764, "{kernel:?}");
                assert!(module.kernel(kernel.name()).is_some());
            }
        }
        Err(error) => assert!(error.to_string().len() < 500),
    }
}

/// Loads the bytes as a module, and runs its first kernels with parameters of zero, under small limits.
pub fn run(bytes: &[u8]) {
    let Ok(module) = Module::load(bytes) else { return };
    let memory = DeviceMemory::new(1 << 20);
    let Ok(loaded) = LoadedModule::new(&module, &memory) else { return };
    let mut limits = Limits::default();
    limits.instructions = Some(20_000);
    limits.stack_bytes = 16 << 10;
    limits.print_bytes = 4 << 10;
    limits.threads = Some(1);
    for kernel in module.kernels().take(4) {
        let end = kernel.params().iter().map(|param| param.offset + param.size).max().unwrap_or(0);
        let params = vec![0; end as usize];
        let block = kernel.required_threads().unwrap_or([40, 1, 1]);
        let launch = Launch { grid: [2, 1, 1], block, shared_bytes: 256, params: &params };
        let report = loaded.launch(kernel.name(), &launch, &limits, &Interrupt::new());
        assert!(report.printed.len() <= limits.print_bytes);
        if let Err(error) = report.outcome {
            assert!(!error.to_string().is_empty());
        }
    }
    drop(loaded);
    assert_eq!((memory.used_bytes(), memory.allocations()), (0, 0));
}
