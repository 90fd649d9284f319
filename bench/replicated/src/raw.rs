//! [`Raw`]: the baseline, the same bytes in three new files at once.
//!
//! As little as a write needs that survives a power cut: a new file, all of it in one write, a sync of the file, a sync
//! of the directory. One thread for each file, which waits for its work before the clock starts. No format, no digest,
//! no name that appears in one step.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};

use crate::Result;
use crate::ours::REPLICAS;

type State = Arc<Vec<u8>>;
type Done = std::io::Result<()>;

/// Three directories, and a thread for each.
pub(crate) struct Raw {
    writers: Vec<Writer>,
    done: Receiver<Done>,
}

struct Writer {
    dir: PathBuf,
    work: Option<Sender<(State, PathBuf)>>,
    thread: Option<JoinHandle<()>>,
    count: u64,
}

impl Raw {
    pub(crate) fn create(dir: &Path) -> Result<Self> {
        let (tell, done) = channel();
        let writers: Result<Vec<_>> =
            (0..REPLICAS).map(|nth| Writer::start(dir.join(format!("raw-{nth}")), tell.clone())).collect();
        Ok(Self { writers: writers?, done })
    }

    /// Returns when all three would survive a power cut.
    pub(crate) fn write(&mut self, state: &State) -> Result<()> {
        for writer in &mut self.writers {
            writer.begin(Arc::clone(state))?;
        }
        // All are heard, so that none is taken for the next one's.
        let all: Vec<Done> = self.done.iter().take(self.writers.len()).collect();
        Ok(all.into_iter().collect::<std::io::Result<()>>()?)
    }

    /// The file written last, with its digest, as somebody would read it who trusts nothing.
    pub(crate) fn read(&self) -> Result<(Vec<u8>, blake3::Hash)> {
        let writer = self.writers.first().ok_or("there are no files")?;
        let bytes = fs::read(writer.path(writer.count))?;
        let digest = blake3::hash(&bytes);
        Ok((bytes, digest))
    }

    /// Makes room, off the clock.
    pub(crate) fn tidy(&self) -> Result<()> {
        for writer in &self.writers {
            for entry in fs::read_dir(&writer.dir)? {
                let path = entry?.path();
                if path != writer.path(writer.count) {
                    fs::remove_file(path)?;
                }
            }
        }
        Ok(())
    }
}

impl Writer {
    fn start(dir: PathBuf, tell: Sender<Done>) -> Result<Self> {
        fs::create_dir(&dir)?;
        let names = File::open(&dir)?;
        let (work, to_do) = channel::<(State, PathBuf)>();
        let thread = thread::spawn(move || {
            for (state, path) in to_do {
                let done = write_durably(&names, &path, &state);
                // The next change needs it alone.
                drop(state);
                if tell.send(done).is_err() {
                    return;
                }
            }
        });
        Ok(Self { dir, work: Some(work), thread: Some(thread), count: 0 })
    }

    fn begin(&mut self, state: State) -> Result<()> {
        self.count += 1;
        let path = self.path(self.count);
        let work = self.work.as_ref().ok_or("a writer has ended")?;
        work.send((state, path)).map_err(|_| "a writer has ended")?;
        Ok(())
    }

    fn path(&self, nth: u64) -> PathBuf {
        self.dir.join(nth.to_string())
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // Without work to come, the thread ends.
        self.work = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn write_durably(names: &File, path: &Path, state: &[u8]) -> Done {
    let mut file = File::create_new(path)?;
    file.write_all(state)?;
    file.sync_all()?;
    names.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_lies_in_three_files_and_the_newest_stays() {
        let dir = tempfile::tempdir().unwrap();
        let mut raw = Raw::create(dir.path()).unwrap();
        for round in 0..3_u8 {
            let state = Arc::new(vec![round; 5000]);
            raw.write(&state).unwrap();
            assert_eq!(Arc::strong_count(&state), 1);
            raw.tidy().unwrap();
            let (bytes, digest) = raw.read().unwrap();
            assert!(bytes == *state && digest == blake3::hash(&state));
        }
        for nth in 0..REPLICAS {
            let files: Vec<_> = fs::read_dir(dir.path().join(format!("raw-{nth}"))).unwrap().collect();
            assert_eq!(files.len(), 1);
        }
    }

    #[test]
    fn a_write_that_fails_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let mut raw = Raw::create(dir.path()).unwrap();
        fs::write(dir.path().join("raw-1").join("1"), b"in the way").unwrap();
        assert!(raw.write(&Arc::new(vec![1])).is_err());
        raw.write(&Arc::new(vec![2])).unwrap();
    }
}
