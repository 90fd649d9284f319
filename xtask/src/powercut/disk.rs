//! [`LoggedDisk`]: a disk whose every write and flush goes to a log, in order.
//!
//! qemu's storage daemon exports a file over FUSE; its `blklogwrites` driver writes the log. Nothing here waits for
//! the media of this machine: the rig itself never loses power.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::PowercutError;
use super::talker::{self, Stop, Talker};
use crate::error::XtaskError;
use crate::step;

/// Large enough for ext4 with a journal and for the volumes of the workloads.
pub(crate) const DISK_BYTES: u64 = 128 << 20;

const DAEMON: &str = "qemu-storage-daemon";

/// A disk that logs.
#[derive(Debug)]
pub(crate) struct LoggedDisk {
    daemon: Option<Talker>,
    export: PathBuf,
    log: PathBuf,
}

impl LoggedDisk {
    /// Makes a blank disk in `folder` and begins its log.
    ///
    /// # Errors
    /// `EndedEarly` with what the daemon said, if it can't.
    pub(crate) fn start(folder: &Path, stop: &Stop) -> Result<Self, XtaskError> {
        let [disk, log, export] = ["disk.img", "log.img", "export.img"].map(|name| folder.join(name));
        for (path, bytes) in [(&disk, DISK_BYTES), (&log, 0), (&export, 0)] {
            let made = File::create_new(path).and_then(|file| file.set_len(bytes));
            made.map_err(|source| XtaskError::io("make a file", path, source))?;
        }
        let option = |name: &'static str, value: &str, path: &Path| {
            // A comma ends a value in this syntax, unless it is doubled.
            [name.to_owned(), format!("{value}{}", path.display().to_string().replace(',', ",,"))]
        };
        let mut command = talker::tethered(DAEMON);
        command.args(option("--blockdev", "driver=file,node-name=disk,cache.no-flush=on,filename=", &disk));
        command.args(option("--blockdev", "driver=file,node-name=log,cache.no-flush=on,filename=", &log));
        command.args([
            "--blockdev",
            "driver=blklogwrites,node-name=logged,file=disk,log=log,log-sector-size=512",
        ]);
        command.args(option(
            "--export",
            "type=fuse,id=export,node-name=logged,writable=on,mountpoint=",
            &export,
        ));
        // Last, so that its greeting says that all of the above stands.
        command.args(["--chardev", "stdio,id=control", "--monitor", "control"]);
        let daemon = Talker::start(DAEMON, command, &folder.join("daemon.txt"), stop, || 0)?;
        let this = Self { daemon: Some(daemon), export, log };
        this.heard("QMP")?;
        Ok(this)
    }

    /// The disk itself, to be formatted and mounted.
    pub(crate) fn export(&self) -> &Path {
        &self.export
    }

    /// The log.
    pub(crate) fn log(&self) -> &Path {
        &self.log
    }

    /// Closes the disk, which must not be mounted any more. The log is whole then.
    pub(crate) fn close(mut self) -> Result<(), XtaskError> {
        for (order, answer) in [("qmp_capabilities", "return"), ("quit", "return")] {
            if let Some(daemon) = &mut self.daemon {
                daemon.say(&format!("{{\"execute\":\"{order}\"}}"));
            }
            self.heard(answer)?;
        }
        let Some(daemon) = self.daemon.take() else { return Ok(()) };
        while daemon.next()?.is_some() {}
        let stderr = daemon.said_on_stderr();
        if daemon.wait() {
            Ok(())
        } else {
            Err(PowercutError::EndedEarly { program: DAEMON.to_owned(), stderr }.into())
        }
    }

    /// Waits for an answer that has `word` for a key; events may come in between.
    fn heard(&self, word: &str) -> Result<(), XtaskError> {
        let Some(daemon) = &self.daemon else { return Ok(()) };
        loop {
            let line = daemon.expect()?.text;
            if line.contains(&format!("\"{word}\"")) {
                return Ok(());
            }
            if !line.contains("\"event\"") {
                return Err(PowercutError::Unexpected { program: DAEMON.to_owned(), line }.into());
            }
        }
    }
}

impl Drop for LoggedDisk {
    fn drop(&mut self) {
        if let Some(daemon) = self.daemon.take() {
            drop(daemon);
            // Killed, it leaves its export behind.
            let _ = step::capture(Command::new("umount").arg("--lazy").arg(&self.export));
        }
    }
}

/// How long the log is now, in bytes. Qemu counts the entries in the log's head only when it flushes, but a write
/// is in the file before it is done.
pub(crate) fn log_bytes(log: &Path) -> u64 {
    fs::metadata(log).map_or(0, |metadata| metadata.len())
}

/// What a disk is formatted with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FileSystem {
    /// With its defaults: its journal makes good what a cut leaves.
    Ext4,
    /// Without a journal: what was synced is there after a cut, but somebody has to make the rest consistent.
    Ext4WithoutJournal,
}

impl FileSystem {
    /// Makes it, all of it now: nothing is left to be written in the background.
    ///
    /// # Errors
    /// `Command` with what `mkfs.ext4` said.
    pub(crate) fn format(self, device: &Path) -> Result<(), XtaskError> {
        let now = "nodiscard,lazy_itable_init=0,lazy_journal_init=0";
        let mut command = Command::new("mkfs.ext4");
        command.args(["-q", "-F", "-b", "4096", "-E", now]);
        if self == Self::Ext4WithoutJournal {
            command.args(["-O", "^has_journal"]);
        }
        step::capture(command.arg(device)).map(drop)
    }

    /// Does after a cut what has to be done before it can be mounted.
    ///
    /// # Errors
    /// `Command` with what `e2fsck` said, if it could not make it consistent.
    pub(crate) fn repair(self, image: &Path) -> Result<(), XtaskError> {
        if self == Self::Ext4 {
            return Ok(());
        }
        // The first run may end with 1: it has repaired something. A second one that finds nothing to do says so.
        let mut repair = Command::new("e2fsck");
        let _ = step::capture(repair.args(["-fy"]).arg(image));
        step::capture(Command::new("e2fsck").args(["-fn"]).arg(image)).map(drop)
    }
}
