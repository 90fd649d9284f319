//! Tells the story in a directory of its own, which is gone afterwards: the work undisturbed, then with revocations.

use std::error::Error;
use std::io::{self, Write};

use cookbook_recipe_55_intra_kernel_revocation::{Ending, Walk, run};
use grafos_replicated::Engine;
use grafos_replicated::embedded::EmbeddedHome;
use grafos_std::host::LocalHost;

fn main() -> Result<(), Box<dyn Error>> {
    let mut out = io::stdout();
    let undisturbed = walk(&[], &mut io::sink())?;
    let ending = walk(&[3, 4, 6], &mut out)?;
    writeln!(out, "{} kernels were launched, {} of them stopped", ending.launches, ending.stopped)?;
    let same = if ending.state == undisturbed.state { "the same" } else { "ANOTHER" };
    writeln!(out, "the last state: {} (undisturbed: {same})", digest(&ending))?;
    Ok(())
}

fn walk(revoked: &[u64], out: &mut dyn Write) -> Result<Ending, Box<dyn Error>> {
    let home = tempfile::tempdir()?;
    let host = LocalHost::builder().home(home.path()).open()?;
    let engine = Engine::from(EmbeddedHome::builder().home(home.path()).open()?);
    Ok(run(&host, &engine, Walk::default(), revoked, out)?)
}

fn digest(ending: &Ending) -> String {
    let digest = blake3::hash(&ending.state).to_hex();
    digest[..16].to_owned()
}
