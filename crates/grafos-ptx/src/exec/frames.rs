//! [`Frames`]: the calls that lanes of a warp are in.
//!
//! Frames form a tree, since lanes may part within a function and call others from there. The registers and the local
//! memory of a frame lie behind those of its caller; frames at the same depth overlap, in different lanes.

use crate::error::FaultKind;
use crate::program::{Function, Target};

use super::registers::Bases;

/// A call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) function: u32,
    /// Where the caller goes on.
    pub(super) return_to: Target,
    pub(super) parent: u32,
    pub(super) depth: u32,
    pub(super) bases: Bases,
    /// Where its local memory starts.
    pub(super) local: u32,
    /// Bytes of the stack in use, its own included.
    stack_bytes: u64,
}

/// The frame of the kernel.
pub(super) const ENTRY: u32 = 0;
/// What a call costs at least, so that endless recursion ends.
const CALL_BYTES: u64 = 64;

/// All frames in use, by number.
#[derive(Debug, Default)]
pub(super) struct Frames {
    frames: Vec<Frame>,
    /// How many groups and called frames need each.
    uses: Vec<u32>,
    unused: Vec<u32>,
}

impl Frames {
    /// One frame, used by one group: that of the kernel.
    pub(super) fn reset(&mut self, kernel: u32, function: &Function, limit: u32) -> Result<(), FaultKind> {
        let stack_bytes = u64::from(function.local_bytes);
        let frame = Frame {
            function: kernel,
            return_to: 0,
            parent: ENTRY,
            depth: 0,
            bases: Bases::default(),
            local: 0,
            stack_bytes,
        };
        self.frames.clear();
        self.uses.clear();
        self.unused.clear();
        self.frames.push(frame);
        self.uses.push(1);
        within(stack_bytes, limit)
    }

    pub(super) fn at(&self, frame: u32) -> Frame {
        self.frames[frame as usize]
    }

    /// What a call from `parent` would be.
    pub(super) fn callee(
        &self,
        (parent, caller): (u32, &Function),
        (function, callee): (u32, &Function),
        return_to: Target,
        limit: u32,
    ) -> Result<Frame, FaultKind> {
        let above = self.at(parent);
        let local = (u64::from(above.local) + u64::from(caller.local_bytes)).next_multiple_of(16);
        let registers = 4 * u64::from(callee.num_regs_32) + 8 * u64::from(callee.num_regs_64);
        let own = u64::from(callee.local_bytes).next_multiple_of(16) + registers + CALL_BYTES;
        let stack_bytes = above.stack_bytes + own;
        within(stack_bytes, limit)?;
        Ok(Frame {
            function,
            return_to,
            parent,
            depth: above.depth + 1,
            bases: above.bases.after(caller),
            // The local memory is a part of the stack, which has less than 4 GiB.
            local: super::low32(local),
            stack_bytes,
        })
    }

    /// Moves one use from the caller's frame to a new one.
    pub(super) fn push(&mut self, frame: Frame) -> u32 {
        // The caller's frame is used by the new one in place of the group.
        match self.unused.pop() {
            Some(number) => {
                self.frames[number as usize] = frame;
                self.uses[number as usize] = 1;
                number
            }
            None => {
                self.frames.push(frame);
                self.uses.push(1);
                super::low32(self.frames.len() as u64 - 1)
            }
        }
    }

    /// One more use.
    pub(super) fn share(&mut self, frame: u32) {
        self.uses[frame as usize] += 1;
    }

    /// Moves one use from a frame to its parent.
    pub(super) fn pop(&mut self, frame: u32) {
        self.share(self.at(frame).parent);
        self.release(frame);
    }

    /// One use less.
    pub(super) fn release(&mut self, mut frame: u32) {
        loop {
            let uses = &mut self.uses[frame as usize];
            *uses = uses.saturating_sub(1);
            if *uses > 0 || frame == ENTRY {
                return;
            }
            self.unused.push(frame);
            frame = self.at(frame).parent;
        }
    }
}

fn within(bytes: u64, limit: u32) -> Result<(), FaultKind> {
    let limit = u64::from(limit);
    if bytes > limit { Err(FaultKind::StackOverflow { bytes, limit }) } else { Ok(()) }
}
