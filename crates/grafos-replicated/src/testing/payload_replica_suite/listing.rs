//! Rules of lists, and of what leaves them.

use grafos_suite::{Checked, ensure, ensure_eq, ensure_error};

use super::{TestedPayloadReplica, put, put_in, space, tag};
use crate::error::StoreError;
use crate::payload_replica::{BlobSpace, PayloadReplica};
use crate::register::BlobTag;

/// In order; the order of their numbers and that of their digits differ.
fn tags() -> [BlobTag; 7] {
    [tag(1, 2, 3), tag(1, 10, 1), tag(2, 1, 9), tag(2, 1, 10), tag(2, 1, 256), tag(10, 1, 1), tag(10, 9, 0)]
}

fn filled(tested: &TestedPayloadReplica) -> Result<&dyn PayloadReplica, StoreError> {
    let replica = tested.replica.as_ref();
    for at in [3, 0, 6, 2, 5, 1, 4] {
        put(replica, &tags()[at], b"x")?;
    }
    // In other spaces, whose names begin alike.
    for checkpoint in ["lates", "latest2", "latest.x"] {
        put_in(replica, &BlobSpace::new("tested", checkpoint), &tag(1, 1, 1), b"x")?;
    }
    Ok(replica)
}

pub(super) fn a_list_is_in_the_order_of_tags(tested: &TestedPayloadReplica) -> Checked {
    ensure_eq!(filled(tested)?.list(&space(), None, 100)?, tags(), "the blobs of one space");
    Ok(())
}

pub(super) fn a_list_goes_on_behind_a_tag(tested: &TestedPayloadReplica) -> Checked {
    let replica = filled(tested)?;
    let mut found: Vec<BlobTag> = Vec::new();
    for _ in 0..=tags().len() {
        let page = replica.list(&space(), found.last(), 2)?;
        found.extend(page);
    }
    ensure_eq!(found, tags(), "the blobs, two by two");
    let behind = replica.list(&space(), Some(&tag(1, 99, 0)), 1)?;
    ensure_eq!(behind, [tag(2, 1, 9)], "behind a tag that is not there");
    ensure_eq!(replica.list(&space(), Some(&tag(99, 0, 0)), 9)?, [], "behind the last tag");
    Ok(())
}

pub(super) fn a_list_gives_no_more_than_its_limit(tested: &TestedPayloadReplica) -> Checked {
    let replica = filled(tested)?;
    for limit in [0, 1, 3, 7] {
        let found = replica.list(&space(), None, limit)?;
        ensure_eq!(found, tags()[..limit], "the first {limit} blobs");
    }
    ensure_eq!(replica.list(&space(), None, usize::MAX)?.len(), tags().len(), "how many came of all");
    Ok(())
}

pub(super) fn a_space_without_blobs_is_an_empty_list(tested: &TestedPayloadReplica) -> Checked {
    let replica = tested.replica.as_ref();
    ensure_eq!(replica.list(&space(), None, 10)?, [], "the blobs of a new replica");
    put(replica, &tag(1, 1, 7), b"x")?;
    replica.delete(&space(), &tag(1, 1, 7))?;
    ensure_eq!(replica.list(&space(), None, 10)?, [], "the blobs after the last was deleted");
    Ok(())
}

pub(super) fn a_deleted_blob_is_gone(tested: &TestedPayloadReplica) -> Checked {
    let replica = filled(tested)?;
    let gone = tags()[2];
    replica.delete(&space(), &gone)?;
    let mut rest = tags().to_vec();
    rest.remove(2);
    ensure_eq!(replica.list(&space(), None, 100)?, rest, "the blobs that are left");
    ensure_error!(
        replica.len_bytes(&space(), &gone),
        StoreError::NotFound { .. },
        "the length of what is gone"
    );
    ensure_error!(
        replica.read(&space(), &gone, 0, &mut [0]),
        StoreError::NotFound { .. },
        "a read of what is gone"
    );
    let other = BlobSpace::new("tested", "lates");
    replica.delete(&space(), &tag(1, 1, 1))?;
    ensure!(replica.len_bytes(&other, &tag(1, 1, 1)).is_ok(), "a blob of another space is gone too");
    Ok(())
}

pub(super) fn deleting_what_is_not_there_is_no_error(tested: &TestedPayloadReplica) -> Checked {
    let replica = tested.replica.as_ref();
    replica.delete(&space(), &tag(1, 1, 7))?;
    put(replica, &tag(1, 1, 8), b"x")?;
    replica.delete(&space(), &tag(1, 1, 7))?;
    replica.delete(&space(), &tag(1, 1, 8))?;
    replica.delete(&space(), &tag(1, 1, 8))?;
    Ok(())
}
