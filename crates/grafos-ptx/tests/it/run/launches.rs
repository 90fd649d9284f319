//! What a launch may ask for, and special registers, which say what it has asked for.

use grafos_ptx::{Interrupt, Launch, LaunchError, Limits};

use super::rig::{Args, Rig};

fn outcome(
    rig: &Rig,
    grid: [u32; 3],
    block: [u32; 3],
    shared_bytes: u32,
    params: &[u8],
) -> Result<(), LaunchError> {
    let launch = Launch { grid, block, shared_bytes, params };
    rig.module.launch("k", &launch, &Limits::default(), &Interrupt::new()).outcome
}

fn refusal(result: Result<(), LaunchError>) -> (&'static str, String, String) {
    match result {
        Err(LaunchError::InvalidLaunch { what, expected, found }) => (what, expected, found),
        other => panic!("not refused: {other:?}"),
    }
}

#[test]
fn grids_and_blocks_that_no_device_takes_are_refused() {
    let rig = Rig::new("", "    exit;");
    let params = Args { out: 0, input: 0, n: 0 }.bytes();
    let run = |grid, block| outcome(&rig, grid, block, 0, &params);
    for grid in [[0, 1, 1], [1, 0, 1], [1, 1, 0], [1 << 31, 1, 1], [1, 65536, 1], [1, 1, 65536]] {
        let (what, _, found) = refusal(run(grid, [1; 3]));
        assert_eq!((what, found), ("blocks of the grid", format!("{grid:?}")));
    }
    for block in [[0, 1, 1], [1, 0, 1], [1, 1, 0], [1025, 1, 1], [1, 1025, 1], [1, 1, 65], [u32::MAX; 3]] {
        let (what, _, found) = refusal(run([1; 3], block));
        assert_eq!((what, found), ("threads of a block", format!("{block:?}")));
    }
    let (_, expected, found) = refusal(run([1; 3], [32, 33, 1]));
    assert_eq!((expected.as_str(), found.as_str()), ("at most 1024 in all", "1056"));
    for block in [[1024, 1, 1], [1, 1024, 1], [1, 16, 64], [33, 31, 1]] {
        run([2, 1, 3], block).unwrap();
    }
    run([1, 65535, 1], [1; 3]).unwrap();
}

#[test]
fn parameters_must_have_the_length_that_the_kernel_declares() {
    let rig = Rig::new("", "    exit;");
    for len in [0, 16, 19, 21, 23, 25, 32] {
        let (what, expected, found) = refusal(outcome(&rig, [1; 3], [1; 3], 0, &vec![0; len]));
        assert_eq!((what, expected, found), ("parameters in bytes", "20".to_owned(), len.to_string()));
    }
    for len in [20, 24] {
        outcome(&rig, [1; 3], [1; 3], 0, &vec![0; len]).unwrap();
    }
}

#[test]
fn shared_memory_has_a_limit_for_static_and_dynamic_together() {
    let rig = Rig::new(".shared .align 4 .b8 s[1000];", "    st.shared.u32 [s], %r1;");
    let params = Args { out: 0, input: 0, n: 0 }.bytes();
    let most = 227 * 1024 - 1008;
    outcome(&rig, [1; 3], [1; 3], most, &params).unwrap();
    for too_much in [most + 1, u32::MAX] {
        let (what, expected, _) = refusal(outcome(&rig, [1; 3], [1; 3], too_much, &params));
        assert_eq!((what, expected), ("dynamic shared memory in bytes", format!("at most {most}")));
    }
}

#[test]
fn unknown_kernels_are_named() {
    let rig = Rig::new(".func f() { ret; }", "    exit;");
    for name in ["", "K", "f"] {
        let launch = Launch { grid: [1; 3], block: [1; 3], shared_bytes: 0, params: &[] };
        let report = rig.module.launch(name, &launch, &Limits::default(), &Interrupt::new());
        assert_eq!(report.outcome, Err(LaunchError::UnknownKernel { name: name.to_owned() }));
    }
}

#[test]
fn required_and_maximal_block_sizes_are_kept() {
    let load = |directive: &str| {
        let source = format!(
            ".version 7.0\n.target sm_70\n.address_size 64\n.visible .entry k() {directive} {{ ret; }}"
        );
        let module = grafos_ptx::Module::load(source.as_bytes()).unwrap();
        let memory = grafos_ptx::DeviceMemory::new(1 << 20);
        let module = grafos_ptx::LoadedModule::new(&module, &memory).unwrap();
        Rig { source, memory, module }
    };
    let rig = load(".reqntid 8, 4, 1");
    outcome(&rig, [1; 3], [8, 4, 1], 0, &[]).unwrap();
    assert_eq!(refusal(outcome(&rig, [1; 3], [4, 8, 1], 0, &[])).2, "[4, 8, 1]");
    let rig = load(".maxntid 64, 2, 1");
    outcome(&rig, [1; 3], [16, 8, 1], 0, &[]).unwrap();
    assert_eq!(refusal(outcome(&rig, [1; 3], [129, 1, 1], 0, &[])).2, "129");
}

#[test]
fn special_registers_say_where_a_thread_is() {
    let rig = Rig::new(
        "",
        "
    mov.u32 %r10, %tid.x;
    mov.u32 %r11, %tid.y;
    mov.u32 %r12, %tid.z;
    mov.u32 %r13, %ctaid.x;
    mov.u32 %r14, %ctaid.y;
    mov.u32 %r15, %ctaid.z;
    mov.u32 %r20, %ntid.x;
    mov.u32 %r21, %ntid.y;
    mov.u32 %r22, %ntid.z;
    mov.u32 %r23, %nctaid.x;
    mov.u32 %r24, %nctaid.y;
    mov.u32 %r25, %nctaid.z;
    mad.lo.u32 %r30, %r15, %r24, %r14;
    mad.lo.u32 %r30, %r30, %r23, %r13;
    mad.lo.u32 %r30, %r30, %r22, %r12;
    mad.lo.u32 %r30, %r30, %r21, %r11;
    mad.lo.u32 %r30, %r30, %r20, %r10;
    mov.u32 %r31, %warpid;
    mov.u32 %r32, %nwarpid;
    mov.u32 %r33, %lanemask_lt;
    mov.u32 %r34, %lanemask_ge;
    mul.wide.u32 %rd10, %r30, 32;
    add.u64 %rd10, %rd10, %rd0;
    st.global.v4.u32 [%rd10], {%r2, %r31, %r32, %r33};
    st.global.u32 [%rd10+16], %r34;
    mov.u32 %r35, %clock;
    mov.u64 %rd11, %clock64;
    cvt.u32.u64 %r36, %rd11;
    setp.ge.u32 %p1, %r35, %r36;
    @%p1 trap;",
    );
    let (grid, block) = ([3, 2, 2], [5, 3, 4]);
    let threads = 12 * 60;
    let args = Args { out: rig.words(&vec![0; threads * 8]), input: 0, n: 0 };
    outcome(&rig, grid, block, 0, &args.bytes()).unwrap();
    for (i, words) in rig.read(args.out, threads * 8).chunks(8).enumerate() {
        let thread = i as u32 % 60;
        let lane = thread % 32;
        let expected = [lane, thread / 32, 2, (1 << lane) - 1, u32::MAX << lane];
        assert_eq!(words[..5], expected, "thread {i}");
    }
}
