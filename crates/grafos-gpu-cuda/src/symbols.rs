//! [`Symbols`]: the functions of the driver, each looked up by name in the library that cudarc has loaded.
//!
//! cudarc's own functions are not called: they panic where a symbol is missing, and they answer a closed enum, for
//! which a code of a newer driver is undefined behaviour. Ours have the same types but for a plain number as answer,
//! and the compiler checks that they have.

use std::ffi::{c_char, c_int, c_uchar, c_uint, c_void};

use cudarc::driver::sys::{
    self, CUcontext, CUctxCreateParams, CUdevice, CUdevice_attribute, CUdeviceptr, CUevent, CUfunction,
    CUfunction_attribute, CUjit_option, CUmodule, CUresult, CUstream, CUuuid,
};

/// A symbol that the library does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Missing(pub(crate) &'static str);

macro_rules! symbols {
    (
        required { $($name:ident($($arg:ty),*);)* }
        optional { $($optional:ident($($optional_arg:ty),*);)* }
        unchecked { $($unchecked:ident($($unchecked_arg:ty),*);)* }
    ) => {
        /// The functions of the driver. A field has the name of its symbol.
        #[allow(non_snake_case, reason = "the driver's names")]
        #[derive(Clone, Copy, Debug)]
        pub(crate) struct Symbols {
            $(pub(crate) $name: unsafe extern "C" fn($($arg),*) -> u32,)*
            $(pub(crate) $optional: Option<unsafe extern "C" fn($($optional_arg),*) -> u32>,)*
            $(pub(crate) $unchecked: Option<unsafe extern "C" fn($($unchecked_arg),*) -> u32>,)*
        }

        // Our types are those of the bindings, which come from NVIDIA's header: this does not compile otherwise.
        $(const _: unsafe fn($($arg),*) -> CUresult = sys::$name;)*
        $(const _: unsafe fn($($optional_arg),*) -> CUresult = sys::$optional;)*

        impl Symbols {
            /// Looks up every function.
            ///
            /// # Safety
            /// `sys::is_culib_present` has answered true in this process, and the library that is found is the
            /// driver's, or behaves like it.
            #[allow(non_snake_case, reason = "the driver's names")]
            pub(crate) unsafe fn load() -> Result<Self, Missing> {
                // SAFETY: loading the driver runs its initializers, which is what the caller wants.
                let library = unsafe { sys::culib() };
                $(
                    // SAFETY: the symbol is a function with the signature that its name has in NVIDIA's header; the
                    // types are checked above against bindings made from it. The library is never unloaded (it is in
                    // a static of cudarc), so the pointer stays valid.
                    let $name = unsafe {
                        library.get::<unsafe extern "C" fn($($arg),*) -> u32>(concat!(stringify!($name), "\0").as_bytes())
                    };
                    let $name = *$name.map_err(|_| Missing(stringify!($name)))?;
                )*
                $(
                    // SAFETY: as above.
                    let $optional = unsafe {
                        library.get::<unsafe extern "C" fn($($optional_arg),*) -> u32>(
                            concat!(stringify!($optional), "\0").as_bytes(),
                        )
                    };
                    let $optional = $optional.ok().map(|symbol| *symbol);
                )*
                $(
                    // SAFETY: as above; the bindings of this CUDA version don't have this one any more, and its types
                    // are those of the header of CUDA 12.
                    let $unchecked = unsafe {
                        library.get::<unsafe extern "C" fn($($unchecked_arg),*) -> u32>(
                            concat!(stringify!($unchecked), "\0").as_bytes(),
                        )
                    };
                    let $unchecked = $unchecked.ok().map(|symbol| *symbol);
                )*
                Ok(Self { $($name,)* $($optional,)* $($unchecked,)* })
            }
        }
    };
}

symbols! {
    required {
        cuInit(c_uint);
        cuDriverGetVersion(*mut c_int);
        cuDeviceGetCount(*mut c_int);
        cuDeviceGet(*mut CUdevice, c_int);
        cuDeviceGetName(*mut c_char, c_int, CUdevice);
        cuDeviceGetUuid_v2(*mut CUuuid, CUdevice);
        cuDeviceTotalMem_v2(*mut usize, CUdevice);
        cuDeviceGetAttribute(*mut c_int, CUdevice_attribute, CUdevice);
        cuCtxDestroy_v2(CUcontext);
        cuCtxPushCurrent_v2(CUcontext);
        cuCtxPopCurrent_v2(*mut CUcontext);
        cuCtxSynchronize();
        cuMemAlloc_v2(*mut CUdeviceptr, usize);
        cuMemFree_v2(CUdeviceptr);
        cuMemHostRegister_v2(*mut c_void, usize, c_uint);
        cuMemHostUnregister(*mut c_void);
        cuMemsetD8Async(CUdeviceptr, c_uchar, usize, CUstream);
        cuMemcpyHtoDAsync_v2(CUdeviceptr, *const c_void, usize, CUstream);
        cuMemcpyDtoHAsync_v2(*mut c_void, CUdeviceptr, usize, CUstream);
        cuMemcpyDtoDAsync_v2(CUdeviceptr, CUdeviceptr, usize, CUstream);
        cuModuleLoadDataEx(*mut CUmodule, *const c_void, c_uint, *mut CUjit_option, *mut *mut c_void);
        cuModuleUnload(CUmodule);
        cuModuleGetFunction(*mut CUfunction, CUmodule, *const c_char);
        cuFuncGetAttribute(*mut c_int, CUfunction_attribute, CUfunction);
        cuFuncSetAttribute(CUfunction, CUfunction_attribute, c_int);
        cuLaunchKernel(
            CUfunction, c_uint, c_uint, c_uint, c_uint, c_uint, c_uint, c_uint, CUstream, *mut *mut c_void,
            *mut *mut c_void
        );
        cuStreamCreate(*mut CUstream, c_uint);
        cuStreamDestroy_v2(CUstream);
        cuStreamQuery(CUstream);
        cuStreamWaitEvent(CUstream, CUevent, c_uint);
        cuEventCreate(*mut CUevent, c_uint);
        cuEventDestroy_v2(CUevent);
        cuEventRecord(CUevent, CUstream);
        cuEventQuery(CUevent);
    }
    optional {
        // Since CUDA 12.4.
        cuFuncGetParamInfo(CUfunction, usize, *mut usize, *mut usize);
        // Since CUDA 12.5; the one below is older and does the same for us. One of the two must be there.
        cuCtxCreate_v4(*mut CUcontext, *mut CUctxCreateParams, c_uint, CUdevice);
    }
    unchecked {
        cuCtxCreate_v2(*mut CUcontext, c_uint, CUdevice);
    }
}
