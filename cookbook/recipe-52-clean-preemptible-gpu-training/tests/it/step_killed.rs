//! Real processes that are killed with SIGKILL in the middle of a step, over the local host and the embedded engine: in
//! the kernel, and at every operation on the stores.

use std::env;
use std::path::Path;

use cookbook_recipe_52_clean_preemptible_gpu_training::{
    Commit, TrainingCheckpoint, TrainingStepOutcome, acquire_preemptible_training_lease, checkpoint_name,
};
use fabricbios_core::lease::FenceEpoch;
use grafos_replicated::embedded::EmbeddedHome;
use grafos_replicated::{Engine, IdempotencyOutcome, ReplicatedError, Version};
use grafos_std::FabricError;
use grafos_std::gpu::{GpuBuilder, GpuExclusivityClass, GpuSession};
use grafos_std::host::{Host, LocalGpuHost, LocalHost};

use super::child::{Child, say};
use super::mortal::{Life, mortal};
use super::step_world::{JOB, KERNELS, Process, batch, input, key, trained};

/// The host of this machine, with `print` for what kernels print, and the stores beside it.
fn open(home: &Path, print: impl Fn(&[u8]) + Send + Sync + 'static) -> (Host, Process) {
    let gpu = LocalGpuHost::builder().print_to(print);
    let host = LocalHost::builder().home(home).gpu(gpu).open().unwrap();
    let engine = Engine::from(EmbeddedHome::builder().home(home).open().unwrap());
    (host, Process::of(&engine))
}

/// The child's part: does step 1, then stops for good in the middle of step 2, when the kernel has written.
pub(crate) fn play_trainer() {
    let home = env::var_os("GRAFOS_HOME").unwrap();
    let (to_parent, lines) = std::sync::mpsc::channel::<&'static str>();
    let count = std::sync::atomic::AtomicU64::new(0);
    let (host, mut process) = open(Path::new(&home), move |_| {
        if count.fetch_add(1, std::sync::atomic::Ordering::SeqCst) == 1 {
            to_parent.send("in the middle of step 2").unwrap();
            loop {
                std::thread::park();
            }
        }
    });
    let train = move || {
        let lease = host.scope(|| acquire_preemptible_training_lease(16 << 30, 3600)).unwrap();
        process.run(&lease, KERNELS.as_bytes(), "telling_step", batch(1), 0).unwrap();
        let done = process.run(&lease, KERNELS.as_bytes(), "telling_step", batch(2), 1);
        panic!("step 2 came to an end: {done:?}");
    };
    std::thread::spawn(train);
    say(lines.recv().unwrap());
    loop {
        std::thread::park();
    }
}

#[test]
fn a_process_killed_in_the_middle_of_a_step_leaves_no_gpu_resource_and_only_committed_progress() {
    let home = tempfile::tempdir().unwrap();
    let mut child = Child::start("trainer", home.path());
    assert_eq!(child.hear(), "in the middle of step 2");
    let (host, mut process) = open(home.path(), |_| {});
    let class = GpuExclusivityClass::DeviceExclusive;
    let exclusive = || GpuBuilder::new().on(&host).min_vram(16 << 30).exclusivity(class).acquire();
    let held = exclusive().unwrap_err();
    assert!(matches!(held, FabricError::Held { .. }), "alive it holds the device: {held}");
    child.kill();

    // The device is free at once, though the dead process's lease has an hour to go, and all of its memory is zero.
    let lease = exclusive().unwrap();
    let mut session = GpuSession::new(&lease);
    let memory = session.mem_alloc(input().len() as u64).unwrap();
    assert_eq!(session.mem_read(&memory, 0, memory.len_bytes()).unwrap(), vec![0; input().len()]);
    drop((session, memory, lease));
    assert!(host.gpu_host().usage().unwrap().is_idle());

    let name = checkpoint_name(JOB);
    let saved = process.checkpoints.load::<TrainingCheckpoint>(&name).unwrap().unwrap();
    assert_eq!((saved.version, saved.value.step), (Version(1), 1), "what was committed, and no more");
    let effect = process.effects.lookup(&key(2)).unwrap().unwrap();
    assert_eq!(effect.outcome, IdempotencyOutcome::Reserved);

    // The scheduler starts the job again: nothing to do for step 1, and step 2 is done now, once.
    let lease = host.scope(|| acquire_preemptible_training_lease(16 << 30, 120)).unwrap();
    let run = |process: &mut Process, step, expected| {
        process.run(&lease, KERNELS.as_bytes(), "telling_step", batch(step), expected)
    };
    let error = run(&mut process, 2, 1).unwrap_err().to_string();
    let in_progress = ReplicatedError::InProgress { key: key(2), epoch: FenceEpoch(1) }.to_string();
    assert_eq!(error, in_progress, "without taking over, the dead one may be alive");
    process.take_over();
    let again = run(&mut process, 1, 0).unwrap();
    assert!(matches!(again, TrainingStepOutcome::Duplicate { version: Some(Version(1)), .. }), "{again:?}");
    let done = run(&mut process, 2, 1).unwrap();
    let output: Vec<u8> = input()[..4].iter().map(|byte| byte + 1).collect();
    let completed =
        TrainingStepOutcome::Completed { job_id: JOB.into(), step: 2, output, version: Version(2) };
    assert_eq!(done, completed);
    assert_eq!(host.gpu_host().usage().unwrap().launches, 1, "step 1 was not launched again");
}

