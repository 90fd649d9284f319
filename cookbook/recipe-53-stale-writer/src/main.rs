//! Tells the story in a directory of its own, which is gone afterwards.

use std::error::Error;
use std::io;

use cookbook_recipe_53_stale_writer::tell;
use grafos_replicated::Engine;
use grafos_replicated::embedded::EmbeddedHome;
use grafos_std::host::LocalHost;

fn main() -> Result<(), Box<dyn Error>> {
    let home = tempfile::tempdir()?;
    let host = LocalHost::builder().home(home.path()).open()?;
    let engine = Engine::from(EmbeddedHome::builder().home(home.path()).open()?);
    tell(&host, &engine, &mut io::stdout())?;
    Ok(())
}
