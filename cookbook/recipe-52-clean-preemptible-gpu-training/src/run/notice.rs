//! [`Watch`]: sees to it that a worker that was asked to end is gone in time.
//!
//! A worker looks between two steps whether it should end. A step that takes too long is ended from beside it: its GPU
//! is taken away, which stops the kernel where that is possible. What was not committed by then is done again by whoever
//! goes on.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use fabricbios_core::clock::{BootTime, Clock};

use super::controls::Controls;

/// How often the watch looks whether the worker was asked to end.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// What is shared between a worker and its watch.
#[derive(Debug, Default)]
pub(super) struct Watch {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    asked_at: Option<BootTime>,
    is_over: bool,
}

/// The last part of a notice, kept for the commit: a quarter, at most two seconds.
pub(super) fn kept_for_commit(notice: Duration) -> Duration {
    (notice / 4).min(Duration::from_secs(2))
}

impl Watch {
    /// When the worker was asked to end, as first seen by anybody.
    pub(super) fn asked_at(&self, clock: &dyn Clock) -> BootTime {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        *state.asked_at.get_or_insert_with(|| clock.now())
    }

    /// The worker has ended.
    fn end(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).is_over = true;
        self.changed.notify_all();
    }

    /// Whether the worker has ended, after waiting for so long or until it has.
    fn is_over_within(&self, time: Duration) -> bool {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.changed.wait_timeout_while(state, time, |state| !state.is_over);
        waited.unwrap_or_else(PoisonError::into_inner).0.is_over
    }

    /// Runs `work` under the watch.
    ///
    /// # Errors
    /// The thread of the watch could not be started.
    pub(super) fn over<R>(
        self: &Arc<Self>,
        controls: &Controls,
        clock: &Arc<dyn Clock>,
        notice: Duration,
        overrun: Option<fn()>,
        work: impl FnOnce() -> R,
    ) -> std::io::Result<R> {
        struct EndOnDrop<'a>(&'a Watch);
        impl Drop for EndOnDrop<'_> {
            fn drop(&mut self) {
                self.0.end();
            }
        }
        let (watch, controls, clock) = (Arc::clone(self), controls.clone(), Arc::clone(clock));
        let thread = thread::Builder::new()
            .name("notice".to_owned())
            .spawn(move || watch.run(&controls, clock.as_ref(), notice, overrun))?;
        let result = {
            let _end = EndOnDrop(self);
            work()
        };
        // It has nothing to say, and does not panic.
        let _ = thread.join();
        Ok(result)
    }

    fn run(&self, controls: &Controls, clock: &dyn Clock, notice: Duration, overrun: Option<fn()>) {
        while !controls.is_stopping() {
            if self.is_over_within(LOOK_AGAIN) {
                return;
            }
        }
        let asked_at = self.asked_at(clock);
        if self.is_over_by(clock, asked_at.saturating_add(notice - kept_for_commit(notice))) {
            return;
        }
        tracing::warn!("the step that runs does not end in time and is given up");
        controls.revoke();
        if !self.is_over_by(clock, asked_at.saturating_add(notice.max(LEAST_OVERRUN)))
            && let Some(overrun) = overrun
        {
            overrun();
        }
    }

    fn is_over_by(&self, clock: &dyn Clock, deadline: BootTime) -> bool {
        loop {
            let left = deadline.saturating_since(clock.now());
            if self.is_over_within(left.min(Duration::from_millis(200))) {
                return true;
            }
            if clock.now() >= deadline {
                return false;
            }
        }
    }
}

/// However short the notice, a worker has so long to put its things away.
const LEAST_OVERRUN: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use fabricbios_core::clock::SystemClock;

    use super::*;

    #[test]
    fn the_last_quarter_of_a_notice_is_for_the_commit_and_no_more_than_two_seconds() {
        assert_eq!(kept_for_commit(Duration::from_secs(4)), Duration::from_secs(1));
        assert_eq!(kept_for_commit(Duration::from_secs(30)), Duration::from_secs(2));
        assert_eq!(kept_for_commit(Duration::ZERO), Duration::ZERO);
    }

    #[test]
    fn work_that_ends_by_itself_is_not_disturbed() {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let watch = Arc::new(Watch::default());
        let result = watch.over(&Controls::default(), &clock, Duration::ZERO, None, || 7).unwrap();
        assert_eq!(result, 7);
    }

    #[test]
    fn work_that_does_not_end_in_time_loses_its_gpu() {
        use fabricbios_core::state::LeaseStatus;
        use grafos_std::gpu::GpuBuilder;
        let home = tempfile::tempdir().unwrap();
        let host = grafos_std::host::LocalHost::builder().home(home.path()).open().unwrap();
        let lease = GpuBuilder::new().on(&host).min_vram(1 << 20).acquire().unwrap();
        let (controls, watch) = (Controls::default(), Arc::new(Watch::default()));
        let held = controls.hold(&host, lease.lease_id());
        controls.stop();
        let work = || {
            while lease.status() == LeaseStatus::Active {
                thread::yield_now();
            }
        };
        watch.over(&controls, host.clock(), Duration::from_millis(1), None, work).unwrap();
        drop(held);
        assert_eq!(lease.status(), LeaseStatus::Revoked);
    }
}
