//! The same with `GRAFOS_GPU=cuda:0`, over a stand-in for NVIDIA's driver: that proves our side of it, not the device's.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::program::{ARGUMENTS, Running, expected, program, run_to_end};

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

fn on_cuda(driver: &Path, home: &Path, more: &[&str]) -> Running {
    let mut command = program();
    command
        .args(ARGUMENTS)
        .env("GRAFOS_GPU", "cuda:0")
        .env("LD_LIBRARY_PATH", driver)
        .env("GRAFOS_HOME", home);
    Running::of(&mut command, home, more)
}

#[test]
fn a_kernel_moves_from_a_cuda_device_to_the_processor_and_back() {
    let (driver, home) = (driver(), tempfile::tempdir().unwrap());
    let cut = on_cuda(driver.path(), home.path(), &["--revoke-at", "25"]).end();
    assert_eq!((cut.status.code(), cut.saved()), (Some(75), Some(21)), "{cut:?}");
    let on_processor = Running::start(home.path(), &["--revoke-at", "60"]).end();
    assert_eq!(on_processor.started(), Some((21, 2)), "{on_processor:?}");
    let done = on_cuda(driver.path(), home.path(), &[]).end();
    assert_eq!((done.started(), done.field()), (Some((56, 2)), expected()));
}

#[test]
fn a_device_that_is_not_there_is_an_error_and_no_other_is_taken() {
    let home = tempfile::tempdir().unwrap();
    let mut command = program();
    command.args(ARGUMENTS).env("GRAFOS_GPU", "abacus").env("GRAFOS_HOME", home.path());
    let failed = Running::of(&mut command, home.path(), &[]).end();
    assert_eq!(failed.status.code(), Some(1));
    assert!(failed.stderr.contains("abacus"), "{}", failed.stderr);
    assert_eq!(run_to_end(home.path()).field(), expected());
}
