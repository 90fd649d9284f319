//! `cargo xtask bench kernel`: how fast kernel checkpoints are encoded, saved and read, beside ringkernel-core in the
//! same rounds; and what a delta and compression cost.
//!
//! Not a test of durability or of formats: the power-cut rig and the tests of `grafos-kernel` are that. Still, what each
//! contender has made is read back and compared before its time counts.

mod args;
mod measure;
mod report;
mod state;

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
        eprintln!("warning: the directory is in memory ({file_system}), so a save is not durable");
    }
    let plan = Plan { dir: dir.path(), rounds: args.rounds(), size: args.size() };
    let results = measure::all(&plan)?;
    let report = Report { command: args.as_command(), computer, file_system, rounds: plan.rounds, results };
    println!("{}", report.tables());
    if let Some(out) = args.out_dir() {
        report.write_to(out)?;
        eprintln!("written to {}", out.display());
    }
    let missed = report.missed();
    if args.check && missed > 0 {
        eprintln!("targets missed: {missed}");
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}
