//! The interface that RingKernel's users know, name by name: programs that are written against it compile and run.

use std::path::PathBuf;
use std::time::Duration;

use grafos_kernel::checkpoint::{
    CHECKPOINT_MAGIC, CHECKPOINT_VERSION, Checkpoint, CheckpointBuilder, CheckpointConfig, CheckpointHeader,
    CheckpointManager, CheckpointMetadata, CheckpointStorage, CheckpointableKernel, ChunkHeader, ChunkType,
    DELTA_PARENT_DIGEST_KEY, DataChunk, FileStorage, HlcTimestamp, MAX_CHECKPOINT_SIZE, MemoryStorage,
    SnapshotRequest, SnapshotResponse,
};
use grafos_kernel::persistent::PersistentKernel;
use grafos_std::gpu::{GpuBuilder, GpuSession};
use grafos_std::host::LocalHost;

fn built() -> Checkpoint {
    CheckpointBuilder::new("wave_0", "fdtd_3d")
        .step(1000)
        .grid_size(64, 64, 64)
        .tile_size(8, 8, 8)
        .hlc(HlcTimestamp::new(1, 2, 3))
        .custom("courant", "0.5")
        .control_block(vec![1; 256])
        .h2k_queue(vec![2; 64])
        .k2h_queue(vec![3; 64])
        .device_memory("pressure", vec![4; 5000])
        .chunk(DataChunk::with_id(ChunkType::HaloBuffers, vec![5; 100], 7))
        .build()
}

#[test]
fn a_checkpoint_is_built_in_one_go_or_piece_by_piece() {
    let metadata = CheckpointMetadata::new("wave_0", "fdtd_3d")
        .with_step(1000)
        .with_grid_size(64, 64, 64)
        .with_tile_size(8, 8, 8)
        .with_hlc(HlcTimestamp::new(1, 2, 3))
        .with_custom("courant", "0.5");
    assert_eq!(CheckpointMetadata::from_bytes(&metadata.to_bytes()).unwrap(), metadata);
    let mut checkpoint = Checkpoint::new(metadata);
    checkpoint.add_control_block(vec![1; 256]);
    checkpoint.add_h2k_queue(vec![2; 64]);
    checkpoint.add_k2h_queue(vec![3; 64]);
    checkpoint.add_device_memory("pressure", vec![4; 5000]);
    checkpoint.add_chunk(DataChunk::with_id(ChunkType::HaloBuffers, vec![5; 100], 7));
    assert_eq!(checkpoint.content_digest(), built().content_digest());
    checkpoint.add_hlc_state(vec![6; 24]);
    assert_ne!(checkpoint.content_digest(), built().content_digest());

    let read = Checkpoint::from_bytes(&checkpoint.to_bytes()).unwrap();
    assert_eq!(read.content_digest(), checkpoint.content_digest());
    assert_eq!(read.total_size(), checkpoint.total_size());
    assert_eq!(read.get_chunk(ChunkType::ControlBlock).unwrap().data, [1; 256]);
    assert_eq!(read.get_chunks(ChunkType::DeviceMemory).len(), 1);
    let halo = read.get_chunk(ChunkType::HaloBuffers).unwrap();
    assert_eq!((halo.chunk_type(), halo.header.chunk_id), (Some(ChunkType::HaloBuffers), 7));
    assert_eq!((read.metadata.current_step, read.header.chunk_count), (1000, 6));
}

#[test]
fn headers_are_64_and_32_bytes() {
    let header = CheckpointHeader::new(3, 1 << 20);
    header.validate().unwrap();
    let bytes: [u8; 64] = header.to_bytes();
    assert_eq!(CheckpointHeader::from_bytes(&bytes).to_bytes(), bytes);
    assert_eq!((header.magic, header.version), (CHECKPOINT_MAGIC, CHECKPOINT_VERSION));
    assert_eq!(CHECKPOINT_MAGIC.to_be_bytes(), *b"RKCKPT01");
    assert_eq!(MAX_CHECKPOINT_SIZE, 1 << 30);

    let header = ChunkHeader::new(ChunkType::DeviceMemory, 4096).with_id(9);
    let bytes: [u8; 32] = header.to_bytes();
    assert_eq!(ChunkHeader::from_bytes(&bytes).to_bytes(), bytes);
    for (kind, number) in [
        (ChunkType::ControlBlock, 1),
        (ChunkType::H2KQueue, 2),
        (ChunkType::K2HQueue, 3),
        (ChunkType::HlcState, 4),
        (ChunkType::DeviceMemory, 5),
        (ChunkType::K2KRouting, 6),
        (ChunkType::HaloBuffers, 7),
        (ChunkType::Telemetry, 8),
        (ChunkType::Custom, 100),
    ] {
        assert_eq!(ChunkType::from_u32(number), Some(kind));
        assert_eq!(DataChunk::new(kind, Vec::new()).chunk_type(), Some(kind));
    }
    assert_eq!(ChunkType::from_u32(9), None);
}

