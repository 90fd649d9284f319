//! Whichever kernels are stopped, the walkers end where nobody's revocation would have sent them.

use std::sync::Arc;

use cookbook_recipe_55_intra_kernel_revocation::{Ending, FIRST_STATE, RecipeError, Walk, run};
use grafos_replicated::memory::{MemoryMetadataStore, MemoryReplica};
use grafos_replicated::{Engine, PayloadReplica, ReplicaLocator, ReplicaSource, StoreError, Version};
use grafos_std::host::{Host, LocalHost};
use tempfile::TempDir;

const WALK: Walk = Walk { slices: 5, rounds: 40 };

#[derive(Debug)]
struct Source(MemoryReplica);

impl ReplicaSource for Source {
    fn open(&self, _: &ReplicaLocator) -> Result<Arc<dyn PayloadReplica>, StoreError> {
        Ok(Arc::new(self.0.clone()))
    }
}

struct World {
    host: Host,
    engine: Engine,
    _home: TempDir,
}

impl World {
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let host = LocalHost::builder().home(home.path()).open().unwrap();
        let registers = Arc::new(MemoryMetadataStore::new());
        let engine = Engine::new(registers, Arc::new(Source(MemoryReplica::new())));
        Self { host, engine, _home: home }
    }

    fn run(&self, walk: Walk, revoked: &[u64]) -> Result<Ending, RecipeError> {
        run(&self.host, &self.engine, walk, revoked, &mut std::io::sink())
    }
}

/// Where the walkers stand after so many rounds.
fn walked(rounds: u64) -> Vec<u8> {
    let walk = |word: &[u8]| {
        let first = u32::from_le_bytes(word.try_into().unwrap());
        let last = (0..rounds).fold(first, |x, _| x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223));
        last.to_le_bytes()
    };
    FIRST_STATE.chunks_exact(4).flat_map(walk).collect()
}

#[test]
fn whichever_kernels_are_stopped_the_end_is_the_same() {
    let expected = walked(WALK.slices * 2 * u64::from(WALK.rounds));
    for subset in 0..1_u32 << WALK.slices {
        let revoked: Vec<u64> = (1..=WALK.slices).filter(|slice| subset >> (slice - 1) & 1 == 1).collect();
        let world = World::new();
        let ending = world.run(WALK, &revoked).unwrap();
        assert_eq!(ending.state, expected, "{revoked:?}");
        assert_eq!(ending.version, Version(WALK.slices), "{revoked:?}");
        let stopped = revoked.len() as u64;
        assert_eq!((ending.stopped, ending.launches), (stopped, WALK.slices + stopped), "{revoked:?}");
        assert!(world.host.gpu_host().usage().unwrap().is_idle(), "{revoked:?}");
    }
}

#[test]
fn a_kernel_that_is_stopped_again_and_again_costs_itself_and_nothing_more() {
    let ending = World::new().run(WALK, &[3, 3, 3, 3]).unwrap();
    assert_eq!((ending.stopped, ending.launches), (4, WALK.slices + 4));
    assert_eq!(ending.state, walked(WALK.slices * 2 * u64::from(WALK.rounds)));
}

#[test]
fn work_without_slices_loses_everything_and_is_done_again_from_the_start() {
    let whole = Walk { slices: 1, rounds: WALK.rounds * 5 };
    let world = World::new();
    let ending = world.run(whole, &[1]).unwrap();
    assert_eq!((ending.launches, ending.version), (2, Version(1)));
    assert_eq!(ending.state, walked(2 * u64::from(whole.rounds)));
}

#[test]
fn another_call_goes_on_where_the_last_one_ended() {
    let world = World::new();
    world.run(Walk { slices: 2, ..WALK }, &[]).unwrap();
    let ending = world.run(WALK, &[4]).unwrap();
    assert_eq!((ending.launches, ending.version), (4, Version(5)), "slices 3, 4, 4 and 5");
    assert_eq!(ending.state, walked(WALK.slices * 2 * u64::from(WALK.rounds)));
    let done = world.run(WALK, &[1]).unwrap();
    assert_eq!(done, Ending { launches: 0, stopped: 0, ..ending });
}
