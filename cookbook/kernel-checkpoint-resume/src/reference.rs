//! [`Reference`]: the simulation in plain Rust, as its formula says it: no slabs, no halos, no queues, no device.

use crate::simulation::{Pulse, Simulation};

/// The field of a [`Simulation`] after some steps. Its bits are those that the kernel leaves on a device.
///
/// ```
/// use cookbook_kernel_checkpoint_resume::{Reference, Simulation};
///
/// let mut reference = Reference::new(Simulation { size: 16 });
/// (0..100).for_each(|_| reference.step());
/// assert!(reference.now.iter().all(|pressure| pressure.abs() < 10.0));
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Reference {
    simulation: Simulation,
    pulses: Vec<Pulse>,
    steps_done: u64,
    /// The pressure in each cell.
    pub now: Vec<f32>,
    /// That of the step before.
    pub before: Vec<f32>,
}

impl Reference {
    /// A silent box.
    #[must_use]
    pub fn new(simulation: Simulation) -> Self {
        let cells = usize::try_from(simulation.cells()).unwrap_or(0);
        let (now, before) = (vec![0.0; cells], vec![0.0; cells]);
        Self { simulation, pulses: simulation.pulses(), steps_done: 0, now, before }
    }

    /// A box with this field in it, and no sound to come: for what is known about fields.
    #[must_use]
    pub fn with_field(simulation: Simulation, now: Vec<f32>, before: Vec<f32>) -> Self {
        Self { simulation, pulses: Vec::new(), steps_done: 0, now, before }
    }

    /// How many steps are done.
    #[must_use]
    pub fn steps_done(&self) -> u64 {
        self.steps_done
    }

    /// The next step.
    pub fn step(&mut self) {
        let next = (0..self.now.len()).map(|at| self.next(at)).collect();
        self.before = std::mem::replace(&mut self.now, next);
        self.steps_done += 1;
        for pulse in self.pulses.iter().filter(|pulse| pulse.at_step == self.steps_done) {
            if let Some(cell) = usize::try_from(pulse.cell).ok().and_then(|cell| self.now.get_mut(cell)) {
                *cell += pulse.amplitude;
            }
        }
    }

    fn next(&self, at: usize) -> f32 {
        let size = self.simulation.size as usize;
        let now = &self.now;
        // Both neighbours along one axis, whose cells are `stride` apart.
        let pair = |stride: usize| {
            let place = at / stride % size;
            let lower = if place > 0 { now[at - stride] } else { 0.0 };
            let upper = if place + 1 < size { now[at + stride] } else { 0.0 };
            lower + upper
        };
        let around = (pair(1) + pair(size)) + pair(size * size);
        (2.0 * now[at] - self.before[at]) + Simulation::K * (around - 6.0 * now[at])
    }
}
