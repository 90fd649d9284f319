//! Patches against a byte-by-byte model, and patches that don't fit.

use super::*;

fn applied(parent: &[u8], new: &[u8], page: u32) -> Option<usize> {
    let Diff::Pages(patch) = diff(parent, new, page, 1) else { return None };
    let mut region = parent.to_vec();
    Patch::parse(&patch, 0, parent.len() as u64, page).unwrap().apply(&mut region);
    assert!(region == new);
    Some(patch.len())
}

#[test]
fn a_patch_makes_the_new_region_whatever_the_lengths() {
    let parent: Vec<u8> = (0_u32..40_000).map(|at| at.to_le_bytes()[0]).collect();
    for len in [0, 1, 511, 512, 513, 5000, 39_999, 40_000, 40_001, 41_000, 41_472] {
        let mut new = parent.clone();
        new.resize(len, 7);
        for at in [0, 600, 20_480, 39_999] {
            if let Some(byte) = new.get_mut(at) {
                *byte ^= 1;
            }
        }
        let patch = applied(&parent, &new, 512);
        assert_eq!(patch.is_some(), len >= 5000, "{len}");
        assert!(patch.is_none_or(|bytes| bytes < 16 + 5 * (512 + 16) + 2048), "{len}: {patch:?}");
    }
}

#[test]
fn equal_regions_need_no_page() {
    assert_eq!(diff(&[5; 10_000], &[5; 10_000], 4096, 1), Diff::Same);
    assert_eq!(diff(&[], &[], 4096, 1), Diff::Same);
    // Shorter and the same so far.
    assert_eq!(applied(&[5; 10_000], &[5; 9_000], 4096), Some(16));
}

#[test]
fn pages_of_several_strides_are_joined() {
    let parent = vec![1; 3 * STRIDE];
    let mut new = parent.clone();
    new[STRIDE - 1] = 2;
    new[STRIDE] = 2;
    new[2 * STRIDE + 9] = 2;
    let runs = dirty(&parent, &new, 4096, 3);
    let page = (STRIDE / 4096) as u64;
    assert_eq!(runs, [Run { first: page - 1, count: 2 }, Run { first: 2 * page, count: 1 }]);
}

fn patch(len: u64, runs: &[(u64, u64)], pages: usize) -> Vec<u8> {
    let mut patch = [len.to_le_bytes(), (runs.len() as u64).to_le_bytes()].concat();
    for (first, count) in runs {
        patch.extend_from_slice(&first.to_le_bytes());
        patch.extend_from_slice(&count.to_le_bytes());
    }
    patch.extend(std::iter::repeat_n(9, pages));
    patch
}

#[test]
fn a_patch_that_does_not_fit_is_refused() {
    let field = |bytes: &[u8]| match Patch::parse(bytes, 3, 1000, 512) {
        Err(CheckpointError::MalformedDelta { field, chunk: 3, .. }) => field,
        other => panic!("{other:?}"),
    };
    // Pages 0 and 1 of a region of 1000 bytes.
    assert!(Patch::parse(&patch(1000, &[(1, 1)], 488), 3, 1000, 512).is_ok());
    assert_eq!(field(&patch(1000, &[(1, 1)], 487)), "bytes of pages");
    assert_eq!(field(&patch(1000, &[(2, 1)], 0)), "pages of a run");
    assert_eq!(field(&patch(1000, &[(0, 0)], 0)), "pages of a run");
    assert_eq!(field(&patch(1000, &[(0, u64::MAX)], 1000)), "pages of a run");
    assert_eq!(field(&patch(1000, &[(u64::MAX, 2)], 1000)), "pages of a run");
    assert_eq!(field(&patch(2000, &[(1, 3), (0, 1)], 2000)), "first page of a run");
    assert_eq!(field(&patch(2000, &[(1, 1), (2, 2)], 1488)), "first page of a run");
    assert_eq!(field(&patch(2000, &[(2, 2)], 976)), "pages behind the parent's end");
    assert_eq!(field(&patch(u64::MAX, &[(0, 1)], 512)), "pages behind the parent's end");
    assert_eq!(field(&[patch(1000, &[], 0), vec![0; 15]].concat()), "bytes of pages");
    let mut many = patch(1000, &[], 64);
    many[8] = 5;
    assert_eq!(field(&many), "number of runs");
    assert!(matches!(Patch::parse(&[0; 9], 3, 1000, 512), Err(CheckpointError::Truncated { offset: 8, .. })));
}
