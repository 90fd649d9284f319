//! What the local GPU does beyond the contract: devices of any number and size, what kernels print, faults with their
//! place, limits for kernels that nobody vouches for.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use fabricbios_core::clock::{Clock, ManualClock};
use fabricbios_core::recovery::Recovery;
use grafos_std::FabricError;
use grafos_std::gpu::{
    GpuBuilder, GpuError, GpuExclusivityClass, GpuFault, GpuLease, GpuSession, KernelArgs, KernelFaultKind,
    LaunchConfig,
};
use grafos_std::host::testing::RamBlockHost;
use grafos_std::host::{GpuHost, Host, LocalGpuHost, LocalGpuHostBuilder};

const KERNELS: &str = r#"
.version 6.3
.target sm_70
.address_size 64

.extern .func (.param .b32 result) vprintf(.param .b64 format, .param .b64 arguments);
.global .align 1 .b8 hello[7] = {104, 101, 108, 108, 111, 10, 0};
.global .align 8 .b8 big[1000000];

.visible .entry greet()
{
    .reg .b64 %rd<3>;
    .reg .b32 %r<2>;
    mov.u64 %rd1, hello;
    cvta.global.u64 %rd2, %rd1;
    {
        .param .b64 param0;
        st.param.b64 [param0], %rd2;
        .param .b64 param1;
        st.param.b64 [param1], 0;
        .param .b32 retval0;
        call.uni (retval0), vprintf, (param0, param1);
        ld.param.b32 %r1, [retval0];
    }
    ret;
}

.visible .entry store(.param .u64 address)
{
    .reg .b32 %r<2>;
    .reg .b64 %rd<2>;
    ld.param.u64 %rd1, [address];
    mov.u32 %r1, 7;
    st.global.u32 [%rd1], %r1;
    ret;
}

.visible .entry stop()
{
    trap;
}

.visible .entry forever()
{
LOOP:
    bra LOOP;
}

.visible .entry greet_forever(.param .u64 flag)
{
    .reg .b64 %rd<4>;
    .reg .b32 %r<3>;
    mov.u64 %rd1, hello;
    cvta.global.u64 %rd2, %rd1;
    {
        .param .b64 param0;
        st.param.b64 [param0], %rd2;
        .param .b64 param1;
        st.param.b64 [param1], 0;
        .param .b32 retval0;
        call.uni (retval0), vprintf, (param0, param1);
        ld.param.b32 %r1, [retval0];
    }
    ld.param.u64 %rd3, [flag];
    mov.u32 %r2, 1;
    st.global.u32 [%rd3], %r2;
AGAIN:
    bra AGAIN;
}

.visible .entry pairs()
.reqntid 2, 1, 1
{
    ret;
}
"#;

fn host(builder: LocalGpuHostBuilder) -> (Host, LocalGpuHost) {
    host_at(Arc::new(ManualClock::default()), builder)
}

fn host_at(clock: Arc<dyn Clock>, builder: LocalGpuHostBuilder) -> (Host, LocalGpuHost) {
    let gpu = builder.clock(Arc::clone(&clock)).build().unwrap();
    let block = Arc::new(RamBlockHost::new(Arc::clone(&clock)));
    (Host::builder().block(block).gpu(Arc::new(gpu.clone())).clock(clock).build().unwrap(), gpu)
}

fn lease(host: &Host) -> GpuLease {
    GpuBuilder::new().on(host).min_vram(4 << 20).exclusivity(GpuExclusivityClass::Shared).acquire().unwrap()
}

/// Launches one thread of a kernel and says what sync says.
fn run(lease: &GpuLease, kernel: &str, args: KernelArgs) -> grafos_std::Result<()> {
    let mut session = GpuSession::new(lease);
    let module = session.module_load(KERNELS)?;
    session.launch_with_args(&module, kernel, [1; 3], [1; 3], args)?;
    session.sync()
}

