//! [`Queue`]: messages between host and kernel, in a ring in device memory. Moves whole messages only, between steps.
//!
//! ```text
//! integers are little-endian
//! +--------+-----+-----------------------------------------------------------------+
//! | offset | len | field                                                           |
//! +--------+-----+-----------------------------------------------------------------+
//! |      0 |   8 | head: how many messages were taken since the beginning          |
//! |      8 |   8 | tail: how many were put in                                      |
//! |     16 |   4 | capacity: how many there is room for                            |
//! |     20 |   4 | slot_bytes: how long each is                                    |
//! |     24 |   8 | dropped: how many the kernel had no room for                    |
//! |     32 |  32 | zeros                                                           |
//! |     64 | n·s | the slots: message i lies in slot i mod capacity                |
//! +--------+-----+-----------------------------------------------------------------+
//! ```
//!
//! Host and kernel never look at a queue at the same time: what the host does is ordered by the stream of the launches.

use grafos_std::gpu::{GpuMemHandle, GpuSession};

use super::control::u64_at;
use super::error::KernelError;

const TAIL_AT: usize = 8;
const CAPACITY_AT: usize = 16;
const SLOT_BYTES_AT: usize = 20;
const DROPPED_AT: usize = 24;

/// Bytes before the slots of a queue.
pub const QUEUE_HEADER_BYTES: usize = 64;

/// The shape of a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Queue {
    /// How many messages it holds.
    pub capacity: u32,
    /// How long a message is, in bytes. A multiple of 8.
    pub slot_bytes: u32,
}

impl Queue {
    /// How much device memory it takes, in bytes.
    #[must_use]
    pub fn len_bytes(self) -> u64 {
        QUEUE_HEADER_BYTES as u64 + u64::from(self.capacity) * u64::from(self.slot_bytes)
    }

    /// The header of an empty queue.
    pub(super) fn header(self) -> [u8; QUEUE_HEADER_BYTES] {
        let mut bytes = [0; QUEUE_HEADER_BYTES];
        bytes[CAPACITY_AT..SLOT_BYTES_AT].copy_from_slice(&self.capacity.to_le_bytes());
        bytes[SLOT_BYTES_AT..DROPPED_AT].copy_from_slice(&self.slot_bytes.to_le_bytes());
        bytes
    }

    pub(super) fn check(self, region: &str) -> Result<(), KernelError> {
        let invalid = |what, limit, found| {
            Err(KernelError::InvalidRegion { what, region: region.to_owned(), limit, found })
        };
        if self.capacity == 0 {
            return invalid("a queue must hold a message at least", 1, 0);
        }
        if self.slot_bytes == 0 || !self.slot_bytes.is_multiple_of(8) {
            let found = u64::from(self.slot_bytes);
            return invalid("messages of a queue must be a multiple of 8 bytes long", 8, found);
        }
        Ok(())
    }
}

/// A queue where it lies.
#[derive(Debug)]
pub(super) struct DeviceQueue<'a> {
    pub(super) name: &'static str,
    pub(super) shape: Queue,
    pub(super) memory: &'a GpuMemHandle,
}

/// How full it is.
struct Ends {
    head: u64,
    tail: u64,
    dropped: u64,
}

impl DeviceQueue<'_> {
    /// Puts messages at the end: all of them, or none.
    pub(super) fn send(&self, session: &GpuSession, messages: &[&[u8]]) -> Result<(), KernelError> {
        let ends = self.ends(session)?;
        let room = u64::from(self.shape.capacity) - (ends.tail - ends.head);
        if messages.len() as u64 > room {
            return Err(KernelError::QueueFull { queue: self.name, capacity: self.shape.capacity });
        }
        let slot_bytes = self.shape.slot_bytes as usize;
        if let Some(wrong) = messages.iter().find(|message| message.len() > slot_bytes) {
            let found = wrong.len() as u64;
            return Err(KernelError::MessageSize {
                queue: self.name,
                slot_bytes: self.shape.slot_bytes,
                found,
            });
        }
        for (index, message) in (ends.tail..).zip(messages) {
            let mut slot = message.to_vec();
            slot.resize(slot_bytes, 0);
            session.mem_write(self.memory, self.slot(index), &slot)?;
        }
        // Behind the messages: a kernel that sees the new end sees what lies before it.
        let tail = ends.tail + messages.len() as u64;
        session.mem_write(self.memory, TAIL_AT as u64, &tail.to_le_bytes())?;
        Ok(())
    }

    /// Takes all messages out, and says how many were dropped since the beginning.
    pub(super) fn receive(&self, session: &GpuSession) -> Result<(Vec<Vec<u8>>, u64), KernelError> {
        let ends = self.ends(session)?;
        let mut messages = Vec::new();
        for index in ends.head..ends.tail {
            messages.push(session.mem_read(self.memory, self.slot(index), self.shape.slot_bytes)?);
        }
        session.mem_write(self.memory, 0, &ends.tail.to_le_bytes())?;
        Ok((messages, ends.dropped))
    }

    fn ends(&self, session: &GpuSession) -> Result<Ends, KernelError> {
        let header = session.mem_read(self.memory, 0, QUEUE_HEADER_BYTES)?;
        let Queue { capacity, .. } = self.shape;
        let ends = Ends {
            head: u64_at(&header, 0),
            tail: u64_at(&header, TAIL_AT),
            dropped: u64_at(&header, DROPPED_AT),
        };
        let waiting = ends.tail.checked_sub(ends.head);
        let shape_bytes = &self.shape.header()[CAPACITY_AT..DROPPED_AT];
        let is_sound = waiting.is_some_and(|waiting| waiting <= u64::from(capacity))
            && header.get(CAPACITY_AT..DROPPED_AT) == Some(shape_bytes);
        if !is_sound {
            let Ends { head, tail, .. } = ends;
            return Err(KernelError::QueueDamaged { queue: self.name, head, tail, capacity });
        }
        Ok(ends)
    }

    /// Where message `index` lies.
    fn slot(&self, index: u64) -> u64 {
        let Queue { capacity, slot_bytes } = self.shape;
        QUEUE_HEADER_BYTES as u64 + index % u64::from(capacity) * u64::from(slot_bytes)
    }
}
