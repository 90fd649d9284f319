//! Each fault of a replica does what it says, and no more.

use fabricbios_core::lease::FenceEpoch;

use super::*;
use crate::memory::MemoryReplica;
use crate::names::Version;
use crate::ring::Nonce;
use crate::testing::{TestedPayloadReplica, payload_replica_suite};

const TAG: BlobTag = BlobTag { epoch: FenceEpoch(1), version: Version(1), nonce: Nonce(7) };

fn space() -> BlobSpace {
    BlobSpace::new("tested", "latest")
}

fn put(replica: &dyn PayloadReplica, tag: &BlobTag) -> Result<(), StoreError> {
    let mut writer = replica.create(&space(), tag, Some(8))?;
    writer.write(b"0123")?;
    writer.write(b"4567")?;
    writer.finish()
}

/// A replica that makes this fault at this call, and what lies below it.
fn faulty(call: u64, fault: ReplicaFault) -> (MemoryReplica, FaultyReplica) {
    let below = MemoryReplica::new();
    (below.clone(), FaultyReplica::new(below, FaultPlan::none().at(call, fault)))
}

fn len(replica: &dyn PayloadReplica) -> Option<u64> {
    replica.len_bytes(&space(), &TAG).ok()
}

#[test]
fn without_faults_it_is_the_replica_below() {
    payload_replica_suite(|| {
        let replica = FaultyReplica::new(MemoryReplica::new(), FaultPlan::none());
        TestedPayloadReplica::new(move || replica.clone())
    });
}

#[test]
fn each_fault_of_writing_leaves_what_it_says() {
    use ReplicaFault as F;
    for (call, fault, is_ok, left) in [
        (0, F::Refuse, false, None),
        (0, F::Full, false, None),
        (0, F::Tear { kept_bytes: 5 }, true, Some(5)),
        (0, F::Tear { kept_bytes: 0 }, true, Some(0)),
        (1, F::Full, false, None),
        (3, F::Refuse, false, None),
        (3, F::LoseSilently, true, None),
        (3, F::FailFinishThere, false, Some(8)),
        (3, F::FailFinishGone, false, None),
    ] {
        let (below, replica) = faulty(call, fault);
        assert_eq!(put(&replica, &TAG).is_ok(), is_ok, "{fault:?} at {call}");
        assert_eq!(len(&below), left, "{fault:?} at {call}");
        assert_eq!(replica.counts().faults[fault.name()], 1, "{fault:?} at {call}");
    }
}

#[test]
fn each_fault_of_reading_is_gone_with_the_next_call() {
    let (_, replica) = faulty(4, ReplicaFault::FlipBit { bit: 8 * 8 + 9 });
    put(&replica, &TAG).unwrap();
    let read = || {
        let mut bytes = [0; 8];
        replica.read(&space(), &TAG, 0, &mut bytes).map(|()| bytes)
    };
    assert_eq!(read().unwrap(), *b"03234567", "bit 9 after the end: the second byte");
    assert_eq!(read().unwrap(), *b"01234567");

    let (_, replica) = faulty(4, ReplicaFault::Short);
    put(&replica, &TAG).unwrap();
    assert!(matches!(replica.read(&space(), &TAG, 0, &mut [0; 8]), Err(StoreError::Corrupt { .. })));
    assert!(replica.read(&space(), &TAG, 0, &mut [0; 8]).is_ok());

    let (_, replica) = faulty(4, ReplicaFault::Short);
    put(&replica, &TAG).unwrap();
    assert_eq!((len(&replica), len(&replica)), (Some(7), Some(8)));
}

#[test]
fn a_replica_that_comes_back_empty_has_lost_what_was_being_written_too() {
    let (below, replica) = faulty(5, ReplicaFault::ComeBackEmpty);
    put(&replica, &TAG).unwrap();
    let mut other = TAG;
    other.nonce = Nonce(8);
    let writer = replica.create(&space(), &other, None).unwrap();
    assert_eq!(len(&replica), None, "the sixth call");
    assert!(matches!(writer.finish(), Err(StoreError::Unavailable { .. })));
    assert_eq!(below.list(&space(), None, 10).unwrap(), []);
    put(&replica, &TAG).unwrap();
    assert_eq!(len(&replica), Some(8));
}
