//! [`Damage`]: what happens to the directory of one replica while others use it.

use std::fs::{self, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use grafos_replicated::BlobTag;
use grafos_suite::Random;

use crate::machine::Machine;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Damage {
    /// The whole directory is gone.
    Remove,
    /// One bit of a blob is another one.
    FlipBit,
    /// A blob is shorter.
    Truncate,
    /// A blob is gone.
    RemoveBlob,
    /// Files of somebody else lie among the blobs: no damage, and nothing that anybody may touch.
    Foreign,
}

impl Damage {
    pub(crate) const ALL: [Self; 5] =
        [Self::Remove, Self::FlipBit, Self::Truncate, Self::RemoveBlob, Self::Foreign];

    /// Does it. The file that was damaged; `None` if there was none, or it is no damage to one blob.
    pub(crate) fn happen(self, machine: &Machine, id: &str, chance: &mut Random) -> Option<BlobTag> {
        match self {
            Self::Remove => {
                remove(&machine.replica_path(id));
                None
            }
            Self::Foreign => {
                for (name, bytes) in FOREIGN {
                    // The space may not be there now.
                    drop(fs::write(machine.blobs_path(id).join(name), bytes));
                }
                None
            }
            Self::FlipBit | Self::Truncate | Self::RemoveBlob => {
                let (tag, path) = any_blob(&machine.blobs_path(id), chance)?;
                self.harm(&path, chance).then_some(tag)
            }
        }
    }

    /// Whether there was anything to harm: a blob may be collected at any moment.
    fn harm(self, path: &Path, chance: &mut Random) -> bool {
        if self == Self::RemoveBlob {
            return fs::remove_file(path).is_ok();
        }
        let Ok(file) = OpenOptions::new().read(true).write(true).open(path) else { return false };
        let len = file.metadata().unwrap().len();
        let at = u64::try_from(chance.below(usize::try_from(len).unwrap())).unwrap();
        if self == Self::Truncate {
            file.set_len(at).unwrap();
        } else {
            let mut byte = [0];
            file.read_exact_at(&mut byte, at).unwrap();
            byte[0] ^= 1 << chance.below(8);
            file.write_all_at(&byte, at).unwrap();
        }
        true
    }
}

/// Names that look like those of blobs, and names that don't.
const FOREIGN: [(&str, &[u8]); 4] = [
    ("README.txt", b"not yours"),
    ("e1-v1-1", b"not yours either"),
    ("e00000000000000000001-v00000000000000000001-zz", b"nor this"),
    (".hidden", b""),
];

/// Whether files of somebody else, if they were put there, are as they were.
pub(crate) fn foreign_files_are_whole(machine: &Machine, id: &str) -> bool {
    let read = |name: &str| fs::read(machine.blobs_path(id).join(name));
    FOREIGN.iter().all(|(name, bytes)| read(name).is_ok_and(|found| found == *bytes))
}

fn any_blob(space: &Path, chance: &mut Random) -> Option<(BlobTag, PathBuf)> {
    let entries = fs::read_dir(space).ok()?.filter_map(Result::ok);
    let mut blobs: Vec<_> = entries
        .filter_map(|entry| Some((BlobTag::of_file_name(entry.file_name().to_str()?)?, entry.path())))
        .collect();
    blobs.sort_unstable();
    let at = chance.below(blobs.len());
    (!blobs.is_empty()).then(|| blobs.swap_remove(at))
}

/// Takes the directory away in one step, then removes it. Who has it open may still write to it.
fn remove(path: &Path) {
    let gone = path.with_extension("gone");
    let gone = path.parent().and_then(Path::parent).unwrap().join(gone.file_name().unwrap());
    match fs::rename(path, &gone) {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::NotFound => return,
        Err(error) => panic!("{error}"),
    }
    while let Err(error) = fs::remove_dir_all(&gone) {
        // Somebody has put a new file in.
        assert_eq!(error.kind(), ErrorKind::DirectoryNotEmpty, "{error}");
    }
}
