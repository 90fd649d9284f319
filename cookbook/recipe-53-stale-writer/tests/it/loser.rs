//! The trainer that loses: told at every point where it could do harm, and harmless at all of them.

use cookbook_recipe_53_stale_writer::{Computed, FIRST_STATE, RecipeError, STEPS, Trainer, tell};
use fabricbios_core::recovery::Recovery;
use grafos_replicated::embedded::EmbeddedHome;
use grafos_replicated::{Engine, ReplicatedError, Version};
use grafos_std::host::{Host, LocalHost};
use tempfile::TempDir;

struct World {
    host: Host,
    engine: Engine,
    _home: TempDir,
}

impl World {
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let host = LocalHost::builder().home(home.path()).open().unwrap();
        let engine = Engine::from(EmbeddedHome::builder().home(home.path()).open().unwrap());
        Self { host, engine, _home: home }
    }

    fn start(&self) -> Trainer {
        Trainer::start(&self.host, &self.engine).unwrap()
    }

    /// Another one comes, once the first has lost its lease.
    fn succeed(&self, loser: &Trainer) -> Trainer {
        self.host.revoke(loser.lease().lease_id()).unwrap();
        self.start()
    }
}

fn train(trainer: &mut Trainer, steps: u32) {
    for _ in 0..steps {
        let computed = trainer.compute().unwrap();
        trainer.publish(&computed).unwrap();
    }
}

fn assert_stale(result: Result<impl std::fmt::Debug, RecipeError>) {
    match result {
        Err(RecipeError::Replicated(error @ ReplicatedError::StaleEpoch { .. })) => {
            assert_eq!(error.recovery(), Recovery::StopWriting);
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_story_ends_as_an_undisturbed_run() {
    let world = World::new();
    let ending = tell(&world.host, &world.engine, &mut std::io::sink()).unwrap();
    let undisturbed = World::new();
    let mut alone = undisturbed.start();
    train(&mut alone, 8);
    assert_eq!(ending.state, alone.state());
    assert_ne!(ending.state, FIRST_STATE);
    assert_eq!((ending.version, ending.told), (Version(STEPS), 7));
    assert!(undisturbed.host.gpu_host().usage().unwrap().launches == STEPS);
    drop(alone);
    assert!(world.host.gpu_host().usage().unwrap().is_idle());
}

#[test]
fn a_fenced_trainer_publishes_nothing_whenever_it_was_fenced() {
    // Before it computes, between computing and publishing, and after the successor has done the same step.
    type Then = fn(&World, &mut Trainer) -> (Trainer, Option<Computed>);
    let cases: [Then; 3] = [
        |world, loser| (world.succeed(loser), None),
        |world, loser| {
            let computed = loser.compute().unwrap();
            (world.succeed(loser), Some(computed))
        },
        |world, loser| {
            let computed = loser.compute().unwrap();
            let mut winner = world.succeed(loser);
            train(&mut winner, 1);
            (winner, Some(computed))
        },
    ];
    for case in cases {
        let world = World::new();
        let mut loser = world.start();
        train(&mut loser, 2);
        let (winner, computed) = case(&world, &mut loser);
        let (version, state) = (winner.version(), winner.state().to_vec());
        match computed {
            Some(computed) => {
                assert_stale(loser.publish(&computed));
                assert_stale(loser.save(&computed, version));
                assert_stale(loser.abandon(&computed));
            }
            None => assert_stale(loser.compute()),
        }
        let mut after = world.succeed(&winner);
        assert_eq!((after.version(), after.state()), (version, &state[..]), "nothing was published");
        train(&mut after, 1);
    }
}

#[test]
fn a_lease_alone_fences_nobody() {
    // The lease is gone, and nobody has come yet: what was computed under it is right, and may be published.
    let world = World::new();
    let mut trainer = world.start();
    let computed = trainer.compute().unwrap();
    world.host.revoke(trainer.lease().lease_id()).unwrap();
    assert!(!trainer.has_lease());
    assert_eq!(trainer.publish(&computed).unwrap(), Version(1));
    let error = trainer.compute().unwrap_err();
    assert!(matches!(error, RecipeError::Fabric(_)), "{error}");
}

#[test]
fn two_trainers_of_one_epoch_and_version_do_not_both_publish() {
    let world = World::new();
    let mut trainer = world.start();
    train(&mut trainer, 1);
    let computed = trainer.compute().unwrap();
    assert_eq!(trainer.save(&computed, Version(1)).unwrap(), Version(2));
    let error = trainer.publish(&computed).unwrap_err();
    let RecipeError::Replicated(error @ ReplicatedError::VersionConflict { .. }) = error else {
        panic!("{error}");
    };
    assert_eq!(error.recovery(), Recovery::RefreshAndRetry);
}
