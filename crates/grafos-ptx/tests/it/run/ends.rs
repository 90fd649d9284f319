//! How kernels that would run for ever end.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use grafos_ptx::{Interrupt, LaunchError, Limits};

use super::rig::{Args, Rig};

/// Kernels without an end, of several shapes. Each first sets the first word of `out`.
fn endless() -> Vec<(&'static str, Rig)> {
    let begun = "    mov.u32 %r50, 1;\n    st.volatile.global.u32 [%rd0], %r50;\n";
    let rig = |declarations: &str, body: &str| Rig::new(declarations, &format!("{begun}{body}"));
    vec![
        ("one instruction", rig("", "LOOP:\n    bra LOOP;")),
        (
            "a loop of some",
            rig(
                "",
                "LOOP:\n    add.u32 %r10, %r10, 1;\n    setp.ne.u32 %p1, %r10, -1;\n    @%p1 bra LOOP;\n    bra LOOP;",
            ),
        ),
        ("a loop of one lane", rig("", "    setp.eq.u32 %p1, %r2, 7;\nLOOP:\n    @%p1 bra LOOP;")),
        ("a loop of calls", rig(".func nothing() { ret; }", "LOOP:\n    call nothing;\n    bra LOOP;")),
        ("a loop in a call", rig(".func stay() { LOOP: bra LOOP; }", "    call stay;")),
        ("a loop of barriers", rig("", "LOOP:\n    bar.sync 0;\n    bra LOOP;")),
        (
            "a lock that nobody releases",
            rig("", "LOOP:\n    atom.global.cas.b32 %r10, [%rd0+4], 1, 2;\n    bra LOOP;"),
        ),
        (
            "a wait for a block that never begins",
            rig(
                "",
                "LOOP:\n    ld.volatile.global.u32 %r10, [%rd0+8];\n    setp.eq.u32 %p1, %r10, 0;\n    @%p1 bra LOOP;",
            ),
        ),
        (
            "a switch",
            rig(
                "",
                "    T: .branchtargets LOOP, LOOP;\nLOOP:\n    and.b32 %r10, %r1, 1;\n    brx.idx %r10, T;",
            ),
        ),
        (
            "half of the lanes at a meeting",
            rig("", "    setp.lt.u32 %p1, %r2, 16;\nLOOP:\n    @%p1 bra LOOP;\n    bar.warp.sync -1;"),
        ),
    ]
}

#[test]
fn a_stopped_kernel_of_any_shape_ends() {
    for (shape, rig) in endless() {
        for (blocks, threads) in [(1, 64), (9, 96)] {
            let args = Args { out: rig.words(&[0; 4]), input: 0, n: 0 };
            let interrupt = Interrupt::new();
            let report = std::thread::scope(|scope| {
                let running =
                    scope.spawn(|| rig.launch_with(blocks, threads, args, &Limits::default(), &interrupt));
                while rig.read(args.out, 1) == [0] {
                    std::thread::yield_now();
                }
                interrupt.stop();
                running.join().unwrap()
            });
            assert_eq!(report.outcome, Err(LaunchError::Cancelled { kernel: "k".to_owned() }), "{shape}");
            assert!(report.thread_instructions > 0, "{shape}");
        }
    }
}

#[test]
fn a_probe_that_answers_true_ends_a_kernel_of_any_shape() {
    for (shape, rig) in endless() {
        let args = Args { out: rig.words(&[0; 4]), input: 0, n: 0 };
        let asked = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&asked);
        let interrupt = Interrupt::new().with_probe(move || count.fetch_add(1, Ordering::Relaxed) > 20);
        let report = rig.launch_with(3, 64, args, &Limits::default(), &interrupt);
        assert_eq!(report.outcome, Err(LaunchError::Cancelled { kernel: "k".to_owned() }), "{shape}");
        // Asked often: about once for a thousand instructions of a warp, one of 32 threads each.
        let asked = asked.load(Ordering::Relaxed);
        assert!(
            report.thread_instructions < asked * 2000 * 32,
            "{shape} {asked} {}",
            report.thread_instructions
        );
    }
}

#[test]
fn a_limit_of_instructions_ends_a_kernel_of_any_shape() {
    for (shape, rig) in endless() {
        for limit in [0, 1, 10_000, 1_000_000] {
            let args = Args { out: rig.words(&[0; 4]), input: 0, n: 0 };
            let mut limits = Limits::default();
            limits.instructions = Some(limit);
            let report = rig.launch_with(4, 64, args, &limits, &Interrupt::new());
            let expected = LaunchError::InstructionLimit { kernel: "k".to_owned(), limit };
            assert_eq!(report.outcome, Err(expected), "{shape}");
            let over = report.thread_instructions - limit;
            assert!(over < 1 << 20, "{shape} {over}");
        }
    }
}

#[test]
fn a_limit_that_is_just_enough_is_no_limit() {
    let rig = Rig::new("", "    mov.u32 %r10, 3;\n    st.global.u32 [%rd1], %r10;");
    let args = Args { out: rig.words(&[0; 128]), input: 0, n: 0 };
    let needed = rig.launch(4, 32, args).thread_instructions;
    let mut limits = Limits::default();
    limits.instructions = Some(needed);
    let report = rig.launch_with(4, 32, args, &limits, &Interrupt::new());
    assert_eq!((report.outcome, report.thread_instructions), (Ok(()), needed));
    limits.instructions = Some(needed - 1);
    let report = rig.launch_with(4, 32, args, &limits, &Interrupt::new());
    assert_eq!(
        report.outcome,
        Err(LaunchError::InstructionLimit { kernel: "k".to_owned(), limit: needed - 1 })
    );
}

#[test]
fn a_switch_that_was_thrown_before_lets_nothing_run() {
    let rig = Rig::new("", "    mov.u32 %r10, 3;\n    st.global.u32 [%rd1], %r10;");
    let args = Args { out: rig.words(&[0]), input: 0, n: 0 };
    let interrupt = Interrupt::new();
    interrupt.clone().stop();
    let report = rig.launch_with(1, 1, args, &Limits::default(), &interrupt);
    assert_eq!(report.outcome, Err(LaunchError::Cancelled { kernel: "k".to_owned() }));
    assert_eq!((rig.read(args.out, 1), report.thread_instructions), (vec![0], 0));
}

#[test]
fn the_stack_that_a_kernel_may_use_can_be_set() {
    let rig = Rig::new("", "    .local .align 4 .b8 l[4000];\n    st.local.u32 [l], %r1;");
    let args = Args { out: 0, input: 0, n: 0 };
    let mut limits = Limits::default();
    limits.stack_bytes = 4000;
    rig.launch_with(1, 32, args, &limits, &Interrupt::new()).outcome.unwrap();
    limits.stack_bytes = 3999;
    let fault = super::rig::fault_of(rig.launch_with(1, 32, args, &limits, &Interrupt::new()));
    assert_eq!(fault.kind, grafos_ptx::FaultKind::StackOverflow { bytes: 4000, limit: 3999 });
}
