//! Persistent kernels on the local host: snapshots while the kernel goes on, restores on another host, and what happens
//! when the lease ends in the middle.

use std::io::Write;
use std::sync::Mutex;

use fabricbios_core::recovery::Recovery;
use grafos_kernel::checkpoint::{
    Checkpoint, CheckpointBuilder, CheckpointReader, CheckpointStorage, CheckpointableKernel, ChunkType,
    DataChunk, FileStorage, Kind, StreamError, WriteOptions,
};
use grafos_kernel::persistent::{KernelError, PersistentKernel, PersistentKernelBuilder, Queue};
use grafos_std::FabricError;
use grafos_std::gpu::{GpuBuilder, GpuLease, GpuModule, GpuSession, GpuStream, KernelArgs, StagingBuffer};
use grafos_std::host::{Host, LocalHost};

/// Does a step if the control block says so: adds one to the first word of the field, counts, and decides about the next.
const STEP: &str = r"
.version 6.3
.target sm_70
.address_size 64
.visible .entry step(.param .u64 control, .param .u64 field)
{
    .reg .pred %p<4>;
    .reg .b32 %r<6>;
    .reg .b64 %rd<6>;
    ld.param.u64 %rd1, [control];
    ld.param.u64 %rd2, [field];
    ld.global.u32 %r1, [%rd1+16];
    setp.eq.u32 %p1, %r1, 0;
    @%p1 bra DECIDE;
    ld.global.u32 %r2, [%rd2];
    add.u32 %r2, %r2, 1;
    st.global.u32 [%rd2], %r2;
    ld.global.u64 %rd3, [%rd1];
    add.u64 %rd3, %rd3, 1;
    st.global.u64 [%rd1], %rd3;
DECIDE:
    ld.global.u64 %rd3, [%rd1];
    ld.global.u64 %rd4, [%rd1+8];
    ld.volatile.global.u32 %r3, [%rd1+20];
    setp.lt.u64 %p2, %rd3, %rd4;
    setp.eq.and.u32 %p3, %r3, 0, %p2;
    selp.u32 %r4, 1, 0, %p3;
    st.global.u32 [%rd1+16], %r4;
    ret;
}

.visible .entry wait(.param .u64 flag)
{
    .reg .pred %p<2>;
    .reg .b32 %r<2>;
    .reg .b64 %rd<2>;
    ld.param.u64 %rd1, [flag];
AGAIN:
    ld.volatile.global.u32 %r1, [%rd1];
    setp.eq.u32 %p1, %r1, 0;
    @%p1 bra AGAIN;
    ret;
}";

const FIELD_BYTES: u64 = 10_000;
const H2K: Queue = Queue { capacity: 4, slot_bytes: 16 };

/// A host with a kernel on it.
struct Machine {
    _home: tempfile::TempDir,
    host: Host,
    lease: GpuLease,
    module: GpuModule,
    beside: GpuStream,
    flag: Mutex<Option<StagingBuffer>>,
    kernel: PersistentKernel,
}

fn description() -> PersistentKernelBuilder {
    PersistentKernel::builder("sim-1", "counter")
        .grid_size(1, 2, 3)
        .h2k_queue(H2K)
        .k2h_queue(H2K)
        .region("field", FIELD_BYTES)
        .halo_buffers("halos", 100)
        .staging_bytes(4096) // so that a field is more pieces than there are buffers
}

