//! Streams and events of a session, and waiting for them.

use grafos_std::error::Result;
use grafos_std::host::{EventId, StreamId};

use super::Session;
use super::memory::out_of;
use super::objects::gone;

impl Session {
    /// Waits until everything that was submitted to any stream of the program is done.
    ///
    /// What others submit meanwhile is waited for too, unless it happens to be done: streams are looked at one after
    /// the other, and one that was seen to be done is not looked at again.
    pub(super) fn wait_for_all(&self) -> Result<()> {
        let streams = self.with(|objects, _| {
            let others: Vec<StreamId> = objects.streams.keys().map(|id| StreamId(*id)).collect();
            Ok(std::iter::once(StreamId::DEFAULT).chain(others).collect::<Vec<_>>())
        })?;
        for stream in streams {
            self.wait_until(|objects, bound| match objects.stream(stream) {
                Ok(stream) => Ok(bound.stream_is_done(stream)?),
                // Destroyed by somebody else, who has waited for it.
                Err(_) => Ok(true),
            })?;
        }
        self.with(|objects, bound| {
            for stream in objects.program_streams() {
                if !bound.stream_is_done(stream)? {
                    return Ok(());
                }
            }
            objects.clear_suspects();
            Ok(())
        })
    }

    pub(super) fn synchronize(&self, stream: Option<StreamId>) -> Result<()> {
        match stream {
            None => self.wait_for_all(),
            Some(stream) => {
                self.wait_until(|objects, bound| Ok(bound.stream_is_done(objects.stream(stream)?)?))
            }
        }
    }

    pub(super) fn create_stream(&self) -> Result<StreamId> {
        self.with(|objects, bound| {
            let stream = bound.create_stream().map_err(|error| out_of("streams", 1, error))?;
            let id = objects.next_id();
            objects.streams.insert(id, stream);
            Ok(StreamId(id))
        })
    }

    pub(super) fn destroy_stream(&self, stream: StreamId) -> Result<()> {
        self.synchronize(Some(stream))?;
        self.with(|objects, bound| {
            let stream = objects.streams.remove(&stream.0).ok_or_else(|| gone("stream"))?;
            Ok(bound.destroy_stream(stream)?)
        })
    }

    pub(super) fn record_event(&self, stream: StreamId) -> Result<EventId> {
        self.with(|objects, bound| {
            objects.stream(stream)?;
            let event = objects.take_event(bound).map_err(|error| out_of("events", 1, error))?;
            let id = objects.next_id();
            // In the table first, so that it is destroyed with the session if the next step fails.
            objects.events.insert(id, event);
            let (event, stream) =
                (objects.events.get(&id).ok_or_else(|| gone("event"))?, objects.stream(stream)?);
            bound.record(event, stream)?;
            Ok(EventId(id))
        })
    }

    pub(super) fn wait_event(&self, stream: StreamId, event: EventId) -> Result<()> {
        self.with(|objects, bound| {
            let event = objects.events.get(&event.0).ok_or_else(|| gone("event"))?;
            Ok(bound.wait_for(objects.stream(stream)?, event)?)
        })
    }

    pub(super) fn event_is_done(&self, event: EventId) -> Result<bool> {
        self.with(|objects, bound| {
            let event = objects.events.get(&event.0).ok_or_else(|| gone("event"))?;
            Ok(bound.event_is_done(event)?)
        })
    }

    pub(super) fn synchronize_event(&self, event: EventId) -> Result<()> {
        self.wait_until(|objects, bound| {
            let event = objects.events.get(&event.0).ok_or_else(|| gone("event"))?;
            Ok(bound.event_is_done(event)?)
        })
    }

    pub(super) fn destroy_event(&self, event: EventId) -> Result<()> {
        self.with(|objects, bound| {
            let event = objects.events.remove(&event.0).ok_or_else(|| gone("event"))?;
            // Not kept for a copy: a stream may still wait for it.
            Ok(bound.destroy_event(event)?)
        })
    }
}
