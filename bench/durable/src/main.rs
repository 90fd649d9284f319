//! `cargo xtask bench durable`: how fast a durable value is, beside raw direct I/O and beside what else a user could
//! pick.
//!
//! Not a test of durability: the power-cut and crash rigs do that. A figure here is only worth something beside the
//! baseline of the same round on the same disk, so every table carries both, and no target is judged on anything
//! but their ratio. What each contender has committed is read back and compared before its time counts.

mod args;
mod contender;
mod machine;
mod measure;
mod ours;
mod peer;
mod raw;
mod report;
mod state;

use std::process::ExitCode;

use clap::Parser;

use args::Args;
use machine::Machine;
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
    let machine = Machine::of(dir.path())?;
    if machine.is_in_memory() {
        eprintln!(
            "warning: the directory is in memory ({}), so these figures say nothing",
            machine.file_system
        );
    }
    let plan = Plan { dir: dir.path(), rounds: args.rounds(), sizes: args.sizes() };
    let results = measure::all(&plan)?;
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
