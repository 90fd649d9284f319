//! How programs write blobs to all replicas at once, and read them back verified: what `Upload` and `Download` do for a real
//! engine.

use std::collections::BTreeSet;
use std::rc::Rc;

use grafos_replicated::protocol::checkpoint::Receipt;
use grafos_replicated::{BlobTag, MAX_BLOBS_PER_VERSION, ReplicaFailures, SavedVersion};

use super::Actor;
use crate::message::{Answer, Request};
use crate::mutant::Mutant;
use crate::state::{Content, Digest, Space, State, digest};

/// A blob whose save lost the race. Only a planted fault makes use of it.
#[derive(Clone, Debug)]
pub(crate) struct LostAttempt {
    pub(crate) tag: BlobTag,
    pub(crate) state: State,
    digest: Digest,
    acknowledged: BTreeSet<usize>,
}

impl LostAttempt {
    /// What an upload of it as `tag` would have said.
    pub(crate) fn receipt(&self, tag: BlobTag) -> Receipt {
        Receipt {
            manifest_digest: self.digest,
            payload_bytes: 24,
            blobs: vec![tag],
            acknowledged: self.acknowledged.clone(),
            failures: ReplicaFailures::default(),
        }
    }

    pub(crate) fn of(tag: BlobTag, state: State, replicas: usize) -> Self {
        let bytes = Content { state, refers_to: Vec::new() }.encode();
        Self { tag, state, digest: digest(&bytes), acknowledged: (0..replicas).collect() }
    }
}

impl Actor {
    pub(super) async fn upload(
        &self,
        space: Space,
        tag: BlobTag,
        base: Option<SavedVersion>,
        state: State,
    ) -> Receipt {
        let refers_to = match base {
            Some(base) if !self.is(Mutant::ReusedTag) && self.chance(500) => {
                self.reusable(space, &base).await
            }
            _ => Vec::new(),
        };
        let content = Content { state, refers_to };
        let bytes = content.encode();
        self.with(|net| net.made(space, tag, &content));
        let layout = self.layout(space);
        let put = |replica: &usize| {
            let (replica, bytes) = (*replica, Rc::clone(&bytes));
            self.send(Request::Put { replica, space, tag, bytes, replaces: false })
        };
        let calls: Vec<_> = layout.members.iter().map(put).collect();
        let mut acknowledged = BTreeSet::new();
        if self.is(Mutant::PublishBeforeQuorum) {
            acknowledged.extend(0..calls.len());
        } else {
            for (place, call) in calls.into_iter().enumerate() {
                if matches!(self.answer_to(call).await, Answer::Stored(true)) {
                    acknowledged.insert(place);
                }
            }
        }
        let references = content.refers_to.iter().map(|(tag, _)| *tag);
        Receipt {
            manifest_digest: digest(&bytes),
            payload_bytes: bytes.len() as u64,
            blobs: std::iter::once(tag).chain(references).collect(),
            acknowledged,
            failures: ReplicaFailures::default(),
        }
    }

    /// Blobs of the version before that the next one may refer to.
    async fn reusable(&self, space: Space, base: &SavedVersion) -> Vec<(BlobTag, Digest)> {
        let layout = self.layout(space);
        let Some(content) = self.content(&layout.members, space, base).await else { return Vec::new() };
        let mut blobs = vec![(base.manifest, base.manifest_digest)];
        blobs.extend(content.refers_to);
        self.with(|net| {
            blobs.retain(|_| net.random.chance(600));
        });
        blobs.truncate(MAX_BLOBS_PER_VERSION - 1);
        blobs
    }

    /// What the blob of a version says, from whichever replica has it whole.
    pub(super) async fn content(
        &self,
        places: &[usize],
        space: Space,
        saved: &SavedVersion,
    ) -> Option<Content> {
        let bytes = self.fetch(places, space, saved.manifest, saved.manifest_digest).await?;
        Content::decode(&bytes)
    }

    /// A good copy, from any of these replicas.
    pub(super) async fn fetch(
        &self,
        places: &[usize],
        space: Space,
        tag: BlobTag,
        expected: Digest,
    ) -> Option<Rc<[u8]>> {
        let is_credulous = self.is(Mutant::ReadingWithoutVerification);
        let first = self.with(|net| net.random.index(places.len()));
        for replica in places.iter().cycle().skip(first).take(places.len()) {
            let replica = *replica;
            let Answer::Blob(Some(bytes)) = self.call(Request::Get { replica, space, tag }).await else {
                continue;
            };
            if is_credulous || digest(&bytes) == expected {
                return Some(bytes);
            }
            self.with(|net| net.watch.totals.bad_copies += 1);
        }
        None
    }

    /// The state of a version, every blob of it verified.
    pub(crate) async fn load(&self, space: Space, saved: &SavedVersion) -> Option<State> {
        let layout = self.layout(space);
        let content = self.content(&layout.members, space, saved).await?;
        let named = content.refers_to.iter().map(|(tag, _)| *tag).chain([saved.manifest]);
        let is_credulous = self.is(Mutant::ReadingWithoutVerification);
        if !is_credulous && named.collect::<BTreeSet<_>>() != saved.blobs.iter().copied().collect() {
            return None;
        }
        for (tag, expected) in &content.refers_to {
            self.fetch(&layout.members, space, *tag, *expected).await?;
        }
        Some(content.state)
    }

    /// The digests of all blobs that a register names, as far as they can be read.
    pub(super) async fn digests(
        &self,
        places: &[usize],
        space: Space,
        versions: &[SavedVersion],
    ) -> Vec<(BlobTag, Digest)> {
        let mut known: Vec<(BlobTag, Digest)> = Vec::new();
        for saved in versions {
            known.push((saved.manifest, saved.manifest_digest));
            if let Some(content) = self.content(places, space, saved).await {
                known.extend(content.refers_to);
            }
        }
        known.sort_unstable();
        known.dedup();
        known
    }
}
