//! Modules, their kernels, and launches.

use std::ffi::{CStr, c_int, c_uint, c_void};
use std::ptr;

use cudarc::driver::sys::{CUfunction, CUfunction_attribute, CUjit_option, CUmodule};

use super::{Bound, Function, Module, Stream, call, checked};
use crate::code::{CudaError, INVALID_VALUE};
use crate::image::Image;

/// How much the driver's compiler may say.
const LOG_BYTES: usize = 16 << 10;

/// More parameters than any kernel has: they take 32 KiB together at most.
const MOST_PARAMS: usize = 32 << 10;

/// Why a module was not loaded.
#[derive(Debug)]
pub(crate) struct LoadRefused {
    /// What the driver answered.
    pub(crate) error: CudaError,
    /// What its compiler said; may be empty.
    pub(crate) log: String,
}

/// One launch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Launch<'a> {
    pub(crate) grid: [u32; 3],
    pub(crate) block: [u32; 3],
    pub(crate) shared_bytes: u32,
    /// As long as the kernel's block of parameters.
    pub(crate) params: &'a [u8],
}

impl Bound<'_> {
    /// Loads a module.
    pub(crate) fn load(&self, image: &Image) -> Result<Module, LoadRefused> {
        let mut log = vec![0_u8; LOG_BYTES];
        let mut raw: CUmodule = ptr::null_mut();
        let mut options =
            [CUjit_option::CU_JIT_ERROR_LOG_BUFFER, CUjit_option::CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES];
        // The size is passed in place of a pointer, and the size of what was written comes back there.
        let mut values: [*mut c_void; 2] = [log.as_mut_ptr().cast(), ptr::without_provenance_mut(LOG_BYTES)];
        // SAFETY: `image` has checked that the driver finds the end of it inside of its bytes: a text ends with a NUL,
        // a binary is as long as it says. Two options have two values; the log is as long as they say. All of it
        // outlives the call, and the driver keeps none of it.
        let loaded = unsafe {
            call!(
                self.driver,
                cuModuleLoadDataEx(
                    &raw mut raw,
                    image.bytes().as_ptr().cast(),
                    2,
                    options.as_mut_ptr(),
                    values.as_mut_ptr(),
                )
            )
        };
        match loaded {
            Ok(()) => Ok(Module { raw, context: self.context }),
            Err(error) => {
                let text = log.split(|byte| *byte == 0).next().unwrap_or_default();
                Err(LoadRefused { error, log: String::from_utf8_lossy(text).trim().to_owned() })
            }
        }
    }

    /// Unloads a module. It takes the module's kernels too, so that none of them outlives it.
    #[allow(clippy::needless_pass_by_value, reason = "nothing can be done with them afterwards")]
    pub(crate) fn unload(&self, module: Module, kernels: Vec<Function>) -> Result<(), CudaError> {
        drop(kernels);
        self.check("cuModuleUnload", module.context)?;
        // SAFETY: it is alive, since it is taken by value and nothing else unloads it.
        unsafe { call!(self.driver, cuModuleUnload(module.raw)) }
    }

    /// Finds a kernel.
    ///
    /// # Safety
    /// The answer is used no longer than `module` is loaded.
    pub(crate) unsafe fn function(&self, module: &Module, name: &CStr) -> Result<Function, CudaError> {
        self.check("cuModuleGetFunction", module.context)?;
        let mut raw: CUfunction = ptr::null_mut();
        // SAFETY: the module is alive and of this context, the name ends with a NUL, the pointer is to a handle of ours.
        unsafe { call!(self.driver, cuModuleGetFunction(&raw mut raw, module.raw, name.as_ptr())) }?;
        Ok(Function { raw, context: self.context })
    }

    /// Offset and size of each parameter; `None` if the driver is too old to tell.
    pub(crate) fn params(&self, function: &Function) -> Option<Result<Vec<(usize, usize)>, CudaError>> {
        let info = self.driver.symbols.cuFuncGetParamInfo?;
        let mut params = Vec::new();
        let refused = loop {
            let (mut offset, mut size) = (0, 0);
            if let Err(error) = self.check("cuFuncGetParamInfo", function.context) {
                break error;
            }
            // SAFETY: the function is alive and of this context; both pointers are to numbers of ours.
            let code = unsafe { info(function.raw, params.len(), &raw mut offset, &raw mut size) };
            match checked("cuFuncGetParamInfo", code) {
                Ok(()) if params.len() < MOST_PARAMS => params.push((offset, size)),
                Ok(()) => break CudaError { call: "cuFuncGetParamInfo", code: INVALID_VALUE },
                // Past the last one.
                Err(CudaError { code: INVALID_VALUE, .. }) => return Some(Ok(params)),
                Err(error) => break error,
            }
        };
        Some(Err(refused))
    }

    /// An attribute of a kernel; those that count something are never negative.
    pub(crate) fn function_attribute(
        &self,
        function: &Function,
        what: CUfunction_attribute,
    ) -> Result<u32, CudaError> {
        self.check("cuFuncGetAttribute", function.context)?;
        let mut value: c_int = 0;
        // SAFETY: the function is alive and of this context; the pointer is to a number of ours.
        unsafe { call!(self.driver, cuFuncGetAttribute(&raw mut value, what, function.raw)) }?;
        Ok(u32::try_from(value).unwrap_or(0))
    }

    /// Lets a kernel have more dynamic shared memory than every kernel may.
    pub(crate) fn allow_shared_bytes(&self, function: &Function, bytes: u32) -> Result<(), CudaError> {
        self.check("cuFuncSetAttribute", function.context)?;
        let what = CUfunction_attribute::CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES;
        let value = c_int::try_from(bytes).unwrap_or(c_int::MAX);
        // SAFETY: the function is alive and of this context.
        unsafe { call!(self.driver, cuFuncSetAttribute(function.raw, what, value)) }
    }

    /// Submits a launch.
    ///
    /// # Safety
    /// `launch.params` is as long as the kernel's block of parameters, so that the driver reads no further.
    pub(crate) unsafe fn launch(
        &self,
        stream: &Stream,
        function: &Function,
        launch: &Launch<'_>,
    ) -> Result<(), CudaError> {
        self.check("cuLaunchKernel", stream.context)?;
        self.check("cuLaunchKernel", function.context)?;
        let ([gx, gy, gz], [bx, by, bz]) = (launch.grid, launch.block);
        let mut len = launch.params.len();
        // The keys of `cuda.h`: CU_LAUNCH_PARAM_BUFFER_POINTER, CU_LAUNCH_PARAM_BUFFER_SIZE, CU_LAUNCH_PARAM_END.
        let key = |number: usize| ptr::without_provenance_mut::<c_void>(number);
        let buffer = launch.params.as_ptr().cast_mut().cast::<c_void>();
        let mut extra = [key(1), buffer, key(2), (&raw mut len).cast::<c_void>(), key(0)];
        let extra = if len == 0 { ptr::null_mut() } else { extra.as_mut_ptr() };
        let shared: c_uint = launch.shared_bytes;
        // SAFETY: function and stream are alive and of this context. `extra` is a list as the interface wants it, whose
        // buffer is as long as it says and as the kernel needs; the driver copies the parameters before it returns and
        // writes to none of it.
        unsafe {
            call!(
                self.driver,
                cuLaunchKernel(
                    function.raw,
                    gx,
                    gy,
                    gz,
                    bx,
                    by,
                    bz,
                    shared,
                    stream.raw,
                    ptr::null_mut(),
                    extra,
                )
            )
        }
    }
}
