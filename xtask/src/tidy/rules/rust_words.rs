//! Words that have no place in a Rust source: marks of unfinished work, skipped tests, `unsafe`.

use crate::tidy::lexer::words;
use crate::tidy::{Finding, Tree};

/// Macros of unfinished or forgotten work.
const UNDONE_MACROS: &[&str] = &["todo", "unimplemented", "dbg"];

/// Marks in comments that nobody ever comes back to.
const UNDONE_MARKS: &[&str] = &["FIXME", "XXX"];

/// A mark in comments that is fine beside a link to an issue.
const TO_DO_MARK: &str = "TODO";

/// Packages that may hold `unsafe` code, each piece with its reason: they talk to the driver of a GPU, or stand in for it.
pub(super) const UNSAFE_PACKAGES: &[&str] = &["crates/grafos-cuda-standin/", "crates/grafos-gpu-cuda/"];

/// What is handed in is finished: no holes, no skipped tests, no notes to oneself.
pub(crate) fn nothing_is_left_undone(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree.rust_files() {
        let masked = file.masked();
        for (index, line) in masked.code.lines().enumerate() {
            if let Some(name) = UNDONE_MACROS.iter().find(|name| calls_macro(line, name)) {
                findings.push(Finding::line(&file.path, index, format!("`{name}!` is unfinished work")));
            }
            if line.trim_start().starts_with("#[ignore") {
                findings.push(Finding::line(
                    &file.path,
                    index,
                    "a skipped test proves nothing: run it or remove it",
                ));
            }
        }
        for (index, line) in masked.comments.lines().enumerate() {
            let is_linked = line.contains("://") && line.contains("/issues/");
            let is_open = |word: &str| UNDONE_MARKS.contains(&word) || (word == TO_DO_MARK && !is_linked);
            if let Some(mark) = words(line).find(|word| is_open(word)) {
                findings.push(Finding::line(
                    &file.path,
                    index,
                    format!("{mark}: do it, or link to an issue"),
                ));
            }
        }
    }
    findings
}

fn calls_macro(line: &str, name: &str) -> bool {
    line.match_indices(name).any(|(at, _)| {
        let is_whole_word = !line[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_');
        is_whole_word && line[at + name.len()..].starts_with('!')
    })
}

/// The compiler forbids it in each package; this says it for the tree, build scripts and attributes included.
pub(crate) fn no_unsafe_code(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    let may_not = |path: &str| !UNSAFE_PACKAGES.iter().any(|package| path.starts_with(package));
    for file in tree.rust_files().filter(|file| may_not(&file.path)) {
        let code = file.masked().code;
        let lines = code.lines().enumerate().filter(|(_, line)| words(line).any(|word| word == "unsafe"));
        findings
            .extend(lines.map(|(index, _)| Finding::line(&file.path, index, "`unsafe` has no place here")));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn undone(source: &str) -> usize {
        nothing_is_left_undone(&Tree::of(&[("a.rs", source)])).len()
    }

    #[test]
    fn unfinished_work_is_found() {
        for source in ["f(todo!());", "unimplemented!()", "dbg!(x);", "#[ignore]", "    #[ignore = \"slow\"]"]
        {
            assert_eq!(undone(source), 1, "{source}");
        }
        for mark in ["FIXME: later", "XXX", "TODO(me): this", "TODO see https://example.org/pull/3"] {
            assert_eq!(undone(&format!("f(); // {mark}\n")), 1, "{mark}");
        }
    }

    #[test]
    fn what_only_looks_like_it_is_left_alone() {
        for source in
            ["my_todo!()", "let todo = 1;", "f(\"todo!() FIXME\");", "// ignore this", "// dbg! is fine here"]
        {
            assert_eq!(undone(source), 0, "{source}");
        }
        assert_eq!(undone("// TODO https://example.org/us/issues/12: when the kernel can\n"), 0);
    }

    #[test]
    fn unsafe_code_is_found_and_talk_of_it_is_not() {
        let found = |source| no_unsafe_code(&Tree::of(&[("a.rs", source)])).len();
        assert_eq!(found("fn f() {\n    unsafe { g() }\n}\nunsafe impl Send for T {}\n"), 2);
        assert_eq!(found("// no unsafe here\n#![forbid(unsafe_code)]\nconst WORD: &str = \"unsafe\";\n"), 0);
    }
}
