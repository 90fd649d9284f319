//! Every access that a kernel should not make, with all that the fault says.

use grafos_ptx::AccessKind::{Atomic, Read, Write};
use grafos_ptx::MemorySpace::{Const, Generic, Global, Local, Param, Shared};
use grafos_ptx::{AccessKind, FaultKind, MemorySpace};

use super::rig::{Args, Rig, fault_of};

fn out_of_bounds(access: AccessKind, space: MemorySpace, address: u64, bytes: u32) -> FaultKind {
    FaultKind::OutOfBounds { access, space, address, bytes }
}

fn misaligned(access: AccessKind, space: MemorySpace, address: u64, bytes: u32) -> FaultKind {
    FaultKind::Misaligned { access, space, address, bytes }
}

fn read_only(access: AccessKind, space: MemorySpace, address: u64, bytes: u32) -> FaultKind {
    FaultKind::ReadOnly { access, space, address, bytes }
}

#[test]
fn the_first_thread_past_the_end_of_global_memory_is_named() {
    for (instruction, access, bytes) in [
        ("ld.global.u32 %r10, [%rd10];", Read, 4),
        ("st.global.u32 [%rd10], %r1;", Write, 4),
        ("atom.global.add.u32 %r10, [%rd10], 1;", Atomic, 4),
        ("red.global.add.u32 [%rd10], 1;", Atomic, 4),
        ("ld.u32 %r10, [%rd10];", Read, 4),
    ] {
        let rig = Rig::new(
            "",
            &format!(
                "    mul.wide.u32 %rd10, %r1, 4;\n    add.u64 %rd10, %rd10, %rd2;\n    {instruction} // HERE"
            ),
        );
        let args = Args { out: rig.words(&[0]), input: rig.words(&[0; 37]), n: 0 };
        let fault = fault_of(rig.launch(1, 64, args));
        assert_eq!(fault.kind, out_of_bounds(access, Global, args.input + 148, bytes));
        assert_eq!((fault.thread, fault.line), ([37, 0, 0], rig.line("HERE")), "{instruction}");
    }
}

#[test]
fn an_access_that_runs_over_the_end_is_a_fault() {
    let rig = Rig::new("", "    ld.global.v4.u32 {%r10, %r11, %r12, %r13}, [%rd2]; // HERE");
    let args = Args { out: 0, input: rig.words(&[0; 3]), n: 0 };
    assert_eq!(fault_of(rig.launch(1, 1, args)).kind, out_of_bounds(Read, Global, args.input, 16));
    let rig = Rig::new("", "    ld.global.u64 %rd10, [%rd2+8]; // HERE");
    let args = Args { out: 0, input: rig.words(&[0; 3]), n: 0 };
    assert_eq!(fault_of(rig.launch(1, 32, args)).kind, out_of_bounds(Read, Global, args.input + 8, 8));
}

#[test]
fn the_byte_behind_the_last_one_is_out_of_bounds() {
    for (instruction, access) in
        [("ld.global.u8 %r10, [%rd10];", Read), ("st.global.u8 [%rd10], %r1;", Write)]
    {
        let rig = Rig::new(
            "",
            &format!("    cvt.u64.u32 %rd10, %r1;\n    add.u64 %rd10, %rd10, %rd2;\n    {instruction}"),
        );
        let input = rig.memory.alloc(5).unwrap();
        let args = Args { out: 0, input, n: 0 };
        rig.launch(1, 5, args).outcome.unwrap();
        let fault = fault_of(rig.launch(1, 6, args));
        assert_eq!((fault.kind, fault.thread), (out_of_bounds(access, Global, input + 5, 1), [5, 0, 0]));
    }
}

#[test]
fn a_null_pointer_has_no_space() {
    let rig = Rig::new("", "    mov.u64 %rd10, 0;\n    ld.u32 %r10, [%rd10+16]; // HERE");
    rig.expect_fault(32, &[0], 0, [0, 0, 0], out_of_bounds(Read, Generic, 16, 4));
    let rig = Rig::new("", "    mov.u64 %rd10, 0;\n    st.global.u8 [%rd10], %r1; // HERE");
    rig.expect_fault(32, &[0], 0, [0, 0, 0], out_of_bounds(Write, Global, 0, 1));
}

#[test]
fn no_address_wraps_around_to_memory() {
    for offset in [-8_i64, -4, -1] {
        let rig = Rig::new(
            "",
            &format!("    mov.u64 %rd10, 0;\n    ld.global.u32 %r10, [%rd10+{offset}]; // HERE"),
        );
        let address = offset as u64;
        rig.expect_fault(32, &[0], 0, [0, 0, 0], out_of_bounds(Read, Global, address, 4));
    }
    // Four bytes that start in front of the first allocation.
    let rig = Rig::new("", "    ld.global.u32 %r10, [%rd2+-4]; // HERE");
    let args = Args { out: 0, input: rig.words(&[0; 4]), n: 0 };
    assert_eq!(fault_of(rig.launch(1, 32, args)).kind, out_of_bounds(Read, Global, args.input - 4, 4));
}

