//! What our benchmarks share: medians and ratios, targets, the machine's description, tables and axes.
//!
//! A benchmark says what is measured and what was promised; nothing here does.

mod axis;
mod figures;
mod machine;
mod stats;
mod stopwatch;
mod table;
mod target;

pub use axis::Axis;
pub use figures::{seconds, three_digits};
pub use machine::Machine;
pub use stats::{Ratio, Samples};
pub use stopwatch::timed;
pub use table::Table;
pub use target::{Target, Verdict};
