//! Damaged modules: whatever is done to a good one, loading ends, in a module or in a typed error.

use grafos_ptx::{LoadErrorKind, Module};
use proptest::prelude::*;

use super::seeds::SEEDS;

/// Pieces that have meaning in many places, to be put where they have none.
const PIECES: [&str; 40] = [
    "{",
    "}",
    "(",
    ")",
    "[",
    "]",
    ";",
    ",",
    ":",
    "@",
    "!",
    "|",
    "<",
    ">",
    "+",
    "-",
    "=",
    "%",
    "_",
    "\0",
    "\n",
    "/*",
    "//",
    "\"",
    "%p1",
    "%r1",
    "%rd1",
    "%tid.x",
    "out",
    "scratch",
    "18446744073709551615",
    "-1",
    "0f7FC00000",
    "1.5",
    ".b64",
    ".pred",
    ".global",
    ".shared",
    "{%r1, %r2}",
    "ret;",
];

#[derive(Clone, Copy, Debug)]
enum Damage {
    FlipBit,
    Cut,
    DeleteLine,
    DuplicateLine,
    SwapLines,
    DeleteToken,
    SwapTokens,
    InsertPiece,
    ReplaceToken,
    HugeNumber,
    RepeatRange,
}

const DAMAGES: [Damage; 11] = [
    Damage::FlipBit,
    Damage::Cut,
    Damage::DeleteLine,
    Damage::DuplicateLine,
    Damage::SwapLines,
    Damage::DeleteToken,
    Damage::SwapTokens,
    Damage::InsertPiece,
    Damage::ReplaceToken,
    Damage::HugeNumber,
    Damage::RepeatRange,
];

/// The ranges of lines, or of words and the blanks and marks between them.
fn ranges(text: &str, lines: bool) -> Vec<std::ops::Range<usize>> {
    let parts: Vec<&str> = if lines {
        text.split_inclusive('\n').collect()
    } else {
        text.split_inclusive(|c: char| !c.is_alphanumeric() && c != '%' && c != '_' && c != '$').collect()
    };
    let starts = parts.iter().scan(0, |at, part| {
        let start = *at;
        *at += part.len();
        Some(start)
    });
    starts.zip(&parts).map(|(start, part)| start..start + part.len()).collect()
}

fn damage(text: &mut Vec<u8>, kind: Damage, a: usize, b: usize) {
    if text.is_empty() {
        return;
    }
    let lossy = String::from_utf8_lossy(text).into_owned();
    let of_lines = matches!(kind, Damage::DeleteLine | Damage::DuplicateLine | Damage::SwapLines);
    let ranges = ranges(&lossy, of_lines);
    let (first, second) = (ranges[a % ranges.len()].clone(), ranges[b % ranges.len()].clone());
    let mut new = lossy.clone();
    match kind {
        Damage::FlipBit => {
            let at = a % text.len();
            text[at] ^= 1 << (b % 8);
            return;
        }
        Damage::Cut => {
            text.truncate(a % text.len());
            return;
        }
        Damage::DeleteLine | Damage::DeleteToken => new.replace_range(first, ""),
        Damage::DuplicateLine => new.insert_str(second.start, &lossy[first]),
        Damage::SwapLines | Damage::SwapTokens => {
            let (low, high) = if first.start < second.start { (first, second) } else { (second, first) };
            if low.end <= high.start {
                new.replace_range(high.clone(), &lossy[low.clone()]);
                new.replace_range(low, &lossy[high]);
            }
        }
        Damage::InsertPiece => new.insert_str(first.start, PIECES[b % PIECES.len()]),
        Damage::ReplaceToken => new.replace_range(first, PIECES[b % PIECES.len()]),
        Damage::HugeNumber => {
            let numbers: Vec<_> = ranges
                .iter()
                .filter(|r| lossy[(*r).clone()].starts_with(|c: char| c.is_ascii_digit()))
                .collect();
            if let Some(range) = numbers.get(a % numbers.len().max(1)) {
                let huge = ["4294967295", "1000000000", "9223372036854775807", "0", "65536"][b % 5];
                new.insert_str(range.start, huge);
            }
        }
        Damage::RepeatRange => {
            let (from, to) = (first.start.min(second.start), first.end.max(second.end));
            let repeated = lossy[from..to.min(from + 400)].repeat(b % 20);
            new.insert_str(from, &repeated);
        }
    }
    *text = new.into_bytes();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, ..ProptestConfig::default() })]

    #[test]
    fn damaged_modules_end_in_a_module_or_a_typed_error(
        seed in 0..SEEDS.len(),
        steps in prop::collection::vec((0..DAMAGES.len(), any::<u32>(), any::<u32>()), 1..6),
    ) {
        let mut text = SEEDS[seed].1.as_bytes().to_vec();
        for (kind, a, b) in steps {
            damage(&mut text, DAMAGES[kind], a as usize, b as usize);
        }
        let lines = 1 + text.iter().filter(|byte| **byte == b'\n').count();
        match Module::load(&text) {
            Ok(module) => {
                for kernel in module.kernels() {
                    // Whatever is accepted keeps within the limits.
                    prop_assert!(kernel.shared_bytes() <= 256 << 10);
                    prop_assert!(kernel.local_bytes() <= 513 << 10);
                }
            }
            Err(error) => {
                prop_assert!(error.line as usize <= lines, "{error}");
                prop_assert!(error.to_string().len() < 400, "{error}");
            }
        }
    }

    #[test]
    fn arbitrary_bytes_end_in_a_typed_error(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(Module::load(&bytes).is_err());
    }
}

/// A module that is cut anywhere is an error, except within what comes after its last brace.
#[test]
fn a_module_cut_at_any_byte_is_refused_there() {
    for (name, seed) in SEEDS {
        let last = seed.rfind("\n.visible .entry").expect("a kernel");
        for len in 0..seed.trim_end().len() {
            let error = match Module::load(&seed.as_bytes()[..len]) {
                Err(error) => error,
                // A cut between two functions leaves a module; one within the kernel, which comes last, does not.
                Ok(_) => {
                    assert!(len <= last + 1, "{name} cut to {len} bytes was accepted");
                    continue;
                }
            };
            let is_syntax = matches!(
                error.kind,
                LoadErrorKind::Syntax { .. }
                    | LoadErrorKind::Unsupported { .. }
                    | LoadErrorKind::UnknownName { .. }
            );
            assert!(
                is_syntax || matches!(error.kind, LoadErrorKind::UnsupportedInstruction { .. }),
                "{error}"
            );
        }
    }
}
