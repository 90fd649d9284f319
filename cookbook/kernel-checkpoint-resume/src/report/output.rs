//! [`Output`]: a stream of lines that may break without breaking anything else.

use std::io::{self, ErrorKind, Write};

/// Writes whole lines and flushes each. After the first failure it is silent.
pub(super) struct Output {
    /// `None` once a write has failed.
    to: Option<Box<dyn Write>>,
}

impl Output {
    pub(super) fn stdout() -> Self {
        Self::new(io::stdout())
    }

    fn new(to: impl Write + 'static) -> Self {
        Self { to: Some(Box::new(to)) }
    }

    /// Writes a line. A reader that is gone is no reason to lose a computation.
    pub(super) fn line(&mut self, line: &str) {
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
pub(crate) fn complain(line: &str) {
    // There is nobody left to tell.
    let _ = writeln!(io::stderr(), "{line}");
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::rc::Rc;

    use super::*;

    /// Takes a number of writes, then fails for good.
    struct Pipe {
        read: Rc<RefCell<Vec<u8>>>,
        writes_left: usize,
    }

    impl Write for Pipe {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.writes_left = self.writes_left.checked_sub(1).ok_or(ErrorKind::BrokenPipe)?;
            self.read.borrow_mut().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_closed_pipe_silences_the_output_and_nothing_more() {
        let read = Rc::<RefCell<Vec<u8>>>::default();
        let mut output = Output::new(Pipe { read: Rc::clone(&read), writes_left: 2 });
        for line in ["one", "two", "three", "four"] {
            output.line(line);
        }
        assert_eq!(read.borrow().as_slice(), b"one\ntwo\n");
    }
}
