//! What lanes of a warp do together, against the definitions.

use grafos_ptx::FaultKind;

use super::rig::{Rig, storing};

/// Some words that are all different.
fn words() -> Vec<u32> {
    (0..32).map(|i: u32| (i + 1).wrapping_mul(0x9e37_79b9)).collect()
}

/// Loads `%r20` from `in` by lane.
const LOAD: &str = "
    mul.wide.u32 %rd10, %r2, 4;
    add.u64 %rd10, %rd2, %rd10;
    ld.global.u32 %r20, [%rd10];
    mov.u32 %r10, 0;
";

/// The definition of `shfl`: what a lane gets and its predicate.
fn shuffled(mode: &str, lane: i64, b: i64, c: i64) -> (i64, bool) {
    let (bval, cval, segmask) = (b & 31, c & 31, (c >> 8) & 31);
    let max = (lane & segmask) | (cval & !segmask);
    let min = lane & segmask;
    let (j, pval) = match mode {
        "up" => (lane - bval, lane - bval >= max),
        "down" => (lane + bval, lane + bval <= max),
        "bfly" => (lane ^ bval, (lane ^ bval) <= max),
        _ => (min | (bval & !segmask), (min | (bval & !segmask)) <= max),
    };
    (if pval { j } else { lane }, pval)
}

#[test]
fn shuffles_of_every_mode_width_and_distance_are_as_defined() {
    let words = words();
    for mode in ["up", "down", "bfly", "idx"] {
        for width in [32, 16, 8, 4, 2, 1] {
            let clamp = (32 - width) << 8 | if mode == "up" { 0 } else { 31 };
            let rig = storing(&format!(
                "{LOAD}
    shfl.sync.{mode}.b32 %r10|%p1, %r20, %r3, {clamp}, 0xffffffff;
    @!%p1 xor.b32 %r10, %r10, 1;
    shfl.sync.{mode}.b32 %r11, %r20, %r3, {clamp}, 0xffffffff;
    st.global.u32 [%rd1+128], %r11;"
            ));
            for by in [0, 1, 2, 3, 5, 8, 16, 31, 33] {
                let out = rig.run(32, 64, &words, by);
                for lane in 0..32 {
                    let (from, inside) = shuffled(mode, lane, by.into(), clamp);
                    let value = words[from as usize];
                    let at = format!("{mode} {width} {by} lane {lane}");
                    assert_eq!(out[lane as usize], value ^ u32::from(!inside), "{at}");
                    assert_eq!(out[32 + lane as usize], value, "{at}");
                }
            }
        }
    }
}

#[test]
fn each_lane_may_ask_a_different_one() {
    let words = words();
    let rig = storing(&format!(
        "{LOAD}
    mul.lo.u32 %r21, %r2, 7;
    shfl.sync.idx.b32 %r10, %r20, %r21, 31, -1;"
    ));
    let expected: Vec<u32> = (0..32).map(|lane| words[lane * 7 % 32]).collect();
    assert_eq!(rig.run(32, 32, &words, 0), expected);
}

#[test]
fn halves_of_a_warp_shuffle_among_themselves_with_their_own_masks() {
    let words = words();
    let rig = storing(&format!(
        "{LOAD}
    setp.lt.u32 %p1, %r2, 16;
    selp.u32 %r21, 0xffff, 0xffff0000, %p1;
    selp.u32 %r22, 3, 17, %p1;
    shfl.sync.idx.b32 %r10, %r20, %r22, 31, %r21;"
    ));
    let expected: Vec<u32> = (0..32).map(|lane| words[if lane < 16 { 3 } else { 17 }]).collect();
    assert_eq!(rig.run(32, 32, &words, 0), expected);
}

#[test]
fn a_lane_that_is_not_there_gives_zero() {
    let words = words();
    let rig = storing(&format!("{LOAD}\n    shfl.sync.down.b32 %r10, %r20, 4, 31, -1;"));
    let expected: Vec<u32> = (0..16).map(|lane| if lane < 12 { words[lane + 4] } else { 0 }).collect();
    assert_eq!(rig.run(16, 16, &words, 0), expected);
}

#[test]
fn members_that_went_another_way_are_waited_for() {
    // Each half comes to its own instruction; they meet all the same.
    let words = words();
    let rig = storing(&format!(
        "{LOAD}
    setp.lt.u32 %p1, %r2, 10;
    @%p1 bra LOW;
    add.u32 %r20, %r20, 1;
    shfl.sync.bfly.b32 %r10, %r20, 31, 31, -1;
    bra OUT;
LOW:
    shfl.sync.bfly.b32 %r10, %r20, 31, 31, -1;
OUT:"
    ));
    let brought = |lane: usize| words[lane].wrapping_add(u32::from(lane >= 10));
    assert_eq!(rig.run(32, 32, &words, 0), (0..32).map(|lane| brought(31 - lane)).collect::<Vec<_>>());
}

