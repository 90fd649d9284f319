//! `grafos inspect` on durable volumes.

use std::ffi::OsStr;
use std::fs;
use std::path::PathBuf;

use grafos_collections::durable::Durable;
use grafos_std::block::BlockBuilder;
use grafos_std::host::LocalHost;
use serde_json::Value;

use crate::{grafos, said};

struct Volume {
    _home: tempfile::TempDir,
    dir: PathBuf,
}

/// A volume with three checkpoints, of which two are kept.
fn volume() -> Volume {
    let home = tempfile::tempdir().unwrap();
    let host = LocalHost::builder().home(home.path()).open().unwrap();
    let lease = BlockBuilder::new().on(&host).volume("sim-state").min_blocks(4096).acquire().unwrap();
    let mut durable = Durable::<Vec<u32>>::options().schema("sim.v1").start(vec![1; 150_000], lease);
    for step in 2..=4 {
        durable.inner_mut().fill(step);
        durable.checkpoint().unwrap();
    }
    let dir = home.path().join("volumes/sim-state");
    Volume { _home: home, dir }
}

fn inspect(volume: &Volume, json: bool) -> (String, i32) {
    let format = json.then_some(OsStr::new("--json"));
    said(&grafos([OsStr::new("inspect")].into_iter().chain(format).chain([volume.dir.as_os_str()])))
}

#[test]
fn a_good_volume_is_described_while_its_program_runs_or_not() {
    let volume = volume();
    let (text, code) = inspect(&volume, false);
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("durable volume, 2.0 MiB, 2 slots"), "{text}");
    assert!(text.contains("sim.v1") && text.contains("a restore takes slot"), "{text}");
    let (line, code) = inspect(&volume, true);
    let line: Value = serde_json::from_str(&line).unwrap();
    assert_eq!((code, &line["kind"], &line["good"]), (0, &"durable_volume".into(), &true.into()));
    let newest = &line["slots"][usize::try_from(line["restore_slot"].as_u64().unwrap()).unwrap()];
    assert_eq!((&newest["sequence"], &newest["schema"]), (&3.into(), &"sim.v1".into()));
}

#[test]
fn damage_is_found_and_named_and_the_one_before_is_what_a_restore_takes() {
    let volume = volume();
    let line: Value = serde_json::from_str(&inspect(&volume, true).0).unwrap();
    let slot = usize::try_from(line["restore_slot"].as_u64().unwrap()).unwrap();
    let block = line["slots"][slot]["payload_block"].as_u64().unwrap();
    let path = volume.dir.join("data");
    let mut bytes = fs::read(&path).unwrap();
    bytes[usize::try_from(block).unwrap() * 512 + 70_000] ^= 1;
    fs::write(&path, bytes).unwrap();
    let (text, code) = inspect(&volume, false);
    assert_eq!(code, 1, "{text}");
    assert!(text.contains("damaged: the digest of a chunk does not match: chunk=1"), "{text}");
    let line: Value = serde_json::from_str(&inspect(&volume, true).0).unwrap();
    assert_eq!((&line["good"], &line["slots"][slot]["state"]), (&false.into(), &"damaged".into()));
    assert_ne!(line["restore_slot"], slot);
}
