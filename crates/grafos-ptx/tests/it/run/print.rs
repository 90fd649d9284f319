//! `printf` and `assert` of kernels.

use grafos_ptx::{FaultKind, Limits};

use super::rig::{Args, Rig, fault_of};

/// Declarations of a format string and the string `text`.
fn strings(format: &str, text: &str) -> String {
    let bytes =
        |text: &str| text.bytes().chain([0]).map(|byte| byte.to_string()).collect::<Vec<_>>().join(", ");
    format!(
        "
.extern .func (.param .b32 result) vprintf(.param .b64 format, .param .b64 arguments);
.global .align 1 .b8 format[{}] = {{{}}};
.global .align 1 .b8 text[{}] = {{{}}};",
        format.len() + 1,
        bytes(format),
        text.len() + 1,
        bytes(text)
    )
}

/// A call of `vprintf` with arguments that `store` puts at `%rd20`; the result goes to `%r10`.
fn printing(store: &str) -> String {
    format!(
        "
    .local .align 8 .b8 arguments[64];
    mov.u64 %rd20, arguments;
    mov.u64 %rd22, text;
    cvta.global.u64 %rd22, %rd22;
    {store}
    cvta.local.u64 %rd20, %rd20;
    mov.u64 %rd21, format;
    cvta.global.u64 %rd21, %rd21;
    {{
        .param .b64 p0;
        .param .b64 p1;
        .param .b32 r;
        st.param.b64 [p0], %rd21;
        st.param.b64 [p1], %rd20;
        call.uni (r), vprintf, (p0, p1);
        ld.param.b32 %r10, [r];
    }}"
    )
}

fn printed(format: &str, store: &str) -> String {
    let rig = Rig::new(&strings(format, "hello"), &printing(store));
    let report = rig.launch(1, 1, Args { out: 0, input: 0, n: 0 });
    report.outcome.unwrap();
    String::from_utf8(report.printed).unwrap()
}

fn int(value: i64) -> String {
    format!("mov.b32 %r20, {value}; st.local.b32 [%rd20], %r20;")
}

fn wide(value: i64) -> String {
    format!("mov.b64 %rd23, {value}; st.local.b64 [%rd20], %rd23;")
}

fn double(value: f64) -> String {
    wide(value.to_bits() as i64)
}

#[test]
fn integers_look_as_in_c() {
    for (format, value, expected) in [
        ("[%d]", -42, "[-42]"),
        ("[%i]", 42, "[42]"),
        ("[%5d]", 42, "[   42]"),
        ("[%-5d]", 42, "[42   ]"),
        ("[%05d]", -42, "[-0042]"),
        ("[%+d]", 42, "[+42]"),
        ("[% d]", 42, "[ 42]"),
        ("[%.4d]", 42, "[0042]"),
        ("[%8.4d]", -42, "[   -0042]"),
        ("[%08.4d]", 42, "[    0042]"),
        ("[%.0d]", 0, "[]"),
        ("[%u]", -1, "[4294967295]"),
        ("[%x]", 0xbeef, "[beef]"),
        ("[%#X]", 0xbeef, "[0XBEEF]"),
        ("[%#08x]", 0xbeef, "[0x00beef]"),
        ("[%#x]", 0, "[0]"),
        ("[%o]", 8, "[10]"),
        ("[%#o]", 8, "[010]"),
        ("[%hd]", 0x1_ffff, "[-1]"),
        ("[%hhu]", 0x1ff, "[255]"),
        ("[%hhd]", 0x80, "[-128]"),
        ("[%c]", 65, "[A]"),
        ("[%3c]", 65, "[  A]"),
        ("[%%]", 0, "[%]"),
        ("[%y]", 0, "[%y]"),
        ("[%5", 0, "[%5"),
    ] {
        assert_eq!(printed(format, &int(value)), expected, "{format}");
    }
    for (format, value, expected) in [
        ("[%ld]", i64::MIN, "[-9223372036854775808]"),
        ("[%llu]", -1, "[18446744073709551615]"),
        ("[%lx]", 0x1234_5678_9abc, "[123456789abc]"),
        ("[%zu]", 1 << 40, "[1099511627776]"),
        ("[%p]", 0x7f00, "[0x7f00]"),
        ("[%10p]", 0x7f00, "[    0x7f00]"),
    ] {
        assert_eq!(printed(format, &wide(value)), expected, "{format}");
    }
}

