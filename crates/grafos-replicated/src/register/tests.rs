//! The bytes of a register, and what it says of blobs and commits.

use proptest::prelude::*;

use super::*;
use crate::metadata_store::MAX_RECORD_BYTES;

fn tag(epoch: u64, version: u64, nonce: u128) -> BlobTag {
    BlobTag { epoch: FenceEpoch(epoch), version: Version(version), nonce: Nonce(nonce) }
}

fn saved(epoch: u64, version: u64, older: &[BlobTag]) -> SavedVersion {
    let manifest = tag(epoch, version, 7);
    SavedVersion {
        version: Version(version),
        epoch: FenceEpoch(epoch),
        manifest,
        manifest_digest: [1; 32],
        payload_bytes: 100,
        blobs: [&[manifest], older].concat(),
        acknowledged: 0b11,
        step: None,
    }
}

fn empty() -> Register {
    let schema = SchemaId::new("s");
    Register::new(schema, PolicyHash([0; 32]), (ResourceGeneration(1), LayoutHash([0; 32])), FenceEpoch(1))
}

fn filled(versions: u64, keep: usize) -> Register {
    (1..=versions).fold(empty(), |register, version| {
        register.saved(saved(1, version, &[]), keep).committed_as(Nonce(u128::from(version)))
    })
}

fn key() -> RecordKey {
    RecordKey::new("checkpoint", &["a", "b"])
}

#[test]
fn a_register_is_read_back_as_it_was_written() {
    for register in [empty(), filled(3, 8), filled(100, 8)] {
        assert_eq!(Register::decode(&key(), &register.encode().unwrap()).unwrap(), register);
    }
}

#[test]
fn every_flipped_bit_and_every_cut_is_found() {
    let bytes = filled(3, 8).encode().unwrap();
    for at in 0..bytes.len() {
        assert!(Register::decode(&key(), &bytes[..at]).is_err(), "cut at {at}");
        for bit in 0..8 {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1 << bit;
            assert!(Register::decode(&key(), &damaged).is_err(), "bit {bit} of byte {at}");
        }
    }
    assert!(Register::decode(&key(), &[bytes, vec![0]].concat()).is_err());
}

#[test]
fn fields_that_contradict_each_other_are_refused_though_their_digest_fits() {
    let mut gap = filled(3, 8);
    gap.history.remove(1);
    let mut behind = filled(3, 8);
    behind.version = Version(2);
    let mut headless = filled(3, 8);
    headless.history[1].blobs.clear();
    for register in [gap, behind, headless] {
        let error = Register::decode(&key(), &register.encode().unwrap()).unwrap_err();
        let problem = "its fields contradict each other though its digest fits";
        assert_eq!(error, ReplicatedError::CorruptRegister { key: "checkpoint/a/b".into(), problem });
    }
}

#[test]
fn a_blob_dies_only_when_nothing_names_it_and_nothing_can() {
    let register = filled(3, 2);
    assert!(register.is_dead(&tag(1, 1, 7)), "its version left the history");
    assert!(!register.is_dead(&tag(1, 2, 7)), "the history names it");
    assert!(register.is_dead(&tag(1, 2, 8)), "a lost attempt at version 2");
    assert!(!register.is_dead(&tag(1, 4, 8)), "it can still be published");
    assert!(!register.is_dead(&tag(2, 1, 8)), "the register has not come to its epoch");
    let kept = register.saved(saved(1, 4, &[tag(1, 2, 7)]), 1);
    assert!(!kept.is_dead(&tag(1, 2, 7)), "an unchanged chunk lies in it");
    assert!(kept.is_dead(&tag(1, 3, 7)));
}

#[test]
fn a_blob_from_the_future_shows_that_the_register_went_back() {
    let register = filled(3, 8);
    assert!(!register.is_behind(&tag(1, 4, 1)), "the next save");
    assert!(register.is_behind(&tag(1, 5, 1)));
    assert!(register.is_behind(&tag(2, 1, 1)));
    assert!(!register.is_behind(&tag(1, 1, 1)));
}

#[test]
fn the_ring_answers_as_far_as_it_reaches() {
    let register = filled(100, 2);
    assert_eq!(register.ring.has_seen(Nonce(100), 99), Some(true));
    assert_eq!(register.ring.has_seen(Nonce(37), 36), Some(true));
    assert_eq!(register.ring.has_seen(Nonce(500), 36), Some(false), "64 commits since, all in the ring");
    assert_eq!(register.ring.has_seen(Nonce(36), 35), None, "one more, and it is forgotten");
}

#[test]
fn a_register_never_outgrows_its_record() {
    let name = "k".repeat(256);
    let step = StepMark { key: IdempotencyKey::new(name), operation: OperationHash([0xFF; 32]) };
    let largest = (1..=200_u64).fold(empty(), |register, version| {
        let older: Vec<_> = (1..8).map(|n| tag(u64::MAX, u64::MAX - n, u128::MAX)).collect();
        let saved = SavedVersion { step: Some(step.clone()), ..saved(1, version, &older) };
        register.saved(saved, 32).committed_as(Nonce(u128::MAX - u128::from(version)))
    });
    assert!(largest.encode().unwrap().len() < MAX_RECORD_BYTES);
}

proptest! {
    #[test]
    fn no_bytes_make_the_decoder_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        prop_assert!(Register::decode(&key(), &bytes).is_err());
    }

    #[test]
    fn no_fields_make_the_decoder_panic_behind_a_digest_that_fits(
        fields in proptest::collection::vec(any::<u8>(), 0..600),
    ) {
        let mut bytes = [&b"GRRG\x01\0\0\0"[..], &fields].concat();
        let digest = *blake3::hash(&bytes).as_bytes();
        bytes.extend_from_slice(&digest);
        let _ = Register::decode(&key(), &bytes);
    }
}
