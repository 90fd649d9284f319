//! Every computing instruction in every form, run as PTX and compared with an oracle.
//!
//! The list of forms is `ops/forms.txt`; a unit test of the crate makes sure that it is all that the machine accepts.
//! For each, a kernel of a few lines loads the operands, executes the instruction once per thread and stores what it
//! gives, over all pairs of edge values and random ones. What IEEE or the specification fixes is compared bit by bit.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::cast_possible_truncation,
    reason = "it tests; bits are cut where a type ends"
)]

mod cases;
mod form;
mod known;
mod oracle;
mod precision;

use std::fmt::Write as _;

use grafos_ptx::{DeviceMemory, Interrupt, Launch, Limits, LoadedModule, Module};

use form::Form;
use oracle::{Oracle, Want, bits_of, value};

const FORMS: &str = include_str!("ops/forms.txt");

/// Operands and results of one thread: five of 8 bytes, and from [`RESULT`] on two results.
const RECORD_BYTES: usize = 64;
const RESULT: usize = 48;
const BLOCK: usize = 128;

const INTEGER: &[&str] = &[
    "add", "sub", "mul", "mad", "div", "abs", "neg", "min", "max", "rem", "sad", "mul24", "mad24", "dp4a",
    "dp2a", "addc", "subc", "madc",
];
const BITS: &[&str] = &[
    "and", "or", "xor", "not", "cnot", "shl", "shr", "popc", "clz", "brev", "bfind", "bfe", "bfi", "bmsk",
    "szext", "fns", "shf", "prmt", "lop3",
];
const COMPARE: &[&str] = &["setp", "set", "slct", "testp"];
const FLOAT: &[&str] = &["fma", "copysign", "sqrt", "rcp", "rsqrt", "sin", "cos", "lg2", "ex2", "tanh"];
const CONVERT: &[&str] = &["cvt"];

/// The register that holds a value of a type; bytes live in registers of 32 bits.
fn register(ty: &str, index: usize) -> String {
    match bits_of(ty) {
        1 => format!("%p{index}"),
        16 => format!("%h{index}"),
        64 => format!("%d{index}"),
        _ => format!("%r{index}"),
    }
}

/// A kernel that executes the form once in each thread; `table` is an operand that must be a constant.
fn kernel(form: &Form, oracle: &Oracle, table: u64) -> String {
    let mut body = String::new();
    let mut operands = Vec::new();
    for (index, ty) in oracle.sources.iter().enumerate() {
        if ty == "table" {
            operands.push(table.to_string());
            continue;
        }
        let (register, bits, offset) = (register(ty, index + 1), bits_of(ty).max(16), 8 * index);
        let bits = if bits_of(ty) == 8 { 32 } else { bits };
        let _ = writeln!(body, "ld.global.b{bits} {register}, [%base + {offset}];");
        if ty == "carry" {
            // One becomes a carry, zero does not.
            let _ = writeln!(body, "add.cc.u32 {register}, {register}, 0xffffffff;");
        } else {
            operands.push(register);
        }
    }
    let dest = register(&oracle.dest, 0);
    let is_packed_test = form.opcode == "setp" && form.ty().ends_with("x2");
    let dests = if is_packed_test { "%p0|%p6".to_owned() } else { dest.clone() };
    let _ = writeln!(body, "{} {dests}, {};", form.text, operands.join(", "));
    if oracle.sources.iter().any(|ty| ty == "carry") {
        let _ = writeln!(body, "addc.u32 %r6, 0, 0;\nst.global.u32 [%base + 56], %r6;");
    }
    if is_packed_test {
        let _ = writeln!(body, "selp.b32 %r6, 1, 0, %p6;\nst.global.u32 [%base + 56], %r6;");
    }
    let (stored, bits) = match bits_of(&oracle.dest) {
        1 => {
            body.push_str("selp.b32 %r0, 1, 0, %p0;\n");
            ("%r0".to_owned(), 32)
        }
        8 => (dest, 32),
        bits => (dest, bits),
    };
    let _ = writeln!(body, "st.global.b{bits} [%base + {RESULT}], {stored};");
    format!(
        ".version 8.8\n.target sm_90\n.address_size 64\n.visible .entry run(.param .u64 records)\n{{\n\
         .reg .pred %p<7>;\n.reg .b16 %h<7>;\n.reg .b32 %r<7>;\n.reg .b64 %d<7>;\n\
         .reg .b32 %x, %n, %i;\n.reg .b64 %base, %offset;\n\
         ld.param.u64 %base, [records];\nmov.u32 %x, %ctaid.x;\nmov.u32 %n, %ntid.x;\nmov.u32 %i, %tid.x;\n\
         mad.lo.u32 %i, %x, %n, %i;\nmul.wide.u32 %offset, %i, {RECORD_BYTES};\nadd.u64 %base, %base, %offset;\n\
         {body}ret;\n}}\n"
    )
}

