//! The story as its readers see it, and the trainer that loses.
#![cfg(test)]

mod loser;
mod readme;
