//! [`Device`]: a device of the driver, and its book of leases, of which a process has one however many hosts it opens.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use cudarc::driver::sys::{CUdevice, CUdevice_attribute as Attribute};
use fabricbios_core::resource::{ResourceId, ResourceKind};
use grafos_std::gpu::{GpuDeviceInfo, GpuError, UnavailableReason};

use crate::book::Book;
use crate::code::{CudaError, INVALID_DEVICE, NO_DEVICE};
use crate::driver::Driver;

/// What there can be too little of.
pub(crate) const DEVICE_MEMORY: &str = "bytes of device memory";

/// A device.
#[derive(Debug)]
pub(crate) struct Device {
    pub(crate) raw: CUdevice,
    pub(crate) info: GpuDeviceInfo,
    book: Mutex<Book>,
}

impl Device {
    /// Device number `index` of the driver.
    ///
    /// # Errors
    /// [`GpuError::Unavailable`].
    pub(crate) fn open(driver: &Driver, index: u32) -> Result<Arc<Self>, GpuError> {
        static OPENED: OnceLock<Mutex<HashMap<[u8; 16], Arc<Device>>>> = OnceLock::new();
        let count = driver.device_count().map_err(unavailable)?;
        let ordinal = i32::try_from(index).ok().filter(|ordinal| *ordinal < count);
        let Some(ordinal) = ordinal else {
            let message = format!("the driver has no device of that number: index={index}, devices={count}");
            return Err(GpuError::Unavailable { reason: UnavailableReason::NoDevice, message });
        };
        let raw = driver.device(ordinal).map_err(unavailable)?;
        let uuid = driver.device_uuid(raw).map_err(unavailable)?;
        let mut opened = OPENED.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(device) = opened.get(&uuid) {
            return Ok(Arc::clone(device));
        }
        let info = describe(driver, raw, index).map_err(unavailable)?;
        let device = Arc::new(Self { raw, info, book: Mutex::default() });
        opened.insert(uuid, Arc::clone(&device));
        Ok(device)
    }

    /// Who has it.
    pub(crate) fn book(&self) -> MutexGuard<'_, Book> {
        // Each change is whole before anything could panic.
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A device as a resource.
pub(crate) fn resource(index: u32) -> ResourceId {
    ResourceId::new(ResourceKind::Gpu, format!("device-{index}"))
}

/// A device that can't be asked for its properties is none that can be used.
fn unavailable(error: CudaError) -> GpuError {
    let reason = match error.code {
        NO_DEVICE | INVALID_DEVICE => UnavailableReason::NoDevice,
        _ => UnavailableReason::DeviceBroken,
    };
    GpuError::Unavailable { reason, message: error.to_string() }
}

fn describe(driver: &Driver, raw: CUdevice, index: u32) -> Result<GpuDeviceInfo, CudaError> {
    use Attribute as A;
    let attribute = |what| driver.attribute(raw, what);
    let mut info = GpuDeviceInfo::new(index, driver.device_name(raw)?, driver.device_bytes(raw)?);
    info.compute_capability = (
        attribute(A::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR)?,
        attribute(A::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR)?,
    );
    info.multiprocessors = attribute(A::CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT)?;
    info.warp_size = attribute(A::CU_DEVICE_ATTRIBUTE_WARP_SIZE)?;
    info.max_threads_per_block = attribute(A::CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK)?;
    info.max_block = [
        attribute(A::CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_X)?,
        attribute(A::CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Y)?,
        attribute(A::CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Z)?,
    ];
    info.max_grid = [
        attribute(A::CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_X)?,
        attribute(A::CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Y)?,
        attribute(A::CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Z)?,
    ];
    // What a kernel may have when it asks for it, which every launch of ours does.
    info.max_shared_bytes = attribute(A::CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN)?;
    let version = driver.version();
    info.driver = format!("CUDA {}.{}", version / 1000, version % 1000 / 10);
    info.stops_running_kernels = false;
    Ok(info)
}
