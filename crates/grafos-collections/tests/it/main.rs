//! Durable values on faulty disks: what the documentation promises, one file for each promise.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::cast_possible_truncation,
    reason = "a test that meets what it does not expect must end"
)]

mod background;
mod bulk;
mod contract;
mod crash;
mod damage;
mod golden;
mod history;
mod inspect;
mod observability;
mod partial;
mod sizes;
mod world;
