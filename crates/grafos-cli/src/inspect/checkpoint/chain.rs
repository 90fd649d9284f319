//! [`Chain`]: the checkpoints that a delta builds on, as far as they lie beside it. Applies nothing: the digests say
//! what each makes.
//!
//! Invariant: a file is in the chain only if it says that it makes what the next one is made from.

use std::collections::{HashMap, HashSet, VecDeque};
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use grafos_kernel::checkpoint::{CHECKPOINT_VERSION_1, CheckpointError, CheckpointReader, Kind, Limits};

use super::EXTENSION;

/// So many files are looked at; a directory of checkpoints has a handful.
const MOST_FILES: usize = 4096;

/// What a delta builds on.
#[derive(Debug)]
pub(super) struct Chain {
    /// The oldest first.
    pub(super) links: Vec<Link>,
    /// The digest that no file beside it makes; `None` if the chain begins with a full checkpoint.
    pub(super) missing: Option<String>,
}

/// One file that is built on.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) file_name: String,
    pub(super) kind: Kind,
    pub(super) step: u64,
    /// The digest of what it makes, or of its contents.
    pub(super) makes: String,
    pub(super) fault: Option<CheckpointError>,
}

impl Chain {
    /// What makes `parent`, in the directory of `path`. Each file of the chain is read and verified.
    pub(super) fn beside(path: &Path, parent: &str) -> Self {
        let neighbours = Neighbours::of(path);
        let candidates = neighbours.by_digest();
        let mut found = find(&candidates, parent);
        if found.1.is_some() {
            // Of these the digest is known only when all of it has been read.
            let more = neighbours.by_reading(parent);
            let candidates: Vec<_> = candidates.iter().chain(&more).cloned().collect();
            found = find(&candidates, parent);
        }
        let (files, missing) = found;
        Self { links: files.into_iter().map(Link::verified).collect(), missing }
    }

    /// Whether all of it that was found does.
    pub(super) fn verifies(&self) -> bool {
        self.links.iter().all(|link| link.fault.is_none())
    }
}

/// What a file says of itself.
#[derive(Clone, Debug)]
struct Candidate {
    path: PathBuf,
    step: u64,
    makes: String,
    /// What it is made from, if it is a delta.
    parent: Option<String>,
}

impl Link {
    fn verified(candidate: Candidate) -> Self {
        let Candidate { path, step, makes, parent } = candidate;
        let fault = open(&path).and_then(|reader| reader.verify()).err();
        let file_name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let kind = if parent.is_some() { Kind::Delta } else { Kind::Full };
        Self { file_name, kind, step, makes, fault }
    }
}

fn open(path: &Path) -> Result<CheckpointReader<File>, CheckpointError> {
    let file = File::open(path).map_err(|source| CheckpointError::Read { offset: 0, source })?;
    CheckpointReader::open_with(file, &Limits { state_bytes: u64::MAX, ..Limits::default() })
}

/// The other checkpoints of a directory.
struct Neighbours(Vec<PathBuf>);

impl Neighbours {
    fn of(path: &Path) -> Self {
        let dir = match path.parent() {
            Some(dir) if dir != Path::new("") => dir,
            _ => Path::new("."),
        };
        // What can't be listed has no neighbours that could be found.
        let entries = fs::read_dir(dir).into_iter().flatten().flatten();
        let is_one = |entry: &fs::DirEntry| {
            let name = entry.file_name();
            // A pipe would be waited for without end.
            entry.file_type().is_ok_and(|kind| kind.is_file())
                && name.to_string_lossy().ends_with(EXTENSION)
                && Some(name.as_os_str()) != path.file_name()
        };
        let mut paths: Vec<_> = entries.filter(is_one).map(|entry| entry.path()).take(MOST_FILES).collect();
        paths.sort_unstable();
        Self(paths)
    }

    /// Those of version 2: their tables say it. What can't be opened is in no chain.
    fn by_digest(&self) -> Vec<Candidate> {
        self.0
            .iter()
            .filter(|path| version(path) != Some(CHECKPOINT_VERSION_1))
            .filter_map(|path| by_digest(path))
            .collect()
    }

