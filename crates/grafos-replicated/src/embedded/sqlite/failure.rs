//! What SQLite's errors mean: which of them leave no doubt that nothing was committed.
//!
//! A commit takes place when its last page is in the log, marked as such, and it is durable when the log is synced.
//! An error before `COMMIT` is certain: what the log has without that mark counts for nothing, and the next commit
//! writes over it. Of the errors of `COMMIT` itself, two can only come from before the mark is written: a lock that was
//! not to be had, and a full disk. Any other may have come from the mark or from the sync: whoever opens the file after
//! a crash may find the commit there, unless another one was written over it.

use std::path::Path;

use rusqlite::ffi::ErrorCode;

use crate::error::StoreError;

/// What to answer for an error that says for certain that nothing was done.
pub(super) fn certain(operation: &'static str, path: &Path, error: &rusqlite::Error) -> StoreError {
    let what = path.display().to_string();
    let Some(code) = error.sqlite_error_code() else {
        // A value of another type than was asked for, a row too few: not what this crate writes.
        return StoreError::Corrupt { what, problem: "a row is not of the form that it should have" };
    };
    match code {
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked | ErrorCode::FileLockingProtocolFailed => {
            StoreError::Unavailable { reason: format!("another process keeps the file locked: {what}") }
        }
        ErrorCode::DiskFull => StoreError::Full { what },
        ErrorCode::SystemIoFailure if is_shared_memory_too_small(error) => StoreError::Full { what },
        ErrorCode::DatabaseCorrupt => {
            StoreError::Corrupt { what, problem: "its pages contradict each other" }
        }
        ErrorCode::NotADatabase => {
            StoreError::Foreign { what, problem: "it is no database, or its first page is damaged" }
        }
        ErrorCode::SchemaChanged | ErrorCode::TypeMismatch | ErrorCode::ConstraintViolation => {
            StoreError::Corrupt { what, problem: "its tables are not those that it was made with" }
        }
        ErrorCode::Unknown if is_missing_table(error) => {
            StoreError::Corrupt { what, problem: "its tables are not those that it was made with" }
        }
        ErrorCode::CannotOpen | ErrorCode::PermissionDenied | ErrorCode::ReadOnly => {
            StoreError::Io { operation, errno: errno_of_opening(path), what }
        }
        // SQLite keeps the system's number to itself.
        _ => StoreError::Io { operation, what, errno: 0 },
    }
}

/// What to answer for an error of `COMMIT`.
pub(super) fn at_commit(path: &Path, error: &rusqlite::Error) -> NotCommitted {
    let cause = certain("commit", path, error);
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DiskFull) => NotCommitted::Certain(cause),
        _ => NotCommitted::Unknown(cause),
    }
}

/// Why a transaction was not seen to take place.
#[derive(Debug)]
pub(super) enum NotCommitted {
    /// It did not, and will not.
    Certain(StoreError),
    /// It may have.
    Unknown(StoreError),
}

impl From<StoreError> for NotCommitted {
    fn from(cause: StoreError) -> Self {
        Self::Certain(cause)
    }
}

/// SQLite has one code for every statement that it can't compile. Ours compile where our tables are.
fn is_missing_table(error: &rusqlite::Error) -> bool {
    matches!(error, rusqlite::Error::SqliteFailure(failure, _) if failure.extended_code == rusqlite::ffi::SQLITE_ERROR)
}

/// The shared memory is a file too, and grows before it is used.
fn is_shared_memory_too_small(error: &rusqlite::Error) -> bool {
    let code = rusqlite::ffi::SQLITE_IOERR_SHMSIZE;
    matches!(error, rusqlite::Error::SqliteFailure(failure, _) if failure.extended_code == code)
}

/// Why the system would not open the file for writing; 0 if it would.
fn errno_of_opening(path: &Path) -> i32 {
    use rustix::fs::{Access, access};
    access(path, Access::READ_OK | Access::WRITE_OK).map_or_else(rustix::io::Errno::raw_os_error, |()| 0)
}

#[cfg(test)]
mod tests {
    use rusqlite::ffi;

    use super::*;

    fn failure(code: i32) -> rusqlite::Error {
        rusqlite::Error::SqliteFailure(ffi::Error::new(code), None)
    }

    #[test]
    fn only_errors_from_before_the_mark_are_certain_at_commit() {
        let path = Path::new("/nowhere/register");
        let outcome = |code| at_commit(path, &failure(code));
        assert!(matches!(outcome(ffi::SQLITE_BUSY), NotCommitted::Certain(StoreError::Unavailable { .. })));
        assert!(matches!(outcome(ffi::SQLITE_FULL), NotCommitted::Certain(StoreError::Full { .. })));
        for code in [
            ffi::SQLITE_IOERR_DIR_FSYNC,
            ffi::SQLITE_IOERR_SHMSIZE,
            ffi::SQLITE_IOERR_DELETE,
            ffi::SQLITE_IOERR_FSYNC,
            ffi::SQLITE_IOERR_WRITE,
            ffi::SQLITE_NOMEM,
            ffi::SQLITE_CORRUPT,
            ffi::SQLITE_READONLY_DBMOVED,
            ffi::SQLITE_INTERNAL,
        ] {
            assert!(matches!(outcome(code), NotCommitted::Unknown(_)), "{code}");
        }
    }

    #[test]
    fn each_code_becomes_what_a_caller_can_act_on() {
        let path = Path::new("/nowhere/register");
        let of = |code| certain("read", path, &failure(code));
        assert!(matches!(of(ffi::SQLITE_BUSY), StoreError::Unavailable { .. }));
        assert!(matches!(of(ffi::SQLITE_NOTADB), StoreError::Foreign { .. }));
        assert!(matches!(of(ffi::SQLITE_CORRUPT_INDEX), StoreError::Corrupt { .. }));
        assert!(matches!(of(ffi::SQLITE_ERROR), StoreError::Corrupt { .. }));
        assert!(matches!(of(ffi::SQLITE_CANTOPEN), StoreError::Io { errno: 2, .. }), "no such file");
        assert!(matches!(of(ffi::SQLITE_IOERR_SHMSIZE), StoreError::Full { .. }));
        assert!(matches!(of(ffi::SQLITE_IOERR_READ), StoreError::Io { errno: 0, .. }));
        assert!(matches!(
            certain("read", path, &rusqlite::Error::QueryReturnedNoRows),
            StoreError::Corrupt { .. }
        ));
    }
}