#[test]
fn the_default_device_has_16_gib_and_is_exclusive() {
    let (host, gpu) = host(LocalGpuHost::builder());
    let devices = gpu.devices().unwrap();
    assert_eq!(devices.len(), 1);
    assert_eq!((devices[0].name.as_str(), devices[0].vram_bytes), ("grafos local GPU", 16 << 30));
    let lease = GpuBuilder::new().on(&host).acquire().unwrap();
    assert_eq!(lease.exclusivity(), GpuExclusivityClass::DeviceExclusive);
    assert_eq!(lease.vram_bytes(), 16 << 30, "who has the device has all of its memory");
    // So much that the machine has not got it, as long as nobody writes there.
    let mut session = GpuSession::new(&lease);
    let memory = session.mem_alloc(15 << 30).unwrap();
    session.mem_write(&memory, (15 << 30) - 5, b"hello").unwrap();
    assert_eq!(session.mem_read(&memory, (15 << 30) - 6, 6).unwrap(), b"\0hello");
}

#[test]
fn leases_spread_over_the_devices_there_are() {
    let (host, gpu) = host(LocalGpuHost::builder().devices(3).vram_bytes(1 << 20).name("small"));
    assert!(gpu.devices().unwrap().iter().all(|device| device.name == "small"));
    let builder = || GpuBuilder::new().on(&host).min_vram(1 << 20);
    let leases: Vec<_> = (0..3).map(|_| builder().acquire().unwrap()).collect();
    let devices: Vec<_> = leases.iter().map(|lease| lease.device_info().index).collect();
    assert_eq!(devices, [0, 1, 2]);
    assert!(matches!(builder().acquire(), Err(FabricError::Held { .. })));
    assert!(matches!(builder().device(1).acquire(), Err(FabricError::Held { .. })));
    drop(leases);
    assert_eq!(builder().device(2).acquire().unwrap().device_info().index, 2);
}

#[test]
fn senseless_hosts_are_refused() {
    for builder in [
        LocalGpuHost::builder().devices(0),
        LocalGpuHost::builder().vram_bytes(0),
        LocalGpuHost::builder().devices(65),
    ] {
        assert_eq!(builder.build().unwrap_err().recovery(), Recovery::FixCaller);
    }
}

#[test]
fn what_a_kernel_prints_goes_where_the_host_was_told() {
    let printed: Arc<Mutex<Vec<u8>>> = Arc::default();
    let sink = Arc::clone(&printed);
    let (host, _) =
        host(LocalGpuHost::builder().print_to(move |bytes| sink.lock().unwrap().extend_from_slice(bytes)));
    let lease = lease(&host);
    for _ in 0..2 {
        run(&lease, "greet", KernelArgs::new()).unwrap();
    }
    assert_eq!(*printed.lock().unwrap(), b"hello\nhello\n");
}

#[test]
fn a_kernel_stops_at_the_deadline_of_its_lease_though_nobody_asks() {
    let (sender, stopped) = mpsc::channel();
    let clock = Arc::new(ManualClock::default());
    let printing = LocalGpuHost::builder().print_to(move |bytes| sender.send(bytes.to_vec()).unwrap());
    let (host, gpu) = host_at(clock.clone(), printing);
    let lease = lease(&host);
    let mut session = GpuSession::new(&lease);
    let (module, flag) = (session.module_load(KERNELS).unwrap(), session.mem_alloc(4).unwrap());
    let stream = session.stream_create().unwrap();
    let config = LaunchConfig::new([1; 3], [1; 3]).stream(&stream);
    let args = KernelArgs::new().push_buffer(&flag);
    session.launch_with_config(&module, "greet_forever", &config, args).unwrap();
    while session.mem_read(&flag, 0, 4).unwrap() != [1, 0, 0, 0] {
        thread::yield_now();
    }
    assert!(stopped.try_recv().is_err(), "what a kernel prints comes when it has ended");
    clock.advance(Duration::from_secs(GpuBuilder::DEFAULT_LEASE_SECS + 1));
    // No operation, and nobody asks the host.
    assert_eq!(stopped.recv_timeout(Duration::from_secs(60)).unwrap(), b"hello\n");
    assert!(gpu.usage().unwrap().is_idle());
}

