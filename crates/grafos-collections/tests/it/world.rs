//! A machine in memory with a disk that can fail, and a value that shows any mixture of two checkpoints.

use std::sync::Arc;

use fabricbios_core::clock::ManualClock;
use grafos_collections::durable::{Durable, DurableError, DurableOptions, RejectedSlot};
use grafos_std::block::{BlockBuilder, BlockLease};
use grafos_std::host::testing::{FaultPlan, FaultyBlockHost, RamBlockHost};
use grafos_std::host::{Host, VolumeName};
use serde::{Deserialize, Serialize};

pub(crate) struct World {
    pub(crate) ram: RamBlockHost,
    pub(crate) disk: FaultyBlockHost,
    pub(crate) host: Host,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) blocks: u64,
}

impl World {
    /// A machine whose volume has `blocks` blocks.
    pub(crate) fn new(blocks: u64) -> Self {
        let clock = Arc::new(ManualClock::default());
        let ram = RamBlockHost::new(clock.clone());
        let disk = FaultyBlockHost::new(Arc::new(ram.clone()));
        let host = Host::builder().block(Arc::new(disk.clone())).clock(clock.clone()).build().unwrap();
        Self { ram, disk, host, clock, blocks }
    }

    pub(crate) fn with_plan(blocks: u64, plan: FaultPlan) -> Self {
        let world = Self::new(blocks);
        world.disk.set_plan(plan);
        world
    }

    pub(crate) fn lease(&self) -> BlockLease {
        let builder = BlockBuilder::new().on(&self.host).volume("v").min_blocks(self.blocks);
        builder.acquire().unwrap()
    }

    pub(crate) fn restore(&self) -> Result<Durable<State>, DurableError> {
        Durable::restore(self.lease())
    }

    pub(crate) fn restore_with(
        &self,
        options: DurableOptions<State>,
    ) -> Result<Durable<State>, DurableError> {
        options.restore(self.lease())
    }

    /// The volume as it is on the disk.
    pub(crate) fn image(&self) -> Vec<u8> {
        self.ram.image(&volume()).unwrap()
    }

    pub(crate) fn set_image(&self, image: Vec<u8>) {
        self.ram.set_image(&volume(), image).unwrap();
    }

    /// What a restore says of the volume after `change`: the value and what was passed over. The disk is as before
    /// afterwards.
    pub(crate) fn restore_changed(
        &self,
        change: impl FnOnce(&mut Vec<u8>),
    ) -> Result<Restored, DurableError> {
        let good = self.image();
        let mut changed = good.clone();
        change(&mut changed);
        self.set_image(changed);
        let restored = self.restore().map(|durable| Restored {
            value: durable.inner().clone(),
            rejected: durable.rejected().to_vec(),
        });
        self.set_image(good);
        restored
    }
}

#[derive(Debug)]
pub(crate) struct Restored {
    pub(crate) value: State,
    pub(crate) rejected: Vec<RejectedSlot>,
}

pub(crate) fn volume() -> VolumeName {
    VolumeName::new("v").unwrap()
}

/// A value of any size in which every byte depends on the step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct State {
    pub(crate) step: u64,
    #[serde(with = "bytes")]
    body: Vec<u8>,
}

impl State {
    pub(crate) fn at(step: u64, len: usize) -> Self {
        let body = (0..len as u64).map(|i| (i.wrapping_mul(31) ^ step.wrapping_mul(0x9e37_79b9)) as u8);
        Self { step, body: body.collect() }
    }

    /// Whether this is exactly the value of its step.
    pub(crate) fn is_whole(&self) -> bool {
        *self == Self::at(self.step, self.body.len())
    }
}

/// Bytes as one piece: quicker in a debug build.
mod bytes {
    use serde::{Deserializer, Serializer, de::Visitor};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(bytes)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        struct Bytes;
        impl Visitor<'_> for Bytes {
            type Value = Vec<u8>;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("bytes")
            }
            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Vec<u8>, E> {
                Ok(bytes.to_vec())
            }
        }
        deserializer.deserialize_byte_buf(Bytes)
    }
}
