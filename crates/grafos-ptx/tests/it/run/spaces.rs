//! State spaces: how addresses lead to memory, in all widths.

use super::rig::{Args, Rig};

#[test]
fn loads_and_stores_of_every_width_extend_and_cut_as_defined() {
    // Through each space: a store of the thread's number, whole, and loads of its parts.
    let spaces = [
        ("global", "", "mad.wide.u32 %rd10, %r1, 16, %rd2;"),
        ("shared", ".shared .align 16 .b8 s[1024];", "mov.u64 %rd11, s; mad.wide.u32 %rd10, %r1, 16, %rd11;"),
        ("local", "", ".local .align 16 .b8 l[16]; mov.u64 %rd10, l;"),
    ];
    for (space, declaration, address) in spaces {
        let rig = Rig::new(
            declaration,
            &format!(
                "
    {address}
    mad.lo.u32 %r20, %r1, 0x01010101, 0x80f1827e;
    not.b32 %r21, %r20;
    st.{space}.v2.u32 [%rd10], {{%r20, %r21}};
    ld.{space}.u8 %r10, [%rd10];
    ld.{space}.s8 %r11, [%rd10+3];
    ld.{space}.u16 %h1, [%rd10+2];
    cvt.u32.u16 %r12, %h1;
    ld.{space}.s16 %r13, [%rd10];
    ld.{space}.u64 %rd12, [%rd10];
    shr.u64 %rd12, %rd12, 32;
    cvt.u32.u64 %r14, %rd12;
    ld.{space}.s32 %rd13, [%rd10];
    shr.u64 %rd13, %rd13, 32;
    cvt.u32.u64 %r15, %rd13;
    st.{space}.u8 [%rd10+8], %r20;
    st.{space}.u16 [%rd10+10], %r20;
    mov.u32 %r22, 0xab;
    st.{space}.u8 [%rd10+9], %r22;
    ld.{space}.u32 %r16, [%rd10+8];
    ld.{space}.v4.u8 {{%r17, %r18, %r19, %r23}}, [%rd10+8];
    mul.wide.u32 %rd20, %r1, 64;
    add.u64 %rd20, %rd20, %rd0;
    st.global.v4.u32 [%rd20], {{%r10, %r11, %r12, %r13}};
    st.global.v4.u32 [%rd20+16], {{%r14, %r15, %r16, %r17}};
    st.global.v2.u32 [%rd20+32], {{%r18, %r19}};
    st.global.u32 [%rd20+40], %r23;"
            ),
        );
        for threads in [32, 37] {
            let out = rig.run(threads, threads as usize * 16, &vec![0; 37 * 4], 0);
            for (tid, words) in (0..).zip(out.chunks(16)) {
                let word = 0x0101_0101_u32.wrapping_mul(tid).wrapping_add(0x80f1_827e);
                let packed = word & 0xff | 0xab00 | word << 16;
                let [a, b, c, d] = packed.to_le_bytes().map(u32::from);
                let expected = [
                    word & 0xff,
                    (word as i32 >> 24) as u32,
                    word >> 16,
                    (word as i16 as i32) as u32,
                    !word,
                    (word as i32 >> 31) as u32,
                    packed,
                    a,
                    b,
                    c,
                    d,
                ];
                assert_eq!(words[..11], expected, "{space} thread {tid}");
            }
        }
    }
}

#[test]
fn bytes_that_neighbours_store_don_t_overwrite_each_other() {
    // Each thread stores its own byte and half word, of all blocks at once, so words are shared between blocks too.
    for (bytes, ty) in [(1, "u8"), (2, "u16")] {
        let rig = Rig::new(
            "",
            &format!(
                "
    setp.eq.u32 %p1, %r62, 0;
    mul.wide.u32 %rd10, %r0, {bytes};
    add.u64 %rd10, %rd0, %rd10;
    mad.lo.u32 %r10, %r0, 77, 5;
    and.b32 %r11, %r0, 2;
    setp.eq.u32 %p1, %r11, 0;
    @%p1 st.global.{ty} [%rd10], %r10;
    @!%p1 st.global.{ty} [%rd10], %r10;"
            ),
        );
        let (blocks, threads) = (200, 33);
        let args = Args { out: rig.words(&vec![0; blocks * threads]), input: 0, n: 0 };
        rig.launch(blocks as u32, threads as u32, args).outcome.unwrap();
        let mut out = vec![0; blocks * threads * bytes];
        rig.memory.read(args.out, &mut out).unwrap();
        for (i, element) in out.chunks(bytes).enumerate() {
            assert_eq!(element, &(i as u32 * 77 + 5).to_le_bytes()[..bytes], "{ty} {i}");
        }
    }
}

