//! What a cloud does to a replica: takes its directory away, or writes over a file of it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::error::CloudError;

/// How often a directory that somebody still writes to is emptied again.
const TRIES: u32 = 50;

/// Removes the directory, as if its disk was gone and an empty one in its place. Whoever writes to it meanwhile writes to
/// nowhere. False if there is none.
pub(super) fn lose(replica: &Path) -> Result<bool, CloudError> {
    let failed = |operation, source| CloudError::File { operation, path: replica.to_owned(), source };
    let mut doomed = replica.as_os_str().to_owned();
    doomed.push("-lost");
    let doomed = PathBuf::from(doomed);
    // What a cloud that was killed has left.
    remove(&doomed).map_err(|source| failed("removing a replica", source))?;
    match fs::rename(replica, &doomed) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
        renamed => renamed.map_err(|source| failed("taking a replica away", source))?,
    }
    remove(&doomed).map_err(|source| failed("removing a replica", source))?;
    Ok(true)
}

fn remove(doomed: &Path) -> io::Result<()> {
    for _ in 0..TRIES {
        match fs::remove_dir_all(doomed) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            // A file came in while the others went.
            Err(error) if error.kind() == ErrorKind::DirectoryNotEmpty => {}
            removed => return removed,
        }
    }
    Err(ErrorKind::DirectoryNotEmpty.into())
}

/// Flips one bit of the newest blob of the replica, or cuts the blob short: `chance` says which and where. False if the
/// replica has no blob.
pub(super) fn damage(replica: &Path, chance: u64) -> Result<bool, CloudError> {
    let failed = |path: &Path, source| CloudError::File {
        operation: "damaging a replica",
        path: path.to_owned(),
        source,
    };
    let newest = newest_blob(replica).map_err(|source| failed(replica, source))?;
    let Some(path) = newest else { return Ok(false) };
    match hurt(&path, chance) {
        Ok(()) => Ok(true),
        // Collected meanwhile.
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(source) => Err(failed(&path, source)),
    }
}

fn hurt(path: &Path, chance: u64) -> io::Result<()> {
    let file = OpenOptions::new().read(true).write(true).open(path)?;
    let len = file.metadata()?.len();
    let place = (chance >> 8).checked_rem(len).unwrap_or(0);
    if chance.is_multiple_of(4) {
        return file.set_len(place);
    }
    flip(&file, place, 1 << (chance % 8))
}

fn flip(file: &File, place: u64, bit: u8) -> io::Result<()> {
    let mut byte = [0];
    if file.read_at(&mut byte, place)? == 1 {
        file.write_all_at(&[byte[0] ^ bit], place)?;
    }
    Ok(())
}

/// The blob written last. What begins with a dot is the replica's own, and no blob.
fn newest_blob(replica: &Path) -> io::Result<Option<PathBuf>> {
    let mut newest = None;
    for space in visible(replica)? {
        for blob in visible(&space)? {
            let Some(modified) = gone_is_none(fs::metadata(&blob))?.map(|data| data.modified()) else {
                continue;
            };
            let modified = modified?;
            if newest.as_ref().is_none_or(|(_, when)| *when < modified) {
                newest = Some((blob, modified));
            }
        }
    }
    Ok(newest.map(|(path, _)| path))
}

fn visible(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in gone_is_none(fs::read_dir(directory))?.into_iter().flatten() {
        let entry = entry?;
        if !entry.file_name().as_encoded_bytes().starts_with(b".") {
            paths.push(entry.path());
        }
    }
    Ok(paths)
}

fn gone_is_none<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
        result => result.map(Some),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replica() -> (tempfile::TempDir, PathBuf) {
        let home = tempfile::tempdir().unwrap();
        let replica = home.path().join("a");
        fs::create_dir_all(replica.join("space")).unwrap();
        fs::write(replica.join(".replica"), "marker").unwrap();
        (home, replica)
    }

    #[test]
    fn a_lost_replica_is_gone_with_all_that_lies_in_it() {
        let (home, replica) = replica();
        fs::create_dir_all(home.path().join("a-lost/space")).unwrap();
        assert!(lose(&replica).unwrap());
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0);
        assert!(!lose(&replica).unwrap());
    }

    #[test]
    fn damage_hits_the_newest_blob_by_one_bit_or_its_length_and_nothing_else() {
        let (_home, replica) = replica();
        assert!(!damage(&replica, 1).unwrap(), "no blob yet");
        let (old, new) = (replica.join("space/e1-v1"), replica.join("space/e1-v2"));
        fs::write(&old, [0; 100]).unwrap();
        let past = std::time::SystemTime::UNIX_EPOCH;
        File::options().write(true).open(&old).unwrap().set_modified(past).unwrap();
        for chance in 0..64 {
            fs::write(&new, [0; 100]).unwrap();
            assert!(damage(&replica, chance * 7919).unwrap());
            let hurt = fs::read(&new).unwrap();
            let flipped: u32 = hurt.iter().map(|byte| byte.count_ones()).sum();
            assert!((hurt.len() == 100 && flipped == 1) || (hurt.len() < 100 && flipped == 0), "{chance}");
        }
        assert_eq!(fs::read(&old).unwrap(), [0; 100]);
        assert_eq!(fs::read(replica.join(".replica")).unwrap(), b"marker");
    }
}
