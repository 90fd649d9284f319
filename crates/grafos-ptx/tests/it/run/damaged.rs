//! Modules that were damaged and are still accepted: whatever they do, it ends, in a result or in a typed error.

use grafos_ptx::{DeviceMemory, Interrupt, Launch, Limits, LoadedModule, Module};
use proptest::prelude::*;

const SEEDS: [&str; 5] = [
    include_str!("../../../fuzz/corpus/load/calls.ptx"),
    include_str!("../../../fuzz/corpus/load/control.ptx"),
    include_str!("../../../fuzz/corpus/load/memory.ptx"),
    include_str!("../../../fuzz/corpus/load/reduce.ptx"),
    include_str!("../../../fuzz/corpus/load/warp.ptx"),
];

/// Damage that often leaves a module in order: lines change places, go or come twice; a number becomes another, a
/// register its neighbour.
fn damage(text: &str, kind: u8, a: usize, b: usize) -> String {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let (a, b) = (a % lines.len(), b % lines.len());
    match kind {
        0 => lines.swap(a, b),
        1 => lines[a].clear(),
        2 => lines[a] = lines[b].clone(),
        _ => {
            let old = if kind == 3 { "%r1" } else { "4" };
            let new = ["%r2", "8", "0", "65535", "-4"][if kind == 3 { 0 } else { 1 + b % 4 }];
            lines[a] = lines[a].replacen(old, new, 1);
        }
    }
    lines.join("\n")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn damaged_kernels_end_whatever_they_do(
        seed in 0..SEEDS.len(),
        steps in prop::collection::vec((0_u8..5, any::<u32>(), any::<u32>()), 1..4),
        threads in 1_u32..100,
    ) {
        let mut text = SEEDS[seed].to_owned();
        for (kind, a, b) in steps {
            text = damage(&text, kind, a as usize, b as usize);
        }
        let Ok(module) = Module::load(text.as_bytes()) else { return Ok(()) };
        let memory = DeviceMemory::new(1 << 24);
        let Ok(loaded) = LoadedModule::new(&module, &memory) else { return Ok(()) };
        let address = memory.alloc(4096).unwrap();
        let mut limits = Limits::default();
        limits.instructions = Some(100_000);
        limits.print_bytes = 1000;
        for kernel in module.kernels() {
            let end = kernel.params().iter().map(|param| param.offset + param.size).max().unwrap_or(0);
            let params: Vec<u8> = address.to_le_bytes().into_iter().cycle().take(end as usize).collect();
            let launch = Launch { grid: [3, 1, 1], block: [threads, 1, 1], shared_bytes: 64, params: &params };
            let report = loaded.launch(kernel.name(), &launch, &limits, &Interrupt::new());
            prop_assert!(report.printed.len() <= 1000);
            prop_assert!(report.thread_instructions < 1_100_000);
            if let Err(error) = report.outcome {
                prop_assert!(error.to_string().len() < 20_000);
            }
        }
    }
}
