//! For those who write or test storages: the conformance suite of
//! [`CheckpointStorage`](crate::checkpoint::CheckpointStorage).
//!
//! Behind the feature `testing`; never part of a program that holds data. A storage without the suite does not exist.
//!
//! ```
//! use grafos_kernel::checkpoint::MemoryStorage;
//! use grafos_kernel::testing::{TestedCheckpointStorage, checkpoint_storage_suite};
//!
//! // In a real test: `#[test] fn my_storage_keeps_the_contract() { … }`, and `MyStorage::open(&directory)` below.
//! checkpoint_storage_suite(|| {
//!     let storage = MemoryStorage::new();
//!     TestedCheckpointStorage::new(move || storage.clone())
//! });
//! ```

mod checkpoint_storage_suite;

pub use checkpoint_storage_suite::{
    TestedCheckpointStorage, checkpoint_storage_rules, checkpoint_storage_suite,
};
