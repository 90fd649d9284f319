//! [`LoadedModule`]: a module whose variables lie in a device's memory, ready to launch.

use std::fmt;

use crate::error::{LaunchError, LoadError, LoadErrorKind, MemoryError};
use crate::exec::{self, FUNCTION_WINDOW, Grid, Parts};
use crate::launch::{Interrupt, Launch, LaunchReport, Limits};
use crate::memory::{DeviceMemory, GRANULE, Purpose};
use crate::module::Module;
use crate::program::{AddressOf, Function, Symbol, Variable};

/// Shared memory of a block: what the largest devices give.
const SHARED_BYTES: u32 = 227 << 10;
/// The largest block: threads in all, and along each axis.
const BLOCK_THREADS: u64 = 1024;
const BLOCK: [u32; 3] = [1024, 1024, 64];
/// The largest grid.
const GRID: [u32; 3] = [i32::MAX as u32, 65535, 65535];

/// A [`Module`] whose variables lie in a [`DeviceMemory`], ready to launch. Dropping it frees the variables.
///
/// Several launches may run at the same time, also of the same module.
pub struct LoadedModule {
    module: Module,
    memory: DeviceMemory,
    /// The address of each variable of the program. Constants lie in one allocation.
    variables: Vec<u64>,
    constants: Option<u64>,
}

impl LoadedModule {
    /// Places the variables of a module in `memory` and gives them their initial values.
    ///
    /// Each variable in global memory is an allocation of its own; those in constant memory share one.
    ///
    /// # Errors
    /// [`LoadErrorKind::Memory`] if there is no room; nothing stays allocated.
    pub fn new(module: &Module, memory: &DeviceMemory) -> Result<Self, LoadError> {
        // What is allocated belongs to it at once, so an error frees it.
        let mut loaded =
            Self { module: module.clone(), memory: memory.clone(), variables: Vec::new(), constants: None };
        loaded.place().map_err(|error| LoadError { line: 0, kind: LoadErrorKind::Memory(error) })?;
        Ok(loaded)
    }

    fn place(&mut self) -> Result<(), MemoryError> {
        let variables = &self.module.program().variables;
        let mut end = 0_u64;
        let mut offsets = Vec::with_capacity(variables.len());
        for variable in variables.iter().filter(|variable| variable.is_const) {
            let start = end.next_multiple_of(align(variable));
            offsets.push(start);
            end = start.saturating_add(variable.size);
        }
        if !offsets.is_empty() {
            let widest = variables.iter().map(align).max().unwrap_or(GRANULE);
            self.constants = Some(self.memory.alloc_for(end, widest, Purpose::Constants)?);
        }
        let mut offsets = offsets.into_iter();
        for variable in variables {
            let address = if variable.is_const {
                self.constants.unwrap_or(0) + offsets.next().unwrap_or(0)
            } else {
                self.memory.alloc_for(variable.size, align(variable), Purpose::Variable)?
            };
            self.variables.push(address);
        }
        for (variable, address) in variables.iter().zip(&self.variables) {
            self.initialise(variable, *address)?;
        }
        Ok(())
    }

    fn initialise(&self, variable: &Variable, address: u64) -> Result<(), MemoryError> {
        self.memory.write(address, &variable.initial)?;
        for (offset, of) in &variable.relocations {
            let value = self.address(*of).to_le_bytes();
            // The end of a variable may come before that of the address, in one of 32 bits.
            let len = variable.size.saturating_sub(*offset).min(8);
            let value = &value[..usize::try_from(len).unwrap_or(8)];
            self.memory.write(address + offset, value)?;
        }
        Ok(())
    }

    /// The value of an address that does not depend on a launch.
    fn address(&self, address: AddressOf) -> u64 {
        let base = match address.of {
            Symbol::Variable(index) => {
                let index = index as usize;
                let variable = self.variables.get(index).copied().unwrap_or(0);
                let is_const = self.module.program().variables.get(index).is_some_and(|v| v.is_const);
                // Addresses of constants count from the first one, generic ones are those of device memory.
                let origin = if is_const && !address.generic { self.constants.unwrap_or(0) } else { 0 };
                variable - origin
            }
            Symbol::Function(index) => FUNCTION_WINDOW + u64::from(index),
            Symbol::Shared(place) | Symbol::Local(place) | Symbol::Param(place) => place.into(),
            Symbol::DynamicShared => 0,
        };
        base.wrapping_add(address.addend.cast_unsigned())
    }

    /// The module.
    #[must_use]
    pub fn module(&self) -> &Module {
        &self.module
    }

