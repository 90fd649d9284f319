//! The end of a session: everything is zeroed and freed, and its context destroyed.
//!
//! No call of the driver stops a kernel. If one runs, a thread waits for it and does the rest, and the session counts
//! as alive until then.

use std::mem;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;

use grafos_std::gpu::GpuFault;

use super::objects::{Flight, Objects};
use super::transfer::unregister;
use super::{Live, Pause, Session, Stage};
use crate::code::CudaError;
use crate::driver::{Bound, Driver, HostMemory};

/// How often a kernel is asked whether it has ended before a thread waits for it: for about a quarter of a second.
const GRACE_PAUSES: u32 = 560;

/// What the end of a session has left behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Remains {
    /// The context could not be destroyed.
    is_lost: bool,
    /// Device memory that went with it.
    lost_bytes: u64,
}

impl Session {
    /// Closes the session for its holder: waits for kernels that run, as long as the lease lasts.
    pub(super) fn close(self: &Arc<Self>) {
        // An error means that there is nothing to wait for any more.
        let _ = self.wait_for_all();
        self.shut();
    }

    /// Ends the session now, whatever runs in it; nothing the second time. Whether it was torn down, or will be: the
    /// answer is no if its context was lost.
    pub(crate) fn shut(self: &Arc<Self>) -> bool {
        self.is_closing.store(true, Ordering::SeqCst);
        let live = {
            let mut stage = self.stage();
            match mem::replace(&mut *stage, Stage::Gone { is_lost: false }) {
                Stage::Open(live) => {
                    let left = live.objects.usage();
                    *stage = Stage::ShuttingDown { left, is_waiting: false };
                    live
                }
                other => {
                    *stage = other;
                    drop(stage);
                    return self.wait_until_gone();
                }
            }
        };
        self.changed.notify_all();
        // Most kernels are short: what ends soon is torn down before this returns.
        let mut pause = Pause::default();
        for _ in 0..GRACE_PAUSES {
            if self.is_over(&live) {
                return self.tear_down(live);
            }
            self.set_waiting(true);
            Self::rest(&mut pause);
        }
        self.tear_down_later(live)
    }

    /// Whether nothing runs any more.
    fn is_over(&self, live: &Live) -> bool {
        self.context_is_lost() || live.is_idle(self.lease.host.driver)
    }

    /// Somebody else tears it down. Waits for that, unless that one waits for a kernel.
    fn wait_until_gone(&self) -> bool {
        let mut stage = self.stage();
        loop {
            match &*stage {
                Stage::Gone { is_lost } => return !is_lost,
                Stage::ShuttingDown { is_waiting: false, .. } => {
                    stage = self.changed.wait(stage).unwrap_or_else(std::sync::PoisonError::into_inner);
                }
                Stage::ShuttingDown { .. } | Stage::Open(_) => return true,
            }
        }
    }

    fn tear_down_later(self: &Arc<Self>, live: Box<Live>) -> bool {
        tracing::info!(lease_id = %self.lease.term.lease_id, session = self.number, "waiting for a kernel that runs");
        // Through a slot, since a closure that was not started can't be asked to give the context back.
        let slot = Arc::new(std::sync::Mutex::new(Some(live)));
        let (session, for_thread) = (Arc::clone(self), Arc::clone(&slot));
        let spawned = thread::Builder::new().name("grafos-gpu-end".to_owned()).spawn(move || {
            let live = for_thread.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
            let Some(live) = live else { return };
            let mut pause = Pause::default();
            while !session.is_over(&live) {
                Self::rest(&mut pause);
            }
            session.tear_down(live);
        });
        if spawned.is_err() {
            let live = slot.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
            return live.is_none_or(|live| self.tear_down(live));
        }
        true
    }

    /// Whether whoever shuts the session waits for a kernel: then nobody else waits for them.
    fn set_waiting(&self, waits: bool) {
        if let Stage::ShuttingDown { is_waiting, .. } = &mut *self.stage() {
            *is_waiting = waits;
        }
        self.changed.notify_all();
    }

    /// Ends everything.
    fn tear_down(&self, live: Box<Live>) -> bool {
        self.set_waiting(false);
        let bytes = live.objects.usage().bytes;
        let remains = live.end(self.lease.host.driver, self.context_is_lost());
        if remains.is_lost {
            self.lease.host.lost_contexts.fetch_add(1, Ordering::SeqCst);
        }
        self.lease.give_back(bytes);
        self.lease.session_gone(self.number, remains.lost_bytes);
        // Last, so that whoever waits for it finds the device free.
        *self.stage() = Stage::Gone { is_lost: remains.is_lost };
        self.changed.notify_all();
        !remains.is_lost
    }

    /// Whether the context answers everything with a fault, and nothing runs in it any more. After an answer of the
    /// driver that we did not expect, both are open: teardown tries everything then.
    fn context_is_lost(&self) -> bool {
        matches!(
            self.fault.get(),
            Some(GpuFault::Kernel(_) | GpuFault::Ecc { .. } | GpuFault::DeviceLost { .. })
        )
    }

