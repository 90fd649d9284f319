//! Feeds bytes to [`grafos_kernel_fuzz::decode`].

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| grafos_kernel_fuzz::decode(bytes));
