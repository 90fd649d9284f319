//! Volumes of format version 2 that were written once and are never edited: this build reads them, and writes the
//! same bytes.

use grafos_collections::durable::{Bulk, Durable};
use grafos_std::block::BlockBuilder;
use serde::{Deserialize, Serialize};
use std::path::Path;

use crate::world::{World, volume};

/// The values of the golden volumes; a change of this type would be a change of the test and not of the format.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Golden {
    iter: u64,
    label: String,
    samples: Bulk<Vec<f64>>,
}

fn value(iter: u64, samples: u32) -> Golden {
    let samples = (0..samples).map(|i| f64::from(i) / 8.0 + iter as f64).collect();
    Golden { iter, label: format!("golden {iter}"), samples: Bulk(samples) }
}

/// Checkpoints 1 and 2 of a value, with their schema tag, on a machine whose clock stands still.
fn written(world: &World, samples: u32) -> Vec<u8> {
    let mut durable = Durable::options().slots(2).schema("golden.v1").start(value(1, samples), world.lease());
    durable.checkpoint().unwrap();
    *durable = value(2, samples);
    durable.checkpoint().unwrap();
    drop(durable);
    world.image()
}

/// Writes the files of a new format version: run once with `GRAFOS_WRITE_GOLDEN=1`, then never again.
fn golden(name: &str, image: &[u8]) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/v2").join(name);
    if std::env::var_os("GRAFOS_WRITE_GOLDEN").is_some() && !path.exists() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, image).unwrap();
    }
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn check(name: &str, blocks: u64, samples: u32) {
    let world = World::new(blocks);
    let image = written(&world, samples);
    let golden = golden(name, &image);
    assert_eq!(blake3::hash(&image), blake3::hash(&golden), "this build writes {name} differently");

    world.ram.set_image(&volume(), golden).unwrap();
    let lease = BlockBuilder::new().on(&world.host).volume("v").acquire().unwrap();
    let mut durable: Durable<Golden> = Durable::options().schema("golden.v1").restore(lease).unwrap();
    assert_eq!(*durable, value(2, samples));
    assert_eq!(durable.sequence(), 2);
    durable.restore_at(1).unwrap();
    assert_eq!(*durable, value(1, samples));
}

#[test]
fn payloads_in_their_headers() {
    check("inline.bin", 16, 10);
}

#[test]
fn payloads_of_two_chunks() {
    check("two-chunks.bin", 16 + 2 * (144 + 8), 9000);
}
