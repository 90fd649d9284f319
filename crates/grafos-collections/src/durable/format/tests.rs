//! Headers: what is written comes back, and nothing else is believed.

use proptest::prelude::*;

use super::*;

fn header() -> Header {
    Header {
        slot: 1,
        slot_count: 3,
        sequence: 41,
        epoch: FenceEpoch(7),
        unix_ms: 1_767_225_600_123,
        payload_bytes: 100_000,
        payload_block: Some(24),
        schema: "sim.v1".to_owned(),
        payload_root: [9; 32],
    }
}

fn encoded(header: &Header) -> Vec<u8> {
    let mut bytes = vec![0xaa; HEADER_BYTES];
    header.encode(&mut bytes);
    bytes
}

fn verify(bytes: &[u8], slot: u32, volume_blocks: u64) -> Found {
    UnverifiedHeader::new(bytes).verify(slot, volume_blocks)
}

fn fault(bytes: &[u8], slot: u32) -> SlotFault {
    match verify(bytes, slot, 10_000) {
        Found::Fault(fault) => fault,
        found => panic!("expected a fault, found {found:?}"),
    }
}

/// Changes bytes and makes the digest fit again, as another program could.
fn forged(change: impl FnOnce(&mut [u8])) -> Vec<u8> {
    let mut bytes = encoded(&header());
    change(&mut bytes);
    let digest = blake3::hash(&bytes[..CHECKSUM_AT]);
    bytes[CHECKSUM_AT..].copy_from_slice(digest.as_bytes());
    bytes
}

#[test]
fn the_layout_is_pinned() {
    assert_eq!((SCHEMA_AT, ROOT_AT, INLINE_AT, CHECKSUM_AT), (64, 128, 256, 4064));
    assert_eq!(INLINE_BYTES, 3808);
    let bytes = encoded(&header());
    assert_eq!(&bytes[..8], b"DCHK\x02\0\0\0");
    assert_eq!(bytes[16..24], 41_u64.to_le_bytes());
    assert_eq!(bytes[48..56], 24_u64.to_le_bytes());
    assert_eq!(&bytes[64..70], b"sim.v1");
}

#[test]
fn a_header_comes_back() {
    assert!(matches!(verify(&encoded(&header()), 1, 10_000), Found::Valid(found) if found == header()));
}

#[test]
fn every_flipped_bit_is_found() {
    let good = encoded(&header());
    for bit in 0..HEADER_BYTES * 8 {
        let mut bytes = good.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        let expected = if bit < 32 { "BadMagic" } else { "HeaderDigest" };
        assert!(format!("{:?}", fault(&bytes, 1)).starts_with(expected), "bit {bit}");
    }
}

#[test]
fn every_torn_header_is_found() {
    let (old, new) = (encoded(&Header { sequence: 40, unix_ms: 5, ..header() }), encoded(&header()));
    for mask in 1..255_u32 {
        let mut bytes = old.clone();
        for block in (0..8).filter(|block| mask & (1 << block) != 0) {
            let range = block * BLOCK_SIZE..(block + 1) * BLOCK_SIZE;
            bytes[range.clone()].copy_from_slice(&new[range]);
        }
        // Only the first and the last block differ between these two.
        let whole = bytes == old || bytes == new;
        assert_eq!(whole, matches!(verify(&bytes, 1, 10_000), Found::Valid(_)), "blocks {mask:#b}");
    }
}

#[test]
fn a_place_without_checkpoint_is_blank() {
    let mut bytes = vec![0; HEADER_BYTES];
    assert!(matches!(verify(&bytes, 0, 64), Found::Blank));
    bytes[..8].copy_from_slice(&claim());
    assert!(matches!(verify(&bytes, 0, 64), Found::Blank));
    bytes[100] = 1;
    assert!(matches!(verify(&bytes, 0, 64), Found::Fault(SlotFault::HeaderDigest)));
}