#[test]
fn a_delta_names_its_parent_and_is_applied_to_it() {
    let (base, mut new) = (built(), built());
    new.chunks.iter_mut().find(|chunk| chunk.chunk_type() == Some(ChunkType::DeviceMemory)).unwrap().data
        [9] = 9;
    let delta = Checkpoint::delta_from(&base, &new);
    assert!(
        delta.metadata.custom.contains_key(DELTA_PARENT_DIGEST_KEY) || delta.delta_info().unwrap().is_some()
    );
    let applied = Checkpoint::applied_with_delta(&base, &delta).unwrap();
    assert_eq!(applied.content_digest(), new.content_digest());
    Checkpoint::applied_with_delta(&new, &delta).unwrap_err();
}

#[test]
fn storages_save_load_list_and_delete_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let storages: [Box<dyn CheckpointStorage>; 2] =
        [Box::new(FileStorage::new(dir.path())), Box::new(MemoryStorage::new())];
    for storage in storages {
        storage.save(&built(), "sim_step_1000").unwrap();
        assert!(storage.exists("sim_step_1000"));
        assert_eq!(storage.load("sim_step_1000").unwrap().content_digest(), built().content_digest());
        assert_eq!(storage.list().unwrap(), ["sim_step_1000"]);
        storage.delete("sim_step_1000").unwrap();
        assert!(!storage.exists("sim_step_1000"));
    }
}

#[test]
fn a_manager_asks_for_snapshots_and_keeps_what_comes() {
    let config = CheckpointConfig::new(Duration::from_secs(10))
        .with_max_snapshots(2)
        .with_storage_path("unused")
        .with_name_prefix("actor")
        .with_enabled(true);
    assert_eq!(config.storage_path, PathBuf::from("unused"));
    let mut manager = CheckpointManager::with_storage(config, Box::new(MemoryStorage::new()));
    manager.register_actor(3, "wave_0", "fdtd_3d");
    assert!(manager.is_enabled() && manager.config().max_snapshots == 2);
    let SnapshotRequest { request_id, actor_slot, .. } = manager.request_snapshot(3).unwrap();
    assert_eq!((actor_slot, manager.pending_count()), (3, 1));
    assert!(manager.poll_due_snapshots().is_empty(), "it was asked just now");
    let response = SnapshotResponse { request_id, actor_slot, success: true, data: vec![1, 2, 3], step: 40 };
    let name = manager.complete_snapshot(response).unwrap().unwrap();
    assert_eq!(manager.list_checkpoints(3).unwrap(), std::slice::from_ref(&name));
    assert_eq!(manager.load_latest(3).unwrap().unwrap().metadata.current_step, 40);
    assert_eq!((manager.total_completed(), manager.total_failed()), (1, 0));
    assert!(manager.storage().exists(&name));
    let request = manager.request_snapshot(3).unwrap();
    assert!(manager.cancel_pending(request.request_id));
    manager.request_snapshot(3).unwrap();
    manager.cancel_all_pending();
    manager.request_snapshot(3).unwrap();
    manager.unregister_actor(3);
    assert_eq!(manager.pending_count(), 0);
}

/// A kernel is used by what it does, whatever it is.
#[test]
fn a_kernel_is_checkpointed_through_the_trait() {
    fn round(kernel: &mut dyn CheckpointableKernel) -> bool {
        let before = kernel.create_checkpoint().unwrap();
        kernel.restore_from_checkpoint(&before).unwrap();
        let named = (&*before.metadata.kernel_id, &*before.metadata.kernel_type);
        let delta = kernel.create_incremental_checkpoint(&before);
        assert_eq!(delta.is_ok(), kernel.supports_incremental());
        named == (kernel.checkpoint_kernel_id(), kernel.checkpoint_kernel_type())
    }
    let home = tempfile::tempdir().unwrap();
    let host = LocalHost::builder().home(home.path()).open().unwrap();
    let lease = GpuBuilder::new().on(&host).acquire().unwrap();
    let kernel = PersistentKernel::builder("wave_0", "fdtd_3d").region("pressure", 10_000);
    let mut kernel = kernel.build(GpuSession::new(&lease)).unwrap();
    assert!(round(&mut kernel));
}