#[test]
fn floats_look_as_in_c() {
    for (format, value, expected) in [
        ("[%f]", 1.5, "[1.500000]"),
        ("[%.0f]", 2.5, "[2]"),
        ("[%#.0f]", 2.5, "[2.]"),
        ("[%8.2f]", -1.5, "[   -1.50]"),
        ("[%08.2f]", -1.5, "[-0001.50]"),
        ("[%+.1f]", 0.25, "[+0.2]"),
        ("[%f]", f64::INFINITY, "[inf]"),
        ("[%05f]", f64::NEG_INFINITY, "[ -inf]"),
        ("[%F]", f64::NAN, "[NAN]"),
        ("[%e]", 12345.678, "[1.234568e+04]"),
        ("[%.2E]", 0.000_012_3, "[1.23E-05]"),
        ("[%e]", 0.0, "[0.000000e+00]"),
        ("[%.0e]", 1e100, "[1e+100]"),
        ("[%g]", 100_000.0, "[100000]"),
        ("[%g]", 1_000_000.0, "[1e+06]"),
        ("[%g]", 0.0001, "[0.0001]"),
        ("[%g]", 0.00001, "[1e-05]"),
        ("[%g]", 0.1 + 0.2, "[0.3]"),
        ("[%.17g]", 0.1 + 0.2, "[0.30000000000000004]"),
        ("[%#g]", 1.0, "[1.00000]"),
        ("[%G]", 1e-10, "[1E-10]"),
        ("[%g]", -0.0, "[-0]"),
        ("[%a]", 1.0, "[0x1p+0]"),
        ("[%a]", -0.1, "[-0x1.999999999999ap-4]"),
        ("[%.3a]", 3.999_999, "[0x1.000p+2]"),
        ("[%A]", 10.5, "[0X1.5P+3]"),
        ("[%a]", 0.0, "[0x0p+0]"),
    ] {
        assert_eq!(printed(format, &double(value)), expected, "{format} {value}");
    }
}

#[test]
fn arguments_lie_one_behind_the_other_each_aligned_to_its_size() {
    let store = "
    mov.b32 %r20, 7;
    st.local.b32 [%rd20], %r20;
    mov.f64 %fd1, 0d3FF8000000000000;
    st.local.f64 [%rd20+8], %fd1;
    st.local.b32 [%rd20+16], %r20;
    st.local.b64 [%rd20+24], %rd22;
    mov.b32 %r20, 3;
    st.local.b32 [%rd20+32], %r20;";
    assert_eq!(printed("%d %.1f %d %s %d", store), "7 1.5 7 hello 3");
    let store = "
    mov.b32 %r20, 9;
    st.local.b32 [%rd20], %r20;
    mov.b32 %r20, 3;
    st.local.b32 [%rd20+4], %r20;
    st.local.b64 [%rd20+8], %rd22;";
    assert_eq!(printed("[%*.*s]", store), "[      hel]");
    let store = "
    mov.b32 %r20, -9;
    st.local.b32 [%rd20], %r20;
    st.local.b64 [%rd20+8], %rd22;";
    assert_eq!(printed("[%*s]", store), "[hello    ]");
    assert_eq!(printed("[%s]", &wide(0)), "[(null)]");
    assert_eq!(printed("[%.2s]", "st.local.b64 [%rd20], %rd22;"), "[he]");
}

#[test]
fn widths_are_bounded() {
    assert_eq!(printed("%2000000000d", &int(1)).len(), 1024);
    assert_eq!(printed("%.2000000000d", &int(1)).len(), 1024);
    assert_eq!(printed("%.2000000000f", &double(1.0)).len(), 1026);
    assert_eq!(printed("%99999999999999999999999999d", &int(1)).len(), 1024);
}

