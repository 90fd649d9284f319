//! `grafos inspect` on kernel checkpoints.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use grafos_kernel::checkpoint::{
    Checkpoint, CheckpointBuilder, CheckpointMetadata, CheckpointWriter, ChunkLabel, DELTA_PARENT_DIGEST_KEY,
    WriteOptions,
};
use serde_json::Value;

use crate::{grafos, said};

fn at_step(step: u8) -> Checkpoint {
    let mut field = vec![0; 100_000];
    field[usize::from(step) * 5000] = step;
    CheckpointBuilder::new("sim-1", "fdtd_3d")
        .step(u64::from(step))
        .grid_size(64, 64, 32)
        .control_block(vec![step; 256])
        .device_memory("pressure", field)
        .build()
}

/// A full checkpoint, and deltas on it.
struct Home {
    _home: tempfile::TempDir,
    dir: PathBuf,
}

impl Home {
    fn with_steps(steps: u8) -> Self {
        let home = tempfile::tempdir().unwrap();
        let dir = home.path().to_owned();
        fs::write(dir.join("step_0.rkcp"), at_step(0).to_bytes()).unwrap();
        for step in 1..=steps {
            let delta = Checkpoint::delta_from(&at_step(step - 1), &at_step(step));
            fs::write(dir.join(format!("step_{step}.rkcp")), delta.to_bytes()).unwrap();
        }
        Self { _home: home, dir }
    }

    fn path(&self, step: u8) -> PathBuf {
        self.dir.join(format!("step_{step}.rkcp"))
    }
}

fn text(path: &Path) -> (String, i32) {
    said(&grafos(["inspect".as_ref(), path.as_os_str()]))
}

fn json(path: &Path) -> (Value, i32) {
    let (line, code) = said(&grafos([OsStr::new("inspect"), "--json".as_ref(), path.as_os_str()]));
    (serde_json::from_str(&line).unwrap(), code)
}

#[test]
fn a_full_checkpoint_of_either_version_is_described() {
    let home = Home::with_steps(0);
    let old = home.dir.join("old");
    fs::write(&old, at_step(3).to_bytes_v1().unwrap()).unwrap();
    for (path, version, step, verdict) in
        [(home.path(0), 2, 0, "every byte verifies"), (old, 1, 3, "the checksum of the file fits")]
    {
        let (text, code) = text(&path);
        assert_eq!(code, 0, "{text}");
        for part in [
            &format!("kernel checkpoint, version {version}, full, 97.9 KiB of state"),
            &format!("kernel: sim-1, fdtd_3d, step {step}"),
            "grid: 64 × 64 × 32",
            "ControlBlock",
            "DeviceMemory",
            verdict,
        ] {
            assert!(text.contains(part), "{part} is not in: {text}");
        }
        let (line, code) = json(&path);
        assert_eq!((code, &line["kind"], &line["good"]), (0, &"kernel_checkpoint".into(), &true.into()));
        let read = Checkpoint::from_bytes(&fs::read(&path).unwrap()).unwrap();
        assert_eq!(line["contents"], read.content_digest());
        assert_eq!(line["chunks"][1]["bytes"], 100_000);
    }
}

#[test]
fn the_chain_of_a_delta_is_found_beside_it_and_verified() {
    let home = Home::with_steps(3);
    let (line, code) = json(&home.path(3));
    assert_eq!(code, 0, "{line}");
    let links = line["chain"]["links"].as_array().unwrap();
    let names: Vec<_> = links.iter().map(|link| link["file_name"].as_str().unwrap()).collect();
    assert_eq!(names, ["step_0.rkcp", "step_1.rkcp", "step_2.rkcp"]);
    assert_eq!((&line["chain"]["missing"], &links[2]["makes"]), (&Value::Null, &line["delta"]["parent"]));
    let (words, code) = text(&home.path(3));
    assert!(code == 0 && words.contains("step_0.rkcp  full"), "{words}");
    assert!(words.contains("0 kept, 1 changed in pages of 4.0 KiB, 1 whole, 0 deleted"), "{words}");
}

#[test]
fn damage_in_a_checkpoint_that_a_delta_builds_on_is_damage() {
    let home = Home::with_steps(2);
    let mut bytes = fs::read(home.path(0)).unwrap();
    bytes[20_000] ^= 1;
    fs::write(home.path(0), bytes).unwrap();
    let (line, code) = json(&home.path(2));
    assert_eq!((code, &line["good"], &line["state"]), (1, &false.into(), &"good".into()));
    let links = &line["chain"]["links"];
    assert_eq!((&links[0]["state"], &links[1]["state"]), (&"damaged".into(), &"good".into()));
    let (words, code) = text(&home.path(2));
    assert!(code == 1 && words.contains("damaged: the digest of the segment 0 of chunk 1"), "{words}");
}

