//! The bytes of a state: there and back, and what is refused. Bits, lengths, plans and counts are gone through one by one.

use proptest::prelude::*;

use super::*;

const PLAN: TrainingPlan =
    TrainingPlan { seed: 1, batch_len: 4, steps: 1000, learning_rate: 0.01, hidden: [2, 3] };

/// A state after some steps, with weights that look trained.
fn state(steps: u64) -> TrainingState {
    let mut state = TrainingState::initial(&PLAN);
    let mut batch = Vec::new();
    (0..steps).for_each(|_| state.progress.advance(PLAN.batch_len, &mut batch));
    for (at, mean) in (0_u32..).zip(&mut state.model.means) {
        *mean = f32::from_bits(0x3f00_0000 ^ (at * 77_777));
    }
    state.model.squares[0] = f32::NAN;
    state
}

/// The bytes with another digest: what a program would write that counts wrong.
fn signed(mut bytes: Vec<u8>, change: impl FnOnce(&mut [u8])) -> Vec<u8> {
    bytes.truncate(bytes.len() - DIGEST_BYTES);
    change(&mut bytes);
    bytes.extend(digest(&bytes).as_bytes());
    bytes
}

/// With one field of 8 bytes changed.
fn counted(steps: u64, at: usize, change: impl FnOnce(u64) -> u64) -> Result<TrainingState, StateError> {
    let bytes = signed(state(steps).encode(), |bytes| {
        let field = bytes[at..].first_chunk_mut::<8>().unwrap();
        *field = change(u64::from_le_bytes(*field)).to_le_bytes();
    });
    decode(&bytes, &PLAN)
}

#[test]
fn a_state_comes_back_with_every_bit() {
    for steps in [0, 1, 359, 360, 1000] {
        let bytes = state(steps).encode();
        assert_eq!(bytes.len(), length(&PLAN));
        let read = decode(&bytes, &PLAN).unwrap();
        assert_eq!(read.encode(), bytes);
        assert_eq!(read.progress, state(steps).progress);
    }
}

/// The bytes of format 1, pinned. Never edited.
#[test]
fn a_known_state_keeps_its_bytes() {
    let bytes = state(3).encode();
    assert_eq!(bytes[..16], *b"GRAFTR52\x01\0\0\0\0\0\0\0");
    assert_eq!(
        blake3::hash(&bytes).to_hex().as_str(),
        "65591889bd76d0eeebd5b6aff5b37d1dec232fd3bd7bb0e9c95026172391f09c"
    );
}

#[test]
fn every_flipped_bit_is_noticed() {
    let bytes = state(5).encode();
    for bit in 0..bytes.len() * 8 {
        let mut damaged = bytes.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        let error = decode(&damaged, &PLAN).unwrap_err();
        let is_magic = bit < 64;
        assert_eq!(error, if is_magic { StateError::NoState } else { StateError::Damaged }, "bit {bit}");
    }
}

#[test]
fn every_other_length_is_refused() {
    let bytes = state(5).encode();
    for len in 0..bytes.len() {
        assert!(decode(&bytes[..len], &PLAN).is_err(), "{len} bytes");
    }
    let longer = [bytes.as_slice(), &[0]].concat();
    assert_eq!(decode(&longer, &PLAN), Err(StateError::Damaged));
    let (expected, found) = (length(&PLAN) as u64, length(&PLAN) as u64 + 1);
    let mut body = bytes[..bytes.len() - DIGEST_BYTES].to_vec();
    body.push(0);
    body.extend(digest(&body).as_bytes());
    assert_eq!(decode(&body, &PLAN), Err(StateError::Length { expected, found }));
}

#[test]
fn another_plan_or_format_is_refused_by_name() {
    let bytes = state(5).encode();
    let other = TrainingPlan { seed: 2, ..PLAN };
    let expected = StateError::OtherPlan { expected: other.fingerprint(), found: PLAN.fingerprint() };
    assert_eq!(decode(&bytes, &other), Err(expected));
    let larger = TrainingPlan { hidden: [200, 100], ..PLAN };
    assert!(matches!(decode(&bytes, &larger), Err(StateError::OtherPlan { .. })));
    let newer = signed(bytes, |bytes| bytes[8] = 2);
    assert_eq!(decode(&newer, &PLAN), Err(StateError::Format { expected: 1, found: 2 }));
    assert!(decode(&state(5).encode(), &TrainingPlan { steps: 5, ..PLAN }).is_ok());
    let shorter = decode(&state(5).encode(), &TrainingPlan { steps: 4, ..PLAN });
    assert_eq!(shorter, Err(StateError::PastTheEnd { steps: 4, found: 5 }));
}

#[test]
fn counts_that_contradict_each_other_are_refused() {
    for at in [48, 56, 104, 112] {
        for change in [|count: u64| count + 1, |_| u64::MAX, |_| 1_u64 << 62] {
            let error = counted(400, at, change).unwrap_err();
            assert!(matches!(error, StateError::Contradiction { .. }), "{at}: {error}");
        }
    }
    // One pass less, and a place past its end.
    let bytes = signed(state(400).encode(), |bytes| {
        bytes[104..112].copy_from_slice(&0_u64.to_le_bytes());
        bytes[112..120].copy_from_slice(&1600_u64.to_le_bytes());
    });
    assert!(matches!(decode(&bytes, &PLAN), Err(StateError::Contradiction { place: 1600, .. })));
    assert!(counted(400, 48, |step| step).is_ok());
}

proptest! {
    #[test]
    fn any_bytes_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        prop_assert!(decode(&bytes, &PLAN).is_err());
    }

    #[test]
    fn any_body_with_a_good_digest_is_a_state_or_refused(
        body in prop::collection::vec(any::<u8>(), 0..300),
        fields in any::<[u64; 9]>(),
    ) {
        let mut bytes = MAGIC.to_vec();
        bytes.extend(1_u64.to_le_bytes());
        bytes.extend(PLAN.fingerprint());
        bytes.extend(fields.iter().flat_map(|field| (field % 3000).to_le_bytes()));
        bytes.extend(body);
        bytes.extend(digest(&bytes).as_bytes());
        if let Ok(state) = decode(&bytes, &PLAN) {
            prop_assert_eq!(state.encode(), bytes);
        }
    }
}
