//! Read-modify-write operations, alone and from many threads at once.

use super::rig::{Args, Rig};
use grafos_ptx::Limits;

/// What one atomic operation does to `old`: operation and type, with its operands.
fn applied(op: &str, ty: &str, old: u64, b: u64, c: u64) -> u64 {
    let bits: u32 = ty[1..].parse().unwrap();
    let mask = u64::MAX >> (64 - bits);
    let signed = |x: u64| ((x << (64 - bits)) as i64) >> (64 - bits);
    let (old, b, c) = (old & mask, b & mask, c & mask);
    let new = match (op, &ty[..1]) {
        ("add", "f") if bits == 32 => {
            (f32::from_bits(old as u32) + f32::from_bits(b as u32)).to_bits().into()
        }
        ("add", "f") => (f64::from_bits(old) + f64::from_bits(b)).to_bits(),
        ("add", _) => old.wrapping_add(b),
        ("min", "s") => signed(old).min(signed(b)) as u64,
        ("max", "s") => signed(old).max(signed(b)) as u64,
        ("min", _) => old.min(b),
        ("max", _) => old.max(b),
        ("inc", _) => {
            if old >= b {
                0
            } else {
                old + 1
            }
        }
        ("dec", _) => {
            if old == 0 || old > b {
                b
            } else {
                old - 1
            }
        }
        ("and", _) => old & b,
        ("or", _) => old | b,
        ("xor", _) => old ^ b,
        ("exch", _) => b,
        ("cas", _) => {
            if old == b {
                c
            } else {
                old
            }
        }
        _ => panic!("{op}"),
    };
    new & mask
}

const FORMS: [(&str, &[&str]); 10] = [
    ("add", &["u32", "s32", "u64", "f32", "f64"]),
    ("min", &["u32", "s32", "u64", "s64"]),
    ("max", &["u32", "s32", "u64", "s64"]),
    ("inc", &["u32"]),
    ("dec", &["u32"]),
    ("and", &["b32", "b64"]),
    ("or", &["b32", "b64"]),
    ("xor", &["b32", "b64"]),
    ("exch", &["b32", "b64"]),
    ("cas", &["b16", "b32", "b64"]),
];

#[test]
fn each_operation_on_each_type_in_each_space_is_as_defined() {
    let floats = [1.5_f64, -2.25, 0.0, 1e30, 3.0];
    let integers = [0_u64, 1, 5, u64::MAX, 1 << 63, 0x8000_0001_7fff_ffff, 0x8000];
    for (op, types) in FORMS {
        for ty in types {
            let values: Vec<u64> = match *ty {
                "f32" => floats.iter().map(|x| (*x as f32).to_bits().into()).collect(),
                "f64" => floats.iter().map(|x| x.to_bits()).collect(),
                _ => integers.to_vec(),
            };
            for space in ["global", "shared", "local", "generic"] {
                each_case(op, ty, space, &values);
            }
        }
    }
}

/// Each lane has its own word, and one case of old value and operands.
fn each_case(op: &str, ty: &str, space: &str, values: &[u64]) {
    let cases: Vec<[u64; 3]> = values
        .iter()
        .flat_map(|a| values.iter().flat_map(move |b| [[*a, *b, 12345], [*a, *a, !*b]]))
        .collect();
    let (file, bits) = match &ty[1..] {
        "64" => ("rd", "64"),
        "16" => ("h", "16"),
        _ => ("r", "32"),
    };
    let suffix = match space {
        "generic" => "",
        "local" => "",
        "shared" => ".shared",
        _ => ".global",
    };
    let place = match space {
        "shared" => "mov.u64 %rd20, s; mad.wide.u32 %rd20, %r2, 8, %rd20;",
        // There are no atomics for local memory but through generic addresses.
        "local" => ".local .align 8 .b64 l; mov.u64 %rd20, l; cvta.local.u64 %rd20, %rd20;",
        _ => "mad.wide.u32 %rd20, %r0, 8, %rd0;",
    };
    let new = if op == "cas" { format!(", %{file}12") } else { String::new() };
    let rig = Rig::new(
        ".shared .align 8 .b8 s[256];",
        &format!(
            "
    mad.wide.u32 %rd10, %r0, 24, %rd2;
    {place}
    ld.global.b{bits} %{file}9, [%rd10];
    ld.global.b{bits} %{file}11, [%rd10+8];
    ld.global.b{bits} %{file}12, [%rd10+16];
    st{suffix}.b{bits} [%rd20], %{file}9;
    atom{suffix}.{op}.{ty} %{file}13, [%rd20], %{file}11{new};
    ld{suffix}.b{bits} %{file}14, [%rd20];
    mad.wide.u32 %rd21, %r0, 16, %rd0;
    bar.sync 0;
    st.global.b{bits} [%rd21], %{file}13;
    st.global.b{bits} [%rd21+8], %{file}14;"
        ),
    );
    for part in cases.chunks(32) {
        let input: Vec<u32> =
            part.iter().flatten().flat_map(|value| [*value as u32, (*value >> 32) as u32]).collect();
        let out = rig.run(part.len() as u32, part.len() * 4, &input, 0);
        let mask = u64::MAX >> (64 - ty[1..].parse::<u32>().unwrap());
        for ([old, b, c], words) in part.iter().zip(out.chunks(4)) {
            let got = [0, 2].map(|i| (u64::from(words[i]) | u64::from(words[i + 1]) << 32) & mask);
            assert_eq!(
                got,
                [old & mask, applied(op, ty, *old, *b, *c)],
                "{op}.{ty} {space} {old:x} {b:x} {c:x}"
            );
        }
    }
}

