//! Modules of a session, their kernels, and launches.

use std::ffi::CString;
use std::sync::atomic::Ordering;

use cudarc::driver::sys::CUfunction_attribute as Attribute;
use grafos_std::error::{FabricError, Result};
use grafos_std::gpu::GpuError;
use grafos_std::host::{DeviceLaunch, KernelId, KernelLayout, KernelParam, ModuleId, StreamId};

use super::memory::out_of;
use super::objects::{Kernel, LoadedImage, gone};
use super::{Session, Trouble};
use crate::code::{Class, INVALID_VALUE, LAUNCH_OUT_OF_RESOURCES, NOT_FOUND, meaning};
use crate::device::DEVICE_MEMORY;
use crate::driver::{Bound, Function, Launch, LoadRefused};
use crate::image::Image;

/// How much dynamic shared memory every kernel may have without asking.
const UNASKED_SHARED_BYTES: u32 = 48 << 10;
/// How much of a name is repeated in an error.
const NAME_CHARS: usize = 256;

impl Session {
    pub(super) fn load_module(&self, bytes: &[u8]) -> Result<ModuleId> {
        self.check()?;
        let image = Image::new(bytes).map_err(|bad| GpuError::module_refused(None, bad.to_string()))?;
        let parsed = if self.lease.host.driver.knows_params() {
            None
        } else {
            image.text().and_then(|text| grafos_ptx::Module::load(text).ok())
        };
        self.with(|objects, bound| {
            let module = bound.load(&image).map_err(refused_module)?;
            let id = objects.next_id();
            objects.modules.insert(id, LoadedImage { module, parsed });
            Ok(ModuleId(id))
        })
    }

    pub(super) fn unload_module(&self, module: ModuleId) -> Result<()> {
        self.wait_for_all()?;
        self.with(|objects, bound| {
            let unloaded = objects.modules.remove(&module.0).ok_or_else(|| gone("module"))?;
            let of_module = objects.kernels.extract_if(|_, kernel| kernel.module == module.0);
            let kernels = of_module.map(|(_, kernel)| kernel.function).collect();
            Ok(bound.unload(unloaded.module, kernels)?)
        })
    }

    pub(super) fn kernel(&self, module: ModuleId, name: &str) -> Result<KernelLayout> {
        let max_shared_bytes = self.lease.device.info.max_shared_bytes;
        self.with(|objects, bound| {
            let loaded = objects.modules.get(&module.0).ok_or_else(|| gone("module"))?;
            let unknown =
                || Trouble::from(GpuError::UnknownKernel { name: name.chars().take(NAME_CHARS).collect() });
            let c_name = CString::new(name).map_err(|_| unknown())?;
            // SAFETY: the function goes into `objects.kernels` below, from where `unload_module` takes it out together
            // with the module, and where it is not reached any more once the module is gone.
            let function =
                unsafe { bound.function(&loaded.module, &c_name) }.map_err(|error| match error.code {
                    NOT_FOUND => unknown(),
                    _ => error.into(),
                })?;
            let params = params(bound, &function, loaded, name)?;
            let static_bytes =
                bound.function_attribute(&function, Attribute::CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES)?;
            let max_threads =
                bound.function_attribute(&function, Attribute::CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK)?;
            let id = objects.next_id();
            let layout = KernelLayout {
                id: KernelId(id),
                params,
                max_threads,
                max_dynamic_shared_bytes: max_shared_bytes.saturating_sub(static_bytes),
            };
            objects.kernels.insert(
                id,
                Kernel {
                    module: module.0,
                    name: name.to_owned(),
                    function,
                    param_bytes: layout.param_bytes(),
                    allowed_shared_bytes: UNASKED_SHARED_BYTES.saturating_sub(static_bytes),
                },
            );
            Ok(layout)
        })
    }

