//! Who may write: leases, fencing epochs, lease states and clocks.
//!
//! Everything above this crate holds its resources under a *lease* (a right to use something, for a time) and
//! writes under an *epoch* (a number that orders writers). This crate holds the rules and nothing else: it does
//! no I/O, starts no threads, and decides nothing by itself. The one look at the outside world,
//! [`clock::SystemClock`], stands behind the [`clock::Clock`] trait.
//!
//! ```
//! use fabricbios_core::lease::{FenceEpoch, FenceGuard};
//!
//! let guard = FenceGuard::new(FenceEpoch(7));
//! assert!(guard.check(FenceEpoch(7)).is_ok());
//! guard.advance()?;
//! assert!(guard.check(FenceEpoch(7)).is_err(), "a stale writer is turned away where its write lands");
//! # Ok::<(), fabricbios_core::lease::EpochExhausted>(())
//! ```

pub mod clock;
pub mod lease;
pub mod recovery;
pub mod resource;
pub mod state;

pub use recovery::Recovery;
