//! Faults of the store of registers.

use grafos_replicated::testing::{FaultPlan, StoreFault};
use grafos_replicated::*;

use super::Faulty;
use super::calls::{Call, Ready, look};

const FAULTS: [StoreFault; 7] = [
    StoreFault::FailRead,
    StoreFault::FailBefore,
    StoreFault::UnknownLanded,
    StoreFault::UnknownLost,
    StoreFault::UnknownDelayed { calls: 1 },
    StoreFault::UnknownDelayed { calls: 2 },
    StoreFault::UnknownDelayed { calls: 4 },
];

/// How a call went that met faults.
#[derive(Debug, Default, PartialEq, Eq)]
struct Tally {
    done: u32,
    refused: u32,
    unknown: u32,
}

/// Where the calls of the store begin that this call makes.
fn first_call(call: Call) -> u64 {
    let mut faulty = Faulty::store(FaultPlan::none());
    call.prepare(&mut faulty);
    faulty.store.counts().calls
}

/// Makes the call over these faults, and judges. `false` if not all of them have happened.
fn try_with(call: Call, faults: &[(u64, StoreFault)], tally: &mut Tally) -> bool {
    let plan = faults.iter().fold(FaultPlan::none(), |plan, (at, fault)| plan.at(*at, *fault));
    let mut faulty = Faulty::store(plan);
    let ready = call.prepare(&mut faulty);
    let before = look(&faulty);
    let outcome = call.make(&mut faulty, &ready);
    let all_happened = faulty.store.counts().total() == faults.len() as u64;
    // Whatever is on its way arrives.
    faulty.store.settle();
    let seen = look(&faulty);
    let (is_done, is_untouched) = (call.is_done(&before, &seen), Call::is_untouched(&before, &seen));
    let context = || format!("{call:?}, {faults:?}: {outcome:?}, {seen:?}");
    match &outcome {
        Ok(()) => {
            assert!(is_done, "said to be done, {}", context());
            tally.done += 1;
        }
        Err(ReplicatedError::OutcomeUnknown { .. }) => {
            assert!(is_done || is_untouched, "half done, {}", context());
            tally.unknown += 1;
        }
        Err(ReplicatedError::Store(StoreError::Unavailable { .. })) => {
            assert!(is_untouched, "said not to be done, {}", context());
            tally.refused += 1;
        }
        Err(_) => panic!("a store that can't be reached is no reason for this, {}", context()),
    }
    if call.is_repeatable() {
        again(call, &mut faulty, &ready, faults.len(), &context());
        faulty.store.settle();
        assert!(call.is_done(&before, &look(&faulty)), "again, {}", context());
    }
    all_happened
}

/// The same call again, until it is content. A fault that it did not come to before may meet it now.
fn again(call: Call, faulty: &mut Faulty, ready: &Ready, faults: usize, context: &str) {
    for _ in 0..=faults {
        match call.make(faulty, ready) {
            Ok(()) => return,
            Err(ReplicatedError::VersionConflict { expected, current, .. }) => {
                assert_eq!(current, expected.next(), "again, {context}");
                return;
            }
            Err(ReplicatedError::Store(_) | ReplicatedError::OutcomeUnknown { .. }) => {}
            Err(error) => panic!("again: {error}, {context}"),
        }
    }
    panic!("it never comes to an end, {context}");
}

#[test]
fn a_fault_of_the_store_at_any_operation_of_any_call_leaves_it_done_or_not_done_and_never_half() {
    for call in Call::ALL {
        let (first, mut tally) = (first_call(call), Tally::default());
        for fault in FAULTS {
            let mut happened = 0;
            // So far that no call comes to it.
            for at in first..first + 20 {
                happened += u32::from(try_with(call, &[(at, fault)], &mut tally));
            }
            assert!(happened > 0, "{call:?} never met {fault:?}");
        }
        assert!(tally.done > 0 && tally.refused > 0, "{call:?}: {tally:?}");
    }
}

#[test]
fn two_faults_of_the_store_at_any_operations_of_any_call_leave_it_done_or_not_done_and_never_half() {
    for call in [Call::FirstSave, Call::Reserve, Call::Complete, Call::CommitStep] {
        let (first, mut tally) = (first_call(call), Tally::default());
        for one in FAULTS {
            for two in FAULTS {
                for at in first..first + 8 {
                    for later in at + 1..at + 6 {
                        try_with(call, &[(at, one), (later, two)], &mut tally);
                    }
                }
            }
        }
        assert!(tally.done > 0 && tally.refused > 0 && tally.unknown > 0, "{call:?}: {tally:?}");
    }
}
