//! Recipe 55: a kernel is stopped in its middle by a revocation, and the work goes on from the last checkpoint, on a
//! fresh lease.
//!
//! A long kernel is the worst case of a preemption: all that it has done is in registers and device memory, and both are
//! gone with the lease. So the work is cut into slices, with a checkpoint behind each. [`Walk`] is the work, [`run`] the
//! loop that gets it done on GPUs that are taken away.
//!
//! ```
//! use cookbook_recipe_55_intra_kernel_revocation::{Walk, run};
//! use grafos_replicated::Engine;
//! use grafos_replicated::embedded::EmbeddedHome;
//! use grafos_std::host::LocalHost;
//! # let home = tempfile::tempdir()?;
//! # let home = home.path();
//!
//! let host = LocalHost::builder().home(home).open()?;
//! let engine = Engine::from(EmbeddedHome::builder().home(home).open()?);
//! let walk = Walk { slices: 4, rounds: 100 };
//! let ending = run(&host, &engine, walk, &[2, 3], &mut std::io::sink())?; // revoked in the middle of slices 2 and 3
//! assert_eq!(ending.launches, 6);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod error;
mod slice;
mod walk;

pub use error::RecipeError;
pub use slice::{FIRST_STATE, WALKERS, Walk};
pub use walk::{Ending, run};

/// The programs of the README are compiled.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
