//! Faults of replicas, on the way up and on the way down.

use std::ops::Range;

use grafos_replicated::testing::{FaultPlan, ReplicaFault};
use grafos_replicated::*;

use super::Faulty;
use super::calls::{Call, TWO_CHUNKS, look, state};
use crate::world::name;

const FAULTS: [ReplicaFault; 11] = [
    ReplicaFault::Refuse,
    ReplicaFault::Full,
    ReplicaFault::Tear { kept_bytes: 0 },
    ReplicaFault::Tear { kept_bytes: 1000 },
    ReplicaFault::LoseSilently,
    ReplicaFault::FailFinishThere,
    ReplicaFault::FailFinishGone,
    ReplicaFault::FlipBit { bit: 0 },
    ReplicaFault::FlipBit { bit: 12345 },
    ReplicaFault::Short,
    ReplicaFault::ComeBackEmpty,
];

/// Those that a replica may show and still keep its contract.
const HONEST: [ReplicaFault; 4] =
    [ReplicaFault::Refuse, ReplicaFault::Full, ReplicaFault::FailFinishThere, ReplicaFault::FailFinishGone];

const UPLOADS: [Call; 4] = [Call::FirstSave, Call::Save, Call::SaveStep, Call::CommitStep];

/// So many operations of a load or a repair are tried; a load makes fewer.
const MAX_CALLS: u64 = 16;

/// The operations of each replica that this call makes when all goes well.
fn operations(call: Call) -> Vec<Range<u64>> {
    let mut faulty = Faulty::replicas(|_| FaultPlan::none());
    let counts = |faulty: &Faulty| -> Vec<u64> {
        faulty.replicas.iter().map(|replica| replica.counts().calls).collect()
    };
    let ready = call.prepare(&mut faulty);
    let before = counts(&faulty);
    call.make(&mut faulty, &ready).unwrap();
    before.into_iter().zip(counts(&faulty)).map(|(first, end)| first..end).collect()
}

fn happened(faulty: &Faulty) -> u64 {
    faulty.replicas.iter().map(|replica| replica.counts().total()).sum()
}

/// Scrubs and repairs over replicas that are well again.
fn mends(faulty: &Faulty) {
    let mut job = faulty.clean.checkpoints(1);
    job.repair(&name()).unwrap();
    assert_eq!(job.scrub(&name()).unwrap().faults, []);
    job.collect_garbage(&name()).unwrap();
    for lost in ["a", "b", "c"] {
        let (version, head) = {
            let head = job.load_latest(&name()).unwrap().unwrap();
            (head.version, head.value)
        };
        let alone: Vec<_> = ["a", "b", "c"].into_iter().filter(|other| *other != lost).collect();
        let left = faulty.clean.without(&alone).checkpoints(1).load_latest(&name()).unwrap().unwrap();
        assert!((left.version, left.value) == (version, head), "{lost} alone has all of it");
    }
}

#[test]
fn any_fault_of_one_replica_at_any_operation_hinders_no_save_and_is_mended() {
    for call in UPLOADS {
        let operations = operations(call);
        for fault in FAULTS {
            let mut times = 0;
            for (which, at) in
                operations.iter().cloned().enumerate().flat_map(|(which, all)| all.map(move |at| (which, at)))
            {
                let plan = |replica| match replica == which {
                    true => FaultPlan::none().at(at, fault),
                    false => FaultPlan::none(),
                };
                let mut faulty = Faulty::replicas(plan);
                let ready = call.prepare(&mut faulty);
                let before = look(&faulty);
                let outcome = call.make(&mut faulty, &ready);
                if happened(&faulty) == 0 {
                    continue; // It can't happen to that operation.
                }
                times += 1;
                outcome.unwrap_or_else(|error| panic!("{call:?}, {fault:?} at {at} of {which}: {error}"));
                let seen = look(&faulty);
                assert!(call.is_done(&before, &seen), "{call:?}, {fault:?} at {at} of {which}");
                mends(&faulty);
            }
            let can_happen = !matches!(fault, ReplicaFault::FlipBit { .. } | ReplicaFault::Short);
            assert!(times > 0 || !can_happen, "{call:?} never met {fault:?}");
        }
    }
}

