//! [`tell`]: two trainers meet. Everything that must be refused is tried, and what is refused is said.

use std::io::Write;

use grafos_replicated::{Engine, ReplicatedError, Version};
use grafos_std::FabricError;
use grafos_std::host::Host;

use crate::error::RecipeError;
use crate::trainer::{Computed, FIRST_STATE, Trainer};

/// How many steps the job has.
pub const STEPS: u64 = 8;

/// How the story ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ending {
    /// The state after [`STEPS`] steps.
    pub state: Vec<u8>,
    /// What everybody can load: one version for each step.
    pub version: Version,
    /// How often a trainer was told that it is not its turn, or its view is old.
    pub told: u32,
}

/// Tells the story, a line for each thing that happens.
///
/// # Errors
/// [`RecipeError::LetThrough`] if anything gets through that must not; those of host and engine.
pub fn tell(host: &Host, engine: &Engine, out: &mut dyn Write) -> Result<Ending, RecipeError> {
    let mut told = 0;
    let mut a = Trainer::start(host, engine)?;
    writeln!(out, "A leased the GPU and took the job over: epoch={}, version={}", a.epoch(), a.version())?;
    let busy = refusal(Trainer::start(host, engine), "a second lease on the device")?;
    expect(matches!(busy, RecipeError::Fabric(FabricError::Held { .. })), "the GPU while it is held")?;
    told += 1;
    writeln!(out, "B asks for the GPU: refused, A has it")?;
    for _ in 0..3 {
        step(&mut a, "A", out)?;
    }
    let late = a.compute()?;
    writeln!(out, "A computed step {}, and freezes before it can publish that", a.version().next())?;

    host.revoke(a.lease().lease_id())?;
    writeln!(out, "the host takes A's lease away, since nobody hears of A")?;
    let mut b = Trainer::start(host, engine)?;
    writeln!(out, "B leased the GPU and took the job over: epoch={}, version={}", b.epoch(), b.version())?;
    for _ in 0..2 {
        step(&mut b, "B", out)?;
    }

    writeln!(out, "A wakes up, and knows of nothing")?;
    told += loser_tries(&mut a, &late, out)?;

    writeln!(out, "B goes on, and looks away for a moment: a helper of B's saves with B's own epoch")?;
    let stale = b.version();
    step(&mut b, "B", out)?;
    let next = b.compute()?;
    let error = refusal(b.save(&next, stale), "a save on an old version")?;
    expect(is_conflict(&error), "a save on an old version")?;
    told += 1;
    writeln!(out, "  the helper saves on version {stale}: {error}")?;
    b.publish(&next)?;
    writeln!(out, "B published step {}", b.version())?;
    while b.version().0 < STEPS {
        step(&mut b, "B", out)?;
    }

    let state = b.state().to_vec();
    let mut alone = FIRST_STATE.to_vec();
    for step in 1..=STEPS {
        alone = b.run_kernel(Version(step), &alone)?;
    }
    expect(state == alone, "a state that differs from that of an undisturbed run")?;
    let digest = blake3::hash(&state).to_hex();
    writeln!(out, "after {STEPS} steps: state {}, that of a run that nobody disturbed", &digest[..16])?;
    Ok(Ending { state, version: b.version(), told })
}

/// All that the one who lost can think of. Returns how often it was told.
fn loser_tries(a: &mut Trainer, late: &Computed, out: &mut dyn Write) -> Result<u32, RecipeError> {
    let error = refusal(a.publish(late), "a fenced trainer's step")?;
    expect(is_stale(&error), "a fenced trainer's step")?;
    writeln!(out, "  A publishes step {}: {error}", a.version().next())?;
    let error = refusal(a.save(late, Version(5)), "a fenced trainer's save")?;
    expect(is_stale(&error), "a fenced trainer's save on the newest version")?;
    writeln!(out, "  A saves it on the newest version: {error}")?;
    let error = refusal(a.abandon(late), "a word about a step that is another's")?;
    expect(is_stale(&error), "a word about a step that is another's")?;
    writeln!(out, "  A gives its step back: {error}")?;
    let error = refusal(a.compute(), "a fenced trainer's reservation")?;
    expect(is_stale(&error), "a fenced trainer's reservation")?;
    writeln!(out, "  A reserves the step once more: {error}")?;
    expect(!a.has_lease(), "a lease that was taken away")?;
    let error = refusal(a.run_kernel(Version(4), a.state()), "a kernel without a lease")?;
    expect(matches!(error, RecipeError::Fabric(FabricError::Revoked { .. })), "a kernel without a lease")?;
    writeln!(out, "  A launches a kernel: refused, its lease was revoked")?;
    Ok(5)
}

fn step(trainer: &mut Trainer, name: &str, out: &mut dyn Write) -> Result<(), RecipeError> {
    let computed = trainer.compute()?;
    let version = trainer.publish(&computed)?;
    writeln!(out, "{name} published step {version}")?;
    Ok(())
}

fn refusal<T>(result: Result<T, RecipeError>, what: &'static str) -> Result<RecipeError, RecipeError> {
    match result {
        Ok(_) => Err(RecipeError::LetThrough { what }),
        Err(error) => Ok(error),
    }
}

fn expect(is_so: bool, what: &'static str) -> Result<(), RecipeError> {
    if is_so { Ok(()) } else { Err(RecipeError::LetThrough { what }) }
}

fn is_stale(error: &RecipeError) -> bool {
    matches!(error, RecipeError::Replicated(ReplicatedError::StaleEpoch { .. }))
}

fn is_conflict(error: &RecipeError) -> bool {
    matches!(error, RecipeError::Replicated(ReplicatedError::VersionConflict { .. }))
}
