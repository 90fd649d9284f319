//! [`FenceEpoch`] and the guards that check it where a write lands.
//!
//! Time bounds how long a resource is held; epochs keep it safe. A writer that was paused, partitioned or
//! forgotten still believes in its lease, but its epoch is behind and its writes are turned away.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};

use crate::recovery::Recovery;

/// Orders the writers of one resource: each new holder gets a higher epoch than every one before it.
///
/// Not a version (which counts writes) and not a generation (which counts layouts).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct FenceEpoch(pub u64);

impl FenceEpoch {
    /// The epoch of the next holder.
    ///
    /// # Errors
    /// [`EpochExhausted`] after `u64::MAX` holders: an epoch never wraps, since a repeated one fences nobody.
    pub fn next(self) -> Result<Self, EpochExhausted> {
        self.0.checked_add(1).map(Self).ok_or(EpochExhausted)
    }
}

impl fmt::Display for FenceEpoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// There is no epoch above the current one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no epoch is left above current={}: make a new resource and move the data there", u64::MAX)]
pub struct EpochExhausted;

/// A writer came with an epoch behind the current one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a newer writer has taken over: held={held}, current={current}")]
pub struct StaleEpochError {
    /// The epoch that the writer came with.
    pub held: FenceEpoch,
    /// The epoch that the resource has seen.
    pub current: FenceEpoch,
}

impl StaleEpochError {
    /// A fenced writer stops: somebody else owns the resource now.
    #[must_use]
    pub fn recovery(&self) -> Recovery {
        Recovery::StopWriting
    }
}

/// The current epoch of a resource, kept where its writes land.
///
/// An epoch behind it is rejected, an equal one accepted. One ahead is accepted too (its holder was granted it by
/// somebody who knows more than we do), but does not move the guard: [`raise_to`](Self::raise_to) does.
///
/// The epoch never falls, whatever the order of calls and threads.
#[derive(Debug)]
pub struct FenceGuard(AtomicU64);

impl FenceGuard {
    /// A guard that turns away everything behind `epoch`.
    #[must_use]
    pub fn new(epoch: FenceEpoch) -> Self {
        Self(AtomicU64::new(epoch.0))
    }

    /// The epoch below which writers are turned away.
    pub fn current(&self) -> FenceEpoch {
        FenceEpoch(self.0.load(Ordering::SeqCst))
    }

    /// Lets a writer of this epoch pass, or says which epoch fences it.
    ///
    /// # Errors
    /// [`StaleEpochError`] if `epoch` is behind the current one.
    pub fn check(&self, epoch: FenceEpoch) -> Result<(), StaleEpochError> {
        let current = self.current();
        if epoch < current { Err(StaleEpochError { held: epoch, current }) } else { Ok(()) }
    }

    /// Fences every holder so far, and returns the epoch of the next one.
    ///
    /// # Errors
    /// [`EpochExhausted`] at the top; the guard stays where it is.
    pub fn advance(&self) -> Result<FenceEpoch, EpochExhausted> {
        self.0
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |epoch| epoch.checked_add(1))
            .map(|before| FenceEpoch(before + 1))
            .map_err(|_| EpochExhausted)
    }

    /// Learns of an epoch that was granted elsewhere; returns the current one, which is at least that.
    pub fn raise_to(&self, epoch: FenceEpoch) -> FenceEpoch {
        FenceEpoch(self.0.fetch_max(epoch.0, Ordering::SeqCst).max(epoch.0))
    }
}

/// A value that only the newest writer can change: check and change are one step.
///
/// ```
/// use fabricbios_core::lease::{FenceEpoch, Fenced};
///
/// let mut total = Fenced::new(0_u64, FenceEpoch(1));
/// total.write(FenceEpoch(2), |total| *total += 5)?;
/// assert!(total.write(FenceEpoch(1), |total| *total += 100).is_err());
/// assert_eq!(*total.read(), 5);
/// # Ok::<(), fabricbios_core::lease::StaleEpochError>(())
/// ```
#[derive(Debug)]
pub struct Fenced<T> {
    value: T,
    guard: FenceGuard,
}

impl<T> Fenced<T> {
    /// Guards `value` for writers of `epoch` and above.
    #[must_use]
    pub fn new(value: T, epoch: FenceEpoch) -> Self {
        Self { value, guard: FenceGuard::new(epoch) }
    }

    /// Reads need no epoch.
    pub fn read(&self) -> &T {
        &self.value
    }

    /// The epoch below which writers are turned away.
    pub fn epoch(&self) -> FenceEpoch {
        self.guard.current()
    }

    /// Changes the value as a writer of `epoch`, which becomes the current one.
    ///
    /// # Errors
    /// [`StaleEpochError`] if a newer writer has been here; `change` is not called then.
    pub fn write<R>(
        &mut self,
        epoch: FenceEpoch,
        change: impl FnOnce(&mut T) -> R,
    ) -> Result<R, StaleEpochError> {
        self.guard.check(epoch)?;
        self.guard.raise_to(epoch);
        Ok(change(&mut self.value))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_epoch_at_the_top_does_not_wrap() {
        let guard = FenceGuard::new(FenceEpoch(u64::MAX));
        assert_eq!(guard.advance(), Err(EpochExhausted));
        assert_eq!(guard.current(), FenceEpoch(u64::MAX));
        assert_eq!(FenceEpoch(u64::MAX).next(), Err(EpochExhausted));
    }

    #[derive(Clone, Debug)]
    enum Step {
        Advance,
        RaiseTo(u64),
        Check(u64),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let near_top = prop_oneof![0..20_u64, (u64::MAX - 20)..=u64::MAX];
        let step = prop_oneof![
            Just(Step::Advance),
            near_top.clone().prop_map(Step::RaiseTo),
            near_top.prop_map(Step::Check),
        ];
        prop::collection::vec(step, 0..60)
    }

    proptest! {
        #[test]
        fn epochs_never_fall_and_stale_writers_never_pass(start in 0..20_u64, steps in steps()) {
            let guard = FenceGuard::new(FenceEpoch(start));
            let mut highest = start;
            for step in steps {
                match step {
                    Step::Advance => match guard.advance() {
                        Ok(epoch) => { prop_assert_eq!(epoch.0, highest + 1); highest += 1; }
                        Err(EpochExhausted) => prop_assert_eq!(highest, u64::MAX),
                    },
                    Step::RaiseTo(epoch) => {
                        highest = highest.max(epoch);
                        prop_assert_eq!(guard.raise_to(FenceEpoch(epoch)), FenceEpoch(highest));
                    }
                    Step::Check(epoch) => prop_assert_eq!(guard.check(FenceEpoch(epoch)).is_ok(), epoch >= highest),
                }
                prop_assert_eq!(guard.current(), FenceEpoch(highest));
            }
        }

        #[test]
        fn a_fenced_value_holds_only_what_writers_in_order_wrote(epochs in prop::collection::vec(0..10_u64, 0..40)) {
            let mut written = Fenced::new(Vec::new(), FenceEpoch(0));
            for epoch in epochs {
                let passed = written.write(FenceEpoch(epoch), |log| log.push(epoch)).is_ok();
                prop_assert_eq!(passed, written.read().last() == Some(&epoch));
            }
            prop_assert!(written.read().is_sorted());
        }
    }
}
