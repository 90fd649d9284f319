//! The shape of Rust sources: where files lie, how they open, how long they are.

use crate::tidy::{Finding, SourceFile, Tree};

/// A `lib.rs` declares, documents and re-exports.
const MAX_LIB_LINES: usize = 199;
/// Lines of a source file, its tests left aside.
const MAX_LINES: usize = 399;
/// What no list of old sins excuses.
const HARD_MAX_LINES: usize = 600;
/// An inline test module longer than this moves to a file of its own.
const MAX_INLINE_TEST_LINES: usize = 250;

/// Sources that are longer than [`MAX_LINES`]. May only shrink.
const OLD_LONG_FILES: &[&str] = &[];

/// The first line says what the file is.
pub(crate) fn files_open_with_their_purpose(tree: &Tree) -> Vec<Finding> {
    let is_silent = |file: &&SourceFile| !file.text.starts_with("//! ");
    let silent = tree.rust_files().filter(is_silent);
    silent.map(|file| Finding::file(&file.path, "must open with `//!`: what it is, what it is not")).collect()
}

/// Short files, so that a newcomer finds the place.
pub(crate) fn files_are_short(tree: &Tree) -> Vec<Finding> {
    too_long(tree, OLD_LONG_FILES)
}

fn too_long(tree: &Tree, old_sins: &[&str]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree.rust_files().filter(|file| !is_test_file(file)) {
        let Lines { code, tests } = count_lines(&file.text);
        let max = if file.name() == "lib.rs" { MAX_LIB_LINES } else { MAX_LINES };
        let is_old_sin = old_sins.contains(&file.path.as_str());
        if code > HARD_MAX_LINES || (code > max && !is_old_sin) {
            findings.push(Finding::file(&file.path, format!("too long: lines={code}, most={max}; split it")));
        }
        if code <= max && is_old_sin {
            findings.push(Finding::file(&file.path, "is short now: take it off the list of old sins"));
        }
        if tests > MAX_INLINE_TEST_LINES {
            let folder = file.path.trim_end_matches(".rs");
            let problem = format!(
                "long inline tests: lines={tests}, most={MAX_INLINE_TEST_LINES}; move them to {folder}/tests.rs"
            );
            findings.push(Finding::file(&file.path, problem));
        }
    }
    let gone = old_sins.iter().filter(|path| tree.file(path).is_none());
    findings.extend(gone.map(|path| Finding::file(path, "is gone: take it off the list of old sins")));
    findings
}

fn is_test_file(file: &SourceFile) -> bool {
    file.name() == "tests.rs" || file.path.split('/').any(|folder| folder == "tests")
}

struct Lines {
    code: usize,
    tests: usize,
}

/// Inline test modules begin with `#[cfg(test)]` and `mod` at the left margin and end with a brace there: the
/// formatter sees to that.
fn count_lines(text: &str) -> Lines {
    let (mut code, mut tests, mut in_tests) = (0, 0, false);
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        let opens = |next: &&str| next.starts_with("mod ") && next.ends_with('{');
        in_tests |= line == "#[cfg(test)]" && lines.peek().is_some_and(opens);
        if in_tests {
            tests += 1;
            in_tests = line != "}";
        } else {
            code += 1;
        }
    }
    Lines { code, tests }
}

/// `foo.rs` beside `foo/`: an editor full of `mod.rs` helps nobody.
pub(crate) fn modules_lie_beside_their_folder(tree: &Tree) -> Vec<Finding> {
    let files = tree.rust_files().filter(|file| file.name() == "mod.rs");
    files.map(|file| Finding::file(&file.path, format!("move it to {}.rs", file.folder()))).collect()
}

/// One integration binary links once: `tests/it/main.rs`.
pub(crate) fn one_integration_binary_per_package(tree: &Tree) -> Vec<Finding> {
    let packages = tree.files().filter(|file| file.name() == "Cargo.toml").map(SourceFile::folder);
    let mut findings = Vec::new();
    for package in packages {
        let tests = if package.is_empty() { "tests/".to_owned() } else { format!("{package}/tests/") };
        let within = tree.rust_files().filter_map(|file| Some((file, file.path.strip_prefix(&tests)?)));
        let binaries = within.filter(|(_, rest)| match rest.split_once('/') {
            None => true,
            Some((folder, name)) => name == "main.rs" && folder != "it",
        });
        findings.extend(binaries.map(|(file, _)| {
            Finding::file(&file.path, format!("a second test binary: make it a module of {tests}it/main.rs"))
        }));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(findings: &[Finding]) -> Vec<&str> {
        findings.iter().map(|finding| finding.path.as_str()).collect()
    }

    #[test]
    fn a_file_without_a_purpose_is_found() {
        let tree =
            Tree::of(&[("a.rs", "//! Is a.\n"), ("b.rs", "use a;\n"), ("c.rs", ""), ("d.rs", "//!\n")]);
        assert_eq!(paths(&files_open_with_their_purpose(&tree)), ["b.rs", "c.rs", "d.rs"]);
    }

    #[test]
    fn long_files_are_found_and_tests_do_not_count() {
        let tests = format!("#[cfg(test)]\nmod tests {{\n{}}}\n", "    // t\n".repeat(240));
        let ok = "x\n".repeat(399) + &tests;
        let long = "x\n".repeat(400);
        let lib = "x\n".repeat(200);
        let inline = format!("#[cfg(test)]\nmod tests {{\n{}}}\n", "    // t\n".repeat(260));
        let tree = Tree::of(&[
            ("a/ok.rs", &ok),
            ("a/long.rs", &long),
            ("a/lib.rs", &lib),
            ("a/inline.rs", &inline),
            ("a/foo/tests.rs", &long),
            ("a/tests/it/main.rs", &long),
        ]);
        assert_eq!(paths(&files_are_short(&tree)), ["a/inline.rs", "a/lib.rs", "a/long.rs"]);
    }

    #[test]
    fn the_list_of_old_sins_may_only_shrink() {
        let (short, long) = ("x\n".repeat(10), "x\n".repeat(500));
        let longest = "x\n".repeat(601);
        let tree = Tree::of(&[("a.rs", &short), ("b.rs", &long), ("c.rs", &longest)]);
        assert_eq!(paths(&too_long(&tree, &["b.rs", "c.rs"])), ["c.rs"]);
        assert_eq!(
            paths(&too_long(&tree, &["a.rs", "b.rs", "c.rs", "gone.rs"])),
            ["a.rs", "c.rs", "gone.rs"]
        );
    }

    #[test]
    fn a_module_inside_its_folder_is_found() {
        let tree = Tree::of(&[("a/src/foo/mod.rs", ""), ("a/src/foo.rs", "")]);
        assert_eq!(paths(&modules_lie_beside_their_folder(&tree)), ["a/src/foo/mod.rs"]);
    }

    #[test]
    fn a_second_test_binary_is_found() {
        let tree = Tree::of(&[
            ("a/Cargo.toml", ""),
            ("a/tests/it/main.rs", ""),
            ("a/tests/it/crash.rs", ""),
            ("a/tests/slow.rs", ""),
            ("a/tests/other/main.rs", ""),
            ("a/src/foo/tests/deep.rs", ""),
        ]);
        assert_eq!(
            paths(&one_integration_binary_per_package(&tree)),
            ["a/tests/other/main.rs", "a/tests/slow.rs"]
        );
    }
}