    /// Address in device memory and size in bytes of a variable in global or constant memory. The host may read and
    /// write both kinds; kernels only read constants.
    #[must_use]
    pub fn variable(&self, name: &str) -> Option<(u64, u64)> {
        let mut variables = self.module.program().variables.iter().zip(&self.variables);
        variables.find(|(variable, _)| variable.name == name).map(|(variable, at)| (*at, variable.size))
    }

    /// Runs a kernel and comes back when it has ended.
    ///
    /// The kernel sees the allocations that exist now; what is freed meanwhile it may still use to its end. Results
    /// of IEEE operations don't depend on how many cores run it; what does is the order in which blocks change the
    /// same memory, and so sums of floats by atomics. Within a block everything happens in the same order each time.
    ///
    /// Whether it ran to its end, was stopped, or did something wrong is in [`LaunchReport::outcome`].
    pub fn launch(
        &self,
        kernel: &str,
        launch: &Launch<'_>,
        limits: &Limits,
        interrupt: &Interrupt,
    ) -> LaunchReport {
        let refused = |error| LaunchReport {
            outcome: Err(error),
            thread_instructions: 0,
            printed: Vec::new(),
            print_dropped_bytes: 0,
        };
        let Some(index) = self.module.kernel_index(kernel) else {
            return refused(LaunchError::UnknownKernel { name: kernel.to_owned() });
        };
        let program = self.module.program();
        let function = &program.functions[index];
        if let Err(error) = check(function, launch) {
            return refused(error);
        }
        if interrupt.probe() {
            return refused(LaunchError::Cancelled { kernel: kernel.to_owned() });
        }
        let allocations = self.memory.snapshot();
        exec::run(Grid::new(&Parts {
            program,
            kernel_index: u32::try_from(index).unwrap_or(u32::MAX),
            launch: *launch,
            limits: *limits,
            interrupt,
            allocations: &allocations,
            variables: &self.variables,
            constants: self.constants,
        }))
    }
}

impl Drop for LoadedModule {
    fn drop(&mut self) {
        let variables = &self.module.program().variables;
        for (variable, address) in variables.iter().zip(&self.variables) {
            if !variable.is_const {
                self.memory.release(*address);
            }
        }
        if let Some(constants) = self.constants {
            self.memory.release(constants);
        }
    }
}

impl fmt::Debug for LoadedModule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoadedModule").field("module", &self.module).finish_non_exhaustive()
    }
}

fn align(variable: &Variable) -> u64 {
    u64::from(variable.align).max(1)
}

fn invalid<T>(
    what: &'static str,
    expected: impl fmt::Display,
    found: impl fmt::Debug,
) -> Result<T, LaunchError> {
    let (expected, found) = (expected.to_string(), format!("{found:?}"));
    Err(LaunchError::InvalidLaunch { what, expected, found })
}

/// Whether a launch fits the kernel and the machine.
fn check(function: &Function, launch: &Launch<'_>) -> Result<(), LaunchError> {
    let Launch { grid, block, shared_bytes, params } = *launch;
    let fits = |size: [u32; 3], most: [u32; 3]| size.iter().zip(most).all(|(n, most)| (1..=most).contains(n));
    let product = |size: [u32; 3]| size.iter().map(|n| u64::from(*n)).product::<u64>();
    if !fits(grid, GRID) {
        return invalid("blocks of the grid", format_args!("1 to {GRID:?} along x, y and z"), grid);
    }
    if !fits(block, BLOCK) {
        return invalid("threads of a block", format_args!("1 to {BLOCK:?} along x, y and z"), block);
    }
    let threads = product(block);
    if threads > BLOCK_THREADS {
        return invalid("threads of a block", format_args!("at most {BLOCK_THREADS} in all"), threads);
    }
    if let Some(required) = function.required_threads.filter(|required| *required != block) {
        return invalid("threads of a block", format_args!("{required:?}, as the kernel requires"), block);
    }
    if let Some(most) = function.max_threads.map(product).filter(|most| threads > *most) {
        return invalid("threads of a block", format_args!("at most {most}, as the kernel says"), threads);
    }
    let free = SHARED_BYTES.saturating_sub(function.shared_bytes.next_multiple_of(16));
    if function.shared_bytes > SHARED_BYTES || shared_bytes > free {
        return invalid("dynamic shared memory in bytes", format_args!("at most {free}"), shared_bytes);
    }
    let end = function.params.iter().map(|param| param.offset + param.size).max().unwrap_or(0);
    let align = function.params.iter().map(|param| param.align).max().unwrap_or(1).max(1);
    let padded = end.next_multiple_of(align);
    if params.len() != end as usize && params.len() != padded as usize {
        return invalid("parameters in bytes", end, params.len());
    }
    Ok(())
}
