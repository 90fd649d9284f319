//! Barriers of a block, in all their forms, and their misuse.

use grafos_ptx::FaultKind;

use super::rig::Rig;

fn misuse(problem: &'static str, found: u32) -> FaultKind {
    FaultKind::BarrierMisuse { problem, found }
}

fn divergence(at: &'static str, expected: u32, arrived: u32) -> FaultKind {
    FaultKind::Divergence { at, expected, arrived }
}

const SHARED: &str = ".shared .align 4 .b8 s[4096];";

/// Each thread puts its index into shared memory, and takes that of the thread with the mirrored index.
fn mirrored(barrier: &str) -> Rig {
    Rig::new(
        SHARED,
        &format!(
            "
    mov.u32 %r10, s;
    shl.b32 %r11, %r1, 2;
    add.u32 %r11, %r10, %r11;
    st.shared.u32 [%r11], %r1;
    {barrier}
    sub.u32 %r12, %r62, %r1;
    sub.u32 %r12, %r12, 1;
    shl.b32 %r12, %r12, 2;
    add.u32 %r12, %r10, %r12;
    ld.shared.u32 %r13, [%r12];
    st.global.u32 [%rd1], %r13;"
        ),
    )
}

#[test]
fn all_threads_of_a_block_meet_at_every_form_of_barrier() {
    for barrier in [
        "bar.sync 0;",
        "barrier.sync 3;",
        "barrier.sync.aligned 15;",
        "bar.cta.sync 0;",
        "mov.u32 %r20, 7; bar.sync %r20;",
        "bar.red.popc.u32 %r20, 0, %p1;",
    ] {
        let rig = mirrored(barrier);
        for threads in [1, 31, 32, 33, 256, 1000] {
            let expected: Vec<u32> = (0..threads).rev().collect();
            assert_eq!(rig.run(threads, threads as usize, &[0], 0), expected, "{barrier}");
        }
    }
    // With a count, which is one of whole warps.
    let rig = mirrored("bar.sync 2, 64;");
    for threads in [33, 64] {
        assert_eq!(rig.run(threads, threads as usize, &[0], 0), (0..threads).rev().collect::<Vec<_>>());
    }
}

#[test]
fn a_barrier_does_not_wait_for_threads_that_have_exited() {
    for exit in ["%r1, 5", "%r1, 32", "%r1, 40"] {
        let rig = Rig::new(
            SHARED,
            &format!(
                "
    setp.lt.u32 %p1, {exit};
    @%p1 exit;
    atom.shared.add.u32 %r10, [s], 1;
    bar.sync 0;
    ld.shared.u32 %r10, [s];
    st.global.u32 [%rd1], %r10;"
            ),
        );
        let gone: u32 = exit.split(' ').next_back().unwrap().parse().unwrap();
        let expected = |tid: u32| if tid < gone { 0 } else { 100 - gone };
        assert_eq!(rig.run(100, 100, &[0], 0), (0..100).map(expected).collect::<Vec<_>>());
    }
}

#[test]
fn threads_that_exit_while_others_wait_free_them() {
    // Warp 1 works on for a while before it exits, and never comes to the barrier.
    let rig = Rig::new(
        "",
        "
    setp.lt.u32 %p1, %r1, 32;
    mov.u32 %r10, 0;
    @%p1 bra WAIT;
LOOP:
    add.u32 %r10, %r10, 1;
    setp.lt.u32 %p2, %r10, 1000;
    @%p2 bra LOOP;
    exit;
WAIT:
    bar.sync 0;
    mov.u32 %r10, 1;
    st.global.u32 [%rd1], %r10;",
    );
    assert_eq!(rig.run(64, 32, &[0], 0), [1; 32]);
}

#[test]
fn a_barrier_can_be_used_again_at_once() {
    // A rotation through shared memory, round after round.
    let rig = Rig::new(
        SHARED,
        "
    mov.u32 %r10, s;
    shl.b32 %r11, %r1, 2;
    add.u32 %r11, %r10, %r11;
    add.u32 %r12, %r1, 1;
    rem.u32 %r12, %r12, %r62;
    shl.b32 %r12, %r12, 2;
    add.u32 %r12, %r10, %r12;
    mov.u32 %r13, %r1;
    mov.u32 %r14, 0;
LOOP:
    st.shared.u32 [%r11], %r13;
    bar.sync 0;
    ld.shared.u32 %r13, [%r12];
    bar.sync 0;
    add.u32 %r14, %r14, 1;
    setp.lt.u32 %p1, %r14, %r3;
    @%p1 bra LOOP;
    st.global.u32 [%rd1], %r13;",
    );
    assert_eq!(rig.run(96, 96, &[0], 200), (0..96).map(|tid| (tid + 200) % 96).collect::<Vec<_>>());
}

#[test]
fn producers_arrive_and_consumers_wait() {
    let rig = Rig::new(
        SHARED,
        "
    setp.ge.u32 %p1, %r1, 32;
    mov.u32 %r14, 0;
    @%p1 bra CONSUMER;
PRODUCER:
    shl.b32 %r11, %r1, 2;
    mov.u32 %r12, s;
    add.u32 %r12, %r12, %r11;
    mad.lo.u32 %r13, %r14, 1000, %r1;
    st.shared.u32 [%r12], %r13;
    bar.arrive 0, 64;
    bar.sync 1, 64;
    add.u32 %r14, %r14, 1;
    setp.lt.u32 %p2, %r14, 5;
    @%p2 bra PRODUCER;
    exit;
CONSUMER:
    shl.b32 %r11, %r2, 2;
    mov.u32 %r12, s;
    add.u32 %r12, %r12, %r11;
    mov.u32 %r15, 0;
NEXT:
    bar.sync 0, 64;
    ld.shared.u32 %r13, [%r12];
    add.u32 %r15, %r15, %r13;
    bar.arrive 1, 64;
    add.u32 %r14, %r14, 1;
    setp.lt.u32 %p2, %r14, 5;
    @%p2 bra NEXT;
    st.global.u32 [%rd1], %r15;",
    );
    let out = rig.run(64, 64, &[0], 0);
    assert_eq!(out[32..], (0..32).map(|lane| 10_000 + 5 * lane).collect::<Vec<u32>>());
}

