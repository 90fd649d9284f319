//! The state that is checkpointed: a control block and one region, the same in both crates.

use grafos_bench_support::fill;
use grafos_kernel::checkpoint as ours;
use ringkernel_core::checkpoint as theirs;

pub(crate) const PAGE_BYTES: usize = 4096;
const REGION: &str = "pressure";
const CONTROL_BLOCK: [u8; 256] = [7; 256];

/// What the region holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Data {
    /// Nothing makes it smaller.
    Noise,
    /// Of each 64 KiB a quarter is noise and the rest zero: a field that is mostly at rest.
    Sparse,
}

impl Data {
    pub(crate) const ALL: [Self; 2] = [Self::Noise, Self::Sparse];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Noise => "noise",
            Self::Sparse => "a quarter noise, the rest zeros",
        }
    }

    pub(crate) fn region(self, bytes: usize) -> Vec<u8> {
        let mut region = vec![0; bytes];
        match self {
            Self::Noise => fill(&mut region, 1),
            Self::Sparse => {
                for (piece, stamp) in region.chunks_mut(64 << 10).zip(1..) {
                    let quarter = piece.len() / 4;
                    fill(&mut piece[..quarter], stamp);
                }
            }
        }
        region
    }
}

pub(crate) fn ours(region: Vec<u8>, step: u64) -> ours::Checkpoint {
    ours::CheckpointBuilder::new("bench", "fdtd_3d")
        .step(step)
        .control_block(CONTROL_BLOCK.to_vec())
        .device_memory(REGION, region)
        .build()
}

pub(crate) fn theirs(region: Vec<u8>, step: u64) -> theirs::Checkpoint {
    theirs::CheckpointBuilder::new("bench", "fdtd_3d")
        .step(step)
        .control_block(CONTROL_BLOCK.to_vec())
        .device_memory(REGION, region)
        .build()
}

/// Changes eight bytes in one of a hundred pages, spread over all of it; answers how many pages.
pub(crate) fn touch_a_hundredth(region: &mut [u8]) -> usize {
    let pages = region.chunks_mut(PAGE_BYTES).skip(50).step_by(100);
    pages
        .map(|page| {
            let place = page.len() / 2;
            page[place..].iter_mut().take(8).for_each(|byte| *byte ^= 0x5a);
        })
        .count()
        .max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_page_of_a_hundred_changes() {
        let mut region = Data::Noise.region(200 * PAGE_BYTES);
        let before = region.clone();
        assert_eq!(touch_a_hundredth(&mut region), 2);
        let changed =
            region.chunks(PAGE_BYTES).zip(before.chunks(PAGE_BYTES)).filter(|(new, old)| new != old);
        assert_eq!(changed.count(), 2);
    }

    #[test]
    fn the_sparse_region_is_a_quarter_noise_and_both_crates_hold_the_same() {
        let region = Data::Sparse.region(1 << 20);
        let zeros = bytecount(&region);
        assert!((3 << 18..3 << 18 | 4096).contains(&zeros), "{zeros}");
        let (ours, theirs) = (ours(region.clone(), 1), theirs(region, 1));
        let theirs = ours::Checkpoint::from_bytes(&theirs.to_bytes()).unwrap();
        assert_eq!(ours.chunks[1].data, theirs.chunks[1].data);
        assert!(theirs.region(REGION).unwrap().is_some());
    }

    fn bytecount(bytes: &[u8]) -> usize {
        bytes.iter().filter(|byte| **byte == 0).count()
    }
}
