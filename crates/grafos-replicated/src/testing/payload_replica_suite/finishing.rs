//! Rules of how a blob comes to be.

use grafos_suite::{Checked, ensure, ensure_eq, ensure_error};

use super::{TestedPayloadReplica, all_of, bytes, put, space, tag};
use crate::error::StoreError;
use crate::payload_replica::PayloadReplica;

/// Whether anything of the blob of `tag(1, 1, 7)` can be seen.
fn is_seen(replica: &dyn PayloadReplica) -> Result<bool, StoreError> {
    let is_listed = !replica.list(&space(), None, 10)?.is_empty();
    Ok(is_listed || replica.len_bytes(&space(), &tag(1, 1, 7)).is_ok())
}

pub(super) fn a_blob_appears_when_it_is_finished(tested: &TestedPayloadReplica) -> Checked {
    let replica = tested.replica.as_ref();
    let mut writer = replica.create(&space(), &tag(1, 1, 7), Some(5 << 20))?;
    ensure!(!is_seen(replica)?, "a blob is seen that was only begun");
    for _ in 0..5 {
        writer.write(&bytes(5, 1 << 20))?;
    }
    ensure!(!is_seen(replica)?, "a blob is seen that was not finished");
    writer.finish()?;
    ensure_eq!(replica.list(&space(), None, 10)?, [tag(1, 1, 7)], "the blobs that are finished");
    ensure_eq!(replica.len_bytes(&space(), &tag(1, 1, 7))?, 5 << 20, "the length of the blob");
    Ok(())
}

pub(super) fn what_is_not_finished_leaves_nothing(tested: &TestedPayloadReplica) -> Checked {
    let replica = tested.replica.as_ref();
    let mut writer = replica.create(&space(), &tag(1, 1, 7), Some(2 << 20))?;
    writer.write(&bytes(6, 2 << 20))?;
    drop(writer);
    ensure!(!is_seen(replica)?, "a blob is seen whose writer was dropped");
    ensure!(!is_seen((tested.reopen)().as_ref())?, "it is seen after a restart");
    put(replica, &tag(1, 1, 7), b"anew")?;
    ensure!(all_of(replica, &tag(1, 1, 7))? == b"anew", "the blob of the next writer is another");
    Ok(())
}

pub(super) fn a_blob_is_never_replaced(tested: &TestedPayloadReplica) -> Checked {
    let replica = tested.replica.as_ref();
    put(replica, &tag(1, 1, 7), b"first")?;
    for second in [&b"first"[..], b"second, and longer"] {
        let refused = put(replica, &tag(1, 1, 7), second);
        ensure_error!(refused, StoreError::AlreadyExists { .. }, "a second blob of the same tag");
        ensure!(all_of(replica, &tag(1, 1, 7))? == b"first", "the blob that was there is another");
    }
    Ok(())
}

pub(super) fn a_repair_takes_the_place_of_what_was_there(tested: &TestedPayloadReplica) -> Checked {
    let replica = tested.replica.as_ref();
    put(replica, &tag(1, 1, 7), b"damaged")?;
    for good in [&b"good"[..], b"good, and longer"] {
        let mut writer = replica.replace(&space(), &tag(1, 1, 7), Some(100))?;
        let before = all_of(replica, &tag(1, 1, 7))?;
        writer.write(good)?;
        ensure!(
            all_of(replica, &tag(1, 1, 7))? == before,
            "the old blob is not there until the new one is finished"
        );
        writer.finish()?;
        ensure!(all_of(replica, &tag(1, 1, 7))? == good, "the new blob is not there once it is finished");
    }
    let mut dropped = replica.replace(&space(), &tag(1, 1, 7), None)?;
    dropped.write(b"half")?;
    drop(dropped);
    ensure!(
        all_of(replica, &tag(1, 1, 7))? == b"good, and longer",
        "a repair that was given up has changed the blob"
    );
    let mut new = replica.replace(&space(), &tag(1, 1, 8), None)?;
    new.write(b"new")?;
    new.finish()?;
    ensure!(all_of(replica, &tag(1, 1, 8))? == b"new", "a repair of what is missing makes it");
    Ok(())
}

pub(super) fn of_two_writers_of_one_tag_one_wins(tested: &TestedPayloadReplica) -> Checked {
    let replica = tested.replica.as_ref();
    let mut first = replica.create(&space(), &tag(1, 1, 7), Some(10))?;
    let mut second = replica.create(&space(), &tag(1, 1, 7), Some(10))?;
    first.write(b"first")?;
    second.write(b"second")?;
    first.finish()?;
    ensure_error!(second.finish(), StoreError::AlreadyExists { .. }, "the one that finished later");
    ensure_eq!(all_of(replica, &tag(1, 1, 7))?, b"first", "the blob of the one that finished first");
    Ok(())
}

pub(super) fn a_blob_gets_no_longer_than_was_said(tested: &TestedPayloadReplica) -> Checked {
    let replica = tested.replica.as_ref();
    let mut writer = replica.create(&space(), &tag(1, 1, 7), Some(10))?;
    writer.write(b"123456789")?;
    ensure_error!(writer.write(b"ab"), StoreError::TooLarge { .. }, "11 bytes of 10");
    ensure!(writer.finish().is_err(), "a blob was finished after a write that failed");
    ensure!(!is_seen(replica)?, "it is seen");
    Ok(())
}

pub(super) fn what_is_only_staged_leaves_nothing(tested: &TestedPayloadReplica) -> Checked {
    let replica = tested.replica.as_ref();
    let mut dropped = replica.create(&space(), &tag(1, 1, 7), Some(6))?;
    dropped.write(b"staged")?;
    dropped.stage()?;
    drop(dropped);
    ensure!(!is_seen(replica)?, "a blob is seen whose writer was dropped after it had staged");
    let mut writer = replica.create(&space(), &tag(1, 1, 7), Some(8))?;
    writer.write(b"finished")?;
    writer.stage()?;
    writer.finish()?;
    ensure_eq!(all_of(replica, &tag(1, 1, 7))?, b"finished", "the blob that was staged and then finished");
    Ok(())
}

pub(super) fn only_a_blob_that_is_there_can_be_made_durable(tested: &TestedPayloadReplica) -> Checked {
    let replica = tested.replica.as_ref();
    let missing = replica.make_durable(&space(), &tag(1, 1, 7));
    ensure_error!(missing, StoreError::NotFound { .. }, "making durable what was never written");
    put(replica, &tag(1, 1, 7), b"here")?;
    replica.make_durable(&space(), &tag(1, 1, 7))?;
    (tested.reopen)().make_durable(&space(), &tag(1, 1, 7))?;
    ensure_eq!(all_of(replica, &tag(1, 1, 7))?, b"here", "the blob after it was made durable");
    Ok(())
}
