//! What must never happen, one file each, with a violation made by hand that it must catch.
//!
//! An invariant sees every fact and keeps what it needs; it takes nothing from the programs. After a restore of the
//! engine from an old copy, it forgets what that took back.

mod acknowledged_is_durable;
mod effect_once;
mod epochs_never_fall;
mod fenced_publishes_nothing;
mod no_read_goes_back;
mod nothing_referenced_is_deleted;
mod old_set_publishes_nothing;
mod one_writer_per_version;
mod regression_is_told;
#[cfg(test)]
mod testing;
mod versions_contiguous;

use std::fmt::Debug;

use crate::fact::Fact;

/// What happened against the rule.
pub(crate) type Broken = Result<(), String>;

/// Something that always holds.
pub(crate) trait Invariant: Debug {
    /// Its name, as a sentence.
    fn name(&self) -> &'static str;

    /// Takes note of a fact.
    fn see(&mut self, fact: &Fact<'_>) -> Broken;
}

pub(crate) fn all() -> Vec<Box<dyn Invariant>> {
    vec![
        Box::new(one_writer_per_version::OneWriterPerVersion::default()),
        Box::new(versions_contiguous::VersionsContiguous),
        Box::new(epochs_never_fall::EpochsNeverFall::default()),
        Box::new(fenced_publishes_nothing::FencedPublishesNothing),
        Box::new(old_set_publishes_nothing::OldSetPublishesNothing),
        Box::new(nothing_referenced_is_deleted::NothingReferencedIsDeleted),
        Box::new(acknowledged_is_durable::AcknowledgedIsDurable::default()),
        Box::new(effect_once::EffectOnce::default()),
        Box::new(no_read_goes_back::NoReadGoesBack::default()),
        Box::new(regression_is_told::RegressionIsTold::default()),
    ]
}
