//! What the machine does with a kernel that was loaded: control flow, memory, meetings of threads, faults, ends.
#![allow(clippy::cast_possible_truncation, reason = "oracles cut numbers as the machine does")]

mod atomics;
mod barriers;
mod damaged;
mod divergence;
mod ends;
mod faults;
mod launches;
mod memory;
mod print;
mod rig;
mod spaces;
mod together;
