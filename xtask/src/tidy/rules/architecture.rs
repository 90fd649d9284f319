//! `ARCHITECTURE.md` names what exists: each name in backticks is a path, a package, or a word of the sources.

use std::collections::BTreeSet;

use super::links::prose_lines;
use crate::tidy::lexer::words;
use crate::tidy::{Finding, Tree};

const PATH: &str = "ARCHITECTURE.md";

/// Names that are right and stand in no source of ours. Each must be in use.
const OF_OTHERS: &[&str] = &["cargo", "unsafe", "mod.rs"];

/// Each name in backticks exists.
pub(crate) fn names_exist(tree: &Tree) -> Vec<Finding> {
    let Some(file) = tree.file(PATH) else {
        return vec![Finding::file(PATH, "is missing")];
    };
    let known = known_words(tree);
    let mut findings = Vec::new();
    for (index, line) in prose_lines(&file.text) {
        for span in line.split('`').skip(1).step_by(2) {
            let unknown = unknown_part(tree, &known, span);
            findings.extend(unknown.map(|name| Finding::line(PATH, index, format!("there is no `{name}`"))));
        }
    }
    findings
}

/// The words of all sources (comments left aside: they may speak of what is gone), packages and folders.
fn known_words(tree: &Tree) -> BTreeSet<String> {
    let mut known = BTreeSet::new();
    for file in tree.rust_files() {
        let masked = file.masked();
        known.extend(words(&masked.code).chain(words(&masked.strings)).map(str::to_owned));
    }
    for file in tree.files().filter(|file| file.name() == "Cargo.toml") {
        let name = file.text.lines().find_map(|line| line.strip_prefix("name = "));
        let name = name.map(|name| name.trim_matches('"'));
        known.extend(name.into_iter().flat_map(|name| [name.to_owned(), name.replace('-', "_")]));
    }
    known.extend(tree.folder_names().map(str::to_owned));
    known
}

/// The first part of a code span that is nowhere to be found.
fn unknown_part<'a>(tree: &Tree, known: &BTreeSet<String>, span: &'a str) -> Option<&'a str> {
    let is_pattern = span.ends_with("/*");
    let as_path = span.trim_end_matches('*');
    let is_path = !span.contains([' ', '$']) && (span.contains('/') || is_file_name(span));
    if OF_OTHERS.contains(&span) || (is_path && is_known_path(tree, as_path)) {
        return None;
    }
    if is_path || is_pattern {
        return Some(span);
    }
    let is_known = |word: &str| OF_OTHERS.contains(&word) || known.contains(word);
    let parts = span.split(|c: char| !c.is_alphanumeric() && c != '_' && c != '-');
    let names = parts
        .map(|part| part.trim_matches('-'))
        .filter(|part| part.starts_with(|c: char| c.is_alphabetic() || c == '_'));
    names.into_iter().find(|name| !is_known(name))
}

fn is_file_name(span: &str) -> bool {
    [".rs", ".md", ".toml", ".svg", ".lock"].iter().any(|ending| span.ends_with(ending))
}

/// A path from the root, or the end of a path: `host/local.rs` is enough where the package is clear.
fn is_known_path(tree: &Tree, path: &str) -> bool {
    let ending = format!("/{}", path.trim_end_matches('/'));
    tree.exists(path)
        || tree.files().any(|file| file.path.ends_with(&ending) || file.path.contains(&format!("{ending}/")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unknown(text: &str) -> Vec<String> {
        let tree = Tree::of(&[
            (PATH, text),
            ("crates/grafos-std/Cargo.toml", "[package]\nname = \"grafos-std\"\n"),
            (
                "crates/grafos-std/src/host/local.rs",
                "//! X. GoneType was here.\npub struct LocalHost; // OldName\n",
            ),
            ("crates/grafos-std/src/host.rs", "fn home() { var(\"GRAFOS_HOME\") }\nstruct Durable<T>;\n"),
        ]);
        names_exist(&tree).into_iter().map(|finding| finding.problem).collect()
    }

    #[test]
    fn names_that_exist_are_fine() {
        let text = "`grafos-std`, `grafos_std::host::LocalHost`, `Durable<T>`, `home()`, `$GRAFOS_HOME`, `crates/*`,\n\
            `crates/grafos-std/src/host/local.rs`, `host/local.rs`, `host.rs`, `cargo`\n```\n`Nothing`\n```\n";
        assert_eq!(unknown(text), Vec::<String>::new());
    }

    #[test]
    fn names_of_what_is_gone_are_found() {
        for (text, name) in [
            ("`GoneType`", "GoneType"),
            ("`OldName`", "OldName"),
            ("`host::Remote`", "Remote"),
            ("`host/remote.rs`", "host/remote.rs"),
            ("`plugins/*`", "plugins/*"),
            ("`grafos-gpu`", "grafos-gpu"),
            ("a `LocalHost` and a `RemoteHost`", "RemoteHost"),
        ] {
            assert_eq!(unknown(text), [format!("there is no `{name}`")], "{text}");
        }
    }

    #[test]
    fn a_missing_document_is_found() {
        assert_eq!(names_exist(&Tree::default()).len(), 1);
    }
}
