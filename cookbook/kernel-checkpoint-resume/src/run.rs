//! [`run`]: from the newest checkpoint, or from silence, to the last step.
//!
//! While the kernel computes one interval, the snapshot at its beginning is drained and saved. So a checkpoint costs the
//! kernel one copy within the device.
//!
//! Invariant: whatever ends this, the archive leads to a state that the undisturbed simulation has, and to one not older
//! than the last that was told to be saved.

use std::sync::atomic::{AtomicBool, Ordering};

use fabricbios_core::recovery::Recovery;
use fabricbios_core::state::LeaseStatus;
use grafos_kernel::checkpoint::{Checkpoint, Kind};
use grafos_kernel::persistent::Snapshot;
use grafos_std::gpu::{GpuBuilder, GpuEvent, GpuExclusivityClass, GpuLease};
use grafos_std::host::Host;

use crate::archive::{Archive, Resumed};
use crate::energy::energy;
use crate::error::RunError;
use crate::event::Event;
use crate::simulation::Simulation;
use crate::slice::{Slice, fields};
use crate::wave::{Sample, Wave};

/// How long a lease is, in seconds, unless it is renewed; it is.
const LEASE_SECS: u64 = 60;

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// What is computed.
    pub simulation: Simulation,
    /// How many steps, from the beginning.
    pub steps: u64,
    /// A checkpoint behind so many steps: 1 to [`Wave::MAX_SAMPLES`].
    pub checkpoint_every: u64,
    /// The host takes the lease away when this step is done.
    pub revoke_at: Option<u64>,
}

/// How a run ended that did not fail.
#[derive(Clone, Debug, PartialEq)]
pub enum Ending {
    /// All steps are done: slices of the field before, at the cut if there was one, and after.
    Finished(Vec<Slice>),
    /// It was asked to stop, and a checkpoint holds all that was done.
    Stopped,
    /// The lease was taken away: another process goes on from the archive.
    Revoked,
}

/// Goes on from the newest checkpoint, until the last step, until `stop` is raised, or until the lease is gone.
///
/// ```
/// use std::sync::atomic::AtomicBool;
/// use cookbook_kernel_checkpoint_resume::{Archive, Ending, Job, Simulation, run};
/// # let home = tempfile::tempdir()?;
/// # let host = grafos_std::host::LocalHost::builder().home(home.path().join("gpu")).open()?;
/// # let dir = home.path().join("checkpoints");
///
/// let simulation = Simulation { size: 8 };
/// let mut job = Job { simulation, steps: 40, checkpoint_every: 10, revoke_at: Some(25) };
/// let mut go_on = |job: &Job| {
///     run(&host, job, &mut Archive::open(&dir, simulation), &AtomicBool::new(false), &mut |_| {})
/// };
/// assert_eq!(go_on(&job)?, Ending::Revoked);
/// job.revoke_at = None;
/// let Ending::Finished(slices) = go_on(&job)? else { unreachable!() };
/// assert_eq!(slices.iter().map(|slice| slice.step).collect::<Vec<_>>(), [10, 20, 40]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`RunError`]. What is in the archive stays.
pub fn run(
    host: &Host,
    job: &Job,
    archive: &mut Archive,
    stop: &AtomicBool,
    tell: &mut dyn FnMut(Event),
) -> Result<Ending, RunError> {
    let resumed = archive.resume()?;
    let mut run = Run { host, job, archive, stop, tell, slices: Slices::default(), saved: None, seen: 0 };
    if let Some(resumed) = &resumed {
        run.begin_at(resumed)?;
        if run.seen == job.steps {
            return run.finish();
        }
    }
    let lease = GpuBuilder::new()
        .on(host)
        .min_vram(Wave::vram_bytes(job.simulation))
        .lease_secs(LEASE_SECS)
        .exclusivity(GpuExclusivityClass::SessionExclusive)
        .acquire()?;
    let result = run.on(&lease, resumed);
    match result {
        // The lease is gone, and nothing else is wrong.
        Err(error) if error.recovery() == Recovery::Reacquire && lease.status() != LeaseStatus::Active => {
            (run.tell)(Event::Revoked { step: run.seen, saved: run.saved });
            Ok(Ending::Revoked)
        }
        Ok(ending) => {
            lease.release()?;
            Ok(ending)
        }
        Err(error) => Err(error),
    }
}

/// What is drawn at the end.
#[derive(Default)]
struct Slices {
    before: Option<Slice>,
    cut: Option<Slice>,
}

struct Run<'a> {
    host: &'a Host,
    job: &'a Job,
    archive: &'a mut Archive,
    stop: &'a AtomicBool,
    tell: &'a mut dyn FnMut(Event),
    slices: Slices,
    /// The step of the newest checkpoint.
    saved: Option<u64>,
    /// The last step that was seen.
    seen: u64,
}

