//! The corpus of the fuzzers, replayed: what once broke something stays mended. And some thousands of damaged copies.

use std::path::Path;

#[allow(unreachable_pub, reason = "a crate of its own there")]
#[path = "../../fuzz/src/lib.rs"]
mod fuzz;

fn corpus(name: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(name);
    let files = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let files: Vec<_> = files.map(|file| std::fs::read(file.unwrap().path()).unwrap()).collect();
    assert!(files.len() > 2, "the corpus is gone");
    files
}

/// A copy with some bytes changed, some cut out, some twice.
fn damaged(seed: &[u8], round: u32) -> Vec<u8> {
    let mut random = [0; 16];
    blake3::Hasher::new().update(seed).update(&round.to_le_bytes()).finalize_xof().fill(&mut random);
    let mut bytes = seed.to_vec();
    let place =
        |at: usize, len: usize| usize::from(u16::from_le_bytes([random[at], random[at + 1]])) % len.max(1);
    for change in 0..=usize::from(random[0] % 3) {
        let at = place(1 + change * 2, bytes.len());
        let Some(byte) = bytes.get_mut(at) else { continue };
        *byte = match random[8 + change] % 4 {
            0 => 0,
            1 => 0xff,
            2 => *byte ^ (1 << (random[9 + change] % 8)),
            _ => random[10 + change],
        };
    }
    match random[12] % 8 {
        0 => bytes.truncate(place(13, bytes.len())),
        1 => {
            let at = place(13, bytes.len());
            let piece = bytes[at..].to_vec();
            bytes.extend(piece);
        }
        _ => {}
    }
    bytes
}

#[test]
fn the_corpus_of_the_decoder_breaks_nothing() {
    for bytes in corpus("decode") {
        fuzz::decode(&bytes);
        for round in 0..600 {
            fuzz::decode(&damaged(&bytes, round));
        }
    }
}

#[test]
fn the_corpus_of_deltas_breaks_nothing() {
    for bytes in corpus("delta") {
        fuzz::delta(&bytes);
        for round in 0..600 {
            fuzz::delta(&damaged(&bytes, round));
        }
    }
}
