//! [`Report`]: the tables, the document around them, and the plot.

mod document;
mod judged;
mod plot;
#[cfg(test)]
mod sample;
mod table;

use std::fs;
use std::path::Path;

use grafos_bench_support::Machine;

use crate::Result;
use crate::measure::Results;

pub(crate) struct Report {
    /// What was asked for, on a command line.
    pub(crate) command: String,
    pub(crate) computer: Machine,
    pub(crate) file_system: String,
    pub(crate) rounds: u32,
    pub(crate) results: Results,
}

impl Report {
    /// All tables, as Markdown.
    pub(crate) fn tables(&self) -> String {
        format!("{}, {}\n\n{}", self.computer, self.file_system, table::all(&self.results))
    }

    /// Writes `kernel.md` and `kernel.svg`.
    pub(crate) fn write_to(&self, dir: &Path) -> Result<()> {
        fs::create_dir_all(dir)?;
        fs::write(dir.join("kernel.svg"), plot::svg(&self.results)?)?;
        fs::write(dir.join("kernel.md"), document::markdown(self))?;
        Ok(())
    }

    /// How many targets were missed.
    pub(crate) fn missed(&self) -> usize {
        judged::missed(&self.results)
    }
}
