//! [`payload_replica_suite`]: the contract of [`PayloadReplica`], rule by rule.

use std::sync::Arc;

use fabricbios_core::lease::FenceEpoch;
use grafos_suite::{Broken, Random, Rule, assert_all, rules};

use crate::error::StoreError;
use crate::names::Version;
use crate::payload_replica::{BlobSpace, PayloadReplica};
use crate::register::BlobTag;
use crate::ring::Nonce;

mod contents;
mod finishing;
mod handles;
mod listing;

/// A replica to test, without blobs. The suite asks for a new one for each rule.
pub struct TestedPayloadReplica {
    /// The replica.
    pub replica: Arc<dyn PayloadReplica>,
    /// Another handle on the same blobs: another process, or the same one after a restart. It may own what must live as
    /// long as the test, such as a temporary directory.
    pub reopen: Box<dyn Fn() -> Arc<dyn PayloadReplica>>,
}

/// The rules, in the words of their names.
const RULES: &[Rule<TestedPayloadReplica>] = rules![
    contents::{
        what_is_written_is_read,
        any_part_can_be_read,
        a_read_past_the_end_is_an_error,
        a_blob_is_as_long_as_was_written,
        a_blob_that_was_never_written_is_not_found,
        blobs_do_not_share_bytes,
        any_names_make_spaces_apart,
    },
    finishing::{
        a_blob_appears_when_it_is_finished,
        what_is_not_finished_leaves_nothing,
        a_blob_is_never_replaced,
        a_repair_takes_the_place_of_what_was_there,
        of_two_writers_of_one_tag_one_wins,
        a_blob_gets_no_longer_than_was_said,
        what_is_only_staged_leaves_nothing,
        only_a_blob_that_is_there_can_be_made_durable,
    },
    listing::{
        a_list_is_in_the_order_of_tags,
        a_list_goes_on_behind_a_tag,
        a_list_gives_no_more_than_its_limit,
        a_space_without_blobs_is_an_empty_list,
        a_deleted_blob_is_gone,
        deleting_what_is_not_there_is_no_error,
    },
    handles::{
        another_handle_sees_finished_blobs,
        blobs_outlive_their_handle,
        threads_can_write_at_once,
    },
];

/// Checks every rule of the contract of [`PayloadReplica`], each on a new replica.
///
/// # Panics
/// If a rule is broken; the message names all that are, and how they were seen broken.
pub fn payload_replica_suite(make: impl Fn() -> TestedPayloadReplica) {
    assert_all("PayloadReplica", RULES, make);
}

/// The names of the rules that [`payload_replica_suite`] checks.
pub fn payload_replica_rules() -> impl Iterator<Item = &'static str> {
    RULES.iter().map(|rule| rule.name)
}

impl TestedPayloadReplica {
    /// A replica that `open` opens, now and after each restart.
    #[must_use]
    pub fn new<R: PayloadReplica + 'static>(open: impl Fn() -> R + 'static) -> Self {
        Self { replica: Arc::new(open()), reopen: Box::new(move || Arc::new(open())) }
    }
}

fn space() -> BlobSpace {
    BlobSpace::new("tested", "latest")
}

fn tag(epoch: u64, version: u64, nonce: u128) -> BlobTag {
    BlobTag { epoch: FenceEpoch(epoch), version: Version(version), nonce: Nonce(nonce) }
}

/// Bytes that differ from any others in every part.
fn bytes(seed: u64, len: usize) -> Vec<u8> {
    Random(seed).bytes(len)
}

fn put(replica: &dyn PayloadReplica, tag: &BlobTag, bytes: &[u8]) -> Result<(), StoreError> {
    put_in(replica, &space(), tag, bytes)
}

fn put_in(
    replica: &dyn PayloadReplica,
    space: &BlobSpace,
    tag: &BlobTag,
    bytes: &[u8],
) -> Result<(), StoreError> {
    let mut writer = replica.create(space, tag, Some(bytes.len() as u64))?;
    writer.write(bytes)?;
    writer.finish()
}

fn all_of(replica: &dyn PayloadReplica, tag: &BlobTag) -> Result<Vec<u8>, Broken> {
    all_in(replica, &space(), tag)
}

fn all_in(replica: &dyn PayloadReplica, space: &BlobSpace, tag: &BlobTag) -> Result<Vec<u8>, Broken> {
    let len = replica.len_bytes(space, tag)?;
    let Ok(len) = usize::try_from(len) else { return Err(Broken(format!("a blob of {len} bytes"))) };
    let mut bytes = vec![0; len];
    replica.read(space, tag, 0, &mut bytes)?;
    Ok(bytes)
}
