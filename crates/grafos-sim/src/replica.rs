//! [`Replica`]: a place of blobs that may be down, come back empty, or have a bit turned. It lies about nothing: what it
//! acknowledges is on its disk.

use std::collections::BTreeMap;
use std::rc::Rc;

use grafos_replicated::BlobTag;

use crate::state::Space;

/// One blob of a replica.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    pub(crate) bytes: Rc<[u8]>,
    /// The bytes are those that were written.
    pub(crate) is_good: bool,
    pub(crate) since_us: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Replica {
    pub(crate) blobs: BTreeMap<(Space, BlobTag), Stored>,
    pub(crate) is_down: bool,
}

impl Replica {
    /// Keeps a blob. One that is there already stays, unless it is a repair.
    pub(crate) fn put(
        &mut self,
        space: Space,
        tag: BlobTag,
        bytes: &Rc<[u8]>,
        now_us: u64,
        replaces: bool,
    ) -> bool {
        if !replaces && self.blobs.contains_key(&(space, tag)) {
            return false;
        }
        self.blobs.insert((space, tag), Stored { bytes: Rc::clone(bytes), is_good: true, since_us: now_us });
        true
    }

    pub(crate) fn get(&self, space: Space, tag: BlobTag) -> Option<Rc<[u8]>> {
        self.blobs.get(&(space, tag)).map(|stored| Rc::clone(&stored.bytes))
    }

    pub(crate) fn list(&self, space: Space) -> Vec<(BlobTag, u64)> {
        let of_space = self.blobs.iter().filter(|((of, _), _)| *of == space);
        of_space.map(|((_, tag), stored)| (*tag, stored.since_us)).collect()
    }

    /// Removes a blob. Returns whether it was there, and good.
    pub(crate) fn delete(&mut self, space: Space, tag: BlobTag) -> Option<bool> {
        self.blobs.remove(&(space, tag)).map(|stored| stored.is_good)
    }

    /// Turns one bit of the blob at this place in the order of blobs, and names it. One that is bad stays as it is.
    pub(crate) fn flip(&mut self, at: usize, bit: usize) -> Option<(Space, BlobTag)> {
        // Once is enough: the same bit twice would make it good again.
        let ((space, tag), stored) = self.blobs.iter_mut().nth(at).filter(|(_, stored)| stored.is_good)?;
        let mut bytes = stored.bytes.to_vec();
        let bit = bit % (bytes.len() * 8);
        *bytes.get_mut(bit / 8)? ^= 1 << (bit % 8);
        stored.bytes = bytes.into();
        stored.is_good = false;
        Some((*space, *tag))
    }

    /// Loses everything. Returns what was good.
    pub(crate) fn wipe(&mut self) -> Vec<(Space, BlobTag)> {
        let lost = std::mem::take(&mut self.blobs);
        lost.into_iter().filter(|(_, stored)| stored.is_good).map(|(key, _)| key).collect()
    }

    /// Loses everything of one space. Returns what was good.
    pub(crate) fn empty(&mut self, space: Space) -> Vec<BlobTag> {
        let lost = self.blobs.extract_if(.., |(of, _), _| *of == space);
        lost.filter(|(_, stored)| stored.is_good).map(|((_, tag), _)| tag).collect()
    }

    /// Loses what came since then, as a disk does that lies about flushes. Only a planted fault does that.
    /// Returns what was good.
    pub(crate) fn forget_since(&mut self, since_us: u64) -> Vec<(Space, BlobTag)> {
        let gone = self.blobs.extract_if(.., |_, stored| stored.since_us >= since_us);
        gone.filter(|(_, stored)| stored.is_good).map(|(key, _)| key).collect()
    }
}
