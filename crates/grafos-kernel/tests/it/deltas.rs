//! Deltas and chains of them.

use grafos_kernel::checkpoint::{
    Checkpoint, CheckpointBuilder, CheckpointChain, CheckpointError, CheckpointReader, ChunkType,
    Compression, DELTA_PARENT_DIGEST_KEY, DataChunk, DeltaOptions, Kind,
};
use proptest::prelude::*;

use crate::samples::{MIB, checkpoint, noise, packed, small, small_and_later};

/// A checkpoint that is like another one: chunks gone, new, changed, longer, shorter, in another order.
fn changed(old: &Checkpoint, changes: &[(usize, u8, usize)], new: Checkpoint) -> Checkpoint {
    let mut changed = Checkpoint { chunks: old.chunks.clone(), ..new.clone() };
    for (index, how, at) in changes {
        if changed.chunks.is_empty() {
            break;
        }
        let index = index % changed.chunks.len();
        let data = &mut changed.chunks[index].data;
        match how % 6 {
            0 => drop(changed.chunks.remove(index)),
            1 => changed.chunks.swap(index, 0),
            2 => data.truncate(at % (data.len() + 1)),
            3 => data.extend(noise(at % 9000, 5)),
            _ if data.is_empty() => {}
            _ => {
                let at = at % data.len();
                data[at] ^= 0x55;
            }
        }
    }
    changed.chunks.extend(new.chunks);
    for chunk in &mut changed.chunks {
        *chunk = DataChunk::labelled(chunk.label(), std::mem::take(&mut chunk.data));
    }
    changed
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

    #[test]
    fn a_delta_makes_what_it_was_made_from(
        old in checkpoint(),
        new in checkpoint(),
        changes in prop::collection::vec((any::<usize>(), any::<u8>(), any::<usize>()), 0..5),
        shift in 9_u32..15,
    ) {
        let new = changed(&old, &changes, new);
        let delta = DeltaOptions::new().page_bytes(1 << shift).between(&old, &new).unwrap();
        // Through a file, where nothing may be lost.
        let delta = Checkpoint::from_bytes(&delta.encode(&packed(Compression::Lz4)).unwrap()).unwrap();
        prop_assert_eq!(delta.kind(), Kind::Delta);
        let made = Checkpoint::applied_with_delta(&old, &delta).unwrap();
        prop_assert_eq!(&made.metadata, &new.metadata);
        prop_assert!(made.chunks == new.chunks);
        prop_assert_eq!(made.kind(), Kind::Full);

        let info = delta.delta_info().unwrap().unwrap();
        prop_assert_eq!(info.kept + info.patched + info.whole, new.chunks.len());
        prop_assert_eq!(info.result, Some(new.contents()));
        prop_assert_eq!(info.parent, old.content_digest());
    }

    #[test]
    fn a_chain_makes_its_last_checkpoint(states in prop::collection::vec(checkpoint(), 2..5)) {
        let mut chain = CheckpointChain::new(states[0].clone()).unwrap();
        for pair in states.windows(2) {
            chain.push(Checkpoint::delta_from(&pair[0], &pair[1])).unwrap();
        }
        let last = states.last().unwrap();
        prop_assert_eq!((chain.contents(), chain.len()), (last.contents(), states.len() - 1));
        prop_assert_eq!(chain.current_step(), last.metadata.current_step);
        let made = chain.compact().unwrap();
        prop_assert!(made.chunks == last.chunks && made.metadata == last.metadata);
    }
}

fn fields(step: u64, field: Vec<u8>) -> Checkpoint {
    let control = step.to_le_bytes().repeat(32);
    CheckpointBuilder::new("sim-1", "t")
        .step(step)
        .control_block(control)
        .device_memory("field", field)
        .build()
}

#[test]
fn one_page_in_a_hundred_costs_one_byte_in_a_hundred() {
    let old = noise(16 * MIB, 1);
    let mut new = old.clone();
    let mut dirty = 0;
    for page in (0..old.len()).step_by(4096 * 100) {
        new[page + 17] ^= 1;
        dirty += 4096;
    }
    let delta = Checkpoint::delta_from(&fields(1, old), &fields(2, new));
    let file = delta.to_bytes();
    assert!(file.len() < dirty * 11 / 10 + 16_384, "{} bytes for {dirty} dirty ones", file.len());
    let again = DeltaOptions::new().page_bytes(64 << 10);
    assert_eq!(delta.delta_info().unwrap().unwrap().page_bytes, 4096);
    assert!(
        again.between(&fields(1, vec![1; MIB]), &fields(2, vec![1; MIB])).unwrap().to_bytes().len() <= 16_384
    );
}

#[test]
fn a_chunk_that_is_gone_is_deleted() {
    let delta = Checkpoint::delta_from(&small(), &small_and_later());
    let info = delta.delta_info().unwrap().unwrap();
    assert_eq!((info.kept, info.patched + info.whole, info.deleted), (2, 2, 1));
    let made = Checkpoint::applied_with_delta(&small(), &delta).unwrap();
    assert!(made.get_chunk(ChunkType::H2KQueue).is_none());
    assert_eq!(made.chunks, small_and_later().chunks);

    let file = delta.to_bytes();
    assert_eq!(CheckpointReader::open(&file).unwrap().delta_info().unwrap().unwrap(), info);
    assert_eq!(CheckpointReader::open(small().to_bytes()).unwrap().delta_info().unwrap(), None);
}

