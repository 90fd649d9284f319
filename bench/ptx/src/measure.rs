//! What is measured, and how the rounds go: in every round each workload runs on one core, on two, and in plain Rust, in an
//! order that moves on by one.

use std::hint::black_box;

use grafos_bench_support::{Ratio, Samples, timed};
use grafos_ptx::Module;

use crate::Result;
use crate::loading::long_module;
use crate::machine::Device;
use crate::stopping::{self, StopResult};
use crate::workload::{self, Sizes, Workload};

/// How often, how large.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) rounds: u32,
    pub(crate) sizes: Sizes,
    /// The kernel to measure; all of them otherwise.
    pub(crate) only: Option<String>,
}

/// Everything that was measured.
#[derive(Debug)]
pub(crate) struct Results {
    pub(crate) kernels: Vec<KernelResult>,
    pub(crate) loading: LoadResult,
    pub(crate) stopping: Vec<StopResult>,
}

/// The seconds of one workload.
#[derive(Debug)]
pub(crate) struct KernelResult {
    pub(crate) name: &'static str,
    pub(crate) size: String,
    pub(crate) target: Option<f64>,
    /// Thread-instructions of one launch.
    pub(crate) instructions: f64,
    pub(crate) one: Samples,
    pub(crate) two: Samples,
    pub(crate) plain: Samples,
}

impl KernelResult {
    /// Thousand millions of thread-instructions a second.
    pub(crate) fn rate(&self, secs: &Samples) -> f64 {
        self.instructions / secs.median() / 1e9
    }

    /// How many times as fast two cores are.
    pub(crate) fn speedup(&self) -> Ratio {
        self.one.over(&self.two)
    }
}

/// Parsing, checking and decoding a long module.
#[derive(Debug)]
pub(crate) struct LoadResult {
    pub(crate) lines: usize,
    pub(crate) secs: Samples,
}

/// Measures everything, and says on standard error where it is.
pub(crate) fn all(plan: &Plan) -> Result<Results> {
    let mut kernels = Vec::new();
    let is_wanted = |workload: &Workload| plan.only.as_ref().is_none_or(|only| only == workload.kernel);
    for workload in workload::all(plan.sizes).into_iter().filter(is_wanted) {
        eprintln!("{}: {}", workload.name, workload.size);
        kernels.push(kernel(plan, &workload)?);
    }
    if kernels.is_empty() {
        return Err("there is no such kernel to measure".into());
    }
    eprintln!("loading");
    let loading = loading(plan)?;
    eprintln!("stopping");
    Ok(Results { kernels, loading, stopping: stopping::measure(plan.rounds)? })
}

fn kernel(plan: &Plan, workload: &Workload) -> Result<KernelResult> {
    let device = Device::of(workload)?;
    let mut result = KernelResult {
        name: workload.name,
        size: workload.size.clone(),
        target: workload.target,
        instructions: 0.0,
        one: Samples::default(),
        two: Samples::default(),
        plain: Samples::default(),
    };
    let expected = (workload.plain)(workload);
    for round in 0..plan.rounds {
        for turn in 0..3 {
            match (round + turn) % 3 {
                0 => result.plain.push(plain(workload)),
                1 => result.one.push(launch(&device, 1, &expected, &mut result.instructions)?),
                _ => result.two.push(launch(&device, 2, &expected, &mut result.instructions)?),
            }
        }
    }
    Ok(result)
}

fn plain(workload: &Workload) -> f64 {
    let (output, secs) = timed(|| (workload.plain)(black_box(workload)));
    black_box(output);
    secs
}

/// The seconds of one launch, once its result was found right.
fn launch(device: &Device<'_>, threads: usize, expected: &[u8], instructions: &mut f64) -> Result<f64> {
    device.reset()?;
    let (report, secs) = timed(|| device.launch(threads));
    report.outcome?;
    if device.output()? != expected {
        return Err("the kernel does not compute what plain Rust computes".into());
    }
    #[allow(clippy::cast_precision_loss, reason = "far below 2^52")]
    {
        *instructions = report.thread_instructions as f64;
    }
    Ok(secs)
}

/// How often a module is loaded in a round; the round counts as the mean.
const LOADS: u32 = 20;

fn loading(plan: &Plan) -> Result<LoadResult> {
    let text = long_module();
    Module::load(text.as_bytes())?;
    let load = || black_box(Module::load(black_box(text.as_bytes()))).is_ok();
    let round = |_| timed(|| (0..LOADS).all(|_| load())).1 / f64::from(LOADS);
    Ok(LoadResult { lines: text.lines().count(), secs: (0..plan.rounds).map(round).collect() })
}
