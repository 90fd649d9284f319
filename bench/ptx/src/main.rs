//! `cargo xtask bench ptx`: how fast the virtual machine runs kernels, on one core and on two, beside the same
//! computation in plain Rust.
//!
//! Not a test of results: the corpus of `grafos-ptx` is that. Still, what each workload leaves is compared bit by bit with
//! what plain Rust computes, before its time counts.

mod args;
mod loading;
mod machine;
mod measure;
mod report;
mod stopping;
mod workload;

use std::process::ExitCode;

use clap::Parser;

use args::Args;
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
    let computer = grafos_bench_support::Machine::of_this_run()?;
    let results = measure::all(&args.plan())?;
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
