//! [`Output`]: a stream of lines that may break without breaking anything else.

use std::io::{self, ErrorKind, Write};

/// Writes whole lines and flushes each. After the first failure it is silent.
pub struct Output {
    /// `None` once a write has failed.
    to: Option<Box<dyn Write + Send>>,
}

impl Output {
    /// Standard output.
    #[must_use]
    pub fn stdout() -> Self {
        Self::new(io::stdout())
    }

    /// Any other place.
    #[must_use]
    pub fn new(to: impl Write + Send + 'static) -> Self {
        Self { to: Some(Box::new(to)) }
    }

    /// Writes a line. A reader that is gone is no reason to lose a computation.
    pub fn line(&mut self, line: &str) {
        let Some(to) = &mut self.to else { return };
        let written = to.write_all(format!("{line}\n").as_bytes()).and_then(|()| to.flush());
        if let Err(error) = written {
            self.to = None;
            if error.kind() != ErrorKind::BrokenPipe {
                complain(&format!("the output can't be written ({error}); the run goes on without it"));
            }
        }
    }
}

/// Writes a line to standard error, if anybody is there to read it.
pub fn complain(line: &str) {
    // There is nobody left to tell.
    let _ = writeln!(io::stderr(), "{line}");
}

#[cfg(test)]
pub(super) mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    /// Keeps what is written.
    #[derive(Clone, Default)]
    pub(in crate::report) struct Written(Arc<Mutex<Vec<u8>>>);

    impl Written {
        pub(in crate::report) fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    impl Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// Takes a number of writes, then fails for good.
    struct Pipe {
        read: Written,
        writes_left: usize,
    }

    impl Write for Pipe {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.writes_left = self.writes_left.checked_sub(1).ok_or(ErrorKind::BrokenPipe)?;
            self.read.write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_closed_pipe_silences_the_output_and_nothing_more() {
        let read = Written::default();
        let mut output = Output::new(Pipe { read: read.clone(), writes_left: 2 });
        for line in ["one", "two", "three", "four"] {
            output.line(line);
        }
        assert_eq!(read.text(), "one\ntwo\n");
    }
}
