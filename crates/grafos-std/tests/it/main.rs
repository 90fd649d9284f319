//! What only the public surface of the crate can show: conformance of every host, the ambient host, poisoned handles,
//! GPU sessions and what they leave behind, and processes that share a machine.
//!
//! The conformance suites are tested too: for each of their rules there is a host here that breaks it.
#![cfg(test)]

mod ambient;
mod broken_block_host;
mod broken_gpu_host;
mod broken_mem_host;
mod child;
mod conformance;
mod gpu_leaks;
mod gpu_local;
mod gpu_processes;
mod gpu_seed;
mod poison;
mod power_cuts;
mod processes;
mod suites_find_flaws;
