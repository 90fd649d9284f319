//! `cargo xtask bench training`: what commits cost a training, beside the same loop without them, and how long it stands
//! still for each of them.
//!
//! Not a test of results; still, the weights of every measured run are compared bit by bit with those of the loop without
//! commits before its time counts.

mod args;
mod measure;
mod report;

use std::process::ExitCode;

use clap::Parser;
use cookbook_recipe_52_clean_preemptible_gpu_training::run::error::in_full;

use args::Args;
use report::Report;

/// This program prints its errors and ends; nobody acts on their kind.
type Result<T, E = Box<dyn std::error::Error>> = std::result::Result<T, E>;

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {}", in_full(error.as_ref()));
            ExitCode::from(2)
        }
    }
}

fn run(args: &Args) -> Result<ExitCode> {
    let computer = grafos_bench_support::Machine::of_this_run()?;
    let work_dir = args.work_dir()?;
    let results = measure::all(&args.plan(), work_dir.path())?;
    let report = Report { command: args.as_command(), computer, rounds: args.rounds(), results };
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
