//! [`Tree`]: the files that the rules look at, in memory.
//!
//! Files that git ignores are not part of it. Nothing is followed out of the repository: a symbolic link is left
//! aside.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::lexer::{self, Masked};
use crate::error::XtaskError;

/// A file larger than this is no text of ours; it is listed without its contents.
const MAX_TEXT_BYTES: u64 = 4 << 20;

/// The folders that are left aside where git can't say what it ignores.
const NOT_OURS: &[&str] = &["target", ".git"];

/// One file.
#[derive(Clone, Debug)]
pub(crate) struct SourceFile {
    /// Relative to the root, with `/` between folders.
    pub(crate) path: String,
    /// Empty for a file that is no text.
    pub(crate) text: String,
}

impl SourceFile {
    /// The last part of the path.
    pub(crate) fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or(&self.path)
    }

    /// The folder, without a `/` at the end; empty for the root.
    pub(crate) fn folder(&self) -> &str {
        self.path.rsplit_once('/').map_or("", |(folder, _)| folder)
    }

    /// Whether the name ends so.
    pub(crate) fn has_extension(&self, extension: &str) -> bool {
        self.name().rsplit_once('.').is_some_and(|(_, found)| found == extension)
    }

    /// A Rust source apart into code, comments and strings.
    pub(crate) fn masked(&self) -> Masked {
        lexer::mask(&self.text)
    }
}

/// The files of the repository.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tree {
    files: BTreeMap<String, SourceFile>,
    folders: BTreeSet<String>,
}

impl Tree {
    /// Reads the files that git tracks or would track.
    ///
    /// # Errors
    /// [`XtaskError::Io`] for a file that can't be read.
    pub(crate) fn load(root: &Path) -> Result<Self, XtaskError> {
        let listed = listed_by_git(root).map_or_else(|| walked(root), Ok)?;
        let mut tree = Self::default();
        for path in listed {
            if let Some(text) = read_text(&root.join(&path))? {
                tree.insert(&path, text);
            }
        }
        Ok(tree)
    }

    /// A tree made by hand.
    #[cfg(test)]
    pub(crate) fn of(files: &[(&str, &str)]) -> Self {
        let mut tree = Self::default();
        for (path, text) in files {
            tree.insert(path, (*text).to_owned());
        }
        tree
    }

    fn insert(&mut self, path: &str, text: String) {
        let file = SourceFile { path: path.to_owned(), text };
        let mut folder = file.folder();
        while !folder.is_empty() {
            self.folders.insert(folder.to_owned());
            folder = folder.rsplit_once('/').map_or("", |(above, _)| above);
        }
        self.files.insert(path.to_owned(), file);
    }

    /// All files, in the order of their paths.
    pub(crate) fn files(&self) -> impl Iterator<Item = &SourceFile> {
        self.files.values()
    }

    /// The Rust sources.
    pub(crate) fn rust_files(&self) -> impl Iterator<Item = &SourceFile> {
        self.files().filter(|file| file.has_extension("rs"))
    }

    /// The file at `path`.
    pub(crate) fn file(&self, path: &str) -> Option<&SourceFile> {
        self.files.get(path)
    }

    /// Whether `path` is a file or a folder with files in it.
    pub(crate) fn exists(&self, path: &str) -> bool {
        let path = path.trim_end_matches('/');
        path.is_empty() || self.files.contains_key(path) || self.folders.contains(path)
    }

    /// The folders directly within `folder`.
    pub(crate) fn folder_names(&self) -> impl Iterator<Item = &str> {
        self.folders.iter().filter_map(|path| path.rsplit('/').next())
    }
}

/// `None` where git is missing or this is no working tree.
fn listed_by_git(root: &Path) -> Option<Vec<String>> {
    let list = ["ls-files", "--cached", "--others", "--exclude-standard", "-z"];
    let output = Command::new("git").arg("-C").arg(root).args(list).output().ok()?;
    if !output.status.success() {
        return None;
    }
    let paths = output.stdout.split(|&byte| byte == 0).filter(|path| !path.is_empty());
    Some(paths.map(|path| String::from_utf8_lossy(path).into_owned()).collect())
}

fn walked(root: &Path) -> Result<Vec<String>, XtaskError> {
    let mut paths = Vec::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        let whole = root.join(&folder);
        let failed = |source| XtaskError::Io { operation: "list a folder", path: whole.clone(), source };
        for entry in fs::read_dir(&whole).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let kind = entry.file_type().map_err(failed)?;
            let path = folder.join(entry.file_name());
            if kind.is_dir() && !NOT_OURS.iter().any(|name| entry.file_name() == *name) {
                folders.push(path);
            } else if kind.is_file() {
                paths.push(path.to_string_lossy().into_owned());
            }
        }
    }
    Ok(paths)
}

/// `None` for what is no file (any more); empty for what is no text.
fn read_text(path: &Path) -> Result<Option<String>, XtaskError> {
    // A tracked file may have been removed since.
    let Ok(metadata) = fs::symlink_metadata(path) else { return Ok(None) };
    if !metadata.is_file() {
        return Ok(None);
    }
    if metadata.len() > MAX_TEXT_BYTES {
        return Ok(Some(String::new()));
    }
    let bytes = fs::read(path).map_err(|source| XtaskError::io("read a file", path, source))?;
    Ok(Some(String::from_utf8(bytes).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_exists_if_a_file_is_in_it() {
        let tree = Tree::of(&[("crates/a/src/lib.rs", "")]);
        assert!(tree.exists("crates/a/") && tree.exists("crates/a/src/lib.rs") && tree.exists("crates"));
        assert!(!tree.exists("crates/b") && !tree.exists("crates/a/src/lib"));
    }

    #[test]
    fn without_git_the_tree_is_walked_and_build_outputs_are_left_aside() {
        let root = tempfile::tempdir().unwrap();
        for path in ["src/main.rs", "target/debug/out.rs", ".git/config"] {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "x\n").unwrap();
        }
        fs::write(root.path().join("picture.png"), [0xff, 0xfe]).unwrap();
        let mut paths = walked(root.path()).unwrap();
        paths.sort();
        assert_eq!(paths, ["picture.png", "src/main.rs"]);
        assert_eq!(read_text(&root.path().join("picture.png")).unwrap().as_deref(), Some(""));
        assert_eq!(read_text(&root.path().join("gone")).unwrap(), None);
    }
}