impl Machine {
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let host = LocalHost::builder().home(home.path()).open().unwrap();
        let lease = GpuBuilder::new().on(&host).acquire().unwrap();
        let mut session = GpuSession::new(&lease);
        let module = session.module_load(STEP).unwrap();
        let beside = session.stream_create().unwrap();
        let flag = Mutex::new(Some(session.staging_alloc(4).unwrap()));
        let kernel = description().build(session).unwrap();
        Self { _home: home, host, lease, module, beside, flag, kernel }
    }

    fn submit(&self, steps: u32) {
        let Self { kernel, module, .. } = self;
        for _ in 0..steps {
            let args = KernelArgs::new()
                .push_buffer(kernel.control_memory())
                .push_buffer(kernel.memory("field").unwrap());
            kernel.session().launch_with_args(module, "step", [1; 3], [1; 3], args).unwrap();
        }
    }

    fn count(&self) -> u32 {
        u32::from_le_bytes(self.kernel.read("field", 0, 4).unwrap().try_into().unwrap())
    }
}

fn steps(checkpoint: &Checkpoint) -> u64 {
    checkpoint.metadata.current_step
}

#[test]
fn a_kernel_goes_on_on_another_host_where_its_checkpoint_was_taken() {
    let here = Machine::new();
    here.kernel.run_until(10).unwrap();
    here.kernel.write("field", FIELD_BYTES - 3, b"end").unwrap();
    here.kernel.write("halos", 0, b"halo").unwrap();
    here.kernel.send(&[b"one", b"two"]).unwrap();
    here.submit(7);
    let checkpoint = here.kernel.create_checkpoint().unwrap();
    assert_eq!((steps(&checkpoint), checkpoint.chunks.len()), (7, 5));
    assert_eq!(checkpoint.metadata.grid_size, (1, 2, 3));
    assert_eq!(checkpoint.get_chunk(ChunkType::HaloBuffers).unwrap().data[..4], *b"halo");
    here.host.revoke(here.lease.lease_id()).unwrap();

    let mut there = Machine::new();
    let again = Checkpoint::from_bytes(&checkpoint.to_bytes()).unwrap();
    there.kernel.restore_from_checkpoint(&again).unwrap();
    assert_eq!(there.kernel.create_checkpoint().unwrap().contents(), checkpoint.contents());
    assert_eq!(there.kernel.run_until(9).unwrap(), 7);
    there.submit(20);
    assert_eq!((there.count(), there.kernel.control_block().unwrap().steps_done), (9, 9));
    assert_eq!(there.kernel.read("field", FIELD_BYTES - 3, 3).unwrap(), b"end");

    // Version 1 has no names, and its regions are found all the same.
    let mut old = Machine::new();
    let old_bytes = checkpoint.to_bytes_v1().unwrap();
    old.kernel.restore_from_checkpoint(&Checkpoint::from_bytes(&old_bytes).unwrap()).unwrap();
    assert_eq!(old.count(), 7);
}

#[test]
fn a_snapshot_is_of_its_moment_though_the_kernel_goes_on() {
    let machine = Machine::new();
    machine.kernel.run_until(100).unwrap();
    machine.submit(5);
    let snapshot = machine.kernel.snapshot().unwrap();
    machine.submit(5);
    assert_eq!(machine.count(), 10, "the kernel did not wait for the snapshot to be drained");
    let busy = machine.kernel.snapshot().unwrap_err();
    assert_eq!(busy.recovery(), Recovery::RetryLater, "{busy}");

    let mut file = Vec::new();
    snapshot.write_to(&mut file, &WriteOptions::new().alignment(64)).unwrap();
    let reader = CheckpointReader::open(file).unwrap();
    assert_eq!((reader.metadata().current_step, reader.kind()), (5, Kind::Full));
    let mut other = Machine::new();
    other.kernel.restore_from(&reader).unwrap();
    assert_eq!(other.count(), 5);
    drop(machine.kernel.snapshot().unwrap());
    assert_eq!(steps(&machine.kernel.create_checkpoint().unwrap()), 10, "a drop makes room for the next");
}

