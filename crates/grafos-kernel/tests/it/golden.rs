//! Files of each version that were written once and are never edited: this build reads them, and writes the same bytes
//! where no compressor decides.

use std::path::Path;

use grafos_kernel::checkpoint::{Checkpoint, Compression, DeltaOptions, Limits};

use crate::samples::{assert_same, packed, small, small_and_later};

/// Writes the files of a new format version: run once with `GRAFOS_WRITE_GOLDEN=1`, then never again.
fn golden(name: &str, bytes: &[u8]) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    if std::env::var_os("GRAFOS_WRITE_GOLDEN").is_some() && !path.exists() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, bytes).unwrap();
    }
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn version_1() {
    let bytes = small().to_bytes_v1().unwrap();
    let golden = golden("v1/small.rkcp", &bytes);
    assert!(bytes == golden, "this build writes version 1 differently");
    let mut expected = small();
    expected.chunks[2].name = None;
    assert_same(&Checkpoint::from_bytes(&golden).unwrap(), &expected);
}

#[test]
fn version_2_not_compressed() {
    for (name, bytes) in [
        ("v2/small.rkcp", small().encode(&packed(Compression::None)).unwrap()),
        ("v2/aligned.rkcp", small().to_bytes()),
    ] {
        let golden = golden(name, &bytes);
        assert!(bytes == golden, "this build writes {name} differently");
        assert_same(&Checkpoint::from_bytes(&golden).unwrap(), &small());
    }
}

#[test]
fn version_2_compressed() {
    for (name, compression) in [("v2/lz4.rkcp", Compression::Lz4), ("v2/zstd.rkcp", Compression::zstd())] {
        let golden = golden(name, &small().encode(&packed(compression)).unwrap());
        assert_same(
            &Checkpoint::decode(&golden, &Limits { state_bytes: 0, ..Limits::default() }).unwrap(),
            &small(),
        );
    }
}

#[test]
fn a_delta_of_version_2() {
    let delta = DeltaOptions::new().page_bytes(512).between(&small(), &small_and_later()).unwrap();
    let bytes = delta.encode(&packed(Compression::None)).unwrap();
    let golden = golden("v2/delta.rkcp", &bytes);
    assert!(bytes == golden, "this build writes deltas differently");
    let read = Checkpoint::from_bytes(&golden).unwrap();
    assert_same(&Checkpoint::applied_with_delta(&small(), &read).unwrap(), &small_and_later());
}
