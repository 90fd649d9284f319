//! Recipe 54: two jobs share one GPU under `Shared` leases. Their kernels take turns, and neither sees a byte of the
//! other's memory.
//!
//! Each [`Job`] has a lease with memory of its own, and cuts its work into short kernels, so that the device can go to
//! the other one in between. [`share`] runs two of them, and tries to look over the wall.
//!
//! ```
//! use cookbook_recipe_54_kernel_time_slicing::{SLICES, share};
//! use grafos_std::host::LocalHost;
//! # let home = tempfile::tempdir()?;
//!
//! let host = LocalHost::builder().home(home.path()).open()?;
//! let ending = share(&host, &mut std::io::sink())?;
//! assert_eq!(ending.slices, [SLICES; 2]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod error;
mod job;
mod story;

pub use error::RecipeError;
pub use job::{Job, SLICES, STATE_BYTES, Waiting};
pub use story::{Ending, share};

/// The programs of the README are compiled.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