#[test]
fn a_link_that_is_missing_is_said_with_its_digest() {
    let home = Home::with_steps(3);
    fs::remove_file(home.path(1)).unwrap();
    let (line, _) = json(&home.path(3));
    let names: Vec<_> =
        line["chain"]["links"].as_array().unwrap().iter().map(|link| link["file_name"].clone()).collect();
    assert_eq!(names, ["step_2.rkcp"]);
    assert_eq!(line["chain"]["missing"], at_step(1).content_digest());
    let (words, code) = text(&home.path(3));
    assert!(words.contains("it can't be restored from here"), "{words}");
    // What is there verifies.
    assert_eq!(code, 0);
}

#[test]
fn a_parent_of_version_1_is_found_by_its_contents_and_by_the_checksum_that_ringkernel_names() {
    let home = tempfile::tempdir().unwrap();
    let parent = Checkpoint::from_bytes(&at_step(0).to_bytes_v1().unwrap()).unwrap();
    let mut new = parent.clone();
    new.chunks[1].data[7] = 9;
    let delta = Checkpoint::delta_from(&parent, &new);
    fs::write(home.path().join("old.rkcp"), parent.to_bytes_v1().unwrap()).unwrap();
    fs::write(home.path().join("other.rkcp"), at_step(5).to_bytes_v1().unwrap()).unwrap();
    let ours = home.path().join("ours.rkcp");
    fs::write(&ours, delta.to_bytes()).unwrap();

    // As RingKernel makes one: a whole chunk, and the checksum of the parent's chunks.
    let mut hasher = crc32fast::Hasher::new();
    for chunk in &parent.chunks {
        hasher.update(&chunk.header.chunk_type.to_le_bytes());
        hasher.update(&chunk.header.chunk_id.to_le_bytes());
        hasher.update(&[0; 4]);
        hasher.update(&chunk.data);
    }
    let mut theirs = new.clone();
    theirs.chunks.remove(0);
    let named = format!("{:08x}", hasher.finalize());
    theirs.metadata.custom.insert(DELTA_PARENT_DIGEST_KEY.to_owned(), named.clone());
    assert!(Checkpoint::applied_with_delta(&parent, &theirs).is_ok());
    let path = home.path().join("theirs.rkcp");
    fs::write(&path, theirs.to_bytes_v1().unwrap()).unwrap();

    for (path, makes) in [(ours, parent.content_digest()), (path, named)] {
        let (line, code) = json(&path);
        assert_eq!((code, &line["chain"]["missing"]), (0, &Value::Null), "{line}");
        let link = &line["chain"]["links"][0];
        assert_eq!((&link["file_name"], &link["makes"]), (&"old.rkcp".into(), &makes.into()));
    }
}

#[test]
fn a_cut_file_and_a_newer_version_are_told_apart() {
    let home = Home::with_steps(0);
    let mut bytes = at_step(0).to_bytes();
    let cut = home.dir.join("cut");
    fs::write(&cut, &bytes[..70_000]).unwrap();
    bytes[8] = 3;
    let newer = home.dir.join("newer");
    fs::write(&newer, bytes).unwrap();
    let (words, code) = text(&cut);
    assert!(
        code == 1 && words.contains("its header claims: version 2") && words.contains("offset="),
        "{words}"
    );
    let (words, code) = text(&newer);
    assert!(code == 3 && words.contains("newest=2, found=3"), "{words}");
}

/// Leaves holes where zeros are.
struct Sparse(File);

impl Write for Sparse {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.iter().any(|byte| *byte != 0) {
            return self.0.write(bytes);
        }
        self.0.seek(SeekFrom::Current(i64::try_from(bytes.len()).unwrap()))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[test]
#[cfg(target_os = "linux")]
fn a_file_of_more_than_2_gib_takes_little_memory() {
    const GIB: u64 = 1 << 30;
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("large.rkcp");
    let sink = Sparse(File::create(&path).unwrap());
    let metadata = CheckpointMetadata::new("sim-1", "fdtd_3d");
    let mut writer = CheckpointWriter::new(sink, &metadata, &WriteOptions::new()).unwrap();
    let mut chunk = writer.begin_chunk(ChunkLabel::region("pressure")).unwrap();
    chunk.copy_from(&mut io::repeat(0), 2 * GIB + 12_345).unwrap();
    chunk.finish().unwrap();
    writer.finish().unwrap();
    assert!(fs::metadata(&path).unwrap().len() > 2 * GIB);

    // Address space, which is more than memory: half of the file's length in KiB.
    let script = "ulimit -v 1048576; exec \"$0\" inspect --json \"$1\"";
    let output =
        Command::new("sh").args(["-c", script, env!("CARGO_BIN_EXE_grafos")]).arg(&path).output().unwrap();
    let (line, code) = said(&output);
    assert_eq!(code, 0, "{line}");
    let line: Value = serde_json::from_str(&line).unwrap();
    assert_eq!((&line["good"], &line["state_bytes"]), (&true.into(), &(2 * GIB + 12_345).into()));
}
