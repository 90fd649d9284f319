//! Runs a workload on a disk that logs, then tries the crash states of that log one by one.

use std::fs::{self, File};
use std::ops::Range;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::crash_state::CrashState;
use super::disk::{self, DISK_BYTES, LoggedDisk};
use super::evidence::{self, FailedState};
use super::history::{Fact, Heard, History};
use super::judge::{self, Fault, Found, Verdict};
use super::mount::Mounted;
use super::report::{self, Tally};
use super::talker::{Line, Stop, Talker};
use super::workload::{Place, Workload};
use super::write_log::WriteLog;
use super::{PowercutArgs, PowercutError, plan, programs};
use crate::error::XtaskError;
use crate::step::Stopwatch;

/// How often a workload is started; each start but the first goes on after a kill.
const SESSIONS: usize = 3;

/// Checkpoints in a session, at the least and at the most; in between, as many as there are states to try.
const CHECKPOINTS: Range<usize> = 12..150;

/// So many broken states are shown and kept, of each workload; the others are only counted.
const MAX_SHOWN: usize = 10;

/// The folder of the local host, on the disk.
const HOME: &str = "home";

/// A workload's run: its write log and what it said.
#[derive(Debug)]
pub(crate) struct Recording {
    pub(crate) log_path: PathBuf,
    pub(crate) log: File,
    pub(crate) entries: WriteLog,
    pub(crate) history: History,
}

impl Recording {
    /// Reads a write log.
    ///
    /// # Errors
    /// [`PowercutError::Log`] if it is none.
    pub(crate) fn open(log_path: &Path, history: History) -> Result<Self, XtaskError> {
        let log =
            File::open(log_path).map_err(|source| XtaskError::io("open the write log", log_path, source))?;
        let entries = WriteLog::read(std::io::BufReader::new(&log), DISK_BYTES);
        let entries = entries.map_err(|source| PowercutError::Log { path: log_path.to_owned(), source })?;
        Ok(Self { log_path: log_path.to_owned(), log, entries, history })
    }

    /// What had been heard when the first `cut` entries had happened and no more had begun.
    fn said_at(&self, cut: usize) -> &[Heard] {
        let log_bytes = self.entries.entries.get(cut).map_or(u64::MAX, |entry| entry.logged_at);
        self.history.until(log_bytes)
    }

    /// The cuts right behind an acknowledgement.
    fn marks(&self) -> Vec<usize> {
        let saved = self.history.heard.iter().filter(|heard| matches!(heard.fact, Fact::Saved { .. }));
        saved.map(|heard| self.entries.entries_within(heard.log_bytes)).collect()
    }
}

/// The rig's own folder and its ear for signals.
struct Rig {
    folder: TempDir,
    stop: Stop,
}

