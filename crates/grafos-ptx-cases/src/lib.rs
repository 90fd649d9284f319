//! What our kernels must do, as data.
//!
//! A [`Case`] is a small test of one kernel file of `kernels/`: buffers with their first bytes, launches in order, and
//! the bytes that a reference in plain Rust expects in every buffer afterwards (inputs included, so that a stray write
//! shows). A [`Module`] is the PTX of such a file from one compiler. Whoever runs PTX (the virtual machine, a driver)
//! runs every case of [`cases`] on every module of [`modules`] with the same [`Module::name`] as [`Case::module`], and
//! asks [`Buffer::verify`].
//!
//! This package runs nothing itself and depends on nothing that does.
//!
//! ```
//! let module = grafos_ptx_cases::modules().next().unwrap();
//! let case = grafos_ptx_cases::cases_of(module.name).remove(0);
//! assert_eq!(case.module, module.name);
//! let buffer = &case.buffers[0];
//! assert!(buffer.verify(&buffer.expected).is_ok());
//! ```

mod case;
mod cases;
mod half;
mod module;
mod random;

pub use case::{Arg, Buffer, BufferIndex, Case, Check, Difference, Ending, Step};
pub use cases::{cases, cases_of};
pub use module::{Compiler, Module, modules};
