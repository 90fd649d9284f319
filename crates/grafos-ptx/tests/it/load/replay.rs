//! The corpus of the fuzzers, replayed: what once broke something stays mended.

use std::fs;
use std::path::Path;

#[path = "../../../fuzz/src/lib.rs"]
#[allow(unreachable_pub, reason = "a crate of its own there")]
mod targets;

#[test]
fn the_corpus_of_the_fuzzers_breaks_nothing() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/load");
    let mut count = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let bytes = fs::read(entry.unwrap().path()).unwrap();
        targets::load(&bytes);
        targets::run(&bytes);
        count += 1;
    }
    assert!(count >= super::seeds::SEEDS.len());
}