#[test]
fn a_loop_of_different_length_ends_in_a_meeting() {
    let rig = storing(
        "
    mov.u32 %r10, 0;
LOOP:
    add.u32 %r10, %r10, 1;
    setp.lt.u32 %p1, %r10, %r2;
    @%p1 bra LOOP;
    redux.sync.add.u32 %r10, %r10, 0xffffffff;",
    );
    assert_eq!(rig.run(32, 32, &[0], 0), [1 + 31 * 32 / 2; 32]);
}

#[test]
fn votes_are_as_defined() {
    let rig = Rig::new(
        "",
        "
    setp.lt.u32 %p1, %r2, %r3;
    vote.sync.ballot.b32 %r10, %p1, -1;
    vote.sync.ballot.b32 %r11, !%p1, -1;
    vote.sync.all.pred %p2, %p1, -1;
    vote.sync.any.pred %p3, %p1, -1;
    vote.sync.uni.pred %p4, %p1, -1;
    selp.u32 %r12, 1, 0, %p2;
    selp.u32 %r13, 2, 0, %p3;
    selp.u32 %r14, 4, 0, %p4;
    add.u32 %r12, %r12, %r13;
    add.u32 %r12, %r12, %r14;
    st.global.u32 [%rd1], %r10;
    st.global.u32 [%rd1+128], %r11;
    st.global.u32 [%rd1+256], %r12;",
    );
    for threads in [32, 20] {
        for n in [0, 1, 19, 20, 31, 32] {
            let everybody = u32::MAX >> (32 - threads);
            let ballot = if n == 0 { 0 } else { (u32::MAX >> (32 - n)) & everybody };
            let flags = u32::from(ballot == everybody)
                + 2 * u32::from(ballot != 0)
                + 4 * u32::from(ballot == 0 || ballot == everybody);
            let out = rig.run(threads, 96, &[0], n);
            let threads = threads as usize;
            assert_eq!(out[..threads], vec![ballot; threads]);
            assert_eq!(out[32..32 + threads], vec![everybody & !ballot; threads]);
            assert_eq!(out[64..64 + threads], vec![flags; threads]);
        }
    }
}

#[test]
fn votes_and_reductions_of_some_lanes_leave_the_others_alone() {
    let rig = storing(
        "
    mov.u32 %r10, 1000;
    setp.lt.u32 %p1, %r2, 12;
    setp.ge.u32 %p2, %r2, 4;
    @%p1 vote.sync.ballot.b32 %r10, %p2, 0xfff;
    @!%p1 redux.sync.max.s32 %r10, %r2, 0xfffff000;",
    );
    let expected = |lane: u32| if lane < 12 { 0xff0 } else { 31 };
    assert_eq!(rig.run(32, 32, &[0], 0), (0..32).map(expected).collect::<Vec<_>>());
}

#[test]
fn reductions_of_every_kind_are_as_defined() {
    let words = words();
    type Fold = fn(u32, u32) -> u32;
    let folds: [(&str, Fold); 8] = [
        ("add.u32", u32::wrapping_add),
        ("min.u32", u32::min),
        ("max.u32", u32::max),
        ("min.s32", |a, b| (a as i32).min(b as i32) as u32),
        ("max.s32", |a, b| (a as i32).max(b as i32) as u32),
        ("and.b32", |a, b| a & b),
        ("or.b32", |a, b| a | b),
        ("xor.b32", |a, b| a ^ b),
    ];
    for (op, fold) in folds {
        let rig = storing(&format!("{LOAD}\n    redux.sync.{op} %r10, %r20, -1;"));
        for threads in [32, 7] {
            let expected = words[..threads].iter().copied().reduce(fold).unwrap();
            assert_eq!(rig.run(threads as u32, threads, &words, 0), vec![expected; threads], "{op}");
        }
    }
}

#[test]
fn matches_find_lanes_with_equal_values() {
    let words: Vec<u32> = (0..32).map(|i| [5, 6, 5, 7][i % 4]).collect();
    let rig = storing(&format!("{LOAD}\n    match.any.sync.b32 %r10, %r20, -1;"));
    let expected =
        |lane: usize| (0..32).filter(|i| words[*i] == words[lane]).fold(0, |mask, i| mask | 1 << i);
    assert_eq!(rig.run(32, 32, &words, 0), (0..32).map(expected).collect::<Vec<u32>>());
    let rig = storing(&format!(
        "{LOAD}
    cvt.u64.u32 %rd11, %r20;
    shl.b64 %rd11, %rd11, 32;
    match.all.sync.b64 %r10|%p1, %rd11, -1;
    @%p1 add.u32 %r10, %r10, 1;"
    ));
    assert_eq!(rig.run(32, 32, &words, 0), [0; 32], "they differ in the upper half");
    assert_eq!(rig.run(20, 20, &[9; 32], 0), [0x0010_0000; 20], "the mask of all, plus one");
}

