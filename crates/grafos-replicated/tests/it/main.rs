//! What only the public surface of the crate can show: checkpoints and effects over a faulty world, conformance of
//! every store and replica, processes that share a register, hostile directories, full disks.
//!
//! The conformance suites are tested too: for each of their rules there is a store or a replica here that breaks it.
#![cfg(test)]

mod bad_input;
mod broken_metadata_store;
mod broken_payload_replica;
mod change_replicas;
mod checkpoints;
mod child;
#[cfg(feature = "zstd")]
mod compression;
mod conformance;
mod crash_matrix;
mod effects;
mod faults;
mod full_disk;
mod machine;
mod meanwhile;
mod observability;
mod payloads;
mod processes;
mod seed;
mod suites_find_flaws;
mod support;
mod torture;
mod watched;
mod world;