#[test]
fn a_misaligned_access_is_a_fault_in_every_space() {
    let rig = Rig::new("", "    ld.global.u32 %r10, [%rd2+2]; // HERE");
    let args = Args { out: 0, input: rig.words(&[0; 4]), n: 0 };
    assert_eq!(fault_of(rig.launch(1, 32, args)).kind, misaligned(Read, Global, args.input + 2, 4));
    let rig = Rig::new("", "    ld.global.v2.u32 {%r10, %r11}, [%rd2+4]; // HERE");
    let args = Args { out: 0, input: rig.words(&[0; 4]), n: 0 };
    assert_eq!(fault_of(rig.launch(1, 32, args)).kind, misaligned(Read, Global, args.input + 4, 8));
    for (declaration, instruction, kind) in [
        (
            ".shared .align 8 .b8 s[64];",
            "mov.u32 %r9, s; st.shared.u16 [%r9+1], %r1;",
            misaligned(Write, Shared, 1, 2),
        ),
        (
            ".shared .align 8 .b8 s[64];",
            "mov.u32 %r9, s; atom.shared.add.u64 %rd10, [%r9+4], 1;",
            misaligned(Atomic, Shared, 4, 8),
        ),
        (
            "",
            ".local .align 8 .b8 l[64]; mov.u32 %r9, l; ld.local.u32 %r10, [%r9+3];",
            misaligned(Read, Local, 3, 4),
        ),
        ("", "mov.u64 %rd9, out; ld.param.u32 %r10, [%rd9+2];", misaligned(Read, Param, 2, 4)),
        (
            ".const .align 8 .b8 c[64];",
            "mov.u64 %rd9, c; ld.const.u64 %rd10, [%rd9+4];",
            misaligned(Read, Const, 4, 8),
        ),
    ] {
        let rig = Rig::new(declaration, &format!("    {instruction} // HERE"));
        rig.expect_fault(32, &[0], 0, [0, 0, 0], kind);
    }
}

#[test]
fn the_ends_of_shared_local_param_and_const_memory_are_watched() {
    for (declaration, instruction, kind) in [
        (".shared .align 4 .b8 s[64];", "ld.shared.u32 %r10, [s+64];", out_of_bounds(Read, Shared, 64, 4)),
        (
            ".shared .align 4 .b8 s[64];",
            "mov.u32 %r9, s; st.shared.u32 [%r9+64], %r9;",
            out_of_bounds(Write, Shared, 64, 4),
        ),
        (
            ".shared .align 4 .b8 s[62];",
            "atom.shared.add.u32 %r10, [s+60], 1;",
            out_of_bounds(Atomic, Shared, 60, 4),
        ),
        (
            ".shared .align 4 .b8 s[64];",
            "mov.u32 %r9, s; ld.shared.u32 %r10, [%r9+-4];",
            out_of_bounds(Read, Shared, 0xffff_fffc, 4),
        ),
        (
            "",
            ".local .align 4 .b8 l[64]; mov.u32 %r9, l; ld.local.u32 %r10, [%r9+64];",
            out_of_bounds(Read, Local, 64, 4),
        ),
        (
            "",
            ".local .align 4 .b8 l[64]; mov.u64 %rd9, l; st.local.v2.u32 [%rd9+64], {%r9, %r9};",
            out_of_bounds(Write, Local, 64, 8),
        ),
        ("", "mov.u64 %rd9, out; ld.param.u32 %r10, [%rd9+20];", out_of_bounds(Read, Param, 20, 4)),
        (".const .align 4 .b8 c[64];", "ld.const.u32 %r10, [c+64];", out_of_bounds(Read, Const, 64, 4)),
    ] {
        let rig = Rig::new(declaration, &format!("    {instruction} // HERE"));
        rig.expect_fault(32, &[0], 0, [0, 0, 0], kind);
    }
}

