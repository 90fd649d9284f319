//! [`CudaError`]: what a call of the driver answered, and what kind of answer it is.
//!
//! Numbers and not an enum: a newer driver may answer a code that we have never heard of. Names and meanings are those
//! of `CUresult` in NVIDIA's driver documentation.

use std::fmt;

use grafos_std::gpu::{GpuFault, KernelFault, KernelFaultKind};

/// A call of the driver that did not succeed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CudaError {
    /// The function that was called.
    pub(crate) call: &'static str,
    /// What it answered.
    pub(crate) code: u32,
}

pub(crate) const SUCCESS: u32 = 0;
pub(crate) const INVALID_VALUE: u32 = 1;
pub(crate) const OUT_OF_MEMORY: u32 = 2;
pub(crate) const STUB_LIBRARY: u32 = 34;
pub(crate) const DEVICE_UNAVAILABLE: u32 = 46;
pub(crate) const NO_DEVICE: u32 = 100;
pub(crate) const INVALID_DEVICE: u32 = 101;
pub(crate) const ECC_UNCORRECTABLE: u32 = 214;
pub(crate) const NOT_FOUND: u32 = 500;
pub(crate) const NOT_READY: u32 = 600;
pub(crate) const LAUNCH_OUT_OF_RESOURCES: u32 = 701;
pub(crate) const LAUNCH_TIMEOUT: u32 = 702;
pub(crate) const ASSERT: u32 = 710;
pub(crate) const SYSTEM_DRIVER_MISMATCH: u32 = 803;
pub(crate) const COMPAT_NOT_SUPPORTED: u32 = 804;
pub(crate) const NOT_SUPPORTED: u32 = 801;

/// What an answer means for the one who asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// There is not enough of something.
    OutOfMemory,
    /// The image of a module is not one, or not for this device.
    Image,
    /// A kernel did something wrong. The context is lost.
    Kernel(KernelFaultKind),
    /// The memory of the device is damaged.
    Ecc,
    /// The device is gone.
    Device,
    /// Anything else. Our calls are right by construction, so it says that driver and program don't agree on where
    /// things stand.
    Driver,
}

impl CudaError {
    /// What the answer means.
    pub(crate) fn class(self) -> Class {
        use KernelFaultKind as Kind;
        match self.code {
            OUT_OF_MEMORY => Class::OutOfMemory,
            200 | 209 | 218 | 221..=223 | 300..=303 => Class::Image,
            700 | 717 => Class::Kernel(Kind::IllegalAddress),
            716 => Class::Kernel(Kind::MisalignedAddress),
            LAUNCH_TIMEOUT => Class::Kernel(Kind::Timeout),
            ASSERT => Class::Kernel(Kind::Assert),
            714 => Class::Kernel(Kind::StackOverflow),
            715 | 718 => Class::Kernel(Kind::IllegalInstruction),
            719 | 721 => Class::Kernel(Kind::Other),
            ECC_UNCORRECTABLE => Class::Ecc,
            DEVICE_UNAVAILABLE | NO_DEVICE | INVALID_DEVICE | 220 | 709 => Class::Device,
            _ => Class::Driver,
        }
    }

    /// The end of a session. `suspects` are the kernels that may be to blame.
    pub(crate) fn fault(self, suspects: &[String]) -> GpuFault {
        let message = self.to_string();
        match self.class() {
            Class::Kernel(kind) => {
                let message = match suspects {
                    [] => message,
                    names => format!("{message}, kernels={}", names.join(",")),
                };
                GpuFault::Kernel(Box::new(KernelFault {
                    kind,
                    kernel: if let [name] = suspects { Some(name.clone()) } else { None },
                    line: None,
                    block: None,
                    thread: None,
                    space: None,
                    address: None,
                    message,
                }))
            }
            Class::Ecc => GpuFault::Ecc { message },
            Class::Device => GpuFault::DeviceLost { message },
            Class::OutOfMemory | Class::Image | Class::Driver => {
                GpuFault::Driver { code: self.code, message }
            }
        }
    }
}

impl fmt::Display for CudaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: call={}, code={}", meaning(self.code), self.call, self.code)
    }
}

