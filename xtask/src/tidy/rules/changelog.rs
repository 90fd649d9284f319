//! The changelog: each release says what became of the formats on disk.

use super::links::prose_lines;
use crate::tidy::{Finding, Tree};

const PATH: &str = "CHANGELOG.md";

/// Each release (a heading of the second level) has a line that begins with "Formats".
pub(crate) fn each_release_tells_its_formats(tree: &Tree) -> Vec<Finding> {
    let Some(file) = tree.file(PATH) else {
        return vec![Finding::file(PATH, "is missing")];
    };
    let mut releases: Vec<(usize, bool)> = Vec::new();
    for (index, line) in prose_lines(&file.text) {
        if line.starts_with("## ") {
            releases.push((index, false));
        } else if let Some((_, told)) = releases.last_mut() {
            *told |= line.trim_start_matches(['#', '*', '-', ' ']).starts_with("Formats");
        }
    }
    if releases.is_empty() {
        return vec![Finding::file(PATH, "has no release: a heading of the second level")];
    }
    let silent = releases.iter().filter(|(_, told)| !told);
    silent
        .map(|(index, _)| {
            Finding::line(PATH, *index, "says nothing of Formats (\"Formats: none changed\" is fine)")
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<Finding> {
        each_release_tells_its_formats(&Tree::of(&[(PATH, text)]))
    }

    #[test]
    fn a_release_without_formats_is_found() {
        assert_eq!(
            found("# Changes\n\n## 0.2.0\n\n- Formats: none changed.\n\n## 0.1.0\n\nFirst.\n")[0].line,
            Some(7)
        );
        assert_eq!(found("# Changes\n\n## 0.1.0\n\n### Formats\n\nDurable 2.\n"), []);
        assert_eq!(found("## 0.1.0\n\n**Formats:** none.\n"), []);
    }

    #[test]
    fn a_missing_or_empty_changelog_is_found() {
        assert_eq!(found("# Changes\n").len(), 1);
        assert_eq!(each_release_tells_its_formats(&Tree::default()).len(), 1);
    }
}
