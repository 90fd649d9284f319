//! [`Simulation`]: what is computed. Knows no device.
//!
//! Pressure in a closed box of cells by finite differences in time and space: next = 2 · now − before + k · (the six
//! neighbours − 6 · now), the leapfrog scheme of the acoustic wave equation (Taflove and Hagness, *Computational
//! Electrodynamics*, for the method). k is the square of the Courant number; the scheme is stable up to k = 1/3.
//! Outside of the box the pressure is zero.
//!
//! Invariant: everything here is made of additions, subtractions and products of `f32`, each rounded as IEEE says, in an
//! order that is written down. So every device and every machine gets the same bits.

use grafos_kernel::persistent::APPLICATION_BYTES;

/// A box, and a sound in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Simulation {
    /// How many cells each edge has: 4 to [`MAX_SIZE`](Self::MAX_SIZE).
    pub size: u32,
}

/// A message to the kernel: add `amplitude` to a cell once so many steps are done.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pulse {
    /// Behind which step, from 1.
    pub at_step: u64,
    /// Which cell: x + size · (y + size · z).
    pub cell: u64,
    /// How much.
    pub amplitude: f32,
}

impl Pulse {
    /// Bytes of the message.
    pub const BYTES: u32 = 32;

    /// The message, as the kernel reads it: little-endian, zeros at the end.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; Self::BYTES as usize] {
        let mut bytes = [0; Self::BYTES as usize];
        bytes[..8].copy_from_slice(&self.at_step.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.cell.to_le_bytes());
        bytes[16..20].copy_from_slice(&self.amplitude.to_le_bytes());
        bytes
    }
}

impl Simulation {
    /// The shortest edge.
    pub const MIN_SIZE: u32 = 4;

    /// The longest edge: a state of 1 GiB.
    pub const MAX_SIZE: u32 = 512;

    /// The square of the Courant number: a wave goes √k cells in a step.
    pub const K: f32 = 0.3;

    /// How many layers a slab has.
    pub const SLAB_DEPTH: u32 = 8;

    /// How many steps the sound lasts.
    pub const SOUND_STEPS: u32 = 24;

    /// How many cells there are.
    #[must_use]
    pub fn cells(self) -> u64 {
        u64::from(self.size).pow(3)
    }

    /// How many cells a layer has.
    #[must_use]
    pub fn layer(self) -> u64 {
        u64::from(self.size).pow(2)
    }

    /// How many slabs the box is cut into.
    #[must_use]
    pub fn slabs(self) -> u32 {
        self.size.div_ceil(Self::SLAB_DEPTH)
    }

    fn cell(self, x: u32, y: u32, z: u32) -> u64 {
        u64::from(x) + u64::from(self.size) * u64::from(y) + self.layer() * u64::from(z)
    }

    /// Where the sound comes from.
    #[must_use]
    pub fn source(self) -> u64 {
        self.cell(self.size / 3, self.size / 2, self.slice())
    }

    /// Where it is listened to.
    #[must_use]
    pub fn microphone(self) -> u64 {
        self.cell(self.size - 1 - self.size / 8, self.size / 2, self.slice())
    }

    /// The layer that is drawn: the one with the source.
    #[must_use]
    pub fn slice(self) -> u32 {
        self.size / 2
    }

    /// The sound: (1 − s²)³ · (1 − 9 s²) for s from −1 to 1, whose mean is zero; a polynomial, because exponentials are
    /// not rounded the same everywhere.
    #[must_use]
    pub fn pulses(self) -> Vec<Pulse> {
        #[allow(clippy::cast_precision_loss, reason = "a few steps")]
        let amplitude = |step: u32| {
            let s = (2.0 * step as f32 - Self::SOUND_STEPS as f32) / Self::SOUND_STEPS as f32;
            let square = s * s;
            let fall = 1.0 - square;
            fall * fall * fall * (1.0 - 9.0 * square)
        };
        let pulse =
            |step| Pulse { at_step: u64::from(step), cell: self.source(), amplitude: amplitude(step) };
        (1..Self::SOUND_STEPS).map(pulse).collect()
    }

    /// The part of the control block that is the simulation's.
    #[must_use]
    pub fn parameters(self) -> [u8; APPLICATION_BYTES] {
        let mut bytes = [0; APPLICATION_BYTES];
        for (to, number) in bytes.chunks_exact_mut(4).zip([self.size, self.size, self.size, Self::SLAB_DEPTH])
        {
            to.copy_from_slice(&number.to_le_bytes());
        }
        bytes[16..24].copy_from_slice(&self.microphone().to_le_bytes());
        bytes[24..28].copy_from_slice(&Self::K.to_le_bytes());
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn source_and_microphone_are_inside_of_every_box() {
        for size in [Simulation::MIN_SIZE, 5, 48, Simulation::MAX_SIZE] {
            let simulation = Simulation { size };
            assert!(simulation.source() < simulation.cells() && simulation.microphone() < simulation.cells());
            assert_ne!(simulation.source(), simulation.microphone(), "{size}");
        }
    }

    #[test]
    fn the_sound_has_no_mean_and_its_peak_in_the_middle() {
        let pulses = Simulation { size: 48 }.pulses();
        assert!(pulses.iter().map(|pulse| pulse.amplitude).sum::<f32>().abs() < 1e-3);
        assert_eq!(pulses[11], Pulse { at_step: 12, cell: 16 + 48 * (24 + 48 * 24), amplitude: 1.0 });
    }
}
