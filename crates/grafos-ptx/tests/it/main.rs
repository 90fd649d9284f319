//! The integration tests of this crate.
#![cfg(test)]

mod corpus;
mod load;
mod run;
mod ops;
