//! `printf` and `assert` of kernels: strings and arguments out of the kernel's memory.

use crate::compute::{LANES, Mask};
use crate::error::{AccessKind, FaultKind};
use crate::program::Op;

use super::core::Core;
use super::format::{self, Arguments};
use super::load::wide;
use super::registers::lanes;
use super::space;
use super::trap::{Trap, Trapped};

/// Longest string that is read from a kernel's memory.
const STRING_BYTES: usize = 4096;

/// What a block has printed.
#[derive(Debug, Default)]
pub(super) struct Printed {
    pub(super) bytes: Vec<u8>,
    pub(super) dropped_bytes: u64,
}

impl Printed {
    fn push(&mut self, text: &[u8], limit: usize) {
        let kept = text.len().min(limit.saturating_sub(self.bytes.len()));
        self.bytes.extend_from_slice(&text[..kept]);
        self.dropped_bytes += (text.len() - kept) as u64;
    }
}

impl Core<'_> {
    /// `vprintf`, lane by lane.
    pub(super) fn print(&mut self, op: &Op, active: Mask) -> Trapped<()> {
        let Op::Print { format, arguments, result } = op else { return Ok(()) };
        for lane in lanes(active) {
            // Long texts take their time.
            if self.grid.is_stopped() {
                break;
            }
            let (format, arguments) = (self.frame_u64(*format, lane), self.frame_u64(*arguments, lane));
            let mut reader = Reader { core: self, lane, next: arguments, fault: None };
            let count = if format == 0 {
                -1
            } else {
                let format = reader.string(format);
                let (text, count) = format::format(&format, &mut reader);
                if let Some(address) = reader.fault {
                    return Err(unreadable(address, lane));
                }
                let limit = self.grid.limits.print_bytes;
                self.outside.printed.push(&text, limit);
                count
            };
            if let Some(result) = result {
                let row = (self.frame_local + result) as usize / 4;
                self.local[row][lane] = count.cast_unsigned();
            }
        }
        Ok(())
    }

    /// `__assertfail`: what the first lane says.
    pub(super) fn assertion(&mut self, params: [u32; 5], active: Mask) -> Box<Trap> {
        let lane = super::registers::first(active);
        let [message, file, line, function, _] = params;
        let line = self.frame_u32(line, lane);
        let [message, file, function] = [message, file, function].map(|param| {
            let address = self.frame_u64(param, lane);
            let mut reader = Reader { core: self, lane, next: 0, fault: None };
            // A string that can't be read hides no assertion.
            String::from_utf8_lossy(&reader.string(address)).into_owned()
        });
        Trap::new(active, FaultKind::Assert { message, file, line, function })
    }

    fn frame_u32(&self, offset: u32, lane: usize) -> u32 {
        let row = (self.frame_local + offset) as usize / 4;
        self.local.get(row).unwrap_or(&[0; LANES])[lane]
    }

    fn frame_u64(&self, offset: u32, lane: usize) -> u64 {
        wide(self.frame_u32(offset, lane), self.frame_u32(offset + 4, lane))
    }
}

fn unreadable(address: u64, lane: usize) -> Box<Trap> {
    let space = match space::of_generic(address).0 {
        crate::program::Space::Global => space::name_of_generic(address),
        space => space::name(space),
    };
    let address = address - space::of_generic(address).1;
    Trap::new(1 << lane, FaultKind::OutOfBounds { access: AccessKind::Read, space, address, bytes: 1 })
}

/// Reads arguments where a variadic call has put them.
struct Reader<'a, 'b> {
    core: &'a mut Core<'b>,
    lane: usize,
    next: u64,
    /// The first address that could not be read.
    fault: Option<u64>,
}

impl Reader<'_, '_> {
    fn byte(&mut self, address: u64) -> u8 {
        match self.core.peek(address, self.lane) {
            Some(byte) => byte,
            None => {
                self.fault.get_or_insert(address);
                0
            }
        }
    }
}

impl Arguments for Reader<'_, '_> {
    fn next(&mut self, bytes: u32) -> u64 {
        let address = self.next.checked_next_multiple_of(bytes.into()).unwrap_or(self.next);
        self.next = address.wrapping_add(bytes.into());
        let mut value = 0;
        for i in 0..bytes {
            value |= u64::from(self.byte(address.wrapping_add(i.into()))) << (8 * i);
        }
        value
    }

    fn string(&mut self, address: u64) -> Vec<u8> {
        let mut text = Vec::new();
        for i in 0..STRING_BYTES as u64 {
            match self.byte(address.wrapping_add(i)) {
                0 => break,
                byte => text.push(byte),
            }
        }
        text
    }
}
