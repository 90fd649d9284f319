//! [`drive`]: does what the protocol says, on a store that answers at once.

use crate::engine::new_nonce;
use crate::error::ReplicatedError;
use crate::metadata_store::MetadataStore;
use crate::observe;
use crate::protocol::change::{Action, Change, Event, Intent};
use crate::ring::Nonce;

/// Drives `change` to its end. `upload` is called at most once per upload that the change asks for, and tells the
/// change's intent what it achieved.
///
/// # Errors
/// Those of the change.
pub(crate) fn drive<I: Intent>(
    store: &dyn MetadataStore,
    change: &mut Change<I>,
    mut upload: impl FnMut(&mut I) -> Result<(), ReplicatedError>,
) -> Result<I::Output, ReplicatedError> {
    // Asked for once here, so that the protocol can take nonces without a way to fail: the stream is the digest of a
    // counter under a key that is new for each change.
    let seed = new_nonce()?;
    let mut count = 0_u64;
    let mut nonces = || {
        count += 1;
        nth_nonce(seed, count)
    };
    let mut event = Event::Start;
    loop {
        event = match change.step(event, &mut nonces) {
            Action::Read(keys) => Event::Read(store.read_all(&keys)),
            Action::Upload => Event::Uploaded(upload(change.intent_mut())),
            Action::Commit(transaction) => Event::Committed(store.commit(&transaction)),
            Action::Done(outcome) => {
                observe::changed(change.counts(), &outcome);
                return outcome;
            }
        };
    }
}

/// For changes that upload nothing.
pub(crate) fn drive_plain<I: Intent>(
    store: &dyn MetadataStore,
    intent: I,
) -> Result<I::Output, ReplicatedError> {
    drive(store, &mut Change::new(intent), |_| Ok(()))
}

fn nth_nonce(seed: Nonce, n: u64) -> Nonce {
    let mut key = [0; 32];
    key[..16].copy_from_slice(&seed.0.to_le_bytes());
    let mut nonce = [0; 16];
    blake3::Hasher::new_keyed(&key).update(&n.to_le_bytes()).finalize_xof().fill(&mut nonce);
    Nonce(u128::from_le_bytes(nonce))
}
