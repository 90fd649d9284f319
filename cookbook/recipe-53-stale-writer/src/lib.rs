//! Recipe 53: two trainers and one lease. The one who loses it is told, and can't publish, whatever it tries.
//!
//! A trainer that was frozen, swapped out or cut off does not know that time has passed. It wakes up with a result in
//! its hands, sure that the job is its own. [`Trainer`] is such a trainer; [`tell`] lets two of them meet.
//!
//! ```
//! use cookbook_recipe_53_stale_writer::tell;
//! use grafos_replicated::Engine;
//! use grafos_replicated::embedded::EmbeddedHome;
//! use grafos_std::host::LocalHost;
//! # let home = tempfile::tempdir()?;
//! # let home = home.path();
//!
//! let host = LocalHost::builder().home(home).open()?;
//! let engine = Engine::from(EmbeddedHome::builder().home(home).open()?);
//! let ending = tell(&host, &engine, &mut std::io::sink())?;
//! assert_eq!(ending.version.0, cookbook_recipe_53_stale_writer::STEPS);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod error;
mod story;
mod trainer;

pub use error::RecipeError;
pub use story::{Ending, STEPS, tell};
pub use trainer::{Computed, FIRST_STATE, Trainer};

/// The programs of the README are compiled.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
