//! Streams.
#![allow(non_snake_case, reason = "the driver's names")]

use std::ffi::{c_uint, c_void};
use std::sync::Arc;

use super::{enter, give};
use crate::code::{Code, INVALID_HANDLE, INVALID_VALUE, NOT_READY};
use crate::stream::{Stream, Task};

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn cuStreamCreate(stream: *mut *mut c_void, _flags: c_uint) -> Code {
    enter("cuStreamCreate", |driver| {
        let context = driver.current()?;
        if stream.is_null() {
            return Err(INVALID_VALUE);
        }
        let mut handles = driver.handles();
        let handle = handles.next();
        handles.streams.insert(handle, Arc::new(Stream::new(context.id, Arc::clone(&context.fault))));
        drop(handles);
        // SAFETY: not null, so the caller passes a place for the handle.
        unsafe { give(stream, std::ptr::without_provenance_mut(handle)) }
    })
}

/// Returns at once; work that was submitted goes on.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn cuStreamDestroy_v2(stream: *mut c_void) -> Code {
    enter("cuStreamDestroy_v2", |driver| {
        let context = driver.current()?;
        let found = driver.stream(&context, stream.addr())?;
        if !found.is_idle() {
            // Nothing of ours relies on a stream that ends by itself.
            driver.mistake(1);
            found.wait();
        }
        driver.handles().streams.remove(&stream.addr()).map(drop).ok_or(INVALID_HANDLE)
    })
}

#[unsafe(no_mangle)]
pub(crate) extern "C" fn cuStreamQuery(stream: *mut c_void) -> Code {
    enter("cuStreamQuery", |driver| {
        let context = driver.current()?;
        let is_idle = driver.stream(&context, stream.addr())?.is_idle();
        context.fault.check()?;
        if is_idle { Ok(()) } else { Err(NOT_READY) }
    })
}

#[unsafe(no_mangle)]
pub(crate) extern "C" fn cuStreamSynchronize(stream: *mut c_void) -> Code {
    enter("cuStreamSynchronize", |driver| {
        let context = driver.current()?;
        driver.stream(&context, stream.addr())?.wait();
        context.fault.check()
    })
}

#[unsafe(no_mangle)]
pub(crate) extern "C" fn cuStreamWaitEvent(stream: *mut c_void, event: *mut c_void, _flags: c_uint) -> Code {
    enter("cuStreamWaitEvent", |driver| {
        let context = driver.current()?;
        let event = driver.event(event.addr())?;
        let record = event.last();
        driver.stream(&context, stream.addr())?.submit(Task::Wait(event, record))
    })
}
