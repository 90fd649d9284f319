//! The worker's loop over an engine that dies, or is cut off, at every operation on registers and replicas.

use std::sync::Arc;
use std::time::Duration;

use cookbook_recipe_52_clean_preemptible_gpu_training::audit::audit_on;
use cookbook_recipe_52_clean_preemptible_gpu_training::run::event::Event;
use cookbook_recipe_52_clean_preemptible_gpu_training::run::store::JobStore;
use cookbook_recipe_52_clean_preemptible_gpu_training::run::{
    Context, Controls, Job, Outcome, Patience, RunError, run_on,
};
use cookbook_recipe_52_clean_preemptible_gpu_training::training::TrainingPlan;
use fabricbios_core::lease::RenewalPolicy;
use grafos_replicated::memory::{MemoryMetadataStore, MemoryReplica};
use grafos_replicated::{Engine, PayloadReplica, ReplicaLocator, ReplicaSource, StoreError};

use crate::job_world::{PLAN, World, count, finished};
use crate::mortal::{Life, MortalReplica, MortalStore};

/// Registers and replicas that outlive the processes that reach them.
#[derive(Clone, Default)]
struct Cluster {
    registers: MemoryMetadataStore,
    replicas: [MemoryReplica; 3],
}

#[derive(Debug)]
struct Source([MortalReplica; 3]);

impl ReplicaSource for Source {
    fn open(&self, locator: &ReplicaLocator) -> Result<Arc<dyn PayloadReplica>, StoreError> {
        let place = ["a", "b", "c"].iter().position(|name| *name == locator.replica_id.as_str()).unwrap();
        Ok(Arc::new(self.0[place].clone()))
    }
}

impl Cluster {
    fn engine(&self, life: &Life) -> Engine {
        let replicas = self.replicas.clone().map(|replica| MortalReplica::new(replica, life));
        Engine::new(Arc::new(MortalStore::new(self.registers.clone(), life)), Arc::new(Source(replicas)))
    }

    fn run(
        &self,
        world: &World,
        job: &Job,
        life: &Life,
        tries: u32,
    ) -> (Result<Outcome, RunError>, Vec<Event>) {
        let mut told = Vec::new();
        let mut observer = |event: &Event| told.push(event.clone());
        let backoff = RenewalPolicy { max_backoff: Duration::from_millis(1), ..RenewalPolicy::default() };
        let mut context = Context {
            host: world.host(job),
            controls: Controls::default(),
            patience: Patience { max_tries: tries, backoff },
            overrun: None,
            observer: &mut observer,
        };
        let engine = self.engine(life);
        let outcome = run_on(job, &mut context, &mut |job| JobStore::open_on(engine.clone(), &job.name));
        (outcome, told)
    }
}

fn job(world: &World) -> Job {
    Job { plan: TrainingPlan { steps: 3, ..PLAN }, interval_steps: 1, ..world.job() }
}

fn undisturbed(world: &World, job: &Job) -> (String, u64) {
    let life = Life::immortal();
    let done = finished(Cluster::default().run(world, job, &life, 1).0);
    (done.weights, life.operations())
}

fn assert_sound(cluster: &Cluster, job: &Job, what: &str) {
    let store = JobStore::open_on(cluster.engine(&Life::immortal()), &job.name).unwrap();
    let audit = audit_on(&store).unwrap();
    assert_eq!((audit.violations.as_slice(), audit.step()), ([].as_slice(), 3), "{what}");
}

#[test]
fn a_worker_that_dies_at_any_operation_is_followed_by_one_that_ends_alike() {
    let world = World::new();
    let job = job(&world);
    let (weights, operations) = undisturbed(&world, &job);
    assert!(operations > 30, "{operations}");
    for at in 0..operations {
        for does_the_last in [false, true] {
            let (cluster, what) = (Cluster::default(), format!("died at {at}, done={does_the_last}"));
            let (died, _) = cluster.run(&world, &job, &Life::until(at, does_the_last), 1);
            // One replica may be gone, and nothing may be left to do.
            let (done, _) = cluster.run(&world, &job, &Life::immortal(), 1);
            assert_eq!(finished(done).weights, weights, "{what}: {died:?}");
            assert_sound(&cluster, &job, &what);
        }
    }
}

#[test]
fn a_worker_that_is_cut_off_for_a_moment_goes_on_and_does_nothing_twice() {
    let world = World::new();
    let job = job(&world);
    let (weights, operations) = undisturbed(&world, &job);
    let (mut retried, mut reserved_anew) = (0, 0);
    for at in 0..operations {
        for does_the_last in [false, true] {
            let (cluster, what) = (Cluster::default(), format!("cut off at {at}, done={does_the_last}"));
            let (done, told) = cluster.run(&world, &job, &Life::cut_off(at, at + 4, does_the_last), 8);
            assert_eq!(finished(done).weights, weights, "{what}: {told:?}");
            assert_sound(&cluster, &job, &what);
            retried += count(&told, |event| matches!(event, Event::Retrying { .. }));
            reserved_anew += count(&told, |event| matches!(event, Event::Leased { .. })) - 1;
            let committed: Vec<_> = told.iter().filter_map(Event::committed_version).collect();
            assert!(committed.is_sorted_by(|a, b| a < b), "{what}: {committed:?}");
        }
    }
    assert!(retried > 10 && reserved_anew > 0, "{retried}, {reserved_anew}");
}
