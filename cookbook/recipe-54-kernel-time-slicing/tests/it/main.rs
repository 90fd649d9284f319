//! The story as its readers see it, and the wall between two jobs.
#![cfg(test)]

mod jobs;
mod readme;
