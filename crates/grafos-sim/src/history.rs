//! Histories: what programs were told, and when; and [`check`], which says whether there is an order of the operations that
//! explains it. It knows nothing of the world: it would judge a history of real processes the same way.
//!
//! The order that explains a history is one in which each operation takes place at one moment between its call and its
//! return. A general search for it takes exponential time. Here it takes O(n log n), since a save names the one version
//! that it can make: version `v` needs a writer, whose moment lies behind the moment of version `v - 1`.

use std::collections::BTreeMap;

/// One operation: when it was called, when it was answered, and what was said. Moments are distinct numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    /// The moment of the call.
    pub call: u64,
    /// The moment of the answer; `None` if there was none, or it left open what happened.
    pub ret: Option<u64>,
    /// What it was.
    pub kind: Kind,
}

/// What an operation did, as far as its program knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A save that was acknowledged, or whose outcome is not known (`ret` is `None`).
    Save {
        /// What it wrote: no two saves write the same.
        payload: u64,
        /// The version that it makes, if it takes place.
        version: u64,
    },
    /// A read, or a save that was refused since another version is there.
    Read {
        /// The version that it saw.
        version: u64,
        /// What it read, if it read that far.
        payload: Option<u64>,
    },
}

/// Why no order explains a history.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HistoryError {
    /// Two payloads are said to be one version.
    #[error("two payloads are one version: version={version}, payloads={one} and {other}")]
    TwoWriters {
        /// The version.
        version: u64,
        /// One.
        one: u64,
        /// The other.
        other: u64,
    },
    /// Nobody can have made a version that was seen, or that lies before one.
    #[error("nobody can have made a version that must have been: version={version}")]
    NoWriter {
        /// The version.
        version: u64,
    },
    /// A version was known before it can have been made, or an older one was seen after it.
    #[error("a version was seen before it was made, or an older one after it: version={version}")]
    OutOfOrder {
        /// The version.
        version: u64,
    },
}

/// What is known of one version.
#[derive(Clone, Copy, Debug, Default)]
struct Made {
    payload: Option<u64>,
    /// Of its writer.
    call: u64,
    /// The first moment at which it must have been made: its writer's return, or that of a read of it.
    by: Option<u64>,
    /// The last call of a read that saw it: the next version came after.
    read: u64,
}

/// Whether some order explains the history of one checkpoint that stood at `version` with `payload` before it began.
///
/// # Errors
/// The first thing that no order can explain.
pub fn check(version: u64, payload: Option<u64>, operations: &[Operation]) -> Result<(), HistoryError> {
    let mut versions = BTreeMap::from([(version, Made { payload, ..Made::default() })]);
    let first = version;
    let mut open = BTreeMap::new();
    for operation in operations {
        match operation.kind {
            Kind::Save { payload, version } if operation.ret.is_none() => {
                open.entry(version).or_insert_with(Vec::new).push((operation.call, payload));
            }
            Kind::Save { payload, version } => {
                let made = seen(&mut versions, version, Some(payload), operation.ret)?;
                made.call = operation.call;
            }
            Kind::Read { version, payload } => {
                let made = seen(&mut versions, version, payload, operation.ret)?;
                made.read = made.read.max(operation.call);
            }
        }
    }
    find_writers(first, &mut versions, operations, &open)?;
    in_order(&versions)
}

fn seen(
    versions: &mut BTreeMap<u64, Made>,
    version: u64,
    payload: Option<u64>,
    ret: Option<u64>,
) -> Result<&mut Made, HistoryError> {
    let made = versions.entry(version).or_default();
    if let (Some(one), Some(other)) = (made.payload, payload)
        && one != other
    {
        return Err(HistoryError::TwoWriters { version, one, other });
    }
    made.payload = made.payload.or(payload);
    made.by = made.by.into_iter().chain(ret).min();
    Ok(made)
}

