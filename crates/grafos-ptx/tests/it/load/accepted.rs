//! What must load, and what is then known of it.

use grafos_ptx::{Module, ParamLayout};

use super::seeds::SEEDS;
use super::{HEADER, check, error, kernel};

#[test]
fn every_form_that_an_assembler_takes_is_taken() {
    let forms = [
        "mov.u32 %r1, 0x1FFFFFFFF;",
        "mov.u32 %r1, -1;",
        "mov.u32 %r1, 0b101 | 017 ^ 0xfU;",
        "mov.u32 %r1, (1 + 2) * 3 - -4 << 1;",
        "mov.u32 %r1, 1 ? 2 : 3;",
        "mov.u32 %r1, WARP_SZ - 1;",
        "mov.u64 %rd1, (.u64) 1 << 63;",
        "mov.f32 %f1, 0d3FF0000000000000;",
        "mov.f64 %fd1, 0f3F800000;",
        "mov.f64 %fd1, -1.5e-3;",
        "mov.b32 %r1, 0f3F800000;",
        "mov.b32 %r1, %f1;",
        "mov.b32 %f1, {%rs1, 3};",
        "mov.b32 {%rs1, _}, %r1;",
        "mov.b64 {%r1, %r2}, %fd1;",
        "mov.u16 %rs1, %tid.x;",
        "mov.u32 %r1, %ctaid.y; mov.u32 %r1, %nctaid.z; mov.u32 %r1, %laneid; mov.u32 %r1, %lanemask_lt;",
        "mov.u64 %rd1, %clock64; mov.u32 %r1, %clock; mov.u64 %rd1, %globaltimer; mov.u32 %r1, %clock_hi;",
        "mov.u32 %r1, %envreg3; mov.u32 %r1, %smid; mov.u64 %rd1, %gridid; mov.u32 %r1, %dynamic_smem_size;",
        "mov.u32 %r1, %clusterid.x; mov.u32 %r1, %cluster_ctarank; mov.pred %p1, %is_explicit_cluster;",
        "mov.pred %p1, 1; mov.pred %p1, !%p2; and.pred %p1, !%p2, 1; not.pred %p1, %p2;",
        "setp.lt.and.s32 %p1|_, %r1, %r2, 1; setp.eq.or.f32 %p1|%p2, %f1, %f2, !%p3;",
        "set.lt.and.u32.s32 %r1, %r2, %r3, %p1; set.gt.f32.f32 %f1, %f2, %f3;",
        "selp.b32 %r1, 1, 2, !%p1; selp.f64 %fd1, %fd2, 0d0000000000000000, %p1;",
        "cvt.s8.s32 %rs1, %r1; cvt.u32.u16 %r1, %rd1; cvt.rn.f16.f32 %r1, %f1; cvt.s16.s64 %rd1, %rd2;",
        "ld.param.u64 %rd1, [a]; ld.param.u32 %r1, [n+0]; ld.param::entry.b8 %rs1, [a+7];",
        "ld.global.nc.L1::no_allocate.L2::128B.v4.f32 {%f1, %f2, %f3, _}, [%rd1+16];",
        "ld.global.L2::cache_hint.u32 %r1, [%rd1], %rd2;",
        "ld.volatile.global.u8 %r1, [%rd1+-4]; ld.relaxed.gpu.global.s16 %rd1, [%rd2+4-8];",
        "ld.acquire.sys.u64 %rd1, [%rd2]; ld.shared.u32 %r1, [%r2]; ld.const.b64 %rd1, [%rd2+(4*2)];",
        "st.global.wt.u32 [%rd1], 5; st.release.gpu.global.v2.b32 [%rd1], {%r1, 7}; st.u8 [%rd1], %rs1;",
        "atom.global.add.u32 %r1, [%rd2], 1; atom.add.u32 _, [%rd2], 1; red.shared::cta.max.s32 [%r1], %r2;",
        "atom.acq_rel.gpu.global.cas.b64 %rd1, [%rd2], 1, %rd3; atom.global.add.noftz.f16x2 %r1, [%rd1], %r2;",
        "bar.sync 0; bar.sync %r1, %r2; bar.arrive 1, 64; barrier.cta.sync.aligned 2; barrier.sync 3, 64;",
        "bar.red.popc.u32 %r1, 0, %p1; bar.red.and.pred %p1, 0, 32, !%p2; bar.warp.sync -1;",
        "membar.gl; fence.acq_rel.gpu; fence.sc.cta; fence.proxy.alias;",
        "shfl.sync.bfly.b32 %r1|%p1, %r2, 1, 31, -1; shfl.down.b32 %r1, %r2, 1, 31; shfl.sync.up.b32 _|%p1, %r2, 1, 0, -1;",
        "vote.sync.any.pred %p1, 1, -1; vote.sync.ballot.b32 %r1, !%p1, -1; vote.all.pred %p1, %p2;",
        "match.any.sync.b64 %r1, %rd1, -1; match.all.sync.b32 %r1|%p1, %r2, -1; activemask.b32 %r1;",
        "redux.sync.xor.b32 %r1, %r2, -1; elect.sync _|%p1, -1; elect.sync %r1|%p1, -1;",
        "isspacep.shared::cta %p1, %rd1; cvta.to.global.u64 %rd1, %rd2; cvta.local.u64 %rd1, %rd2;",
        "prefetch.global.L2 [%rd1]; nanosleep.u32 100; discard.global.L2 [%rd1], 128; pmevent 3;",
        "createpolicy.fractional.L2::evict_last.b64 %rd1, 1.0;",
        "bra L; { bra L; L: } L:",
        "bra.uni L; .pragma \"nounroll\"; .loc 1 2 3 .loc 1 2 3, function_name $L+4, inlined_at 1 4 5\n L: trap;",
        "brx.idx %r1, T; T: .branchtargets A, B, A; A: B: exit;",
        ".reg .v2 .f32 v; ld.global.v2.f32 v, [%rd1]; add.f32 %f1, v.x, v.y; st.global.v2.f32 [%rd1], v;",
        "{ .reg .b32 %r<2>; mov.u32 %r1, 0; { .reg .b64 %r1; mov.u64 %r1, 0; } } mov.u32 %r1, 0;",
        ".local .align 16 .b8 d[16]; .reg .b64 %s; mov.u64 %s, d; mov.u64 %s, d+8; st.local.u32 [d+4], %r1;",
        ".shared .f32 t[4][8]; st.shared.f32 [t+60], %f1; mov.u32 %r1, t; ld.u32 %r1, [t];",
        ".global .u32 g = 7; ld.global.u32 %r1, [g];",
        "@%p1 ret; @!%p2 exit; ret.uni;",
    ];
    for form in forms {
        assert_eq!(error(kernel(form).as_bytes()), "accepted", "{form}");
    }
}

