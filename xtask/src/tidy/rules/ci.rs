//! CI skips nothing by accident: each variable that turns a skip into a failure is set there.

use std::collections::BTreeSet;

use crate::tidy::lexer::words;
use crate::tidy::{Finding, Tree};

const PATH: &str = ".ci/run";

/// How the names of these variables begin.
const PREFIX: &str = "GRAFOS_REQUIRE_";

/// Each such variable that a source asks for stands in CI's script.
pub(crate) fn skips_are_failures_in_ci(tree: &Tree) -> Vec<Finding> {
    let script = tree.file(PATH).map_or("", |file| &file.text);
    let set: BTreeSet<&str> = words(script).collect();
    let mut findings = Vec::new();
    for file in tree.rust_files() {
        let strings = file.masked().strings;
        for (index, line) in strings.lines().enumerate() {
            let is_variable = |word: &&str| word.starts_with(PREFIX) && *word != PREFIX;
            let forgotten = words(line).filter(is_variable).find(|name| !set.contains(name));
            findings.extend(
                forgotten.map(|name| Finding::line(&file.path, index, format!("{PATH} does not set {name}"))),
            );
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_skip_that_ci_would_not_notice_is_found() {
        let variables = ["A", "B"].map(|end| format!("{PREFIX}{end}"));
        let code = variables.each_ref().map(|name| format!("    var(\"{name}\");\n")).concat();
        let script = format!("export {}=1\n", variables[0]);
        let found = skips_are_failures_in_ci(&Tree::of(&[("a/tests.rs", &code), (PATH, &script)]));
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].line, Some(2));
        assert_eq!(skips_are_failures_in_ci(&Tree::of(&[("a/tests.rs", &code)])).len(), 2);
    }
}
