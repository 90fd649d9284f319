//! [`trial`]: a preempted run and an undisturbed one, held against each other. What `cargo xtask preempt` runs.

use std::ffi::OsString;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use fabricbios_core::clock::{Clock, SystemClock};
use grafos_std::gpu::{GpuBuilder, GpuExclusivityClass};

use super::args::TrialArgs;
use super::chronicle::{Chronicle, Life};
use super::error::CloudError;
use super::judge::{Applied, Evidence, Fault, judge};
use super::news::{Audience, CloudNews};
use super::player::{Ending, Player, Worker};
use super::schedule::{Pace, Schedule};
use super::summary::Summary;
use crate::audit::audit;
use crate::run::error::{RunError, in_full};
use crate::run::event::Event;
use crate::run::place::{open_host, replica_dirs};
use crate::training::Trainer;

/// The name of the job in each of the two homes.
const JOB: &str = "trial";

/// How long a lease is, in seconds. A lease that is not renewed costs as much.
const LEASE_SECS: u64 = 1;

/// How long a worker may take to end when it is told to.
const NOTICE: Duration = Duration::from_secs(20);

/// What a trial came to.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// The broken promises: none, if all is well.
    pub faults: Vec<Fault>,
    /// What was played, and what it cost.
    pub summary: Summary,
    /// The digest of the weights of the undisturbed run.
    pub weights: String,
}

