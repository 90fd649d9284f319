//! What our benchmarks share: medians and ratios, targets, sizes and rounds, bytes to write, the machine's description,
//! tables and axes.
//!
//! A benchmark says what is measured and what was promised; nothing here does.

mod axis;
mod bytes;
mod figures;
mod machine;
mod noise;
mod rounds;
mod stats;
mod stopwatch;
mod table;
mod target;

pub use axis::Axis;
pub use bytes::{BadSize, ByteSize, mebibytes, per_sec, rate};
pub use figures::{seconds, three_digits};
pub use machine::{Machine, file_system_of};
pub use noise::{fill, mixed};
pub use rounds::{repeats, settle, turns};
pub use stats::{Ratio, Samples};
pub use stopwatch::timed;
pub use table::Table;
pub use target::{Target, Verdict};
