//! Each rule of the judge broken by hand, once, in a run that is sound otherwise.

use std::time::Duration;

use super::*;
use crate::cloud::chronicle::Blow;
use crate::run::event::{StopCause, StrideEnd, WorkerSummary};

const STEPS: u64 = 20;
const BATCH: u64 = 8;

fn started(host: &str, epoch: u64, version: u64, step: u64) -> Event {
    let (job, plan) = ("trial".to_owned(), "p".to_owned());
    let (interval_steps, committed_ago_ms) = (4, None);
    let host = host.to_owned();
    Event::Started {
        job,
        host,
        pid: 7,
        plan,
        epoch,
        version,
        step,
        steps: STEPS,
        interval_steps,
        committed_ago_ms,
    }
}

/// The loss of a step is a function of the step alone.
fn step(step: u64) -> Event {
    Event::Step { step, loss: 2.0 / step as f32, correct: 1, examples: 8 }
}

fn committed(version: u64, epoch: u64, from: u64, to: u64) -> Event {
    Event::Committed { version, epoch, from, to, loss: 1.0, stall_ms: 1.0, end: StrideEnd::Interval }
}

fn lease_lost(status: &str, step: u64, committed: u64) -> Event {
    Event::LeaseLost { status: status.to_owned(), step, committed, reason: String::new() }
}

fn finished_with(weights: &str) -> Event {
    Event::Finished {
        step: STEPS,
        version: 6,
        weights: weights.to_owned(),
        accuracy: 0.9,
        consumed: "c".to_owned(),
        examples: STEPS * BATCH,
        worker: WorkerSummary::default(),
    }
}

fn life(host: &str, fate: Fate, end: End, told: Vec<Event>) -> Life {
    Life { host: host.to_owned(), told, fate, end: Some(end) }
}

fn stopping(step: u64) -> Event {
    Event::Stopping { cause: StopCause::Signal, step, notice_ms: 1 }
}

/// Killed at step 10, frozen at step 13, bereft of two leases, told to end at step 17, finished.
fn sound() -> Chronicle {
    let killed =
        vec![started("host-a", 1, 0, 0), step(1), committed(1, 1, 0, 4), committed(2, 1, 4, 8), step(10)];
    let frozen = vec![
        started("host-a", 2, 2, 8),
        step(9),
        step(10),
        committed(3, 2, 8, 12),
        step(13),
        Event::Fenced { held: 2, current: 3, step: 13, committed: 12 },
    ];
    let told_to_end = vec![
        started("host-b", 3, 3, 12),
        step(13),
        lease_lost("revoked", 13, 12),
        step(13),
        lease_lost("expired", 13, 12),
        committed(4, 3, 12, 16),
        stopping(17),
        committed(5, 3, 16, 17),
    ];
    let last = vec![started("host-b", 4, 5, 17), committed(6, 4, 17, 20), finished_with("w")];
    let lives = vec![
        life("host-a", Fate::Killed, End::Signal(9), killed),
        life("host-a", Fate::Frozen, End::Code(76), frozen),
        life("host-b", Fate::Terminated, End::Code(75), told_to_end),
        life("host-b", Fate::Left, End::Code(0), last),
    ];
    let blow = |kind| Blow { kind, life: 0, step: 1, steps_lost: 0, recovery: Some(Duration::ZERO) };
    Chronicle { lives, blows: Kind::ALL.map(blow).to_vec() }
}

fn applied() -> Vec<Applied> {
    let strides = [(1, 0, 4, 1), (2, 4, 8, 1), (3, 8, 12, 2), (4, 12, 16, 3), (5, 16, 17, 3), (6, 17, 20, 4)];
    strides
        .map(|(version, from, to, epoch)| Applied { from, to, version, epoch, examples: to * BATCH })
        .to_vec()
}

fn undisturbed() -> Life {
    let mut told = vec![started("host-a", 1, 0, 0)];
    told.extend((1..=STEPS).map(step));
    told.extend([committed(1, 1, 0, 20), finished_with("w")]);
    life("host-a", Fate::Left, End::Code(0), told)
}

/// The faults of a run that is sound but for what `hurt` does to it.
fn faults(hurt: impl FnOnce(&mut Chronicle, &mut Vec<Applied>, &mut Life)) -> Vec<Fault> {
    let (mut chronicle, mut strides, mut undisturbed) = (sound(), applied(), undisturbed());
    hurt(&mut chronicle, &mut strides, &mut undisturbed);
    let evidence = Evidence { strides: &strides, undisturbed: &undisturbed, asked: 7, leftovers: &[] };
    judge(&chronicle, &evidence)
}

