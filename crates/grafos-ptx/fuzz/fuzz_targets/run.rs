//! Feeds bytes to [`grafos_ptx_fuzz::run`].

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| grafos_ptx_fuzz::run(bytes));