    pub(super) fn launch(&self, stream: StreamId, launch: &DeviceLaunch<'_>) -> Result<()> {
        self.with(|objects, bound| {
            let kernel = objects.kernels.get_mut(&launch.kernel.0).ok_or_else(|| gone("kernel"))?;
            let name = kernel.name.clone();
            let refused =
                |message: String| Trouble::from(GpuError::LaunchRefused { kernel: name.clone(), message });
            if launch.params.len() != kernel.param_bytes as usize {
                let (expected, found) = (kernel.param_bytes, launch.params.len());
                return Err(refused(format!("bytes of parameters: expected={expected}, found={found}")));
            }
            if launch.shared_bytes > kernel.allowed_shared_bytes {
                bound.allow_shared_bytes(&kernel.function, launch.shared_bytes).map_err(
                    |error| match error.code {
                        INVALID_VALUE => {
                            refused(format!("too much shared memory: bytes={}", launch.shared_bytes))
                        }
                        _ => error.into(),
                    },
                )?;
                kernel.allowed_shared_bytes = launch.shared_bytes;
            }
            let kernel = objects.kernels.get(&launch.kernel.0).ok_or_else(|| gone("kernel"))?;
            let DeviceLaunch { grid, block, shared_bytes, params, .. } = *launch;
            let stream = objects.stream(stream)?;
            // SAFETY: `params` was just seen to be as long as the kernel's block of parameters.
            let launched = unsafe {
                bound.launch(stream, &kernel.function, &Launch { grid, block, shared_bytes, params })
            };
            launched.map_err(|error| match error.code {
                INVALID_VALUE | LAUNCH_OUT_OF_RESOURCES => refused(meaning(error.code).to_owned()),
                _ => error.into(),
            })?;
            objects.suspect(launch.kernel.0);
            Ok(())
        })?;
        self.lease.host.launches.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }
}

/// What the loader says, as far as it is the module's fault.
fn refused_module(refused: LoadRefused) -> Trouble {
    let LoadRefused { error, log } = refused;
    match error.class() {
        Class::Image => {
            let said = if log.is_empty() { error.to_string() } else { format!("{error}\n{log}") };
            GpuError::module_refused(line_of(&log), said).into()
        }
        Class::OutOfMemory => out_of(DEVICE_MEMORY, 0, error),
        _ => error.into(),
    }
}

/// The first line of the text that a log of the driver's compiler blames: `ptxas …, line 7; error : …`.
fn line_of(log: &str) -> Option<u32> {
    let (_, rest) = log.split_once("line ")?;
    rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

/// The parameters of a kernel: from the driver, else from the text of the module.
fn params(
    bound: &Bound<'_>,
    function: &Function,
    loaded: &LoadedImage,
    name: &str,
) -> Result<Vec<KernelParam>, Trouble> {
    if let Some(found) = bound.params(function) {
        let narrow = |(offset, size)| {
            Some(KernelParam { offset: u32::try_from(offset).ok()?, size: u32::try_from(size).ok()? })
        };
        let params = found?.into_iter().map(narrow).collect::<Option<Vec<_>>>();
        let params =
            params.filter(|params| params.is_sorted_by(|a, b| a.offset.saturating_add(a.size) <= b.offset));
        return params.ok_or_else(|| {
            let message = "the driver names parameters that overlap or are too large".to_owned();
            GpuError::LaunchRefused { kernel: name.to_owned(), message }.into()
        });
    }
    let kernel = loaded.parsed.as_ref().and_then(|module| module.kernel(name));
    let Some(kernel) = kernel else {
        let what = "launching this kernel: the driver is older than CUDA 12.4 and does not tell what parameters a kernel \
                    has, and the module is not PTX that grafos-ptx can read";
        return Err(FabricError::Unsupported { what }.into());
    };
    Ok(kernel.params().iter().map(|param| KernelParam { offset: param.offset, size: param.size }).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_that_the_compiler_blames_is_found_in_its_log() {
        assert_eq!(line_of("ptxas application ptx input, line 12; fatal : Parsing error near 'x'"), Some(12));
        assert_eq!(line_of("ptxas fatal : Ptx assembly aborted due to errors"), None);
        assert_eq!(line_of("line of no number"), None);
        assert_eq!(line_of("line 99999999999"), None);
    }
}
