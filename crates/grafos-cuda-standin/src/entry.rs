//! The entry points of the driver, by topic. Each one goes through [`enter`], so that calls are counted, made to fail,
//! and never let a panic out.

use std::any::Any;
use std::ffi::CStr;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::code::{Answer, Code, INVALID_VALUE, SUCCESS, UNKNOWN, is_sticky};
use crate::driver::Driver;
use crate::inject;

mod context;
mod copy;
mod device;
mod event;
mod function;
mod memory;
mod module;
mod stream;

/// Every entry point.
pub(crate) const FUNCTIONS: &[&CStr] = &[
    c"cuInit",
    c"cuDriverGetVersion",
    c"cuDeviceGetCount",
    c"cuDeviceGet",
    c"cuDeviceGetName",
    c"cuDeviceGetUuid_v2",
    c"cuDeviceTotalMem_v2",
    c"cuDeviceGetAttribute",
    c"cuCtxCreate_v2",
    c"cuCtxCreate_v4",
    c"cuCtxDestroy_v2",
    c"cuCtxPushCurrent_v2",
    c"cuCtxPopCurrent_v2",
    c"cuCtxSynchronize",
    c"cuMemGetInfo_v2",
    c"cuMemAlloc_v2",
    c"cuMemFree_v2",
    c"cuMemHostRegister_v2",
    c"cuMemHostUnregister",
    c"cuMemsetD8Async",
    c"cuMemcpyHtoDAsync_v2",
    c"cuMemcpyDtoHAsync_v2",
    c"cuMemcpyDtoDAsync_v2",
    c"cuModuleLoadDataEx",
    c"cuModuleUnload",
    c"cuModuleGetFunction",
    c"cuFuncGetParamInfo",
    c"cuFuncGetAttribute",
    c"cuFuncSetAttribute",
    c"cuLaunchKernel",
    c"cuStreamCreate",
    c"cuStreamDestroy_v2",
    c"cuStreamQuery",
    c"cuStreamSynchronize",
    c"cuStreamWaitEvent",
    c"cuEventCreate",
    c"cuEventDestroy_v2",
    c"cuEventRecord",
    c"cuEventQuery",
    c"cuEventSynchronize",
];

/// Runs an entry point.
fn enter(function: &str, work: impl FnOnce(&Driver) -> Answer) -> Code {
    let outcome: Result<Answer, Box<dyn Any + Send>> = catch_unwind(AssertUnwindSafe(|| {
        let driver = Driver::this();
        match inject::called(function) {
            None => work(driver),
            Some(code) => {
                if is_sticky(code)
                    && let Ok(context) = driver.current_or_faulted()
                {
                    context.fault.set(code);
                }
                Err(code)
            }
        }
    }));
    match outcome {
        Ok(Ok(())) => SUCCESS,
        Ok(Err(code)) => code,
        Err(_) => {
            Driver::this().mistake(1);
            UNKNOWN
        }
    }
}

/// Hands a result to the caller.
///
/// # Safety
/// `out` is null, or a place that can be written.
unsafe fn give<T>(out: *mut T, value: T) -> Answer {
    if out.is_null() {
        return Err(INVALID_VALUE);
    }
    // SAFETY: not null, and the caller promises that it can be written.
    unsafe { out.write(value) };
    Ok(())
}
