//! Which forms there are: the list that the tests against the oracle go through, `tests/it/ops/forms.txt`, is what
//! [`select`] accepts, no more and no less.

use std::collections::BTreeSet;

use super::select;

/// Modifiers of which at most one stands at a place of a form.
type Place = &'static [&'static str];

const ROUNDING: Place = &["rn", "rz", "rm", "rp"];
const RELATION: Place = &[
    "eq", "ne", "lt", "le", "gt", "ge", "lo", "ls", "hi", "hs", "equ", "neu", "ltu", "leu", "gtu", "geu",
    "num", "nan",
];
const CLASS: Place = &["finite", "infinite", "number", "notanumber", "normal", "subnormal"];
const TYPE: Place = &[
    "b8", "b16", "b32", "b64", "u8", "u16", "u32", "u64", "s8", "s16", "s32", "s64", "f16", "f16x2", "bf16",
    "bf16x2", "f32", "f64", "u16x2", "s16x2", "tf32", "u2", "s2", "u4", "s4", "pred",
];
const PART: Place = &["lo", "hi", "wide"];
const FTZ: Place = &["ftz"];
const SAT: Place = &["sat"];
const CC: Place = &["cc"];
const RELU: Place = &["relu"];
const CVT_ROUNDING: Place = &["rn", "rz", "rm", "rp", "rni", "rzi", "rmi", "rpi", "rna"];

/// Every opcode with the modifiers that it may have at each place, in the order of the language.
const GRAMMAR: &[(&str, &[Place])] = &[
    ("add", &[ROUNDING, CC, FTZ, SAT, TYPE]),
    ("sub", &[ROUNDING, CC, FTZ, SAT, TYPE]),
    ("mul", &[ROUNDING, PART, FTZ, SAT, TYPE]),
    ("mad", &[ROUNDING, PART, CC, FTZ, SAT, TYPE]),
    ("fma", &[ROUNDING, FTZ, SAT, RELU, TYPE]),
    ("div", &[&["rn", "rz", "rm", "rp", "full", "approx"], FTZ, TYPE]),
    ("abs", &[FTZ, TYPE]),
    ("neg", &[FTZ, TYPE]),
    ("min", &[FTZ, &["NaN"], &["xorsign.abs"], RELU, TYPE]),
    ("max", &[FTZ, &["NaN"], &["xorsign.abs"], RELU, TYPE]),
    ("rem", &[TYPE]),
    ("sad", &[TYPE]),
    ("mul24", &[PART, TYPE]),
    ("mad24", &[PART, SAT, TYPE]),
    ("dp4a", &[TYPE, TYPE]),
    ("dp2a", &[PART, TYPE, TYPE]),
    ("addc", &[CC, TYPE]),
    ("subc", &[CC, TYPE]),
    ("madc", &[PART, CC, TYPE]),
    ("and", &[TYPE]),
    ("or", &[TYPE]),
    ("xor", &[TYPE]),
    ("not", &[TYPE]),
    ("cnot", &[TYPE]),
    ("shl", &[TYPE]),
    ("shr", &[TYPE]),
    ("popc", &[TYPE]),
    ("clz", &[TYPE]),
    ("brev", &[TYPE]),
    ("bfind", &[&["shiftamt"], TYPE]),
    ("bfe", &[TYPE]),
    ("bfi", &[TYPE]),
    ("bmsk", &[&["clamp", "wrap"], TYPE]),
    ("szext", &[&["clamp", "wrap"], TYPE]),
    ("fns", &[TYPE]),
    ("shf", &[&["l", "r"], &["clamp", "wrap"], TYPE]),
    ("prmt", &[TYPE, &["f4e", "b4e", "rc8", "ecl", "ecr", "rc16"]]),
    ("lop3", &[&["and", "or"], TYPE]),
    ("setp", &[RELATION, FTZ, TYPE]),
    ("set", &[RELATION, FTZ, TYPE, TYPE]),
    ("slct", &[FTZ, TYPE, TYPE]),
    ("testp", &[CLASS, TYPE]),
    ("copysign", &[TYPE]),
    ("sqrt", &[&["rn", "rz", "rm", "rp", "approx"], FTZ, TYPE]),
    ("rcp", &[&["rn", "rz", "rm", "rp", "approx"], FTZ, TYPE]),
    ("rsqrt", &[&["approx"], FTZ, TYPE]),
    ("sin", &[&["approx"], FTZ, TYPE]),
    ("cos", &[&["approx"], FTZ, TYPE]),
    ("lg2", &[&["approx"], FTZ, TYPE]),
    ("ex2", &[&["approx"], FTZ, TYPE]),
    ("tanh", &[&["approx"], FTZ, TYPE]),
    ("cvt", &[CVT_ROUNDING, FTZ, SAT, RELU, &["satfinite"], TYPE, TYPE]),
    ("cvt", &[&["pack"], SAT, TYPE, TYPE, TYPE]),
];

