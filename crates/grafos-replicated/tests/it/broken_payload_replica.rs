//! A replica in memory that breaks one rule of the contract at a time.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use grafos_replicated::testing::TestedPayloadReplica;
use grafos_replicated::{BlobSpace, BlobTag, BlobWriter, PayloadReplica, StoreError};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flaw {
    Nothing,
    LongBlobsLoseTheirLastByte,
    ReadsFromWholePages,
    FillsUpWithZeros,
    IsAsLongAsWasSaid,
    FindsWhatIsNotThere,
    ForgetsTheNonce,
    SpacesHaveNoCase,
    ShowsWhatWasBegun,
    DropFinishes,
    Replaces,
    RepairsDeleteFirst,
    LastFinisherWins,
    ForgetsWhatWasSaid,
    StagingFinishes,
    MakesDurableWhatIsNotThere,
    ListsByFirstDigit,
    ListsAlwaysFromTheStart,
    ListsAll,
    AnEmptySpaceIsAnError,
    KeepsWhatIsDeleted,
    DeletingNothingIsAnError,
    HandlesShareNothing,
    RestartWipes,
    WritersShareABuffer,
}

type Blobs = BTreeMap<(String, BlobTag), Vec<u8>>;

#[derive(Debug, Default)]
struct Disk {
    blobs: Mutex<Blobs>,
    /// What all writers write to, with one flaw.
    buffer: Mutex<Vec<u8>>,
}

#[derive(Clone, Debug)]
pub(crate) struct BrokenReplica {
    flaw: Flaw,
    disk: Arc<Disk>,
}

