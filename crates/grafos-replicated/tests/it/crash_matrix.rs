//! The crash matrix: a step is cut at each of seven points by a real SIGKILL or SIGSTOP, and goes on in each of three
//! ways, through one commit and through two.
//!
//! What must hold whatever happened: the step is in the state exactly once, versions are contiguous, what was
//! acknowledged is there, what was published is not worked on again, and who was overtaken is told so and publishes
//! nothing.

pub(crate) mod gate;
mod state;
pub(crate) mod worker;

use std::path::Path;

use grafos_replicated::*;

use self::gate::{End, Point};
use self::state::{completed, key, operation};
use self::worker::Way;
use crate::child::Child;
use crate::machine::{Machine, REPLICAS};
use crate::world::name;

/// The step that is cut; the one before it is done in peace.
const STEP: u64 = 2;

/// What happens after the cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Continuation {
    /// The process was killed, and is started again with the epoch that it had.
    Restart,
    /// The process was killed, and another one takes over.
    OtherHost,
    /// The process was stopped, another one takes over, and then the first one wakes up.
    Zombie,
}

#[derive(Clone, Copy, Debug)]
struct Case {
    way: Way,
    point: Point,
    then: Continuation,
    /// How the one who goes on does its steps.
    next_way: Way,
}

/// What a reader finds.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    history: Vec<SavedVersion>,
    states: Vec<Vec<u64>>,
    outcomes: Vec<Option<IdempotencyOutcome>>,
}

fn look(home: &Path) -> Seen {
    let machine = Machine::open(home);
    let mut job = machine.checkpoints(FenceEpoch(1));
    let history = job.history(&name()).unwrap();
    let mut states = Vec::new();
    for saved in &history {
        states.push(state::steps(&job.load_version(&name(), saved.version).unwrap().value));
    }
    let effects = machine.effects(FenceEpoch(1));
    let outcome = |step| effects.lookup(&key(step)).unwrap().map(|found| found.outcome);
    Seen { history, states, outcomes: (1..=STEP + 2).map(outcome).collect() }
}

/// Starts a worker that takes over, or goes on with an epoch that was another's. Its epoch.
fn start(home: &Path, way: Way, held: Option<u64>, cut: Option<(Point, End)>) -> (Child, u64) {
    let mut child = Child::start("crash-worker", home);
    let cut = cut.map_or(String::new(), |(point, end)| format!(" {STEP} {point:?} {end:?}"));
    child.tell(&format!("{way:?} {}{cut}", held.unwrap_or(0)));
    let said = child.hear().unwrap();
    let epoch = said.strip_prefix("epoch ").unwrap_or_else(|| panic!("it said {said:?}")).parse().unwrap();
    (child, epoch)
}

fn ask(child: &mut Child, what: &str) -> String {
    child.tell(what);
    child.hear().unwrap_or_else(|| panic!("it ended, asked to {what}"))
}

impl Case {
    fn run(self) {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path();
        let end = if self.then == Continuation::Zombie { End::Stop } else { End::Die };
        let (mut cut, epoch) = start(home, self.way, None, Some((self.point, end)));
        assert_eq!(ask(&mut cut, &format!("step {}", STEP - 1)), format!("done Fresh {}", STEP - 1));
        assert_eq!(ask(&mut cut, &format!("step {STEP}")), format!("reached {:?}", self.point));
        match end {
            End::Die => cut.wait_until_killed(),
            End::Stop => cut.wait_until_stopped(),
        }

        let mut next = match self.then {
            Continuation::Restart => self.restart(home, epoch),
            Continuation::OtherHost | Continuation::Zombie => start(home, self.next_way, None, None).0,
        };
        let kind = if self.was_completed() {
            ReservationKind::Completed
        } else if self.point == Point::BeforeReserve {
            ReservationKind::Fresh
        } else {
            ReservationKind::TakenOver
        };
        assert_eq!(ask(&mut next, &format!("step {STEP}")), format!("done {kind:?} {STEP}"), "{self:?}");
        let worked = launches_of(home, next.pid());
        assert_eq!(worked, usize::from(!self.was_published()), "{self:?}: the work of a published step");
        let and_on = format!("done Fresh {}", STEP + 1);
        assert_eq!(ask(&mut next, &format!("step {}", STEP + 1)), and_on, "{self:?}");

        let seen = look(home);
        self.check(&seen);
        if self.then == Continuation::Zombie {
            cut.resume();
            assert_eq!(ask(&mut cut, "go on"), self.told_to_the_zombie(), "{self:?}");
            // Every other way is closed too.
            assert_eq!(ask(&mut cut, &format!("step {}", STEP + 2)), "told StaleEpoch", "{self:?}");
            assert_eq!(ask(&mut cut, "save"), "told StaleEpoch", "{self:?}");
            assert_eq!(look(home), seen, "{self:?}: the zombie has changed something");
        }
        check_nothing_is_left(home);
    }

    /// Whether the step's state was the current one at the cut.
    fn was_published(self) -> bool {
        self.point >= Point::Moved
    }

    /// Whether the effect was completed at the cut.
    fn was_completed(self) -> bool {
        self.point >= Point::Completed || (self.way == Way::OneCommit && self.point == Point::Moved)
    }

