//! Stores in the memory of one process: for tests, for simulations, and for states that need not outlive it.
//!
//! They keep the contracts of [`MetadataStore`](crate::MetadataStore) and [`PayloadReplica`](crate::PayloadReplica)
//! among the threads of the process. Nothing here is durable: the end of the process is the end of what they hold.

mod metadata_store;
mod replica;

pub use metadata_store::MemoryMetadataStore;
pub use replica::MemoryReplica;
