//! Every host of this crate keeps the contracts.

use std::sync::Arc;

use fabricbios_core::clock::{Clock, ManualClock};
use grafos_std::host::testing::{
    FaultyBlockHost, RamBlockHost, TestedBlockHost, TestedGpuHost, TestedMemHost, block_host_suite,
    gpu_host_suite, mem_host_suite,
};
use grafos_std::host::{IoMode, LocalGpuHost, LocalGpuHostBuilder, LocalHost, LocalMemHost};
use tempfile::TempDir;

#[test]
fn the_host_in_memory_keeps_the_contract() {
    block_host_suite(|| {
        let clock = Arc::new(ManualClock::default());
        let disk = RamBlockHost::new(clock.clone());
        TestedBlockHost::new(clock, move || disk.clone())
    });
}

#[test]
fn the_local_host_keeps_the_contract() {
    block_host_suite(|| local(IoMode::Auto));
}

#[test]
fn the_local_host_keeps_the_contract_without_direct_io() {
    block_host_suite(|| local(IoMode::Buffered));
}

#[test]
fn a_decorator_that_has_no_faults_planned_keeps_the_contract() {
    block_host_suite(|| {
        let clock = Arc::new(ManualClock::default());
        let machine = FaultyBlockHost::new(Arc::new(RamBlockHost::new(clock.clone())));
        TestedBlockHost::new(clock, move || machine.clone())
    });
}

#[test]
fn a_decorator_over_the_local_host_keeps_the_contract() {
    block_host_suite(|| {
        let TestedBlockHost { clock, reopen, .. } = local(IoMode::Auto);
        TestedBlockHost::new(clock, move || FaultyBlockHost::new(reopen()))
    });
}

#[test]
fn the_memory_of_the_local_host_keeps_the_contract() {
    mem_host_suite(|| TestedMemHost {
        host: Arc::new(LocalMemHost::with_limit_bytes(1 << 20)),
        clock: Arc::new(ManualClock::default()),
        capacity_bytes: 1 << 20,
    });
}

#[test]
fn the_gpu_of_the_local_host_keeps_the_contract() {
    gpu_host_suite(|| local_gpu(LocalGpuHost::builder()));
}

#[test]
fn a_gpu_of_the_local_host_that_has_a_home_keeps_the_contract() {
    // Kept until the suite is done with all hosts.
    let homes = std::cell::RefCell::new(Vec::new());
    gpu_host_suite(|| {
        let home = TempDir::new().unwrap();
        let builder = LocalGpuHost::builder().home(home.path()).devices(2);
        homes.borrow_mut().push(home);
        local_gpu(builder)
    });
}

fn local_gpu(builder: LocalGpuHostBuilder) -> TestedGpuHost {
    let clock = Arc::new(ManualClock::default());
    let host_clock: Arc<dyn Clock> = clock.clone();
    TestedGpuHost { host: Arc::new(builder.clock(host_clock).build().unwrap()), clock }
}

/// A local host in a directory of its own.
fn local(io_mode: IoMode) -> TestedBlockHost {
    let home = TempDir::new().unwrap();
    let clock = Arc::new(ManualClock::default());
    let host_clock: Arc<dyn Clock> = clock.clone();
    TestedBlockHost::new(clock, move || {
        let builder = LocalHost::builder().home(home.path()).clock(Arc::clone(&host_clock));
        builder.io_mode(io_mode).open_block_host().unwrap()
    })
}
