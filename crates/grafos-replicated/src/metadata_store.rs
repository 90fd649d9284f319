//! [`MetadataStore`]: the trait of an engine that orders changes of small records. The only place where order is
//! decided.

use std::collections::BTreeSet;
use std::fmt;

use crate::error::StoreError;

/// The name of a record: plain text, made by this crate from names of the caller's.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordKey(String);

/// The longest key, in bytes.
pub const MAX_KEY_BYTES: usize = 2048;

/// The largest record, in bytes.
pub const MAX_RECORD_BYTES: usize = 64 << 10;

impl RecordKey {
    /// The key of a record of `kind` that belongs to these names. Each part is encoded, so that no name can look like
    /// another key: everything but ASCII letters, digits, `-` and `_` becomes `%XX`.
    #[must_use]
    pub fn new(kind: &str, names: &[&str]) -> Self {
        let mut key = String::from(kind);
        for name in names {
            key.push('/');
            encode_into(name, &mut key);
        }
        Self(key)
    }

    /// The key that a store has kept as `text`; `None` if no key looks like that.
    #[must_use]
    pub fn of_text(text: &str) -> Option<Self> {
        let is_ours = |byte: u8| byte.is_ascii_alphanumeric() || b"-_%/".contains(&byte);
        let can_be = !text.is_empty() && text.len() <= MAX_KEY_BYTES && text.bytes().all(is_ours);
        can_be.then(|| Self(text.to_owned()))
    }

    /// The last of the names that the key was made of; `None` if its text is not what `new` makes.
    pub(crate) fn last_name(&self) -> Option<String> {
        let encoded = self.0.rsplit_once('/')?.1;
        let mut bytes = Vec::with_capacity(encoded.len());
        let mut rest = encoded.bytes();
        while let Some(byte) = rest.next() {
            bytes.push(match byte {
                b'%' => {
                    let digit = |byte: u8| char::from(byte).to_digit(16);
                    let (high, low) = (digit(rest.next()?)?, digit(rest.next()?)?);
                    u8::try_from(high << 4 | low).ok()?
                }
                byte => byte,
            });
        }
        String::from_utf8(bytes).ok()
    }

    /// The key as text: ASCII letters, digits, `-`, `_`, `%` and `/`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RecordKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Appends `name` so that it can stand in a key or a file name.
pub(crate) fn encode_into(name: &str, out: &mut String) {
    use fmt::Write;
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => out.push(char::from(byte)),
            // Writing to a string can't fail.
            _ => drop(write!(out, "%{byte:02X}")),
        }
    }
}

/// Where a record stands in the order of changes of its store. Never used twice, also not for a record that was
/// deleted and made anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Revision(pub u64);

/// A record as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The change that made it.
    pub revision: Revision,
    /// What it holds.
    pub body: Vec<u8>,
}

/// What must hold for a transaction to take place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// There is no such record.
    Absent,
    /// Nothing has changed it since this revision.
    At(Revision),
}

/// Changes that take place together, or not at all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Transaction {
    /// All must hold. Every record that is changed has a guard.
    pub guards: Vec<(RecordKey, Expect)>,
    /// Records to make or replace.
    pub puts: Vec<(RecordKey, Vec<u8>)>,
    /// Records to remove.
    pub deletes: Vec<RecordKey>,
}

impl Transaction {
    /// Whether a store can be asked to do this. Every store asks before it does anything.
    ///
    /// # Errors
    /// [`StoreError::InvalidRequest`] if a change has no guard, or a record is changed or guarded twice;
    /// [`StoreError::TooLarge`] for keys and records beyond [`MAX_KEY_BYTES`] and [`MAX_RECORD_BYTES`].
    pub fn check(&self) -> Result<(), StoreError> {
        let refused =
            |key: &RecordKey, problem| Err(StoreError::InvalidRequest { what: key.to_string(), problem });
        let mut guarded = BTreeSet::new();
        for (key, _) in &self.guards {
            if key.0.len() > MAX_KEY_BYTES {
                let (limit, found) = (MAX_KEY_BYTES as u64, key.0.len() as u64);
                return Err(StoreError::TooLarge { what: key.to_string(), limit, found });
            }
            if !guarded.insert(key) {
                return refused(key, "a record has two guards");
            }
        }
        let mut changed = BTreeSet::new();
        for key in self.puts.iter().map(|(key, _)| key).chain(&self.deletes) {
            if !guarded.contains(key) {
                return refused(key, "a record is changed without a guard");
            }
            if !changed.insert(key) {
                return refused(key, "a record is changed twice");
            }
        }
        let too_large = self.puts.iter().find(|(_, body)| body.len() > MAX_RECORD_BYTES);
        too_large.map_or(Ok(()), |(key, body)| {
            let (limit, found) = (MAX_RECORD_BYTES as u64, body.len() as u64);
            Err(StoreError::TooLarge { what: key.to_string(), limit, found })
        })
    }
}

/// What became of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CommitOutcome {
    /// It took place, durably: every record that it put has this revision.
    Committed(Revision),
    /// A guard did not hold: nothing took place, and this very request never will.
    Conflict,
    /// It may have taken place, or may still do so.
    Unknown(StoreError),
}

/// An engine that orders changes of small records.
///
/// # Contract
/// - `read` is linearizable: it sees every transaction that was committed before it was called, by anybody.
/// - `commit` is atomic and durable: all or nothing, and there after any crash once it has answered `Committed`.
/// - Two transactions that expect the same revision of a record, and change it, never both take place.
/// - Revisions of one store grow with each transaction, and are never used again.
///
/// `testing::metadata_store_suite` checks it.
pub trait MetadataStore: fmt::Debug + Send + Sync {
    /// The record of that name, if there is one.
    ///
    /// # Errors
    /// Any [`StoreError`]; nothing is known then.
    fn read(&self, key: &RecordKey) -> Result<Option<Record>, StoreError>;

    /// The records of these names, in their order, each as [`read`](Self::read) would give it. A store that can look for
    /// all of them at once has less to do so.
    ///
    /// # Errors
    /// Those of `read`.
    fn read_all(&self, keys: &[RecordKey]) -> Result<Vec<Option<Record>>, StoreError> {
        keys.iter().map(|key| self.read(key)).collect()
    }

    /// Does all of it if every guard holds.
    ///
    /// # Errors
    /// Any [`StoreError`]: nothing took place and nothing will. What is not certain is
    /// [`CommitOutcome::Unknown`].
    fn commit(&self, transaction: &Transaction) -> Result<CommitOutcome, StoreError>;

    /// Up to `limit` records whose keys begin with `prefix` and stand behind `after`, in the order of keys.
    ///
    /// # Errors
    /// Any [`StoreError`].
    fn scan(
        &self,
        prefix: &str,
        after: Option<&RecordKey>,
        limit: usize,
    ) -> Result<Vec<(RecordKey, Record)>, StoreError>;
}