#[test]
fn faults_through_generic_addresses_name_the_space_and_count_within_it() {
    for (declaration, instruction, kind) in [
        (
            ".shared .align 4 .b8 s[64];",
            "mov.u64 %rd9, s; cvta.shared.u64 %rd9, %rd9; ld.u32 %r10, [%rd9+68];",
            out_of_bounds(Read, Shared, 68, 4),
        ),
        (
            "",
            ".local .align 4 .b8 l[64]; mov.u64 %rd9, l; cvta.local.u64 %rd9, %rd9; st.u32 [%rd9+2], %r9;",
            misaligned(Write, Local, 2, 4),
        ),
        (
            "",
            "mov.u64 %rd9, out; cvta.param.u64 %rd9, %rd9; st.u32 [%rd9+4], %r9;",
            read_only(Write, Param, 4, 4),
        ),
        (
            ".const .align 4 .b8 c[64];",
            "mov.u64 %rd9, c; cvta.const.u64 %rd9, %rd9; st.u32 [%rd9+8], %r9;",
            read_only(Write, Const, 8, 4),
        ),
        (
            ".const .align 4 .b8 c[64];",
            "mov.u64 %rd9, c; cvta.const.u64 %rd9, %rd9; atom.add.u32 %r9, [%rd9+12], 1;",
            read_only(Atomic, Const, 12, 4),
        ),
    ] {
        let rig = Rig::new(declaration, &format!("    {instruction} // HERE"));
        rig.expect_fault(32, &[0], 0, [0, 0, 0], kind);
    }
}

#[test]
fn constants_can_not_be_written_through_global_addresses_either() {
    let rig = Rig::new(".const .align 4 .u32 c = 5;", "    st.global.u32 [%rd2], %r1; // HERE");
    let (address, size) = rig.module.variable("c").unwrap();
    assert_eq!(size, 4);
    // One thread alone, so that there is room: and a whole warp, which takes another way.
    for threads in [1, 32] {
        let fault = fault_of(rig.launch(1, threads, Args { out: 0, input: address, n: 0 }));
        assert_eq!(fault.kind, read_only(Write, Const, 0, 4));
    }
    assert_eq!(rig.read(address, 1), [5]);
}

#[test]
fn memory_that_was_freed_is_out_of_bounds_and_stays_so() {
    let rig = Rig::new("", "    ld.global.u32 %r10, [%rd2]; // HERE");
    let args = Args { out: 0, input: rig.words(&[1; 8]), n: 0 };
    rig.launch(1, 32, args).outcome.unwrap();
    rig.memory.free(args.input).unwrap();
    for _ in 0..100 {
        assert_ne!(rig.memory.alloc(32).unwrap(), args.input);
    }
    assert_eq!(fault_of(rig.launch(1, 32, args)).kind, out_of_bounds(Read, Global, args.input, 4));
}

#[test]
fn a_trap_names_its_first_thread() {
    let rig = Rig::new("", "    setp.eq.u32 %p1, %r1, 45;\n    @%p1 trap; // HERE");
    rig.expect_fault(64, &[0], 0, [45, 0, 0], FaultKind::Trap);
    assert_eq!(rig.run(45, 1, &[0], 0), [0]);
}

#[test]
fn block_and_thread_have_three_axes() {
    let rig = Rig::new(
        "",
        "
    mov.u32 %r10, %ctaid.z;
    mov.u32 %r11, %tid.y;
    mov.u32 %r12, %tid.z;
    setp.eq.u32 %p1, %r10, 1;
    setp.eq.and.u32 %p1, %r11, 2, %p1;
    setp.eq.and.u32 %p1, %r12, 1, %p1;
    @%p1 trap;",
    );
    let params = Args { out: 0, input: 0, n: 0 }.bytes();
    let launch = grafos_ptx::Launch { grid: [2, 3, 2], block: [5, 4, 3], shared_bytes: 0, params: &params };
    let report = rig.module.launch("k", &launch, &Default::default(), &Default::default());
    let fault = fault_of(report);
    assert_eq!((fault.block, fault.thread), ([0, 0, 1], [0, 2, 1]));
    let shown = fault.to_string();
    assert!(
        shown.ends_with(&format!("kernel=k, line={}, block=(0,0,1), thread=(0,2,1)", fault.line)),
        "{shown}"
    );
}

#[test]
fn the_lowest_block_that_fails_is_reported_on_any_number_of_cores() {
    let rig = Rig::new(
        "",
        "
    setp.eq.u32 %p1, %r61, 9;
    @%p1 bra LONG;
    setp.lt.u32 %p1, %r61, 17;
    @%p1 exit;
    trap;
LONG:
    mov.u32 %r10, 0;
LOOP:
    add.u32 %r10, %r10, 1;
    setp.lt.u32 %p2, %r10, 20000;
    @%p2 bra LOOP;
    trap;",
    );
    for threads in [1, 2, 5] {
        for _ in 0..20 {
            let mut limits = grafos_ptx::Limits::default();
            limits.threads = Some(threads);
            let args = Args { out: 0, input: 0, n: 0 };
            let fault = fault_of(rig.launch_with(64, 32, args, &limits, &Default::default()));
            assert_eq!(fault.block, [9, 0, 0]);
        }
    }
}
