//! `cargo xtask ptx`: makes the PTX beside our kernels (and clang's part of the corpus) again from the sources, says
//! whether what is committed still matches, and lets `ptxas` check all of it.
//!
//! It writes to the tree with `--write` only. What it can't do here, because a program is missing, it says aloud; with
//! `GRAFOS_REQUIRE_CLANG` a missing clang is a failure. `ptxas` is proprietary and never required.

mod clang;
mod ptxas;
mod recipe;

use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;

use crate::error::XtaskError;
use crate::{repo, step};
use clang::Clang;
use ptxas::Ptxas;
use recipe::{CORPUS, KERNELS, RECIPES, Recipe};

/// Options of `ptx`.
#[derive(Debug, Args)]
pub(crate) struct PtxArgs {
    /// Put what was made in place of what differs.
    #[arg(long)]
    write: bool,
}

/// How a committed file compares with what was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Matches,
    Differs,
    Missing,
    /// There is no source of that name.
    Orphan,
}

/// Makes, compares, checks.
pub(crate) fn run(args: &PtxArgs) -> Result<(), XtaskError> {
    let root = repo::root();
    let mut differing = 0;
    match Clang::find()? {
        Some(clang) => {
            for recipe in RECIPES {
                let heading = format!("{}: {}", recipe.folder, clang.shown(recipe));
                differing += step::timed(&heading, || remake(&root, &clang, recipe, args.write))?;
            }
        }
        None if std::env::var_os("GRAFOS_REQUIRE_CLANG").is_some() => return Err(XtaskError::NoClang),
        None => println!("skipped: {}, so nothing was made again or compared", XtaskError::NoClang),
    }
    match Ptxas::find() {
        Some(ptxas) => step::timed("ptxas", || check(&root, &ptxas))?,
        None => println!("skipped: there is no `ptxas` on PATH or in $PTXAS, so none of the PTX was checked"),
    }
    if differing > 0 { Err(XtaskError::PtxDiffers { count: differing }) } else { Ok(()) }
}

/// Makes the files of one folder and tells of each that isn't as it was made; with `write`, it is afterwards. Returns how
/// many are not.
fn remake(root: &Path, clang: &Clang, recipe: &Recipe, write: bool) -> Result<usize, XtaskError> {
    let kernels = root.join(KERNELS);
    let sources = names(&kernels, "cu")?;
    let folder = root.join(recipe.folder);
    let committed = names(&folder, "ptx")?;
    let mut differing = 0;
    for name in committed.iter().filter(|name| !sources.contains(name)) {
        tell(recipe, name, State::Orphan);
        differing += 1;
    }
    for name in sources.iter().filter(|name| recipe.is_whole || committed.contains(name)) {
        let made = clang.make(&kernels, name, recipe)?;
        let path = folder.join(name).with_extension("ptx");
        let state = compare(&path, &made)?;
        if state == State::Matches {
            continue;
        }
        tell(recipe, name, state);
        if write {
            fs::write(&path, &made).map_err(|source| XtaskError::io("write", &path, source))?;
            println!("    written");
        } else {
            differing += 1;
        }
    }
    Ok(differing)
}

fn tell(recipe: &Recipe, name: &str, state: State) {
    let problem = match state {
        State::Matches => return,
        State::Differs => "differs from what clang makes of its source",
        State::Missing => "is missing",
        State::Orphan => "has no source",
    };
    println!("    {}/{name}.ptx {problem}", recipe.folder);
}

fn compare(path: &Path, made: &str) -> Result<State, XtaskError> {
    match fs::read_to_string(path) {
        Ok(committed) if committed == made => Ok(State::Matches),
        Ok(_) => Ok(State::Differs),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(State::Missing),
        Err(error) => Err(XtaskError::io("read", path, error)),
    }
}

/// Lets `ptxas` assemble everything that is committed, whoever made it.
fn check(root: &Path, ptxas: &Ptxas) -> Result<(), XtaskError> {
    let mut paths = ptx_below(&root.join(KERNELS))?;
    paths.extend(ptx_below(&root.join(CORPUS))?);
    for path in &paths {
        ptxas.check(path)?;
    }
    println!("    {} files", paths.len());
    Ok(())
}

/// The files of `folder` with that extension, by name without it, sorted.
fn names(folder: &Path, extension: &str) -> Result<Vec<String>, XtaskError> {
    let paths = entries(folder)?.into_iter();
    let with_extension = paths.filter(|path| path.extension().is_some_and(|found| found == extension));
    Ok(with_extension.filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned())).collect())
}

fn ptx_below(folder: &Path) -> Result<Vec<PathBuf>, XtaskError> {
    let mut found = Vec::new();
    for path in entries(folder)? {
        if path.is_dir() {
            found.extend(ptx_below(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "ptx") {
            found.push(path);
        }
    }
    Ok(found)
}

/// Sorted.
fn entries(folder: &Path) -> Result<Vec<PathBuf>, XtaskError> {
    let failed = |source| XtaskError::io("list", folder, source);
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        paths.push(entry.map_err(failed)?.path());
    }
    paths.sort();
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_differs_or_is_missing_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("k.ptx");
        assert_eq!(compare(&path, "ret;").unwrap(), State::Missing);
        fs::write(&path, "ret;").unwrap();
        assert_eq!(compare(&path, "ret;").unwrap(), State::Matches);
        assert_eq!(compare(&path, "exit;").unwrap(), State::Differs);
    }

    #[test]
    fn each_folder_of_a_recipe_is_there_and_has_sources_for_all_it_holds() {
        let root = repo::root();
        let sources = names(&root.join(KERNELS), "cu").unwrap();
        assert!(!sources.is_empty());
        for recipe in RECIPES {
            let committed = names(&root.join(recipe.folder), "ptx").unwrap();
            assert!(!committed.is_empty(), "{}", recipe.folder);
            assert!(committed.iter().all(|name| sources.contains(name)), "{}", recipe.folder);
            assert!(!recipe.is_whole || committed == sources, "{}", recipe.folder);
        }
    }

    /// A small tree whose `clang` is a script that "compiles" by naming its last argument.
    #[test]
    fn what_differs_is_counted_and_written_only_when_asked() {
        let dir = tempfile::tempdir().unwrap();
        let recipe = Recipe { folder: KERNELS, options: &[], is_whole: true };
        let kernels = dir.path().join(KERNELS);
        fs::create_dir(&kernels).unwrap();
        for name in ["a.cu", "b.cu", "gone.ptx"] {
            fs::write(kernels.join(name), "").unwrap();
        }
        let clang = Clang::at("echo");
        assert_eq!(remake(dir.path(), &clang, &recipe, false).unwrap(), 3);
        assert!(!kernels.join("a.ptx").exists());
        assert_eq!(
            remake(dir.path(), &clang, &recipe, true).unwrap(),
            1,
            "what has no source is not removed"
        );
        assert!(fs::read_to_string(kernels.join("b.ptx")).unwrap().contains("b.cu"));
        fs::remove_file(kernels.join("gone.ptx")).unwrap();
        assert_eq!(remake(dir.path(), &clang, &recipe, false).unwrap(), 0);
    }
}
