//! What conformance suites and fault decorators are made of.
//!
//! A suite is a list of [`Rule`]s, each one named sentence of a contract. [`assert_all`] runs them all, each on a
//! thing of its own, and names all that are broken:
//!
//! ```
//! use grafos_suite::{Rule, assert_all, rules};
//!
//! mod order {
//!     # use grafos_suite::{Checked, ensure_eq};
//!     pub(crate) fn what_goes_in_first_comes_out_first(queue: &[u8; 2]) -> Checked {
//!         ensure_eq!(queue[0], 1, "the first of {} elements", queue.len());
//!         Ok(())
//!     }
//! }
//!
//! const RULES: &[Rule<[u8; 2]>] = rules![order::{ what_goes_in_first_comes_out_first }];
//! assert_all("Queue", RULES, || [1, 2]);
//! ```
//!
//! Not for users: traits come with suites of their own, behind a feature `testing` of the crate that has the trait.

mod random;
mod rule;

pub use random::{Random, mix};
pub use rule::{Broken, Checked, Rule, assert_all};