impl Run<'_> {
    fn begin_at(&mut self, resumed: &Resumed) -> Result<(), RunError> {
        for bad in &resumed.set_aside {
            let (checkpoint, cause) = (bad.name.clone(), bad.cause.clone());
            (self.tell)(Event::SetAside { checkpoint, cause, moved_to: bad.moved_to.clone() });
        }
        let found = resumed.step;
        if found > self.job.steps {
            return Err(RunError::PastTheEnd { steps: self.job.steps, found });
        }
        let cut = Slice::of(self.job.simulation, self.newest()?)?;
        let before = resumed.oldest.clone().filter(|oldest| oldest.step < cut.step);
        self.slices = Slices { before, cut: Some(cut) };
        (self.saved, self.seen) = (Some(found), found);
        Ok(())
    }

    fn on(&mut self, lease: &GpuLease, resumed: Option<Resumed>) -> Result<Ending, RunError> {
        let mut wave = Wave::new(lease, self.job.simulation)?;
        let (full_step, deltas) = match resumed {
            Some(resumed) => {
                wave.restore(self.newest()?)?;
                (Some(resumed.full_step), resumed.deltas)
            }
            None => {
                wave.begin()?;
                (None, 0)
            }
        };
        (self.tell)(Event::Started {
            pid: std::process::id(),
            device: lease.device_info().name.clone(),
            size: self.job.simulation.size,
            step: self.seen,
            steps: self.job.steps,
            full_step,
            deltas,
        });
        let mut drawn: Option<Snapshot<'_>> = None;
        loop {
            let end = self.interval_end();
            wave.run_until(end)?;
            let submitted = wave.submit(end - self.seen)?;
            // The kernel is at it; meanwhile what it had done before goes to the disk.
            if let Some(snapshot) = drawn.take() {
                self.save(snapshot)?;
            }
            self.follow(lease, &wave, &submitted)?;
            let stopped = self.stop.load(Ordering::Relaxed);
            self.seen = wave.steps_done()?;
            self.hear(&wave.hear()?);
            let is_new = self.saved != Some(self.seen);
            if stopped || self.seen >= self.job.steps {
                if is_new {
                    self.save(wave.snapshot()?)?;
                }
                if self.seen >= self.job.steps {
                    return self.finish();
                }
                (self.tell)(Event::Stopped { step: self.seen });
                return Ok(Ending::Stopped);
            }
            drawn = Some(wave.snapshot()?);
        }
    }

    /// The next step with a checkpoint.
    fn interval_end(&self) -> u64 {
        let every = self.job.checkpoint_every.max(1);
        (self.seen / every).saturating_add(1).saturating_mul(every).min(self.job.steps)
    }

    /// Waits for the steps, one after the other, while somebody may want something else.
    fn follow(&mut self, lease: &GpuLease, wave: &Wave, submitted: &[GpuEvent]) -> Result<(), RunError> {
        let mut is_asked = false;
        for done in submitted {
            if !is_asked && self.stop.load(Ordering::Relaxed) {
                wave.request_stop()?;
                is_asked = true;
            }
            wave.wait(done)?;
            lease.renew_if_due()?;
            if is_asked {
                // Whether this one was done or left out, the control block says.
                continue;
            }
            self.seen += 1;
            (self.tell)(Event::Step { step: self.seen });
            if self.job.revoke_at == Some(self.seen) {
                self.host.revoke(lease.lease_id())?;
            }
        }
        Ok(())
    }

    fn hear(&mut self, samples: &[Sample]) {
        let loudest = samples.iter().max_by(|a, b| a.pressure.abs().total_cmp(&b.pressure.abs()));
        if let Some(Sample { step, pressure }) = loudest.copied() {
            (self.tell)(Event::Heard { step, pressure });
        }
    }

    /// Drains a snapshot and saves it.
    fn save(&mut self, snapshot: Snapshot<'_>) -> Result<(), RunError> {
        let checkpoint = snapshot.into_checkpoint()?;
        let (simulation, step) = (self.job.simulation, checkpoint.metadata.current_step);
        let (now, before) = fields(simulation, &checkpoint)?;
        let slice = Slice::of(simulation, &checkpoint)?;
        let saved = self.archive.save(checkpoint)?;
        self.saved = Some(step);
        if self.slices.before.is_none() && self.slices.cut.is_none() {
            self.slices.before = Some(slice);
        }
        (self.tell)(Event::Saved {
            step,
            checkpoint: saved.name,
            is_delta: saved.kind == Kind::Delta,
            state_bytes: saved.state_bytes,
            file_bytes: saved.file_bytes,
            energy: energy(simulation, &now, &before).ok_or(RunError::NoField { step })?,
        });
        Ok(())
    }

    fn newest(&self) -> Result<&Checkpoint, RunError> {
        self.archive.newest().ok_or(RunError::NoField { step: self.seen })
    }

    /// The newest checkpoint is that of the last step.
    fn finish(&mut self) -> Result<Ending, RunError> {
        let simulation = self.job.simulation;
        let (now, before) = fields(simulation, self.newest()?)?;
        let mut hasher = blake3::Hasher::new();
        for pressure in now.iter().chain(&before) {
            hasher.update(&pressure.to_le_bytes());
        }
        let steps = self.job.steps;
        let energy = energy(simulation, &now, &before).ok_or(RunError::NoField { step: steps })?;
        (self.tell)(Event::Finished { steps, field: hasher.finalize().to_string(), energy });
        let Slices { before, cut } = std::mem::take(&mut self.slices);
        let mut slices: Vec<_> = before.into_iter().chain(cut).collect();
        let after = Slice::of(simulation, self.newest()?)?;
        slices.retain(|slice| slice.step < after.step);
        slices.push(after);
        Ok(Ending::Finished(slices))
    }
}
