//! Which crash states to try: seeded, so that the same log and seed give the same states.

use std::collections::HashSet;
use std::ops::Range;

use super::crash_state::{self, CrashState, Piece, SECTOR_BYTES};
use super::rng::Rng;
use super::write_log::{Effect, Entry};

/// The second half of ext4's super block, in sectors of the disk. The first half holds nothing but numbers that
/// the checksum in the second one covers, so ext4 itself can't be mounted after a cut between the two, whatever runs
/// on it: a disk that does that needs `e2fsck -b`, and says nothing about our programs. The pair is not torn.
const SUPER_BLOCK_SECOND_HALF: u64 = 3;

/// How often a choice that was made before is made anew.
const MAX_TRIES: usize = 20;

/// Chooses up to `count` different states whose cut lies in `window`; fewer if there are not so many.
///
/// A third of the cuts fall where something had just been acknowledged (`marks`), where a loss hurts most; a third
/// just before a flush, where most is open; a third anywhere.
pub(crate) fn plan(
    entries: &[Entry],
    window: &Range<usize>,
    marks: &[usize],
    seed: u64,
    count: u32,
) -> Vec<CrashState> {
    let flushes: Vec<usize> = window.clone().filter(|&index| entries[index].is_flush).collect();
    let marks: Vec<usize> =
        marks.iter().copied().filter(|mark| (window.start..=window.end).contains(mark)).collect();
    let mut chosen = Vec::new();
    let mut seen = HashSet::new();
    for stream in 0..u64::from(count) {
        let mut rng = Rng::new(seed, stream);
        let mut tries = std::iter::repeat_with(|| {
            let cut = choose_cut(&mut rng, window, &marks, &flushes);
            CrashState { cut, arrived: choose_arrived(&mut rng, entries, cut) }
        });
        chosen.extend(tries.by_ref().take(MAX_TRIES).find(|state| seen.insert(state.clone())));
    }
    chosen
}

fn choose_cut(rng: &mut Rng, window: &Range<usize>, marks: &[usize], flushes: &[usize]) -> usize {
    let anywhere = window.start + rng.index(window.len() + 1);
    let places = match rng.below(3) {
        0 => marks,
        1 => flushes,
        _ => &[],
    };
    places.get(rng.index(places.len())).copied().unwrap_or(anywhere)
}

/// Nothing, everything, any subset of whole writes, or any subset with torn writes.
fn choose_arrived(rng: &mut Rng, entries: &[Entry], cut: usize) -> Vec<Piece> {
    let fate = rng.below(5);
    let mut arrived = Vec::new();
    for index in crash_state::pending(entries, cut) {
        let whole = Piece::whole(index, &entries[index]);
        match fate {
            0 => {}
            1 => arrived.push(whole),
            2 | 3 => arrived.extend((!rng.one_in(2)).then_some(whole)),
            _ if rng.one_in(4) => {}
            _ if rng.one_in(3) => arrived.push(whole),
            _ => tear(rng, whole, first_sector(entries[index].effect), &mut arrived),
        }
    }
    arrived
}

/// Where on the disk an operation begins, in sectors.
fn first_sector(effect: Effect) -> u64 {
    match effect {
        Effect::None => 0,
        Effect::Write { at, .. } | Effect::Discard { at, .. } => at / SECTOR_BYTES,
    }
}

/// The beginning of a write, or any of its sectors. `begin` is where on the disk it begins.
fn tear(rng: &mut Rng, whole: Piece, begin: u64, arrived: &mut Vec<Piece>) {
    let is_prefix = rng.one_in(2);
    let prefix = rng.below(whole.sectors + 1);
    let mut has_arrived = false;
    for first in 0..whole.sectors {
        let sticks_to_last = first > 0 && begin + first == SUPER_BLOCK_SECOND_HALF;
        if !sticks_to_last {
            has_arrived = if is_prefix { first < prefix } else { rng.one_in(2) };
        }
        match arrived.last_mut() {
            _ if !has_arrived => {}
            Some(last) if last.entry == whole.entry && last.first + last.sectors == first => {
                last.sectors += 1;
            }
            _ => arrived.push(Piece { first, sectors: 1, ..whole }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 100 rounds of three writes of eight sectors and a flush.
    fn entries() -> Vec<Entry> {
        let entry = |index: u64| {
            let is_flush = index % 4 == 3;
            let effect = Effect::Write { at: index * 4096, len: 4096, data_at: 0 };
            Entry {
                logged_at: index,
                is_flush,
                is_fua: false,
                effect: if is_flush { Effect::None } else { effect },
            }
        };
        (0..400).map(entry).collect()
    }

    fn states() -> Vec<CrashState> {
        let marks: Vec<usize> = (1..50).map(|round| round * 4).collect();
        plan(&entries(), &(40..400), &marks, 3, 300)
    }

    #[test]
    fn the_same_seed_gives_the_same_states_and_none_twice() {
        assert_eq!(states(), states());
        assert_eq!(states().iter().collect::<HashSet<_>>().len(), 300);
        assert_ne!(states(), plan(&entries(), &(40..400), &[], 4, 300));
    }

    #[test]
    fn every_kind_of_fate_and_place_is_tried() {
        let entries = entries();
        let states = states();
        let open = |state: &CrashState| crash_state::pending(&entries, state.cut).count();
        let whole = |piece: &Piece| piece.sectors == 8;
        let count = |is: &dyn Fn(&CrashState) -> bool| states.iter().filter(|state| is(state)).count();
        assert!(count(&|state| open(state) == 0) > 20, "right after a flush");
        assert!(count(&|state| open(state) == 3) > 50, "right before a flush");
        assert!(count(&|state| open(state) > 0 && state.arrived.is_empty()) > 20, "nothing arrived");
        assert!(
            count(&|state| open(state) == 3 && state.arrived.iter().filter(|piece| whole(piece)).count() == 3)
                > 5
        );
        assert!(count(&|state| state.arrived.iter().any(|piece| !whole(piece))) > 20, "torn");
        assert!(states.iter().all(|state| (40..=400).contains(&state.cut)));
    }

    #[test]
    fn what_arrived_was_open_and_is_in_order() {
        let entries = entries();
        for state in states() {
            let open: Vec<usize> = crash_state::pending(&entries, state.cut).collect();
            assert!(state.arrived.iter().all(|piece| open.contains(&piece.entry)));
            assert!(state.arrived.is_sorted_by_key(|piece| (piece.entry, piece.first)));
            assert!(state.arrived.iter().all(|piece| piece.sectors > 0 && piece.first + piece.sectors <= 8));
        }
    }

    #[test]
    fn a_log_with_few_states_gives_few() {
        let entries = &entries()[..4];
        let states = plan(entries, &(4..4), &[], 1, 300);
        assert_eq!(states, [CrashState { cut: 4, arrived: Vec::new() }]);
    }

    #[test]
    fn the_super_block_of_ext4_is_not_torn() {
        let effect = Effect::Write { at: 0, len: 4096, data_at: 0 };
        let entries = [Entry { logged_at: 0, is_flush: false, is_fua: false, effect }];
        let states = plan(&entries, &(1..1), &[], 1, 200);
        let holds = |state: &CrashState, sector| {
            state.arrived.iter().any(|piece| (piece.first..piece.first + piece.sectors).contains(&sector))
        };
        assert!(states.iter().all(|state| holds(state, 2) == holds(state, 3)));
        assert!(states.iter().any(|state| holds(state, 1) != holds(state, 2)));
        assert!(states.iter().any(|state| holds(state, 3) != holds(state, 4)));
    }
}
