//! What a caller can do about an error: one vocabulary for every crate.

/// What to do next. Every public error answers one of these with its `recovery()` method.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Recovery {
    /// Nothing is wrong with the request: wait and send it again.
    RetryLater,
    /// The caller's view is old: read again, decide again, then retry.
    RefreshAndRetry,
    /// The outcome is unknown: retry with the very same key, which can't do it twice.
    RetrySameKey,
    /// The lease is gone: take a new one and go on from the last checkpoint.
    Reacquire,
    /// Somebody else owns the resource: stop, and don't retry.
    StopWriting,
    /// The handle can't be trusted after a failed write: drop it and open again.
    Reopen,
    /// This copy is damaged: restore it from another one, or from older history.
    RestoreElsewhere,
    /// The request itself is wrong: change the program, the arguments or the set-up.
    FixCaller,
    /// This can't happen: please report it.
    ReportBug,
}
