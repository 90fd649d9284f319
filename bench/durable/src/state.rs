//! [`State`]: the bytes that every contender of a round commits.

use std::ops::Range;

use grafos_bench_support::{ByteSize, fill, mixed};
use grafos_std::block::AlignedBuf;

/// A state in aligned memory, so that direct I/O takes it as it is and the others lose nothing.
pub(crate) struct State {
    memory: AlignedBuf,
    len: usize,
}

impl State {
    pub(crate) fn new(size: ByteSize) -> Self {
        Self {
            memory: AlignedBuf::zeroed(size.bytes().next_multiple_of(AlignedBuf::ALIGN)),
            len: size.bytes(),
        }
    }

    /// The state itself.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.memory[..self.len]
    }

    /// The state, rounded up to what direct I/O can write.
    pub(crate) fn blocks(&self) -> &[u8] {
        &self.memory
    }

    /// Changes every part of the state: no eight bytes stay what they were.
    pub(crate) fn change(&mut self, stamp: u64) {
        fill(&mut self.memory[..self.len], stamp);
    }
}

/// Changes the bytes in `ranges`, and no others.
pub(crate) fn change_ranges(bytes: &mut [u8], ranges: &[Range<usize>], stamp: u64) {
    for range in ranges {
        fill(&mut bytes[range.clone()], stamp ^ mixed(range.start as u64));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_leaves_no_part_as_it_was() {
        let mut state = State::new(ByteSize::of(10_000));
        state.change(1);
        let before = state.bytes().to_vec();
        state.change(2);
        let same = before.chunks_exact(8).zip(state.bytes().chunks_exact(8)).filter(|(old, new)| old == new);
        assert_eq!(same.count(), 0);
    }

    #[test]
    fn blocks_are_whole_and_aligned() {
        let state = State::new(ByteSize::of(513));
        assert_eq!(state.bytes().len(), 513);
        assert_eq!(state.blocks().len(), 4096);
        assert_eq!(state.blocks().as_ptr().align_offset(4096), 0);
    }

    #[test]
    fn only_the_ranges_change() {
        let mut bytes = vec![0; 100];
        change_ranges(&mut bytes, &[10..20, 50..53], 7);
        let changed: Vec<usize> = (0..100).filter(|at| bytes[*at] != 0).collect();
        assert!(changed.iter().all(|at| (10..20).contains(at) || (50..53).contains(at)));
        assert!(changed.len() > 8);
    }
}