#[test]
fn a_delta_needs_its_own_parent() {
    let delta = Checkpoint::delta_from(&small(), &small_and_later());
    let mut other = small();
    other.chunks[3].data[0] ^= 1;
    let refused = Checkpoint::applied_with_delta(&other, &delta);
    assert!(matches!(refused, Err(CheckpointError::ParentMismatch { link: 0, .. })), "{refused:?}");

    // Another order, another name, another flag: another parent.
    for change in [
        |other: &mut Checkpoint| other.chunks.swap(0, 1),
        |other: &mut Checkpoint| other.chunks[2].name = Some("q".to_owned()),
        |other: &mut Checkpoint| other.chunks[2].header.flags = 1,
    ] {
        let mut other = small();
        change(&mut other);
        assert!(Checkpoint::applied_with_delta(&other, &delta).is_err());
    }

    let mut orphan = delta.clone();
    orphan.metadata.custom.remove(DELTA_PARENT_DIGEST_KEY);
    let refused = Checkpoint::applied_with_delta(&small(), &orphan);
    assert!(matches!(refused, Err(CheckpointError::WrongKind { expected: Kind::Delta })), "{refused:?}");
    assert!(orphan.to_bytes().is_empty(), "an orphan must not become a file");

    for parent in ["", "xyz", &"g".repeat(64), &delta.metadata.custom[DELTA_PARENT_DIGEST_KEY].to_uppercase()]
    {
        let mut orphan = delta.clone();
        orphan.metadata.custom.insert(DELTA_PARENT_DIGEST_KEY.to_owned(), parent.to_owned());
        let refused = Checkpoint::applied_with_delta(&small(), &orphan);
        assert!(matches!(refused, Err(CheckpointError::NoParent { .. })), "{parent}: {refused:?}");
    }
}

#[test]
fn a_delta_is_no_parent_and_no_base() {
    let delta = Checkpoint::delta_from(&small(), &small_and_later());
    for refused in [
        Checkpoint::applied_with_delta(&delta, &delta).map(drop),
        DeltaOptions::new().between(&delta, &small()).map(drop),
        DeltaOptions::new().between(&small(), &delta).map(drop),
        CheckpointChain::new(delta.clone()).map(drop),
    ] {
        assert!(matches!(refused, Err(CheckpointError::WrongKind { expected: Kind::Full })), "{refused:?}");
    }
}

#[test]
fn a_chain_with_a_bad_link_stays_as_it_was() {
    let steps: Vec<_> = (0_u8..4).map(|step| fields(step.into(), noise(MIB, step))).collect();
    let deltas: Vec<_> = steps.windows(2).map(|pair| Checkpoint::delta_from(&pair[0], &pair[1])).collect();
    let mut chain = CheckpointChain::new(steps[0].clone()).unwrap();
    chain.push(deltas[0].clone()).unwrap();
    let refused = chain.push(deltas[2].clone());
    assert!(matches!(refused, Err(CheckpointError::ParentMismatch { link: 1, .. })), "{refused:?}");
    assert!(chain.push(deltas[0].clone()).is_err(), "the same again");
    assert!(chain.push(steps[1].clone()).is_err(), "not a delta");
    assert_eq!(chain.len(), 1);
    chain.push(deltas[1].clone()).unwrap();
    assert_eq!(chain.compact().unwrap().chunks, steps[2].chunks);
}

/// Its numbers fit, and its pages are not those that were written: only the digest of the result can tell.
#[test]
fn a_delta_with_other_pages_makes_nothing() {
    let mut later = small();
    later.chunks[2].data[299] ^= 1;
    let mut field = small();
    field.chunks[2].data = noise(9000, 1);
    later.chunks[2].data = field.chunks[2].data.clone();
    later.chunks[2].data[8000] ^= 1;
    let mut delta = Checkpoint::delta_from(&field, &later);
    *delta.chunks[1].data.last_mut().unwrap() ^= 1;
    let refused = Checkpoint::applied_with_delta(&field, &delta);
    assert!(matches!(refused, Err(CheckpointError::ResultMismatch { link: 0, .. })), "{refused:?}");
    let mut chain = CheckpointChain::new(field).unwrap();
    chain.push(delta).unwrap();
    assert!(matches!(chain.compact(), Err(CheckpointError::ResultMismatch { link: 0, .. })));
}

#[test]
fn a_delta_goes_through_version_2_only() {
    let mut later = small();
    later.chunks[2].data = noise(9000, 1);
    let mut latest = later.clone();
    latest.chunks[2].data[0] ^= 1;
    let delta = Checkpoint::delta_from(&later, &latest);
    let refused = delta.to_bytes_v1();
    assert!(matches!(refused, Err(CheckpointError::NotInVersion1 { .. })), "{refused:?}");
    let mut full = small();
    full.add_chunk(DataChunk { header: delta.chunks[0].header, ..DataChunk::new(ChunkType::Custom, vec![]) });
    assert!(matches!(full.encode(&packed(Compression::None)), Err(CheckpointError::WrongKind { .. })));
    assert!(matches!(full.encode(&packed(Compression::Lz4)), Err(CheckpointError::WrongKind { .. })));
}

#[test]
fn the_digest_of_a_parent_need_not_be_computed_twice() {
    let known = DeltaOptions::new().parent(small().contents()).between(&small(), &small_and_later()).unwrap();
    assert_eq!(known.chunks, Checkpoint::delta_from(&small(), &small_and_later()).chunks);
    let wrong =
        DeltaOptions::new().parent(small_and_later().contents()).between(&small(), &small_and_later());
    assert!(Checkpoint::applied_with_delta(&small(), &wrong.unwrap()).is_err());
}

#[test]
fn a_page_has_a_size_that_is_a_power_of_two() {
    for bytes in [0, 1, 256, 1000, 2 << 20] {
        let refused = DeltaOptions::new().page_bytes(bytes).between(&small(), &small());
        assert!(matches!(refused, Err(CheckpointError::InvalidOption { .. })), "{bytes}: {refused:?}");
    }
}
