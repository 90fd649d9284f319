//! Runs many worlds, or one, or those of the planted faults. `cargo xtask sim` builds and starts it.
//!
//! Arguments: `--seeds N`, `--steps N`, `--seed N` (that one alone; with `--seeds`, the first), `--threads N`, `--mutants`,
//! `--mutant NAME`.

use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use grafos_sim::{Config, Failure, Mutant, Totals, run};

/// How many seeds a planted fault may take.
const MUTANT_SEEDS: u64 = 5000;
const PROGRESS_SECS: u64 = 15;

#[derive(Clone, Copy, Debug)]
struct Args {
    seeds: u64,
    first: u64,
    steps: u64,
    threads: u64,
    mutants: bool,
    mutant: Option<Mutant>,
}

fn main() -> ExitCode {
    let args = match parse(std::env::args().skip(1)) {
        Ok(args) => args,
        Err(problem) => {
            eprintln!("error: {problem}");
            return ExitCode::FAILURE;
        }
    };
    let is_good = if args.mutants { mutants(&args) } else { seeds(&args) };
    if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn parse(mut words: impl Iterator<Item = String>) -> Result<Args, String> {
    let mut args = Args { seeds: 100, first: 1, steps: 3000, threads: 1, mutants: false, mutant: None };
    let (mut seeds, mut first) = (None, None);
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(|| format!("{word} needs a value"));
        let number = |text: String| text.parse::<u64>().map_err(|_| format!("not a number: {text}"));
        match word.as_str() {
            "--seeds" => seeds = Some(number(value()?)?),
            "--seed" => first = Some(number(value()?)?),
            "--steps" => args.steps = number(value()?)?,
            "--threads" => args.threads = number(value()?)?.max(1),
            "--mutants" => args.mutants = true,
            "--mutant" => {
                let name = value()?;
                args.mutant = Some(Mutant::of_name(&name).ok_or_else(|| format!("no such mutant: {name}"))?);
            }
            _ => return Err(format!("not an option: {word}")),
        }
    }
    args.first = first.unwrap_or(args.first);
    args.seeds = seeds.unwrap_or(if first.is_some() { 1 } else { args.seeds });
    Ok(args)
}

#[allow(clippy::disallowed_methods, reason = "shown to people, never decided on")]
fn now() -> Instant {
    Instant::now()
}

/// Goes through seeds on all threads, until one fails.
fn explore(args: &Args, mutant: Option<Mutant>, talks: bool) -> (Totals, u64, Option<Failure>) {
    let (next, is_over) = (AtomicU64::new(0), AtomicBool::new(false));
    let state = Mutex::new((Totals::default(), 0_u64, None::<Failure>, now()));
    let begun = now();
    thread::scope(|scope| {
        for _ in 0..args.threads {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    if at >= args.seeds {
                        return;
                    }
                    let result = run(&Config { seed: args.first + at, steps: args.steps, mutant });
                    let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
                    state.1 += 1;
                    match result {
                        Ok(report) => state.0 += report.totals,
                        Err(failure) => {
                            is_over.store(true, Ordering::Relaxed);
                            // The lowest seed, so that threads do not change what is printed.
                            if state.2.as_ref().is_none_or(|known| failure.seed < known.seed) {
                                state.2 = Some(failure);
                            }
                        }
                    }
                    if talks && state.3.elapsed().as_secs() >= PROGRESS_SECS {
                        state.3 = now();
                        println!("{} seeds, {:.0} s", state.1, begun.elapsed().as_secs_f64());
                    }
                }
            });
        }
    });
    let (totals, seeds, failure, _) = state.into_inner().unwrap_or_else(PoisonError::into_inner);
    (totals, seeds, failure)
}

fn seeds(args: &Args) -> bool {
    let begun = now();
    let (totals, seeds, failure) = explore(args, args.mutant, true);
    let secs = begun.elapsed().as_secs_f64();
    println!("{seeds:>14}  seeds, from {}, of {} steps", args.first, args.steps);
    print!("{totals}");
    println!(
        "{:>14.0}  steps a second, on {} threads, in {secs:.1} s",
        totals.steps as f64 / secs,
        args.threads
    );
    if args.seeds == 1 && failure.is_none() {
        let config = Config { seed: args.first, steps: args.steps, mutant: args.mutant };
        if let Ok(report) = run(&config) {
            println!("{:016x}  hash of all that happened", report.hash);
        }
    }
    if let Some(failure) = &failure {
        eprintln!("FAILED: {failure}");
    }
    failure.is_none()
}

fn mutants(args: &Args) -> bool {
    let mut is_good = true;
    let args = Args { seeds: args.seeds.max(MUTANT_SEEDS), ..*args };
    for mutant in Mutant::ALL {
        let (_, _, failure) = explore(&args, Some(mutant), false);
        match failure {
            Some(failure) => {
                let seeds = failure.seed - args.first + 1;
                println!("{:<30} caught, seeds={seeds}: {}", mutant.name(), failure.violation.invariant);
            }
            None => {
                is_good = false;
                println!("{:<30} NOT caught in {} seeds", mutant.name(), args.seeds);
            }
        }
    }
    is_good
}