    /// The process is started again with the epoch that it had. Its dead self may hold the key, and nobody can tell
    /// that it is dead: then it must take over like any other.
    fn restart(self, home: &Path, epoch: u64) -> Child {
        let (mut again, _) = start(home, self.next_way, Some(epoch), None);
        if self.point > Point::BeforeReserve && !self.was_completed() {
            assert_eq!(ask(&mut again, &format!("step {STEP}")), "told InProgress", "{self:?}");
            again = start(home, self.next_way, None, None).0;
        }
        again
    }

    fn check(self, seen: &Seen) {
        let versions: Vec<_> = seen.history.iter().map(|saved| saved.version.0).collect();
        assert_eq!(versions, [1, 2, 3], "{self:?}: contiguous, one for each step");
        assert_eq!(seen.states, [vec![1], vec![1, 2], vec![1, 2, 3]], "{self:?}: each step exactly once");
        let made_by = |saved: &SavedVersion| saved.step.clone().map(|mark| (mark.key, mark.operation));
        for (saved, step) in seen.history.iter().zip(1..) {
            assert_eq!(made_by(saved), Some((key(step), operation(step))), "{self:?}");
        }
        let outcomes: Vec<_> = (1..=STEP + 1).map(|step| Some(completed(step))).chain([None]).collect();
        assert_eq!(seen.outcomes, outcomes, "{self:?}");
        let epochs: Vec<_> = seen.history.iter().map(|saved| saved.epoch).collect();
        assert!(epochs.is_sorted(), "{self:?}: {epochs:?}");
        assert_eq!(
            epochs[1] == epochs[0],
            self.was_published() || self.kept_its_epoch(),
            "{self:?}: {epochs:?}"
        );
    }

    /// Whether the step was done anew without a takeover.
    fn kept_its_epoch(self) -> bool {
        self.then == Continuation::Restart && self.point == Point::BeforeReserve
    }

    /// What the call answers in which it was stopped. The truth: a step of its own that took place is not denied.
    fn told_to_the_zombie(self) -> String {
        match self.point {
            Point::Moved if self.way == Way::TwoCommits => "told StaleEpoch".to_owned(),
            point if point >= Point::Moved => format!("done Fresh {STEP}"),
            _ => "told StaleEpoch".to_owned(),
        }
    }
}

/// How often this process did the work of the step that is cut.
fn launches_of(home: &Path, pid: u32) -> usize {
    let launches = std::fs::read_to_string(home.join(state::LAUNCHES)).unwrap_or_default();
    launches.lines().filter(|line| *line == format!("{pid} {STEP}")).count()
}

/// Blobs that were uploaded in vain are found and go; what is named is whole on every replica.
fn check_nothing_is_left(home: &Path) {
    let machine = Machine::open(home);
    let mut job = machine.checkpoints(FenceEpoch(1));
    job.collect_garbage(&name()).unwrap();
    let status = job.status(&name()).unwrap();
    assert_eq!(status.unreferenced, 0);
    let scrubbed = job.scrub(&name()).unwrap();
    assert_eq!(scrubbed.faults, []);
    for id in REPLICAS {
        let blobs = std::fs::read_dir(machine.blobs_path(id)).unwrap().count();
        assert_eq!(blobs, status.versions.len(), "one blob for each version");
    }
}

fn run_all(way: Way, then: Continuation, next_way: Way) {
    for point in Point::ALL {
        Case { way, point, then, next_way }.run();
    }
}

#[test]
fn a_step_of_one_commit_that_is_killed_anywhere_is_done_once_by_the_same_process_started_again() {
    run_all(Way::OneCommit, Continuation::Restart, Way::OneCommit);
}

#[test]
fn a_step_of_one_commit_that_is_killed_anywhere_is_done_once_by_whoever_takes_over() {
    run_all(Way::OneCommit, Continuation::OtherHost, Way::OneCommit);
}

#[test]
fn a_step_of_one_commit_that_is_stopped_anywhere_is_done_once_though_the_zombie_wakes_up() {
    run_all(Way::OneCommit, Continuation::Zombie, Way::OneCommit);
}

#[test]
fn a_step_of_two_commits_that_is_killed_anywhere_is_done_once_by_the_same_process_started_again() {
    run_all(Way::TwoCommits, Continuation::Restart, Way::TwoCommits);
}

#[test]
fn a_step_of_two_commits_that_is_killed_anywhere_is_done_once_by_whoever_takes_over() {
    run_all(Way::TwoCommits, Continuation::OtherHost, Way::TwoCommits);
}

#[test]
fn a_step_of_two_commits_that_is_stopped_anywhere_is_done_once_though_the_zombie_wakes_up() {
    run_all(Way::TwoCommits, Continuation::Zombie, Way::TwoCommits);
}

#[test]
fn who_goes_on_may_take_the_other_way_than_the_one_that_was_cut() {
    run_all(Way::TwoCommits, Continuation::Zombie, Way::OneCommit);
    run_all(Way::OneCommit, Continuation::OtherHost, Way::TwoCommits);
}
