//! Several processes on one embedded engine, killed and stopped at random moments, while the directory of one replica is
//! removed or damaged, and mended again.
//!
//! `GRAFOS_TORTURE_ROUNDS` says how many rounds (20 without it), `GRAFOS_TORTURE_SEED` decides what happens; both are
//! printed, so that a failure can be tried again. Processes run as they like, so the same seed does the same things at
//! other moments.

mod damage;
mod ledger;
mod steps;
pub(crate) mod writer;

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use grafos_replicated::*;
use grafos_suite::Random;

use self::damage::{Damage, foreign_files_are_whole};
use self::ledger::Ledger;
use self::writer::Writer;
use crate::child::Child;
use crate::machine::{Machine, REPLICAS};
use crate::world::name;

/// How many writers there are at any time.
const WRITERS: usize = 3;

/// Whoever is stopped may hold the register's file: after so long a silence all go on.
const SILENCE: Duration = Duration::from_millis(300);

/// How much is heard in a round.
const MAX_LINES: usize = 100;

/// How often the register is asked that can't be reached; each time takes seconds.
const MAX_ASKS: u32 = 5;

/// How often a mender tries, while others change what it mends.
const MAX_MENDS: u32 = 100;

/// Which writer has said what.
type Said = (usize, String);

struct Process {
    child: Child,
    is_stopped: bool,
}

struct Storm<'a> {
    home: &'a Path,
    chance: Random,
    machine: Machine,
    processes: BTreeMap<usize, Process>,
    started: usize,
    /// Where each writer's lines go, and where they are heard.
    mouth: Sender<Said>,
    ear: Receiver<Said>,
    ledger: Ledger,
    /// The replica that is not as it should be.
    damaged: Option<&'static str>,
    /// The replica that holds files of somebody else.
    has_foreign: Option<&'static str>,
    counts: BTreeMap<String, u64>,
}

fn number_from(variable: &str) -> Option<u64> {
    let text = env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} must be a number, found={text}")))
}

impl<'a> Storm<'a> {
    fn new(home: &'a Path, seed: u64) -> Self {
        let (mouth, ear) = channel();
        let mut storm = Self {
            home,
            chance: Random(seed),
            machine: Machine::open(home),
            processes: BTreeMap::new(),
            started: 0,
            mouth,
            ear,
            ledger: Ledger::default(),
            damaged: None,
            has_foreign: None,
            counts: BTreeMap::new(),
        };
        (0..WRITERS).for_each(|_| storm.start());
        storm
    }

    fn count(&mut self, what: &str, by: usize) {
        *self.counts.entry(what.to_owned()).or_default() += by as u64;
    }

    fn start(&mut self) {
        let mut child = Child::start("torture-writer", self.home);
        child.tell(&format!("{} {}", self.started, self.chance.next()));
        let (writer, mouth) = (self.started, self.mouth.clone());
        child.hear_on_a_thread(move |line| drop(mouth.send((writer, line))));
        self.processes.insert(writer, Process { child, is_stopped: false });
        self.started += 1;
    }

    /// Hears the writers until so many more versions were acknowledged; not for ever, since none may come to it.
    fn hear(&mut self, versions: usize) {
        let enough = self.ledger.acked() + versions;
        for _ in 0..MAX_LINES {
            if self.ledger.acked() >= enough {
                return;
            }
            match self.ear.recv_timeout(SILENCE) {
                Ok((writer, line)) => self.book(writer, &line),
                Err(RecvTimeoutError::Timeout) => {
                    self.count("silences", 1);
                    self.resume_all();
                }
                Err(RecvTimeoutError::Disconnected) => unreachable!("we hold an end ourselves"),
            }
        }
    }

    fn book(&mut self, writer: usize, line: &str) {
        self.ledger.book(writer, line).unwrap_or_else(|wrong| panic!("writer {writer}: {wrong}"));
    }

    fn any_process(&mut self) -> usize {
        let at = self.chance.below(self.processes.len());
        *self.processes.keys().nth(at).unwrap()
    }

    fn kill_one(&mut self) {
        let writer = self.any_process();
        self.processes.remove(&writer).unwrap().child.kill();
        self.count("kills", 1);
        self.start();
    }

    fn stop_one(&mut self) {
        let writer = self.any_process();
        let running = self.processes.values().filter(|process| !process.is_stopped).count();
        let process = self.processes.get_mut(&writer).unwrap();
        if running > 1 && !process.is_stopped {
            process.child.stop();
            process.is_stopped = true;
            self.count("stops", 1);
        }
    }

    fn resume_all(&mut self) {
        for process in self.processes.values_mut().filter(|process| process.is_stopped) {
            process.child.resume();
            process.is_stopped = false;
        }
    }

    /// Harms one replica, never two: what is promised survives the loss of one.
    fn harm(&mut self) {
        let damage = Damage::ALL[self.chance.below(Damage::ALL.len())];
        let id = match self.damaged {
            Some(id) => id,
            None => REPLICAS[self.chance.below(REPLICAS.len())],
        };
        match damage {
            Damage::Foreign => {}
            _ => self.damaged = Some(id),
        }
        if damage == Damage::Remove && self.has_foreign == Some(id) {
            self.has_foreign = None;
        }
        let harmed = damage.happen(&self.machine, id, &mut self.chance);
        self.count(&format!("{damage:?}"), 1);
        if damage == Damage::Foreign && foreign_files_are_whole(&self.machine, id) {
            self.has_foreign = Some(id);
        }
        if let Some(blob) = harmed {
            self.must_be_found(id, blob);
        }
    }