/// Gives each version a writer: the one that was acknowledged, else one whose outcome is not known.
fn find_writers(
    first: u64,
    versions: &mut BTreeMap<u64, Made>,
    operations: &[Operation],
    open: &BTreeMap<u64, Vec<(u64, u64)>>,
) -> Result<(), HistoryError> {
    let mut acknowledged = BTreeMap::new();
    for operation in operations.iter().filter(|operation| operation.ret.is_some()) {
        if let Kind::Save { payload, version } = operation.kind
            && let Some(one) = acknowledged.insert(version, payload)
        {
            return Err(HistoryError::TwoWriters { version, one, other: payload });
        }
    }
    let last = versions.last_key_value().map_or(first, |(version, _)| *version);
    if versions.first_key_value().is_some_and(|(version, _)| *version < first) {
        return Err(HistoryError::OutOfOrder { version: first });
    }
    if acknowledged.contains_key(&first) {
        return Err(HistoryError::OutOfOrder { version: first });
    }
    // A gap ends the search: no more versions are looked at than there are operations.
    for version in first + 1..=last {
        if acknowledged.contains_key(&version) {
            continue;
        }
        let known = versions.get(&version).and_then(|made| made.payload);
        let candidates = open.get(&version).into_iter().flatten();
        let mut fitting = candidates.filter(|(_, payload)| known.is_none_or(|known| known == *payload));
        // The one that was called first could have come first: no other explains more.
        let Some((call, payload)) = fitting.by_ref().min() else {
            return Err(HistoryError::NoWriter { version });
        };
        let made = versions.entry(version).or_default();
        (made.call, made.payload) = (*call, Some(*payload));
    }
    Ok(())
}

/// Each version has a moment: behind the call of its writer, behind the calls of all reads of versions before it, and
/// before the return of everything that knew it or a later one.
fn in_order(versions: &BTreeMap<u64, Made>) -> Result<(), HistoryError> {
    let mut by = u64::MAX;
    let mut latest = BTreeMap::new();
    for (version, made) in versions.iter().rev() {
        by = by.min(made.by.unwrap_or(u64::MAX));
        latest.insert(*version, by);
    }
    let mut earliest = 0;
    for (at, (version, made)) in versions.iter().enumerate() {
        // The first one was there before everything.
        if at > 0 {
            earliest = earliest.max(made.call);
            if latest.get(version).is_some_and(|latest| *latest < earliest) {
                return Err(HistoryError::OutOfOrder { version: *version });
            }
        }
        earliest = earliest.max(made.read);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn save(call: u64, ret: Option<u64>, payload: u64, version: u64) -> Operation {
        Operation { call, ret, kind: Kind::Save { payload, version } }
    }

    fn read(call: u64, ret: u64, version: u64, payload: u64) -> Operation {
        Operation { call, ret: Some(ret), kind: Kind::Read { version, payload: Some(payload) } }
    }

    #[test]
    fn a_history_with_an_unknown_save_in_a_gap_is_explained() {
        let history =
            [save(1, Some(2), 10, 1), save(3, None, 11, 2), save(5, Some(8), 12, 3), read(9, 10, 3, 12)];
        assert_eq!(check(0, None, &history), Ok(()));
        assert_eq!(
            check(0, None, &[&history[..1], &history[2..]].concat()),
            Err(HistoryError::NoWriter { version: 2 })
        );
    }

    #[test]
    fn an_unknown_save_need_not_stand() {
        assert_eq!(check(0, None, &[save(1, None, 10, 1), save(2, Some(3), 11, 1)]), Ok(()));
    }

    #[test]
    fn two_writers_of_a_version_are_found() {
        let twice = [save(1, Some(2), 10, 1), save(3, Some(4), 11, 1)];
        assert!(matches!(check(0, None, &twice), Err(HistoryError::TwoWriters { version: 1, .. })));
        let misread = [save(1, Some(2), 10, 1), read(3, 4, 1, 11)];
        assert!(matches!(check(0, None, &misread), Err(HistoryError::TwoWriters { version: 1, .. })));
    }

    #[test]
    fn a_read_that_goes_back_is_found() {
        let history =
            [save(1, Some(2), 10, 1), save(3, Some(4), 11, 2), read(5, 6, 2, 11), read(7, 8, 1, 10)];
        assert_eq!(check(0, None, &history[..3]), Ok(()));
        assert_eq!(check(0, None, &history), Err(HistoryError::OutOfOrder { version: 2 }));
    }

    #[test]
    fn a_save_that_came_back_before_the_one_before_it_began_is_found() {
        let history = [save(5, Some(6), 10, 1), save(1, Some(2), 11, 2)];
        assert_eq!(check(0, None, &history), Err(HistoryError::OutOfOrder { version: 1 }));
    }

    #[test]
    fn a_history_may_begin_at_a_version() {
        assert_eq!(check(7, Some(3), &[read(1, 2, 7, 3), save(3, Some(4), 9, 8)]), Ok(()));
        assert!(check(7, Some(3), &[read(1, 2, 7, 4)]).is_err());
        assert!(check(7, Some(3), &[read(1, 2, 6, 4)]).is_err());
    }
}
