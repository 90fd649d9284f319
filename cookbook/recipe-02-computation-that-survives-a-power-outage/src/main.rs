//! The program around the recipe: see `--help`, and [`cookbook_recipe_02_computation_that_survives_a_power_outage`].

use std::process::ExitCode;

use cookbook_recipe_02_computation_that_survives_a_power_outage::cli;

fn main() -> ExitCode {
    cli::main()
}
