//! What worlds show, seen from outside.

mod history;
mod mutants;
mod wgl;
mod worlds;
