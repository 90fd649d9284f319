//! How a program chooses CUDA: [`WithCuda`] in its source, [`host_from_env`] by its environment.

use std::env;
use std::ffi::OsStr;
use std::sync::Arc;

use grafos_std::error::{FabricError, Result};
use grafos_std::host::{Host, LocalHost};

use crate::CudaHost;

/// The variable that [`host_from_env`] reads.
pub const GPU_VARIABLE: &str = "GRAFOS_GPU";

/// Hosts of this machine whose GPU is a CUDA device.
pub trait WithCuda: Sized {
    /// Blocks and memory of this machine, and CUDA device number `device` for GPUs.
    ///
    /// # Errors
    /// [`GpuError::Unavailable`](grafos_std::gpu::GpuError::Unavailable), and those of
    /// [`LocalHost::open`](grafos_std::host::LocalHost::open).
    fn with_cuda(device: u32) -> Result<Self>;
}

impl WithCuda for Host {
    fn with_cuda(device: u32) -> Result<Self> {
        let gpu = CudaHost::open(device)?;
        Self::builder().gpu(Arc::new(gpu)).build()
    }
}

/// The host that the environment variable `GRAFOS_GPU` names, for programs that leave the choice to whoever starts
/// them:
///
/// | value | GPUs are |
/// |---|---|
/// | not set, empty, or `host` | those of the local host: kernels run on the CPU |
/// | `cuda:N` | CUDA device number N |
/// | `cuda` | all CUDA devices |
///
/// Blocks and memory are this machine's in any case. Other variables of [`LocalHost::open`] count for the local host; with
/// CUDA, only `GRAFOS_HOME` does.
///
/// ```
/// // With GRAFOS_GPU not set, this is the local host.
/// # let home = tempfile::tempdir()?;
/// # if std::env::var_os("GRAFOS_GPU").is_none() && std::env::var_os("GRAFOS_HOME").is_some() {
/// let host = grafos_gpu_cuda::host_from_env()?;
/// println!("{:?}", host.gpu_host().devices()?);
/// # }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`InvalidRequest`](FabricError::InvalidRequest) for any other value: a program never falls back to another kind of
/// device than was asked for. [`GpuError::Unavailable`](grafos_std::gpu::GpuError::Unavailable), and those of
/// [`LocalHost::open`](grafos_std::host::LocalHost::open).
pub fn host_from_env() -> Result<Host> {
    let gpu = match Choice::of(env::var_os(GPU_VARIABLE).as_deref())? {
        Choice::Local => return LocalHost::open(),
        Choice::Cuda(Some(device)) => CudaHost::open(device)?,
        Choice::Cuda(None) => CudaHost::builder().open()?,
    };
    Host::builder().gpu(Arc::new(gpu)).build()
}

/// What a value of the variable means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Choice {
    Local,
    Cuda(Option<u32>),
}

impl Choice {
    fn of(value: Option<&OsStr>) -> Result<Self> {
        let Some(value) = value else { return Ok(Self::Local) };
        let invalid = || FabricError::InvalidRequest {
            what: GPU_VARIABLE,
            expected: "host, cuda, or cuda:N with the number of a device",
            found: value.to_string_lossy().into_owned(),
        };
        match value.to_str() {
            Some("" | "host") => Ok(Self::Local),
            Some("cuda") => Ok(Self::Cuda(None)),
            Some(text) => {
                let number =
                    text.strip_prefix("cuda:").filter(|number| number.bytes().all(|b| b.is_ascii_digit()));
                number
                    .and_then(|number| number.parse().ok())
                    .map(|device| Self::Cuda(Some(device)))
                    .ok_or_else(invalid)
            }
            None => Err(invalid()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_variable_names_a_host_or_is_refused() {
        let choice = |value: &str| Choice::of(Some(OsStr::new(value))).ok();
        assert_eq!(Choice::of(None).unwrap(), Choice::Local);
        assert_eq!(choice(""), Some(Choice::Local));
        assert_eq!(choice("host"), Some(Choice::Local));
        assert_eq!(choice("cuda"), Some(Choice::Cuda(None)));
        assert_eq!(choice("cuda:0"), Some(Choice::Cuda(Some(0))));
        assert_eq!(choice("cuda:17"), Some(Choice::Cuda(Some(17))));
        for wrong in ["CUDA", "cuda:", "cuda:x", "cuda:-1", "cuda:+1", "cuda:99999999999", "cuda0", "gpu"] {
            assert_eq!(choice(wrong), None, "{wrong}");
        }
    }
}