#[test]
fn a_delta_of_a_kernel_makes_the_state_that_it_was_taken_of() {
    let machine = Machine::new();
    machine.kernel.run_until(100).unwrap();
    machine.submit(1);
    let base = machine.kernel.create_checkpoint().unwrap();
    machine.submit(1);
    assert!(machine.kernel.supports_incremental());
    let delta = machine.kernel.create_incremental_checkpoint(&base).unwrap();
    assert_eq!(delta.kind(), Kind::Delta);
    let mut other = Machine::new();
    let refused = other.kernel.restore_from_checkpoint(&delta).unwrap_err();
    assert!(matches!(refused, KernelError::NotFull { .. }), "{refused}");
    let full = Checkpoint::applied_with_delta(&base, &delta).unwrap();
    other.kernel.restore_from_checkpoint(&full).unwrap();
    assert_eq!((other.count(), steps(&full)), (2, 2));
}

#[test]
fn a_kernel_is_stopped_between_two_steps_though_more_were_submitted() {
    let machine = Machine::new();
    let kernel = &machine.kernel;
    kernel.run_until(1000).unwrap();
    machine.submit(3);
    assert_eq!(kernel.control_block().unwrap().steps_done, 3, "they are done, and the fourth is decided on");
    // Behind it the rest of the launches lies in the queue of the device.
    let gate = KernelArgs::new().push_buffer(kernel.memory("halos").unwrap());
    kernel.session().launch_with_args(&machine.module, "wait", [1; 3], [1; 3], gate).unwrap();
    machine.submit(50);
    kernel.request_stop().unwrap();
    open_gate(&machine);
    let block = kernel.control_block().unwrap();
    assert_eq!((block.steps_done, block.running), (4, false), "the step that was decided on, and no other");
    assert_eq!(machine.count(), 4);
    kernel.run_until(1000).unwrap();
    machine.submit(2);
    assert_eq!(machine.count(), 6);
}

/// Opens the gate from a stream beside the one that waits there.
fn open_gate(machine: &Machine) {
    let Machine { kernel, beside, flag, .. } = machine;
    let session = kernel.session();
    let mut staged = flag.lock().unwrap().take().unwrap();
    staged[0] = 1;
    session.copy_from_staging(beside, kernel.memory("halos").unwrap(), 0, staged, 4).unwrap().wait().unwrap();
}

#[test]
fn a_snapshot_is_streamed_into_a_file_and_back_or_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let storage = FileStorage::new(dir.path());
    let machine = Machine::new();
    machine.kernel.run_until(100).unwrap();
    machine.submit(5);
    let snapshot = machine.kernel.snapshot().unwrap();
    let metadata = snapshot.metadata().unwrap();
    storage.save_streamed("five", &metadata, |writer| snapshot.write_chunks(writer)).unwrap();
    let mut other = Machine::new();
    other.kernel.restore_from(&storage.open("five").unwrap()).unwrap();
    assert_eq!(other.count(), 5);

    let snapshot = machine.kernel.snapshot().unwrap();
    let metadata = snapshot.metadata().unwrap();
    machine.host.revoke(machine.lease.lease_id()).unwrap();
    let error = storage.save_streamed("six", &metadata, |writer| snapshot.write_chunks(writer)).unwrap_err();
    assert!(matches!(error, StreamError::Fill(KernelError::Fabric(FabricError::Revoked { .. }))), "{error}");
    assert_eq!(error.recovery(), Recovery::Reacquire);
    assert_eq!(storage.list().unwrap(), ["five"]);
}

/// A sink that takes the lease away when it has seen so many bytes.
struct Revoking<'a> {
    machine: &'a Machine,
    bytes: Vec<u8>,
}

