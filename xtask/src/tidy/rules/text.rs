//! What holds for every text: clean lines, and no paths of one particular machine.

use crate::tidy::{Finding, SourceFile, Tree};

/// Written by hand, so held to these rules. Pictures, lock files and golden bytes are not.
const EXTENSIONS: &[&str] = &["rs", "toml", "md", "sh", "yml", "yaml"];

/// Scripts without an extension.
const SCRIPTS: &[&str] = &[".ci/run"];

/// Paths that exist on one machine only. In pieces, so that this file keeps its own rule.
const MACHINE_PATHS: &[&str] =
    &[concat!("/wo", "rk/"), concat!("/ro", "ot/"), concat!("/ho", "me/"), concat!("/Use", "rs/")];

/// Users that everybody knows to be made up.
const MADE_UP_USERS: &[&str] = &["u", "user"];

fn is_ours(file: &SourceFile) -> bool {
    EXTENSIONS.iter().any(|extension| file.has_extension(extension)) || SCRIPTS.contains(&file.path.as_str())
}

/// No tab, no space at the end of a line, no foreign line ends, one line end at the end.
pub(crate) fn lines_are_clean(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree.files().filter(|file| is_ours(file)) {
        for (index, line) in file.text.split('\n').enumerate() {
            if line.contains('\t') {
                findings.push(Finding::line(&file.path, index, "a tab: indent with spaces"));
            }
            if line.ends_with([' ', '\r']) {
                findings.push(Finding::line(&file.path, index, "white space at the end of the line"));
            }
        }
        if !file.text.is_empty() && (!file.text.ends_with('\n') || file.text.ends_with("\n\n")) {
            findings.push(Finding::file(&file.path, "must end with exactly one line end"));
        }
    }
    findings
}

/// A path of somebody's machine means nothing to anybody else.
pub(crate) fn no_machine_paths(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree.files().filter(|file| is_ours(file)) {
        for (index, line) in file.text.lines().enumerate() {
            if let Some(path) = MACHINE_PATHS.iter().find(|path| begins_a_path(line, path)) {
                findings.push(Finding::line(&file.path, index, format!("a path of one machine: {path}")));
            }
        }
    }
    findings
}

/// `prefix` stands in `line` as the beginning of an absolute path, not within a relative one or a link.
fn begins_a_path(line: &str, prefix: &str) -> bool {
    line.match_indices(prefix).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let next = line[at + prefix.len()..].split(|c: char| !c.is_alphanumeric()).next();
        let is_made_up = next.is_some_and(|name| MADE_UP_USERS.contains(&name));
        !is_made_up && before.is_none_or(|c| !c.is_alphanumeric() && !"/.-_}~".contains(c))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tabs_trailing_space_and_missing_line_ends_are_found() {
        let found = |text| lines_are_clean(&Tree::of(&[("a.md", text)])).len();
        assert_eq!(found("clean\n"), 0);
        assert_eq!(found(""), 0);
        for dirty in ["a\tb\n", "a \n", "a\r\n", "a", "a\n\n"] {
            assert_eq!(found(dirty), 1, "{dirty:?}");
        }
        assert_eq!(lines_are_clean(&Tree::of(&[("golden/a.bin", "a \t"), (".ci/run", "a \n")])).len(), 1);
    }

    #[test]
    fn machine_paths_are_found_and_relative_ones_are_not() {
        let path = |folder: &str, rest: &str| format!("see `/{folder}{rest}`\n");
        for (text, wanted) in [
            (path("ro", "ot/.cargo"), 1),
            (path("ho", "me/me/x"), 1),
            (path("wo", "rk/x"), 1),
            (path("ho", "me/u/.local/state"), 0),
            (format!("see docs/{}{}\n", "ho", "me/x"), 0),
            (format!("{}/{}{}\n", "https://example.org", "ho", "me/x"), 0),
        ] {
            assert_eq!(no_machine_paths(&Tree::of(&[("a.md", &text)])).len(), wanted, "{text}");
        }
    }
}