#[test]
fn every_directive_that_compilers_write_is_taken() {
    let forms = [
        ".file 1 \"a.cu\"\n.file 2 \"b.cu\", 123, 456\n.section .debug_info {\n.b8 1, 2\n.b32 .debug_str+4\n{ }\n}",
        ".global .align 8 .b8 a[16] = {1, 2, 255, 256, -1};",
        ".global .u64 a[2] = {b, generic(b)+4};\n.global .u32 b;",
        ".global .u64 a = f;\n.func f() { ret; }",
        ".global .f32 a[2][3] = {{1.0, 0f40000000}, {-1.5}};\n.const .f64 c = 0d3FF0000000000000;",
        ".global .u32 a[] = {1, 2, 3};\n.global .v4 .u32 b = {1, 2, 3, 4};\n.common .global .u32 c;",
        ".global .attribute(.managed) .align 4 .u32 a;\n.weak .global .u32 b = 0xffffffff;",
        ".extern .shared .align 16 .b8 s[];\n.visible .entry k() { .reg .u64 %r; mov.u64 %r, s; st.shared.u8 [s], 1; }",
        ".extern .global .u32 a;\n.global .u32 a = 4;",
        ".visible .entry k(.param .u64 .ptr .global .align 4 a, .param .align 8 .b8 b[24]) .maxntid 256, 2 .minnctapersm 2 .maxnreg 32 .reqntid 32 { }",
        ".func (.param .align 8 .b8 r[16]) f(.param .b32 a, .param .b64 b);\n.func (.param .align 8 .b8 r[16]) f(.param .b32 a, .param .b64 b) .noreturn { }",
        ".func (.reg .u32 r) f(.reg .u32 a) { mov.u32 r, a; ret; }\n.entry k() { .reg .u32 %x; call (%x), f, (7); }",
        ".func f { ret; }\n.entry k() { call f; call.uni f, (); }",
        ".func f() { ret; }\n.alias g, f;\n.entry k() { call g; }",
        ".func f(.param .b32 a) { ret; }\n.entry k() { .reg .b64 %r; .param .b32 p; mov.u64 %r, f;\nP: .callprototype _ (.param .b32 _);\nF: .calltargets f;\ncall %r, (p), P; call %r, (p), F; }",
        ".extern .func (.param .b32 r) vprintf (.param .b64 a, .param .b64 b);\n.entry k() { .param .b64 a; .param .b64 b; .param .b32 r; call.uni (r), vprintf, (a, b); }",
        ".extern .func __assertfail (.param .b64 a, .param .b64 b, .param .b32 c, .param .b64 d, .param .b64 e) .noreturn;\n.entry k() { .param .b64 a; .param .b32 c; call.uni __assertfail, (a, a, c, a, a); }",
        "// \u{e9}\n/* \u{e9}\n */",
    ];
    for form in forms {
        assert_eq!(error(format!("{HEADER}{form}\n").as_bytes()), "accepted", "{form}");
    }
}