impl Write for Revoking<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.bytes.extend_from_slice(bytes);
        if self.bytes.len() > 300 {
            // The second time it is gone already.
            let _ = self.machine.host.revoke(self.machine.lease.lease_id());
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_lease_that_ends_while_a_snapshot_is_drained_leaves_no_checkpoint() {
    let machine = Machine::new();
    let snapshot = machine.kernel.snapshot().unwrap();
    let mut sink = Revoking { machine: &machine, bytes: Vec::new() };
    let error = snapshot.write_to(&mut sink, &WriteOptions::new().alignment(64)).unwrap_err();
    assert!(matches!(error, KernelError::Fabric(FabricError::Revoked { .. })), "{error}");
    assert_eq!(error.recovery(), Recovery::Reacquire);
    assert!(!sink.bytes.is_empty());
    assert!(Checkpoint::from_bytes(&sink.bytes).is_err(), "half a checkpoint is none");
    let after = machine.kernel.create_checkpoint().unwrap_err();
    assert_eq!(after.recovery(), Recovery::Reacquire, "{after}");
}

/// A sink that has room for so many bytes.
struct Full {
    room: usize,
}

impl Write for Full {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.room = self.room.checked_sub(bytes.len()).ok_or(std::io::ErrorKind::StorageFull)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_sink_that_fails_costs_this_snapshot_and_not_the_next() {
    const MIB: usize = 1 << 20;
    let home = tempfile::tempdir().unwrap();
    let host = LocalHost::builder().home(home.path()).open().unwrap();
    let lease = GpuBuilder::new().on(&host).acquire().unwrap();
    let builder = PersistentKernel::builder("k", "t").region("field", 5 * MIB as u64).staging_bytes(MIB);
    let kernel = builder.build(GpuSession::new(&lease)).unwrap();
    kernel.write("field", 0, &[7; 5 * MIB]).unwrap();
    // At the beginning, and with pieces on their way from the device.
    for room in [0, 4096, 2 * MIB, 4 * MIB] {
        let error = kernel.snapshot().unwrap().write_to(Full { room }, &WriteOptions::new()).unwrap_err();
        assert!(matches!(error, KernelError::Checkpoint(_)), "{room}: {error}");
    }
    let checkpoint = kernel.create_checkpoint().unwrap();
    assert!(checkpoint.chunks[1].data == [7; 5 * MIB]);
}

#[test]
fn a_checkpoint_that_does_not_fit_is_refused_before_anything_changes() {
    let mut machine = Machine::new();
    machine.kernel.write("field", 0, &[5, 0, 0, 0]).unwrap();
    let good = machine.kernel.create_checkpoint().unwrap();
    machine.kernel.write("field", 0, &[6, 0, 0, 0]).unwrap();
    let changed = |change: fn(&mut Checkpoint)| {
        let mut checkpoint = good.clone();
        change(&mut checkpoint);
        checkpoint
    };
    let wrong: [(&str, Checkpoint); 7] = [
        ("kernel_id", changed(|checkpoint| checkpoint.metadata.kernel_id.push('x'))),
        ("kernel_type", changed(|checkpoint| checkpoint.metadata.kernel_type.push('x'))),
        ("grid_size", changed(|checkpoint| checkpoint.metadata.grid_size.0 = 9)),
        ("no such region", changed(|checkpoint| checkpoint.chunks.truncate(4))),
        ("another size", changed(|checkpoint| checkpoint.chunks[3] = DataChunk::region("field", vec![0; 9]))),
        ("no place", changed(|checkpoint| checkpoint.add_device_memory("velocity", vec![0; 9]))),
        ("no place", changed(|checkpoint| checkpoint.chunks.push(checkpoint.chunks[3].clone()))),
    ];
    for (said, checkpoint) in wrong {
        let error = machine.kernel.restore_from_checkpoint(&checkpoint).unwrap_err();
        assert!(error.to_string().contains(said), "{said}: {error}");
        assert_eq!(machine.count(), 6);
    }
    machine.kernel.restore_from_checkpoint(&good).unwrap();
    assert_eq!(machine.count(), 5);
}

#[test]
fn a_kernel_that_was_restored_in_part_says_so_until_it_is_whole() {
    let mut machine = Machine::new();
    machine.kernel.write("field", 0, &[7; 4]).unwrap();
    let good = machine.kernel.create_checkpoint().unwrap();
    let mut bytes = good.to_bytes();
    let field = CheckpointReader::open(bytes.as_slice()).unwrap().chunks()[3].offset;
    bytes[usize::try_from(field).unwrap() + 5000] ^= 1;
    let damaged = CheckpointReader::open(bytes).unwrap();
    let error = machine.kernel.restore_from(&damaged).unwrap_err();
    assert_eq!(error.recovery(), Recovery::RestoreElsewhere, "{error}");
    assert!(matches!(machine.kernel.create_checkpoint(), Err(KernelError::RestoredInPart)));
    assert!(matches!(machine.kernel.run_until(9), Err(KernelError::RestoredInPart)));
    machine.kernel.restore_from_checkpoint(&good).unwrap();
    assert_eq!(machine.kernel.create_checkpoint().unwrap().contents(), good.contents());
}

#[test]
fn queues_keep_their_order_around_the_end_and_refuse_what_is_too_much() {
    let machine = Machine::new();
    let kernel = &machine.kernel;
    kernel.send(&[b"a", b"b", b"c"]).unwrap();
    let full = kernel.send(&[b"d", b"e"]).unwrap_err();
    assert!(matches!(full, KernelError::QueueFull { capacity: 4, .. }), "{full}");
    let long = kernel.send(&[&[0; 17]]).unwrap_err();
    assert!(matches!(long, KernelError::MessageSize { slot_bytes: 16, found: 17, .. }), "{long}");

    // What a kernel would send: three messages, of which the last lies in the first slot again.
    let mut header = vec![0; 64];
    header[..8].copy_from_slice(&2_u64.to_le_bytes());
    header[8..16].copy_from_slice(&5_u64.to_le_bytes());
    header[16..24].copy_from_slice(&[4, 0, 0, 0, 16, 0, 0, 0]);
    header[24] = 9;
    kernel.write("K2HQueue", 0, &header).unwrap();
    for (slot, letter) in [(2, b'x'), (3, b'y'), (0, b'z')] {
        kernel.write("K2HQueue", 64 + slot * 16, &[letter; 16]).unwrap();
    }
    let (messages, dropped) = kernel.receive().unwrap();
    assert_eq!((messages, dropped), (vec![vec![b'x'; 16], vec![b'y'; 16], vec![b'z'; 16]], 9));
    assert_eq!(kernel.receive().unwrap().0, Vec::<Vec<u8>>::new());

    for (at, byte) in [(8, 200), (16, 5), (0, 255)] {
        let mut damaged = header.clone();
        damaged[at] = byte;
        kernel.write("K2HQueue", 0, &damaged).unwrap();
        assert!(matches!(kernel.receive(), Err(KernelError::QueueDamaged { .. })), "{at}");
    }
}

#[test]
fn a_description_that_makes_no_sense_allocates_nothing() {
    let home = tempfile::tempdir().unwrap();
    let host = LocalHost::builder().home(home.path()).open().unwrap();
    let lease = GpuBuilder::new().on(&host).acquire().unwrap();
    let builder = || PersistentKernel::builder("k", "t");
    for wrong in [
        builder().region("a", 1).region("a", 1),
        builder().region("a", 0),
        builder().h2k_queue(Queue { capacity: 0, slot_bytes: 8 }),
        builder().k2h_queue(Queue { capacity: 1, slot_bytes: 12 }),
        builder().staging_bytes(0),
    ] {
        let error = wrong.build(GpuSession::new(&lease)).unwrap_err();
        assert!(matches!(error, KernelError::InvalidRegion { .. }), "{error}");
    }
    assert_eq!(host.gpu_host().usage().unwrap().allocations, 0);
    let other = CheckpointBuilder::new("k", "t").build();
    let mut kernel = builder().build(GpuSession::new(&lease)).unwrap();
    assert!(matches!(kernel.restore(&other), Err(KernelError::NoSuchRegion { .. })));
}
