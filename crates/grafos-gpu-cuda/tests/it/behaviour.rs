//! What is special about CUDA, over the stand-in driver: logs of the compiler, binaries, old drivers, kernels that nobody
//! can stop, threads.

use std::sync::Arc;
use std::thread;

use fabricbios_core::clock::{Clock, ManualClock};
use fabricbios_core::state::LeaseStatus;
use grafos_gpu_cuda::CudaHost;
use grafos_std::error::FabricError;
use grafos_std::gpu::{
    GpuBuilder, GpuError, GpuExclusivityClass, GpuFault, GpuLease, GpuSession, KernelArgs, KernelFaultKind,
    LaunchConfig, UnavailableReason,
};
use grafos_std::host::{GpuHost, Host, RevokeOutcome};

use super::scenario::PTX;
use super::standin::{Control, Library, Live};
use super::{child, scenario};

struct Rig {
    host: CudaHost,
    front: Host,
}

impl Rig {
    fn new() -> Self {
        let host = CudaHost::open(0).unwrap();
        let front = scenario::front(&host).unwrap();
        Self { host, front }
    }

    fn lease(&self) -> GpuLease {
        GpuBuilder::new().on(&self.front).acquire().unwrap()
    }
}

type Check = fn(&Rig);

/// In the child: one check after the other, since they share the driver's counts.
pub(crate) fn play() {
    let checks: [(&str, Check); 8] = [
        ("the device is described", the_device_is_described),
        ("the log of the compiler is in the error", the_log_of_the_compiler_is_in_the_error),
        ("binaries are checked and handed on", binaries_are_checked_and_handed_on),
        ("a fault names kind and kernel", a_fault_names_kind_and_kernel),
        ("large shared memory is asked for", large_shared_memory_is_asked_for),
        (
            "a kernel that runs outlives its lease and nothing else does",
            a_kernel_that_runs_outlives_its_lease,
        ),
        ("sessions work from every thread", sessions_work_from_every_thread),
        ("staging outlives its session", staging_outlives_its_session),
    ];
    for (name, check) in checks {
        println!("{name}");
        let rig = Rig::new();
        check(&rig);
        assert!(rig.host.usage().unwrap().is_idle(), "{name}");
        assert_eq!(Control::load().live(), Live::default(), "{name}");
    }
}

#[test]
fn the_cuda_host_does_what_is_special_about_cuda() {
    let variables = [("GRAFOS_STANDIN_NAME", "A device of our own"), ("GRAFOS_STANDIN_DEVICES", "2")];
    child::run("behaviour", &Library::standin(), &variables);
}

fn the_device_is_described(rig: &Rig) {
    let devices = rig.host.devices().unwrap();
    let [device] = &devices[..] else { panic!("{devices:?}") };
    assert_eq!((device.index, &*device.name, &*device.driver), (0, "A device of our own", "CUDA 13.0"));
    assert_eq!(
        (device.vram_bytes, device.compute_capability, device.max_shared_bytes),
        (4 << 30, (9, 0), 64 << 10)
    );
    assert_eq!((device.max_block, device.max_grid), ([1024, 1024, 64], [i32::MAX as u32, 65_535, 65_535]));
    assert!(!device.stops_running_kernels);
    let all = CudaHost::builder().open().unwrap().devices().unwrap();
    assert_eq!(all.iter().map(|device| device.index).collect::<Vec<_>>(), [0, 1]);
    match CudaHost::open(2) {
        Err(GpuError::Unavailable { reason: UnavailableReason::NoDevice, message }) => {
            assert!(message.contains("index=2, devices=2"), "{message}");
        }
        other => panic!("{other:?}"),
    }
    match GpuBuilder::new().on(&rig.front).device(1).acquire() {
        Err(FabricError::Gpu(GpuError::Unavailable { reason: UnavailableReason::NoDevice, .. })) => {}
        other => panic!("{other:?}"),
    }
}

fn the_log_of_the_compiler_is_in_the_error(rig: &Rig) {
    let lease = rig.lease();
    let mut session = GpuSession::new(&lease);
    let broken = PTX.replace("mad.lo.s32 %r9", "mad.lo.s32 %nothing");
    match session.module_load(&broken) {
        Err(FabricError::Gpu(GpuError::ModuleRefused { line: Some(line), log })) => {
            let expected = broken.lines().position(|text| text.contains("%nothing")).unwrap() + 1;
            assert_eq!(line as usize, expected, "{log}");
            assert!(log.contains("code=218") && log.contains("stand-in, line"), "{log}");
        }
        other => panic!("{other:?}"),
    }
    match session.module_load(b".version 6.3\0.target sm_70") {
        Err(FabricError::Gpu(GpuError::ModuleRefused { line: None, log })) => {
            assert!(log.contains("NUL"), "{log}");
        }
        other => panic!("{other:?}"),
    }
    session.module_load(format!("{PTX}\0")).unwrap();
}

