//! The program around the recipe: see `--help`, and [`cookbook_recipe_52_clean_preemptible_gpu_training`].

use std::process::ExitCode;

use cookbook_recipe_52_clean_preemptible_gpu_training::cli;

fn main() -> ExitCode {
    cli::main()
}
