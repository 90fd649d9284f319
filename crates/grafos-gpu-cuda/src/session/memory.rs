//! Device memory of a session: allocated as zeros, freed as zeros.

use grafos_std::error::{FabricError, Result};
use grafos_std::host::{DevicePtr, StreamId};

use super::objects::gone;
use super::{Session, Trouble};
use crate::code::{CudaError, OUT_OF_MEMORY};
use crate::device::DEVICE_MEMORY;

/// What is said when the driver has too little of something.
pub(super) fn out_of(what: &'static str, requested: u64, error: CudaError) -> Trouble {
    if error.code == OUT_OF_MEMORY {
        return Trouble::Other(FabricError::CapacityExceeded { what, requested, available: 0 });
    }
    Trouble::Driver(error)
}

impl Session {
    pub(super) fn alloc(&self, bytes: u64) -> Result<DevicePtr> {
        self.check()?;
        let address = self.lease.take(bytes, || {
            self.with(|objects, bound| {
                let address = bound.alloc(bytes).map_err(|error| out_of(DEVICE_MEMORY, bytes, error))?;
                // Whatever comes now, it is freed and given back with the session.
                objects.allocations.insert(address, bytes);
                Ok(address)
            })
        })?;
        self.with(|objects, bound| Ok(bound.fill(&objects.chores, address, 0, bytes)?))?;
        // Streams order nothing among each other, so the zeros must be there before anybody knows the address.
        self.wait_until(|objects, bound| Ok(bound.stream_is_done(&objects.chores)?))?;
        Ok(DevicePtr(address))
    }

    pub(super) fn free(&self, ptr: DevicePtr) -> Result<()> {
        self.wait_for_all()?;
        self.with(|objects, bound| {
            let bytes = *objects.allocations.get(&ptr.0).ok_or_else(|| gone("device memory"))?;
            Ok(bound.fill(&objects.chores, ptr.0, 0, bytes)?)
        })?;
        self.wait_until(|objects, bound| Ok(bound.stream_is_done(&objects.chores)?))?;
        let bytes = self.with(|objects, bound| {
            let bytes = *objects.allocations.get(&ptr.0).ok_or_else(|| gone("device memory"))?;
            bound.free(ptr.0)?;
            objects.allocations.remove(&ptr.0);
            Ok(bytes)
        })?;
        self.lease.give_back(bytes);
        Ok(())
    }

    pub(super) fn copy(&self, stream: StreamId, to: DevicePtr, from: DevicePtr, bytes: u64) -> Result<()> {
        self.with(|objects, bound| {
            objects.check_range(to.0, bytes)?;
            objects.check_range(from.0, bytes)?;
            Ok(bound.copy(objects.stream(stream)?, to.0, from.0, bytes)?)
        })
    }

    pub(super) fn fill(&self, stream: StreamId, ptr: DevicePtr, byte: u8, bytes: u64) -> Result<()> {
        self.with(|objects, bound| {
            objects.check_range(ptr.0, bytes)?;
            Ok(bound.fill(objects.stream(stream)?, ptr.0, byte, bytes)?)
        })
    }
}
