//! [`PayloadReplica`]: the trait of a place that keeps blobs: a disk, a mount, a bucket.

use std::fmt;

use fabricbios_core::lease::FenceEpoch;

use crate::error::StoreError;
use crate::metadata_store::encode_into;
use crate::names::Version;
use crate::register::BlobTag;
use crate::ring::Nonce;

/// What a blob belongs to: one checkpoint of one resource. Encoded, so that it can be the name of a directory.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlobSpace(String);

/// The longest name of a space: what file systems take for one file name.
pub const MAX_SPACE_BYTES: usize = 200;

impl BlobSpace {
    /// The space of this checkpoint. Names that would be too long are cut and made unique by their digest.
    #[must_use]
    pub fn new(resource: &str, checkpoint: &str) -> Self {
        let mut space = String::new();
        encode_into(resource, &mut space);
        space.push('.');
        encode_into(checkpoint, &mut space);
        Self(fit_file_name(space))
    }

    /// The name: ASCII letters, digits, `-`, `_`, `%`, `.` and `~`; it does not begin with a dot.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A name that a file system takes: one that is too long is cut, and made unique by its digest.
pub(crate) fn fit_file_name(mut name: String) -> String {
    if name.len() > MAX_SPACE_BYTES {
        let digest = blake3::hash(name.as_bytes()).to_hex();
        name.truncate(MAX_SPACE_BYTES - digest.len() - 1);
        name.push('~');
        name.push_str(&digest);
    }
    name
}

impl fmt::Display for BlobSpace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl BlobTag {
    /// The name of a file or an object: `e<epoch>-v<version>-<nonce>`, numbers padded, so that names sort as tags do.
    #[must_use]
    pub fn file_name(&self) -> String {
        format!("e{:020}-v{:020}-{:032x}", self.epoch.0, self.version.0, self.nonce.0)
    }

    /// The tag of a file of that name; `None` for every other name.
    #[must_use]
    pub fn of_file_name(name: &str) -> Option<Self> {
        let mut parts = name.splitn(3, '-');
        let epoch = parts.next()?.strip_prefix('e')?.parse().ok()?;
        let version = parts.next()?.strip_prefix('v')?.parse().ok()?;
        let nonce = u128::from_str_radix(parts.next()?, 16).ok()?;
        let tag = Self { epoch: FenceEpoch(epoch), version: Version(version), nonce: Nonce(nonce) };
        (tag.file_name() == name).then_some(tag)
    }
}

/// A place that keeps blobs which never change.
///
/// # Contract
/// - A blob is there, whole and durable, when [`BlobWriter::finish`] returns. What was dropped before it was staged or
///   finished leaves nothing that `list` or `read` would show; what was staged, or cut off while it was finished, may
///   be shown, with any contents after a power cut.
/// - A blob is never changed: a second one of the same tag is refused, unless it was begun to
///   [`replace`](PayloadReplica::replace) a damaged one, and then there is the one or the other at every moment.
/// - Nothing is promised about the bytes that are read back: readers verify digests.
///
/// `testing::payload_replica_suite` checks it.
pub trait PayloadReplica: fmt::Debug + Send + Sync {
    /// Begins a blob. `max_bytes` says how long it may get, if that is known: a longer one is
    /// [`StoreError::TooLarge`].
    ///
    /// # Errors
    /// [`StoreError::AlreadyExists`], [`StoreError::Full`], and any other.
    fn create(
        &self,
        space: &BlobSpace,
        tag: &BlobTag,
        max_bytes: Option<u64>,
    ) -> Result<Box<dyn BlobWriter>, StoreError>;

    /// Begins a blob that takes the place of the one of this tag, if there is one, when it is finished: for repairs.
    /// Until then the old one can be read; in between there is no moment without either.
    ///
    /// # Errors
    /// [`StoreError::Full`], and any other.
    fn replace(
        &self,
        space: &BlobSpace,
        tag: &BlobTag,
        max_bytes: Option<u64>,
    ) -> Result<Box<dyn BlobWriter>, StoreError>;

    /// Fills `into` from `offset` on.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]; [`StoreError::Corrupt`] if the blob is shorter; and any other.
    fn read(&self, space: &BlobSpace, tag: &BlobTag, offset: u64, into: &mut [u8]) -> Result<(), StoreError>;

    /// How long the blob is, in bytes.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], and any other.
    fn len_bytes(&self, space: &BlobSpace, tag: &BlobTag) -> Result<u64, StoreError>;

    /// Up to `limit` blobs of the space behind `after`, in the order of their tags. Things that are no blobs of ours
    /// are left out, and left alone.
    ///
    /// # Errors
    /// Any [`StoreError`]; a space without blobs is an empty list.
    fn list(
        &self,
        space: &BlobSpace,
        after: Option<&BlobTag>,
        limit: usize,
    ) -> Result<Vec<BlobTag>, StoreError>;

    /// Removes a blob. One that is not there is no error.
    ///
    /// # Errors
    /// Any [`StoreError`]; the blob may be there or not.
    fn delete(&self, space: &BlobSpace, tag: &BlobTag) -> Result<(), StoreError>;

    /// Makes a blob durable that can be read: its writer may have died after it could be seen and before it was
    /// acknowledged. Whoever counts on a blob that he has not written asks for this first. The default is for replicas
    /// whose blobs are durable as soon as they can be seen.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], and any other; the blob may be durable or not.
    fn make_durable(&self, space: &BlobSpace, tag: &BlobTag) -> Result<(), StoreError> {
        self.len_bytes(space, tag).map(drop)
    }
}

/// A blob that is being written. Dropped without [`finish`](Self::finish), it leaves nothing behind.
pub trait BlobWriter: fmt::Debug + Send {
    /// Appends.
    ///
    /// # Errors
    /// Any [`StoreError`]; the blob is lost then.
    fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError>;

    /// All was written: does what can be done before the disk must be waited for. Optional: [`finish`](Self::finish)
    /// does it too. Nothing is written afterwards.
    ///
    /// # Errors
    /// Those of [`finish`](Self::finish).
    fn stage(&mut self) -> Result<(), StoreError> {
        Ok(())
    }

    /// Whether a caller with writers on several replicas should stage all of them before he finishes this one: on disks
    /// that share a journal, one sync makes all of them durable then.
    fn waits_for_others(&self) -> bool {
        false
    }

    /// Makes the blob durable and visible.
    ///
    /// # Errors
    /// [`StoreError::AlreadyExists`] if another of this tag was finished meanwhile, and any other. Whether the blob is
    /// there is unknown then, unless it was there before.
    fn finish(self: Box<Self>) -> Result<(), StoreError>;
}