#[test]
fn bytes_that_several_blocks_store_into_one_word_stay_what_each_has_stored() {
    // Block b owns byte b of every word, and looks after each store whether another block has undone it. They begin
    // when all four are there, each on a thread of its own.
    let rig = Rig::new(
        "",
        "
    mad.wide.u32 %rd10, %r1, 4, %rd0;
    cvt.u64.u32 %rd11, %r61;
    add.u64 %rd10, %rd10, %rd11;
    mov.u32 %r10, 0;
    setp.eq.u32 %p1, %r1, 0;
    @%p1 red.global.add.u32 [%rd2], 1;
BEGIN:
    ld.volatile.global.u32 %r11, [%rd2];
    setp.ne.u32 %p1, %r11, 4;
    @%p1 bra BEGIN;
LOOP:
    st.volatile.global.u8 [%rd10], %r10;
    ld.volatile.global.u8 %r11, [%rd10];
    and.b32 %r12, %r10, 255;
    setp.ne.u32 %p1, %r11, %r12;
    @%p1 trap;
    add.u32 %r10, %r10, 1;
    setp.lt.u32 %p1, %r10, 20000;
    @%p1 bra LOOP;",
    );
    let mut limits = grafos_ptx::Limits::default();
    limits.threads = Some(4);
    let args = Args { out: rig.words(&[0; 8]), input: rig.words(&[0]), n: 0 };
    rig.launch_with(4, 8, args, &limits, &grafos_ptx::Interrupt::new()).outcome.unwrap();
}

#[test]
fn the_last_lane_that_stores_to_a_word_wins() {
    let rig = Rig::new("", "    st.global.u32 [%rd0], %r1;\n    st.global.u8 [%rd0+4], %r1;");
    assert_eq!(rig.run(32, 2, &[0], 0), [31, 31]);
}

#[test]
fn generic_addresses_reach_every_space_and_tell_which() {
    let rig = Rig::new(
        ".shared .align 4 .u32 s;\n.const .align 4 .u32 c = 44;\n.global .align 4 .u32 g = 55;",
        "
    .local .align 4 .u32 l;
    mov.u32 %r10, 33;
    st.shared.u32 [s], %r10;
    mov.u32 %r10, 22;
    st.local.u32 [l], %r10;
    mov.u64 %rd10, s;
    cvta.shared.u64 %rd10, %rd10;
    mov.u64 %rd11, l;
    cvta.local.u64 %rd11, %rd11;
    mov.u64 %rd12, c;
    cvta.const.u64 %rd12, %rd12;
    mov.u64 %rd13, g;
    cvta.global.u64 %rd13, %rd13;
    mov.u64 %rd14, n;
    cvta.param.u64 %rd14, %rd14;
    and.b32 %r11, %r1, 3;
    mov.u64 %rd20, %rd10;
    setp.eq.u32 %p1, %r11, 1;
    @%p1 mov.u64 %rd20, %rd11;
    setp.eq.u32 %p1, %r11, 2;
    @%p1 mov.u64 %rd20, %rd12;
    setp.eq.u32 %p1, %r11, 3;
    @%p1 mov.u64 %rd20, %rd13;
    setp.eq.u32 %p1, %r1, 5;
    @%p1 mov.u64 %rd20, %rd14;
    ld.u32 %r10, [%rd20];
    isspacep.shared %p2, %rd20;
    isspacep.local %p3, %rd20;
    isspacep.const %p4, %rd20;
    isspacep.global %p5, %rd20;
    isspacep.param %p6, %rd20;
    @%p2 add.u32 %r10, %r10, 100;
    @%p3 add.u32 %r10, %r10, 200;
    @%p4 add.u32 %r10, %r10, 400;
    @%p5 add.u32 %r10, %r10, 800;
    @%p6 add.u32 %r10, %r10, 1600;
    cvta.to.shared.u64 %rd30, %rd10;
    @%p2 ld.shared.u32 %r11, [%rd30];
    @%p2 setp.ne.u32 %p7, %r11, 33;
    @%p7 trap;
    st.global.u32 [%rd1], %r10;",
    );
    let expected = |tid: u32| if tid == 5 { 66 + 1600 } else { [133, 222, 444, 855][tid as usize % 4] };
    assert_eq!(rig.run(32, 32, &[0], 66), (0..32).map(expected).collect::<Vec<_>>());
}

