//! Every PTX case on the virtual machine and on the device, each held against what plain Rust expects. Where the
//! expectation is exact, so is the comparison: then both have the same bits.

use std::sync::Arc;

use fabricbios_core::clock::SystemClock;
use grafos_gpu_cuda::CudaHost;
use grafos_ptx_cases::{Arg, Case, Check, Ending, Module, cases_of, modules};
use grafos_std::error::{FabricError, Result};
use grafos_std::gpu::{
    GpuBuilder, GpuError, GpuFault, GpuLease, GpuMemHandle, GpuSession, KernelArgs, KernelFaultKind,
    LaunchConfig,
};
use grafos_std::host::testing::RamBlockHost;
use grafos_std::host::{GpuHost, Host, LocalGpuHost};

use crate::report::{Section, Verdict, table};

/// Memory for the buffers of a case.
const VRAM_BYTES: u64 = 256 << 20;

/// What a case left in its buffers, or how it ended instead.
enum Outcome {
    Buffers(Vec<Vec<u8>>),
    AssertionFailed,
}

#[derive(Default)]
struct Tally {
    modules: usize,
    skipped_modules: usize,
    cases: usize,
    /// Buffers that must be exact.
    exact: usize,
    /// Buffers with a tolerance, and how many of them have the same bits on both.
    near: usize,
    near_equal: usize,
    problems: Vec<String>,
}

pub(crate) fn section(host: &CudaHost) -> Result<Section> {
    let device = host.devices()?.into_iter().next();
    let capability =
        device.map_or(0, |device| device.compute_capability.0 * 10 + device.compute_capability.1);
    let lease_on = |gpu: Arc<dyn GpuHost>| GpuBuilder::new().on(&front(gpu)?).min_vram(VRAM_BYTES).acquire();
    let on_device = lease_on(Arc::new(host.clone()))?;
    let on_machine = lease_on(Arc::new(LocalGpuHost::builder().build()?))?;
    let mut tally = Tally::default();
    for module in modules() {
        if target(&module) > capability {
            tally.skipped_modules += 1;
            continue;
        }
        tally.module(&module, &on_machine, &on_device);
    }
    Ok(tally.section())
}

/// A host whose GPU is this one; blocks are of no interest here.
fn front(gpu: Arc<dyn GpuHost>) -> Result<Host> {
    Host::builder().block(Arc::new(RamBlockHost::new(Arc::new(SystemClock)))).gpu(gpu).build()
}

/// The number in `.target sm_90`.
fn target(module: &Module) -> u32 {
    let text = String::from_utf8_lossy(module.ptx);
    let digits = text.split_once(".target sm_").map(|(_, rest)| rest.split(|c: char| !c.is_ascii_digit()));
    digits.and_then(|mut digits| digits.next()?.parse().ok()).unwrap_or(0)
}

impl Tally {
    fn module(&mut self, module: &Module, on_machine: &GpuLease, on_device: &GpuLease) {
        let mut session = GpuSession::new(on_device);
        if let Err(FabricError::Gpu(GpuError::ModuleRefused { log, .. })) = session.module_load(module.ptx)
            && log.contains("code=222")
        {
            // Newer than the driver.
            self.skipped_modules += 1;
            return;
        }
        drop(session);
        self.modules += 1;
        for case in cases_of(module.name) {
            self.cases += 1;
            let what = format!("{module}: {}", case.name);
            match (run(on_machine, module, &case), run(on_device, module, &case)) {
                (Ok(machine), Ok(device)) => self.compare(&what, &case, &machine, &device),
                (Err(error), _) => self.problems.push(format!("{what}: on the virtual machine: {error}")),
                (_, Err(error)) => self.problems.push(format!("{what}: on the device: {error}")),
            }
        }
    }

    fn compare(&mut self, what: &str, case: &Case, machine: &Outcome, device: &Outcome) {
        let (machine, device) = match (machine, device) {
            (Outcome::Buffers(machine), Outcome::Buffers(device)) => (machine, device),
            (Outcome::AssertionFailed, Outcome::AssertionFailed) if case.ending == Ending::AssertionFails => {
                return;
            }
            _ => {
                self.problems.push(format!("{what}: an assertion failed on one of the two"));
                return;
            }
        };
        for ((buffer, machine), device) in case.buffers.iter().zip(machine).zip(device) {
            for (place, found) in [("the virtual machine", machine), ("the device", device)] {
                if let Err(difference) = buffer.verify(found) {
                    self.problems.push(format!("{what}: on {place}: {difference}"));
                }
            }
            match buffer.check {
                Check::Exact => self.exact += 1,
                Check::Near { .. } => {
                    self.near += 1;
                    self.near_equal += usize::from(machine == device);
                }
            }
        }
    }

    fn section(self) -> Section {
        let rows: Vec<Vec<String>> = [
            ("modules", self.modules),
            ("modules that are too new for device or driver", self.skipped_modules),
            ("cases", self.cases),
            ("buffers equal bit by bit in Rust, on the virtual machine and on the device", self.exact),
            ("buffers of approximate operations, within their tolerance on both", self.near),
            ("of these, equal bit by bit on both", self.near_equal),
            ("problems", self.problems.len()),
        ]
        .map(|(what, count)| vec![what.to_owned(), count.to_string()])
        .into();
        let mut body = table(&["", "count"], &rows);
        if !self.problems.is_empty() {
            body.push_str("\n```text\n");
            body.push_str(&self.problems.join("\n"));
            body.push_str("\n```\n");
        }
        let verdict = Verdict::of(self.problems.is_empty() && self.cases > 0);
        Section::judging("PTX cases on virtual machine and device", verdict, body)
    }
}

/// Runs a case in a session of its own.
fn run(lease: &GpuLease, module: &Module, case: &Case) -> Result<Outcome> {
    let mut session = GpuSession::new(lease);
    let loaded = session.module_load(module.ptx)?;
    let mut buffers = Vec::new();
    for buffer in &case.buffers {
        let memory = session.mem_alloc(buffer.initial.len() as u64)?;
        session.mem_write(&memory, 0, &buffer.initial)?;
        buffers.push(memory);
    }
    for step in &case.steps {
        let config = LaunchConfig::new(step.grid, step.block).shared_bytes(step.shared_bytes);
        session.launch_with_config(&loaded, step.kernel, &config, arguments(&step.args, &buffers))?;
    }
    match session.sync() {
        Err(error) if case.ending == Ending::AssertionFails && is_assertion(&error) => {
            return Ok(Outcome::AssertionFailed);
        }
        synced => synced?,
    }
    let read = buffers.iter().map(|memory| session.mem_read(memory, 0, memory.len_bytes()));
    Ok(Outcome::Buffers(read.collect::<Result<_>>()?))
}

fn is_assertion(error: &FabricError) -> bool {
    let FabricError::GpuSessionFailed { fault, .. } = error else { return false };
    matches!(fault.as_ref(), GpuFault::Kernel(fault) if fault.kind == KernelFaultKind::Assert)
}

fn arguments(args: &[Arg], buffers: &[GpuMemHandle]) -> KernelArgs {
    args.iter().fold(KernelArgs::new(), |all, arg| match *arg {
        Arg::Buffer(index) => match buffers.get(index.0) {
            Some(memory) => all.push_buffer(memory),
            None => all,
        },
        Arg::U16(value) => all.push_bytes(&value.to_le_bytes()),
        Arg::U32(value) => all.push_u32(value),
        Arg::U64(value) => all.push_u64(value),
        Arg::F32(value) => all.push_f32(value),
        Arg::F64(value) => all.push_f64(value),
    })
}
