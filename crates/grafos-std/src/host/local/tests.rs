//! The local host as a whole, on real files.

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use fabricbios_core::clock::{Clock, ManualClock};
use tempfile::TempDir;

use super::lease_file::LeaseFile;
use super::{IoMode, LocalBlockHost, LocalHost, LocalMemHost};
use crate::block::BLOCK_SIZE;
use crate::error::{FabricError, Result};
use crate::host::testing::{TestedBlockHost, TestedMemHost, block_host_suite, mem_host_suite};
use crate::host::{BlockGrant, BlockHost, BlockRequest, VolumeName};

mod creation;
mod damage;
mod leases;
mod listing;
mod processes;
mod strangers;

const HOUR_SECS: u64 = 3600;

/// Says that a test is not run, where the test runner does not swallow it; or fails, if `required` is set.
pub(super) fn skip_aloud(what: &str, required: &str) {
    assert!(std::env::var_os(required).is_none(), "{required} is set, and {what}");
    let _ = writeln!(std::io::stderr(), "skipped: {what}");
}

/// A home of its own, and a clock to turn.
struct Fixture {
    dir: TempDir,
    clock: Arc<ManualClock>,
}

impl Fixture {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap(), clock: Arc::new(ManualClock::default()) }
    }

    /// A host as another process would open it.
    fn host(&self) -> LocalBlockHost {
        self.host_with(IoMode::Auto)
    }

    fn host_with(&self, mode: IoMode) -> LocalBlockHost {
        let clock: Arc<dyn Clock> = self.clock.clone();
        LocalHost::builder().home(self.dir.path()).clock(clock).io_mode(mode).open_block_host().unwrap()
    }

    fn acquire(&self, volume: &str, min_blocks: u64) -> Result<BlockGrant> {
        self.host().acquire(&request(volume, min_blocks))
    }

    fn volume_path(&self, volume: &str) -> PathBuf {
        self.dir.path().join("volumes").join(volume)
    }

    fn path(&self, volume: &str, file: &str) -> PathBuf {
        self.volume_path(volume).join(file)
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.dir.path().join("volumes")).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    /// The lease file, behind the back of everybody.
    fn lease_file(&self, volume: &str) -> LeaseFile {
        let path = self.path(volume, "lease");
        LeaseFile::new(fs::File::options().read(true).write(true).open(&path).unwrap(), path)
    }

    fn pass(&self, secs: u64) {
        self.clock.advance(Duration::from_secs(secs));
    }
}

fn name(volume: &str) -> VolumeName {
    VolumeName::new(volume).unwrap()
}

fn request(volume: &str, min_blocks: u64) -> BlockRequest {
    BlockRequest { volume: Some(name(volume)), min_blocks, lease_secs: HOUR_SECS }
}

/// What each block of a volume is filled with.
fn fills(grant: &BlockGrant) -> Vec<u8> {
    let mut all = vec![0xee; usize::try_from(grant.blocks.num_blocks()).unwrap() * BLOCK_SIZE];
    grant.blocks.read(0, &mut all).unwrap();
    all.chunks(BLOCK_SIZE)
        .map(|block| {
            assert!(block.iter().all(|byte| *byte == block[0]), "a block is mixed");
            block[0]
        })
        .collect()
}

#[test]
fn the_block_host_keeps_the_contract_in_both_modes() {
    for mode in [IoMode::Auto, IoMode::Buffered] {
        block_host_suite(|| {
            let fixture = Fixture::new();
            let clock = Arc::clone(&fixture.clock);
            let host = Arc::new(fixture.host_with(mode));
            let reopen = move || Arc::new(fixture.host_with(mode)) as Arc<dyn BlockHost>;
            TestedBlockHost { host, clock, reopen: Box::new(reopen) }
        });
    }
}

#[test]
fn the_memory_host_keeps_the_contract() {
    mem_host_suite(|| TestedMemHost {
        host: Arc::new(LocalMemHost::with_limit_bytes(1 << 20)),
        clock: Arc::new(ManualClock::default()),
        capacity_bytes: 1 << 20,
    });
}

#[test]
fn a_host_is_built_with_all_that_was_asked_for() {
    let fixture = Fixture::new();
    let clock: Arc<dyn Clock> = fixture.clock.clone();
    let builder = LocalHost::builder().home(fixture.dir.path().join("home")).clock(clock);
    let host = builder.io_mode(IoMode::Buffered).mem_limit_bytes(100).open().unwrap();
    assert_eq!(host.clock().now(), fixture.clock.now());
    let lease = crate::block::BlockBuilder::new().on(&host).volume("v").acquire().unwrap();
    lease.block().write_block(0, &[1; BLOCK_SIZE]).unwrap();
    assert!(fixture.dir.path().join("home/volumes/v/data").is_file());
    let error = crate::mem::MemBuilder::new().on(&host).min_bytes(101).acquire().unwrap_err();
    assert!(matches!(error, FabricError::CapacityExceeded { available: 100, .. }), "{error}");
}