/// The child's part: does step 42 and lives on, unless it is killed before the operation that it was told.
pub(crate) fn play_mortal_trainer() {
    let variable = |name| env::var(name).unwrap();
    let home = variable("GRAFOS_HOME");
    let host = LocalHost::builder().home(&home).open().unwrap();
    let engine = Engine::from(EmbeddedHome::builder().home(&home).open().unwrap());
    let life = Life::really_until(variable(DIES_AT).parse().unwrap());
    let commit = if variable(COMMIT) == "one" { Commit::AsOne } else { Commit::InTwoSteps };
    let mut process = Process::of(&mortal(&engine, &life)).committing(commit);
    let lease = host.scope(|| acquire_preemptible_training_lease(1 << 20, 3600)).unwrap();
    process.step(&lease, 42, 0).unwrap();
    say("alive");
}

const DIES_AT: &str = "GRAFOS_TEST_DIES_AT";
const COMMIT: &str = "GRAFOS_TEST_COMMIT";

/// What the next process finds, and makes of it. Whether the state had been published.
fn finish_for_the_dead(home: &Path, commit: Commit, context: &str) -> bool {
    let (host, mut process) = open(home, |_| {});
    let saved = process.checkpoints.current_version(&checkpoint_name(JOB)).unwrap();
    process.take_over();
    let lease = host.scope(|| acquire_preemptible_training_lease(16 << 30, 120)).unwrap();
    let outcome = process.committing(commit).step(&lease, 42, saved.0).unwrap();
    let is_duplicate = matches!(outcome, TrainingStepOutcome::Duplicate { version: Some(Version(1)), .. });
    assert_eq!(is_duplicate, saved == Version(1), "{context}: {outcome:?}");
    let (_, mut after) = open(home, |_| {});
    let loaded = after.checkpoints.load::<TrainingCheckpoint>(&checkpoint_name(JOB)).unwrap().unwrap();
    let state = TrainingCheckpoint { job_id: JOB.into(), step: 42, output: trained(42, &input()[..4]) };
    assert_eq!((loaded.version, loaded.value), (Version(1), state), "{context}");
    let effect = after.effects.lookup(&key(42)).unwrap().unwrap();
    assert!(matches!(effect.outcome, IdempotencyOutcome::Completed { .. }), "{context}");
    is_duplicate
}

/// Kills a process before each operation in turn. How many rounds found the state unpublished, and how many published.
fn kill_before_each_operation(commit: Commit, name: &str) -> (u32, u32) {
    let (mut unpublished, mut published) = (0, 0);
    for dies_at in 0.. {
        let home = tempfile::tempdir().unwrap();
        let variables = [(DIES_AT, dies_at.to_string()), (COMMIT, name.to_owned())];
        let has_survived = Child::start_with("mortal-trainer", home.path(), &variables).survives();
        let context = format!("{commit:?}, killed before operation {dies_at}");
        match finish_for_the_dead(home.path(), commit, &context) {
            true => published += 1,
            false => unpublished += 1,
        }
        if has_survived {
            break;
        }
    }
    (unpublished, published)
}

#[test]
fn a_process_killed_before_any_operation_of_one_commit_is_followed_by_one_that_ends_the_step() {
    let (unpublished, published) = kill_before_each_operation(Commit::AsOne, "one");
    assert!(unpublished > 5, "{unpublished}");
    assert_eq!(published, 1, "only in the round that nobody was killed in");
}

#[test]
fn a_process_killed_before_any_operation_of_two_commits_is_followed_by_one_that_ends_the_step() {
    let (unpublished, published) = kill_before_each_operation(Commit::InTwoSteps, "two");
    assert!(unpublished > 5, "{unpublished}");
    assert!(published > 1, "killed between the commits: {published}");
}
