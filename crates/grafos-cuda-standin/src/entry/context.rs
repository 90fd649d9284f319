//! Contexts.
#![allow(non_snake_case, reason = "the driver's names")]

use std::ffi::{c_int, c_uint, c_void};

use super::{enter, give};
use crate::code::{Code, INVALID_VALUE};
use crate::driver::Driver;

/// # Safety
/// `context` is null, or a place that can be written.
unsafe fn create(driver: &Driver, context: *mut *mut c_void, device: c_int) -> Result<(), Code> {
    if context.is_null() {
        return Err(INVALID_VALUE);
    }
    let handle = driver.create_context(device)?;
    // SAFETY: as promised by the caller.
    unsafe { give(context, std::ptr::without_provenance_mut(handle)) }
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn cuCtxCreate_v2(
    context: *mut *mut c_void,
    _flags: c_uint,
    device: c_int,
) -> Code {
    // SAFETY: the caller passes a place for the handle.
    enter("cuCtxCreate_v2", |driver| unsafe { create(driver, context, device) })
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn cuCtxCreate_v4(
    context: *mut *mut c_void,
    _params: *mut c_void,
    _flags: c_uint,
    device: c_int,
) -> Code {
    // SAFETY: the caller passes a place for the handle.
    enter("cuCtxCreate_v4", |driver| unsafe { create(driver, context, device) })
}

#[unsafe(no_mangle)]
pub(crate) extern "C" fn cuCtxDestroy_v2(context: *mut c_void) -> Code {
    enter("cuCtxDestroy_v2", |driver| driver.destroy_context(context.addr()))
}

#[unsafe(no_mangle)]
pub(crate) extern "C" fn cuCtxPushCurrent_v2(context: *mut c_void) -> Code {
    enter("cuCtxPushCurrent_v2", |driver| driver.push(context.addr()))
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn cuCtxPopCurrent_v2(context: *mut *mut c_void) -> Code {
    enter("cuCtxPopCurrent_v2", |driver| {
        let popped = driver.pop()?;
        if context.is_null() {
            return Ok(());
        }
        // SAFETY: not null, so the caller passes a place for the handle.
        unsafe { give(context, std::ptr::without_provenance_mut(popped.0)) }
    })
}

#[unsafe(no_mangle)]
pub(crate) extern "C" fn cuCtxSynchronize() -> Code {
    enter("cuCtxSynchronize", |driver| {
        let context = driver.current()?;
        for stream in driver.streams_of(&context) {
            stream.wait();
        }
        context.fault.check()
    })
}
