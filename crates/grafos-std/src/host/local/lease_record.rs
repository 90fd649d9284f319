//! [`LeaseRecord`]: what a volume knows of its newest lease, as bytes.
//!
//! ```text
//! offset  size                                          (integers are little-endian)
//!      0     8  magic "GRFLEASE"
//!      8     4  format version, 1
//!     12     1  lease status: 0 active, 3 released; 1, 2 and 4 are understood and not written
//!     13     1  length of the volume's name
//!     14     2  zeros
//!     16     8  counter: one more with each record; even in slot 0, odd in slot 1
//!     24    16  lease id, 0 before the first lease
//!     40     8  epoch of the newest holder, 0 before the first
//!     48     4  process id of the newest holder
//!     52     4  zeros
//!     56     8  length of the lease, in seconds
//!     64     8  deadline on the wall clock, in milliseconds since 1970
//!     72     8  deadline on the boot clock, in milliseconds since the boot below
//!     80    16  boot id, zeros if unknown
//!     96     8  size of the volume in blocks, 0 while it is being made
//!    104    64  name of the volume, then zeros
//!    168   312  zeros
//!    480    32  BLAKE3 of bytes 0..480
//! ```
//!
//! The name is there because directories are copied and moved: under another name the epoch still counts, the lease
//! does not.

use std::time::Duration;

use fabricbios_core::lease::{FenceEpoch, LeaseId};
use fabricbios_core::state::LeaseStatus;

use super::boot::{BootId, Moment};
use super::lease_file::Revocation;
use super::sector::{self, Sector};
use crate::host::VolumeName;

const RECORD_MAGIC: [u8; 8] = *b"GRFLEASE";
const RECORD_VERSION: u32 = 1;
const NAME_BYTES: usize = 64;

const VERSION: usize = sector::CONTENT;
const STATUS: usize = VERSION + 4;
const NAME_LEN: usize = STATUS + 1;
const COUNTER: usize = NAME_LEN + 1 + 2;
const LEASE_ID: usize = COUNTER + 8;
const EPOCH: usize = LEASE_ID + 16;
const PID: usize = EPOCH + 8;
const LEASE_SECS: usize = PID + 4 + 4;
const UNIX_DEADLINE: usize = LEASE_SECS + 8;
const BOOT_DEADLINE: usize = UNIX_DEADLINE + 8;
const BOOT_ID: usize = BOOT_DEADLINE + 8;
const BLOCKS: usize = BOOT_ID + 16;
const NAME: usize = BLOCKS + 8;

/// What a volume knows of its newest lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LeaseRecord {
    pub(super) counter: u64,
    pub(super) lease_id: LeaseId,
    pub(super) epoch: FenceEpoch,
    pub(super) status: LeaseStatus,
    pub(super) pid: u32,
    pub(super) lease_secs: u64,
    pub(super) expires_unix_ms: u64,
    pub(super) deadline_boot_ms: u64,
    pub(super) boot_id: BootId,
    pub(super) blocks: u64,
    pub(super) volume: VolumeName,
}

/// Why bytes are not a lease record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RecordFault {
    /// The digest does not match: torn, rotten, or something else altogether.
    NotSealed,
    /// Sealed, but not by this format.
    OtherMagic,
    /// A later format, which this build must not write over.
    NewerVersion(u32),
    /// Sealed by this format, but with a field that it can't have, or in the other slot.
    BadField(&'static str),
}

/// Bytes that may be a lease record.
#[derive(Debug)]
pub(super) struct UnverifiedRecord(pub(super) Sector);

impl UnverifiedRecord {
    /// The record of slot `slot` (0 or 1), `None` if nothing was ever written there.
    pub(super) fn verify(self, slot: u64) -> Result<Option<LeaseRecord>, RecordFault> {
        let Self(sector) = self;
        if sector.is_zero() {
            return Ok(None);
        }
        if !sector.is_sealed() {
            return Err(RecordFault::NotSealed);
        }
        if sector.take(sector::MAGIC) != RECORD_MAGIC {
            return Err(RecordFault::OtherMagic);
        }
        match sector.take_u32(VERSION) {
            RECORD_VERSION => {}
            newer if newer > RECORD_VERSION => return Err(RecordFault::NewerVersion(newer)),
            _ => return Err(RecordFault::BadField("version")),
        }
        let counter = sector.take_u64(COUNTER);
        if counter % 2 != slot {
            return Err(RecordFault::BadField("counter"));
        }
        let [status] = sector.take(STATUS);
        Ok(Some(LeaseRecord {
            counter,
            lease_id: LeaseId(u128::from_le_bytes(sector.take(LEASE_ID))),
            epoch: FenceEpoch(sector.take_u64(EPOCH)),
            status: LeaseStatus::from_code(status).ok_or(RecordFault::BadField("status"))?,
            pid: sector.take_u32(PID),
            lease_secs: sector.take_u64(LEASE_SECS),
            expires_unix_ms: sector.take_u64(UNIX_DEADLINE),
            deadline_boot_ms: sector.take_u64(BOOT_DEADLINE),
            boot_id: BootId(sector.take(BOOT_ID)),
            blocks: sector.take_u64(BLOCKS),
            volume: name_of(&sector)?,
        }))
    }
}

