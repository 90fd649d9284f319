//! [`Ring`]: a few staging buffers that are used again and again. Knows no kernel.
//!
//! Invariant: after a failure of whoever reads or fills the pieces, all buffers are back and no copy is on its way; only
//! a failure of the session loses them, and that one is for good.

use std::collections::VecDeque;

use grafos_std::gpu::{GpuCopy, GpuError, GpuMemHandle, GpuSession, GpuStream, StagingBuffer};

use super::error::KernelError;

/// How many copies are on their way at the same time.
const BUFFERS: usize = 2;

/// A part of a region that fits into a buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    /// Which region.
    pub(super) region: usize,
    pub(super) offset: u64,
    pub(super) len: usize,
}

/// All of these regions, in order, in pieces of at most `most` bytes.
pub(super) fn pieces(lens: impl IntoIterator<Item = u64>, most: usize) -> impl Iterator<Item = Piece> {
    lens.into_iter().enumerate().flat_map(move |(region, total)| {
        let step = most.max(1);
        (0..total).step_by(step).map(move |offset| {
            let len = usize::try_from(total - offset).map_or(step, |rest| rest.min(step));
            Piece { region, offset, len }
        })
    })
}

pub(super) struct Ring {
    free: Vec<StagingBuffer>,
    piece_bytes: usize,
}

impl Ring {
    pub(super) fn new(session: &mut GpuSession, piece_bytes: usize) -> Result<Self, KernelError> {
        let mut free = Vec::with_capacity(BUFFERS);
        for _ in 0..BUFFERS {
            free.push(session.staging_alloc(piece_bytes)?);
        }
        Ok(Self { free, piece_bytes })
    }

    pub(super) fn piece_bytes(&self) -> usize {
        self.piece_bytes
    }

    /// Copies the pieces from the device, in the order of the stream, and gives each to `take`, while the next one is on
    /// its way.
    pub(super) fn drain<'a>(
        &mut self,
        session: &GpuSession,
        stream: &GpuStream,
        mut pieces: impl Iterator<Item = Piece>,
        memory: impl Fn(usize) -> &'a GpuMemHandle,
        mut take: impl FnMut(Piece, &[u8]) -> Result<(), KernelError>,
    ) -> Result<(), KernelError> {
        self.check()?;
        let mut flying: VecDeque<(Piece, GpuCopy)> = VecDeque::new();
        let mut result = Ok(());
        loop {
            while result.is_ok() && !self.free.is_empty() {
                let Some(piece) = pieces.next() else { break };
                let Some(buffer) = self.free.pop() else { break };
                let copy =
                    session.copy_to_staging(stream, memory(piece.region), piece.offset, buffer, piece.len)?;
                flying.push_back((piece, copy));
            }
            let Some((piece, copy)) = flying.pop_front() else { return result };
            let buffer = copy.wait()?;
            if result.is_ok() {
                result = take(piece, &buffer[..piece.len]);
            }
            self.free.push(buffer);
        }
    }

    /// Lets `give` fill each piece, and copies it to the device, in the order of the stream, while the next one is
    /// filled. Returns when all are there.
    pub(super) fn fill<'a>(
        &mut self,
        session: &GpuSession,
        stream: &GpuStream,
        pieces: impl Iterator<Item = Piece>,
        memory: impl Fn(usize) -> &'a GpuMemHandle,
        mut give: impl FnMut(Piece, &mut [u8]) -> Result<(), KernelError>,
    ) -> Result<(), KernelError> {
        self.check()?;
        let mut flying: VecDeque<GpuCopy> = VecDeque::new();
        let mut result = Ok(());
        for piece in pieces {
            if self.free.is_empty()
                && let Some(copy) = flying.pop_front()
            {
                self.free.push(copy.wait()?);
            }
            let Some(mut buffer) = self.free.pop() else { return Err(lost()) };
            result = give(piece, &mut buffer[..piece.len]);
            if result.is_err() {
                self.free.push(buffer);
                break;
            }
            let to = memory(piece.region);
            flying.push_back(session.copy_from_staging(stream, to, piece.offset, buffer, piece.len)?);
        }
        for copy in flying {
            self.free.push(copy.wait()?);
        }
        result
    }

    fn check(&self) -> Result<(), KernelError> {
        if self.free.len() == BUFFERS { Ok(()) } else { Err(lost()) }
    }
}

/// The session has failed while it had the buffers.
pub(super) fn lost() -> KernelError {
    KernelError::Fabric(GpuError::SessionClosed.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_cover_every_byte_once_and_fit() {
        let found: Vec<_> =
            pieces([10, 0, 4, 5], 4).map(|Piece { region, offset, len }| (region, offset, len)).collect();
        assert_eq!(found, [(0, 0, 4), (0, 4, 4), (0, 8, 2), (2, 0, 4), (3, 0, 4), (3, 4, 1)]);
    }
}
