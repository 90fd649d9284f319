//! A histogram of a hundred million distances that survives every crash without ever being written to a disk.
//!
//! ```text
//! cargo run --release -p cookbook-recipe-02-computation-that-survives-a-power-outage --example replay
//! ```
//!
//! Kill it at any moment and start it again: the histogram is computed anew up to the last checkpoint, which holds
//! a seed and a position, and then goes on.

use std::error::Error;

use cookbook_recipe_02_computation_that_survives_a_power_outage::replay::Replay;
use grafos_std::host::Host;

const BATCHES: u64 = 1_000;
const BINS: usize = 40;

fn main() -> Result<(), Box<dyn Error>> {
    let host = Host::current()?;
    let mut replay = Replay::open(&host, "recipe-02-replay", 123, BINS)?;
    println!("computed again: {} of {BATCHES} batches", replay.batches());
    while replay.batches() < BATCHES {
        replay.advance(50.min(BATCHES - replay.batches()));
        let sequence = replay.checkpoint()?;
        println!("checkpoint {sequence}: {} batches", replay.batches());
    }
    let counts = replay.histogram().counts();
    let fullest = counts.iter().copied().max().unwrap_or(1).max(1);
    for (bin, count) in counts.iter().enumerate() {
        let width = usize::try_from(count * 60 / fullest)?;
        println!("{:.3} {}", replay.histogram().middle_of(bin), "#".repeat(width));
    }
    Ok(())
}
