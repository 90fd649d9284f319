//! Where lines go. A reader that went away (`grafos … | head`) ends nothing and panics nothing.

use std::io::{self, Write};

/// A line to standard output.
pub(crate) fn line(line: &str) {
    // Whoever closed the pipe has read enough.
    let _ = writeln!(io::stdout(), "{line}");
}

/// A line to standard error.
pub(crate) fn complain(line: &str) {
    // There is nobody left to tell.
    let _ = writeln!(io::stderr(), "{line}");
}