#[test]
fn generic_stores_and_atomics_go_where_each_lane_points() {
    let rig = Rig::new(
        ".shared .align 4 .b8 s[128];",
        "
    .local .align 4 .b8 l[128];
    mul.wide.u32 %rd9, %r2, 4;
    mov.u64 %rd10, s;
    cvta.shared.u64 %rd10, %rd10;
    add.u64 %rd10, %rd10, %rd9;
    mov.u64 %rd11, l;
    cvta.local.u64 %rd11, %rd11;
    add.u64 %rd11, %rd11, %rd9;
    add.u64 %rd12, %rd2, %rd9;
    mov.u64 %rd20, %rd10;
    and.b32 %r11, %r2, 2;
    setp.eq.u32 %p1, %r11, 0;
    @%p1 mov.u64 %rd20, %rd11;
    setp.lt.u32 %p1, %r2, 8;
    @%p1 mov.u64 %rd20, %rd12;
    st.u32 [%rd20], %r2;
    atom.add.u32 %r10, [%rd20], 1000;
    ld.u32 %r12, [%rd20];
    add.u32 %r10, %r10, %r12;
    st.global.u32 [%rd1], %r10;",
    );
    assert_eq!(rig.run(32, 32, &[0; 32], 0), (0..32).map(|lane| 2 * lane + 1000).collect::<Vec<_>>());
}

#[test]
fn variables_hold_their_initial_values_and_addresses_of_others() {
    let rig = Rig::new(
        "
.const .align 4 .u32 table[4] = {10, 20, 30};
.global .align 8 .u64 pointer = generic(table) + 4;
.global .align 4 .u32 counter = 7;",
        "
    ld.global.u64 %rd10, [pointer];
    ld.u32 %r10, [%rd10+4];
    ld.const.u32 %r11, [table];
    add.u32 %r10, %r10, %r11;
    mul.wide.u32 %rd11, %r1, 4;
    mov.u64 %rd12, table;
    add.u64 %rd12, %rd12, %rd11;
    ld.const.u32 %r12, [%rd12];
    add.u32 %r10, %r10, %r12;
    st.global.u32 [%rd1], %r10;
    setp.eq.u32 %p1, %r0, 0;
    @%p1 red.global.add.u32 [counter], 1;",
    );
    assert_eq!(rig.run(4, 4, &[0], 0), [50, 60, 70, 40]);
    let (counter, size) = rig.module.variable("counter").unwrap();
    assert_eq!((rig.read(counter, 1), size), (vec![8], 4), "it keeps its value");
    // The host may write constants between launches.
    let (table, _) = rig.module.variable("table").unwrap();
    rig.memory.write(table, &1000_u32.to_le_bytes()).unwrap();
    assert_eq!(rig.run(4, 4, &[0], 0), [2030, 1050, 1060, 1030]);
    assert_eq!(rig.read(counter, 1), [9]);
    assert_eq!(rig.module.variable("nothing"), None);
}