fn name_of(sector: &Sector) -> Result<VolumeName, RecordFault> {
    let [len] = sector.take(NAME_LEN);
    let bytes: [u8; NAME_BYTES] = sector.take(NAME);
    let name = bytes.get(..usize::from(len)).and_then(|name| std::str::from_utf8(name).ok());
    name.and_then(|name| VolumeName::new(name).ok()).ok_or(RecordFault::BadField("name"))
}

impl LeaseRecord {
    /// The record of a volume that is being made: no lease yet, no blocks.
    pub(super) fn first(volume: VolumeName) -> Self {
        Self {
            counter: 0,
            lease_id: LeaseId(0),
            epoch: FenceEpoch(0),
            status: LeaseStatus::Released,
            pid: 0,
            lease_secs: 0,
            expires_unix_ms: 0,
            deadline_boot_ms: 0,
            boot_id: BootId::UNKNOWN,
            blocks: 0,
            volume,
        }
    }

    pub(super) fn to_sector(&self) -> Sector {
        let mut sector = Sector::with_magic(RECORD_MAGIC);
        sector.put_u32(VERSION, RECORD_VERSION);
        sector.put(STATUS, [self.status.code()]);
        sector.put_u64(COUNTER, self.counter);
        sector.put(LEASE_ID, self.lease_id.0.to_le_bytes());
        sector.put_u64(EPOCH, self.epoch.0);
        sector.put_u32(PID, self.pid);
        sector.put_u64(LEASE_SECS, self.lease_secs);
        sector.put_u64(UNIX_DEADLINE, self.expires_unix_ms);
        sector.put_u64(BOOT_DEADLINE, self.deadline_boot_ms);
        sector.put(BOOT_ID, self.boot_id.0);
        sector.put_u64(BLOCKS, self.blocks);
        let mut name = [0; NAME_BYTES];
        let mut len = 0;
        for (into, byte) in name.iter_mut().zip(self.volume.as_str().bytes()) {
            *into = byte;
            len += 1;
        }
        sector.put(NAME_LEN, [len]);
        sector.put(NAME, name);
        sector.seal()
    }

    /// Where the lease stands, given what the revocation word says.
    pub(super) fn status_at(&self, now: &Moment, revocation: Revocation) -> LeaseStatus {
        match (self.status, revocation) {
            (LeaseStatus::Active, Revocation::Of(lease_id)) if lease_id == self.lease_id => {
                LeaseStatus::Revoked
            }
            (LeaseStatus::Active, Revocation::Damaged) => LeaseStatus::Fenced,
            (LeaseStatus::Active, _) if self.remaining(now).is_zero() => LeaseStatus::Expired,
            (status, _) => status,
        }
    }

    /// Whether the record holds the lease `lease_id` of this volume. A record that came with a copied or renamed
    /// directory does not, nor does one from before the first lease.
    pub(super) fn is_of(&self, lease_id: LeaseId, volume: &VolumeName) -> bool {
        self.is_of_a_grant() && self.lease_id == lease_id && self.volume == *volume
    }

    /// Whether the volume was ever granted to anybody.
    pub(super) fn is_of_a_grant(&self) -> bool {
        self.lease_id != LeaseId(0)
    }

    /// What is left of the lease, whatever its status. After a reboot only the wall clock can tell; it may have been
    /// set back, so no more is left than there ever was.
    pub(super) fn remaining(&self, now: &Moment) -> Duration {
        let left = if self.boot_id.is_same_as(now.boot_id) {
            Duration::from_millis(self.deadline_boot_ms).saturating_sub(now.boot.since_boot())
        } else {
            Duration::from_millis(self.expires_unix_ms.saturating_sub(now.unix_ms))
        };
        left.min(Duration::from_secs(self.lease_secs))
    }

    /// Starts or extends the lease: it ends `lease_secs` from now, or at its old deadline if that is later.
    pub(super) fn extend(&mut self, lease_secs: u64, now: &Moment) {
        let left = self.remaining(now).max(Duration::from_secs(lease_secs));
        self.set_remaining(left, now);
    }

    /// States the deadline in terms of this boot.
    pub(super) fn set_remaining(&mut self, left: Duration, now: &Moment) {
        self.lease_secs = left.as_secs().saturating_add(u64::from(left.subsec_nanos() > 0));
        self.deadline_boot_ms = millis(now.boot.saturating_add(left).since_boot());
        self.expires_unix_ms = now.unix_ms.saturating_add(millis(left));
        self.boot_id = now.boot_id;
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
