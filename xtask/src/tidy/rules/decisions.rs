//! Decision records: one page each, in three parts.

use super::links::prose_lines;
use crate::tidy::{Finding, Tree};

const FOLDER: &str = "docs/decisions/";

/// What the headings of a record say, in this order.
const PARTS: [&str; 3] = ["context", "choice", "rejected"];

/// Each record tells the context, the choice and what was rejected.
pub(crate) fn records_have_their_three_parts(tree: &Tree) -> Vec<Finding> {
    let is_record =
        |path: &str| path.starts_with(FOLDER) && path.ends_with(".md") && !path.ends_with("/README.md");
    let mut findings = Vec::new();
    for file in tree.files().filter(|file| is_record(&file.path)) {
        let headings =
            prose_lines(&file.text).filter_map(|(_, line)| line.strip_prefix("## ")).map(str::to_lowercase);
        let mut wanted = PARTS.iter().peekable();
        for heading in headings {
            if wanted.peek().is_some_and(|part| heading.contains(*part)) {
                wanted.next();
            }
        }
        if let Some(part) = wanted.next() {
            let problem =
                format!("the headings must be {}, in this order: \"{part}\" is missing", PARTS.join(", "));
            findings.push(Finding::file(&file.path, problem));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_without_its_parts_is_found() {
        let good = "# Two slots\n\n## Context\n\nx\n\n## Choice\n\ny\n\n## What was rejected\n\nz\n";
        let found = |path, text| records_have_their_three_parts(&Tree::of(&[(path, text)])).len();
        assert_eq!(found("docs/decisions/0001-two-slots.md", good), 0);
        assert_eq!(found("docs/decisions/0002.md", "# X\n\n## Choice\n\n## Context\n\n## Rejected\n"), 1);
        assert_eq!(found("docs/decisions/0003.md", "# X\n\nJust so.\n"), 1);
        assert_eq!(found("docs/decisions/README.md", "# Records\n"), 0);
    }
}