#[test]
fn reductions_count_and_combine_all_predicates() {
    let rig = Rig::new(
        "",
        "
    setp.lt.u32 %p1, %r1, %r3;
    bar.red.popc.u32 %r10, 0, %p1;
    bar.red.popc.u32 %r11, 0, !%p1;
    bar.red.and.pred %p2, 1, %p1;
    bar.red.or.pred %p3, 1, %p1;
    barrier.red.or.pred %p4, 1, !%p1;
    selp.u32 %r12, 1, 0, %p2;
    selp.u32 %r13, 2, 0, %p3;
    selp.u32 %r14, 4, 0, %p4;
    add.u32 %r12, %r12, %r13;
    add.u32 %r12, %r12, %r14;
    shl.b32 %r10, %r10, 16;
    shl.b32 %r11, %r11, 4;
    or.b32 %r10, %r10, %r11;
    or.b32 %r10, %r10, %r12;
    st.global.u32 [%rd1], %r10;",
    );
    for n in [0, 1, 50, 99, 100] {
        let flags = u32::from(n == 100) + 2 * u32::from(n > 0) + 4 * u32::from(n < 100);
        assert_eq!(rig.run(100, 100, &[0], n), [n << 16 | (100 - n) << 4 | flags; 100]);
    }
}

#[test]
fn lanes_of_a_warp_may_wait_at_different_barriers_unless_aligned() {
    let body = |first: &str, second: &str| {
        format!(
            "
    setp.lt.u32 %p1, %r2, 16;
    @%p1 bra LOW;
    {first} // HERE
    bra OUT;
LOW:
    {second}
OUT:
    mov.u32 %r10, 1;
    st.global.u32 [%rd1], %r10;"
        )
    };
    let rig = Rig::new("", &body("barrier.sync 0;", "barrier.sync 0;"));
    assert_eq!(rig.run(64, 64, &[0], 0), [1; 64]);
    let rig = Rig::new("", &body("bar.sync 0;", "bar.sync 0;"));
    let fault = rig.fault(64, &[0], 0);
    assert_eq!(fault.kind, divergence("bar.sync", u32::MAX, 0x0000_ffff));
    // Of different barriers neither can be complete.
    let rig = Rig::new("", &body("bar.sync 0;", "bar.sync 1;"));
    let fault = rig.fault(64, &[0], 0);
    assert_eq!((fault.kind, fault.thread), (divergence("bar.sync", 64, 32), [0, 0, 0]));
}

#[test]
fn lanes_that_come_to_an_aligned_barrier_one_by_one_are_waited_for() {
    let rig = Rig::new(
        SHARED,
        "
    mov.u32 %r10, 0;
LOOP:
    add.u32 %r10, %r10, 1;
    setp.lt.u32 %p1, %r10, %r1;
    @%p1 bra LOOP;
    atom.shared.add.u32 %r11, [s], 1;
    bar.sync 0;
    ld.shared.u32 %r11, [s];
    st.global.u32 [%rd1], %r11;",
    );
    assert_eq!(rig.run(80, 80, &[0], 0), [80; 80]);
}

#[test]
fn a_barrier_that_others_pass_by_is_divergent() {
    // Warp 1 has gone to another barrier.
    let rig = Rig::new(
        "",
        "
    setp.lt.u32 %p1, %r1, 32;
    @%p1 bra FIRST;
    barrier.sync 5;
    exit;
FIRST:
    barrier.sync 4; // HERE",
    );
    rig.expect_fault(64, &[0], 0, [0, 0, 0], divergence("barrier.sync", 64, 32));
    // Half of the threads that a count names exist.
    let rig = Rig::new("", "    setp.lt.u32 %p1, %r1, 32;\n    @%p1 bar.sync 0, 64; // HERE");
    rig.expect_fault(64, &[0], 0, [0, 0, 0], divergence("bar.sync", 64, 32));
}

#[test]
fn numbers_and_counts_that_there_are_not_are_misuse() {
    for (barrier, kind) in [
        ("mov.u32 %r10, 16; bar.sync %r10;", misuse("there are 16 barriers", 16)),
        ("mov.u32 %r10, -1; barrier.sync %r10;", misuse("there are 16 barriers", u32::MAX)),
        ("mov.u32 %r10, 48; bar.sync 0, %r10;", misuse("the count of threads is no multiple of 32", 48)),
        ("mov.u32 %r10, 0; bar.sync 0, %r10;", misuse("the count of threads is no multiple of 32", 0)),
        ("mov.u32 %r10, 96; bar.sync 0, %r10;", misuse("the count of threads is larger than the block", 96)),
        ("bar.arrive 0, 64; bar.arrive 0, 64;", misuse("a thread arrived twice before all others came", 0)),
        ("bar.arrive 0, 64; bar.sync 0, 32;", misuse("threads that wait there named another count", 32)),
        ("bar.arrive 0, 64; bar.sync 0;", misuse("threads that wait there named another count", 0)),
    ] {
        let rig = Rig::new("", &format!("    {barrier} // HERE"));
        rig.expect_fault(64, &[0], 0, [0, 0, 0], kind);
    }
}
