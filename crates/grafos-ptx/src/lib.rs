//! Runs PTX kernels on the CPU.
//!
//! PTX is the assembly language that CUDA compilers emit and drivers take. This crate loads the same bytes, checks
//! them, and runs them on the processor, a warp of 32 threads at a time and blocks in parallel, with every access to
//! memory checked. It knows nothing of leases or hosts.
//!
//! ```
//! use grafos_ptx::{DeviceMemory, Interrupt, Launch, Limits, LoadedModule, Module};
//!
//! let module = Module::load(br"
//!     .version 7.0
//!     .target sm_70
//!     .address_size 64
//!     .visible .entry add(.param .u64 a, .param .u64 b, .param .u64 sum, .param .u32 count)
//!     {
//!         .reg .pred %p<2>;
//!         .reg .f32 %f<4>;
//!         .reg .b32 %r<6>;
//!         .reg .b64 %rd<8>;
//!         ld.param.u64 %rd1, [a];
//!         ld.param.u64 %rd2, [b];
//!         ld.param.u64 %rd3, [sum];
//!         ld.param.u32 %r1, [count];
//!         mov.u32 %r2, %ctaid.x;
//!         mov.u32 %r3, %ntid.x;
//!         mov.u32 %r4, %tid.x;
//!         mad.lo.s32 %r5, %r2, %r3, %r4;
//!         setp.ge.u32 %p1, %r5, %r1;
//!         @%p1 bra DONE;
//!         mul.wide.u32 %rd4, %r5, 4;
//!         add.s64 %rd5, %rd1, %rd4;
//!         add.s64 %rd6, %rd2, %rd4;
//!         add.s64 %rd7, %rd3, %rd4;
//!         ld.global.f32 %f1, [%rd5];
//!         ld.global.f32 %f2, [%rd6];
//!         add.f32 %f3, %f1, %f2;
//!         st.global.f32 [%rd7], %f3;
//!     DONE:
//!         ret;
//!     }
//! ")?;
//!
//! let memory = DeviceMemory::new(1 << 30);
//! let loaded = LoadedModule::new(&module, &memory)?;
//! let count = 1000_u32;
//! let numbers: Vec<u8> = (0..count).flat_map(|i| (i as f32).to_le_bytes()).collect();
//! let [a, b, sum] = [memory.alloc(4000)?, memory.alloc(4000)?, memory.alloc(4000)?];
//! memory.write(a, &numbers)?;
//! memory.write(b, &numbers)?;
//!
//! let mut params = Vec::new();
//! for address in [a, b, sum] {
//!     params.extend(address.to_le_bytes());
//! }
//! params.extend(count.to_le_bytes());
//! let launch = Launch { grid: [4, 1, 1], block: [256, 1, 1], shared_bytes: 0, params: &params };
//! loaded.launch("add", &launch, &Limits::default(), &Interrupt::new()).outcome?;
//!
//! let mut last = [0; 4];
//! memory.read(sum + 4 * 999, &mut last)?;
//! assert_eq!(f32::from_le_bytes(last), 1998.0);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod alu;
mod compute;
mod error;
mod exec;
mod launch;
mod loaded;
mod lower;
mod memory;
mod module;
mod program;
mod syntax;
mod types;

pub use error::{
    AccessKind, Fault, FaultKind, LaunchError, LoadError, LoadErrorKind, MemoryError, MemorySpace,
};
pub use launch::{Interrupt, Launch, LaunchReport, Limits};
pub use loaded::LoadedModule;
pub use memory::DeviceMemory;
pub use module::{KernelInfo, Module, ParamLayout};
