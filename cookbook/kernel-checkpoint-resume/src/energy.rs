//! [`energy`]: what the scheme conserves while nobody adds to the field.

use crate::simulation::Simulation;

/// The energy of a field: ½ ‖now − before‖² + ½ k ⟨∇now, ∇before⟩, with the differences across the walls, where the
/// pressure is zero.
///
/// The leapfrog scheme conserves it but for rounding (multiply the scheme by next − before and sum over the box by
/// parts), and it bounds the field as long as k < 1/3. Its unit is that of the pressure, squared.
///
/// `None` if the fields are not as long as the box.
///
/// ```
/// use cookbook_kernel_checkpoint_resume::{Reference, Simulation, energy::energy};
///
/// let simulation = Simulation { size: 8 };
/// let mut reference = Reference::new(simulation);
/// let energy_after = |steps, reference: &mut Reference| {
///     (0..steps).for_each(|_| reference.step());
///     energy(simulation, &reference.now, &reference.before).unwrap()
/// };
/// let silent_source = energy_after(Simulation::SOUND_STEPS, &mut reference);
/// let later = energy_after(500, &mut reference);
/// assert!((later / silent_source - 1.0).abs() < 1e-4);
/// ```
#[must_use]
pub fn energy(simulation: Simulation, now: &[f32], before: &[f32]) -> Option<f64> {
    let size = simulation.size as usize;
    let cells = usize::try_from(simulation.cells()).ok()?;
    if now.len() != cells || before.len() != cells {
        return None;
    }
    let (mut kinetic, mut potential) = (0.0, 0.0);
    for (at, (a, b)) in now.iter().zip(before).enumerate() {
        let (a, b) = (f64::from(*a), f64::from(*b));
        kinetic += (a - b) * (a - b);
        for stride in [1, size, size * size] {
            let place = at / stride % size;
            // The difference to the upper neighbour; the lowest cell has one to the wall, too.
            let (up_a, up_b) = if place + 1 < size {
                (f64::from(now[at + stride]), f64::from(before[at + stride]))
            } else {
                (0.0, 0.0)
            };
            potential += (up_a - a) * (up_b - b);
            if place == 0 {
                potential += a * b;
            }
        }
    }
    Some(0.5 * kinetic + 0.5 * f64::from(Simulation::K) * potential)
}
