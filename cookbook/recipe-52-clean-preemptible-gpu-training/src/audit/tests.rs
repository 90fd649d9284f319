//! Each violation, made by hand.

use fabricbios_core::lease::FenceEpoch;
use grafos_replicated::{BlobTag, IdempotencyKey, Nonce, OperationHash, StepMark, Version};

use super::*;
use crate::run::stride::tests::record;

fn saved(version: u64, from: u64) -> SavedVersion {
    let tag = BlobTag { epoch: FenceEpoch(1), version: Version(version), nonce: Nonce(1) };
    SavedVersion {
        version: Version(version),
        epoch: FenceEpoch(1),
        manifest: tag,
        manifest_digest: [0; 32],
        payload_bytes: 1,
        blobs: vec![tag],
        acknowledged: 7,
        step: Some(StepMark {
            key: IdempotencyKey::new(format!("digits:from-step-{from}")),
            operation: OperationHash([0; 32]),
        }),
    }
}

fn first_step(key: &str) -> Option<u64> {
    key.strip_prefix("digits:from-step-")?.parse().ok()
}

/// Three strides of ten steps, by two workers.
fn sound() -> Vec<StrideRecord> {
    vec![record(0, 10, 1, 2), record(10, 20, 2, 2), record(20, 30, 3, 4)]
}

fn verdict(records: Vec<StrideRecord>) -> Audit {
    let head = records.last().map_or(0, |record| record.version);
    let history: Vec<_> = records
        .iter()
        .filter(|r| r.version <= head)
        .map(|record| saved(record.version, record.from))
        .collect();
    let strides = records.into_iter().map(|record| (record.from, Some(record))).collect();
    judge(strides, &history, 5, first_step)
}

#[test]
fn strides_that_tile_are_no_violation() {
    let audit = verdict(sound());
    assert_eq!(audit.violations, []);
    assert_eq!((audit.step(), audit.version, audit.epoch, audit.workers()), (30, 3, 5, 4));
    assert_eq!(judge(Vec::new(), &[], 0, first_step), Audit::default());
}

#[test]
fn a_stride_that_somebody_began_is_open_and_no_violation() {
    let mut strides: Strides = sound().into_iter().map(|record| (record.from, Some(record))).collect();
    strides.push((30, None));
    let history: Vec<_> = [(1, 0), (2, 10), (3, 20)].map(|(version, from)| saved(version, from)).to_vec();
    let audit = judge(strides, &history, 4, first_step);
    assert_eq!((audit.violations, audit.open), (vec![], vec![30]));
}

#[test]
fn a_missing_stride_is_found() {
    let mut records = sound();
    records.remove(1);
    let violations = verdict(records).violations;
    assert!(violations.contains(&Violation::StepsMissing { from: 10, to: 20 }), "{violations:?}");
    assert!(violations.contains(&Violation::VersionOutOfOrder { from: 20, expected: 2, found: 3 }));
    assert!(violations.contains(&Violation::Consumed { from: 20, expected: 640, found: 960 }));
}

#[test]
fn a_step_done_twice_is_found() {
    let mut records = sound();
    records[1] = record(8, 20, 2, 2);
    let violations = verdict(records).violations;
    assert!(violations.contains(&Violation::StepsTwice { from: 8, to: 10, version: 2 }), "{violations:?}");
    assert!(violations.contains(&Violation::Consumed { from: 8, expected: 704, found: 640 }));
}

#[test]
fn a_stride_within_another_is_found() {
    let mut records = sound();
    records.insert(1, record(5, 7, 9, 2));
    let violations = verdict(records).violations;
    assert!(violations.contains(&Violation::StepsTwice { from: 5, to: 7, version: 9 }), "{violations:?}");
}

#[test]
fn a_fenced_worker_s_commit_is_found() {
    let mut records = sound();
    records[2].epoch = 1;
    assert_eq!(verdict(records).violations, [Violation::EpochFell { from: 20, before: 2, found: 1 }]);
}

#[test]
fn images_that_no_step_accounts_for_are_found() {
    let mut records = sound();
    records[2].consumed_examples += 1;
    assert_eq!(verdict(records).violations, [Violation::Consumed { from: 20, expected: 960, found: 961 }]);
}

#[test]
fn a_register_that_does_not_fit_the_strides_is_found() {
    let strides = || sound().into_iter().map(|record| (record.from, Some(record))).collect();
    let history =
        |saved: &[(u64, u64)]| -> Vec<_> { saved.iter().map(|(v, from)| self::saved(*v, *from)).collect() };

    let behind = judge(strides(), &history(&[(1, 0), (2, 10)]), 4, first_step);
    assert_eq!(behind.violations, [Violation::HeadDisagrees { register: 2, stride: 3 }]);

    let other = judge(strides(), &history(&[(2, 0), (3, 20)]), 4, first_step);
    let expected = Violation::MadeByAnother { version: 2, from: Some(0), recorded: Some(10) };
    assert_eq!(other.violations, [expected]);

    let mut without = history(&[(3, 20)]);
    without[0].step = None;
    let without = judge(strides(), &without, 4, first_step);
    assert_eq!(without.violations, [Violation::MadeByAnother { version: 3, from: None, recorded: Some(20) }]);
}
