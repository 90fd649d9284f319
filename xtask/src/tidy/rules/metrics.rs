//! Metric names are a promise to those who draw graphs: code and `docs/metrics.md` list the same ones.

use std::collections::BTreeMap;

use super::links::prose_lines;
use crate::tidy::{Finding, Tree};

const PATH: &str = "docs/metrics.md";

/// The macros of the `metrics` facade that take a name first.
const MACROS: &[&str] = &["counter!(", "gauge!(", "histogram!("];

/// No name, nor the path of a constant, is longer.
const MAX_NAME_CHARS: usize = 120;

/// A metric used but not listed, or listed but not used.
pub(crate) fn metrics_are_documented(tree: &Tree) -> Vec<Finding> {
    let used = used(tree);
    let listed = listed(tree);
    let unlisted = used.iter().filter(|(name, _)| !listed.contains_key(*name));
    let unlisted = unlisted.map(|(name, (path, line))| {
        Finding::line(path, *line, format!("{PATH} does not list the metric: name={name}"))
    });
    let unused = listed.iter().filter(|(name, _)| !used.contains_key(*name));
    let unused = unused
        .map(|(name, line)| Finding::line(PATH, *line, format!("no code counts this metric: name={name}")));
    unlisted.chain(unused).collect()
}

/// Each name with the place where it is used. A name that stands in a constant is looked up.
fn used(tree: &Tree) -> BTreeMap<String, (String, usize)> {
    let mut used = BTreeMap::new();
    for file in tree.rust_files() {
        let code = file.masked().code;
        for (at, call) in MACROS.iter().flat_map(|call| code.match_indices(call)) {
            // Both have the same characters in the same places, but not the same bytes.
            let begin = code[..at].chars().count() + call.len();
            let rest: String = file.text.chars().skip(begin).take(MAX_NAME_CHARS).collect();
            let argument = rest.split([',', ')', ';']).next().unwrap_or(&rest).trim();
            let name = match argument.strip_prefix('"') {
                Some(literal) => literal.trim_end_matches('"').to_owned(),
                None => constant(tree, argument).unwrap_or_else(|| argument.to_owned()),
            };
            let line = code[..at].matches('\n').count();
            used.entry(name).or_insert_with(|| (file.path.clone(), line));
        }
    }
    used
}

/// The value of the string constant that `path` names, `module::NAME` or `NAME`.
fn constant(tree: &Tree, path: &str) -> Option<String> {
    let declaration = format!("const {}: &str = \"", path.rsplit("::").next()?);
    tree.rust_files().find_map(|file| {
        let value = file.text.split_once(&declaration)?.1;
        Some(value.split('"').next()?.to_owned())
    })
}

/// The names in the first column of the tables that are headed "metric".
fn listed(tree: &Tree) -> BTreeMap<String, usize> {
    let text = tree.file(PATH).map_or("", |file| &file.text);
    let (mut listed, mut table) = (BTreeMap::new(), None);
    for (index, line) in prose_lines(text) {
        let Some(cell) = line.strip_prefix("| ").and_then(|cells| cells.split(" |").next()) else {
            table = table.filter(|_| line.starts_with("|-"));
            continue;
        };
        let head = *table.get_or_insert(cell);
        if head == "metric" && cell != head {
            listed.insert(cell.trim_matches('`').to_owned(), index);
        }
    }
    listed
}

#[cfg(test)]
mod tests {
    use super::*;

    const CODE: &str = "//! X.\nconst RESUMED: &str = \"resume_count_total\";\n\
        fn f() {\n    metrics::counter!(\"checkpoint_success_total\").increment(1);\n    histogram!(\n        names::RESUMED, \"a\" => b);\n}\n";

    fn found(docs: &str) -> Vec<String> {
        let tree = Tree::of(&[("a/src/lib.rs", CODE), (PATH, docs)]);
        metrics_are_documented(&tree).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn code_and_documentation_must_list_the_same_metrics() {
        let both = "| metric | counts |\n|---|---|\n| `checkpoint_success_total` | x |\n| `resume_count_total` | y |\n\n\
            | span | fields |\n|---|---|\n| `restore` | `epoch` |\n";
        assert_eq!(found(both), Vec::<String>::new());
        let one = "| metric |\n|---|\n| `checkpoint_success_total` | x |\n| `gone_total` | z |\n";
        let findings = found(one);
        assert!(
            findings[0].starts_with("a/src/lib.rs:5: ") && findings[0].contains("resume_count_total"),
            "{findings:?}"
        );
        assert!(
            findings[1].starts_with("docs/metrics.md:4: ") && findings[1].contains("gone_total"),
            "{findings:?}"
        );
    }

    #[test]
    fn a_missing_list_is_found_once_code_counts_something() {
        assert_eq!(metrics_are_documented(&Tree::of(&[("a/src/lib.rs", CODE)])).len(), 2);
        assert_eq!(metrics_are_documented(&Tree::of(&[("a/src/lib.rs", "//! X.\n")])), []);
    }

    #[test]
    fn a_name_that_cannot_be_looked_up_is_no_excuse() {
        let tree = Tree::of(&[("a/src/lib.rs", "fn f() { counter!(name()).increment(1) }\n")]);
        assert_eq!(metrics_are_documented(&tree).len(), 1);
    }
}
