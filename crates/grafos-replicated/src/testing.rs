//! For those who write or test engines: conformance suites, and decorators that make faults.
//!
//! Behind the feature `testing`; never part of a program that holds data. An engine without the suites does not exist.
//! Its author runs [`metadata_store_suite`] and [`payload_replica_suite`] in tests:
//!
//! ```
//! use grafos_replicated::memory::{MemoryMetadataStore, MemoryReplica};
//! use grafos_replicated::testing::{
//!     TestedMetadataStore, TestedPayloadReplica, metadata_store_suite, payload_replica_suite,
//! };
//!
//! // In a real test: `#[test] fn my_store_keeps_the_contract() { … }`, and `MyStore::open(&directory)` below.
//! metadata_store_suite(|| {
//!     let store = MemoryMetadataStore::new();
//!     TestedMetadataStore::new(move || store.clone())
//! });
//! payload_replica_suite(|| {
//!     let replica = MemoryReplica::new();
//!     TestedPayloadReplica::new(move || replica.clone())
//! });
//! ```
//!
//! Tests of what is built *on* an engine use [`FaultyMetadataStore`] and [`FaultyReplica`]: the same [`FaultPlan`] over
//! the same calls makes the same faults.

mod fault_plan;
mod faulty_metadata_store;
mod faulty_replica;
mod metadata_store_suite;
mod payload_replica_suite;

pub use fault_plan::{FaultCounts, FaultPlan};
pub use faulty_metadata_store::{FaultyMetadataStore, StoreFault};
pub use faulty_replica::{FaultyReplica, ReplicaFault};
pub use metadata_store_suite::{TestedMetadataStore, metadata_store_rules, metadata_store_suite};
pub use payload_replica_suite::{TestedPayloadReplica, payload_replica_rules, payload_replica_suite};
