//! For those who write or test backends: conformance suites, a host in memory, and a decorator that makes faults.
//!
//! Behind the feature `testing`; never part of a program that holds data, since nothing here is durable.
//!
//! A backend without the suite does not exist. Its author runs [`block_host_suite`], [`mem_host_suite`] or
//! [`gpu_host_suite`] in a test, over hosts that run by a clock which the suite can turn:
//!
//! ```
//! use std::sync::Arc;
//! use fabricbios_core::clock::ManualClock;
//! use grafos_std::host::testing::{RamBlockHost, TestedBlockHost, block_host_suite};
//!
//! // In a real test: `#[test] fn my_host_keeps_the_contract() { … }`, and `MyHost::open(directory, clock)` below.
//! block_host_suite(|| {
//!     let clock = Arc::new(ManualClock::default());
//!     let disk = RamBlockHost::new(clock.clone());
//!     TestedBlockHost::new(clock, move || disk.clone())
//! });
//! ```
//!
//! Tests of what is built *on* a host use [`RamBlockHost`] for speed and [`FaultyBlockHost`] for power cuts:
//! [`CrashPoint`] shows how to stop a workload at each of its operations and to try everything that a disk could
//! have kept.

mod block_host_suite;
mod crash_point;
mod fault;
mod faulty_block_host;
mod gpu_host_suite;
mod mem_host_suite;
mod ram_block_host;
mod random;
mod rule;

pub use block_host_suite::{TestedBlockHost, block_host_rules, block_host_suite};
pub use crash_point::CrashPoint;
pub use fault::{Fault, FaultPlan, Keep, Op, OpKind};
pub use faulty_block_host::FaultyBlockHost;
pub use gpu_host_suite::{TestedGpuHost, gpu_host_rules, gpu_host_suite};
pub use mem_host_suite::{TestedMemHost, mem_host_rules, mem_host_suite};
pub use ram_block_host::RamBlockHost;
