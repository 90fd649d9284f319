//! [`gpu_host_suite`]: the contract of [`GpuHost`], rule by rule, through what a program uses: builder, lease, session.
//!
//! Kernels are PTX that every device since compute capability 7.0 takes. Nothing here waits for time to pass: a kernel
//! that is to run for long waits for a word in its memory.

mod classes;
mod copying;
mod endings;
mod faults;
mod grants;
mod handles;
mod launching;
mod memory;
mod modules;
mod revoking;
mod streams;

use std::sync::Arc;
use std::time::Duration;

use fabricbios_core::clock::{Clock, ManualClock};

use super::rule::{Rule, assert_all, rules};
use crate::error::{FabricError, Result};
use crate::gpu::{
    GpuBuilder, GpuExclusivityClass, GpuLease, GpuMemHandle, GpuModule, GpuSession, KernelArgs,
};
use crate::host::{BlockHost, GpuGrant, GpuHost, GpuRequest, GpuUsage, Host};

/// A host to test, with nothing leased. The suite asks for a new one for each rule.
///
/// It uses device 0, which must have at least 64 MiB of memory, and needs no other one.
#[derive(Debug)]
pub struct TestedGpuHost {
    /// The host.
    pub host: Arc<dyn GpuHost>,
    /// The clock that leases are judged by, by the host too. The suite moves it.
    pub clock: Arc<ManualClock>,
}

/// The rules, in the words of their names.
const RULES: &[Rule<TestedGpuHost>] = rules![
    memory::{
        new_device_memory_reads_as_zeros,
        memory_of_an_earlier_session_is_not_seen,
        every_byte_inside_an_allocation_and_none_outside_can_be_used,
        allocations_are_aligned_and_apart,
        sessions_do_not_share_memory,
        threads_can_share_a_session,
        a_lease_allocates_no_more_than_it_has,
        freed_memory_can_be_allocated_again,
    },
    copying::{
        what_is_written_to_a_device_is_read,
        staging_buffers_come_back_with_the_bytes,
        copies_overlap_with_kernels,
    },
    launching::{
        every_thread_of_a_launch_runs_once,
        every_kind_of_argument_arrives,
        wrong_arguments_are_refused_before_the_launch,
        launches_out_of_range_are_refused,
        dynamic_shared_memory_is_there,
        launches_are_counted,
    },
    modules::{
        what_is_no_module_is_refused,
        kernels_are_found_by_their_names_only,
        variables_live_as_long_as_their_module,
    },
    handles::{
        handles_of_another_session_are_refused,
        freed_handles_are_refused,
        the_last_clone_frees,
    },
    streams::{
        a_stream_keeps_its_order,
        streams_wait_for_events,
        sync_waits_for_every_stream,
        an_event_tells_whether_it_has_happened,
    },
    classes::{
        leases_keep_out_whom_they_should,
        sessions_keep_out_whom_they_should,
        a_class_is_never_weakened,
        device_memory_is_never_promised_twice,
    },
    grants::{
        a_gpu_grant_is_what_was_asked_for,
        an_unknown_device_is_refused,
        epochs_of_a_device_only_rise,
        gpu_lease_ids_are_never_used_again,
        a_gpu_lease_ends_at_its_deadline,
        renewal_moves_the_deadline_of_a_gpu,
    },
    endings::{
        every_end_of_a_session_frees_everything,
        every_end_of_a_lease_frees_everything,
        an_ended_lease_is_nobodys,
        expiry_stops_a_kernel_that_runs,
    },
    revoking::{
        revocation_closes_every_session,
        revocation_says_what_it_found_of_gpus,
        a_sync_that_waits_hears_of_the_revocation,
        revocation_stops_a_kernel_that_runs,
    },
    faults::{
        a_fault_fails_its_session_for_good,
        a_fault_leaves_other_sessions_alone,
        a_failed_session_frees_everything,
        mistakes_of_the_caller_fail_nothing,
    },
];

/// Checks every rule of the contract of [`GpuHost`], each on a new host.
///
/// # Panics
/// If a rule is broken; the message names all that are, and how they were seen broken.
pub fn gpu_host_suite(make: impl Fn() -> TestedGpuHost) {
    assert_all("GpuHost", RULES, make);
}

/// The names of the rules that [`gpu_host_suite`] checks.
pub fn gpu_host_rules() -> impl Iterator<Item = &'static str> {
    RULES.iter().map(|rule| rule.name)
}

const HOUR_SECS: u64 = 3600;
const MIB: u64 = 1 << 20;
const KERNELS: &str = include_str!("gpu_host_suite/kernels.ptx");
/// How often `wait_for` looks before it gives up, in rules that expect it not to: for about a second.
const PATIENCE: u64 = 5_000_000;
/// For kernels that are meant to be stopped.
const FOREVER: u64 = u64::MAX;

