//! The program as its users see it: cut off in every way, and compared bit by bit with a run that nobody disturbed; and
//! the wave as physics knows it.
#![cfg(test)]

mod archive;
mod command_line;
mod cuda_standin;
mod physics;
mod program;
mod readme;
mod resume;