#[test]
fn a_fault_says_what_was_done_where() {
    let (host, _) = host(LocalGpuHost::builder());
    let lease = lease(&host);
    let error = run(&lease, "store", KernelArgs::new().push_u64(0x1234)).unwrap_err();
    assert_eq!(error.recovery(), Recovery::Reopen);
    let text = error.to_string();
    let FabricError::GpuSessionFailed { code: 1, fault } = error else { panic!("{text}") };
    let GpuFault::Kernel(fault) = *fault else { panic!("{text}") };
    assert_eq!(fault.kind, KernelFaultKind::IllegalAddress);
    assert_eq!(
        (fault.kernel.as_deref(), fault.space, fault.address),
        (Some("store"), Some("global"), Some(0x1234))
    );
    assert_eq!((fault.block, fault.thread), (Some([0; 3]), Some([0; 3])));
    let line = KERNELS.lines().nth(fault.line.unwrap() as usize - 1).unwrap();
    assert!(line.contains("st.global.u32"), "{line}");
    assert!(text.contains("kernel=store") && text.contains("address=0x1234"), "{text}");

    let kind = |kernel: &str, args| match run(&lease, kernel, args) {
        Err(FabricError::GpuSessionFailed { fault, .. }) => match *fault {
            GpuFault::Kernel(fault) => fault.kind,
            other => panic!("{other}"),
        },
        other => panic!("{other:?}"),
    };
    assert_eq!(kind("stop", KernelArgs::new()), KernelFaultKind::Trap);
    let mut session = GpuSession::new(&lease);
    let memory = session.mem_alloc(8).unwrap();
    assert_eq!(
        kind("store", KernelArgs::new().push_u64(memory.raw() + 1)),
        KernelFaultKind::MisalignedAddress
    );
}

#[test]
fn a_kernel_that_nobody_vouches_for_ends_at_its_limit() {
    let builder = LocalGpuHost::builder().max_instructions(1_000_000).threads(NonZeroUsize::MIN);
    let (host, _) = host(builder);
    let lease = lease(&host);
    let error = run(&lease, "forever", KernelArgs::new()).unwrap_err();
    assert_eq!(error.recovery(), Recovery::FixCaller, "{error}");
    let FabricError::GpuSessionFailed { code: 2, fault } = error else { panic!("{error}") };
    assert!(matches!(*fault, GpuFault::Limit { limit: 1_000_000, .. }), "{fault}");
    run(&lease, "pairs", KernelArgs::new()).unwrap_err();
}

#[test]
fn a_launch_of_another_shape_than_the_kernel_requires_is_refused() {
    let (host, gpu) = host(LocalGpuHost::builder());
    let lease = lease(&host);
    let error = run(&lease, "pairs", KernelArgs::new()).unwrap_err();
    assert!(matches!(error, FabricError::Gpu(GpuError::LaunchRefused { .. })), "{error}");
    assert_eq!(gpu.usage().unwrap().launches, 0);
    let mut session = GpuSession::new(&lease);
    let module = session.module_load(KERNELS).unwrap();
    session.launch_with_args(&module, "pairs", [3, 1, 1], [2, 1, 1], KernelArgs::new()).unwrap();
    session.sync().unwrap();
}

#[test]
fn variables_of_modules_take_memory_of_the_lease() {
    let (host, gpu) = host(LocalGpuHost::builder());
    let lease = lease(&host); // of 4 MiB
    let mut session = GpuSession::new(&lease);
    let mut modules = Vec::new();
    let error = loop {
        match session.module_load(KERNELS) {
            Ok(module) => modules.push(module),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, FabricError::CapacityExceeded { .. }), "{error}");
    assert_eq!(modules.len(), 4, "4 of 1 MB each");
    assert!(gpu.usage().unwrap().bytes > 4_000_000);
    session.mem_alloc(1 << 20).unwrap_err();
    drop(modules);
    assert_eq!(gpu.usage().unwrap().bytes, 0);
    session.mem_alloc(1 << 20).unwrap();
}

#[test]
fn more_work_than_a_stream_keeps_waiting_is_done_all_the_same() {
    let (host, gpu) = host(LocalGpuHost::builder());
    let lease = lease(&host);
    let mut session = GpuSession::new(&lease);
    let module = session.module_load(KERNELS).unwrap();
    let memory = session.mem_alloc(4).unwrap();
    for _ in 0..5000 {
        let args = KernelArgs::new().push_buffer(&memory);
        session.launch_with_args(&module, "store", [1; 3], [1; 3], args).unwrap();
    }
    assert_eq!(session.mem_read(&memory, 0, 4).unwrap(), [7, 0, 0, 0]);
    assert_eq!(gpu.usage().unwrap().launches, 5000);
}
