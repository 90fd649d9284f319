//! Modules.
#![allow(non_snake_case, reason = "the driver's names")]

use std::ffi::{CStr, c_char, c_int, c_uint, c_void};
use std::sync::Arc;

use grafos_ptx::{LoadErrorKind, LoadedModule, Module};

use super::{enter, give};
use crate::code::{
    Answer, Code, INVALID_HANDLE, INVALID_PTX, INVALID_VALUE, NO_BINARY_FOR_GPU, NOT_FOUND, OUT_OF_MEMORY,
};
use crate::module::{Function, LoadedImage};

/// Options of `cuModuleLoadDataEx` by their numbers in `cuda.h`.
const ERROR_LOG_BUFFER: c_int = 5;
const ERROR_LOG_BUFFER_SIZE_BYTES: c_int = 6;

/// The error log that a caller wants.
struct Log {
    place: *mut u8,
    len: usize,
    /// Where its length goes.
    written: *mut *mut c_void,
}

impl Log {
    /// # Safety
    /// `options` and `values` are places of `count` elements; the log buffer among them is as long as they say.
    unsafe fn find(count: c_uint, options: *const c_int, values: *mut *mut c_void) -> Option<Self> {
        let mut log = Self { place: std::ptr::null_mut(), len: 0, written: std::ptr::null_mut() };
        for index in 0..count as usize {
            // SAFETY: `index` is less than `count`, and the caller promises so many elements.
            let (option, value) = unsafe { (options.add(index).read(), values.add(index)) };
            match option {
                // SAFETY: as above.
                ERROR_LOG_BUFFER => log.place = unsafe { value.read() }.cast(),
                ERROR_LOG_BUFFER_SIZE_BYTES => {
                    // SAFETY: as above.
                    log.len = unsafe { value.read() }.addr();
                    log.written = value;
                }
                _ => {}
            }
        }
        (!log.place.is_null() && !log.written.is_null() && log.len > 0).then_some(log)
    }

    fn write(&self, text: &str) {
        let len = text.len().min(self.len - 1);
        // SAFETY: `find` was promised a buffer of `self.len` bytes, which holds `len` and a NUL, and a place for the
        // length; `text` is memory of ours.
        unsafe {
            std::ptr::copy_nonoverlapping(text.as_ptr(), self.place, len);
            self.place.add(len).write(0);
            self.written.write(std::ptr::without_provenance_mut(len + 1));
        }
    }
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn cuModuleLoadDataEx(
    module: *mut *mut c_void,
    image: *const c_void,
    count: c_uint,
    options: *const c_int,
    values: *mut *mut c_void,
) -> Code {
    enter("cuModuleLoadDataEx", |driver| {
        let context = driver.current()?;
        if module.is_null() || image.is_null() {
            return Err(INVALID_VALUE);
        }
        // SAFETY: a text ends with a NUL, and an ELF file or a fat binary has one among its first 16 bytes, so no more
        // is read than there is.
        let start = unsafe { CStr::from_ptr(image.cast::<c_char>()) }.to_bytes();
        if start.starts_with(b"\x7fELF") || start.starts_with(&0xBA55_ED50_u32.to_le_bytes()) {
            return Err(NO_BINARY_FOR_GPU);
        }
        // SAFETY: the caller passes so many options and values.
        let log = unsafe { Log::find(count, options, values) };
        let refused = |error: grafos_ptx::LoadError| {
            if let Some(log) = &log {
                log.write(&format!("ptxas stand-in, {error}"));
            }
            match error.kind {
                LoadErrorKind::Memory(_) => OUT_OF_MEMORY,
                _ => INVALID_PTX,
            }
        };
        let parsed = Module::load(start).map_err(refused)?;
        let code = Arc::new(LoadedModule::new(&parsed, &context.memory).map_err(refused)?);
        let mut handles = driver.handles();
        let handle = handles.next();
        handles.modules.insert(handle, Arc::new(LoadedImage { context: context.id, code }));
        drop(handles);
        // SAFETY: not null, so the caller passes a place for the handle.
        unsafe { give(module, std::ptr::without_provenance_mut(handle)) }
    })
}

#[unsafe(no_mangle)]
pub(crate) extern "C" fn cuModuleUnload(module: *mut c_void) -> Code {
    enter("cuModuleUnload", |driver| {
        driver.current()?;
        let mut handles = driver.handles();
        let found = handles.modules.remove(&module.addr()).ok_or(INVALID_HANDLE)?;
        handles.functions.retain(|_, function| function.module != module.addr());
        drop(handles);
        drop(found);
        Ok(())
    })
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn cuModuleGetFunction(
    function: *mut *mut c_void,
    module: *mut c_void,
    name: *const c_char,
) -> Code {
    enter("cuModuleGetFunction", |driver| {
        let context = driver.current()?;
        if function.is_null() || name.is_null() {
            return Err(INVALID_VALUE);
        }
        // SAFETY: not null, so the caller passes a text that ends with a NUL.
        let name = unsafe { CStr::from_ptr(name) }.to_str().map_err(|_| NOT_FOUND)?;
        let mut handles = driver.handles();
        let image = handles.modules.get(&module.addr()).cloned().ok_or(INVALID_HANDLE)?;
        if image.context != context.id {
            return Err(INVALID_HANDLE);
        }
        image.code.module().kernel(name).ok_or(NOT_FOUND)?;
        let is_known = |known: &Function| known.module == module.addr() && known.name == name;
        let known = handles.functions.iter().find(|(_, known)| is_known(known)).map(|(handle, _)| *handle);
        let handle = known.unwrap_or_else(|| {
            let handle = handles.next();
            let code = Arc::clone(&image.code);
            let made = Function { context: context.id, module: module.addr(), name: name.to_owned(), code };
            handles.functions.insert(handle, Arc::new(made));
            handle
        });
        drop(handles);
        // SAFETY: not null, so the caller passes a place for the handle.
        let given: Answer = unsafe { give(function, std::ptr::without_provenance_mut(handle)) };
        given
    })
}
