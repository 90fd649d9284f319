//! The recipe as its users meet it: the program with real processes that are really killed, and the library over
//! hosts that fail on purpose.
#![cfg(test)]

mod command_line;
mod fan_out;
mod faults;
mod full_disk;
mod ledger;
mod replay;
mod run_loop;
mod signals;
mod support;
mod torture;
