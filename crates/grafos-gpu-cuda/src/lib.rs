//! GPU sessions on NVIDIA devices: [`CudaHost`], a backend for the GPUs of `grafos-std`.
//!
//! The driver is loaded at run time, so a program with this crate builds and starts everywhere. Where there is no driver
//! or no device, [`CudaHost::open`] answers [`GpuError::Unavailable`](grafos_std::gpu::GpuError::Unavailable) with what
//! is missing; nothing in here panics for that.
//!
//! ```
//! use grafos_gpu_cuda::WithCuda;
//! use grafos_std::gpu::{GpuBuilder, GpuSession};
//! use grafos_std::host::Host;
//!
//! fn run() -> grafos_std::Result<Vec<u8>> {
//!     let host = Host::with_cuda(0)?;
//!     let lease = GpuBuilder::new().on(&host).min_vram(1 << 20).acquire()?;
//!     let mut session = GpuSession::new(&lease);
//!     let memory = session.mem_alloc(16)?;
//!     session.mem_read(&memory, 0, 16_u64)
//! }
//!
//! match run() {
//!     Ok(bytes) => assert_eq!(bytes, [0; 16]),
//!     Err(error) => println!("{error}"),
//! }
//! ```
//!
//! A session is a context of its own. What is special about it, beside the contract of
//! [`DeviceSession`](grafos_std::host::DeviceSession):
//!
//! - **No call stops a kernel.** A lease that ends fails closed at once; its memory is zeroed and freed when its kernels
//!   have ended, by a thread if need be, and until then the host counts the session and keeps others out.
//! - **A kernel's fault** ends its context, and NVIDIA says that it may end the process's use of the device: a new
//!   session is refused then, with the same fault. Memory of a context with a fault is freed with it, but only zeroed
//!   when it is allocated again.
//! - **Variables of modules** are freed and not zeroed: the driver does not list them.
//! - **A kernel** reaches what the driver maps into its context, page-locked memory of the program included. Run a kernel
//!   that you don't trust on the local host.
//!
//! This is the only library of the workspace with `unsafe` code for GPUs: all of it is in `driver`, `symbols` and
//! `probe`, and in the few places of `session` that keep what a call of those asks for.

mod book;
mod code;
mod device;
mod driver;
mod host;
mod image;
mod lease;
mod probe;
mod select;
mod session;
mod symbols;
mod term;

pub use host::{CudaHost, CudaHostBuilder};
pub use select::{GPU_VARIABLE, WithCuda, host_from_env};
