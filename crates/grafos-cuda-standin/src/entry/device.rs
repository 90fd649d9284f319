//! Start, version, devices.
#![allow(non_snake_case, reason = "the driver's names")]

use std::ffi::{c_char, c_int, c_uint};

use super::{enter, give};
use crate::code::{Code, INVALID_VALUE, NO_DEVICE};
use crate::config::Config;

#[unsafe(no_mangle)]
pub(crate) extern "C" fn cuInit(_flags: c_uint) -> Code {
    enter("cuInit", |driver| {
        if Config::read().devices == 0 {
            return Err(NO_DEVICE);
        }
        driver.initialize();
        Ok(())
    })
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn cuDriverGetVersion(version: *mut c_int) -> Code {
    // SAFETY: the caller passes a place for the version, as the interface says.
    enter("cuDriverGetVersion", |_| unsafe { give(version, Config::read().version) })
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn cuDeviceGetCount(count: *mut c_int) -> Code {
    enter("cuDeviceGetCount", |driver| {
        driver.check_initialized()?;
        // SAFETY: the caller passes a place for the count.
        unsafe { give(count, Config::read().devices) }
    })
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn cuDeviceGet(device: *mut c_int, ordinal: c_int) -> Code {
    enter("cuDeviceGet", |driver| {
        driver.check_device(ordinal)?;
        // SAFETY: the caller passes a place for the device.
        unsafe { give(device, ordinal) }
    })
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn cuDeviceGetName(name: *mut c_char, len: c_int, device: c_int) -> Code {
    enter("cuDeviceGetName", |driver| {
        driver.check_device(device)?;
        let len = usize::try_from(len).map_err(|_| INVALID_VALUE)?;
        if name.is_null() || len == 0 {
            return Err(INVALID_VALUE);
        }
        let mut text: Vec<u8> = Config::read().name.bytes().take(len - 1).collect();
        text.push(0);
        // SAFETY: the caller passes a place of `len` bytes; `text` is no longer, and is memory of ours.
        unsafe { std::ptr::copy_nonoverlapping(text.as_ptr(), name.cast::<u8>(), text.len()) };
        Ok(())
    })
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn cuDeviceGetUuid_v2(uuid: *mut [u8; 16], device: c_int) -> Code {
    enter("cuDeviceGetUuid_v2", |driver| {
        driver.check_device(device)?;
        let number = device.to_le_bytes();
        let mut bytes = *b"grafos stand-in\0";
        bytes[15] = number[0];
        // SAFETY: the caller passes a place for 16 bytes.
        unsafe { give(uuid, bytes) }
    })
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn cuDeviceTotalMem_v2(bytes: *mut usize, device: c_int) -> Code {
    enter("cuDeviceTotalMem_v2", |driver| {
        driver.check_device(device)?;
        let total = usize::try_from(Config::read().memory_bytes).map_err(|_| INVALID_VALUE)?;
        // SAFETY: the caller passes a place for the size.
        unsafe { give(bytes, total) }
    })
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn cuDeviceGetAttribute(
    value: *mut c_int,
    attribute: c_int,
    device: c_int,
) -> Code {
    enter("cuDeviceGetAttribute", |driver| {
        driver.check_device(device)?;
        let found = Config::read().device_attribute(attribute).ok_or(INVALID_VALUE)?;
        // SAFETY: the caller passes a place for the value.
        unsafe { give(value, found) }
    })
}