#[test]
fn other_versions_are_named_only_if_their_digest_fits() {
    let newer = forged(|bytes| bytes[4] = 3);
    assert!(matches!(verify(&newer, 1, 10_000), Found::OtherVersion(3)));
    let mut damaged = encoded(&header());
    damaged[4] = 3;
    assert_eq!(fault(&damaged, 1), SlotFault::HeaderDigest);
    let published = [b"DCHK\x01\0\0\0".as_slice(), &[5; HEADER_BYTES - 8]].concat();
    assert!(matches!(verify(&published, 0, 10_000), Found::OtherVersion(1)));
}

#[test]
fn each_field_out_of_range_is_named() {
    let put =
        |at: usize, value: u64| forged(move |bytes| bytes[at..at + 8].copy_from_slice(&value.to_le_bytes()));
    let bad = |field, found| SlotFault::BadField { field, found };
    assert_eq!(fault(&encoded(&header()), 0), SlotFault::Misplaced { expected: 0, found: 1 });
    assert_eq!(fault(&forged(|bytes| bytes[SLOT_COUNT_AT] = 65), 1), bad("slot_count", 65));
    assert_eq!(fault(&forged(|bytes| bytes[SLOT_COUNT_AT] = 1), 1), bad("slot_count", 1));
    assert_eq!(fault(&forged(|bytes| bytes[CHUNK_BYTES_AT] = 1), 1), bad("chunk_bytes", 65_537));
    assert_eq!(fault(&forged(|bytes| bytes[SCHEMA_BYTES_AT] = 65), 1), bad("schema_bytes", 65));
    assert_eq!(fault(&forged(|bytes| bytes[SCHEMA_AT] = 0xff), 1), bad("schema", 6));
    assert_eq!(fault(&put(PAYLOAD_BLOCK_AT, 0), 1), bad("payload_bytes", 100_000));
    assert_eq!(fault(&put(PAYLOAD_BLOCK_AT, 23), 1), bad("payload_block", 23));
    for huge in [u64::MAX, u64::MAX - 7, 1 << 60] {
        assert!(matches!(fault(&put(PAYLOAD_BYTES_AT, huge), 1), SlotFault::Truncated { .. }));
        assert!(matches!(fault(&put(PAYLOAD_BLOCK_AT, huge), 1), SlotFault::Truncated { .. }));
    }
}

#[test]
fn a_payload_past_the_end_says_how_long_the_volume_was() {
    let needed_blocks = 24 + 200 + 8;
    let found = verify(&encoded(&header()), 1, needed_blocks - 1);
    let expected = SlotFault::Truncated { needed_blocks, volume_blocks: needed_blocks - 1 };
    assert!(matches!(found, Found::Fault(fault) if fault == expected));
    assert!(matches!(verify(&encoded(&header()), 1, needed_blocks), Found::Valid(_)));
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(mut bytes in prop::collection::vec(any::<u8>(), HEADER_BYTES), ours in any::<bool>()) {
        if ours {
            bytes[..8].copy_from_slice(&claim());
            let digest = blake3::hash(&bytes[..CHECKSUM_AT]);
            bytes[CHECKSUM_AT..].copy_from_slice(digest.as_bytes());
        }
        let _ = verify(&bytes, 0, 10_000);
    }

    #[test]
    fn inline_payloads_stay_in_place(payload in prop::collection::vec(any::<u8>(), 0..=INLINE_BYTES)) {
        let mut bytes = vec![0xaa; HEADER_BYTES];
        bytes[INLINE_AT..INLINE_AT + payload.len()].copy_from_slice(&payload);
        let header = Header { payload_bytes: payload.len() as u64, payload_block: None, ..header() };
        header.encode(&mut bytes);
        prop_assert!(matches!(verify(&bytes, 1, 64), Found::Valid(found) if found == header));
        prop_assert_eq!(&bytes[INLINE_AT..INLINE_AT + payload.len()], &payload[..]);
    }
}
