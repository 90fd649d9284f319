//! Threads that go different ways, and come together again.

use grafos_ptx::FaultKind;

use super::rig::{Args, Rig, storing};

#[test]
fn nested_ifs_take_each_lane_its_own_way() {
    let rig = storing(
        "
    mov.u32 %r10, 0;
    and.b32 %r11, %r1, 1;
    setp.eq.u32 %p1, %r11, 0;
    @%p1 bra EVEN;
    and.b32 %r11, %r1, 2;
    setp.eq.u32 %p2, %r11, 0;
    @!%p2 bra ODD3;
    add.u32 %r10, %r10, 1;
    bra JOINODD;
ODD3:
    add.u32 %r10, %r10, 3;
JOINODD:
    add.u32 %r10, %r10, 100;
    bra JOIN;
EVEN:
    setp.lt.u32 %p3, %r1, 16;
    @%p3 add.u32 %r10, %r10, 7;
    @!%p3 add.u32 %r10, %r10, 9;
JOIN:
    add.u32 %r10, %r10, 1000;",
    );
    let expected = |tid: u32| match tid % 4 {
        1 => 1101,
        3 => 1103,
        _ if tid < 16 => 1007,
        _ => 1009,
    };
    assert_eq!(rig.run(70, 70, &[0], 0), (0..70).map(expected).collect::<Vec<_>>());
}

#[test]
fn loops_end_for_each_lane_at_its_own_time_and_lanes_meet_behind_them() {
    // The sum of 0..tid, and the lanes that arrive together behind the loop.
    let rig = Rig::new(
        "",
        "
    mov.u32 %r10, 0;
    mov.u32 %r11, 0;
LOOP:
    setp.ge.u32 %p1, %r11, %r1;
    @%p1 bra DONE;
    add.u32 %r10, %r10, %r11;
    add.u32 %r11, %r11, 1;
    bra LOOP;
DONE:
    activemask.b32 %r12;
    st.global.u32 [%rd1], %r10;
    st.global.u32 [%rd1+256], %r12;",
    );
    let out = rig.run(64, 128, &[0], 0);
    assert_eq!(out[..64], (0..64).map(|n: u32| n * n.saturating_sub(1) / 2).collect::<Vec<_>>());
    assert_eq!(out[64..], [u32::MAX; 64], "all lanes are together again");
}

#[test]
fn a_switch_jumps_each_lane_by_its_index() {
    let rig = storing(
        "
    and.b32 %r11, %r1, 3;
    TABLE: .branchtargets L0, L1, L2, L1;
    brx.idx %r11, TABLE;
L0:
    mov.u32 %r10, 10;
    bra OUT;
L1:
    mov.u32 %r10, 11;
    bra OUT;
L2:
    mov.u32 %r10, 12;
OUT:
    add.u32 %r10, %r10, %r1;",
    );
    let expected = |tid: u32| [10, 11, 12, 11][tid as usize % 4] + tid;
    assert_eq!(rig.run(40, 40, &[0], 0), (0..40).map(expected).collect::<Vec<_>>());
}

#[test]
fn a_guarded_switch_leaves_the_other_lanes_alone() {
    let rig = storing(
        "
    setp.lt.u32 %p1, %r1, 8;
    mov.u32 %r10, 5;
    TABLE: .branchtargets L0, L1;
    and.b32 %r11, %r1, 1;
    @!%p1 mov.u32 %r11, 99;
    @%p1 brx.idx %r11, TABLE;
    bra OUT;
L0:
    mov.u32 %r10, 6;
    bra OUT;
L1:
    mov.u32 %r10, 7;
OUT:",
    );
    let expected = |tid: u32| if tid < 8 { 6 + tid % 2 } else { 5 };
    assert_eq!(rig.run(32, 32, &[0], 0), (0..32).map(expected).collect::<Vec<_>>());
}

#[test]
fn a_jump_past_the_table_names_the_first_lane_and_its_index() {
    let rig = Rig::new("", "    T: .branchtargets A, A;\n    brx.idx %r1, T; // HERE\nA:");
    rig.expect_fault(32, &[0], 0, [2, 0, 0], FaultKind::BadTarget { index: 2 });
}

