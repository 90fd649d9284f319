//! Rules of several handles on the same records.

use grafos_suite::{Checked, ensure, ensure_eq};

use super::{TestedMetadataStore, body, committed, created, delete, key, put};
use crate::metadata_store::{CommitOutcome, Expect};

pub(super) fn another_handle_sees_every_commit(tested: &TestedMetadataStore) -> Checked {
    let (one, other) = (tested.store.as_ref(), (tested.reopen)());
    let mut revision = created(one, &key("a"), b"0")?;
    for round in 1..4_u8 {
        ensure_eq!(
            body(other.as_ref(), &key("a"))?,
            Some(vec![b'0' + round - 1]),
            "what the other handle reads"
        );
        revision = committed(one, &put(&key("a"), Expect::At(revision), &[b'0' + round]))?;
    }
    committed(other.as_ref(), &delete(&key("a"), Expect::At(revision)))?;
    ensure_eq!(one.read(&key("a"))?, None, "what the other handle has deleted");
    Ok(())
}

pub(super) fn records_outlive_their_handle(tested: &TestedMetadataStore) -> Checked {
    let first = (tested.reopen)();
    let revision = created(first.as_ref(), &key("a"), b"kept")?;
    drop(first);
    let second = (tested.reopen)();
    let found = second.read(&key("a"))?;
    ensure_eq!(found.as_ref().map(|record| record.revision), Some(revision), "the revision after a restart");
    ensure_eq!(found.map(|record| record.body), Some(b"kept".to_vec()), "the record after a restart");
    Ok(())
}

pub(super) fn revisions_go_on_after_a_restart(tested: &TestedMetadataStore) -> Checked {
    let first = (tested.reopen)();
    let revision = created(first.as_ref(), &key("a"), b"1")?;
    let revision = committed(first.as_ref(), &delete(&key("a"), Expect::At(revision)))?;
    drop(first);
    let anew = created((tested.reopen)().as_ref(), &key("b"), b"1")?;
    ensure!(
        anew > revision,
        "the first revision after a restart is {anew:?}, the last before was {revision:?}"
    );
    Ok(())
}

pub(super) fn guards_hold_between_handles(tested: &TestedMetadataStore) -> Checked {
    let (one, other) = (tested.store.as_ref(), (tested.reopen)());
    let revision = created(one, &key("a"), b"1")?;
    let ours = committed(one, &put(&key("a"), Expect::At(revision), b"2"))?;
    let stale = other.commit(&put(&key("a"), Expect::At(revision), b"3"))?;
    ensure_eq!(stale, CommitOutcome::Conflict, "a change by another handle of what has changed since");
    committed(other.as_ref(), &put(&key("a"), Expect::At(ours), b"4"))?;
    ensure_eq!(body(one, &key("a"))?, Some(b"4".to_vec()), "what stands at the end");
    Ok(())
}
