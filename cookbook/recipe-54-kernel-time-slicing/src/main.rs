//! Tells the story in a directory of its own, which is gone afterwards.

use std::error::Error;
use std::io;

use cookbook_recipe_54_kernel_time_slicing::share;
use grafos_std::host::LocalHost;

fn main() -> Result<(), Box<dyn Error>> {
    let home = tempfile::tempdir()?;
    let host = LocalHost::builder().home(home.path()).open()?;
    share(&host, &mut io::stdout())?;
    Ok(())
}
