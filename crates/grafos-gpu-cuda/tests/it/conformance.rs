//! The conformance suite of GPU hosts, over the CUDA host and the stand-in driver.

use std::sync::Arc;

use fabricbios_core::clock::{Clock, ManualClock};
use grafos_gpu_cuda::CudaHost;
use grafos_std::host::testing::{TestedGpuHost, gpu_host_suite};

use super::child;
use super::standin::{Control, Library};

/// In the child.
pub(crate) fn play() {
    gpu_host_suite(|| {
        let clock = Arc::new(ManualClock::default());
        let shared: Arc<dyn Clock> = Arc::clone(&clock) as Arc<dyn Clock>;
        let host = CudaHost::builder().device(0).clock(shared).open().unwrap();
        TestedGpuHost { host: Arc::new(host), clock }
    });
    let live = Control::load().live();
    assert_eq!(live.mistakes, 0, "{live:?}");
}

#[test]
fn the_cuda_host_keeps_the_contract_of_gpu_hosts() {
    child::run("conformance", &Library::standin(), &[]);
}
