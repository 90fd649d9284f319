//! A machine without a usable driver: every way in which it can lack one is an error with a reason, and never a panic.

use std::env;

use grafos_gpu_cuda::{CudaHost, GPU_VARIABLE, WithCuda, host_from_env};
use grafos_std::error::FabricError;
use grafos_std::gpu::{GpuError, UnavailableReason};
use grafos_std::host::Host;

use super::child;
use super::standin::Library;

/// In the child: says why there is no GPU, the same every time it is asked.
pub(crate) fn play() {
    let refused = |result: Result<CudaHost, GpuError>| match result {
        Err(GpuError::Unavailable { reason, message }) => (reason, message),
        other => panic!("{other:?}"),
    };
    let (reason, message) = refused(CudaHost::open(0));
    assert_eq!(refused(CudaHost::open(0)), (reason, message.clone()));
    assert_eq!(refused(CudaHost::builder().open()), (reason, message.clone()));
    match Host::with_cuda(0) {
        Err(FabricError::Gpu(GpuError::Unavailable { reason: again, .. })) => assert_eq!(again, reason),
        other => panic!("{other:?}"),
    }
    if env::var_os(GPU_VARIABLE).is_some() {
        match host_from_env() {
            Err(FabricError::Gpu(GpuError::Unavailable { reason: again, .. })) => assert_eq!(again, reason),
            other => panic!("{other:?}"),
        }
    }
    println!("reason={reason:?}; {message}");
}

#[track_caller]
fn check(library: &Library, variables: &[(&str, &str)], reason: UnavailableReason, words: &[&str]) {
    let said = child::run("unavailable", library, variables);
    assert!(said.contains(&format!("reason={reason:?};")), "{said}");
    for word in words {
        assert!(said.contains(word), "{word} is not in: {said}");
    }
}

/// Whether this machine has a driver of its own, which a child finds when we give it none.
fn has_driver() -> bool {
    // SAFETY: loads the library and closes it again.
    unsafe { cudarc::driver::sys::is_culib_present() }
}

#[test]
fn without_a_library_there_is_no_driver() {
    if has_driver() {
        println!("skipped: this machine has a driver");
        return;
    }
    let words = ["libcuda.so was not found", "LD_LIBRARY_PATH"];
    check(&Library::none(), &[(GPU_VARIABLE, "cuda:0")], UnavailableReason::NoDriver, &words);
    // In this very process, too.
    play();
}

#[test]
fn a_stub_library_is_no_driver() {
    let variables = [("GRAFOS_STANDIN_FAIL", "cuInit:1:34")];
    check(&Library::standin(), &variables, UnavailableReason::NoDriver, &["stub", "call=cuInit, code=34"]);
}

#[test]
fn a_driver_without_a_device_says_so() {
    let words = ["no CUDA device is there", "call=cuInit, code=100"];
    check(&Library::standin(), &[("GRAFOS_STANDIN_DEVICES", "0")], UnavailableReason::NoDevice, &words);
}

#[test]
fn a_driver_that_does_not_fit_its_kernel_module_says_so() {
    for code in ["803", "804"] {
        let fault = format!("cuInit:1:{code}");
        let words = [&*format!("code={code}")];
        check(
            &Library::standin(),
            &[("GRAFOS_STANDIN_FAIL", &fault)],
            UnavailableReason::DriverMismatch,
            &words,
        );
    }
}

#[test]
fn a_driver_that_is_too_old_says_so() {
    let variables = [("GRAFOS_STANDIN_VERSION", "10020")];
    check(
        &Library::standin(),
        &variables,
        UnavailableReason::DriverMismatch,
        &["too old", "cuda_version=10020"],
    );
}

#[test]
fn every_symbol_that_we_need_is_missed_by_its_name() {
    // One for each place in the list; all of them go through the same line of source.
    for symbol in ["cuInit", "cuMemAlloc_v2", "cuEventQuery", "cuMemHostRegister_v2"] {
        let words = [&*format!("symbol={symbol}")];
        check(&Library::without(&[symbol]), &[], UnavailableReason::DriverMismatch, &words);
    }
    let library = Library::without(&["cuCtxCreate_v2", "cuCtxCreate_v4"]);
    check(&library, &[], UnavailableReason::DriverMismatch, &["symbol=cuCtxCreate_v4"]);
}

#[test]
fn every_call_of_the_start_may_fail() {
    for (fault, reason) in [
        ("cuDriverGetVersion:1:999", UnavailableReason::DeviceBroken),
        ("cuInit:1:999", UnavailableReason::DeviceBroken),
        ("cuInit:1:46", UnavailableReason::DeviceBroken),
        ("cuInit:1:987654", UnavailableReason::DeviceBroken),
    ] {
        let code = fault.rsplit(':').next().unwrap();
        check(&Library::standin(), &[("GRAFOS_STANDIN_FAIL", fault)], reason, &[&format!("code={code}")]);
    }
}
