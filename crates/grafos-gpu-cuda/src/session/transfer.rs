//! Copies between a session and the program: in flight with memory that the session owns until they are done.

use std::collections::VecDeque;
use std::ops::Range;

use grafos_std::error::{FabricError, Result};
use grafos_std::host::{DevicePtr, StreamId};

use super::objects::{Flight, Objects, gone};
use super::{Session, Trouble};
use crate::code::{CudaError, INVALID_VALUE, NOT_SUPPORTED, OUT_OF_MEMORY};
use crate::driver::{Bound, HostMemory};

const STAGING_MEMORY: &str = "bytes of page-locked memory";
/// Large copies go through buffers of this size, two at a time.
const BUFFER_BYTES: usize = 4 << 20;
/// Small ones through buffers of this size.
const SMALL_BUFFER_BYTES: usize = 64 << 10;
/// How many buffers are kept.
const MOST_BUFFERS: usize = 4;
/// How many copies are under way at a time for one caller.
const DEPTH: usize = 2;

/// Which way a copy goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    ToDevice,
    FromDevice,
}

/// Names a copy that is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FlightId(u64);

impl Session {
    /// Copies in the order of the stream; done when it returns.
    pub(super) fn write(&self, stream: StreamId, to: DevicePtr, from: &[u8]) -> Result<()> {
        self.with(|objects, _| objects.check_range(to.0, from.len() as u64))?;
        let each = buffer_bytes(from.len());
        let mut under_way = UnderWay::of(self);
        let mut address = to.0;
        for part in from.chunks(each) {
            under_way.make_room(&mut |_| ())?;
            let mut memory = self.take_buffer(each)?;
            let len = part.len();
            memory.bytes_mut()[..len].copy_from_slice(part);
            under_way.begin(self.fly(stream, Way::ToDevice, address, memory, 0..len)?, len);
            address += len as u64;
        }
        under_way.finish_all(&mut |_| ())
    }

    /// Copies in the order of the stream; done when it returns.
    pub(super) fn read(&self, stream: StreamId, from: DevicePtr, into: &mut [u8]) -> Result<()> {
        self.with(|objects, _| objects.check_range(from.0, into.len() as u64))?;
        let each = buffer_bytes(into.len());
        let mut under_way = UnderWay::of(self);
        let (mut submitted, mut landed, all) = (0, 0, into.len());
        let mut land = |bytes: &[u8]| {
            into[landed..landed + bytes.len()].copy_from_slice(bytes);
            landed += bytes.len();
        };
        while submitted < all {
            under_way.make_room(&mut land)?;
            let len = each.min(all - submitted);
            let memory = self.take_buffer(each)?;
            let address = from.0 + submitted as u64;
            under_way.begin(self.fly(stream, Way::FromDevice, address, memory, 0..len)?, len);
            submitted += len;
        }
        under_way.finish_all(&mut land)
    }

    /// Submits a copy, and takes its memory until it has landed.
    pub(super) fn fly(
        &self,
        stream: StreamId,
        way: Way,
        address: u64,
        memory: HostMemory,
        range: Range<usize>,
    ) -> Result<FlightId> {
        // Out here, so that it survives whatever the driver says: the session has it then, or nothing was submitted.
        let mut memory = Some(memory);
        let flown = self.with(|objects, bound| {
            sweep(objects, bound)?;
            objects.check_range(address, range.len() as u64)?;
            objects.stream(stream)?;
            let event = objects.take_event(bound)?;
            let id = objects.next_id();
            let Some(memory) = memory.take() else { return Err(gone("staging buffer")) };
            // In the table before anything is submitted: from there it is only given back when the copy is done.
            objects.flights.insert(id, Flight { event, memory, is_abandoned: true });
            submit(objects, bound, id, stream, way, address, range)?;
            if let Some(flight) = objects.flights.get_mut(&id) {
                flight.is_abandoned = false;
            }
            Ok(FlightId(id))
        });
        if let Some(memory) = memory {
            self.put_memory(memory);
        }
        flown
    }

    /// Whether a copy has landed, or never will.
    pub(super) fn has_landed(&self, flight: FlightId) -> bool {
        let landed = self.with(|objects, bound| {
            let flight = objects.flights.get(&flight.0).ok_or_else(|| gone("copy"))?;
            Ok(bound.event_is_done(&flight.event)?)
        });
        landed.unwrap_or(true)
    }

    /// Waits for a copy, and gives its memory back.
    pub(super) fn land(&self, id: FlightId) -> Result<HostMemory> {
        self.wait_until(|objects, bound| {
            let flight = objects.flights.get(&id.0).ok_or_else(|| gone("copy"))?;
            Ok(bound.event_is_done(&flight.event)?)
        })?;
        self.with(|objects, bound| {
            let Flight { event, memory, .. } = objects.flights.remove(&id.0).ok_or_else(|| gone("copy"))?;
            if let Err(error) = objects.put_event(bound, event) {
                objects.buffers.push(memory);
                return Err(error.into());
            }
            Ok(memory)
        })
    }

    /// Nobody will ask for a copy any more: its memory is freed when it has landed.
    pub(super) fn abandon(&self, id: FlightId) {
        // If this fails the session is over, and its end frees the memory.
        let _ = self.with(|objects, bound| {
            if let Some(flight) = objects.flights.get_mut(&id.0) {
                flight.is_abandoned = true;
            }
            sweep(objects, bound)
        });
    }

    /// Page-locked memory of its own for the program; zeros.
    pub(super) fn staging(&self, bytes: usize) -> Result<HostMemory> {
        self.with(|objects, bound| new_memory(objects, bound, bytes))
    }

