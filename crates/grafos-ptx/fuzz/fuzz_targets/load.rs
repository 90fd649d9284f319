//! Feeds bytes to [`grafos_ptx_fuzz::load`].

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| grafos_ptx_fuzz::load(bytes));