#[test]
fn one_lane_is_elected() {
    let rig = storing(
        "
    mov.u32 %r10, 0;
    setp.ge.u32 %p1, %r2, 6;
    @%p1 elect.sync %r10|%p2, 0xffffffc0;
    @%p2 add.u32 %r10, %r10, 100;",
    );
    let expected = |lane: u32| match lane {
        0..6 => 0,
        6 => 106,
        _ => 6,
    };
    assert_eq!(rig.run(32, 32, &[0], 0), (0..32).map(expected).collect::<Vec<_>>());
}

#[test]
fn a_warp_barrier_lets_lanes_see_what_others_wrote() {
    let rig = Rig::new(
        ".shared .align 4 .b8 s[128];",
        "
    shl.b32 %r11, %r2, 2;
    mov.u32 %r12, s;
    add.u32 %r12, %r12, %r11;
    setp.lt.u32 %p1, %r2, 16;
    @%p1 bra LOW;
    st.shared.u32 [%r12], %r2;
LOW:
    bar.warp.sync 0xffffffff;
    xor.b32 %r13, %r12, 64;
    ld.shared.u32 %r10, [%r13];
    st.global.u32 [%rd1], %r10;",
    );
    let expected = |lane: u32| if lane < 16 { lane + 16 } else { 0 };
    assert_eq!(rig.run(32, 32, &[0], 0), (0..32).map(expected).collect::<Vec<_>>());
}

#[test]
fn members_that_exit_are_not_waited_for() {
    let rig = storing(
        "
    setp.lt.u32 %p1, %r2, 16;
    @%p1 bra LATER;
    redux.sync.add.u32 %r10, %r2, -1;
    bra OUT;
LATER:
    mov.u32 %r10, 0;
LOOP:
    add.u32 %r10, %r10, 1;
    setp.lt.u32 %p2, %r10, 500;
    @%p2 bra LOOP;
    exit;
OUT:",
    );
    let sum = (16..32).sum::<u32>();
    assert_eq!(rig.run(32, 32, &[0], 0)[16..], [sum; 16]);
}

#[test]
fn members_that_can_not_come_are_a_fault_with_masks() {
    for (instruction, at) in [
        ("shfl.sync.idx.b32 %r10, %r1, 0, 31, -1;", "shfl.sync"),
        ("vote.sync.any.pred %p3, %p1, -1;", "vote.sync"),
        ("match.any.sync.b32 %r10, %r1, -1;", "match.sync"),
        ("redux.sync.add.u32 %r10, %r1, -1;", "redux.sync"),
        ("elect.sync %r10|%p3, -1;", "elect.sync"),
        ("bar.warp.sync -1;", "bar.warp.sync"),
    ] {
        let rig = Rig::new(
            "",
            &format!(
                "
    setp.lt.u32 %p1, %r2, 3;
    @%p1 bra OTHER;
    {instruction} // HERE
    bra OUT;
OTHER:
    barrier.sync 0;
OUT:"
            ),
        );
        let kind = FaultKind::Divergence { at, expected: u32::MAX, arrived: 0xffff_fff8 };
        rig.expect_fault(32, &[0], 0, [3, 0, 0], kind);
        // A lane that is not among the members it names.
        let instruction = instruction.replace("-1;", "0xff;");
        let rig = Rig::new("", &format!("    {instruction} // HERE"));
        let kind = FaultKind::Divergence { at, expected: 0xff, arrived: u32::MAX };
        rig.expect_fault(32, &[0], 0, [8, 0, 0], kind);
    }
}

#[test]
fn different_instructions_do_not_meet() {
    let rig = Rig::new(
        "",
        "
    setp.lt.u32 %p1, %r2, 3;
    @%p1 bra OTHER;
    shfl.sync.up.b32 %r10, %r1, 1, 0, -1;
    bra OUT;
OTHER:
    shfl.sync.down.b32 %r10, %r1, 1, 31, -1; // HERE
OUT:",
    );
    let kind = FaultKind::Divergence { at: "shfl.sync", expected: u32::MAX, arrived: 7 };
    rig.expect_fault(32, &[0], 0, [0, 0, 0], kind);
}
