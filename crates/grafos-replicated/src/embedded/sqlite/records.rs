//! The records and the last revision, as statements on one connection.
//!
//! Invariants: one statement is one look at the file, so what it returns belongs together; a change and the revision
//! that it takes are one transaction.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::failure::{NotCommitted, at_commit, certain};
use super::patience::patiently;
use crate::error::StoreError;
use crate::metadata_store::{Expect, MAX_RECORD_BYTES, Record, RecordKey, Revision, Transaction};

const READ: &str = "
    SELECT meta.last_revision, records.revision, records.body
    FROM meta LEFT JOIN records ON records.key = ?1";

/// `LEFT JOIN`, so that the last revision comes even if no record does.
const SCAN: &str = "
    SELECT meta.last_revision, records.revision, records.body, records.key
    FROM meta LEFT JOIN records ON records.key >= ?1 AND records.key > ?2
    ORDER BY records.key LIMIT ?3";

const REVISION_OF: &str = "SELECT revision FROM records WHERE key = ?1";

const LAST_REVISION: &str = "SELECT last_revision FROM meta WHERE only_row = 1";

const SET_LAST_REVISION: &str = "UPDATE meta SET last_revision = ?1 WHERE only_row = 1";

/// Two plain statements and not one that does either: SQLite keeps what it would take to undo half of that one.
const INSERT: &str = "INSERT INTO records (revision, body, key) VALUES (?1, ?2, ?3)";

const UPDATE: &str = "UPDATE records SET revision = ?1, body = ?2 WHERE key = ?3";

const DELETE: &str = "DELETE FROM records WHERE key = ?1";

const STRANGE_RECORDS: &str = "
    SELECT (SELECT COUNT(*) <> 1 FROM meta)
        OR EXISTS (SELECT 1 FROM records, meta WHERE revision > last_revision OR LENGTH(body) > ?1)";

/// The record of this key, beside the last revision of the store.
pub(super) fn read(
    connection: &Connection,
    path: &Path,
    key: &RecordKey,
) -> Result<(Option<Record>, u64), StoreError> {
    let failed = |error| certain("read", path, &error);
    let mut statement = connection.prepare_cached(READ).map_err(failed)?;
    let mut rows = statement.query([key.as_str()]).map_err(failed)?;
    let row = rows.next().map_err(failed)?.ok_or_else(|| no_revisions(path))?;
    let last_revision = last_revision_in(path, row)?;
    Ok((record_in(path, row, last_revision)?, last_revision))
}

/// The records of these keys, all of one moment, beside the last revision of the store then.
pub(super) fn read_all(
    connection: &Connection,
    path: &Path,
    keys: &[RecordKey],
) -> Result<(Vec<Option<Record>>, u64), StoreError> {
    let failed = |error| certain("read", path, &error);
    execute(connection, "BEGIN").map_err(failed)?;
    let found: Result<Vec<_>, _> = keys.iter().map(|key| read(connection, path, key)).collect();
    // Nothing was changed. Ended after an error too, since whoever found it locked tries again.
    let ended = execute(connection, "ROLLBACK").map_err(failed);
    let (records, last_revisions): (Vec<_>, Vec<_>) = found?.into_iter().unzip();
    ended?;
    Ok((records, last_revisions.first().copied().unwrap_or(0)))
}

/// Records whose keys begin with `prefix`, behind `after`, beside the last revision of the store.
pub(super) fn scan(
    connection: &Connection,
    path: &Path,
    prefix: &str,
    after: Option<&RecordKey>,
    limit: usize,
) -> Result<(Vec<(RecordKey, Record)>, u64), StoreError> {
    let failed = |error| certain("read", path, &error);
    let after = after.map_or("", RecordKey::as_str);
    // The statement gives at least one row, for the last revision.
    let rows_limit = i64::try_from(limit.max(1)).unwrap_or(i64::MAX);
    let mut statement = connection.prepare_cached(SCAN).map_err(failed)?;
    let mut rows = statement.query(params![prefix, after, rows_limit]).map_err(failed)?;
    let mut found = Vec::new();
    let mut last_revision = None;
    while let Some(row) = rows.next().map_err(failed)? {
        let last = last_revision_in(path, row)?;
        last_revision = Some(last);
        let key: Option<String> = row.get(3).map_err(failed)?;
        let Some(key) = key.filter(|key| found.len() < limit && key.starts_with(prefix)) else { break };
        let Some(record) = record_in(path, row, last)? else { break };
        let key = RecordKey::of_text(&key)
            .ok_or_else(|| corrupt(path, "a record's key is none that this crate makes"))?;
        found.push((key, record));
    }
    Ok((found, last_revision.ok_or_else(|| no_revisions(path))?))
}

