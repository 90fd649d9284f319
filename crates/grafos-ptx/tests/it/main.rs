//! The integration tests of this crate.
#![cfg(test)]

mod corpus;
mod load;
mod ops;
mod run;