    /// Full checkpoints that are named as `parent` is: by the CRC-32 that RingKernel's deltas have, or, of version 1, by
    /// their contents.
    fn by_reading(&self, parent: &str) -> Vec<Candidate> {
        let is_crc = parent.len() == 8;
        let wanted = self.0.iter().filter(|path| is_crc || version(path) == Some(CHECKPOINT_VERSION_1));
        wanted.filter_map(|path| by_reading(path, is_crc)).collect()
    }
}

/// The version that a file claims to have.
fn version(path: &Path) -> Option<u32> {
    use grafos_kernel::checkpoint::{CheckpointHeader, ReadAt};
    let mut header = [0; 64];
    File::open(path).ok()?.read_exact_at(0, &mut header).ok()?;
    Some(CheckpointHeader::from_bytes(&header).version)
}

fn by_digest(path: &Path) -> Option<Candidate> {
    let reader = open(path).ok()?;
    let (makes, parent) = match reader.delta_info().ok()? {
        Some(info) => (info.result?.to_string(), Some(info.parent)),
        None => (reader.contents().ok()?.to_string(), None),
    };
    Some(Candidate { path: path.to_owned(), step: reader.metadata().current_step, makes, parent })
}

fn by_reading(path: &Path, is_crc: bool) -> Option<Candidate> {
    let reader = open(path).ok().filter(|reader| reader.kind() == Kind::Full)?;
    let makes = if is_crc { reader.ringkernel_digest().ok()? } else { reader.contents().ok()?.to_string() };
    Some(Candidate { path: path.to_owned(), step: reader.metadata().current_step, makes, parent: None })
}

/// The shortest way from a full checkpoint to `parent`, and what is missing if there is none.
fn find(candidates: &[Candidate], parent: &str) -> (Vec<Candidate>, Option<String>) {
    let mut by_what_it_makes: HashMap<&str, Vec<&Candidate>> = HashMap::new();
    for candidate in candidates {
        by_what_it_makes.entry(&candidate.makes).or_default().push(candidate);
    }
    // Which delta led from a digest to the one that it makes: the delta itself knows that one.
    let mut used: HashMap<&str, &Candidate> = HashMap::new();
    let mut seen = HashSet::from([parent]);
    let mut open = VecDeque::from([parent]);
    let mut last = parent;
    while let Some(digest) = open.pop_front() {
        last = digest;
        for candidate in by_what_it_makes.get(digest).into_iter().flatten().copied() {
            match &candidate.parent {
                None => return (way(&used, digest, Some(candidate)), None),
                Some(older) => {
                    if seen.insert(older) {
                        used.insert(older, candidate);
                        open.push_back(older);
                    }
                }
            }
        }
    }
    (way(&used, last, None), Some(last.to_owned()))
}

fn way(used: &HashMap<&str, &Candidate>, from: &str, full: Option<&Candidate>) -> Vec<Candidate> {
    let mut way: Vec<_> = full.into_iter().cloned().collect();
    let mut digest = from;
    while let Some(delta) = used.get(digest) {
        way.push((*delta).clone());
        digest = &delta.makes;
    }
    way
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(name: &str, parent: Option<&str>, makes: &str) -> Candidate {
        let parent = parent.map(str::to_owned);
        Candidate { path: name.into(), step: 0, makes: makes.to_owned(), parent }
    }

    fn found(candidates: &[Candidate], parent: &str) -> (Vec<String>, Option<String>) {
        let (way, missing) = find(candidates, parent);
        (way.iter().map(|link| link.path.display().to_string()).collect(), missing)
    }

    #[test]
    fn the_shortest_way_from_a_full_checkpoint_is_found_and_circles_end() {
        let all = [
            candidate("full", None, "0"),
            candidate("first", Some("0"), "1"),
            candidate("second", Some("1"), "2"),
            candidate("both", Some("0"), "2"),
            candidate("back", Some("2"), "0"),
            candidate("nothing", Some("2"), "2"),
        ];
        let way = |names: &[&str]| (names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>(), None);
        assert_eq!(found(&all, "2"), way(&["full", "both"]));
        assert_eq!(found(&all[..3], "2"), way(&["full", "first", "second"]));
        assert_eq!(found(&all, "0"), way(&["full"]));
        assert_eq!(
            found(&all[1..3], "2"),
            (vec!["first".to_owned(), "second".to_owned()], Some("0".to_owned()))
        );
        assert_eq!(found(&all[5..], "2"), (vec![], Some("2".to_owned())));
    }
}