/// Whether anything contradicts itself; reads all of the file.
pub(super) fn verify(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    let failed = |error| certain("check", path, &error);
    let verdict: String =
        connection.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0)).map_err(failed)?;
    if verdict != "ok" {
        return Err(corrupt(path, "its pages contradict each other"));
    }
    let limit = i64::try_from(MAX_RECORD_BYTES).unwrap_or(i64::MAX);
    let is_strange: bool =
        connection.query_row(STRANGE_RECORDS, [limit], |row| row.get(0)).map_err(failed)?;
    if is_strange { Err(corrupt(path, "it has records that nobody can have written")) } else { Ok(()) }
}

/// Does all of it if every guard holds, and answers the revision; `None` if one does not.
pub(super) fn commit(
    connection: &Connection,
    path: &Path,
    transaction: &Transaction,
    busy_timeout: Duration,
) -> Result<Option<Revision>, NotCommitted> {
    let failed = |error| certain("commit", path, &error);
    // The write lock, before anything is looked at. The caller closes the connection after an error, which takes back
    // what was begun.
    patiently(busy_timeout, || execute(connection, "BEGIN IMMEDIATE").map_err(failed))?;
    for (key, expect) in &transaction.guards {
        let mut statement = connection.prepare_cached(REVISION_OF).map_err(failed)?;
        let found: Option<i64> =
            statement.query_row([key.as_str()], |row| row.get(0)).optional().map_err(failed)?;
        let found = found.map(|found| number_in(path, found)).transpose()?;
        let holds = match expect {
            Expect::Absent => found.is_none(),
            Expect::At(Revision(revision)) => found == Some(*revision),
        };
        if !holds {
            execute(connection, "ROLLBACK").map_err(failed)?;
            return Ok(None);
        }
    }
    let revision = change(connection, transaction).map_err(failed)?;
    // Some errors take back all that was done and let what follows stand alone: not seen as an error, but here.
    let (Some(revision), false) = (revision, connection.is_autocommit()) else {
        return Err(no_revisions(path).into());
    };
    // Readers stay with what they see, and are not waited for.
    execute(connection, "COMMIT").map_err(|error| at_commit(path, &error))?;
    Ok(Some(Revision(number_in(path, revision)?)))
}

/// `None` if there is not the one row that each change is of.
fn change(connection: &Connection, transaction: &Transaction) -> Result<Option<i64>, rusqlite::Error> {
    let mut last = connection.prepare_cached(LAST_REVISION)?;
    let last: Option<i64> = last.query_row([], |row| row.get(0)).optional()?;
    let Some(revision) = last.and_then(|last| last.checked_add(1)) else { return Ok(None) };
    let mut changed = connection.prepare_cached(SET_LAST_REVISION)?.execute([revision])?;
    for key in &transaction.deletes {
        connection.prepare_cached(DELETE)?.execute([key.as_str()])?;
    }
    // Every record that is put has a guard, which holds.
    let absent = transaction.guards.iter().filter(|(_, expect)| *expect == Expect::Absent);
    let new: BTreeSet<&RecordKey> = absent.map(|(key, _)| key).collect();
    for (key, body) in &transaction.puts {
        let put = if new.contains(key) { INSERT } else { UPDATE };
        changed += connection.prepare_cached(put)?.execute(params![revision, body, key.as_str()])?;
    }
    Ok((changed == 1 + transaction.puts.len()).then_some(revision))
}

fn execute(connection: &Connection, statement: &str) -> Result<(), rusqlite::Error> {
    connection.prepare_cached(statement)?.execute([]).map(drop)
}

fn last_revision_in(path: &Path, row: &Row<'_>) -> Result<u64, StoreError> {
    number_in(path, row.get(0).map_err(|error| certain("read", path, &error))?)
}

/// The record in columns 1 and 2, if there is one.
fn record_in(path: &Path, row: &Row<'_>, last_revision: u64) -> Result<Option<Record>, StoreError> {
    let failed = |error| certain("read", path, &error);
    let Some(revision) = row.get::<_, Option<i64>>(1).map_err(failed)? else { return Ok(None) };
    let revision = number_in(path, revision)?;
    if revision > last_revision {
        return Err(corrupt(path, "a record is newer than the newest change"));
    }
    let body =
        row.get_ref(2).map_err(failed)?.as_blob().map_err(|_| corrupt(path, "a record is no bytes"))?;
    if body.len() > MAX_RECORD_BYTES {
        return Err(corrupt(path, "a record is larger than one can be"));
    }
    Ok(Some(Record { revision: Revision(revision), body: body.to_vec() }))
}

/// A number that SQLite keeps with a sign and we without.
fn number_in(path: &Path, number: i64) -> Result<u64, StoreError> {
    u64::try_from(number).map_err(|_| corrupt(path, "a revision is negative"))
}

fn no_revisions(path: &Path) -> StoreError {
    corrupt(path, "the row that counts revisions is gone")
}

fn corrupt(path: &Path, problem: &'static str) -> StoreError {
    StoreError::Corrupt { what: path.display().to_string(), problem }
}
