//! A stand-in for NVIDIA's `libcuda.so`: the entry points that `grafos-gpu-cuda` calls, with kernels run by the PTX
//! virtual machine. It exists so that the whole CUDA path is tested on machines without a GPU.
//!
//! It models what our code must get right, and where a driver leaves it open it takes the harder way:
//! - every stream is asynchronous: work runs on a thread of its own, in order within a stream, unordered between
//!   streams but for events;
//! - an asynchronous copy of pinned memory looks at that memory when it runs, not when it is called;
//! - a kernel's fault appears at a later call and then sticks to its context;
//! - calls act on the context that is current on the calling thread, and an unknown handle is an error;
//! - a destroyed context takes everything with it, and what it took is counted.
//!
//! It is not a proof of what NVIDIA's driver does: the same suites must pass on a device.
//!
//! Invariant: no panic leaves an entry point, and no handle that a caller passes is ever dereferenced.
//!
//! # Controls
//!
//! By environment, read at the first call:
//!
//! | variable | is |
//! |---|---|
//! | `GRAFOS_STANDIN_FAIL` | `function:nth:code`, several with commas: the nth call answers `code` and does nothing |
//! | `GRAFOS_STANDIN_DEVICES` | how many devices there are (1) |
//! | `GRAFOS_STANDIN_NAME` | their name |
//! | `GRAFOS_STANDIN_MEMORY` | bytes of memory of a device (4 GiB) |
//! | `GRAFOS_STANDIN_VERSION` | what `cuDriverGetVersion` answers (13000) |
//! | `GRAFOS_STANDIN_COMPUTE_MODE` | the compute mode of a device (0; 2 is prohibited) |
//! | `GRAFOS_STANDIN_INSTRUCTIONS` | a kernel that executes more ends with a time-out, as under a watchdog |
//! | `GRAFOS_STANDIN_FAULT_SCOPE` | `process`: a kernel's fault sticks to every context, also to new ones |
//!
//! By the symbols of `control`, which no driver has: `grafos_standin_fail`, `grafos_standin_calls`,
//! `grafos_standin_function`,
//! `grafos_standin_live` and `grafos_standin_poke`. Besides functions, faults can be set for `kernel` (the nth
//! kernel that runs).

mod code;
mod config;
mod context;
mod control;
mod driver;
mod entry;
mod event;
mod inject;
mod module;
mod pinned;
mod stream;
mod sync;
