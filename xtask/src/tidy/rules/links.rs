//! Links between our Markdown files.

use crate::tidy::{Finding, SourceFile, Tree};

/// A link to a file of the repository leads to a file that is there.
pub(crate) fn links_lead_somewhere(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree.files().filter(|file| file.has_extension("md")) {
        for (index, line) in prose_lines(&file.text) {
            let broken = targets(line).filter(|target| !leads_somewhere(tree, file, target));
            findings.extend(
                broken.map(|target| Finding::line(&file.path, index, format!("a dead link: {target}"))),
            );
        }
    }
    findings
}

/// The lines of a Markdown text that stand outside fenced code, with their numbers counted from 0.
pub(super) fn prose_lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut is_code = false;
    text.lines().enumerate().filter(move |(_, line)| {
        let is_fence = line.trim_start().starts_with("```");
        is_code ^= is_fence;
        !is_code && !is_fence
    })
}

/// What the links of `line` point to: `[text](target)` and `[label]: target`.
fn targets(line: &str) -> impl Iterator<Item = &str> {
    let inline = line.split("](").skip(1).filter_map(|rest| rest.split([')', ' ']).next());
    let definition = line.strip_prefix('[').and_then(|rest| rest.split_once("]: "));
    inline.chain(definition.map(|(_, target)| target.trim()))
}

fn leads_somewhere(tree: &Tree, from: &SourceFile, target: &str) -> bool {
    let target = target.trim_matches(['<', '>']);
    let path = target.split('#').next().unwrap_or(target);
    if path.is_empty() || target.contains("://") || target.starts_with("mailto:") {
        return true;
    }
    resolved(from.folder(), path).is_some_and(|path| tree.exists(&path))
}

/// `path` as seen from `folder`; `None` if it leads out of the repository.
fn resolved(folder: &str, path: &str) -> Option<String> {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dead(text: &str) -> usize {
        links_lead_somewhere(&Tree::of(&[("docs/a.md", text), ("docs/b/c.md", ""), ("README.md", "")])).len()
    }

    #[test]
    fn dead_links_are_found() {
        for text in [
            "see [x](c.md)",
            "![x](../img.png)",
            "[x]: b/d.md",
            "[x](../../README.md)",
            "a [b](b/c.md) [c](no.md)",
        ] {
            assert_eq!(dead(text), 1, "{text}");
        }
    }

    #[test]
    fn links_to_files_folders_headings_and_the_web_are_fine() {
        for text in [
            "[x](b/c.md#part)",
            "[x](./b/)",
            "[x](#here)",
            "[x](https://example.org/y)",
            "[x](../README.md \"title\")",
        ] {
            assert_eq!(dead(text), 0, "{text}");
        }
        assert_eq!(dead("```\na[i](j)\n```\n"), 0);
    }
}
