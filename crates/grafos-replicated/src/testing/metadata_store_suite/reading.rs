//! Rules of what is read.

use grafos_suite::{Checked, ensure_eq};

use super::{TestedMetadataStore, body, committed, created, key, put};
use crate::metadata_store::{Expect, MAX_KEY_BYTES, MAX_RECORD_BYTES, RecordKey};

pub(super) fn what_is_put_is_read(tested: &TestedMetadataStore) -> Checked {
    let store = tested.store.as_ref();
    let first = created(store, &key("a"), b"one")?;
    ensure_eq!(body(store, &key("a"))?.as_deref(), Some(&b"one"[..]), "a record that was made");
    committed(store, &put(&key("a"), Expect::At(first), b"two"))?;
    ensure_eq!(body(store, &key("a"))?.as_deref(), Some(&b"two"[..]), "a record that was replaced");
    Ok(())
}

pub(super) fn what_was_never_put_is_absent(tested: &TestedMetadataStore) -> Checked {
    let store = tested.store.as_ref();
    ensure_eq!(store.read(&key("a"))?, None, "a record of a new store");
    created(store, &key("ab"), b"other")?;
    ensure_eq!(store.read(&key("a"))?, None, "a record whose key begins another's");
    ensure_eq!(store.read(&key("AB"))?, None, "a record whose key differs in case");
    Ok(())
}

pub(super) fn records_read_together_are_those_of_their_keys(tested: &TestedMetadataStore) -> Checked {
    let store = tested.store.as_ref();
    ensure_eq!(store.read_all(&[])?, Vec::new(), "the records of no key");
    for name in ["a", "c", "d"] {
        created(store, &key(name), name.as_bytes())?;
    }
    let asked = ["d", "b", "a", "d"].map(key);
    let one_by_one = asked.iter().map(|key| store.read(key)).collect::<Result<Vec<_>, _>>()?;
    ensure_eq!(store.read_all(&asked)?, one_by_one, "records in no order, one absent, one twice");
    Ok(())
}

pub(super) fn records_may_be_empty_and_hold_any_byte(tested: &TestedMetadataStore) -> Checked {
    let store = tested.store.as_ref();
    let every_byte: Vec<u8> = (0..=u8::MAX).collect();
    created(store, &key("empty"), b"")?;
    created(store, &key("every byte"), &every_byte)?;
    ensure_eq!(body(store, &key("empty"))?, Some(Vec::new()), "an empty record");
    ensure_eq!(body(store, &key("every byte"))?, Some(every_byte), "a record of every byte");
    Ok(())
}

pub(super) fn the_largest_record_and_the_longest_key_fit(tested: &TestedMetadataStore) -> Checked {
    let store = tested.store.as_ref();
    let long = "k".repeat(MAX_KEY_BYTES - "tested/".len());
    let (key, large) = (RecordKey::new("tested", &[&long]), vec![7; MAX_RECORD_BYTES]);
    created(store, &key, &large)?;
    ensure_eq!(body(store, &key)?.map(|body| body == large), Some(true), "whether it is read as it was put");
    Ok(())
}
