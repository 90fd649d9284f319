//! The program around the recipe: see `--help`, and [`cookbook_kernel_checkpoint_resume`].

use std::process::ExitCode;

use cookbook_kernel_checkpoint_resume::cli;

fn main() -> ExitCode {
    cli::main()
}
