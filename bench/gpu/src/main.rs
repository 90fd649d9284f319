//! What a CUDA device does with our sessions, as a report in Markdown. `cargo xtask gpu` builds and runs it; it needs
//! neither cargo nor the sources, so it can be carried to a machine that has a device.
//!
//! It judges and measures; it proves nothing about a device that it did not run on, and says so.

mod cases;
mod civil;
mod device;
mod endings;
mod rates;
mod report;
mod sanitizer;
mod suite;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use grafos_gpu_cuda::CudaHost;
use grafos_std::gpu::GpuError;

use report::{Report, Verdict};

/// What `--probe` exits with when there is no device.
const NO_DEVICE: u8 = 3;

/// Checks and measures GPU sessions on a CUDA device.
#[derive(Debug, Parser)]
#[command(name = "grafos-bench-gpu", version)]
struct Args {
    /// Which device, counted from 0.
    #[arg(long, default_value_t = 0)]
    device: u32,
    /// Fail if there is no device.
    #[arg(long)]
    require: bool,
    /// Write the report to this file.
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// The driver is the stand-in of the tests: say so in the report, and keep everything small.
    #[arg(long)]
    standin: bool,
    /// Only say whether there is a device: exit with 0 if there is, with 3 if not.
    #[arg(long)]
    probe: bool,
    /// Run this part and no other.
    #[arg(long, value_enum)]
    only: Option<Part>,
}

/// The parts of the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    /// The conformance suite of GPU hosts.
    Suite,
    /// Every PTX case on the virtual machine and on the device.
    Cases,
    /// How fast memory is copied.
    Rates,
    /// Revocation under a running kernel, and what is left.
    Endings,
    /// The cases once more, under compute-sanitizer.
    Sanitizer,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let host = match CudaHost::open(args.device) {
        Ok(host) => host,
        Err(unavailable) => return without_device(&args, &unavailable),
    };
    if args.probe {
        println!("{host:?}");
        return ExitCode::SUCCESS;
    }
    let report = match run(&args, &host) {
        Ok(report) => report,
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::FAILURE;
        }
    };
    if let Some(path) = &args.report
        && let Err(error) = std::fs::write(path, report.to_markdown())
    {
        eprintln!("error: {}: {error}", path.display());
        return ExitCode::FAILURE;
    }
    match report.verdict() {
        Verdict::Passed | Verdict::Skipped => ExitCode::SUCCESS,
        Verdict::Failed => ExitCode::FAILURE,
    }
}

fn without_device(args: &Args, unavailable: &GpuError) -> ExitCode {
    if args.probe {
        println!("{unavailable}");
        return ExitCode::from(NO_DEVICE);
    }
    println!("SKIPPED: nothing was run on a device. {unavailable}");
    if args.require { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

fn run(args: &Args, host: &CudaHost) -> grafos_std::Result<Report> {
    let wants = |part| args.only.is_none_or(|only| only == part);
    let mut report = Report::new(args.standin);
    report.add(device::section(host)?);
    if wants(Part::Suite) {
        report.add(suite::section(args.device));
        device::wait_until_free(host)?;
    }
    if wants(Part::Cases) {
        report.add(cases::section(host)?);
    }
    if wants(Part::Rates) {
        report.add(rates::section(host, args.standin)?);
    }
    if wants(Part::Endings) {
        report.add(endings::section(host, args.standin)?);
    }
    if wants(Part::Sanitizer) {
        report.add(sanitizer::section(args.device));
    }
    Ok(report)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Args::command().debug_assert();
    }
}