pub(crate) fn tested(flaw: Flaw) -> TestedPayloadReplica {
    let disk = Arc::new(Disk::default());
    TestedPayloadReplica::new(move || {
        if flaw == Flaw::HandlesShareNothing {
            return BrokenReplica { flaw, disk: Arc::default() };
        }
        if flaw == Flaw::RestartWipes {
            lock(&disk.blobs).clear();
        }
        BrokenReplica { flaw, disk: Arc::clone(&disk) }
    })
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn not_found(tag: &BlobTag) -> StoreError {
    StoreError::NotFound { what: tag.file_name() }
}

impl BrokenReplica {
    fn has(&self, flaw: Flaw) -> bool {
        self.flaw == flaw
    }

    fn key(&self, space: &BlobSpace, tag: &BlobTag) -> (String, BlobTag) {
        let mut tag = *tag;
        if self.has(Flaw::ForgetsTheNonce) {
            tag.nonce = grafos_replicated::Nonce(0);
        }
        (self.space(space), tag)
    }

    fn space(&self, space: &BlobSpace) -> String {
        let space = space.as_str();
        if self.has(Flaw::SpacesHaveNoCase) { space.to_lowercase() } else { space.to_owned() }
    }

    fn blob(&self, space: &BlobSpace, tag: &BlobTag) -> Result<Vec<u8>, StoreError> {
        let found = lock(&self.disk.blobs).get(&self.key(space, tag)).cloned();
        if self.has(Flaw::FindsWhatIsNotThere) {
            return Ok(found.unwrap_or_default());
        }
        found.ok_or_else(|| not_found(tag))
    }
}

impl PayloadReplica for BrokenReplica {
    fn create(
        &self,
        space: &BlobSpace,
        tag: &BlobTag,
        max_bytes: Option<u64>,
    ) -> Result<Box<dyn BlobWriter>, StoreError> {
        let key = self.key(space, tag);
        let mut blobs = lock(&self.disk.blobs);
        if blobs.contains_key(&key) && !self.has(Flaw::Replaces) {
            return Err(StoreError::AlreadyExists { what: tag.file_name() });
        }
        if self.has(Flaw::ShowsWhatWasBegun) {
            blobs.insert(key.clone(), Vec::new());
        }
        let replica = self.clone();
        Ok(Box::new(BrokenWriter {
            replica,
            key,
            max_bytes,
            bytes: Vec::new(),
            replaces: false,
            is_lost: false,
            is_done: false,
        }))
    }

    fn replace(
        &self,
        space: &BlobSpace,
        tag: &BlobTag,
        max_bytes: Option<u64>,
    ) -> Result<Box<dyn BlobWriter>, StoreError> {
        let (replica, key) = (self.clone(), self.key(space, tag));
        if self.has(Flaw::RepairsDeleteFirst) {
            lock(&self.disk.blobs).remove(&key);
        }
        Ok(Box::new(BrokenWriter {
            replica,
            key,
            max_bytes,
            bytes: Vec::new(),
            replaces: true,
            is_lost: false,
            is_done: false,
        }))
    }

    fn read(&self, space: &BlobSpace, tag: &BlobTag, offset: u64, into: &mut [u8]) -> Result<(), StoreError> {
        let mut blob = self.blob(space, tag)?;
        let mut offset = usize::try_from(offset).unwrap();
        if self.has(Flaw::ReadsFromWholePages) && offset % 4096 != 0 && blob.len() > 200_000 {
            offset -= offset % 4096;
        }
        if self.has(Flaw::FillsUpWithZeros) && blob.len() < 4096 {
            blob.resize(4096, 0);
        }
        match blob.get(offset..).and_then(|rest| rest.get(..into.len())) {
            Some(found) => into.copy_from_slice(found),
            None => return Err(StoreError::Corrupt { what: tag.file_name(), problem: "too short" }),
        }
        Ok(())
    }

    fn len_bytes(&self, space: &BlobSpace, tag: &BlobTag) -> Result<u64, StoreError> {
        Ok(self.blob(space, tag)?.len() as u64)
    }

    fn list(
        &self,
        space: &BlobSpace,
        after: Option<&BlobTag>,
        limit: usize,
    ) -> Result<Vec<BlobTag>, StoreError> {
        let space = self.space(space);
        let blobs = lock(&self.disk.blobs);
        let mut tags: Vec<_> = blobs.keys().filter(|(of, _)| *of == space).map(|(_, tag)| *tag).collect();
        if self.has(Flaw::AnEmptySpaceIsAnError) && tags.is_empty() {
            return Err(StoreError::NotFound { what: space });
        }
        if self.has(Flaw::ListsByFirstDigit) {
            tags.sort_by_key(|tag| format!("{}-{}", tag.epoch, tag.version));
        }
        tags.retain(|tag| self.has(Flaw::ListsAlwaysFromTheStart) || Some(tag) > after);
        tags.truncate(if self.has(Flaw::ListsAll) { usize::MAX } else { limit });
        Ok(tags)
    }

    fn delete(&self, space: &BlobSpace, tag: &BlobTag) -> Result<(), StoreError> {
        let mut blobs = lock(&self.disk.blobs);
        if self.has(Flaw::KeepsWhatIsDeleted) && blobs.len() > 2 {
            return Ok(());
        }
        let removed = blobs.remove(&self.key(space, tag));
        if removed.is_none() && self.has(Flaw::DeletingNothingIsAnError) {
            return Err(not_found(tag));
        }
        Ok(())
    }

    fn make_durable(&self, space: &BlobSpace, tag: &BlobTag) -> Result<(), StoreError> {
        if self.has(Flaw::MakesDurableWhatIsNotThere) {
            return Ok(());
        }
        self.len_bytes(space, tag).map(drop)
    }
}

#[derive(Debug)]
struct BrokenWriter {
    replica: BrokenReplica,
    key: (String, BlobTag),
    max_bytes: Option<u64>,
    bytes: Vec<u8>,
    replaces: bool,
    is_lost: bool,
    is_done: bool,
}

impl BrokenWriter {
    fn show(&mut self) {
        let mut bytes = std::mem::take(&mut self.bytes);
        if self.replica.has(Flaw::LongBlobsLoseTheirLastByte) && bytes.len() > 2 << 20 {
            bytes.pop();
        }
        if let Some(max_bytes) = self.max_bytes.filter(|_| self.replica.has(Flaw::IsAsLongAsWasSaid)) {
            bytes.resize(usize::try_from(max_bytes).unwrap(), 0);
        }
        if self.replica.has(Flaw::WritersShareABuffer) {
            // Until another writer has written too, or none comes.
            for _ in 0..20_000 {
                if lock(&self.replica.disk.buffer).len() > bytes.len() {
                    break;
                }
                thread::yield_now();
            }
            bytes = lock(&self.replica.disk.buffer).split_off(0);
        }
        lock(&self.replica.disk.blobs).insert(self.key.clone(), bytes);
        self.is_done = true;
    }
}

impl BlobWriter for BrokenWriter {
    fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        let len = (self.bytes.len() + bytes.len()) as u64;
        if let Some(limit) =
            self.max_bytes.filter(|max| len > *max && !self.replica.has(Flaw::ForgetsWhatWasSaid))
        {
            self.is_lost = true;
            return Err(StoreError::TooLarge { what: self.key.0.clone(), limit, found: len });
        }
        self.bytes.extend_from_slice(bytes);
        if self.replica.has(Flaw::WritersShareABuffer) {
            lock(&self.replica.disk.buffer).extend_from_slice(bytes);
        }
        Ok(())
    }

    fn stage(&mut self) -> Result<(), StoreError> {
        if self.replica.has(Flaw::StagingFinishes) {
            self.show();
        }
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<(), StoreError> {
        if self.is_lost {
            return Err(StoreError::InvalidRequest { what: self.key.0.clone(), problem: "it is lost" });
        }
        let may_replace = self.replaces
            || [Flaw::Replaces, Flaw::LastFinisherWins, Flaw::ShowsWhatWasBegun].contains(&self.replica.flaw);
        if !may_replace && lock(&self.replica.disk.blobs).contains_key(&self.key) {
            return Err(StoreError::AlreadyExists { what: self.key.0.clone() });
        }
        self.show();
        Ok(())
    }
}

impl Drop for BrokenWriter {
    fn drop(&mut self) {
        if self.replica.has(Flaw::DropFinishes) && !self.is_done {
            self.show();
        }
    }
}
