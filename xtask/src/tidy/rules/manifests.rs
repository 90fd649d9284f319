//! Manifests of the packages: lints and dependencies are declared once, in the root.

use super::rust_words::UNSAFE_PACKAGES;
use crate::tidy::{Finding, SourceFile, Tree};

/// One `key = value` of a manifest, with the section that it stands in.
struct Entry<'a> {
    line: usize,
    section: &'a str,
    key: &'a str,
    value: String,
}

/// The manifests of packages that belong to the workspace: all but the root, and those that are their own root.
fn members(tree: &Tree) -> impl Iterator<Item = &SourceFile> {
    let is_own_root = |file: &SourceFile| file.text.lines().any(|line| line.trim() == "[workspace]");
    tree.files()
        .filter(move |file| file.name() == "Cargo.toml" && !file.folder().is_empty() && !is_own_root(file))
}

/// The entries of a manifest. Only as much of TOML as manifests use: a value may go over several lines while a
/// bracket or brace is open.
fn entries(text: &str) -> Vec<Entry<'_>> {
    let mut entries: Vec<Entry<'_>> = Vec::new();
    let (mut section, mut open) = ("", 0_i64);
    for (line, whole) in text.lines().enumerate() {
        let content = whole.split(" #").next().unwrap_or(whole).trim();
        if content.is_empty() || content.starts_with('#') {
            continue;
        }
        if open > 0 {
            if let Some(entry) = entries.last_mut() {
                entry.value.push_str(content);
            }
        } else if content.starts_with('[') {
            section = content.trim_matches(['[', ']']);
            continue;
        } else if let Some((key, value)) = content.split_once('=') {
            entries.push(Entry { line, section, key: key.trim(), value: value.trim().to_owned() });
        }
        let count = |brackets: [char; 2]| content.chars().filter(|c| brackets.contains(c)).count() as i64;
        open += count(['[', '{']) - count([']', '}']);
    }
    entries
}

fn inherits(entry: &Entry<'_>) -> bool {
    let is_dotted = entry.key.ends_with(".workspace") && entry.value == "true";
    let mut fields = entry.value.trim_matches(['{', '}']).split(',').map(str::trim);
    is_dotted || fields.any(|field| field.replace(' ', "") == "workspace=true")
}

/// `[lints] workspace = true`, so that one list of lints holds for all. A package that may hold `unsafe` code can't say
/// so: it repeats the list, with the one difference, and must deny `unsafe` without a reason.
pub(crate) fn lints_are_the_workspace_s(tree: &Tree) -> Vec<Finding> {
    let takes_them = |file: &SourceFile| {
        entries(&file.text).iter().any(|entry| match (entry.section, entry.key) {
            ("lints", "workspace") | ("", "lints.workspace") => entry.value == "true",
            _ => false,
        })
    };
    let may_differ = |file: &SourceFile| UNSAFE_PACKAGES.iter().any(|package| file.path.starts_with(package));
    let own = members(tree).filter(|file| !takes_them(file));
    let (unsafe_ones, others): (Vec<_>, Vec<_>) = own.partition(|file| may_differ(file));
    let mut findings: Vec<_> = others
        .iter()
        .map(|file| Finding::file(&file.path, "must say `[lints]` `workspace = true`"))
        .collect();
    findings.extend(unsafe_ones.iter().flat_map(|file| lints_that_are_not_repeated(tree, file)));
    findings
}

/// The lints of the workspace that a package with `unsafe` code has left out or changed.
fn lints_that_are_not_repeated(tree: &Tree, file: &SourceFile) -> Vec<Finding> {
    let own = entries(&file.text);
    let has = |section: &str, key: &str, value: &str| {
        own.iter().any(|entry| entry.section == section && entry.key == key && entry.value == value)
    };
    let mut wanted = Vec::new();
    for entry in tree.file("Cargo.toml").map(|root| entries(&root.text)).unwrap_or_default() {
        let Some(section) = entry.section.strip_prefix("workspace.") else { continue };
        let value = match entry.key {
            "unsafe_code" => "\"allow\"".to_owned(),
            "undocumented_unsafe_blocks" => "\"deny\"".to_owned(),
            _ => entry.value,
        };
        if section.starts_with("lints.") {
            wanted.push((section.to_owned(), entry.key.to_owned(), value));
        }
    }
    wanted.push(("lints.rust".to_owned(), "unsafe_op_in_unsafe_fn".to_owned(), "\"deny\"".to_owned()));
    let missing = wanted.into_iter().filter(|(section, key, value)| !has(section, key, value));
    missing
        .map(|(section, key, value)| {
            Finding::file(&file.path, format!("must say `{key} = {value}` in [{section}]"))
        })
        .collect()
}

