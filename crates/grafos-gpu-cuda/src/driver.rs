//! [`Driver`] and [`Bound`]: every call of the driver, each of them safe to make.
//!
//! Why they are safe:
//! - A handle is a type of its own that is neither copied nor made elsewhere. Destroying takes it by value, so a handle
//!   that can be named is alive, as long as its context is.
//! - Handles know their context, and a call with a handle of another one is refused before the driver sees it.
//! - A [`Context`] is destroyed by value, and [`Bound`] borrows it: no call happens in a context that is gone.
//! - Host memory that a device copies from or to is [`HostMemory`], whose owner keeps it until the device is done.
//!
//! What device addresses point to is the device's business: a wrong one is a fault there, never a host error.

use std::ffi::{CStr, c_int, c_uint};
use std::marker::PhantomData;
use std::ptr;

use cudarc::driver::sys::{
    CUcontext, CUdevice, CUdevice_attribute, CUevent, CUfunction, CUmodule, CUstream, CUuuid,
};

use crate::code::{CudaError, SUCCESS};
use crate::symbols::Symbols;

mod copy;
mod kernel;
mod order;

pub(crate) use copy::HostMemory;
pub(crate) use kernel::{Launch, LoadRefused};

/// The driver, started once.
#[derive(Debug)]
pub(crate) struct Driver {
    symbols: Symbols,
    version: i32,
}

/// A context of our own. `&Context` means that it has not been destroyed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Context(CUcontext);

// SAFETY: a context is not tied to a thread: the driver keeps one stack of current contexts per thread, and says that a
// context may be current on several threads at a time.
unsafe impl Send for Context {}
// SAFETY: as above; the driver's functions may be called from any thread.
unsafe impl Sync for Context {}