#[test]
fn many_blocks_on_several_cores_lose_nothing() {
    // Counts in 32 and 64 bits, a maximum, a sum of floats that is exact, a bit set, and a counter that wraps.
    let rig = Rig::new(
        "",
        "
    red.global.add.u32 [%rd0], 1;
    mov.u64 %rd10, 0x100000001;
    red.global.add.u64 [%rd0+8], %rd10;
    red.global.max.u32 [%rd0+16], %r0;
    mov.f32 %f1, 0f3F800000;
    red.global.add.f32 [%rd0+20], %f1;
    mov.f64 %fd1, 0d3FE0000000000000;
    red.global.add.f64 [%rd0+24], %fd1;
    and.b32 %r10, %r0, 31;
    mov.u32 %r11, 1;
    shl.b32 %r10, %r11, %r10;
    red.global.or.b32 [%rd0+32], %r10;
    red.global.inc.u32 [%rd0+36], 99;
    mov.b32 %r12, 0x3c003c00;
    setp.lt.u32 %p1, %r0, 1000;
    @%p1 red.global.add.noftz.f16x2 [%rd0+40], %r12;
    mov.b16 %h1, 0x3f80;
    setp.lt.u32 %p1, %r0, 100;
    @%p1 red.global.add.noftz.bf16 [%rd0+46], %h1;
    cvt.u64.u32 %rd11, %r0;
    red.global.min.s64 [%rd0+48], %rd11;
    @%p1 red.global.xor.b64 [%rd0+56], %rd11;",
    );
    for threads in [1, 2, 7] {
        let mut limits = Limits::default();
        limits.threads = Some(threads);
        let args = Args { out: rig.words(&[0; 16]), input: 0, n: 0 };
        rig.launch_with(500, 64, args, &limits, &Default::default()).outcome.unwrap();
        let out = rig.read(args.out, 16);
        let n = 32_000_u32;
        assert_eq!(out[0], n);
        assert_eq!(out[2..4], [n, n]);
        assert_eq!(out[4], n - 1);
        assert_eq!(f32::from_bits(out[5]), n as f32);
        assert_eq!(f64::from_bits(u64::from(out[6]) | u64::from(out[7]) << 32), f64::from(n) / 2.0);
        assert_eq!(out[8], u32::MAX);
        assert_eq!(out[9], n % 100);
        assert_eq!(out[10], 0x63d0_63d0, "1000 in each half");
        assert_eq!(out[11], 0x42c8_0000, "100 in the upper half");
        assert_eq!(out[12..14], [0, 0]);
        assert_eq!(out[14], (0..100).fold(0, |a, b| a ^ b));
    }
}

#[test]
fn sums_of_floats_in_global_memory_know_no_subnormals_those_in_shared_do() {
    let rig = Rig::new(
        ".shared .f32 s;",
        "
    mov.b32 %f1, 0x00000007;
    atom.global.add.f32 %f2, [%rd0], %f1;
    atom.shared.add.f32 %f2, [s], %f1;
    ld.shared.f32 %f3, [s];
    st.global.f32 [%rd0+4], %f3;",
    );
    assert_eq!(rig.run(1, 2, &[0], 0), [0, 7]);
}

#[test]
fn strong_accesses_of_64_bits_never_tear() {
    // Blocks write values whose halves are equal, and read such values back, of one word.
    for (load, store) in [
        ("ld.volatile.global.u64", "st.volatile.global.u64"),
        ("ld.relaxed.gpu.global.u64", "st.relaxed.gpu.global.u64"),
        ("ld.acquire.gpu.global.u64", "st.release.gpu.global.u64"),
        ("ld.volatile.global.u64", "atom.global.exch.b64 %rd15,"),
    ] {
        let rig = Rig::new(
            "",
            &format!(
                "
    cvt.u64.u32 %rd10, %r0;
    mul.lo.u64 %rd10, %rd10, 0x100000001;
    mov.u32 %r10, 0;
LOOP:
    {store} [%rd0], %rd10;
    {load} %rd11, [%rd0];
    cvt.u32.u64 %r11, %rd11;
    shr.u64 %rd12, %rd11, 32;
    cvt.u32.u64 %r12, %rd12;
    setp.ne.u32 %p1, %r11, %r12;
    @%p1 trap;
    add.u32 %r10, %r10, 1;
    setp.lt.u32 %p1, %r10, 200;
    @%p1 bra LOOP;"
            ),
        );
        let mut limits = Limits::default();
        limits.threads = Some(4);
        let args = Args { out: rig.words(&[0; 2]), input: 0, n: 0 };
        rig.launch_with(64, 32, args, &limits, &Default::default()).outcome.unwrap();
    }
}
