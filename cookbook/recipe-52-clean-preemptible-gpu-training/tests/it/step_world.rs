//! What the tests of the step share: a host without a GPU, an engine in memory, kernels that misbehave, and what the
//! real one must compute.

use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::thread;

use cookbook_recipe_52_clean_preemptible_gpu_training::{
    Commit, TrainingBatch, TrainingCheckpoint, TrainingError, TrainingStepOutcome, TrainingStepRunner,
    acquire_preemptible_training_lease, checkpoint_name, replicated_training_state, take_over_training,
};
use fabricbios_core::clock::{Clock, ManualClock};
use grafos_replicated::memory::{MemoryMetadataStore, MemoryReplica};
use grafos_replicated::*;
use grafos_std::gpu::GpuLease;
use grafos_std::host::testing::RamBlockHost;
use grafos_std::host::{GpuHost, GpuUsage, Host, LocalGpuHost};

use crate::mortal::{Life, mortal};

pub(crate) const TRAIN_STEP: &[u8] = include_bytes!("train_step.ptx");

/// Kernels with the parameters of `train_step`. `telling_step` prints when it has added one to each byte.
pub(crate) const KERNELS: &str = r#"
.version 6.3
.target sm_70
.address_size 64

.extern .func (.param .b32 result) vprintf(.param .b64 format, .param .b64 arguments);
.global .align 1 .b8 done[6] = {100, 111, 110, 101, 10, 0};

.visible .entry telling_step(.param .u64 step, .param .u32 output_len, .param .u64 state)
{
    .reg .pred %p<2>;
    .reg .b16 %h<3>;
    .reg .b32 %r<4>;
    .reg .b64 %rd<4>;
    ld.param.u32 %r1, [output_len];
    ld.param.u64 %rd1, [state];
    mov.u32 %r2, 0;
NEXT:
    ld.global.u8 %h1, [%rd1];
    add.u16 %h2, %h1, 1;
    st.global.u8 [%rd1], %h2;
    add.u64 %rd1, %rd1, 1;
    add.u32 %r2, %r2, 1;
    setp.lt.u32 %p1, %r2, %r1;
    @%p1 bra NEXT;
    mov.u64 %rd2, done;
    cvta.global.u64 %rd3, %rd2;
    {
        .param .b64 param0;
        st.param.b64 [param0], %rd3;
        .param .b64 param1;
        st.param.b64 [param1], 0;
        .param .b32 retval0;
        call.uni (retval0), vprintf, (param0, param1);
        ld.param.b32 %r3, [retval0];
    }
    ret;
}

.visible .entry endless_step(.param .u64 step, .param .u32 output_len, .param .u64 state)
{
AGAIN:
    bra AGAIN;
}

.visible .entry trapping_step(.param .u64 step, .param .u32 output_len, .param .u64 state)
{
    trap;
}

.visible .entry straying_step(.param .u64 step, .param .u32 output_len, .param .u64 state)
{
    .reg .b16 %h<2>;
    .reg .b64 %rd<2>;
    ld.param.u64 %rd1, [state];
    mov.u16 %h1, 7;
    st.global.u8 [%rd1+4096], %h1;
    ret;
}

.visible .entry another_kernel(.param .u64 state)
{
    ret;
}
"#;

pub(crate) const JOB: &str = "spot-resnet";

/// A host whose clock stands, and an engine whose records and blobs outlive every handle.
pub(crate) struct World {
    pub(crate) host: Host,
    pub(crate) gpu: LocalGpuHost,
    pub(crate) clock: Arc<ManualClock>,
    engine: Engine,
    /// What is done while `telling_step` prints: once, and the kernel waits for it.
    told: Arc<Mutex<Option<Interruption>>>,
}

type Interruption = Box<dyn FnOnce() + Send>;

#[derive(Debug)]
struct Source(MemoryReplica);

impl ReplicaSource for Source {
    fn open(&self, _: &ReplicaLocator) -> Result<Arc<dyn PayloadReplica>, StoreError> {
        Ok(Arc::new(self.0.clone()))
    }
}

/// What one process has of the stores, and the epoch that it writes with.
pub(crate) struct Process {
    pub(crate) checkpoints: ReplicatedCheckpoint,
    pub(crate) effects: ReplicatedIdempotencyStore,
    pub(crate) epoch: FenceEpoch,
    pub(crate) commit: Commit,
}

impl World {
    pub(crate) fn new() -> Self {
        let clock = Arc::new(ManualClock::default());
        let ticking: Arc<dyn Clock> = Arc::clone(&clock) as Arc<dyn Clock>;
        let told: Arc<Mutex<Option<Interruption>>> = Arc::default();
        let to_do = Arc::clone(&told);
        let print = move |_: &[u8]| {
            let interruption = to_do.lock().unwrap().take();
            if let Some(interruption) = interruption {
                interruption();
            }
        };
        let gpu = LocalGpuHost::builder().clock(Arc::clone(&ticking)).print_to(print).build().unwrap();
        let block = Arc::new(RamBlockHost::new(Arc::clone(&ticking)));
        let host = Host::builder().block(block).gpu(Arc::new(gpu.clone())).clock(ticking).build().unwrap();
        let registers = Arc::new(MemoryMetadataStore::new());
        let engine = Engine::new(registers, Arc::new(Source(MemoryReplica::new())));
        Self { host, gpu, clock, engine, told }
    }