macro_rules! handles {
    ($($(#[$doc:meta])* $name:ident($raw:ty);)*) => {$(
        $(#[$doc])*
        #[derive(Debug)]
        pub(crate) struct $name {
            raw: $raw,
            context: CUcontext,
        }

        // SAFETY: it is a name for an object of the driver, whose functions may be called from any thread with it.
        unsafe impl Send for $name {}
        // SAFETY: as above.
        unsafe impl Sync for $name {}
    )*};
}

handles! {
    /// A stream of a context.
    Stream(CUstream);
    /// An event of a context.
    Event(CUevent);
    /// A module of a context.
    Module(CUmodule);
    /// A kernel of a module. Alive as long as the module: see [`Bound::unload`].
    Function(CUfunction);
}

/// The answer of a call as a `Result`, in one place for all of them.
fn checked(call: &'static str, code: u32) -> Result<(), CudaError> {
    if code == SUCCESS { Ok(()) } else { Err(CudaError { call, code }) }
}

/// Calls a function of the driver by its name.
macro_rules! call {
    ($driver:expr, $name:ident($($arg:expr),* $(,)?)) => {
        checked(stringify!($name), ($driver.symbols.$name)($($arg),*))
    };
}
use call;

impl Driver {
    /// Not started yet.
    pub(crate) fn new(symbols: Symbols) -> Self {
        Self { symbols, version: 0 }
    }

    /// The CUDA version of the driver: 12040 is 12.4. May be asked before the start.
    pub(crate) fn read_version(&mut self) -> Result<i32, CudaError> {
        // SAFETY: the pointer is to a number of ours, which the driver writes.
        unsafe { call!(self, cuDriverGetVersion(&raw mut self.version)) }?;
        Ok(self.version)
    }

    /// What [`read_version`](Self::read_version) found.
    pub(crate) fn version(&self) -> i32 {
        self.version
    }

    /// Starts it. Anything else may be asked after that.
    pub(crate) fn start(&self) -> Result<(), CudaError> {
        // SAFETY: takes no pointer; 0 is the only value that it allows.
        unsafe { call!(self, cuInit(0)) }
    }

    /// Whether it says what parameters a kernel has.
    pub(crate) fn knows_params(&self) -> bool {
        self.symbols.cuFuncGetParamInfo.is_some()
    }

    pub(crate) fn device_count(&self) -> Result<i32, CudaError> {
        let mut count: c_int = 0;
        // SAFETY: the pointer is to a number of ours.
        unsafe { call!(self, cuDeviceGetCount(&raw mut count)) }?;
        Ok(count)
    }

    pub(crate) fn device(&self, ordinal: i32) -> Result<CUdevice, CudaError> {
        let mut device: CUdevice = 0;
        // SAFETY: the pointer is to a number of ours.
        unsafe { call!(self, cuDeviceGet(&raw mut device, ordinal)) }?;
        Ok(device)
    }

    pub(crate) fn device_name(&self, device: CUdevice) -> Result<String, CudaError> {
        let mut text = [0_u8; 256];
        // SAFETY: the pointer is to 256 bytes of ours, and so says the length.
        unsafe { call!(self, cuDeviceGetName(text.as_mut_ptr().cast(), 256, device)) }?;
        let name = CStr::from_bytes_until_nul(&text).unwrap_or_default();
        Ok(name.to_string_lossy().into_owned())
    }

    /// Names the device in every process of this machine, and after a restart.
    pub(crate) fn device_uuid(&self, device: CUdevice) -> Result<[u8; 16], CudaError> {
        let mut uuid = CUuuid { bytes: [0; 16] };
        // SAFETY: the pointer is to a place of ours for an identifier.
        unsafe { call!(self, cuDeviceGetUuid_v2(&raw mut uuid, device)) }?;
        Ok(uuid.bytes.map(|byte| byte.to_ne_bytes()[0]))
    }

    pub(crate) fn device_bytes(&self, device: CUdevice) -> Result<u64, CudaError> {
        let mut bytes = 0_usize;
        // SAFETY: the pointer is to a number of ours.
        unsafe { call!(self, cuDeviceTotalMem_v2(&raw mut bytes, device)) }?;
        Ok(bytes as u64)
    }

    /// An attribute of a device. Attributes that count something are never negative.
    pub(crate) fn attribute(&self, device: CUdevice, what: CUdevice_attribute) -> Result<u32, CudaError> {
        let mut value: c_int = 0;
        // SAFETY: the pointer is to a number of ours.
        unsafe { call!(self, cuDeviceGetAttribute(&raw mut value, what, device)) }?;
        Ok(u32::try_from(value).unwrap_or(0))
    }

    /// Makes a context, and takes it off this thread again: it is current only while [`Bound`].
    pub(crate) fn create_context(&self, device: CUdevice) -> Result<Context, CudaError> {
        let mut raw: CUcontext = ptr::null_mut();
        // Waiting threads sleep rather than spin: CU_CTX_SCHED_BLOCKING_SYNC.
        let flags: c_uint = 4;
        match (self.symbols.cuCtxCreate_v4, self.symbols.cuCtxCreate_v2) {
            (Some(create), _) => {
                // SAFETY: the pointer is to a handle of ours; no parameters make an ordinary context.
                checked("cuCtxCreate_v4", unsafe { create(&raw mut raw, ptr::null_mut(), flags, device) })?;
            }
            (None, Some(create)) => {
                // SAFETY: the pointer is to a handle of ours.
                checked("cuCtxCreate_v2", unsafe { create(&raw mut raw, flags, device) })?;
            }
            (None, None) => return Err(CudaError { call: "cuCtxCreate", code: crate::code::NOT_FOUND }),
        }
        let context = Context(raw);
        match self.pop() {
            Ok(()) => Ok(context),
            Err(error) => {
                let _ = self.destroy_context(context);
                Err(error)
            }
        }
    }

    /// Ends a context and everything in it. Waits for what runs in it.
    ///
    /// If this fails, the context may still be there, out of anybody's reach.
    #[allow(clippy::needless_pass_by_value, reason = "nothing can be done with it afterwards")]
    pub(crate) fn destroy_context(&self, context: Context) -> Result<(), CudaError> {
        // SAFETY: it was made by `create_context` and not destroyed before, since it is taken by value; nobody borrows
        // it, so it is current on no thread of ours.
        unsafe { call!(self, cuCtxDestroy_v2(context.0)) }
    }

    /// Makes a context current on this thread until the answer is dropped.
    pub(crate) fn bind<'a>(&'a self, context: &'a Context) -> Result<Bound<'a>, CudaError> {
        // SAFETY: the context is alive, since it is borrowed.
        unsafe { call!(self, cuCtxPushCurrent_v2(context.0)) }?;
        Ok(Bound { driver: self, context: context.0, this_thread: PhantomData })
    }

    fn pop(&self) -> Result<(), CudaError> {
        let mut before: CUcontext = ptr::null_mut();
        // SAFETY: the pointer is to a handle of ours.
        unsafe { call!(self, cuCtxPopCurrent_v2(&raw mut before)) }
    }
}

/// A context that is current on this thread.
#[derive(Debug)]
pub(crate) struct Bound<'a> {
    driver: &'a Driver,
    context: CUcontext,
    /// What is current is a matter of one thread, so this stays on it.
    this_thread: PhantomData<*const ()>,
}

impl Drop for Bound<'_> {
    fn drop(&mut self) {
        // A failure leaves the context on the thread's stack, where it does no harm: every call of ours brings its own.
        if let Err(error) = self.driver.pop() {
            tracing::warn!(%error, "a context could not be taken off its thread");
        }
    }
}

impl Bound<'_> {
    /// An error if a handle belongs to another context than this one.
    fn check(&self, call: &'static str, owner: CUcontext) -> Result<(), CudaError> {
        if owner == self.context { Ok(()) } else { Err(CudaError { call, code: 400 }) }
    }

    /// Waits until everything in the context is done.
    pub(crate) fn synchronize(&self) -> Result<(), CudaError> {
        // SAFETY: takes nothing; a context is current.
        unsafe { call!(self.driver, cuCtxSynchronize()) }
    }
}