    /// A buffer of at least so many bytes.
    fn take_buffer(&self, bytes: usize) -> Result<HostMemory> {
        self.with(|objects, bound| match objects.buffers.iter().position(|buffer| buffer.len() >= bytes) {
            Some(at) => Ok(objects.buffers.swap_remove(at)),
            None => new_memory(objects, bound, bytes),
        })
    }

    fn put_buffer(&self, memory: HostMemory) {
        let mut memory = Some(memory);
        // If this fails the session is over, and the memory is freed as that of the program is.
        let _ = self.with(|objects, _| {
            if objects.buffers.len() < MOST_BUFFERS
                && let Some(memory) = memory.take()
            {
                objects.buffers.push(memory);
            }
            Ok(())
        });
        if let Some(memory) = memory {
            self.put_memory(memory);
        }
    }
}

/// Submits the copy of a flight, and the event behind it.
fn submit(
    objects: &mut Objects,
    bound: &Bound<'_>,
    id: u64,
    stream: StreamId,
    way: Way,
    address: u64,
    range: Range<usize>,
) -> Result<(), Trouble> {
    let Some(mut flight) = objects.flights.remove(&id) else { return Err(gone("copy")) };
    let submitted = objects.stream(stream).and_then(|stream| {
        // SAFETY: whatever comes out of this, the flight goes back into the table, and its memory leaves the table only
        // when the event behind the copy has happened (`land`, `sweep`) or when the context was destroyed
        // (`shutting`); its pages don't move meanwhile, since only the owner of them is moved.
        let copied = unsafe {
            match way {
                Way::ToDevice => bound.copy_in(stream, address, &flight.memory, range),
                Way::FromDevice => bound.copy_out(stream, address, &mut flight.memory, range),
            }
        };
        copied?;
        Ok(bound.record(&flight.event, stream)?)
    });
    objects.flights.insert(id, flight);
    submitted
}

/// Frees the memory of copies that nobody asks for and that have landed. A session that fails here frees them at its
/// end.
fn sweep(objects: &mut Objects, bound: &Bound<'_>) -> Result<(), Trouble> {
    let abandoned: Vec<u64> =
        objects.flights.iter().filter(|(_, flight)| flight.is_abandoned).map(|(id, _)| *id).collect();
    for id in abandoned {
        let Some(flight) = objects.flights.get(&id) else { continue };
        if !bound.event_is_done(&flight.event)? {
            continue;
        }
        if let Some(Flight { event, memory, .. }) = objects.flights.remove(&id) {
            objects.buffers.push(memory);
            objects.put_event(bound, event)?;
        }
    }
    while objects.buffers.len() > MOST_BUFFERS {
        let Some(memory) = objects.buffers.pop() else { break };
        unregister(objects, bound, memory)?;
    }
    Ok(())
}

/// Ends the registration of memory and frees it. Memory that the driver does not let go is leaked: pages that a device
/// may still know are nobody else's.
pub(super) fn unregister(
    objects: &mut Objects,
    bound: &Bound<'_>,
    memory: HostMemory,
) -> Result<(), CudaError> {
    if !objects.registered.remove(&memory.address()) {
        return Ok(());
    }
    bound.unregister(memory.address()).inspect_err(|_| std::mem::forget(memory))
}

/// New page-locked memory. Where the machine can't lock pages, copies are slower and all else is the same.
fn new_memory(objects: &mut Objects, bound: &Bound<'_>, bytes: usize) -> Result<HostMemory, Trouble> {
    let too_much = || {
        let requested = bytes as u64;
        Trouble::Other(FabricError::CapacityExceeded { what: STAGING_MEMORY, requested, available: 0 })
    };
    let memory = HostMemory::new(bytes).ok_or_else(too_much)?;
    match bound.register(&memory) {
        Ok(()) => {
            objects.registered.insert(memory.address());
        }
        Err(CudaError { code: OUT_OF_MEMORY, .. }) => return Err(too_much()),
        Err(error @ CudaError { code: NOT_SUPPORTED | INVALID_VALUE, .. }) => {
            tracing::warn!(%error, "memory could not be page-locked: copies of it are slower");
        }
        Err(error) => return Err(error.into()),
    }
    Ok(memory)
}

fn buffer_bytes(len: usize) -> usize {
    if len <= SMALL_BUFFER_BYTES { SMALL_BUFFER_BYTES } else { BUFFER_BYTES }
}

/// The copies of one caller, oldest first. Those that nobody has waited for when it is dropped are abandoned.
struct UnderWay<'a> {
    session: &'a Session,
    flights: VecDeque<(FlightId, usize)>,
}

impl<'a> UnderWay<'a> {
    fn of(session: &'a Session) -> Self {
        Self { session, flights: VecDeque::with_capacity(DEPTH) }
    }

    fn begin(&mut self, flight: FlightId, len: usize) {
        self.flights.push_back((flight, len));
    }

    /// Waits for the oldest if there are as many as there may be, and shows what it has brought.
    fn make_room(&mut self, show: &mut impl FnMut(&[u8])) -> Result<()> {
        if self.flights.len() < DEPTH { Ok(()) } else { self.finish(show) }
    }

    fn finish(&mut self, show: &mut impl FnMut(&[u8])) -> Result<()> {
        let Some((flight, len)) = self.flights.front().copied() else { return Ok(()) };
        let memory = self.session.land(flight)?;
        self.flights.pop_front();
        show(&memory.bytes()[..len]);
        self.session.put_buffer(memory);
        Ok(())
    }

    fn finish_all(&mut self, show: &mut impl FnMut(&[u8])) -> Result<()> {
        while !self.flights.is_empty() {
            self.finish(show)?;
        }
        Ok(())
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        for (flight, _) in self.flights.drain(..) {
            self.session.abandon(flight);
        }
    }
}
