//! Rules of what is read.

use grafos_suite::{Checked, ensure, ensure_eq, ensure_error};

use super::{TestedPayloadReplica, all_in, all_of, bytes, put, put_in, space, tag};
use crate::error::StoreError;
use crate::payload_replica::BlobSpace;

const LARGE_BYTES: usize = (3 << 20) + 4097;

pub(super) fn what_is_written_is_read(tested: &TestedPayloadReplica) -> Checked {
    let replica = tested.replica.as_ref();
    for (at, len) in [0, 1, 4095, 4096, 4097, LARGE_BYTES].into_iter().enumerate() {
        let (tag, blob) = (tag(1, 1 + at as u64, 7), bytes(len as u64, len));
        put(replica, &tag, &blob)?;
        ensure!(all_of(replica, &tag)? == blob, "a blob of {len} bytes is read as another one");
    }
    // The same in pieces of many sizes, without a word about its length.
    let (tag, blob) = (tag(2, 1, 7), bytes(1, LARGE_BYTES));
    let mut writer = replica.create(&space(), &tag, None)?;
    let (mut rest, mut len) = (blob.as_slice(), 1);
    while !rest.is_empty() {
        let (piece, behind) = rest.split_at(len.min(rest.len()));
        writer.write(piece)?;
        writer.write(&[])?;
        (rest, len) = (behind, len * 3 + 1);
    }
    writer.finish()?;
    ensure!(all_of(replica, &tag)? == blob, "a blob that was written in pieces is read as another one");
    Ok(())
}

pub(super) fn any_part_can_be_read(tested: &TestedPayloadReplica) -> Checked {
    let (replica, blob) = (tested.replica.as_ref(), bytes(2, LARGE_BYTES));
    put(replica, &tag(1, 1, 7), &blob)?;
    let len = blob.len();
    for (offset, count) in
        [(0, 1), (1, 1), (4095, 2), (511, 70_000), (len - 1, 1), (len, 0), (1 << 20, 1 << 20)]
    {
        let mut part = vec![0; count];
        replica.read(&space(), &tag(1, 1, 7), offset as u64, &mut part)?;
        ensure!(part == blob[offset..offset + count], "{count} bytes from {offset} on are others");
    }
    Ok(())
}

pub(super) fn a_read_past_the_end_is_an_error(tested: &TestedPayloadReplica) -> Checked {
    let replica = tested.replica.as_ref();
    put(replica, &tag(1, 1, 7), &bytes(3, 100))?;
    for (offset, count) in [(0, 101), (99, 2), (100, 1), (1 << 40, 1)] {
        let result = replica.read(&space(), &tag(1, 1, 7), offset, &mut vec![0; count]);
        ensure_error!(result, StoreError::Corrupt { .. }, "{count} bytes from {offset} on of 100");
    }
    Ok(())
}

pub(super) fn a_blob_is_as_long_as_was_written(tested: &TestedPayloadReplica) -> Checked {
    let replica = tested.replica.as_ref();
    for (at, (said, len)) in
        [(Some(0), 0), (Some(10 << 20), 5), (Some(2 << 20), 1 << 20), (None, 70_000)].into_iter().enumerate()
    {
        let tag = tag(1, 1 + at as u64, 7);
        let mut writer = replica.create(&space(), &tag, said)?;
        writer.write(&bytes(4, len))?;
        writer.finish()?;
        ensure_eq!(
            replica.len_bytes(&space(), &tag)?,
            len as u64,
            "the length of a blob of {len} bytes, said={said:?}"
        );
    }
    Ok(())
}

pub(super) fn a_blob_that_was_never_written_is_not_found(tested: &TestedPayloadReplica) -> Checked {
    let replica = tested.replica.as_ref();
    put(replica, &tag(1, 1, 7), b"there")?;
    let elsewhere = BlobSpace::new("tested", "elsewhere");
    for (space, tag) in
        [(space(), tag(1, 1, 8)), (space(), tag(1, 2, 7)), (space(), tag(2, 1, 7)), (elsewhere, tag(1, 1, 7))]
    {
        let name = tag.file_name();
        ensure_error!(
            replica.read(&space, &tag, 0, &mut [0]),
            StoreError::NotFound { .. },
            "{space}, {name}"
        );
        ensure_error!(replica.read(&space, &tag, 0, &mut []), StoreError::NotFound { .. }, "{space}, {name}");
        ensure_error!(replica.len_bytes(&space, &tag), StoreError::NotFound { .. }, "{space}, {name}");
    }
    Ok(())
}

pub(super) fn blobs_do_not_share_bytes(tested: &TestedPayloadReplica) -> Checked {
    let replica = tested.replica.as_ref();
    let tags = [tag(1, 1, 1), tag(1, 1, 2), tag(1, 2, 1), tag(2, 1, 1), tag(u64::MAX, u64::MAX, u128::MAX)];
    for (at, tag) in tags.iter().enumerate() {
        put(replica, tag, &bytes(at as u64, 1000 + at))?;
    }
    for (at, tag) in tags.iter().enumerate() {
        ensure!(
            all_of(replica, tag)? == bytes(at as u64, 1000 + at),
            "the blob {} is another",
            tag.file_name()
        );
    }
    Ok(())
}

pub(super) fn any_names_make_spaces_apart(tested: &TestedPayloadReplica) -> Checked {
    let replica = tested.replica.as_ref();
    let (long, longer) = ("n".repeat(256), format!("{}x", "n".repeat(255)));
    let names = [
        ("a", "b"),
        ("a.b", ""),
        ("", "a.b"),
        ("A", "b"),
        ("..", ".."),
        ("../../x", "/etc"),
        ("replica", "grafos"),
        (".replica", "x"),
        ("é", "ö"),
        ("a%2Eb", "c"),
        (&long, &long),
        (&long, &longer),
        ("con", "nul"),
    ];
    for (at, (resource, checkpoint)) in names.iter().enumerate() {
        put_in(replica, &BlobSpace::new(resource, checkpoint), &tag(1, 1, 7), &bytes(at as u64, 50))?;
    }
    for (at, (resource, checkpoint)) in names.iter().enumerate() {
        let space = BlobSpace::new(resource, checkpoint);
        ensure!(
            all_in(replica, &space, &tag(1, 1, 7))? == bytes(at as u64, 50),
            "the blob of {space} is another"
        );
        ensure_eq!(replica.list(&space, None, 10)?, [tag(1, 1, 7)], "the blobs of {space}");
    }
    Ok(())
}
