//! Modules to begin with: the seeds of the fuzzers, which are replayed here.

/// Name and text.
pub(super) const SEEDS: [(&str, &str); 5] = [
    ("calls", include_str!("../../../fuzz/corpus/load/calls.ptx")),
    ("control", include_str!("../../../fuzz/corpus/load/control.ptx")),
    ("memory", include_str!("../../../fuzz/corpus/load/memory.ptx")),
    ("reduce", include_str!("../../../fuzz/corpus/load/reduce.ptx")),
    ("warp", include_str!("../../../fuzz/corpus/load/warp.ptx")),
];
