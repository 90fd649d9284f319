//! [`Finding`]: one place where a house rule is broken.

use std::fmt;

/// One place where a house rule is broken. Ordered by place.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Finding {
    /// Relative to the root of the repository.
    pub(crate) path: String,
    /// Counted from 1; `None` for the file as a whole.
    pub(crate) line: Option<usize>,
    /// What is wrong and what to do.
    pub(crate) problem: String,
}

impl Finding {
    /// Something about a file as a whole.
    pub(crate) fn file(path: &str, problem: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line: None, problem: problem.into() }
    }

    /// Something about one line, counted from 0.
    pub(crate) fn line(path: &str, index: usize, problem: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line: Some(index + 1), problem: problem.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}:{line}: {}", self.path, self.problem),
            None => write!(f, "{}: {}", self.path, self.problem),
        }
    }
}