/// What a code says, in words. Asking the driver would be one more call that can fail.
pub(crate) fn meaning(code: u32) -> &'static str {
    match code {
        SUCCESS => "no error",
        INVALID_VALUE => "invalid value",
        OUT_OF_MEMORY => "out of memory",
        3 => "the driver is not initialized",
        4 => "the driver is shutting down",
        STUB_LIBRARY => "the library is a stub without a driver behind it",
        DEVICE_UNAVAILABLE => "the device is busy or unavailable",
        NO_DEVICE => "no CUDA device is there",
        INVALID_DEVICE => "no such device, or the action is not allowed on it",
        200 => "the image of the module is invalid",
        201 => "invalid context",
        209 => "the image has no code for this device",
        ECC_UNCORRECTABLE => "uncorrectable error in device memory",
        217 => "access to a peer device is not possible",
        218 => "invalid PTX",
        220 => "uncorrectable error of the NVLink",
        221 => "the compiler of the driver was not found",
        222 => "the PTX is of a version that the driver is too old for",
        223 => "compilation is switched off",
        300 => "invalid source",
        301 => "file not found",
        302 => "a symbol of a shared object was not found",
        303 => "a shared object could not be set up",
        304 => "the operating system refused",
        400 => "invalid handle",
        NOT_FOUND => "not found",
        NOT_READY => "not ready",
        700 => "a kernel touched an address that is not its own",
        LAUNCH_OUT_OF_RESOURCES => "the launch needs more registers or threads than there are",
        LAUNCH_TIMEOUT => "a kernel ran longer than the system lets it",
        709 => "the context was destroyed",
        ASSERT => "an assertion in a kernel failed",
        712 => "the host memory is registered already",
        713 => "the host memory is not registered",
        714 => "a kernel overflowed its stack",
        715 => "a kernel met an illegal instruction",
        716 => "a kernel touched a misaligned address",
        717 => "a kernel used an instruction on an address of the wrong space",
        718 => "a kernel jumped to nowhere",
        719 => "a kernel failed: a trap, or an error that the device does not name",
        800 => "not permitted",
        NOT_SUPPORTED => "not supported",
        802 => "the system is not ready",
        SYSTEM_DRIVER_MISMATCH => "library and kernel module of the driver have different versions",
        COMPAT_NOT_SUPPORTED => "forward compatibility is not supported on this device",
        999 => "unknown error",
        _ => "an error that this program has no words for",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class(code: u32) -> Class {
        CudaError { call: "f", code }.class()
    }

    #[test]
    fn codes_are_told_apart_by_what_can_be_done() {
        assert_eq!(class(2), Class::OutOfMemory);
        for code in [200, 209, 218, 221, 222, 223, 300, 301, 302, 303] {
            assert_eq!(class(code), Class::Image, "{code}");
        }
        for code in [700, 702, 710, 714, 715, 716, 717, 718, 719, 721] {
            assert!(matches!(class(code), Class::Kernel(_)), "{code}");
        }
        assert_eq!(class(214), Class::Ecc);
        for code in [46, 100, 101, 220, 709] {
            assert_eq!(class(code), Class::Device, "{code}");
        }
        for code in [1, 3, 4, 201, 304, 400, 802, 803, 999, 12_345] {
            assert_eq!(class(code), Class::Driver, "{code}");
        }
    }

    #[test]
    fn a_kernel_is_named_when_it_is_the_only_one_that_ran() {
        let error = CudaError { call: "cuStreamQuery", code: 700 };
        let named = |suspects: &[&str]| {
            let suspects: Vec<String> = suspects.iter().map(|&name| name.to_owned()).collect();
            match error.fault(&suspects) {
                GpuFault::Kernel(fault) => (fault.kernel, fault.message),
                other => panic!("{other}"),
            }
        };
        assert_eq!(named(&[]).0, None);
        assert_eq!(named(&["axpy"]).0.as_deref(), Some("axpy"));
        let (kernel, message) = named(&["axpy", "sum"]);
        assert_eq!(kernel, None);
        assert!(message.ends_with("call=cuStreamQuery, code=700, kernels=axpy,sum"), "{message}");
    }
}