    /// A damaged blob of a kept version is found by a scrub, unless a writer has mended it before.
    fn must_be_found(&mut self, id: &str, blob: BlobTag) {
        // It may be mended or collected between two looks, but not each time.
        for _ in 0..MAX_ASKS {
            let faults = self.patiently(|machine| machine.checkpoints(FenceEpoch(1)).scrub(&name())).faults;
            if faults.iter().any(|(at, found, _)| at.as_str() == id && *found == blob) {
                return self.count("damaged blobs found", 1);
            }
            let history = self.patiently(|machine| machine.checkpoints(FenceEpoch(1)).history(&name()));
            // Of a blob that only lends chunks to later versions, most is in nobody's use.
            if !history.iter().any(|saved| saved.manifest == blob) {
                return self.count("damaged blobs in nobody's use", 1);
            }
            let copy = |id: &str| fs::read(self.machine.blobs_path(id).join(blob.file_name())).ok();
            if REPLICAS.into_iter().any(|other| other != id && copy(other) == copy(id)) {
                return self.count("damaged blobs mended before", 1);
            }
        }
        panic!("{} of {id} was damaged, and no scrub says so", blob.file_name());
    }

    /// Repairs until nothing is wrong, collects, and looks at the replica once more.
    fn mend(&mut self) {
        for _ in 0..MAX_MENDS {
            let repaired = self.patiently(|machine| machine.checkpoints(FenceEpoch(1)).repair(&name()));
            self.count("copies made anew", repaired.copied.len());
            let collected =
                self.patiently(|machine| machine.checkpoints(FenceEpoch(1)).collect_garbage(&name()));
            self.count("blobs collected", collected.deleted);
            let scrubbed = self.patiently(|machine| machine.checkpoints(FenceEpoch(1)).scrub(&name()));
            if scrubbed.faults.is_empty() {
                self.damaged = None;
                if let Some(id) = self.has_foreign {
                    assert!(foreign_files_are_whole(&self.machine, id), "somebody touched what is not ours");
                }
                return;
            }
        }
        panic!("still not whole after {MAX_MENDS} repairs");
    }

    /// The answer, though a stopped process may hold the register's file, and many may want it.
    fn patiently<T>(&mut self, mut ask: impl FnMut(&Machine) -> Result<T, ReplicatedError>) -> T {
        self.resume_all();
        for _ in 0..MAX_ASKS {
            match ask(&self.machine) {
                Ok(answer) => return answer,
                Err(ReplicatedError::Store(StoreError::Unavailable { .. })) => {}
                Err(error) => panic!("{error}"),
            }
        }
        panic!("the register's file is never free");
    }

    fn round(&mut self) {
        let versions = self.chance.below(6);
        self.hear(versions);
        match self.chance.below(12) {
            0..=2 => self.kill_one(),
            3..=5 => self.stop_one(),
            6..=7 => self.resume_all(),
            8..=9 => self.harm(),
            _ => self.mend(),
        }
    }

    /// All are killed; whoever comes then finds everything that was acknowledged, and goes on.
    fn end(mut self) {
        for (_, mut process) in std::mem::take(&mut self.processes) {
            process.child.kill();
        }
        // Nobody has the other end any more once their threads have heard the last.
        let (mouth, ear) = channel();
        self.mouth = mouth;
        for (writer, line) in std::mem::replace(&mut self.ear, ear) {
            self.book(writer, &line);
        }
        let mut last = Writer::open(self.home, u64::MAX);
        last.take_over().unwrap();
        last.step(true).unwrap();
        self.mend();
        let mut job = self.machine.checkpoints(FenceEpoch(1));
        let history = job.history(&name()).unwrap();
        let head = job.load_latest(&name()).unwrap().unwrap();
        let steps = steps::decode(&head.value).expect("the newest state is one that steps have made");
        assert_eq!(head.version, Version(steps.len() as u64), "one version for each step");
        for saved in &history {
            let len = usize::try_from(saved.version.0).unwrap();
            let value = job.load_version(&name(), saved.version).unwrap().value;
            assert!(value == steps::encode(&steps[..len]), "version {len} is not as it was");
        }
        let effects = self.machine.effects(FenceEpoch(1));
        let outcome = |number| effects.lookup(&steps::key(number)).unwrap().map(|found| found.outcome);
        self.ledger.settle(&steps, outcome).unwrap_or_else(|wrong| panic!("{wrong}"));
        assert_eq!(job.status(&name()).unwrap().unreferenced, 0);
        self.report(steps.len());
    }

    fn report(&self, versions: usize) {
        println!("{versions:>8} versions");
        println!("{:>8} acknowledged", self.ledger.acked());
        println!("{:>8} takeovers", self.ledger.take_overs());
        for (what, count) in &self.counts {
            println!("{count:>8} {what}");
        }
        for (error, count) in &self.ledger.told {
            println!("{count:>8} told {error}");
        }
    }
}

#[test]
fn torture_writers_that_are_killed_and_stopped_over_damaged_replicas_lose_nothing_that_was_acknowledged() {
    let rounds = number_from("GRAFOS_TORTURE_ROUNDS").unwrap_or(20);
    let seed = number_from("GRAFOS_TORTURE_SEED").unwrap_or(4);
    println!("again with GRAFOS_TORTURE_SEED={seed} GRAFOS_TORTURE_ROUNDS={rounds}");
    let folder = tempfile::tempdir().unwrap();
    let mut storm = Storm::new(folder.path(), seed);
    (0..rounds).for_each(|_| storm.round());
    storm.end();
}
