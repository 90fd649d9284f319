//! Symbols that no driver has: faults on demand, and what is alive. Tests find them in the loaded library by name.

use std::ffi::{CStr, c_char};

use crate::driver::Driver;
use crate::entry::FUNCTIONS;
use crate::inject;

/// Lets the nth call of `function` from now on fail with `code`. With a null `function`, forgets every fault that
/// has not happened yet.
///
/// # Safety
/// `function` is null, or points to a text that ends with a NUL.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn grafos_standin_fail(function: *const c_char, nth: u64, code: u32) {
    // SAFETY: this is what the caller promises.
    match unsafe { name(function) } {
        Some(function) => inject::fail(&function, nth, code),
        None => inject::forget(),
    }
}

/// How often `function` has been called so far.
///
/// # Safety
/// `function` points to a text that ends with a NUL.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn grafos_standin_calls(function: *const c_char) -> u64 {
    // SAFETY: this is what the caller promises.
    unsafe { name(function) }.map_or(0, |function| inject::calls(&function))
}

/// The name of entry point number `index`; null past the last.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn grafos_standin_function(index: usize) -> *const c_char {
    FUNCTIONS.get(index).map_or(std::ptr::null(), |name| name.as_ptr())
}

/// How many there are of: contexts, allocations, bytes of device memory, modules, streams, events, pieces of pinned
/// memory, mistakes (what a destroyed context without a fault took with it, pinned memory that was freed under a copy,
/// panics).
///
/// # Safety
/// `counts` is where eight numbers can be written.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn grafos_standin_live(counts: *mut [u64; 8]) {
    let driver = Driver::this();
    let handles = driver.handles();
    let count = |len: usize| u64::try_from(len).unwrap_or(u64::MAX);
    let memories = || handles.contexts.values().map(|context| &context.memory);
    let found = [
        count(handles.contexts.len()),
        memories().map(|memory| count(memory.allocations())).sum(),
        memories().map(|memory| memory.used_bytes()).sum(),
        count(handles.modules.len()),
        count(handles.streams.len()),
        count(handles.events.len()),
        count(handles.pinned.len()),
        driver.mistakes(),
    ];
    if !counts.is_null() {
        // SAFETY: the caller promises a place for eight numbers, and it is not null.
        unsafe { counts.write(found) }
    }
}

/// Writes a word to device memory behind everybody's back, in every context that has such an address: for kernels that
/// nobody can reach any more.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn grafos_standin_poke(address: u64, word: u32) {
    let contexts: Vec<_> = Driver::this().handles().contexts.values().cloned().collect();
    for context in contexts {
        // A context that has no such address is none of those that are meant.
        let _ = context.memory.write(address, &word.to_le_bytes());
    }
}

/// # Safety
/// `text` is null, or points to a text that ends with a NUL.
unsafe fn name(text: *const c_char) -> Option<String> {
    if text.is_null() {
        return None;
    }
    // SAFETY: not null, so it ends with a NUL, as the caller promises.
    Some(unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned())
}
