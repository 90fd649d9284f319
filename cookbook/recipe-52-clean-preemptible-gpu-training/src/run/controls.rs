//! [`Controls`]: how a worker is told from outside to end, to lose its GPU, or to let its lease run out.
//!
//! Clones are the same controls: a signal handler, a thread that reads standard input and the worker share them.
//!
//! Invariant: a revocation that is asked for takes exactly one lease: the one that is held, else the next.

use std::io::{self, BufRead};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use fabricbios_core::lease::LeaseId;
use grafos_std::host::Host;

use super::event::StopCause;

/// Reaches a worker from outside.
#[derive(Clone, Debug, Default)]
pub struct Controls(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    /// In an [`Arc`] of its own, for signal handlers to set.
    stop: Arc<AtomicBool>,
    orphaned: AtomicBool,
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    lease: Option<(Host, LeaseId)>,
    /// Of the lease that is held.
    is_let_run_out: bool,
    revoke_next: bool,
}

impl Controls {
    /// Asks the worker to commit and end.
    pub fn stop(&self) {
        self.0.stop.store(true, Ordering::SeqCst);
    }

    /// Whether the worker was asked to end.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.0.stop.load(Ordering::SeqCst)
    }

    /// Takes the worker's GPU away, now, in the middle of whatever runs on it.
    pub fn revoke(&self) {
        let lease = {
            let mut held = self.held();
            held.revoke_next = held.lease.is_none();
            held.lease.clone()
        };
        if let Some((host, lease_id)) = lease {
            revoke(&host, lease_id);
        }
    }

    /// Lets the lease that the worker holds run out. The next one is renewed again.
    pub fn stop_renewing(&self) {
        self.held().is_let_run_out = true;
    }

    /// Obeys the lines of `input`: `revoke` and `stop-renewing`. Its end asks the worker to end: whoever sent the lines
    /// is gone. Lines that are not known are told to `complain` and passed over.
    ///
    /// # Errors
    /// A thread could not be started.
    pub fn obey(
        &self,
        input: impl BufRead + Send + 'static,
        complain: impl Fn(&str) + Send + 'static,
    ) -> io::Result<()> {
        let controls = self.clone();
        let read = move || {
            for line in input.lines() {
                match line.as_deref().map(str::trim) {
                    Ok("revoke") => controls.revoke(),
                    Ok("stop-renewing") => controls.stop_renewing(),
                    Ok("") => {}
                    Ok(other) => {
                        let shown: String = other.chars().take(64).collect();
                        complain(&format!(
                            "no such command: {shown:?}; there are `revoke` and `stop-renewing`"
                        ));
                    }
                    Err(_) => break,
                }
            }
            controls.0.orphaned.store(true, Ordering::SeqCst);
            controls.stop();
        };
        thread::Builder::new().name("controls".to_owned()).spawn(read).map(drop)
    }

    pub(super) fn cause(&self) -> StopCause {
        if self.0.orphaned.load(Ordering::SeqCst) { StopCause::Orphaned } else { StopCause::Signal }
    }

    /// For a signal handler to set.
    pub(crate) fn stop_flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.0.stop)
    }

    /// The worker holds this lease until the guard is dropped.
    pub(super) fn hold(&self, host: &Host, lease_id: LeaseId) -> Hold<'_> {
        let revoke_now = {
            let mut held = self.held();
            held.lease = Some((host.clone(), lease_id));
            held.is_let_run_out = false;
            std::mem::take(&mut held.revoke_next)
        };
        if revoke_now {
            revoke(host, lease_id);
        }
        Hold { controls: self }
    }

    /// Whether the lease that is held should be renewed.
    pub(super) fn renews(&self) -> bool {
        !self.held().is_let_run_out
    }

    /// Waits for `pause`, or until the worker is asked to end.
    pub(super) fn wait(&self, pause: Duration) {
        const LOOK_AGAIN: Duration = Duration::from_millis(20);
        let mut left = pause;
        while !left.is_zero() && !self.is_stopping() {
            let step = left.min(LOOK_AGAIN);
            thread::park_timeout(step);
            left -= step;
        }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        // Every change is a plain assignment, so a panic elsewhere can't leave half of one.
        self.0.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A lease that the worker holds.
pub(super) struct Hold<'a> {
    controls: &'a Controls,
}

impl Drop for Hold<'_> {
    fn drop(&mut self) {
        self.controls.held().lease = None;
    }
}

fn revoke(host: &Host, lease_id: LeaseId) {
    // The lease may have ended a moment ago.
    match host.revoke(lease_id) {
        Ok(outcome) => tracing::info!(%lease_id, ?outcome, "revoked"),
        Err(error) => tracing::warn!(%lease_id, %error, "the lease could not be revoked"),
    }
}

#[cfg(test)]
mod tests {
    use fabricbios_core::clock::{Clock, SystemClock};
    use fabricbios_core::state::LeaseStatus;
    use grafos_std::gpu::{GpuBuilder, GpuLease};
    use grafos_std::host::LocalHost;

    use super::*;

    fn host() -> (tempfile::TempDir, Host) {
        let home = tempfile::tempdir().unwrap();
        let host = LocalHost::builder().home(home.path()).open().unwrap();
        (home, host)
    }

    fn lease(host: &Host) -> GpuLease {
        GpuBuilder::new().on(host).min_vram(1 << 20).acquire().unwrap()
    }

    #[test]
    fn a_revocation_takes_the_lease_that_is_held() {
        let (_home, host) = host();
        let controls = Controls::default();
        let lease = lease(&host);
        let _held = controls.hold(&host, lease.lease_id());
        controls.clone().revoke();
        assert_eq!(lease.status(), LeaseStatus::Revoked);
    }

    #[test]
    fn a_revocation_without_a_lease_takes_the_next_one_and_no_other() {
        let (_home, host) = host();
        let controls = Controls::default();
        controls.revoke();
        for expected in [LeaseStatus::Revoked, LeaseStatus::Active] {
            let lease = lease(&host);
            let _held = controls.hold(&host, lease.lease_id());
            assert_eq!(lease.status(), expected);
        }
    }

    #[test]
    fn only_the_lease_that_is_held_is_let_run_out() {
        let (_home, host) = host();
        let controls = Controls::default();
        let first = controls.hold(&host, LeaseId(1));
        assert!(controls.renews());
        controls.stop_renewing();
        assert!(!controls.renews());
        drop(first);
        let _second = controls.hold(&host, LeaseId(2));
        assert!(controls.renews());
    }

    #[test]
    fn lines_are_obeyed_and_their_end_asks_for_an_end() {
        let controls = Controls::default();
        let (said, heard) = std::sync::mpsc::channel();
        let _held = controls.hold(&host().1, LeaseId(1));
        let complain = move |line: &str| said.send(line.to_owned()).unwrap();
        controls.obey(io::Cursor::new("stop-renewing\n\ndance\n"), complain).unwrap();
        assert!(heard.recv().unwrap().contains("\"dance\""));
        controls.wait(Duration::from_secs(3600));
        assert!(controls.is_stopping() && !controls.renews());
        assert_eq!(controls.cause(), StopCause::Orphaned);
    }

    #[test]
    fn a_wait_lasts_as_long_as_it_should() {
        let before = SystemClock.now();
        Controls::default().wait(Duration::from_millis(30));
        assert!(SystemClock.now().saturating_since(before) >= Duration::from_millis(30));
    }
}
