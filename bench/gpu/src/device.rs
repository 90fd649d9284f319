//! What the device says of itself.

use std::time::Duration;

use grafos_gpu_cuda::CudaHost;
use grafos_std::error::FabricError;
use grafos_std::host::{GpuHost, GpuRequest};

use crate::report::{Section, table};

/// How often to ask whether a kernel of an ended lease has ended too: for a minute.
const MOST_TIMES: u32 = 6000;

/// Waits until nothing of an earlier part runs on: a kernel that outlives its lease keeps the device.
pub(crate) fn wait_until_free(host: &CudaHost) -> grafos_std::Result<()> {
    let request = GpuRequest { device: None, min_vram_bytes: 1, lease_secs: 60, exclusivity: None };
    for _ in 1..MOST_TIMES {
        match host.acquire(&request) {
            Err(FabricError::Held { .. }) => std::thread::park_timeout(Duration::from_millis(10)),
            granted => return granted.map(drop),
        }
    }
    host.acquire(&request).map(drop)
}

pub(crate) fn section(host: &CudaHost) -> grafos_std::Result<Section> {
    let mut rows = Vec::new();
    for device in host.devices()? {
        let (major, minor) = device.compute_capability;
        for (what, value) in [
            ("name", device.name.clone()),
            ("driver", device.driver.clone()),
            ("compute capability", format!("{major}.{minor}")),
            ("multiprocessors", device.multiprocessors.to_string()),
            ("memory", format!("{:.1} GiB", device.vram_bytes as f64 / f64::from(1_u32 << 30))),
            ("shared memory of a block", format!("{} KiB", device.max_shared_bytes >> 10)),
        ] {
            rows.push(vec![what.to_owned(), value]);
        }
    }
    Ok(Section::stating("Device", table(&["", ""], &rows)))
}
