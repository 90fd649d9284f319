//! Events.
#![allow(non_snake_case, reason = "the driver's names")]

use std::ffi::{c_uint, c_void};
use std::sync::Arc;

use super::{enter, give};
use crate::code::{Code, INVALID_HANDLE, INVALID_VALUE, NOT_READY};
use crate::event::Event;
use crate::stream::Task;

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn cuEventCreate(event: *mut *mut c_void, _flags: c_uint) -> Code {
    enter("cuEventCreate", |driver| {
        let context = driver.current()?;
        if event.is_null() {
            return Err(INVALID_VALUE);
        }
        let mut handles = driver.handles();
        let handle = handles.next();
        handles.events.insert(handle, Arc::new(Event::new(context.id)));
        drop(handles);
        // SAFETY: not null, so the caller passes a place for the handle.
        unsafe { give(event, std::ptr::without_provenance_mut(handle)) }
    })
}

#[unsafe(no_mangle)]
pub(crate) extern "C" fn cuEventDestroy_v2(event: *mut c_void) -> Code {
    enter("cuEventDestroy_v2", |driver| {
        driver.current()?;
        driver.handles().events.remove(&event.addr()).map(drop).ok_or(INVALID_HANDLE)
    })
}

#[unsafe(no_mangle)]
pub(crate) extern "C" fn cuEventRecord(event: *mut c_void, stream: *mut c_void) -> Code {
    enter("cuEventRecord", |driver| {
        let context = driver.current()?;
        let event = driver.event(event.addr())?;
        if event.context != context.id {
            return Err(INVALID_HANDLE);
        }
        let stream = driver.stream(&context, stream.addr())?;
        let record = event.record();
        stream.submit(Task::Record(Arc::clone(&event), record)).inspect_err(|_| event.reach(record))
    })
}

#[unsafe(no_mangle)]
pub(crate) extern "C" fn cuEventQuery(event: *mut c_void) -> Code {
    enter("cuEventQuery", |driver| {
        let context = driver.current()?;
        let is_reached = driver.event(event.addr())?.is_reached();
        context.fault.check()?;
        if is_reached { Ok(()) } else { Err(NOT_READY) }
    })
}

#[unsafe(no_mangle)]
pub(crate) extern "C" fn cuEventSynchronize(event: *mut c_void) -> Code {
    enter("cuEventSynchronize", |driver| {
        let context = driver.current()?;
        let event = driver.event(event.addr())?;
        event.wait(event.last());
        context.fault.check()
    })
}
