//! Rules of scans.

use grafos_suite::{Broken, Checked, ensure_eq};

use super::{TestedMetadataStore, created, delete};
use crate::metadata_store::{Expect, MetadataStore, RecordKey};

/// What a careless pattern would take for more than it says: `_`, `%`, and a case that differs.
const NAMES: [&str; 6] = ["a", "a_b", "axb", "a%b", "A", "b"];

fn keys(
    store: &dyn MetadataStore,
    prefix: &str,
    after: Option<&str>,
    limit: usize,
) -> Result<Vec<String>, Broken> {
    let after = after.map(|after| RecordKey::new(after, &[]));
    let found = store.scan(prefix, after.as_ref(), limit)?;
    Ok(found.into_iter().map(|(key, _)| key.as_str().to_owned()).collect())
}

fn filled(tested: &TestedMetadataStore) -> Result<&dyn MetadataStore, Broken> {
    let store = tested.store.as_ref();
    for kind in ["effect", "checkpoint"] {
        for name in NAMES {
            created(store, &RecordKey::new(kind, &[name]), name.as_bytes())?;
        }
    }
    let gone = RecordKey::new("effect", &["gone"]);
    let revision = created(store, &gone, b"gone")?;
    super::committed(store, &delete(&gone, Expect::At(revision)))?;
    Ok(store)
}

pub(super) fn a_scan_gives_the_records_of_a_prefix_and_no_others(tested: &TestedMetadataStore) -> Checked {
    let store = filled(tested)?;
    let mut found = keys(store, "effect/", None, 100)?;
    found.sort();
    let all = ["effect/A", "effect/a", "effect/a%25b", "effect/a_b", "effect/axb", "effect/b"];
    ensure_eq!(found, all, "the keys of one kind");
    ensure_eq!(keys(store, "effect/a_", None, 100)?, ["effect/a_b"], "a prefix with `_`");
    ensure_eq!(keys(store, "effect/a%", None, 100)?, ["effect/a%25b"], "a prefix with `%`");
    ensure_eq!(keys(store, "effects", None, 100)?, [""; 0], "a prefix that nothing has");
    ensure_eq!(keys(store, "", None, 100)?.len(), 2 * NAMES.len(), "how many keys there are");
    for (key, record) in store.scan("checkpoint/", None, 100)? {
        ensure_eq!(store.read(&key)?, Some(record), "the record of {key}, read and scanned");
    }
    Ok(())
}

pub(super) fn a_scan_is_in_the_order_of_keys(tested: &TestedMetadataStore) -> Checked {
    let found = keys(filled(tested)?, "", None, 100)?;
    let mut sorted = found.clone();
    sorted.sort();
    ensure_eq!(found, sorted, "the order of keys");
    Ok(())
}

pub(super) fn a_scan_goes_on_behind_a_key(tested: &TestedMetadataStore) -> Checked {
    let store = filled(tested)?;
    let all = keys(store, "effect/", None, 100)?;
    let mut found: Vec<String> = Vec::new();
    for _ in 0..=all.len() {
        let page = keys(store, "effect/", found.last().map(String::as_str), 2)?;
        found.extend(page);
    }
    ensure_eq!(found, all, "the keys, two by two");
    ensure_eq!(
        keys(store, "effect/", Some("effect/aa"), 1)?,
        ["effect/axb"],
        "behind a key that is not there"
    );
    ensure_eq!(keys(store, "effect/", Some("checkpoint/a"), 100)?, all, "behind a key before the prefix");
    ensure_eq!(keys(store, "effect/", Some("effect/b"), 100)?, [""; 0], "behind the last key");
    Ok(())
}

pub(super) fn a_scan_gives_no_more_than_its_limit(tested: &TestedMetadataStore) -> Checked {
    let store = filled(tested)?;
    for limit in [0, 1, 3, NAMES.len()] {
        ensure_eq!(keys(store, "effect/", None, limit)?.len(), limit, "how many keys came");
    }
    ensure_eq!(keys(store, "effect/", None, usize::MAX)?.len(), NAMES.len(), "how many keys came of all");
    Ok(())
}
