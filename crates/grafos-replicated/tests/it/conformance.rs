//! Every store and every replica of this crate keeps the contract.

use std::sync::Arc;

use grafos_replicated::ReplicaId;
use grafos_replicated::embedded::{DirectoryReplica, EmbeddedHome, SqliteMetadataStore};
use grafos_replicated::memory::{MemoryMetadataStore, MemoryReplica};
use grafos_replicated::testing::{
    TestedMetadataStore, TestedPayloadReplica, metadata_store_suite, payload_replica_suite,
};

#[test]
fn the_store_in_memory_keeps_the_contract() {
    metadata_store_suite(|| {
        let store = MemoryMetadataStore::new();
        TestedMetadataStore::new(move || store.clone())
    });
}

#[test]
fn the_sqlite_store_keeps_the_contract() {
    metadata_store_suite(|| {
        let dir = tempfile::tempdir().unwrap();
        TestedMetadataStore::new(move || {
            SqliteMetadataStore::open_or_create(dir.path().join("register.sqlite3")).unwrap()
        })
    });
}

#[test]
fn the_replica_in_memory_keeps_the_contract() {
    payload_replica_suite(|| {
        let replica = MemoryReplica::new();
        TestedPayloadReplica::new(move || replica.clone())
    });
}

#[test]
fn a_directory_keeps_the_contract_of_replicas() {
    payload_replica_suite(|| {
        let (dir, id) = (tempfile::tempdir().unwrap(), ReplicaId::new("a"));
        DirectoryReplica::create(dir.path(), &id).unwrap();
        TestedPayloadReplica::new(move || DirectoryReplica::open(dir.path(), &id).unwrap())
    });
}

#[test]
fn what_a_home_gives_out_keeps_the_contracts() {
    metadata_store_suite(|| {
        let dir = tempfile::tempdir().unwrap();
        TestedMetadataStore {
            store: home(&dir).register().clone(),
            reopen: Box::new(move || home(&dir).register().clone()),
        }
    });
    payload_replica_suite(|| {
        let dir = tempfile::tempdir().unwrap();
        TestedPayloadReplica::new(move || home(&dir).replica(&ReplicaId::new("a")).unwrap())
    });
}

fn home(dir: &tempfile::TempDir) -> Arc<EmbeddedHome> {
    Arc::new(EmbeddedHome::builder().home(dir.path()).open().unwrap())
}