/// The faults when the event at this place is replaced.
fn told(life: usize, at: usize, event: Event) -> Vec<Fault> {
    faults(|run, _, _| run.lives[life].told[at] = event)
}

#[track_caller]
fn assert_has(faults: &[Fault], is_it: impl Fn(&Fault) -> bool) {
    assert!(faults.iter().any(is_it), "{faults:?}");
}

#[test]
fn a_sound_run_has_no_fault() {
    assert_eq!(faults(|_, _, _| ()), []);
    assert_eq!(judge_play(&sound()), []);
}

#[test]
fn a_commit_that_was_never_heard_is_no_fault() {
    let found = faults(|run, _, _| drop(run.lives[0].told.remove(3)));
    assert_eq!(found, [], "it was killed between its commit and the word of it");
    let found = told(3, 1, Event::Duplicate { from: 17, step: 20, version: 6 });
    assert_eq!(found, [], "its own commit, found again");
}

#[test]
fn a_lost_acknowledged_version_is_seen() {
    let found = told(1, 0, started("host-a", 2, 1, 4));
    assert_has(&found, |fault| {
        matches!(fault, Fault::AcknowledgedLost { life: 1, acknowledged: 2, found: 1 })
    });
    let found = faults(|_, strides, _| strides.retain(|stride| stride.version != 2));
    assert_has(&found, |fault| matches!(fault, Fault::AcknowledgedNotApplied { life: 0, found: None, .. }));
    let found = faults(|_, strides, _| strides[1].epoch = 9);
    assert_has(&found, |fault| {
        matches!(fault, Fault::AcknowledgedNotApplied { life: 0, found: Some(_), .. })
    });
}

#[test]
fn a_version_that_holds_another_step_is_seen() {
    let wrong = Fault::WrongPlace { life: 1, version: 2, expected: 8, found: 7 };
    assert_has(&told(1, 0, started("host-a", 2, 2, 7)), |fault| *fault == wrong);
}

#[test]
fn an_epoch_that_is_given_out_twice_is_seen() {
    let wrong = Fault::EpochRepeated { life: 1, before: 1, found: 1 };
    assert_has(&told(1, 0, started("host-a", 1, 2, 8)), |fault| *fault == wrong);
    let found = told(1, 3, committed(3, 1, 8, 12));
    assert_has(&found, |fault| matches!(fault, Fault::WrongEpoch { life: 1, version: 3, found: 1 }));
    let found = faults(|_, strides, _| strides[3].epoch = 1);
    assert_has(&found, |fault| matches!(fault, Fault::EpochFell { version: 4, from: 2, to: 1 }));
}

#[test]
fn a_zombie_that_publishes_is_seen() {
    let found = faults(|run, _, _| run.lives[1].told.push(committed(4, 2, 12, 16)));
    assert_has(&found, |fault| matches!(fault, Fault::PublishedAfterFence { life: 1, version: 4 }));
}

#[test]
fn a_zombie_that_is_not_fenced_is_seen() {
    for end in [End::Code(0), End::Code(75), End::Code(1), End::Signal(9)] {
        let found = faults(|run, _, _| run.lives[1].end = Some(end));
        assert_has(&found, |fault| matches!(fault, Fault::WrongEnd { life: 1, .. }));
    }
    let found = faults(|run, _, _| drop(run.lives[1].told.pop()));
    assert_has(&found, |fault| matches!(fault, Fault::WrongEnd { life: 1, .. }));
}

#[test]
fn a_commit_out_of_order_or_out_of_nowhere_is_seen() {
    for wrong in [committed(3, 1, 4, 8), committed(2, 1, 5, 8), committed(2, 1, 4, 4)] {
        assert_has(&told(0, 3, wrong), |fault| matches!(fault, Fault::OutOfOrder { life: 0, after: 1, .. }));
    }
    let found = faults(|run, _, _| drop(run.lives[0].told.remove(0)));
    assert_has(&found, |fault| matches!(fault, Fault::Invented { life: 0, version: 1 }));
}