    /// While the next `telling_step` is in the middle of its step, this happens first.
    pub(crate) fn interrupt_with(&self, interruption: impl FnOnce() + Send + 'static) {
        *self.told.lock().unwrap() = Some(Box::new(interruption));
    }

    /// The first process: it has taken nothing over.
    pub(crate) fn first_process(&self) -> Process {
        self.process_with(&Life::immortal())
    }

    pub(crate) fn process_with(&self, life: &Life) -> Process {
        Process::of(&mortal(&self.engine, life))
    }

    /// A process that follows others: it fences them.
    pub(crate) fn next_process(&self) -> Process {
        let mut process = self.first_process();
        process.take_over();
        process
    }

    pub(crate) fn lease(&self) -> GpuLease {
        self.host.scope(|| acquire_preemptible_training_lease(1 << 20, 120)).unwrap()
    }

    pub(crate) fn usage(&self) -> GpuUsage {
        self.gpu.usage().unwrap()
    }

    /// Nothing but this number of leases is alive, and so much was launched.
    pub(crate) fn assert_only(&self, leases: u64, launches: u64) {
        assert_eq!(self.usage(), GpuUsage { leases, launches, ..GpuUsage::default() });
    }

    /// What is on record, seen by somebody who only looks.
    pub(crate) fn saved(&self) -> Option<(Version, TrainingCheckpoint)> {
        let loaded = self.first_process().checkpoints.load(&checkpoint_name(JOB)).unwrap();
        loaded.map(|loaded| (loaded.version, loaded.value))
    }

    pub(crate) fn effect_of(&self, step: u64) -> Option<IdempotencyOutcome> {
        let recorded = self.first_process().effects.lookup(&key(step)).unwrap();
        recorded.map(|value| value.outcome)
    }
}

impl Process {
    pub(crate) fn of(engine: &Engine) -> Self {
        let (checkpoints, effects) = engine.scope(replicated_training_state).unwrap();
        Self { checkpoints, effects, epoch: FenceEpoch(1), commit: Commit::AsOne }
    }

    pub(crate) fn take_over(&mut self) {
        self.epoch = take_over_training(&mut self.checkpoints, &mut self.effects, JOB).unwrap();
    }

    pub(crate) fn committing(mut self, commit: Commit) -> Self {
        self.commit = commit;
        self
    }

    /// Step `step` by the real kernel, on a state that `expected` has.
    pub(crate) fn step(
        &mut self,
        lease: &GpuLease,
        step: u64,
        expected: u64,
    ) -> Result<TrainingStepOutcome, TrainingError> {
        self.run(lease, TRAIN_STEP, "train_step", batch(step), expected)
    }

    pub(crate) fn run_kernel(
        &mut self,
        lease: &GpuLease,
        kernel: &str,
    ) -> Result<TrainingStepOutcome, TrainingError> {
        self.run(lease, KERNELS.as_bytes(), kernel, batch(42), 0)
    }

    pub(crate) fn run(
        &mut self,
        lease: &GpuLease,
        module: &[u8],
        kernel: &str,
        batch: TrainingBatch,
        expected: u64,
    ) -> Result<TrainingStepOutcome, TrainingError> {
        TrainingStepRunner::new(&mut self.checkpoints, &mut self.effects, lease)
            .at_epoch(self.epoch)
            .commit(self.commit)
            .run(module, kernel, batch, Version(expected))
    }
}

pub(crate) fn batch(step: u64) -> TrainingBatch {
    TrainingBatch { job_id: JOB.into(), step, input: input(), output_len: 4 }
}

pub(crate) fn input() -> Vec<u8> {
    vec![1, 2, 3, 4, 250]
}

pub(crate) fn key(step: u64) -> IdempotencyKey {
    IdempotencyKey::new(format!("job:{JOB}:step:{step}"))
}

/// What the real kernel makes of the first bytes of a state, by the formula at the head of its source.
pub(crate) fn trained(step: u64, state: &[u8]) -> Vec<u8> {
    let mixed = |i: u64| {
        let mixed = (step + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(i * 29).rotate_left(23);
        mixed.to_le_bytes()[0]
    };
    (0..).zip(state).map(|(i, byte)| byte.wrapping_mul(5).wrapping_add(mixed(i))).collect()
}

/// Runs `interruption` in a thread of its own as soon as a kernel has been launched, beside `work`.
pub(crate) fn once_launched<R>(
    world: &World,
    interruption: impl FnOnce() + Send,
    work: impl FnOnce() -> R,
) -> R {
    let before = world.usage().launches;
    let (ended, has_ended): (Sender<()>, Receiver<()>) = mpsc::channel();
    thread::scope(|scope| {
        scope.spawn(move || {
            while world.usage().launches == before {
                assert_eq!(has_ended.try_recv(), Err(mpsc::TryRecvError::Empty), "nothing was launched");
                thread::yield_now();
            }
            interruption();
        });
        let result = work();
        drop(ended);
        result
    })
}