#[test]
fn two_replicas_that_fail_at_any_operation_publish_all_of_it_or_nothing_and_a_retry_does() {
    for call in UPLOADS {
        let (operations, mut refused) = (operations(call), 0);
        for fault in HONEST {
            for other in HONEST {
                for at in 0..4 {
                    let plan = |replica: usize| match replica {
                        0 => FaultPlan::none().at(operations[0].start + at, fault),
                        1 => FaultPlan::none().at(operations[1].start + at, other),
                        _ => FaultPlan::none(),
                    };
                    let mut faulty = Faulty::replicas(plan);
                    let ready = call.prepare(&mut faulty);
                    let before = look(&faulty);
                    let outcome = call.make(&mut faulty, &ready);
                    let seen = look(&faulty);
                    let context = || format!("{call:?}, {fault:?} and {other:?} at {at}: {outcome:?}");
                    match &outcome {
                        Ok(()) => assert!(call.is_done(&before, &seen), "{}", context()),
                        Err(ReplicatedError::QuorumNotMet { needed: 2, acknowledged: 1, failures }) => {
                            assert!(Call::is_untouched(&before, &seen), "{}", context());
                            assert_eq!(failures.0.len(), 2, "{}", context());
                            refused += 1;
                        }
                        Err(_) => panic!("{}", context()),
                    }
                    if outcome.is_err() {
                        call.make(&mut faulty, &ready)
                            .unwrap_or_else(|error| panic!("{error}, {}", context()));
                        assert!(call.is_done(&before, &look(&faulty)), "again, {}", context());
                    }
                    mends(&faulty);
                }
            }
        }
        assert!(refused > 0, "{call:?}");
    }
}

#[test]
fn a_load_gives_the_bytes_that_were_saved_or_an_error_whatever_any_replicas_do() {
    let loads = |faulty: &mut Faulty| match faulty.job.load_latest(&name()) {
        Ok(loaded) => Ok(loaded.unwrap().value),
        Err(error) => Err(error),
    };
    // Behind the save that is loaded.
    let first: Vec<u64> = operations(Call::Save).iter().map(|operations| operations.start).collect();
    // One replica, then all three at the same operation.
    for is_everywhere in [false, true] {
        let (mut loaded, mut lost) = (0, 0);
        for fault in FAULTS {
            for at in 0..MAX_CALLS {
                let plan = |replica: usize| match is_everywhere || replica == 0 {
                    true => FaultPlan::none().at(first[replica] + at, fault),
                    false => FaultPlan::none(),
                };
                let mut faulty = Faulty::replicas(plan);
                Call::Save.prepare(&mut faulty);
                // The manifest that the handle knows from its save would spare it some reads.
                faulty.job = faulty.through_faults();
                match loads(&mut faulty) {
                    Ok(bytes) => {
                        assert!(bytes == state(1, TWO_CHUNKS), "{fault:?} at {at}: other bytes");
                        loaded += 1;
                    }
                    Err(ReplicatedError::PayloadUnavailable { failures, .. }) => {
                        assert!(is_everywhere, "{fault:?} at {at}: {failures}");
                        assert_eq!(failures.0.len(), 3);
                        lost += 1;
                    }
                    Err(error) => panic!("{fault:?} at {at}: {error}"),
                }
            }
        }
        assert!(loaded > 0 && (lost > 0) == is_everywhere, "loaded={loaded}, lost={lost}");
    }
}

#[test]
fn a_repair_over_replicas_that_fail_makes_nothing_worse_and_the_next_one_mends_all() {
    for fault in FAULTS {
        for at in 0..MAX_CALLS * 3 {
            let faulty = Faulty::replicas(|_| FaultPlan::none());
            let mut job = faulty.clean.checkpoints(1);
            job.save_bytes(name(), Version::NONE, &state(1, TWO_CHUNKS), FenceEpoch(1)).unwrap();
            job.save_bytes(name(), Version(1), &state(2, TWO_CHUNKS), FenceEpoch(1)).unwrap();
            // The copies of `c` are gone; what mends them fails at each operation of each replica in turn.
            let emptied = faulty.clean.with_empty("c");
            let which = usize::try_from(at % 3).unwrap();
            let plan = |replica: usize| match replica == which {
                true => FaultPlan::none().at(at / 3, fault),
                false => FaultPlan::none(),
            };
            let through = Faulty::over(emptied, FaultPlan::none(), plan);
            let mut mender = through.through_faults();
            let repaired = mender.repair(&name()).unwrap();
            if happened(&through) == 0 {
                // It can't happen to that operation, or there is none.
                assert_eq!((repaired.copied.len(), repaired.failed.len()), (2, 0), "{repaired:?}");
                continue;
            }
            let mut job = through.clean.checkpoints(1);
            let good =
                |job: &mut ReplicatedCheckpoint, at| job.load_version(&name(), Version(at)).unwrap().value;
            assert!(
                good(&mut job, 1) == state(1, TWO_CHUNKS) && good(&mut job, 2) == state(2, TWO_CHUNKS),
                "{fault:?} at {at}"
            );
            mends(&through);
        }
    }
}