fn is_accepted(form: &str) -> bool {
    let mut words = form.split('.');
    let opcode = words.next().unwrap();
    select(opcode, &words.collect::<Vec<_>>()).is_ok()
}

/// All forms of an opcode that the grammar can make, accepted or not.
fn forms(opcode: &str, places: &[Place]) -> Vec<String> {
    let mut forms = vec![opcode.to_owned()];
    for place in places {
        let longer = forms.iter().flat_map(|form| place.iter().map(move |word| format!("{form}.{word}")));
        let longer: Vec<_> = longer.collect();
        forms.extend(longer);
    }
    forms
}

fn listed() -> BTreeSet<String> {
    include_str!("../../tests/it/ops/forms.txt").lines().map(str::to_owned).collect()
}

#[test]
fn every_form_that_is_accepted_is_listed_for_the_oracle() {
    let accepted: BTreeSet<_> = GRAMMAR
        .iter()
        .flat_map(|(opcode, places)| forms(opcode, places))
        .filter(|form| is_accepted(form))
        .collect();
    let listed = listed();
    let missing: Vec<_> = accepted.difference(&listed).map(String::as_str).collect();
    let gone: Vec<_> = listed.difference(&accepted).map(String::as_str).collect();
    assert!(
        missing.is_empty() && gone.is_empty(),
        "missing:\n{}\ngone:\n{}\n",
        missing.join("\n"),
        gone.join("\n")
    );
}

/// The words of a form in an order in which two forms that mean the same are equal: types keep theirs.
fn canonical(form: &str) -> (Vec<&str>, Vec<&str>) {
    let (types, mut others): (Vec<_>, Vec<_>) = form.split('.').partition(|word| TYPE.contains(word));
    others.sort_unstable();
    (types, others)
}

#[test]
fn no_modifier_can_be_added_that_the_language_does_not_have_there() {
    let listed = listed();
    let known: BTreeSet<_> = listed.iter().map(|form| canonical(form)).collect();
    let words: BTreeSet<&str> = GRAMMAR
        .iter()
        .flat_map(|(_, places)| places.iter().copied().flatten().copied())
        .flat_map(|words| words.split('.'))
        .chain(["oob", "noftz", "e4m3x2", "f32x2", "x", "", "rs"])
        .collect();
    for form in &listed {
        for word in &words {
            let longer = format!("{form}.{word}");
            if is_accepted(&longer) {
                assert!(known.contains(&canonical(&longer)), "accepted, but not in the list: {longer}");
            }
        }
    }
}

#[test]
fn opcodes_of_other_machines_are_refused() {
    for form in
        ["vadd.s32.s32.s32", "mma.sync", "add", "", "add.", ".f32", "cvt", "setp.lt", "fma.rn.f32.f32"]
    {
        assert!(!is_accepted(form), "{form}");
    }
}