#[test]
fn a_nul_and_line_ends_of_windows_are_fine() {
    let source = kernel("ret;").replace('\n', "\r\n");
    assert_eq!(error(source.as_bytes()), "accepted");
    assert_eq!(error(&[source.as_bytes(), b"\0"].concat()), "accepted");
    check(&[("ret;\n// comment\n/* two\nlines */ bra L;", "line 9: unknown label: name=L")], kernel);
}

#[test]
fn kernels_are_described() {
    let source = format!(
        "{HEADER}
.extern .shared .align 128 .b8 dynamic[];
.shared .align 4 .b8 both[40];
.shared .align 16 .b8 nobody[4096];
.func helper() {{ .shared .u64 own[3]; st.shared.u64 [own], 1; st.shared.u8 [both], 1; ret; }}
.visible .entry first(.param .u8 a, .param .u64 b, .param .align 16 .b8 c[20], .param .f32 d) .maxntid 64, 4
{{ .shared .u16 mine[5]; .local .align 8 .b8 depot[40]; st.shared.u16 [mine], 1; call helper; }}
.visible .entry second() .reqntid 32 {{ .shared .b8 large[1000]; st.shared.u8 [large], 1; st.shared.u8 [dynamic], 1; }}
.entry third() {{ call helper; }}
.func not_a_kernel() {{ ret; }}"
    );
    let module = Module::load(source.as_bytes()).unwrap();
    let names: Vec<_> = module.kernels().map(|kernel| kernel.name()).collect();
    assert_eq!(names, ["first", "second", "third"]);
    let first = module.kernel("first").unwrap();
    let layout = |offset, size, align| ParamLayout { offset, size, align };
    assert_eq!(first.params(), [layout(0, 1, 1), layout(8, 8, 8), layout(16, 20, 16), layout(36, 4, 4)]);
    assert_eq!((first.max_threads(), first.required_threads()), (Some([64, 4, 1]), None));
    assert_eq!(first.local_bytes(), 48, "rounded up to 16");
    // 40 bytes of `both`, 24 of `own`, 10 of its own.
    assert_eq!(first.shared_bytes(), 74);
    let second = module.kernel("second").unwrap();
    assert_eq!(second.required_threads(), Some([32, 1, 1]));
    assert_eq!(second.shared_bytes(), 1024, "up to where the dynamic memory is aligned");
    assert_eq!(module.kernel("third").unwrap().shared_bytes(), 64);
    assert!(module.kernel("not_a_kernel").is_none());
    assert!(module.kernel("nothing").is_none());
}

#[test]
fn all_seeds_load() {
    for (name, seed) in SEEDS {
        assert_eq!(error(seed.as_bytes()), "accepted", "{name}");
    }
}
