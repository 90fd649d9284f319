//! The programs whose power is cut, built with optimization.

use std::path::PathBuf;

use super::args::Choice;
use super::workload::{ChildMode, ChildWorkload, RecipeWorkload, Workload};
use crate::error::XtaskError;
use crate::step;

/// The recipe's package and program.
const RECIPE: &str = "cookbook-recipe-02-computation-that-survives-a-power-outage";

/// The small programs in lock-step: `examples/powercut-child` of this package.
const CHILD: &str = "powercut-child";

/// Builds what `choice` asks for.
pub(crate) fn workloads(choice: Choice) -> Result<Vec<Box<dyn Workload>>, XtaskError> {
    let is_wanted = |one: Choice| choice == one || choice == Choice::All;
    let mut workloads: Vec<Box<dyn Workload>> = Vec::new();
    if is_wanted(Choice::Recipe) {
        let program = built(RECIPE, &["--package", RECIPE, "--bin", RECIPE])?;
        workloads.push(Box::new(RecipeWorkload { program }));
    }
    let modes = [
        (Choice::Durable, ChildMode::Durable),
        (Choice::Buffered, ChildMode::Buffered),
        (Choice::Leases, ChildMode::Leases),
        (Choice::Kernel, ChildMode::Kernel),
        (Choice::Control, ChildMode::Control),
        (Choice::Replicated, ChildMode::Replicated),
        (Choice::Unjournaled, ChildMode::Unjournaled),
        (Choice::Unsynced, ChildMode::Unsynced),
    ];
    let modes: Vec<_> = modes.into_iter().filter(|(one, _)| is_wanted(*one)).collect();
    if !modes.is_empty() {
        let program = built(CHILD, &["--package", "xtask", "--example", CHILD])?;
        let workload =
            |(_, mode)| Box::new(ChildWorkload { program: program.clone(), mode }) as Box<dyn Workload>;
        workloads.extend(modes.into_iter().map(workload));
    }
    Ok(workloads)
}

/// Builds the one workload called `name`; `None` if there is no such.
pub(crate) fn workload(name: &str) -> Result<Option<Box<dyn Workload>>, XtaskError> {
    let choice = match name {
        "recipe" => Choice::Recipe,
        "durable" => Choice::Durable,
        "buffered" => Choice::Buffered,
        "leases" => Choice::Leases,
        "kernel" => Choice::Kernel,
        "control" => Choice::Control,
        "replicated" => Choice::Replicated,
        "unjournaled" => Choice::Unjournaled,
        "unsynced" => Choice::Unsynced,
        _ => return Ok(None),
    };
    Ok(workloads(choice)?.pop())
}

fn built(name: &str, target: &[&str]) -> Result<PathBuf, XtaskError> {
    step::timed(&format!("build {name}"), || step::build_program(target, name))
}