impl Rig {
    fn new() -> Result<Self, XtaskError> {
        let stop = Stop::on_signals()?;
        let folder = tempfile::Builder::new().prefix("powercut-").tempdir();
        let folder =
            folder.map_err(|source| XtaskError::io("make a folder", &std::env::temp_dir(), source))?;
        make_folder(&folder.path().join("mnt"))?;
        Ok(Self { folder, stop })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs the workload on a fresh disk and returns its log, with the entry at which its own work begins.
    fn record(&self, workload: &dyn Workload, checkpoints: usize) -> Result<(Recording, usize), XtaskError> {
        let folder = self.path(workload.name());
        make_folder(&folder)?;
        let disk = LoggedDisk::start(&folder, &self.stop)?;
        workload.file_system().format(disk.export())?;
        let mounted = Mounted::new(disk.export(), &self.path("mnt"))?;
        let begin = disk::log_bytes(disk.log());
        let mut history = History::default();
        for _ in 0..SESSIONS {
            self.session(workload, &mounted.folder().join(HOME), disk.log(), checkpoints, &mut history)?;
        }
        mounted.unmount()?;
        let log = disk.log().to_owned();
        disk.close()?;
        let recording = Recording::open(&log, history)?;
        let begin = recording.entries.entries_within(begin);
        let (writes, promises) = (recording.entries.entries.len() - begin, recording.history.promises());
        if writes == 0 || promises == 0 {
            return Err(PowercutError::NothingToCut { workload: workload.name(), writes, promises }.into());
        }
        Ok((recording, begin))
    }

    /// Starts the program, hears so many checkpoints, and kills it.
    fn session(
        &self,
        workload: &dyn Workload,
        home: &Path,
        log: &Path,
        checkpoints: usize,
        history: &mut History,
    ) -> Result<(), XtaskError> {
        let stamp_log = log.to_owned();
        let stamp = move || disk::log_bytes(&stamp_log);
        let mut talker = Talker::start(
            workload.name(),
            workload.drive(home),
            &self.path("stderr.txt"),
            &self.stop,
            stamp,
        )?;
        let mut hear = |line: Line| -> Result<usize, XtaskError> {
            let facts = workload.facts(&line.text)?;
            let saved = facts.iter().filter(|fact| matches!(fact, Fact::Saved { .. })).count();
            history.heard.extend(facts.into_iter().map(|fact| Heard { log_bytes: line.at, fact }));
            Ok(saved)
        };
        for _ in 0..checkpoints {
            talker.say("go");
            while hear(talker.expect()?)? == 0 {}
        }
        talker.say("go");
        // What it had said before it died counts, except for a line that it could not finish.
        for line in talker.kill()? {
            if hear(line).is_err() {
                break;
            }
        }
        Ok(())
    }

    /// Builds the disk of `state`, looks at it with the workload's means, and judges.
    fn judge(
        &self,
        workload: &dyn Workload,
        recording: &Recording,
        state: &CrashState,
    ) -> Result<Verdict, XtaskError> {
        self.stop.check()?;
        let image = self.path("state.img");
        let io = |operation| move |source| XtaskError::Io { operation, path: self.path("state.img"), source };
        state
            .build(&recording.log, &recording.entries.entries, &image, DISK_BYTES)
            .map_err(io("build a disk"))?;
        let mounted =
            workload.file_system().repair(&image).and_then(|()| Mounted::new(&image, &self.path("mnt")));
        let found = match mounted {
            Ok(mounted) => {
                let place = Place { stderr: &self.path("stderr.txt"), stop: &self.stop };
                let found = workload.check(&mounted.folder().join(HOME), &place);
                mounted.unmount()?;
                readable(found)?
            }
            Err(error) => Err(Fault::NoFileSystem { message: error.to_string() }),
        };
        fs::remove_file(&image).map_err(io("remove a disk"))?;
        Ok(match found {
            Ok(found) => {
                let said = recording.said_at(state.cut);
                judge::judge(&recording.history, said, &found, workload.is_lock_step())
            }
            Err(fault) => Verdict::Broken(vec![fault]),
        })
    }

    fn try_states(&self, workload: &dyn Workload, args: &PowercutArgs) -> Result<Tally, XtaskError> {
        let name = workload.name();
        let watch = Stopwatch::start();
        let checkpoints = (args.states as usize).clamp(CHECKPOINTS.start, CHECKPOINTS.end);
        let (recording, begin) = self.record(workload, checkpoints)?;
        let entries = &recording.entries.entries;
        let flushes = entries[begin..].iter().filter(|entry| entry.is_flush).count();
        let promises = recording.history.promises();
        println!(
            "{name}: {promises} acknowledgements, {} operations, {flushes} flushes",
            entries.len() - begin
        );

        let states = plan::plan(entries, &(begin..entries.len()), &recording.marks(), args.seed, args.states);
        let mut tally = Tally::new(name, workload.must_lose());
        for (index, state) in states.iter().enumerate() {
            let verdict = self.judge(workload, &recording, state)?;
            let is_broken = tally.count(&verdict);
            let Verdict::Broken(faults) = verdict else { continue };
            if is_broken && tally.broken() <= MAX_SHOWN {
                let faults: Vec<_> = faults.iter().map(ToString::to_string).collect();
                println!("{name}: state {index}, cut after {} operations: {}", state.cut, faults.join("; "));
                let failed = FailedState { workload: name.to_owned(), state: state.clone(), faults };
                keep_if_asked(args, &recording, index, &failed, tally.broken() == 1)?;
            }
        }
        println!("{name}: {} states in {:.1} s", states.len(), watch.elapsed().as_secs_f64());
        let folder = self.path(name);
        fs::remove_dir_all(&folder)
            .map_err(|source| XtaskError::io("remove a recording", &folder, source))?;
        Ok(tally)
    }
}

/// A program that hangs, ends or raves after a cut is a fault of the state, not of the rig.
fn readable(
    found: Result<Result<Vec<Found>, String>, XtaskError>,
) -> Result<Result<Vec<Found>, Fault>, XtaskError> {
    use PowercutError::{EndedEarly, Silent, Unexpected};
    match found {
        Ok(found) => Ok(found.map_err(|message| Fault::Unreadable { message })),
        Err(XtaskError::Powercut(error @ (EndedEarly { .. } | Silent { .. } | Unexpected { .. }))) => {
            Ok(Err(Fault::Unreadable { message: error.to_string() }))
        }
        Err(error) => Err(error),
    }
}

/// Tries every workload that was asked for, and says whether their promises were kept.
pub(crate) fn run(args: &PowercutArgs) -> Result<(), XtaskError> {
    let workloads = programs::workloads(args.workload)?;
    let rig = Rig::new()?;
    let tallies = workloads.iter().map(|workload| rig.try_states(workload.as_ref(), args));
    let tallies = tallies.collect::<Result<Vec<_>, _>>()?;
    println!("\n{}", report::table(&tallies));
    let states = tallies.iter().map(Tally::broken).sum();
    if states > 0 {
        let hint = if args.keep_failures.is_some() {
            "the kept states can be tried again with --replay"
        } else {
            "run again with --keep-failures DIR to keep such states"
        };
        return Err(PowercutError::Broken { states, hint: hint.to_owned() }.into());
    }
    if tallies.iter().any(Tally::is_blind) { Err(PowercutError::Blind.into()) } else { Ok(()) }
}

/// Tries one kept state again.
pub(crate) fn replay(_: &PowercutArgs, path: &Path) -> Result<(), XtaskError> {
    let (failed, recording) = evidence::read(path)?;
    let workload = programs::workload(&failed.workload)?;
    let workload = workload.ok_or_else(|| XtaskError::NoProgram { name: failed.workload.clone() })?;
    let verdict = Rig::new()?.judge(workload.as_ref(), &recording, &failed.state)?;
    let Verdict::Broken(faults) = &verdict else {
        println!("{}: as promised now ({verdict:?})", failed.workload);
        return Ok(());
    };
    for fault in faults {
        println!("{}: {fault}", failed.workload);
    }
    let hint = "the disk as the cut left it lies beside the state, as .img".to_owned();
    Err(PowercutError::Broken { states: 1, hint }.into())
}

fn keep_if_asked(
    args: &PowercutArgs,
    recording: &Recording,
    index: usize,
    failed: &FailedState,
    is_first: bool,
) -> Result<(), XtaskError> {
    let Some(folder) = &args.keep_failures else { return Ok(()) };
    let folder = folder.join(format!("{}-seed-{}", failed.workload, args.seed));
    let kept = evidence::keep(&folder, recording, index, failed, is_first)?;
    println!("    to replay: cargo xtask powercut --replay {}", kept.display());
    Ok(())
}

fn make_folder(path: &Path) -> Result<(), XtaskError> {
    fs::create_dir(path).map_err(|source| XtaskError::io("make a folder", path, source))
}
