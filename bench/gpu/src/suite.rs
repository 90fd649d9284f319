//! The conformance suite of GPU hosts, on the device.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use fabricbios_core::clock::{Clock, ManualClock};
use grafos_gpu_cuda::CudaHost;
use grafos_std::host::testing::{TestedGpuHost, gpu_host_rules, gpu_host_suite};

use crate::report::{Section, Verdict};

pub(crate) fn section(device: u32) -> Section {
    let title = "Conformance suite of GPU hosts";
    // It asks for a host again and again; the device was there a moment ago.
    let make = move || {
        let clock = Arc::new(ManualClock::default());
        let shared: Arc<dyn Clock> = Arc::clone(&clock) as Arc<dyn Clock>;
        match CudaHost::builder().device(device).clock(shared).open() {
            Ok(host) => TestedGpuHost { host: Arc::new(host), clock },
            Err(error) => std::panic::resume_unwind(Box::new(format!("the device is gone: {error}"))),
        }
    };
    let rules = gpu_host_rules().count();
    match catch_unwind(AssertUnwindSafe(|| gpu_host_suite(make))) {
        Ok(()) => Section::judging(title, Verdict::Passed, format!("All {rules} rules hold.")),
        Err(panic) => {
            Section::judging(title, Verdict::Failed, format!("```text\n{}\n```", message(panic.as_ref())))
        }
    }
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|&text| text.to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".to_owned())
}