#[test]
fn dynamic_shared_memory_lies_behind_the_static_one() {
    let rig = Rig::new(
        ".extern .shared .align 16 .b8 dynamic[];\n.shared .align 4 .b8 fixed[20];",
        "
    mov.u32 %r10, dynamic;
    mov.u32 %r11, fixed;
    mov.u32 %r12, %dynamic_smem_size;
    mov.u32 %r13, %total_smem_size;
    add.u32 %r14, %r10, %r12;
    st.shared.u32 [%r14+-4], %r1;
    ld.shared.u32 %r15, [%r14+-4];
    st.shared.u32 [%r11+16], %r15;
    st.global.v4.u32 [%rd0], {%r10, %r11, %r12, %r13};
    ld.shared.u32 %r16, [%r14]; // HERE",
    );
    let params = Args { out: rig.words(&[0; 4]), input: 0, n: 0 };
    let bytes = params.bytes();
    let launch = grafos_ptx::Launch { grid: [1; 3], block: [1; 3], shared_bytes: 1000, params: &bytes };
    let report = rig.module.launch("k", &launch, &Default::default(), &Default::default());
    assert_eq!(rig.read(params.out, 4), [32, 0, 1000, 1032]);
    let fault = super::rig::fault_of(report);
    let (access, space) = (grafos_ptx::AccessKind::Read, grafos_ptx::MemorySpace::Shared);
    assert_eq!(fault.kind, grafos_ptx::FaultKind::OutOfBounds { access, space, address: 1032, bytes: 4 });
}

#[test]
fn a_block_finds_nothing_of_the_one_before_it() {
    // What was never written reads as zero, in registers, shared and local memory, on a core that ran other blocks.
    let rig = Rig::new(
        ".shared .align 4 .b8 s[512];",
        "
    .local .align 4 .b8 l[16];
    mul.lo.u32 %r11, %r1, 4;
    mov.u32 %r12, s;
    add.u32 %r12, %r12, %r11;
    ld.shared.u32 %r13, [%r12];
    ld.local.u32 %r14, [l+8];
    or.b32 %r10, %r30, %r13;
    or.b32 %r10, %r10, %r14;
    cvt.u32.u64 %r15, %rd30;
    or.b32 %r10, %r10, %r15;
    @%p9 add.u32 %r10, %r10, 1;
    st.global.u32 [%rd1], %r10;
    mov.u32 %r30, -1;
    mov.u64 %rd30, -1;
    setp.eq.u32 %p9, %r30, -1;
    st.shared.u32 [%r12], %r30;
    st.local.u32 [l+8], %r30;",
    );
    assert_eq!(rig.run_grid(50, 64, 3200, &[0], 0), [0; 3200]);
}

#[test]
fn arguments_of_every_size_reach_functions_and_come_back() {
    let rig = Rig::new(
        "
.func (.param .align 8 .b8 res[24]) swap(.param .u8 a, .param .align 2 .b8 b[6], .param .f64 c, .param .u16 d)
{
    .reg .b32 %r<8>;
    .reg .b16 %h<8>;
    .reg .b64 %rd<8>;
    ld.param.u8 %r1, [a];
    ld.param.u16 %h2, [b+4];
    ld.param.u64 %rd3, [c];
    ld.param.u16 %h4, [d];
    st.param.u64 [res], %rd3;
    st.param.u16 [res+8], %h4;
    st.param.u16 [res+10], %h2;
    st.param.u8 [res+12], %r1;
    ret;
}",
        "
    cvt.u64.u32 %rd10, %r1;
    mul.lo.u64 %rd10, %rd10, 0x100000003;
    cvt.u16.u32 %h1, %r1;
    add.u16 %h2, %h1, 300;
    add.u32 %r10, %r1, 7;
    {
        .param .u8 pa;
        .param .align 2 .b8 pb[6];
        .param .f64 pc;
        .param .u16 pd;
        .param .align 8 .b8 pr[24];
        st.param.u8 [pa], %r10;
        st.param.u16 [pb+4], %h1;
        st.param.u64 [pc], %rd10;
        st.param.u16 [pd], %h2;
        call (pr), swap, (pa, pb, pc, pd);
        ld.param.u64 %rd11, [pr];
        ld.param.u16 %r11, [pr+8];
        ld.param.u16 %r12, [pr+10];
        ld.param.u8 %r13, [pr+12];
    }
    shr.u64 %rd12, %rd11, 32;
    cvt.u32.u64 %r14, %rd12;
    mul.wide.u32 %rd20, %r1, 16;
    add.u64 %rd20, %rd20, %rd0;
    st.global.v4.u32 [%rd20], {%r11, %r12, %r13, %r14};",
    );
    let expected = |tid: u32| [tid + 300, tid, (tid + 7) & 0xff, tid];
    let out = rig.run(40, 160, &[0], 0);
    assert_eq!(out, (0..40).flat_map(expected).collect::<Vec<_>>());
}
