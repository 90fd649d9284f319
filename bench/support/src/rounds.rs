//! How the rounds of a benchmark go: whose turn it is, how often he works, and how it begins.

use std::fs::File;
use std::io;
use std::path::Path;

use crate::ByteSize;

/// How often an operation on `size` is repeated within a turn: for about 8 MiB, so that a turn is long enough to
/// mean something and short enough to be interleaved.
#[must_use]
pub fn repeats(size: ByteSize) -> usize {
    ((8 << 20) / size.bytes()).clamp(1, 100)
}

/// The numbers 0 to `count`, beginning one later in every round.
pub fn turns(round: u32, count: usize) -> impl Iterator<Item = usize> {
    let first = usize::try_from(round).unwrap_or(0);
    (0..count).map(move |turn| (turn + first) % count)
}

/// Writes out what the file system of `dir` still holds back.
///
/// # Errors
/// Those of the system.
pub fn settle(dir: &Path) -> io::Result<()> {
    let dir = File::open(dir)?;
    #[cfg(target_os = "linux")]
    rustix::fs::syncfs(&dir)?;
    #[cfg(not(target_os = "linux"))]
    dir.sync_all()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_has_one_turn_and_the_first_moves_on() {
        assert_eq!(turns(0, 3).collect::<Vec<_>>(), [0, 1, 2]);
        assert_eq!(turns(4, 3).collect::<Vec<_>>(), [1, 2, 0]);
    }

    #[test]
    fn only_small_operations_are_repeated() {
        assert_eq!(repeats(ByteSize::of(512)), 100);
        assert_eq!(repeats(ByteSize::of(1 << 20)), 8);
        assert_eq!(repeats(ByteSize::of(256 << 20)), 1);
    }
}
