//! Kernels: what they take, and how they are launched.
#![allow(non_snake_case, reason = "the driver's names")]

use std::ffi::{c_int, c_uint, c_void};
use std::sync::Arc;

use super::{enter, give};
use crate::code::{Answer, Code, INVALID_HANDLE, INVALID_VALUE, LAUNCH_OUT_OF_RESOURCES};
use crate::config::Config;
use crate::context::Context;
use crate::driver::Driver;
use crate::module::{self, Function};
use crate::stream::Task;

/// Entries of the `extra` list of a launch, by their numbers in `cuda.h`.
const END: usize = 0;
const BUFFER_POINTER: usize = 1;
const BUFFER_SIZE: usize = 2;

fn find(driver: &Driver, context: &Context, handle: *mut c_void) -> Answer<Arc<Function>> {
    let function = driver.handles().functions.get(&handle.addr()).cloned().ok_or(INVALID_HANDLE)?;
    if function.context == context.id { Ok(function) } else { Err(INVALID_HANDLE) }
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn cuFuncGetParamInfo(
    function: *mut c_void,
    index: usize,
    offset: *mut usize,
    size: *mut usize,
) -> Code {
    enter("cuFuncGetParamInfo", |driver| {
        let function = find(driver, &*driver.current()?, function)?;
        let (found_offset, found_size) = *function.params().get(index).ok_or(INVALID_VALUE)?;
        // SAFETY: the caller passes places for both numbers.
        unsafe {
            give(offset, found_offset)?;
            give(size, found_size)
        }
    })
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn cuFuncGetAttribute(
    value: *mut c_int,
    attribute: c_int,
    function: *mut c_void,
) -> Code {
    enter("cuFuncGetAttribute", |driver| {
        let function = find(driver, &*driver.current()?, function)?;
        let kernel = function.code.module().kernel(&function.name).ok_or(INVALID_HANDLE)?;
        let number = |found: u64| c_int::try_from(found).unwrap_or(c_int::MAX);
        let threads = kernel.max_threads().or(kernel.required_threads());
        let found = match attribute {
            0 => threads.map_or(1024, |[x, y, z]| number(u64::from(x) * u64::from(y) * u64::from(z))),
            1 => number(u64::from(kernel.shared_bytes())),
            2 => 0,
            3 => number(u64::from(kernel.local_bytes())),
            4 => 32,
            5 | 6 => 90,
            8 => 48 << 10,
            _ => return Err(INVALID_VALUE),
        };
        // SAFETY: the caller passes a place for the value.
        unsafe { give(value, found) }
    })
}

#[unsafe(no_mangle)]
pub(crate) extern "C" fn cuFuncSetAttribute(function: *mut c_void, attribute: c_int, value: c_int) -> Code {
    enter("cuFuncSetAttribute", |driver| {
        find(driver, &*driver.current()?, function)?;
        if attribute == 8 && (0..=64 << 10).contains(&value) { Ok(()) } else { Err(INVALID_VALUE) }
    })
}

/// # Safety
/// `extra` is a list as the interface describes it, and the buffer in it is as long as the list says.
unsafe fn buffer(extra: *mut *mut c_void) -> Answer<Vec<u8>> {
    let (mut place, mut len) = (std::ptr::null::<u8>(), 0);
    let mut entry = extra;
    loop {
        // SAFETY: the list ends with `END`, and we have not come to it yet.
        let (key, value) = unsafe { (entry.read().addr(), entry.add(1)) };
        match key {
            END => break,
            // SAFETY: a key that is not the end has a value.
            BUFFER_POINTER => place = unsafe { value.read() }.cast(),
            // SAFETY: as above; the value of this key points to the length.
            BUFFER_SIZE => len = unsafe { value.read().cast::<usize>().read() },
            _ => return Err(INVALID_VALUE),
        }
        // SAFETY: behind a key that is not the end, there is a value and another key.
        entry = unsafe { entry.add(2) };
    }
    if place.is_null() {
        return if len == 0 { Ok(Vec::new()) } else { Err(INVALID_VALUE) };
    }
    // SAFETY: not null, and the caller promises that the buffer is that long.
    Ok(unsafe { std::slice::from_raw_parts(place, len) }.to_vec())
}

/// # Safety
/// `pointers` has one element for each parameter, which points to as many bytes as the parameter has.
unsafe fn gathered(function: &Function, pointers: *mut *mut c_void) -> Vec<u8> {
    let mut params = vec![0; function.params_bytes()];
    for (index, (offset, size)) in function.params().into_iter().enumerate() {
        // SAFETY: as the caller promises; `params` is long enough for the last parameter.
        unsafe {
            let from = pointers.add(index).read().cast::<u8>();
            std::ptr::copy_nonoverlapping(from, params[offset..offset + size].as_mut_ptr(), size);
        }
    }
    params
}

#[unsafe(no_mangle)]
#[allow(clippy::too_many_arguments, reason = "the driver's signature")]
pub(crate) unsafe extern "C" fn cuLaunchKernel(
    function: *mut c_void,
    grid_x: c_uint,
    grid_y: c_uint,
    grid_z: c_uint,
    block_x: c_uint,
    block_y: c_uint,
    block_z: c_uint,
    shared_bytes: c_uint,
    stream: *mut c_void,
    pointers: *mut *mut c_void,
    extra: *mut *mut c_void,
) -> Code {
    let (grid, block) = ([grid_x, grid_y, grid_z], [block_x, block_y, block_z]);
    enter("cuLaunchKernel", |driver| {
        let context = driver.current()?;
        let function = find(driver, &context, function)?;
        check_shape(&function, grid, block, shared_bytes)?;
        let params = match (pointers.is_null(), extra.is_null()) {
            // SAFETY: the caller passes a list as the interface describes it.
            (true, false) => unsafe { buffer(extra)? },
            // SAFETY: the caller passes one pointer for each parameter.
            (false, true) => unsafe { gathered(&function, pointers) },
            (true, true) => Vec::new(),
            (false, false) => return Err(INVALID_VALUE),
        };
        if params.len() < function.params_bytes() {
            return Err(INVALID_VALUE);
        }
        let stream = driver.stream(&context, stream.addr())?;
        stream.submit(Task::Work(Box::new(move || {
            module::run(&function, grid, block, shared_bytes, &params[..function.params_bytes()])
        })))
    })
}

/// What a driver checks before it takes a launch.
fn check_shape(function: &Function, grid: [u32; 3], block: [u32; 3], shared_bytes: u32) -> Answer {
    let limit =
        |attribute| Config::read().device_attribute(attribute).and_then(|limit| u32::try_from(limit).ok());
    for (axis, at) in (0..3).zip(2..) {
        let (most_threads, most_blocks) = (limit(at).unwrap_or(0), limit(at + 3).unwrap_or(0));
        if !(1..=most_threads).contains(&block[axis]) || !(1..=most_blocks).contains(&grid[axis]) {
            return Err(INVALID_VALUE);
        }
    }
    let kernel = function.code.module().kernel(&function.name).ok_or(INVALID_HANDLE)?;
    let threads: u32 = block.iter().product();
    let most = kernel.max_threads().map_or(1024, |most| most.iter().product());
    if threads > most.min(1024) {
        return Err(INVALID_VALUE);
    }
    if kernel.required_threads().is_some_and(|required| required != block) {
        return Err(INVALID_VALUE);
    }
    if u64::from(kernel.shared_bytes()) + u64::from(shared_bytes) > 64 << 10 {
        return Err(LAUNCH_OUT_OF_RESOURCES);
    }
    Ok(())
}
