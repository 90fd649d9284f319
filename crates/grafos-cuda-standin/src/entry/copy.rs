//! Copies and fills, all of them asynchronous.
#![allow(non_snake_case, reason = "the driver's names")]

use std::ffi::{c_uchar, c_void};
use std::sync::Arc;

use super::enter;
use crate::code::{Answer, Code, ILLEGAL_ADDRESS, INVALID_VALUE};
use crate::context::Context;
use crate::driver::Driver;
use crate::stream::Task;

/// An error of the call if the range is not memory of the context now.
fn check_range(context: &Context, address: u64, bytes: usize) -> Answer {
    let bytes = u64::try_from(bytes).map_err(|_| INVALID_VALUE)?;
    if bytes == 0 {
        return Ok(());
    }
    let mut probe = [0];
    let last = address.checked_add(bytes - 1).ok_or(INVALID_VALUE)?;
    context.memory.read(address, &mut probe).map_err(|_| INVALID_VALUE)?;
    context.memory.read(last, &mut probe).map_err(|_| INVALID_VALUE)
}

fn submit(
    driver: &Driver,
    context: &Context,
    stream: *mut c_void,
    work: impl FnOnce() -> Answer + Send + 'static,
) -> Answer {
    driver.stream(context, stream.addr())?.submit(Task::Work(Box::new(work)))
}

#[unsafe(no_mangle)]
pub(crate) extern "C" fn cuMemsetD8Async(to: u64, byte: c_uchar, bytes: usize, stream: *mut c_void) -> Code {
    enter("cuMemsetD8Async", |driver| {
        let context = driver.current()?;
        check_range(&context, to, bytes)?;
        let memory = context.memory.clone();
        submit(driver, &context, stream, move || {
            memory.fill(to, byte, bytes as u64).map_err(|_| ILLEGAL_ADDRESS)
        })
    })
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn cuMemcpyHtoDAsync_v2(
    to: u64,
    from: *const c_void,
    bytes: usize,
    stream: *mut c_void,
) -> Code {
    enter("cuMemcpyHtoDAsync_v2", |driver| {
        let context = driver.current()?;
        check_range(&context, to, bytes)?;
        if from.is_null() {
            return Err(INVALID_VALUE);
        }
        let memory = context.memory.clone();
        if let Some((pinned, offset)) = driver.pinned(from.addr(), bytes) {
            return submit(driver, &context, stream, move || {
                memory.write(to, &pinned.read(offset, bytes)?).map_err(|_| ILLEGAL_ADDRESS)
            });
        }
        // Pageable memory is taken before the call returns.
        // SAFETY: not null, and the caller promises `bytes` readable bytes there.
        let taken = unsafe { std::slice::from_raw_parts(from.cast::<u8>(), bytes) }.to_vec();
        submit(driver, &context, stream, move || memory.write(to, &taken).map_err(|_| ILLEGAL_ADDRESS))
    })
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn cuMemcpyDtoHAsync_v2(
    to: *mut c_void,
    from: u64,
    bytes: usize,
    stream: *mut c_void,
) -> Code {
    enter("cuMemcpyDtoHAsync_v2", |driver| {
        let context = driver.current()?;
        check_range(&context, from, bytes)?;
        if to.is_null() {
            return Err(INVALID_VALUE);
        }
        if let Some((pinned, offset)) = driver.pinned(to.addr(), bytes) {
            let memory = context.memory.clone();
            return submit(driver, &context, stream, move || {
                let mut read = vec![0; bytes];
                memory.read(from, &mut read).map_err(|_| ILLEGAL_ADDRESS)?;
                pinned.write(offset, &read)
            });
        }
        // Pageable memory is filled before the call returns.
        driver.stream(&context, stream.addr())?.wait();
        context.fault.check()?;
        let mut read = vec![0; bytes];
        context.memory.read(from, &mut read).map_err(|_| ILLEGAL_ADDRESS)?;
        // SAFETY: not null, and the caller promises `bytes` writable bytes there; `read` is memory of ours.
        unsafe { std::ptr::copy_nonoverlapping(read.as_ptr(), to.cast::<u8>(), bytes) };
        Ok(())
    })
}

#[unsafe(no_mangle)]
pub(crate) extern "C" fn cuMemcpyDtoDAsync_v2(to: u64, from: u64, bytes: usize, stream: *mut c_void) -> Code {
    enter("cuMemcpyDtoDAsync_v2", |driver| {
        let context: Arc<Context> = driver.current()?;
        check_range(&context, from, bytes)?;
        check_range(&context, to, bytes)?;
        let memory = context.memory.clone();
        submit(driver, &context, stream, move || {
            memory.copy(to, from, bytes as u64).map_err(|_| ILLEGAL_ADDRESS)
        })
    })
}
