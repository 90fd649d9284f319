//! [`driver`]: whether this process has a usable driver. Asked once; the answer stays.
//!
//! Nothing here panics and nothing is called that could: cudarc panics when the library or a symbol is missing, so
//! both are looked for first, in the library that cudarc itself will bind.

use std::sync::OnceLock;

use cudarc::driver::sys;
use grafos_std::gpu::{GpuError, UnavailableReason};

use crate::code::{
    COMPAT_NOT_SUPPORTED, CudaError, INVALID_DEVICE, NO_DEVICE, STUB_LIBRARY, SYSTEM_DRIVER_MISMATCH, meaning,
};
use crate::driver::Driver;
use crate::symbols::{Missing, Symbols};

/// The oldest driver that we ask anything of: the one of CUDA 11.4, the oldest that the bindings know.
const OLDEST_VERSION: i32 = 11_040;

/// The driver of this machine, started.
///
/// # Errors
/// [`GpuError::Unavailable`] with what is missing. The same one every time: a driver that is installed later is seen
/// by a new process.
pub(crate) fn driver() -> Result<&'static Driver, GpuError> {
    static DRIVER: OnceLock<Result<Driver, GpuError>> = OnceLock::new();
    DRIVER.get_or_init(start).as_ref().map_err(Clone::clone)
}

fn start() -> Result<Driver, GpuError> {
    // SAFETY: it loads a library by the names of the driver's, and closes it again. Its initializers are as sound as
    // the machine's own driver, which everything below relies on.
    if !unsafe { sys::is_culib_present() } {
        return Err(unavailable(
            UnavailableReason::NoDriver,
            "libcuda.so was not found: install NVIDIA's driver, or set LD_LIBRARY_PATH to where it lies",
        ));
    }
    // SAFETY: the library is there, as was just seen.
    let symbols = unsafe { Symbols::load() }.map_err(|Missing(symbol)| too_old(symbol))?;
    if symbols.cuCtxCreate_v4.is_none() && symbols.cuCtxCreate_v2.is_none() {
        return Err(too_old("cuCtxCreate_v4"));
    }
    let mut driver = Driver::new(symbols);
    let version = driver.read_version().map_err(refused)?;
    if version < OLDEST_VERSION {
        let message = format!("the driver is too old: cuda_version={version}, oldest={OLDEST_VERSION}");
        return Err(unavailable(UnavailableReason::DriverMismatch, message));
    }
    driver.start().map_err(refused)?;
    Ok(driver)
}

fn unavailable(reason: UnavailableReason, message: impl Into<String>) -> GpuError {
    GpuError::Unavailable { reason, message: message.into() }
}

fn too_old(symbol: &str) -> GpuError {
    let message = format!("libcuda.so lacks a function, so it is too old or not NVIDIA's: symbol={symbol}");
    unavailable(UnavailableReason::DriverMismatch, message)
}

/// What a driver says that does not start.
fn refused(error: CudaError) -> GpuError {
    let reason = match error.code {
        NO_DEVICE | INVALID_DEVICE => UnavailableReason::NoDevice,
        STUB_LIBRARY => UnavailableReason::NoDriver,
        SYSTEM_DRIVER_MISMATCH | COMPAT_NOT_SUPPORTED => UnavailableReason::DriverMismatch,
        _ => UnavailableReason::DeviceBroken,
    };
    let what_to_do = match error.code {
        STUB_LIBRARY => "; take the stub off LD_LIBRARY_PATH",
        SYSTEM_DRIVER_MISMATCH => "; restart the machine after an update of the driver",
        _ => "",
    };
    let message = format!("{}: call={}, code={}{what_to_do}", meaning(error.code), error.call, error.code);
    unavailable(reason, message)
}