#[test]
fn lanes_that_exit_early_are_gone() {
    let rig = Rig::new(
        "",
        "
    setp.lt.u32 %p1, %r2, 5;
    @%p1 exit;
    activemask.b32 %r10;
    st.global.u32 [%rd1], %r10;
    setp.lt.u32 %p1, %r2, 9;
    @%p1 ret;
    activemask.b32 %r10;
    st.global.u32 [%rd1], %r10;",
    );
    let expected = |lane: u32| match lane {
        0..5 => 0,
        5..9 => 0xffff_ffe0,
        _ => 0xffff_fe00,
    };
    assert_eq!(rig.run(32, 32, &[0], 0), (0..32).map(expected).collect::<Vec<u32>>());
}

const CALLEES: &str = "
.func (.param .u32 res) twice(.param .u32 a)
{
    .reg .b32 %r<4>;
    ld.param.u32 %r1, [a];
    add.u32 %r2, %r1, %r1;
    st.param.u32 [res], %r2;
    ret;
}
.func (.param .u32 res) plus100(.param .u32 a)
{
    .reg .b32 %r<12>;
    ld.param.u32 %r7, [a];
    add.u32 %r8, %r7, 100;
    st.param.u32 [res], %r8;
    ret;
}
.func (.param .u32 res) fib(.param .u32 n)
{
    .reg .b32 %r<8>;
    .reg .pred %p<2>;
    ld.param.u32 %r1, [n];
    setp.lt.u32 %p1, %r1, 2;
    @!%p1 bra MORE;
    st.param.u32 [res], %r1;
    ret;
MORE:
    sub.u32 %r2, %r1, 1;
    sub.u32 %r3, %r1, 2;
    {
        .param .u32 pa;
        .param .u32 pr;
        st.param.u32 [pa], %r2;
        call (pr), fib, (pa);
        ld.param.u32 %r4, [pr];
    }
    {
        .param .u32 pa;
        .param .u32 pr;
        st.param.u32 [pa], %r3;
        call (pr), fib, (pa);
        ld.param.u32 %r5, [pr];
    }
    add.u32 %r6, %r4, %r5;
    st.param.u32 [res], %r6;
    ret;
}
";

/// A call of a function with `%r20`, whose result goes to `%r10`.
fn call(function: &str) -> String {
    format!(
        "
    {{
        .param .u32 pa;
        .param .u32 pr;
        st.param.u32 [pa], %r20;
        call (pr), {function}, (pa);
        ld.param.u32 %r10, [pr];
    }}"
    )
}

#[test]
fn lanes_call_different_functions_at_the_same_depth() {
    let body = format!(
        "
    mov.u32 %r20, %r1;
    and.b32 %r11, %r1, 1;
    setp.eq.u32 %p1, %r11, 0;
    @%p1 bra EVEN;
    {}
    bra OUT;
EVEN:
    {}
OUT:
    st.global.u32 [%rd1], %r10;",
        call("twice"),
        call("plus100")
    );
    let expected = |tid: u32| if tid.is_multiple_of(2) { tid + 100 } else { tid * 2 };
    let rig = Rig::new(CALLEES, &body);
    assert_eq!(rig.run(48, 48, &[0], 0), (0..48).map(expected).collect::<Vec<_>>());
}

#[test]
fn recursion_of_different_depths_gives_each_lane_its_result() {
    let body = format!("    and.b32 %r20, %r1, 15;{}\n    st.global.u32 [%rd1], %r10;", call("fib"));
    let fib = |n: u32| (0..n).fold((0, 1), |(a, b), _| (b, a + b)).0;
    let rig = Rig::new(CALLEES, &body);
    assert_eq!(rig.run(64, 64, &[0], 0), (0..64).map(|tid| fib(tid % 16)).collect::<Vec<_>>());
}

