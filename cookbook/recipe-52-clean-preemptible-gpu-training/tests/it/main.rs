//! The recipe as its users meet it: the step over hosts and engines that fail on purpose, the program with real
//! processes that are really killed.
#![cfg(test)]

mod child;
mod cloud;
mod cuda_standin;
mod job_command_line;
mod job_crashes;
mod job_kills;
mod job_loop;
mod job_program;
mod job_world;
mod mortal;
mod published;
mod step;
mod step_failures;
mod step_killed;
mod step_reconciled;
mod step_world;
mod trainer;
