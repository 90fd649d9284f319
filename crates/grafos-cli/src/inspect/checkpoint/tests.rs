//! Every bit of small files flipped, and every length that they can be cut to: described, and called damaged.

use grafos_kernel::checkpoint::{
    Checkpoint, CheckpointBuilder, ChunkType, Compression, DELTA_PARENT_DIGEST_KEY, DataChunk, DeltaOptions,
    WriteOptions,
};

use super::*;

/// Of version 1, what no checksum covers: the time of day.
const UNPROTECTED_IN_VERSION_1: std::ops::Range<usize> = 40..48;

fn small() -> Checkpoint {
    CheckpointBuilder::new("sim-1", "fdtd_3d")
        .created_at(1_700_000_000_000_000)
        .step(42)
        .grid_size(8, 8, 4)
        .custom("experiment", "α\u{1b}[2J")
        .control_block(vec![1; 64])
        .device_memory("pressure", (0..=255).collect())
        .chunk(DataChunk::with_id(ChunkType::Custom, vec![7; 33], 7))
        .build()
}

fn later() -> Checkpoint {
    let mut later = small();
    later.metadata.current_step = 43;
    later.chunks[1].data[5] ^= 1;
    later
}

fn options(compression: Compression) -> WriteOptions {
    WriteOptions::new().alignment(64).threads(1).compression(compression)
}

fn files() -> Vec<(&'static str, Vec<u8>)> {
    let delta = DeltaOptions::new().page_bytes(512).between(&small(), &later()).unwrap();
    vec![
        ("version 1", small().to_bytes_v1().unwrap()),
        ("version 2", small().encode(&options(Compression::None)).unwrap()),
        ("zstd", small().encode(&options(Compression::zstd())).unwrap()),
        ("delta", delta.encode(&options(Compression::None)).unwrap()),
    ]
}

fn looked_at(bytes: &[u8]) -> Result<CheckpointReport, CheckpointError> {
    report(Box::new(bytes.to_vec()), None)
}

fn text(report: &CheckpointReport) -> String {
    report.text().join("\n")
}

#[test]
fn good_files_are_good_and_their_text_can_t_command_a_terminal() {
    for (name, file) in files() {
        let report = looked_at(&file).unwrap();
        let text = text(&report);
        assert!(report.is_good(), "{name}: {text}");
        assert!(!text.contains('\u{1b}') && text.contains("experiment: α\\u{1b}[2J"), "{name}: {text}");
        assert_eq!(report.json()["state"], "good", "{name}");
        assert_eq!(report.json()["custom"]["experiment"], "α\u{1b}[2J", "{name}");
    }
}

#[test]
fn every_flipped_bit_is_described_as_damage() {
    for (name, mut file) in files() {
        for at in 0..file.len() {
            for bit in 0..8 {
                file[at] ^= 1 << bit;
                let is_unprotected = name == "version 1" && UNPROTECTED_IN_VERSION_1.contains(&at);
                let place = format!("{name}: bit {bit} of byte {at}");
                match looked_at(&file) {
                    Ok(report) => {
                        let text = text(&report);
                        assert_eq!(report.is_good(), is_unprotected, "{place}: {text}");
                        assert!(is_unprotected || text.contains("damaged"), "{place}: {text}");
                        let faults = report.json()["faults"].as_array().unwrap().len();
                        assert_eq!(faults > 0, !is_unprotected, "{place}");
                        assert!(
                            is_unprotected || text.contains("offset=") || text.contains("found="),
                            "{place}: {text}"
                        );
                    }
                    Err(CheckpointError::UnsupportedVersion { offset: 8, .. }) => {
                        assert!((8..12).contains(&at));
                    }
                    Err(error) => panic!("{place}: {error}"),
                }
                file[at] ^= 1 << bit;
            }
        }
    }
}

#[test]
fn every_length_that_a_file_is_cut_to_is_described_as_damage() {
    for (name, file) in files() {
        for len in 0..file.len() {
            let report = looked_at(&file[..len]).unwrap();
            let text = text(&report);
            assert!(!report.is_good() && text.contains("damaged:"), "{name}, {len} bytes: {text}");
            assert_eq!(report.json()["state"], "damaged");
        }
    }
}

#[test]
fn a_damaged_chunk_is_named_and_the_others_are_still_good() {
    let mut file = small().to_bytes();
    let at = CheckpointReader::open(&file).unwrap().chunks()[1].offset;
    file[usize::try_from(at).unwrap() + 3] ^= 1;
    let report = looked_at(&file).unwrap();
    let states: Vec<_> =
        report.json()["chunks"].as_array().unwrap().iter().map(|chunk| chunk["state"].clone()).collect();
    assert_eq!(states, ["good", "damaged", "good"]);
    let text = text(&report);
    assert!(
        text.contains(&format!(
            "damaged: the digest of the segment 0 of chunk 1 does not match: offset={at}"
        ))
    );
}

#[test]
fn what_lies_between_the_chunks_is_looked_at_too() {
    let mut file = small().to_bytes();
    file[100] = 1;
    let report = looked_at(&file).unwrap();
    assert!(!report.is_good());
    assert!(text(&report).contains("damaged: a field is wrong: padding, offset=100"), "{}", text(&report));
}

#[test]
fn a_delta_that_names_no_parent_is_damaged() {
    let mut delta = Checkpoint::delta_from(&small(), &later());
    delta.metadata.custom.insert(DELTA_PARENT_DIGEST_KEY.to_owned(), "\u{1b}nobody".to_owned());
    delta.chunks.remove(0);
    let report = looked_at(&delta.to_bytes()).unwrap();
    assert!(!report.is_good() && !text(&report).contains('\u{1b}'), "{}", text(&report));
}

#[test]
fn a_checkpoint_is_known_by_its_beginning_however_short_or_by_its_name() {
    let file = small().to_bytes();
    assert!(is_one(&file[..3], Path::new("state")) && is_one(&file[..16], Path::new("state")));
    assert!(is_one(b"damaged", Path::new("a.rkcp")) && is_one(b"damaged", Path::new("a.rkcp.damaged-1")));
    assert!(!is_one(b"damaged", Path::new("state")) && !is_one(b"", Path::new("state")));
}