fn binaries_are_checked_and_handed_on(rig: &Rig) {
    let lease = rig.lease();
    let mut session = GpuSession::new(&lease);
    let mut cubin = vec![0; 64];
    cubin[..6].copy_from_slice(b"\x7fELF\x02\x01");
    // Whole, so the driver sees it; the stand-in has code for no binary.
    match session.module_load(&cubin) {
        Err(FabricError::Gpu(GpuError::ModuleRefused { log, .. })) => {
            assert!(log.contains("code=209"), "{log}");
        }
        other => panic!("{other:?}"),
    }
    let before = Control::load().calls("cuModuleLoadDataEx");
    match session.module_load(&cubin[..40]) {
        Err(FabricError::Gpu(GpuError::ModuleRefused { log, .. })) => {
            assert!(log.contains("cut off"), "{log}");
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(Control::load().calls("cuModuleLoadDataEx"), before, "the driver has seen half a binary");
}

fn a_fault_names_kind_and_kernel(rig: &Rig) {
    for (kernel, kind) in
        [("out_of_bounds", KernelFaultKind::IllegalAddress), ("traps", KernelFaultKind::Other)]
    {
        let lease = rig.lease();
        let mut session = GpuSession::new(&lease);
        let module = session.module_load(PTX).unwrap();
        let data = session.mem_alloc(4).unwrap();
        // Ends well, so it is not to blame.
        let args = KernelArgs::new().push_buffer(&data).push_u32(1).push_u32(1).push_u32(1);
        session.launch_with_args(&module, "affine", [1; 3], [1; 3], args).unwrap();
        session.sync().unwrap();
        let args = if kernel == "traps" { KernelArgs::new() } else { KernelArgs::new().push_buffer(&data) };
        session.launch_with_args(&module, kernel, [1; 3], [1; 3], args).unwrap();
        match session.sync() {
            Err(FabricError::GpuSessionFailed { code: 1, fault }) => match *fault {
                GpuFault::Kernel(fault) => {
                    assert_eq!((fault.kind, fault.kernel.as_deref()), (kind, Some(kernel)));
                }
                other => panic!("{other:?}"),
            },
            other => panic!("{other:?}"),
        }
        assert!(matches!(
            session.mem_read(&data, 0, 4_u64),
            Err(FabricError::GpuSessionFailed { code: 1, .. })
        ));
        drop(session);
        GpuSession::new(&lease).mem_alloc(4).unwrap();
    }
}

fn large_shared_memory_is_asked_for(rig: &Rig) {
    let lease = rig.lease();
    let mut session = GpuSession::new(&lease);
    let module = session.module_load(PTX).unwrap();
    let out = session.mem_alloc(4).unwrap();
    let asked = || Control::load().calls("cuFuncSetAttribute");
    for (bytes, asks) in [(1024_u32, 0), (48 << 10, 0), (64 << 10, 1), (64 << 10, 0)] {
        let before = asked();
        let config = LaunchConfig::new([1; 3], [1; 3]).shared_bytes(bytes);
        let args = KernelArgs::new().push_buffer(&out);
        session.launch_with_config(&module, "shared_words", &config, args).unwrap();
        assert_eq!(session.mem_read(&out, 0, 4_u64).unwrap(), bytes.to_le_bytes());
        assert_eq!(asked() - before, asks, "{bytes}");
    }
}

fn a_kernel_that_runs_outlives_its_lease(rig: &Rig) {
    let lease = rig.lease();
    let mut session = GpuSession::new(&lease);
    let module = session.module_load(PTX).unwrap();
    let flag = session.mem_alloc(4).unwrap();
    let stream = session.stream_create().unwrap();
    let staging = session.staging_alloc(4).unwrap();
    let address = flag.raw();
    let args = KernelArgs::new().push_buffer(&flag);
    session.launch_with_args(&module, "wait_for", [1; 3], [1; 3], args).unwrap();
    assert_eq!(rig.front.revoke(lease.lease_id()).unwrap(), RevokeOutcome::TornDown);
    assert_eq!(lease.status(), LeaseStatus::Revoked);
    assert!(matches!(session.sync(), Err(FabricError::Revoked { .. })), "fails closed at once");
    let usage = rig.host.usage().unwrap();
    assert_eq!((usage.leases, usage.sessions, usage.allocations), (0, 1, 1), "the kernel runs on");
    let refused =
        GpuBuilder::new().on(&rig.front).exclusivity(GpuExclusivityClass::DeviceExclusive).acquire();
    assert!(matches!(refused, Err(FabricError::Held { .. })), "{refused:?}");
    drop((flag, stream, module, staging, session));
    // Nobody can reach the kernel through the host any more: the test's own driver lets it go.
    Control::load().poke(address, 1);
    while !rig.host.usage().unwrap().is_idle() {
        thread::yield_now();
    }
    drop(rig.lease());
}

fn sessions_work_from_every_thread(rig: &Rig) {
    let lease = rig.lease();
    let mut session = GpuSession::new(&lease);
    let module = session.module_load(PTX).unwrap();
    let parts: Vec<_> = (0..4).map(|_| session.mem_alloc(1 << 20).unwrap()).collect();
    let words = 1_u32 << 18;
    thread::scope(|scope| {
        for (number, part) in (0_u8..).zip(&parts) {
            let (session, module) = (&session, &module);
            scope.spawn(move || {
                session.mem_write(part, 0, &vec![number; 1 << 20]).unwrap();
                let args = KernelArgs::new().push_buffer(part).push_u32(words).push_u32(1).push_u32(1);
                session.launch_with_args(module, "affine", [words / 256, 1, 1], [256, 1, 1], args).unwrap();
                let found = session.mem_read(part, 0, 4_u64).unwrap();
                assert_eq!(found, (u32::from_le_bytes([number; 4]) + 1).to_le_bytes());
            });
        }
    });
}

fn staging_outlives_its_session(rig: &Rig) {
    let clock = Arc::new(ManualClock::default());
    let shared: Arc<dyn Clock> = Arc::clone(&clock) as Arc<dyn Clock>;
    let host = CudaHost::builder().device(0).clock(Arc::clone(&shared)).open().unwrap();
    let block = Arc::new(grafos_std::host::testing::RamBlockHost::new(Arc::clone(&shared)));
    let front = Host::builder().block(block).gpu(Arc::new(host.clone())).clock(shared).build().unwrap();
    let lease = GpuBuilder::new().on(&front).lease_secs(10).acquire().unwrap();
    let mut session = GpuSession::new(&lease);
    let memory = session.mem_alloc(4096).unwrap();
    session.mem_fill(&memory, 0, 7, 4096).unwrap();
    let staging = session.staging_alloc(4096).unwrap();
    let mut staging = session
        .copy_to_staging(&session.default_stream(), &memory, 0, staging, 4096)
        .unwrap()
        .wait()
        .unwrap();
    let unused = session.staging_alloc(64).unwrap();
    clock.advance(std::time::Duration::from_secs(11));
    assert!(matches!(session.sync(), Err(FabricError::LeaseExpired { .. })));
    assert!(host.usage().unwrap().is_idle());
    assert!(staging.iter().all(|byte| *byte == 7), "the bytes are the program's");
    staging.fill(8);
    let refused = session.copy_from_staging(&session.default_stream(), &memory, 0, staging, 4096);
    assert!(matches!(refused, Err(FabricError::LeaseExpired { .. })), "{refused:?}");
    drop((session, unused));
    // Who asks nobody but the host: what is past its deadline is struck out there.
    assert!(rig.host.usage().unwrap().is_idle());
}

/// In the child: a driver from before CUDA 12.4.
pub(crate) fn play_old_driver() {
    let rig = Rig::new();
    scenario::run(&rig.host).unwrap();
    let lease = rig.lease();
    let mut session = GpuSession::new(&lease);
    let module = session.module_load(PTX).unwrap();
    let refused = session.launch_with_args(&module, "affine", [1; 3], [1; 3], KernelArgs::new());
    match refused {
        Err(FabricError::Gpu(GpuError::ArgumentCount { expected: 4, found: 0, .. })) => {}
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_old_driver_works_with_parameters_from_the_text_of_the_module() {
    let library = Library::without(&["cuFuncGetParamInfo", "cuCtxCreate_v4"]);
    child::run("old-driver", &library, &[("GRAFOS_STANDIN_VERSION", "12020")]);
}