/// Runs a kernel over all operands; both results of each.
fn run(source: &str, cases: &[Vec<u64>]) -> Vec<[u64; 2]> {
    let module = Module::load(source.as_bytes()).unwrap_or_else(|error| panic!("{error}\n{source}"));
    let memory = DeviceMemory::new(64 << 20);
    let loaded = LoadedModule::new(&module, &memory).unwrap();
    let blocks = cases.len().div_ceil(BLOCK);
    let mut records = vec![0; blocks * BLOCK * RECORD_BYTES];
    for (record, case) in records.chunks_exact_mut(RECORD_BYTES).zip(cases) {
        for (place, operand) in record.chunks_exact_mut(8).zip(case) {
            place.copy_from_slice(&operand.to_le_bytes());
        }
    }
    let address = memory.alloc(records.len() as u64).unwrap();
    memory.write(address, &records).unwrap();
    let params = address.to_le_bytes();
    let launch =
        Launch { grid: [blocks as u32, 1, 1], block: [BLOCK as u32, 1, 1], shared_bytes: 0, params: &params };
    let report = loaded.launch("run", &launch, &Limits::default(), &Interrupt::new());
    report.outcome.unwrap_or_else(|error| panic!("{error}\n{source}"));
    memory.read(address, &mut records).unwrap();
    let word = |record: &[u8], at: usize| u64::from_le_bytes(record[at..at + 8].try_into().unwrap());
    records
        .chunks_exact(RECORD_BYTES)
        .take(cases.len())
        .map(|r| [word(r, RESULT), word(r, RESULT + 8)])
        .collect()
}

/// A byte is extended to its register, as its type says.
fn in_register(ty: &str, bits: u64) -> u64 {
    if bits_of(ty) == 8 { value(ty, bits) as u64 & 0xffff_ffff } else { bits }
}

fn is_right(ty: &str, got: [u64; 2], want: Want) -> bool {
    match want {
        Want::Bits(bits) => got[0] == in_register(ty, bits),
        Want::Two(first, second) => got == [in_register(ty, first), second],
        Want::Near { value, relative, absolute } => {
            let one = |ty: &str, bits| {
                (oracle::as_f64(ty, bits) - value).abs() <= absolute.max(relative * value.abs())
            };
            match ty.strip_suffix("x2") {
                Some(half) => one(half, got[0]) && one(half, got[0] >> 16),
                None => one(ty, got[0]),
            }
        }
    }
}

/// Executes a form over its operands; what is wrong, if anything.
fn check(text: &str, seed: u64) -> Result<(), String> {
    let form = Form::new(text);
    let oracle = Oracle::of(&form).ok_or_else(|| format!("{text}: nobody has written down what it does"))?;
    let mut cases = cases::operands(&oracle.sources, seed);
    let table_at = oracle.sources.iter().position(|ty| ty == "table");
    let tables = if table_at.is_some() { 0..256 } else { 0..1 };
    for table in tables {
        if let Some(at) = table_at {
            cases.iter_mut().for_each(|case| case[at] = table);
        }
        let results = run(&kernel(&form, &oracle, table), &cases);
        for (case, got) in cases.iter().zip(results) {
            let want = (oracle.want)(case);
            if !is_right(&oracle.dest, got, want) {
                return Err(format!("{text} of {case:x?}: {got:x?} instead of {want:x?}"));
            }
        }
    }
    Ok(())
}

/// Checks all forms of some opcodes, and says of each that is wrong how.
fn check_all(opcodes: &[&str], is_chosen: impl Fn(&Form) -> bool) {
    let forms = FORMS.lines().filter(|text| opcodes.contains(&Form::new(text).opcode.as_str()));
    let forms: Vec<_> = forms.filter(|text| is_chosen(&Form::new(text))).collect();
    assert!(!forms.is_empty());
    let wrong: Vec<_> =
        forms.iter().enumerate().filter_map(|(seed, text)| check(text, seed as u64).err()).collect();
    assert!(wrong.is_empty(), "{} of {} forms:\n{}", wrong.len(), forms.len(), wrong.join("\n"));
}

#[test]
fn every_form_in_the_list_is_run_by_one_of_these_tests() {
    for text in FORMS.lines() {
        let opcode = Form::new(text).opcode;
        let homes = [INTEGER, BITS, COMPARE, FLOAT, CONVERT]
            .iter()
            .filter(|family| family.contains(&opcode.as_str()));
        assert_eq!(homes.count(), 1, "{text}");
        assert!(Oracle::of(&Form::new(text)).is_some(), "{text}");
    }
}

#[test]
fn every_opcode_is_in_the_documentation() {
    let documentation = include_str!("../../../../docs/ptx.md");
    let quoted: Vec<&str> =
        documentation.split('`').skip(1).step_by(2).flat_map(|text| text.split([' ', '.'])).collect();
    for text in FORMS.lines() {
        let opcode = Form::new(text).opcode;
        assert!(quoted.contains(&opcode.as_str()), "not in docs/ptx.md: {opcode}");
    }
}

#[test]
fn integer_arithmetic_is_exact_and_cut_or_clamped() {
    check_all(INTEGER, |form| !form.is_float());
}

#[test]
fn bits_go_where_the_specification_says() {
    check_all(BITS, |_| true);
}

#[test]
fn comparisons_follow_the_truth_table() {
    check_all(COMPARE, |_| true);
}

#[test]
fn sums_products_and_extremes_of_floats_are_those_of_ieee() {
    check_all(INTEGER, Form::is_float);
}

#[test]
fn roots_reciprocals_and_fused_sums_are_rounded_once_and_the_others_are_near() {
    check_all(FLOAT, |_| true);
}

#[test]
fn conversions_between_integers_cut_or_clamp() {
    check_all(CONVERT, |form| form.types.iter().all(|ty| !ty.contains('f')));
}

#[test]
fn conversions_to_and_from_floats_round_as_they_are_told() {
    check_all(CONVERT, |form| form.types.iter().any(|ty| ty.contains('f')));
}