/// Each dependency comes from the workspace, where its version and its reason stand.
pub(crate) fn dependencies_are_the_workspace_s(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in members(tree) {
        for entry in entries(&file.text) {
            let is_table = entry.section.contains("dependencies.");
            let is_itself = entry.value.replace(' ', "").contains("path=\".\"");
            if entry.section.ends_with("dependencies") && !inherits(&entry) && !is_itself
                || is_table && entry.key == "version"
            {
                let problem = format!(
                    "declare `{}` in the root's [workspace.dependencies], inherit it here",
                    entry.key
                );
                findings.push(Finding::line(&file.path, entry.line, problem));
            }
        }
    }
    findings
}

/// In `crates/` a folder has the name of its package.
pub(crate) fn folders_are_named_after_their_package(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in members(tree) {
        let Some(folder) = file.folder().strip_prefix("crates/") else { continue };
        let entries = entries(&file.text);
        let name = entries.iter().find(|entry| entry.section == "package" && entry.key == "name");
        let name = name.map_or("", |entry| entry.value.trim_matches('"'));
        if name != folder {
            findings.push(Finding::file(
                &file.path,
                format!("folder and package differ: folder={folder}, package={name}"),
            ));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(manifest: &str) -> Tree {
        Tree::of(&[
            ("Cargo.toml", "[workspace]\n[workspace.dependencies]\nserde = \"1\"\n"),
            ("crates/a/Cargo.toml", manifest),
        ])
    }

    const GOOD: &str = "[package]\nname = \"a\"\nversion.workspace = true\n\n[dependencies]\nserde.workspace = true # why\n\
        b = { workspace = true, features = [\n    \"x\",\n    \"y = 1\",\n] }\n\n[dev-dependencies]\n\
        a = { path = \".\", features = [\"testing\"] }\n\n[lints]\nworkspace = true\n";

    #[test]
    fn a_manifest_that_inherits_everything_is_fine() {
        let tree = tree(GOOD);
        for rule in [
            lints_are_the_workspace_s,
            dependencies_are_the_workspace_s,
            folders_are_named_after_their_package,
        ] {
            assert_eq!(rule(&tree), []);
        }
    }

    #[test]
    fn lints_of_its_own_are_found() {
        assert_eq!(lints_are_the_workspace_s(&tree("[package]\nname = \"a\"\n")).len(), 1);
        assert_eq!(lints_are_the_workspace_s(&tree("[lints]\nworkspace = false\n")).len(), 1);
        assert_eq!(lints_are_the_workspace_s(&tree("[package]\nname = \"a\"\n[workspace]\n")), []);
    }

    #[test]
    fn a_package_with_unsafe_code_repeats_the_lints_of_the_workspace() {
        let root = "[workspace]\n[workspace.lints.rust]\nmissing_docs = \"warn\"\nunsafe_code = \"forbid\"\n";
        let found = |manifest: &str| {
            let tree = Tree::of(&[("Cargo.toml", root), ("crates/grafos-gpu-cuda/Cargo.toml", manifest)]);
            lints_are_the_workspace_s(&tree).len()
        };
        let good = "[lints.rust]\nmissing_docs = \"warn\"\nunsafe_code = \"allow\"\nunsafe_op_in_unsafe_fn = \"deny\"\n";
        assert_eq!(found(good), 0);
        assert_eq!(found(&good.replace("missing_docs = \"warn\"\n", "")), 1);
        assert_eq!(found(&good.replace("\"deny\"", "\"allow\"")), 1);
        assert_eq!(found("[package]\nname = \"grafos-gpu-cuda\"\n"), 3);
    }

    #[test]
    fn a_version_of_its_own_is_found() {
        for dependency in [
            "[dependencies]\nserde = \"1\"\n",
            "[dev-dependencies]\nserde = { version = \"1\", features = [\"derive\"] }\n",
            "[target.'cfg(unix)'.dependencies]\nserde = { path = \"../serde\" }\n",
            "[dependencies.serde]\nversion = \"1\"\n",
        ] {
            assert_eq!(dependencies_are_the_workspace_s(&tree(dependency)).len(), 1, "{dependency}");
        }
    }

    #[test]
    fn a_folder_with_another_name_is_found() {
        assert_eq!(folders_are_named_after_their_package(&tree("[package]\nname = \"b\"\n")).len(), 1);
    }
}
