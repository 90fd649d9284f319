//! [`patiently`]: waiting for the locks of other processes.
//!
//! SQLite's own wait grows to a tenth of a second between two looks. Where others commit one after another, the file is
//! free for shorter moments than that, and who waits so is passed by for good.

use std::time::Duration;

use super::failure::NotCommitted;
use crate::error::StoreError;

const FIRST_PAUSE: Duration = Duration::from_micros(50);
const LONGEST_PAUSE: Duration = Duration::from_millis(1);

/// An error that may say that somebody has the file locked, so that nothing was done yet.
pub(super) trait MayBeBusy {
    fn is_busy(&self) -> bool;
}

impl MayBeBusy for StoreError {
    fn is_busy(&self) -> bool {
        matches!(self, Self::Unavailable { .. })
    }
}

impl MayBeBusy for NotCommitted {
    fn is_busy(&self) -> bool {
        matches!(self, Self::Certain(cause) if cause.is_busy())
    }
}

/// Tries until it is not somebody's lock that stands against it, or the pauses add up to `limit`.
#[allow(clippy::disallowed_methods, reason = "the locks of other processes give no sign when they end")]
pub(super) fn patiently<T, E: MayBeBusy>(
    limit: Duration,
    mut attempt: impl FnMut() -> Result<T, E>,
) -> Result<T, E> {
    let (mut waited, mut pause) = (Duration::ZERO, FIRST_PAUSE);
    loop {
        match attempt() {
            Err(error) if error.is_busy() && waited < limit => {
                std::thread::sleep(pause);
                waited += pause;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
            result => return result,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn busy() -> StoreError {
        StoreError::Unavailable { reason: String::new() }
    }

    #[test]
    fn it_is_tried_again_while_others_have_the_lock_and_the_limit_is_not_reached() {
        let mut tries = 0;
        let result = patiently(Duration::from_secs(10), || {
            tries += 1;
            if tries < 4 { Err(busy()) } else { Ok(tries) }
        });
        assert_eq!(result, Ok(4));
        tries = 0;
        let result: Result<(), _> = patiently(Duration::from_millis(3), || {
            tries += 1;
            Err(busy())
        });
        assert_eq!(
            (result, tries),
            (Err(busy()), 8),
            "after 50, 100, 200, 400, 800 and 2 times 1000 microseconds"
        );
    }

    #[test]
    fn any_other_error_ends_it_at_once() {
        let full = || StoreError::Full { what: String::new() };
        let mut tries = 0;
        let result: Result<(), _> = patiently(Duration::from_secs(10), || {
            tries += 1;
            Err(NotCommitted::Certain(full()))
        });
        assert!(matches!(result, Err(NotCommitted::Certain(StoreError::Full { .. }))) && tries == 1);
        let result: Result<(), _> = patiently(Duration::from_secs(10), || {
            tries += 1;
            Err(NotCommitted::Unknown(busy()))
        });
        assert!(matches!(result, Err(NotCommitted::Unknown(_))) && tries == 2, "it may have been done");
    }
}