#[test]
fn constants_of_functions_survive_calls_of_others() {
    // `outer` and `wide` have their registers at the same place, and those of `inner` overlap those of `wide`.
    let rig = Rig::new(
        "
.func (.param .u32 res) inner(.param .u32 a)
{
    .reg .b32 %r<4>;
    ld.param.u32 %r1, [a];
    mad.lo.u32 %r2, %r1, 3, 1000;
    st.param.u32 [res], %r2;
    ret;
}
.func (.param .u32 res) outer(.param .u32 a)
{
    .reg .b32 %r<4>;
    .param .u32 pa;
    .param .u32 pr;
    ld.param.u32 %r1, [a];
    add.u32 %r1, %r1, 50;
    st.param.u32 [pa], %r1;
    call (pr), inner, (pa);
    ld.param.u32 %r2, [pr];
    add.u32 %r2, %r2, 7;
    st.param.u32 [res], %r2;
    ret;
}
.func (.param .u32 res) wide(.param .u32 a)
{
    .reg .b32 %r<20>;
    ld.param.u32 %r1, [a];
    mov.u32 %r2, 11;
    mov.u32 %r3, 12;
    mov.u32 %r4, 13;
    mov.u32 %r5, 14;
    mad.lo.u32 %r6, %r1, 5, %r2;
    mad.lo.u32 %r7, %r6, 9, %r3;
    mad.lo.u32 %r8, %r7, 2, %r4;
    mad.lo.u32 %r9, %r8, 6, %r5;
    st.param.u32 [res], %r9;
    ret;
}",
        &format!(
            "
    mov.u32 %r20, %r1;
    mov.u32 %r30, 0;
LOOP:
    setp.lt.u32 %p1, %r1, %r30;
    @%p1 bra WIDE;
    {}
    bra NEXT;
WIDE:
    {}
NEXT:
    mov.u32 %r20, %r10;
    add.u32 %r30, %r30, 16;
    setp.lt.u32 %p1, %r30, 80;
    @%p1 bra LOOP;
    st.global.u32 [%rd1], %r20;",
            call("outer"),
            call("wide")
        ),
    );
    let outer = |a: u32| ((a + 50).wrapping_mul(3)).wrapping_add(1007);
    let wide = |a: u32| {
        let b = a.wrapping_mul(5).wrapping_add(11).wrapping_mul(9).wrapping_add(12);
        b.wrapping_mul(2).wrapping_add(13).wrapping_mul(6).wrapping_add(14)
    };
    let expected = |tid: u32| (0..80).step_by(16).fold(tid, |a, i| if tid < i { wide(a) } else { outer(a) });
    assert_eq!(rig.run(64, 64, &[0], 0), (0..64).map(expected).collect::<Vec<_>>());
}

#[test]
fn indirect_calls_go_where_each_lane_points() {
    let body = "
    mov.u64 %rd10, twice;
    mov.u64 %rd11, plus100;
    setp.lt.u32 %p1, %r1, 20;
    selp.b64 %rd12, %rd10, %rd11, %p1;
    {
        .param .u32 pa;
        .param .u32 pr;
        st.param.u32 [pa], %r1;
        proto: .callprototype (.param .u32 _) _ (.param .u32 _);
        call (pr), %rd12, (pa), proto;
        ld.param.u32 %r10, [pr];
    }
    st.global.u32 [%rd1], %r10;";
    let expected = |tid: u32| if tid < 20 { tid * 2 } else { tid + 100 };
    let rig = Rig::new(CALLEES, body);
    assert_eq!(rig.run(40, 40, &[0], 0), (0..40).map(expected).collect::<Vec<_>>());
}

#[test]
fn an_indirect_call_to_nowhere_is_a_fault() {
    let body = "
    mov.u64 %rd12, 77;
    {
        .param .u32 pa;
        .param .u32 pr;
        st.param.u32 [pa], %r1;
        proto: .callprototype (.param .u32 _) _ (.param .u32 _);
        call (pr), %rd12, (pa), proto; // HERE
        ld.param.u32 %r10, [pr];
    }";
    Rig::new(CALLEES, body).expect_fault(32, &[0], 0, [0, 0, 0], FaultKind::BadTarget { index: 77 });
}