#[test]
fn an_end_that_nothing_explains_is_seen() {
    let wrong = [(0, End::Code(0)), (2, End::Code(0)), (2, End::Signal(15)), (3, End::Code(1))];
    for (life, end) in wrong {
        let found = faults(|run, _, _| run.lives[life].end = Some(end));
        assert_has(&found, |fault| matches!(fault, Fault::WrongEnd { life: at, .. } if *at == life));
    }
    let early = faults(|run, _, _| {
        run.lives[2].told.clear();
        run.lives[2].end = Some(End::Signal(15));
    });
    assert!(
        !early.iter().any(|fault| matches!(fault, Fault::WrongEnd { .. })),
        "it did not listen yet: {early:?}"
    );
    let found = faults(|run, _, _| run.lives[1].end = None);
    assert_has(&found, |fault| matches!(fault, Fault::StillThere { life: 1 }));
    let found = faults(|run, _, _| drop(run.lives[3].told.pop()));
    assert_has(&found, |fault| matches!(fault, Fault::NotFinished));
}

#[test]
fn a_play_in_which_something_never_happened_proves_nothing() {
    let found = faults(|run, _, _| run.blows.retain(|blow| blow.kind != Kind::Frozen));
    assert_has(&found, |fault| matches!(fault, Fault::NeverPlayed { kind: Kind::Frozen }));
    assert_has(&found, |fault| matches!(fault, Fault::TooFewPlayed { asked: 7, played: 6 }));
    let found = told(2, 2, step(13));
    assert_has(&found, |fault| {
        matches!(fault, Fault::LeaseOutlived { kind: Kind::Revoked, asked: 1, heard: 0 })
    });
    let found = told(2, 4, lease_lost("revoked", 13, 12));
    assert_has(&found, |fault| {
        matches!(fault, Fault::LeaseOutlived { kind: Kind::Expired, asked: 1, heard: 0 })
    });
}

#[test]
fn a_step_that_comes_to_another_loss_when_done_again_is_seen() {
    let other = Event::Step { step: 13, loss: 2.000_001 / 13.0, correct: 1, examples: 8 };
    assert_has(&told(2, 1, other.clone()), |fault| {
        matches!(fault, Fault::OtherLoss { life: 2, step: 13, .. })
    });
    let mut run = sound();
    run.lives[2].told[1] = other;
    assert_has(&judge_play(&run), |fault| matches!(fault, Fault::OtherLoss { life: 2, step: 13, .. }));
}

#[test]
fn strides_that_do_not_cover_each_step_once_are_seen() {
    let gap = faults(|_, strides, _| strides[2].from = 9);
    assert_has(&gap, |fault| matches!(fault, Fault::NotTiled { expected: 8, from: 9, to: 12 }));
    let twice = faults(|_, strides, _| strides[2].from = 7);
    assert_has(&twice, |fault| matches!(fault, Fault::NotTiled { expected: 8, from: 7, to: 12 }));
    let short = faults(|_, strides, _| strides.truncate(5));
    assert_has(&short, |fault| matches!(fault, Fault::NotTiled { expected: 20, from: 16, to: 17 }));
    let skipped = faults(|_, strides, _| strides[5].version = 7);
    assert_has(&skipped, |fault| matches!(fault, Fault::VersionSkipped { after: 5, found: 7 }));
    let more = faults(|_, strides, _| strides[5].examples += 1);
    assert_has(&more, |fault| matches!(fault, Fault::OtherConsumption { expected: 160, found: 161 }));
}

#[test]
fn another_result_is_seen() {
    let found = told(3, 2, finished_with("v"));
    assert_has(&found, |fault| matches!(fault, Fault::OtherResult { what: "weights", .. }));
    for change in [
        (|event| {
            if let Event::Finished { accuracy, .. } = event {
                *accuracy = 0.91;
            }
        }) as fn(&mut Event),
        |event| {
            if let Event::Finished { consumed, .. } = event {
                *consumed = "d".to_owned();
            }
        },
        |event| {
            if let Event::Finished { examples, .. } = event {
                *examples += 1;
            }
        },
        |event| {
            if let Event::Finished { step, .. } = event {
                *step -= 1;
            }
        },
    ] {
        let found = faults(|run, _, _| change(&mut run.lives[3].told[2]));
        assert_has(&found, |fault| matches!(fault, Fault::OtherResult { .. }));
    }
    let found = faults(|_, _, undisturbed| drop(undisturbed.told.pop()));
    assert_has(&found, |fault| matches!(fault, Fault::NothingToCompare));
}

#[test]
fn what_is_left_behind_is_seen() {
    let (chronicle, strides, undisturbed) = (sound(), applied(), undisturbed());
    let leftovers = ["the GPU of host-a".to_owned()];
    let evidence = Evidence { strides: &strides, undisturbed: &undisturbed, asked: 7, leftovers: &leftovers };
    assert_eq!(judge(&chronicle, &evidence), [Fault::LeftBehind { what: leftovers[0].clone() }]);
}
