//! `cargo xtask bench replicated`: how fast replicated checkpoints and effects are, beside raw parallel writes and a
//! bare transaction of the same database.
//!
//! Not a test of durability: the power-cut and crash rigs do that. A figure here is only worth something beside the
//! baseline of the same round on the same disk, so every table carries both, and no target is judged on anything but
//! their ratio. What was saved is loaded and compared before its time counts.

mod args;
mod bare;
mod measure;
mod ours;
mod raw;
mod report;

use std::process::ExitCode;

use clap::Parser;

use args::Args;
use measure::Plan;
use report::Report;

/// This program prints its errors and ends; nobody acts on their kind.
type Result<T, E = Box<dyn std::error::Error>> = std::result::Result<T, E>;

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(2)
        }
    }
}

fn run(args: &Args) -> Result<ExitCode> {
    let dir = args.work_dir()?;
    let computer = grafos_bench_support::Machine::of_this_run()?;
    let file_system = grafos_bench_support::file_system_of(dir.path())?;
    if matches!(file_system.as_str(), "tmpfs" | "ramfs") {
        eprintln!("warning: the directory is in memory ({file_system}), so these figures say nothing");
    }
    let plan = Plan { dir: dir.path(), rounds: args.rounds(), sizes: args.sizes(), keys: args.keys() };
    let results = measure::all(&plan)?;
    let machine = format!("{computer}, {file_system}");
    let report = Report { command: args.as_command(), machine, rounds: plan.rounds, results };
    println!("{}", report.tables());
    if let Some(out) = args.out_dir() {
        report.write_to(&out)?;
        eprintln!("written to {}", out.display());
    }
    let missed = report.missed();
    if args.check && missed > 0 {
        eprintln!("targets missed: {missed}");
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}
