//! Tests of the CUDA host: against the stand-in driver in processes of their own, and without any driver.
//!
//! No GPU is needed, and none is used: what is proved here is our code. The same conformance suite runs on a device by
//! `cargo xtask gpu`.
#![cfg(test)]

mod behaviour;
mod child;
mod conformance;
mod every_call_fails;
mod scenario;
mod standin;
mod unavailable;
