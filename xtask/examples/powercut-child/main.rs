//! The small programs that the power-cut rig runs (`cargo xtask powercut`). Not an example to learn from, but built
//! as one, so that the chores themselves need none of the libraries that are judged here.
//!
//! `drive WHAT` does one step for each line it reads, and says what has become durable; it ends with its input.
//! `check WHAT` says what is found after a cut. The volumes lie under `GRAFOS_HOME`; each line said is one JSON
//! object.

use std::error::Error;
use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;

use grafos_std::host::Host;
use serde_json::Value;

use crate::no_flush::NoFlush;

mod durable;
mod kernel;
mod leases;
mod no_flush;
mod replicated;
mod unsynced;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let result = match words.as_slice() {
        ["drive", "durable" | "buffered"] => {
            Host::current().map_err(Into::into).and_then(|host| durable::drive(&host))
        }
        ["drive", "control"] => without_flush().and_then(|host| durable::drive(&host)),
        ["drive", "leases"] => leases::drive(),
        ["drive", "kernel"] => kernel::drive(),
        ["drive", "replicated"] => replicated::drive(true),
        ["drive", "unsynced"] => replicated::drive(false),
        ["check", "durable"] => durable::check(),
        ["check", "leases"] => leases::check(),
        ["check", "kernel"] => kernel::check(),
        ["check", "replicated"] => replicated::check(),
        _ => Err("usage: powercut-child drive durable|buffered|control|leases|kernel|replicated|unsynced, \
                  or check durable|leases|kernel|replicated"
            .into()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The local host, all its flushes of volumes left out.
fn without_flush() -> Result<Host> {
    let local = Host::current()?;
    let lying = NoFlush::new(Arc::clone(local.block_host()));
    Ok(Host::builder().block(Arc::new(lying)).clock(Arc::clone(local.clock())).build()?)
}

/// Does `step` for each line that comes in.
fn on_each_line(mut step: impl FnMut() -> Result<()>) -> Result<()> {
    for line in io::stdin().lines() {
        line?;
        step()?;
    }
    Ok(())
}

/// Says one line, at once.
fn say(line: &Value) -> Result<()> {
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{line}")?;
    Ok(stdout.flush()?)
}

/// A number that differs wherever `bytes` do (FNV-1a).
fn fingerprint(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}
