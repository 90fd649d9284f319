//! The house rules of style, as code: `cargo xtask tidy`, and a test of this package.
//!
//! A rule is a function from the tree to what it found. It never writes and starts no program, so a test can hand
//! it a small tree with a violation: each rule has such a test, so that we know it can fail. Lists of old sins are
//! short and may only shrink: an entry that no longer sins is a finding too.

mod finding;
mod lexer;
mod rules;
mod tree;

pub(crate) use finding::Finding;
pub(crate) use tree::{SourceFile, Tree};

use crate::error::XtaskError;
use crate::repo;

/// Runs every rule over the repository and prints what they found.
pub(crate) fn run() -> Result<(), XtaskError> {
    check()?;
    println!("tidy: {} rules hold", rules::ALL.len());
    Ok(())
}

/// As [`run`], without a word if all is well.
pub(crate) fn check() -> Result<(), XtaskError> {
    let tree = Tree::load(&repo::root())?;
    let findings = findings(&tree);
    for finding in &findings {
        eprintln!("{finding}");
    }
    if findings.is_empty() { Ok(()) } else { Err(XtaskError::Untidy { count: findings.len() }) }
}

fn findings(tree: &Tree) -> Vec<Finding> {
    let mut findings: Vec<_> = rules::ALL.iter().flat_map(|rule| rule(tree)).collect();
    findings.sort();
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_repository_keeps_the_house_rules() {
        let tree = Tree::load(&repo::root()).unwrap();
        let findings: Vec<_> = findings(&tree).iter().map(ToString::to_string).collect();
        assert!(findings.is_empty(), "{}", findings.join("\n"));
    }

    #[test]
    fn the_tree_that_is_checked_is_the_repository() {
        let tree = Tree::load(&repo::root()).unwrap();
        assert!(tree.file("Cargo.toml").is_some() && tree.file("xtask/src/tidy.rs").is_some());
        assert!(
            tree.files().all(|file| !file.path.starts_with("target/") && !file.path.starts_with(".git/"))
        );
    }
}
