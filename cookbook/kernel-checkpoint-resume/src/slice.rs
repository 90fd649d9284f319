//! [`Slice`]: one layer of a field, to be drawn. Read without the rest where that is possible.

use bytemuck::pod_collect_to_vec;
use grafos_kernel::checkpoint::{Checkpoint, CheckpointReader, ReadAt};

use crate::error::RunError;
use crate::simulation::Simulation;
use crate::wave::REGIONS;

/// The pressure in the layer with the source.
#[derive(Clone, Debug, PartialEq)]
pub struct Slice {
    /// How many steps were done.
    pub step: u64,
    /// How many cells an edge has.
    pub size: u32,
    /// Row by row.
    pub pressure: Vec<f32>,
}

impl Slice {
    /// The slice of a whole state.
    ///
    /// # Errors
    /// [`RunError::NoField`] if it is not one of this simulation.
    pub fn of(simulation: Simulation, checkpoint: &Checkpoint) -> Result<Self, RunError> {
        let step = checkpoint.metadata.current_step;
        let (now, _) = fields(simulation, checkpoint)?;
        let (begin, len) = place(simulation);
        let pressure = now.get(begin..begin + len).ok_or(RunError::NoField { step })?.to_vec();
        Ok(Self { step, size: simulation.size, pressure })
    }

    /// The slice of a full checkpoint where it lies: nothing else of the state is read.
    ///
    /// # Errors
    /// [`RunError::NoField`] as above, [`RunError::Checkpoint`] if what is read does not verify.
    pub fn read<R: ReadAt>(simulation: Simulation, reader: &CheckpointReader<R>) -> Result<Self, RunError> {
        let step = reader.metadata().current_step;
        let (chunk, info) = reader.region(now_and_before(step)[0])?.ok_or(RunError::NoField { step })?;
        if info.len_bytes != 4 * simulation.cells() {
            return Err(RunError::NoField { step });
        }
        let (begin, len) = place(simulation);
        let mut bytes = vec![0; 4 * len];
        reader.read_range(chunk, 4 * begin as u64, &mut bytes)?;
        Ok(Self { step, size: simulation.size, pressure: floats(&bytes) })
    }
}

/// Pressure now, and that of the step before, in a whole state.
pub(crate) fn fields(
    simulation: Simulation,
    checkpoint: &Checkpoint,
) -> Result<(Vec<f32>, Vec<f32>), RunError> {
    let step = checkpoint.metadata.current_step;
    let field = |name| {
        let chunk = checkpoint.region(name)?.ok_or(RunError::NoField { step })?;
        if chunk.data.len() as u64 != 4 * simulation.cells() {
            return Err(RunError::NoField { step });
        }
        Ok(floats(&chunk.data))
    };
    let [now, before] = now_and_before(step);
    Ok((field(now)?, field(before)?))
}

/// After an even number of steps the field is in the first region, after an odd one in the second.
fn now_and_before(step: u64) -> [&'static str; 2] {
    let [even, odd] = REGIONS;
    if step.is_multiple_of(2) { [even, odd] } else { [odd, even] }
}

/// Where the slice begins in a field, and how long it is, in cells.
fn place(simulation: Simulation) -> (usize, usize) {
    let layer = simulation.size as usize * simulation.size as usize;
    (layer * simulation.slice() as usize, layer)
}

/// Little-endian, whatever the machine.
fn floats(bytes: &[u8]) -> Vec<f32> {
    let words: Vec<[u8; 4]> = pod_collect_to_vec(bytes);
    words.into_iter().map(f32::from_le_bytes).collect()
}