#[test]
fn endless_recursion_overflows_the_stack() {
    let rig = Rig::new(
        "
.func down(.param .u32 a)
{
    .reg .b32 %r<4>;
    .param .u32 pa;
    ld.param.u32 %r1, [a];
    add.u32 %r1, %r1, 1;
    st.param.u32 [pa], %r1;
    call down, (pa); // HERE
    ret;
}",
        "
    {
        .param .u32 pb;
        st.param.u32 [pb], %r1;
        call down, (pb);
    }",
    );
    let fault = rig.fault(33, &[0], 0);
    assert_eq!((fault.line, fault.thread), (rig.line("HERE"), [0, 0, 0]));
    let FaultKind::StackOverflow { bytes, limit } = fault.kind else { panic!("{fault}") };
    assert_eq!(limit, 512 << 10);
    assert!(bytes > limit && bytes < limit + 1024, "{bytes}");
}

#[test]
fn a_spin_lock_between_lanes_of_a_warp_makes_progress() {
    // Lane by lane: take the lock, count, release. The lanes that spin are behind the one that holds it.
    let rig = Rig::new(
        "",
        "
LOOP:
    atom.global.cas.b32 %r10, [%rd0], 0, 1;
    setp.ne.u32 %p1, %r10, 0;
    @%p1 bra LOOP;
    ld.volatile.global.u32 %r11, [%rd0+4];
    add.u32 %r11, %r11, 1;
    st.volatile.global.u32 [%rd0+4], %r11;
    membar.gl;
    atom.global.exch.b32 %r12, [%rd0], 0;",
    );
    assert_eq!(rig.run_grid(3, 96, 2, &[0], 0), [0, 288]);
}

#[test]
fn a_plain_loop_that_waits_for_another_lane_makes_progress() {
    let rig = Rig::new(
        "
.shared .u32 flag;",
        "
    setp.eq.u32 %p1, %r1, 31;
    @%p1 bra SET;
WAIT:
    ld.shared.u32 %r10, [flag];
    setp.eq.u32 %p2, %r10, 0;
    @%p2 bra WAIT;
    bra OUT;
SET:
    mov.u32 %r10, 7;
    st.shared.u32 [flag], %r10;
OUT:
    st.global.u32 [%rd1], %r10;",
    );
    assert_eq!(rig.run(32, 32, &[0], 0), [7; 32]);
}

#[test]
fn a_warp_waits_for_a_flag_of_another_warp() {
    let rig = Rig::new(
        "
.shared .u32 flag;",
        "
    setp.ge.u32 %p1, %r1, 64;
    @%p1 bra SET;
WAIT:
    ld.volatile.shared.u32 %r10, [flag];
    setp.ne.u32 %p2, %r10, 32;
    @%p2 bra WAIT;
    bra OUT;
SET:
    atom.shared.add.u32 %r10, [flag], 1;
    mov.u32 %r10, 9;
OUT:
    st.global.u32 [%rd1], %r10;",
    );
    let expected = |tid: u32| if tid < 64 { 32 } else { 9 };
    assert_eq!(rig.run(96, 96, &[0], 0), (0..96).map(expected).collect::<Vec<_>>());
}

#[test]
fn instructions_are_counted_for_each_active_thread() {
    let rig =
        Rig::new("", "    setp.lt.u32 %p1, %r1, 4;\n    @%p1 bra OUT;\n    add.u32 %r10, %r1, 1;\nOUT:");
    let args = Args { out: rig.words(&[0]), input: 0, n: 0 };
    let count = |threads| rig.launch(1, threads, args).thread_instructions;
    // All threads alike but one instruction, which four of them jump over.
    assert_eq!(count(32) - count(4), 28 + 28 * count(4) / 4);
    let twice = rig.launch(2, 32, args).thread_instructions;
    assert_eq!(twice, 2 * count(32));
}
