//! The same step and the same job with `GRAFOS_GPU=cuda:0`, over a stand-in for NVIDIA's driver: that proves our side of
//! it, not the device's.

use std::env;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use cookbook_recipe_52_clean_preemptible_gpu_training::{
    TrainingStepOutcome, acquire_preemptible_training_lease,
};
use grafos_replicated::embedded::EmbeddedHome;
use grafos_replicated::{Engine, Version};
use tempfile::TempDir;

use super::child::{Child, say};
use super::step_world::{JOB, Process, input, trained};

/// A folder with the stand-in under the driver's names, for `LD_LIBRARY_PATH`.
fn driver() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for name in ["libcuda.so", "libcuda.so.1"] {
        fs::copy(built(), folder.path().join(name)).unwrap();
    }
    folder
}

/// Where cargo has put it: it builds a dependency's library in all of its crate types, beside this test binary.
fn built() -> PathBuf {
    let test = env::current_exe().unwrap();
    let beside = test.ancestors().skip(1).take(2).map(|folder| folder.join("libgrafos_cuda_standin.so"));
    let found = beside.into_iter().find(|path| path.is_file());
    found.unwrap_or_else(|| panic!("the stand-in is not beside {}", test.display()))
}

fn variables(driver: &TempDir) -> [(&'static str, String); 2] {
    let folder = driver.path().to_str().unwrap().to_owned();
    [("GRAFOS_GPU", "cuda:0".to_owned()), ("LD_LIBRARY_PATH", folder)]
}

/// The child's part: a step on the host that the environment names, twice.
pub(crate) fn play_trainer() {
    let home = env::var_os("GRAFOS_HOME").unwrap();
    let host = grafos_gpu_cuda::host_from_env().unwrap();
    let engine = Engine::from(EmbeddedHome::builder().home(home).open().unwrap());
    let mut process = Process::of(&engine);
    let lease = host.scope(|| acquire_preemptible_training_lease(1 << 20, 120)).unwrap();
    say(&lease.device_info().driver);
    let done = process.step(&lease, 42, 0).unwrap();
    let output = trained(42, &input()[..4]);
    let completed =
        TrainingStepOutcome::Completed { job_id: JOB.into(), step: 42, output, version: Version(1) };
    assert_eq!(done, completed);
    let again = process.step(&lease, 42, 1).unwrap();
    assert!(matches!(again, TrainingStepOutcome::Duplicate { version: Some(Version(1)), .. }), "{again:?}");
    let usage = host.gpu_host().usage().unwrap();
    assert_eq!((usage.sessions, usage.modules, usage.allocations, usage.launches), (0, 0, 0, 1));
    host.revoke(lease.lease_id()).unwrap();
    process.step(&lease, 43, 1).unwrap_err();
    assert_eq!(host.gpu_host().usage().unwrap().launches, 1);
    assert!(host.gpu_host().usage().unwrap().is_idle());
    say("done");
}

#[test]
fn the_step_does_on_a_cuda_driver_what_it_does_on_the_local_host() {
    let (home, driver) = (tempfile::tempdir().unwrap(), driver());
    let mut child = Child::start_with("cuda-trainer", home.path(), &variables(&driver));
    let name = child.hear();
    assert!(!name.contains("grafos-std"), "the local host, not the driver: {name}");
    assert_eq!(child.hear(), "done");
}

/// The device that a short job ran on, and the weights that it ended with.
fn device_and_weights_of_a_job(gpu: &[(&str, String)]) -> (String, String) {
    let home = tempfile::tempdir().unwrap();
    let mut program = Command::new(env!("CARGO_BIN_EXE_cookbook-recipe-52-clean-preemptible-gpu-training"));
    program.args(["train", "--json", "--steps", "6", "--interval-steps", "4", "--home"]).arg(home.path());
    program.env_remove("GRAFOS_GPU").envs(gpu.iter().map(|(name, value)| (name, value)));
    let output = program.output().unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{printed}{}", String::from_utf8_lossy(&output.stderr));
    let events: Vec<serde_json::Value> =
        printed.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let said = |event: &str, field: &str| {
        let told = events.iter().find(|told| told["event"] == event).unwrap_or_else(|| panic!("{printed}"));
        told[field].as_str().unwrap_or_else(|| panic!("{told}")).to_owned()
    };
    (said("leased", "device"), said("finished", "weights"))
}

#[test]
fn the_job_ends_on_a_cuda_driver_with_the_weights_of_the_local_host() {
    let driver = driver();
    let (device, weights) = device_and_weights_of_a_job(&variables(&driver));
    let (local, expected) = device_and_weights_of_a_job(&[]);
    assert_eq!(weights, expected);
    assert_ne!(device, local);
}
