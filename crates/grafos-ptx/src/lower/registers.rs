//! [`Registers`]: the numbering of a function's registers. A register has a slot once it is used; constants and
//! special registers have slots that are set before the first instruction.

use std::collections::HashMap;

use super::limit;
use crate::error::LoadError;
use crate::program::{Preset, Slot};
use crate::syntax::limits;

/// A register file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum File {
    W32,
    W64,
    Pred,
}

impl File {
    /// Of registers of so many bits.
    pub(super) fn of_bits(bits: u32) -> Self {
        match bits {
            1 => Self::Pred,
            64 => Self::W64,
            _ => Self::W32,
        }
    }
}

/// A register, found by its name.
#[derive(Clone, Copy, Debug)]
pub(super) struct Register {
    pub(super) slot: Slot,
    /// As declared; 1 for a predicate.
    pub(super) bits: u32,
}

impl Register {
    pub(super) fn is_64(self) -> bool {
        self.bits == 64
    }

    pub(super) fn is_pred(self) -> bool {
        self.bits == 1
    }
}

/// The registers of one function.
#[derive(Debug, Default)]
pub(super) struct Registers {
    counts: [u16; 3],
    declared: u32,
    named: HashMap<(u32, u32), Slot>,
    presets: Vec<(Slot, Preset)>,
    known: HashMap<Preset, Slot>,
}

impl Registers {
    /// A number for a declaration of registers.
    pub(super) fn declare(&mut self) -> u32 {
        self.declared += 1;
        self.declared
    }

    /// A slot that nothing else uses.
    pub(super) fn fresh(&mut self, file: File, line: u32) -> Result<Slot, LoadError> {
        let (count, what) = match file {
            File::W32 => (&mut self.counts[0], "registers of 32 bits or less in a function"),
            File::W64 => (&mut self.counts[1], "registers of 64 bits in a function"),
            File::Pred => (&mut self.counts[2], "predicates in a function"),
        };
        let slot = *count;
        *count = slot
            .checked_add(1)
            .ok_or_else(|| limit(line, what, limits::USED_REGISTERS, limits::USED_REGISTERS + 1))?;
        Ok(slot)
    }

    /// The slot of register `number` of a declaration.
    pub(super) fn named(
        &mut self,
        id: u32,
        number: u32,
        bits: u32,
        line: u32,
    ) -> Result<Register, LoadError> {
        let slot = match self.named.get(&(id, number)) {
            Some(slot) => *slot,
            None => {
                let slot = self.fresh(File::of_bits(bits), line)?;
                self.named.insert((id, number), slot);
                slot
            }
        };
        Ok(Register { slot, bits })
    }

    /// The slot that holds a value from the start.
    pub(super) fn preset(&mut self, preset: Preset, line: u32) -> Result<Slot, LoadError> {
        if let Some(slot) = self.known.get(&preset) {
            return Ok(*slot);
        }
        let file = match preset {
            Preset::Bits32(_) | Preset::Address32(_) | Preset::Special32(_) => File::W32,
            Preset::Bits64(_) | Preset::Address64(_) | Preset::Special64(_) => File::W64,
        };
        let slot = self.fresh(file, line)?;
        self.known.insert(preset, slot);
        self.presets.push((slot, preset));
        Ok(slot)
    }

    /// Counts of the three files, and what is set.
    pub(super) fn finish(self) -> ([u16; 3], Vec<(Slot, Preset)>) {
        (self.counts, self.presets)
    }
}