    /// Frees memory that was page-locked, in session or not.
    pub(super) fn put_memory(&self, memory: HostMemory) {
        let mut stage = self.stage();
        match &mut *stage {
            Stage::Open(live) => {
                let Live { context, objects } = live.as_mut();
                let freed = match self.lease.host.driver.bind(context) {
                    Ok(bound) => unregister(objects, &bound, memory),
                    Err(error) => {
                        // Still registered, so it is nobody else's.
                        mem::forget(memory);
                        Err(error)
                    }
                };
                if let Err(error) = freed {
                    let fault = error.fault(objects.suspects());
                    drop(stage);
                    self.failed(fault);
                }
            }
            // Whoever tears it down has the list of what is registered, and needs no memory for that.
            Stage::ShuttingDown { .. } => {
                drop(stage);
                self.free_after_the_end(memory);
            }
            Stage::Gone { is_lost: false } => drop(memory),
            // Pages that a lost context may still know.
            Stage::Gone { is_lost: true } => mem::forget(memory),
        }
    }

    /// Memory that is registered in a context that is being destroyed: it is freed when that is done. While that waits
    /// for a kernel nobody waits for it, and the memory stays.
    fn free_after_the_end(&self, memory: HostMemory) {
        let is_torn_down = self.wait_until_gone();
        let is_gone = matches!(&*self.stage(), Stage::Gone { is_lost: false });
        if is_torn_down && is_gone { drop(memory) } else { mem::forget(memory) }
    }
}

impl Live {
    /// Whether nothing runs. If the driver does not say so, something may.
    fn is_idle(&self, driver: &Driver) -> bool {
        let Ok(bound) = driver.bind(&self.context) else { return true };
        // An error is a fault: nothing runs after one.
        self.objects.all_streams().all(|stream| bound.stream_is_done(stream).unwrap_or(true))
    }

    /// Waits for what runs, zeroes, frees, destroys. Goes on after errors: each step frees something else.
    fn end(self: Box<Self>, driver: &Driver, context_is_lost: bool) -> Remains {
        let Self { context, objects } = *self;
        let bytes = objects.usage().bytes;
        let mut first = None;
        let kept = match driver.bind(&context) {
            // A context with a fault answers every call with it: only its destruction frees anything.
            Ok(bound) if !context_is_lost => objects.end(&bound, &mut first),
            Ok(_) => objects.into_host_memory(),
            Err(error) => {
                first.get_or_insert(error);
                objects.into_host_memory()
            }
        };
        if let Some(error) = first {
            tracing::warn!(%error, "a session could not free everything by itself; its context goes as a whole");
        }
        match driver.destroy_context(context) {
            Ok(()) => Remains { is_lost: false, lost_bytes: 0 },
            Err(error) => {
                tracing::error!(%error, bytes, "a context could not be destroyed; its memory is lost to this process");
                // A copy may still be under way.
                kept.into_iter().for_each(mem::forget);
                Remains { is_lost: true, lost_bytes: bytes }
            }
        }
    }
}

impl Objects {
    /// Host memory that the device may know, to be kept until the context is gone.
    fn into_host_memory(self) -> Vec<HostMemory> {
        let flights = self.flights.into_values().map(|flight| flight.memory);
        flights.chain(self.buffers).collect()
    }

    /// Zeroes and frees everything, and keeps the first error. Returns the host memory, to be freed when the context is
    /// gone.
    fn end(mut self, bound: &Bound<'_>, first: &mut Option<CudaError>) -> Vec<HostMemory> {
        let mut note = |result: Result<(), CudaError>| {
            if let Err(error) = result {
                first.get_or_insert(error);
            }
        };
        note(bound.synchronize());
        for (address, bytes) in &self.allocations {
            note(bound.fill(&self.chores, *address, 0, *bytes));
        }
        note(bound.synchronize());
        let mut kept = Vec::new();
        for (_, Flight { event, memory, .. }) in self.flights.drain() {
            note(bound.destroy_event(event));
            kept.push(memory);
        }
        let events = self.events.drain().map(|(_, event)| event);
        events.chain(self.spare_events.drain(..)).for_each(|event| note(bound.destroy_event(event)));
        // Kernels are gone before their modules.
        let mut kernels: Vec<_> = self.kernels.drain().map(|(_, kernel)| kernel.function).collect();
        for (_, loaded) in self.modules.drain() {
            note(bound.unload(loaded.module, mem::take(&mut kernels)));
        }
        for address in mem::take(&mut self.allocations).into_keys() {
            note(bound.free(address));
        }
        for address in mem::take(&mut self.registered) {
            note(bound.unregister(address));
        }
        kept.append(&mut self.buffers);
        self.streams.drain().for_each(|(_, stream)| note(bound.destroy_stream(stream)));
        for stream in self.into_own_streams() {
            note(bound.destroy_stream(stream));
        }
        kept
    }
}