/// A session with the kernels loaded.
struct Loaded {
    session: GpuSession,
    module: GpuModule,
}

impl TestedGpuHost {
    /// What a program would use; blocks are of no interest here.
    fn front(&self) -> Result<Host> {
        let clock: Arc<dyn Clock> = Arc::clone(&self.clock) as Arc<dyn Clock>;
        let block: Arc<dyn BlockHost> = Arc::new(super::RamBlockHost::new(Arc::clone(&clock)));
        Host::builder().block(block).gpu(Arc::clone(&self.host)).clock(clock).build()
    }

    /// Asks for 16 MiB of device 0, shared, for an hour.
    fn builder(&self) -> Result<GpuBuilder> {
        let builder = GpuBuilder::new().on(&self.front()?).device(0).min_vram(16 * MIB).lease_secs(HOUR_SECS);
        Ok(builder.exclusivity(GpuExclusivityClass::Shared))
    }

    fn lease(&self) -> Result<GpuLease> {
        self.builder()?.acquire()
    }

    fn lease_of(&self, class: GpuExclusivityClass) -> Result<GpuLease> {
        self.builder()?.exclusivity(class).acquire()
    }

    /// A lease from the backend itself.
    fn grant(&self, class: Option<GpuExclusivityClass>) -> Result<GpuGrant> {
        let request = GpuRequest {
            device: Some(0),
            min_vram_bytes: 16 * MIB,
            lease_secs: HOUR_SECS,
            exclusivity: class,
        };
        self.host.acquire(&request)
    }

    fn usage(&self) -> Result<GpuUsage> {
        self.host.usage()
    }

    fn pass(&self, secs: u64) {
        self.clock.advance(Duration::from_secs(secs));
    }

    fn stops_running_kernels(&self) -> Result<bool> {
        Ok(self.host.devices()?.first().is_some_and(|device| device.stops_running_kernels))
    }
}

impl Loaded {
    fn new(lease: &GpuLease) -> Result<Self> {
        let mut session = GpuSession::new(lease);
        let module = session.module_load(KERNELS)?;
        Ok(Self { session, module })
    }

    fn launch(&self, kernel: &str, threads: u32, args: KernelArgs) -> Result<()> {
        let (block, grid) = (threads.min(256), threads.div_ceil(256));
        self.session.launch_with_args(&self.module, kernel, [grid, 1, 1], [block, 1, 1], args)
    }

    /// `data[i] = data[i] * factor + addend` for all words of `data`.
    fn affine(&self, data: &GpuMemHandle, factor: u32, addend: u32) -> Result<()> {
        self.launch("affine", num_words(data), affine_args(data, factor, addend))
    }

    /// A word that a kernel waits for, and one where it says what came of it. Each kernel has run once then: a device
    /// that loads a kernel when it is launched first may wait for others to end.
    fn alloc_flag_and_out(&mut self) -> Result<(GpuMemHandle, GpuMemHandle)> {
        let (flag, out) = (self.session.mem_alloc(4)?, self.session.mem_alloc(4)?);
        self.wait_for(&flag, &out, 0)?;
        self.affine(&out, 1, 0)?;
        self.session.mem_zero(&out, 0, 4)?;
        self.session.sync()?;
        Ok((flag, out))
    }

    /// Submits a kernel that waits until somebody sets the flag.
    fn wait_for(&self, flag: &GpuMemHandle, out: &GpuMemHandle, patience: u64) -> Result<()> {
        self.launch("wait_for", 1, wait_args(flag, out, patience))
    }

    fn word(&self, memory: &GpuMemHandle) -> Result<u32> {
        words(&self.session.mem_read(memory, 0, 4)?)
            .first()
            .copied()
            .ok_or(FabricError::Unsupported { what: "a read of four bytes that gives none" })
    }
}

fn affine_args(data: &GpuMemHandle, factor: u32, addend: u32) -> KernelArgs {
    KernelArgs::new().push_buffer(data).push_u32(num_words(data)).push_u32(factor).push_u32(addend)
}

fn wait_args(flag: &GpuMemHandle, out: &GpuMemHandle, patience: u64) -> KernelArgs {
    KernelArgs::new().push_buffer(flag).push_buffer(out).push_u64(patience)
}

fn num_words(data: &GpuMemHandle) -> u32 {
    u32::try_from(data.len_bytes() / 4).unwrap_or(u32::MAX)
}

fn words(bytes: &[u8]) -> Vec<u32> {
    bytes.chunks_exact(4).map(|word| u32::from_le_bytes([word[0], word[1], word[2], word[3]])).collect()
}

fn bytes_of(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}