/// Why there is no verdict.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrialError {
    /// A run could not be played to its end.
    #[error(transparent)]
    Cloud(#[from] CloudError),
    /// The records of the job can't be read.
    #[error("the records of the job can't be read")]
    Audit(#[source] RunError),
    /// There is no place for the jobs' files.
    #[error("{operation} failed: path={}", path.display())]
    Place {
        /// What was tried.
        operation: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

/// The whole of `preempt`: plays, judges, tells, and says with the exit code whether all is well.
#[must_use]
pub fn trial(program: &Path, args: &TrialArgs, stop: &Arc<AtomicBool>) -> ExitCode {
    println!("to replay: {}", args.replay());
    match run_trial(program, args, stop) {
        Ok(verdict) if verdict.faults.is_empty() => {
            println!("{}\nevery step was applied once, nothing acknowledged was lost", verdict.summary);
            println!("weights {} as of the undisturbed run, bit for bit", verdict.weights);
            ExitCode::SUCCESS
        }
        Ok(verdict) => {
            println!("{}", verdict.summary);
            for fault in &verdict.faults {
                eprintln!("fault: {fault}");
            }
            eprintln!(
                "error: broken promises: faults={}; to replay: {}",
                verdict.faults.len(),
                args.replay()
            );
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("error: {}; to replay: {}", in_full(&error), args.replay());
            ExitCode::FAILURE
        }
    }
}

/// Trains twice with workers that are processes of `program`: once in peace, once with the preemptions that `args` ask
/// for. Judges the second by the first.
///
/// # Errors
/// [`TrialError`], if there is nothing to judge.
pub fn run_trial(program: &Path, args: &TrialArgs, stop: &Arc<AtomicBool>) -> Result<Verdict, TrialError> {
    let place = Place::of(args.keep.as_deref())?;
    let (peace, war) = (place.path().join("undisturbed"), place.path().join("preempted"));
    let mut teller = Teller::default();

    let clock = SystemClock;
    let before = clock.now();
    let worker = worker_of(program, args, &peace);
    let still = Schedule::new(args.seed, Pace::Events { then_at_most: Duration::ZERO });
    let (undisturbed, ending) = Player::new(&worker, Arc::clone(stop), &mut teller).play(still, Some(0));
    expect_finished(ending)?;
    let undisturbed = undisturbed.lives.into_iter().next().unwrap_or_else(|| Life::new(&worker.host));
    let took = clock.now().saturating_since(before);
    println!("undisturbed: {} steps in {:.1} s", args.steps(), took.as_secs_f64());

    let stride = took.mul_f64(1.5 * ratio(args.interval_steps, args.steps()));
    let then_at_most = if args.at_events { Duration::ZERO } else { stride };
    let schedule = Schedule::new(args.seed, Pace::Events { then_at_most });
    let worker = worker_of(program, args, &war);
    teller.asked = args.preemptions;
    let before = clock.now();
    let player = Player::new(&worker, Arc::clone(stop), &mut teller);
    let (chronicle, ending) = player.play(schedule, Some(args.preemptions));
    let took = clock.now().saturating_since(before);
    println!("preempted: {} times in {:.1} s", chronicle.blows.len(), took.as_secs_f64());
    expect_finished(ending)?;

    verdict(args, &war, &chronicle, &undisturbed)
}

fn expect_finished(ending: Result<Ending, CloudError>) -> Result<(), CloudError> {
    match ending? {
        Ending::Finished => Ok(()),
        Ending::Stopped => Err(CloudError::Interrupted),
    }
}

fn verdict(
    args: &TrialArgs,
    home: &Path,
    chronicle: &Chronicle,
    undisturbed: &Life,
) -> Result<Verdict, TrialError> {
    let audit = audit(home, JOB).map_err(TrialError::Audit)?;
    let strides: Vec<_> = audit
        .strides
        .iter()
        .map(|stride| {
            let (from, to, version) = (stride.from, stride.to, stride.version);
            Applied { from, to, version, epoch: stride.epoch, examples: stride.examples }
        })
        .collect();
    let leftovers = leftovers(home, chronicle);
    let asked = usize::try_from(args.preemptions).unwrap_or(usize::MAX);
    let evidence = Evidence { strides: &strides, undisturbed, asked, leftovers: &leftovers };
    let mut faults = judge(chronicle, &evidence);
    faults.extend(audit.violations.iter().map(|found| Fault::Audit { found: found.to_string() }));
    let weights = undisturbed.told.iter().find_map(|event| match event {
        Event::Finished { weights, .. } => Some(weights.clone()),
        _ => None,
    });
    Ok(Verdict { faults, summary: Summary::of(chronicle), weights: weights.unwrap_or_default() })
}

/// The hosts' GPUs that somebody still holds.
fn leftovers(home: &Path, chronicle: &Chronicle) -> Vec<String> {
    let mut hosts: Vec<&str> = chronicle.lives.iter().map(|life| life.host.as_str()).collect();
    hosts.sort_unstable();
    hosts.dedup();
    let held = |host: &&str| match is_gpu_free(home, host) {
        Ok(()) => None,
        Err(error) => Some(format!("the GPU of {host}: {error}")),
    };
    hosts.iter().filter_map(held).collect()
}

/// Takes the host's GPU for itself alone, and gives it back.
fn is_gpu_free(home: &Path, host: &str) -> Result<(), String> {
    let name = host.parse().map_err(|_| "no name of a host".to_owned())?;
    let host = open_host(home, &name, None).map_err(|error| in_full(&error))?;
    let alone = GpuBuilder::new()
        .on(&host)
        .min_vram(Trainer::MAX_VRAM_BYTES)
        .lease_secs(LEASE_SECS)
        .exclusivity(GpuExclusivityClass::DeviceExclusive);
    let lease = alone.acquire().map_err(|error| in_full(&error))?;
    lease.release().map_err(|error| in_full(&error))
}

fn worker_of(program: &Path, args: &TrialArgs, home: &Path) -> Worker {
    let numbers = [
        ("--steps", args.steps()),
        ("--interval-steps", args.interval_steps),
        ("--batch", u64::from(args.batch)),
        ("--lease-secs", LEASE_SECS),
        ("--notice-secs", NOTICE.as_secs()),
        // Workers share the machine with a successor at times.
        ("--threads", 1),
    ];
    let mut arguments: Vec<OsString> =
        vec!["train".into(), "--every-step".into(), "--home".into(), home.into()];
    arguments.extend(["--job".into(), JOB.into()]);
    arguments.extend(numbers.into_iter().flat_map(|(name, value)| [name.into(), value.to_string().into()]));
    Worker {
        program: program.to_owned(),
        arguments,
        host: "host-a".to_owned(),
        replicas: replica_dirs(home).to_vec(),
        notice: NOTICE,
        lease: Some(Duration::from_secs(LEASE_SECS)),
    }
}

#[expect(clippy::cast_precision_loss, reason = "a share, to choose a time by")]
fn ratio(part: u64, whole: u64) -> f64 {
    part as f64 / whole.max(1) as f64
}

/// Where the two jobs lie.
enum Place {
    Temporary(tempfile::TempDir),
    Kept(PathBuf),
}

impl Place {
    fn of(keep: Option<&Path>) -> Result<Self, TrialError> {
        let failed = |operation, path: &Path| {
            let path = path.to_owned();
            move |source| TrialError::Place { operation, path, source }
        };
        let Some(keep) = keep else {
            let made = tempfile::Builder::new().prefix("preempt-").tempdir();
            return Ok(Self::Temporary(made.map_err(failed("making a directory", &std::env::temp_dir()))?));
        };
        fs::create_dir_all(keep).map_err(failed("making a directory", keep))?;
        let is_empty = fs::read_dir(keep).map_err(failed("reading a directory", keep))?.next().is_none();
        if is_empty {
            return Ok(Self::Kept(keep.to_owned()));
        }
        Err(failed("using a directory that is not empty", keep)(io::ErrorKind::DirectoryNotEmpty.into()))
    }

    fn path(&self) -> &Path {
        match self {
            Self::Temporary(directory) => directory.path(),
            Self::Kept(path) => path,
        }
    }
}

/// Says now and then how far the trial has come.
#[derive(Debug, Default)]
struct Teller {
    asked: u32,
    played: u32,
}

impl Audience for Teller {
    fn hear(&mut self, _: &Event) {}

    fn tell(&mut self, news: &CloudNews) {
        if matches!(news, CloudNews::Preempted { .. }) {
            self.played += 1;
            if self.played.is_multiple_of(50) {
                // Nobody may be there to read it.
                let _ = writeln!(io::stdout(), "  {} of {} preemptions", self.played, self.asked);
            }
        }
    }
}
