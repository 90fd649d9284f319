//! The story as its readers see it, and revocations in the middle of any kernels.
#![cfg(test)]

mod readme;
mod revocations;
