//! Ten thousand sessions that end in every way leave nothing: no session, module, allocation, byte, stream or lease.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::time::Duration;

use fabricbios_core::clock::{Clock, ManualClock};
use grafos_std::FabricError;
use grafos_std::gpu::{
    GpuBuilder, GpuExclusivityClass, GpuLease, GpuMemHandle, GpuModule, GpuSession, KernelArgs,
};
use grafos_std::host::testing::RamBlockHost;
use grafos_std::host::{GpuHost, Host, LocalGpuHost};

const SESSIONS: u32 = 10_000;
const LEASE_SECS: u64 = 100;

const KERNELS: &str = r"
.version 6.3
.target sm_70
.address_size 64
.visible .global .align 8 .b8 table[1000];

.visible .entry store(.param .u64 address)
{
    .reg .b32 %r<2>;
    .reg .b64 %rd<2>;
    ld.param.u64 %rd1, [address];
    mov.u32 %r1, 7;
    st.global.u32 [%rd1], %r1;
    ret;
}

.visible .entry forever()
{
LOOP:
    bra LOOP;
}
";

struct World {
    gpu: LocalGpuHost,
    host: Host,
    clock: Arc<ManualClock>,
}

impl World {
    fn new() -> Self {
        let clock = Arc::new(ManualClock::default());
        let shared: Arc<dyn Clock> = clock.clone();
        let gpu = LocalGpuHost::builder().clock(Arc::clone(&shared)).build().unwrap();
        let block = Arc::new(RamBlockHost::new(Arc::clone(&shared)));
        let host = Host::builder().block(block).gpu(Arc::new(gpu.clone())).clock(shared).build().unwrap();
        Self { gpu, host, clock }
    }

    fn lease(&self) -> GpuLease {
        let builder = GpuBuilder::new().on(&self.host).min_vram(1 << 20).lease_secs(LEASE_SECS);
        builder.exclusivity(GpuExclusivityClass::Shared).acquire().unwrap()
    }

    fn assert_idle(&self, after: &str) {
        let usage = self.gpu.usage().unwrap();
        assert!(usage.is_idle(), "after {after}: {usage:?}");
    }
}

struct Work {
    session: GpuSession,
    module: GpuModule,
    memory: GpuMemHandle,
}

impl Work {
    fn start(lease: &GpuLease) -> Self {
        let mut session = GpuSession::new(lease);
        let memory = session.mem_alloc(4096).unwrap();
        session.mem_write(&memory, 0, &[0x5A; 4096]).unwrap();
        let module = session.module_load(KERNELS).unwrap();
        let work = Self { session, module, memory };
        work.launch("store", KernelArgs::new().push_buffer(&work.memory));
        work
    }

    fn launch(&self, kernel: &str, args: KernelArgs) {
        self.session.launch_with_args(&self.module, kernel, [1; 3], [1; 3], args).unwrap();
    }
}

const ENDS: [fn(&World, GpuLease, Work); 12] = [
    |_, _, work| drop(work),
    |_, _, work| work.session.close().unwrap(),
    |_, _, Work { mut session, module, memory }| {
        session.module_unload(module).unwrap();
        session.mem_free(memory).unwrap();
    },
    |_, _, work| {
        // A mistake, then the function that made it returns.
        work.session.mem_write(&work.memory, 4096, &[1]).unwrap_err();
    },
    |_, _, work| {
        work.launch("store", KernelArgs::new().push_u64(8));
        let error = work.session.sync().unwrap_err();
        assert!(matches!(error, FabricError::GpuSessionFailed { code: 1, .. }), "{error}");
    },
    |_, lease, work| {
        let unwound = catch_unwind(AssertUnwindSafe(move || {
            let _moved = (work, lease);
            resume_unwind(Box::new("on purpose"));
        }));
        assert!(unwound.is_err());
    },
    |_, lease, work| {
        lease.release().unwrap();
        work.session.sync().unwrap_err();
    },
    |_, lease, work| {
        drop(lease);
        drop(work);
    },
    |world, lease, work| {
        world.host.revoke(lease.lease_id()).unwrap();
        world.assert_idle("a revocation");
        drop(work);
    },
    |world, lease, work| {
        work.launch("forever", KernelArgs::new());
        world.host.revoke(lease.lease_id()).unwrap();
        world.assert_idle("a revocation under a kernel");
        drop(work);
    },
    |world, _lease, work| {
        world.clock.advance(Duration::from_secs(LEASE_SECS));
        let error = work.session.sync().unwrap_err();
        assert!(matches!(error, FabricError::LeaseExpired { .. }), "{error}");
    },
    |world, _lease, work| {
        work.launch("forever", KernelArgs::new());
        world.clock.advance(Duration::from_secs(LEASE_SECS + 1));
        world.assert_idle("an expiry under a kernel");
        drop(work);
    },
];

#[test]
fn ten_thousand_sessions_that_end_in_every_way_leave_nothing() {
    let world = World::new();
    let mut ends = ENDS.iter().enumerate().cycle();
    for number in 0..SESSIONS {
        let lease = world.lease();
        let work = Work::start(&lease);
        let (way, end) = ends.next().unwrap();
        end(&world, lease, work);
        world.assert_idle(&format!("session {number}, ended in way {way}"));
    }
    let launches = world.gpu.usage().unwrap().launches;
    assert!(launches >= u64::from(SESSIONS), "{launches} launches");
}

#[test]
fn sessions_of_many_threads_at_once_leave_nothing() {
    let world = World::new();
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let world = &world;
            scope.spawn(move || {
                // Without the ways that move the clock or look at all of the host.
                for number in 0..100 {
                    let lease = world.lease();
                    let work = Work::start(&lease);
                    ENDS[(thread + number) % 8](world, lease, work);
                }
            });
        }
    });
    world.assert_idle("all threads");
}
