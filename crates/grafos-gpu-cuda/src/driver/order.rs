//! Streams and events: what happens after what.

use std::ffi::c_uint;
use std::ptr;

use cudarc::driver::sys::{CUevent, CUstream};

use super::{Bound, Event, Stream, call, checked};
use crate::code::{CudaError, NOT_READY};

/// Streams that don't wait for the context's default stream: CU_STREAM_NON_BLOCKING.
const NON_BLOCKING: c_uint = 1;
/// Events that don't measure time are faster: CU_EVENT_DISABLE_TIMING.
const WITHOUT_TIMING: c_uint = 2;

/// Whether something is done, from a call that answers "not ready" if it is not.
fn is_done(answer: Result<(), CudaError>) -> Result<bool, CudaError> {
    match answer {
        Ok(()) => Ok(true),
        Err(CudaError { code: NOT_READY, .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

impl Bound<'_> {
    pub(crate) fn create_stream(&self) -> Result<Stream, CudaError> {
        let mut raw: CUstream = ptr::null_mut();
        // SAFETY: the pointer is to a handle of ours.
        unsafe { call!(self.driver, cuStreamCreate(&raw mut raw, NON_BLOCKING)) }?;
        Ok(Stream { raw, context: self.context })
    }

    /// Destroys a stream. What it still has to do is done.
    #[allow(clippy::needless_pass_by_value, reason = "nothing can be done with it afterwards")]
    pub(crate) fn destroy_stream(&self, stream: Stream) -> Result<(), CudaError> {
        self.check("cuStreamDestroy_v2", stream.context)?;
        // SAFETY: it is alive, since it is taken by value and nothing else destroys it.
        unsafe { call!(self.driver, cuStreamDestroy_v2(stream.raw)) }
    }

    /// Whether everything on a stream is done.
    pub(crate) fn stream_is_done(&self, stream: &Stream) -> Result<bool, CudaError> {
        self.check("cuStreamQuery", stream.context)?;
        // SAFETY: the stream is alive and of this context.
        is_done(unsafe { call!(self.driver, cuStreamQuery(stream.raw)) })
    }

    pub(crate) fn create_event(&self) -> Result<Event, CudaError> {
        let mut raw: CUevent = ptr::null_mut();
        // SAFETY: the pointer is to a handle of ours.
        unsafe { call!(self.driver, cuEventCreate(&raw mut raw, WITHOUT_TIMING)) }?;
        Ok(Event { raw, context: self.context })
    }

    /// Destroys an event, also one that has not happened yet.
    #[allow(clippy::needless_pass_by_value, reason = "nothing can be done with it afterwards")]
    pub(crate) fn destroy_event(&self, event: Event) -> Result<(), CudaError> {
        self.check("cuEventDestroy_v2", event.context)?;
        // SAFETY: it is alive, since it is taken by value and nothing else destroys it.
        unsafe { call!(self.driver, cuEventDestroy_v2(event.raw)) }
    }

    /// The event happens when everything that was submitted to the stream before is done.
    pub(crate) fn record(&self, event: &Event, stream: &Stream) -> Result<(), CudaError> {
        self.check("cuEventRecord", stream.context)?;
        self.check("cuEventRecord", event.context)?;
        // SAFETY: both are alive and of this context.
        unsafe { call!(self.driver, cuEventRecord(event.raw, stream.raw)) }
    }

    /// Whether an event has happened.
    pub(crate) fn event_is_done(&self, event: &Event) -> Result<bool, CudaError> {
        self.check("cuEventQuery", event.context)?;
        // SAFETY: the event is alive and of this context.
        is_done(unsafe { call!(self.driver, cuEventQuery(event.raw)) })
    }

    /// What is submitted to the stream from now on waits for the event.
    pub(crate) fn wait_for(&self, stream: &Stream, event: &Event) -> Result<(), CudaError> {
        self.check("cuStreamWaitEvent", stream.context)?;
        self.check("cuStreamWaitEvent", event.context)?;
        // SAFETY: both are alive and of this context; 0 is the only flag that is of use here.
        unsafe { call!(self.driver, cuStreamWaitEvent(stream.raw, event.raw, 0)) }
    }
}
