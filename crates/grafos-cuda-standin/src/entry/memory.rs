//! Memory of the device, and pinned memory of the host.
#![allow(non_snake_case, reason = "the driver's names")]

use std::ffi::{c_uint, c_void};
use std::sync::Arc;

use super::{enter, give};
use crate::code::{Code, HOST_MEMORY_ALREADY_REGISTERED, HOST_MEMORY_NOT_REGISTERED, INVALID_VALUE};
use crate::config::Config;
use crate::module::memory_code;
use crate::pinned::Pinned;

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn cuMemGetInfo_v2(free: *mut usize, total: *mut usize) -> Code {
    enter("cuMemGetInfo_v2", |driver| {
        let context = driver.current()?;
        let all = Config::read().memory_bytes;
        let left = all.saturating_sub(driver.used_bytes(context.device));
        // SAFETY: the caller passes places for both numbers.
        unsafe {
            give(free, usize::try_from(left).map_err(|_| INVALID_VALUE)?)?;
            give(total, usize::try_from(all).map_err(|_| INVALID_VALUE)?)
        }
    })
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn cuMemAlloc_v2(address: *mut u64, bytes: usize) -> Code {
    enter("cuMemAlloc_v2", |driver| {
        let context = driver.current()?;
        if address.is_null() || bytes == 0 {
            return Err(INVALID_VALUE);
        }
        let found = driver.alloc(&context, u64::try_from(bytes).map_err(|_| INVALID_VALUE)?)?;
        // A device promises nothing of what is there.
        let rubbish = context.memory.fill(found, 0xA5, bytes.min(1 << 16) as u64);
        rubbish.map_err(|error| memory_code(&error))?;
        // SAFETY: the caller passes a place for the address.
        unsafe { give(address, found) }
    })
}

#[unsafe(no_mangle)]
pub(crate) extern "C" fn cuMemFree_v2(address: u64) -> Code {
    enter("cuMemFree_v2", |driver| {
        let context = driver.current()?;
        if address == 0 {
            return Ok(());
        }
        context.memory.free(address).map_err(|error| memory_code(&error))
    })
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn cuMemHostRegister_v2(
    address: *mut c_void,
    bytes: usize,
    _flags: c_uint,
) -> Code {
    enter("cuMemHostRegister_v2", |driver| {
        let context = driver.current()?;
        if address.is_null() || bytes == 0 {
            return Err(INVALID_VALUE);
        }
        if driver.pinned(address.addr(), 1).is_some() {
            return Err(HOST_MEMORY_ALREADY_REGISTERED);
        }
        // SAFETY: the caller passes memory that stays until it is unregistered.
        let pinned = unsafe { Pinned::new(address.cast(), bytes) };
        driver.handles().pinned.insert(address.addr(), (context.id, Arc::new(pinned)));
        Ok(())
    })
}

#[unsafe(no_mangle)]
pub(crate) extern "C" fn cuMemHostUnregister(address: *mut c_void) -> Code {
    enter("cuMemHostUnregister", |driver| {
        driver.current()?;
        let found = driver.handles().pinned.remove(&address.addr());
        let (_, pinned) = found.ok_or(HOST_MEMORY_NOT_REGISTERED)?;
        pinned.unregister();
        Ok(())
    })
}