#[test]
fn the_result_is_the_number_of_arguments() {
    let body = format!("{}\n    st.global.u32 [%rd1], %r10;", printing(&int(1)));
    assert_eq!(Rig::new(&strings("%d %% %d %f", ""), &body).run(1, 1, &[0], 0), [3]);
    let body = body.replace("cvta.global.u64 %rd21, %rd21;", "mov.u64 %rd21, 0;");
    assert_eq!(Rig::new(&strings("%d", ""), &body).run(1, 1, &[0], 0), [u32::MAX]);
}

#[test]
fn output_comes_block_by_block_and_within_a_block_lane_by_lane() {
    let store = "
    st.local.b32 [%rd20], %r61;
    st.local.b32 [%rd20+4], %r1;
    setp.ge.u32 %p1, %r1, 2;
    @%p1 exit;";
    let rig = Rig::new(&strings("%d.%d ", ""), &printing(store));
    let expected: String =
        (0..100).flat_map(|block| [format!("{block}.0 "), format!("{block}.1 ")]).collect();
    for threads in [1, 4] {
        let mut limits = Limits::default();
        limits.threads = Some(threads);
        let args = Args { out: 0, input: 0, n: 0 };
        let report = rig.launch_with(100, 32, args, &limits, &Default::default());
        assert_eq!(String::from_utf8(report.printed).unwrap(), expected);
        assert_eq!(report.print_dropped_bytes, 0);
        for kept in [0, 1, 7, expected.len() - 1, expected.len()] {
            limits.print_bytes = kept;
            let report = rig.launch_with(100, 32, args, &limits, &Default::default());
            assert_eq!(report.printed, expected.as_bytes()[..kept]);
            assert_eq!(report.print_dropped_bytes, (expected.len() - kept) as u64);
        }
    }
}

#[test]
fn a_string_that_is_not_there_is_a_fault() {
    let rig = Rig::new(&strings("%s", ""), &printing(&wide(0x1000)));
    let fault = fault_of(rig.launch(1, 1, Args { out: 0, input: 0, n: 0 }));
    let (access, space) = (grafos_ptx::AccessKind::Read, grafos_ptx::MemorySpace::Generic);
    assert_eq!(fault.kind, FaultKind::OutOfBounds { access, space, address: 0x1000, bytes: 1 });
    assert_eq!(fault.line, rig.line("call.uni"));
}

#[test]
fn a_failed_assertion_says_what_and_where() {
    let text = |name: &str, text: &str| {
        let bytes: Vec<String> = text.bytes().chain([0]).map(|byte| byte.to_string()).collect();
        format!(".global .align 1 .b8 {name}[{}] = {{{}}};\n", bytes.len(), bytes.join(", "))
    };
    let declarations = format!(
        ".extern .func __assertfail(.param .b64 m, .param .b64 f, .param .b32 l, .param .b64 n, .param .b64 s);\n{}{}{}",
        text("message", "x > 0"),
        text("file", "kernel.cu"),
        text("name", "void k()")
    );
    let rig = Rig::new(
        &declarations,
        "
    setp.ne.u32 %p1, %r1, 11;
    @%p1 bra FINE;
    mov.u64 %rd10, message;
    cvta.global.u64 %rd10, %rd10;
    mov.u64 %rd11, file;
    cvta.global.u64 %rd11, %rd11;
    mov.u64 %rd12, name;
    cvta.global.u64 %rd12, %rd12;
    mov.u32 %r10, 123;
    mov.u64 %rd13, 1;
    {
        .param .b64 p0;
        .param .b64 p1;
        .param .b32 p2;
        .param .b64 p3;
        .param .b64 p4;
        st.param.b64 [p0], %rd10;
        st.param.b64 [p1], %rd11;
        st.param.b32 [p2], %r10;
        st.param.b64 [p3], %rd12;
        st.param.b64 [p4], %rd13;
        call.uni __assertfail, (p0, p1, p2, p3, p4); // HERE
    }
FINE:",
    );
    let kind = FaultKind::Assert {
        message: "x > 0".to_owned(),
        file: "kernel.cu".to_owned(),
        line: 123,
        function: "void k()".to_owned(),
    };
    rig.expect_fault(32, &[0], 0, [11, 0, 0], kind);
    assert_eq!(rig.run(8, 1, &[0], 0), [0]);
}
