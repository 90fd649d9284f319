//! [`Grid`]: what all blocks of a launch share, and how it ends.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::error::{Fault, LaunchError};
use crate::launch::{Interrupt, Launch, LaunchReport, Limits};
use crate::memory::{Allocation, Purpose};
use crate::program::{AddressOf, Function, Program, Space, Symbol};

use super::registers::Unset;
use super::space;

/// What all blocks of a launch share.
pub(crate) struct Grid<'a> {
    pub(super) program: &'a Program,
    pub(super) kernel: &'a Function,
    pub(super) kernel_index: u32,
    pub(super) launch: Launch<'a>,
    pub(super) limits: Limits,
    interrupt: &'a Interrupt,
    /// Global memory, as it was when the launch began.
    pub(super) allocations: &'a [Arc<Allocation>],
    /// The addresses of the module's variables.
    variables: &'a [u64],
    /// Where the module's constants are.
    pub(super) constants: u64,
    pub(super) constants_index: Option<usize>,
    pub(super) params: Vec<u32>,
    pub(super) param_bytes: u64,
    /// Where dynamic shared memory starts, and the size of all.
    pub(super) dynamic_shared: u32,
    pub(super) shared_bytes: u32,
    /// Registers of the kernel that each block finds cleared.
    pub(super) unset: Unset,
    /// How many cores run it.
    pub(super) workers: usize,
    halted: AtomicBool,
    end: Mutex<End>,
    counters: Counters,
}

/// What all cores write to. On cache lines of its own, since every instruction reads what lies beside.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Counters {
    next_block: AtomicU64,
    executed: AtomicU64,
}

/// Blocks are claimed several at a time where every core has at least this many claims before it, so that cores seldom
/// meet at the counter and don't work on neighbouring memory; but not more than so many at a time.
const CLAIMS: u64 = 64;
const LARGEST_CLAIM: u64 = 16;

/// How the launch ended, as far as is known.
#[derive(Debug, Default)]
struct End {
    /// Of the lowest block that did something wrong.
    fault: Option<(u64, Box<Fault>)>,
    stopped: Option<Stopped>,
    printed: BTreeMap<u64, Vec<u8>>,
    printed_bytes: usize,
    dropped_bytes: u64,
}

/// Why blocks don't go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stopped {
    Cancelled,
    InstructionLimit,
    NoMemory,
    /// Another block has failed.
    Elsewhere,
}

/// What a grid is made of.
pub(crate) struct Parts<'a> {
    pub(crate) program: &'a Program,
    pub(crate) kernel_index: u32,
    pub(crate) launch: Launch<'a>,
    pub(crate) limits: Limits,
    pub(crate) interrupt: &'a Interrupt,
    pub(crate) allocations: &'a [Arc<Allocation>],
    pub(crate) variables: &'a [u64],
    pub(crate) constants: Option<u64>,
}

impl<'a> Grid<'a> {
    /// The parts fit each other.
    pub(crate) fn new(parts: &Parts<'a>) -> Self {
        let Parts { program, kernel_index, launch, limits, interrupt, allocations, variables, constants } =
            *parts;
        let kernel = &program.functions[kernel_index as usize];
        let dynamic_shared = kernel.shared_bytes.next_multiple_of(16);
        let shared_bytes =
            if launch.shared_bytes == 0 { kernel.shared_bytes } else { dynamic_shared + launch.shared_bytes };
        let constants_index = constants
            .and_then(|address| allocations.binary_search_by_key(&address, |other| other.address()).ok());
        let mut padded = launch.params.to_vec();
        padded.resize(launch.params.len().next_multiple_of(4), 0);
        let (words, _) = padded.as_chunks::<4>();
        Self {
            program,
            kernel,
            kernel_index,
            launch,
            limits,
            interrupt,
            allocations,
            variables,
            constants: constants.unwrap_or(0),
            constants_index,
            params: words.iter().map(|word| u32::from_le_bytes(*word)).collect(),
            param_bytes: launch.params.len() as u64,
            dynamic_shared,
            shared_bytes,
            unset: Unset::of(kernel),
            workers: 1,
            halted: AtomicBool::new(false),
            end: Mutex::default(),
            counters: Counters::default(),
        }
    }

    /// How many blocks there are.
    pub(super) fn blocks(&self) -> u64 {
        self.launch.grid.iter().map(|n| u64::from(*n)).product()
    }

    /// The next blocks that nobody has claimed, to be run in order.
    pub(super) fn claim(&self) -> Option<Range<u64>> {
        let count = (self.blocks() / (CLAIMS * self.workers as u64)).clamp(1, LARGEST_CLAIM);
        let first = self.counters.next_block.fetch_add(count, Ordering::Relaxed);
        (first < self.blocks()).then(|| first..self.blocks().min(first + count))
    }

    /// Whether a block that was claimed is to be run. Blocks below one that has failed are, so that the fault that is
    /// reported does not depend on who was first.
    pub(super) fn goes_on(&self, block: u64) -> bool {
        if !self.halted.load(Ordering::Relaxed) {
            return true;
        }
        let end = self.end();
        end.stopped.is_none() && end.fault.as_ref().is_none_or(|(failed, _)| *failed >= block)
    }

    /// Whether the caller wants an end.
    #[inline]
    pub(super) fn is_stopped(&self) -> bool {
        self.interrupt.is_stopped()
    }

    /// Counts instructions of threads, asks the probe, and says whether a block may go on.
    pub(super) fn account(&self, block: u64, instructions: u64) -> Result<(), Stopped> {
        let executed = self.counters.executed.fetch_add(instructions, Ordering::Relaxed) + instructions;
        if self.limits.instructions.is_some_and(|limit| executed > limit) {
            return Err(Stopped::InstructionLimit);
        }
        if self.interrupt.probe() {
            return Err(Stopped::Cancelled);
        }
        if self.goes_on(block) { Ok(()) } else { Err(Stopped::Elsewhere) }
    }

    /// Whether some other block has failed.
    pub(super) fn is_halted(&self) -> bool {
        self.halted.load(Ordering::Relaxed)
    }

    pub(super) fn fail(&self, block: u64, fault: Box<Fault>) {
        let mut end = self.end();
        if end.fault.as_ref().is_none_or(|(other, _)| block < *other) {
            end.fault = Some((block, fault));
        }
        self.halted.store(true, Ordering::Relaxed);
    }

    pub(super) fn stop(&self, why: Stopped) {
        if why != Stopped::Elsewhere {
            self.end().stopped.get_or_insert(why);
            self.halted.store(true, Ordering::Relaxed);
        }
    }

    /// Keeps what a block has printed. What can't be within the limit, since lower blocks come first, is dropped.
    pub(super) fn keep_printed(&self, block: u64, printed: &mut Vec<u8>, dropped_bytes: &mut u64) {
        if printed.is_empty() && *dropped_bytes == 0 {
            return;
        }
        let mut end = self.end();
        end.dropped_bytes += std::mem::take(dropped_bytes);
        end.printed_bytes += printed.len();
        end.printed.insert(block, std::mem::take(printed));
        while let excess @ 1.. = end.printed_bytes.saturating_sub(self.limits.print_bytes)
            && let Some(mut last) = end.printed.last_entry()
        {
            let len = last.get().len();
            let removed = excess.min(len);
            last.get_mut().truncate(len - removed);
            if removed == len {
                last.remove();
            }
            end.printed_bytes -= removed;
            end.dropped_bytes += removed as u64;
        }
    }

    /// The value of an address in a frame whose local memory starts at `local`.
    pub(super) fn address(&self, address: AddressOf, local: u32) -> u64 {
        let (space, offset) = match address.of {
            Symbol::Variable(index) => {
                let variable = self.variables.get(index as usize).copied().unwrap_or(0);
                let is_const = self.program.variables.get(index as usize).is_some_and(|v| v.is_const);
                if is_const {
                    (Space::Const, variable.wrapping_sub(self.constants))
                } else {
                    (Space::Global, variable)
                }
            }
            Symbol::Shared(offset) => (Space::Shared, offset.into()),
            Symbol::DynamicShared => (Space::Shared, self.dynamic_shared.into()),
            Symbol::Local(offset) => (Space::Local, u64::from(local) + u64::from(offset)),
            Symbol::Param(offset) => (Space::Param, offset.into()),
            Symbol::Function(index) => (Space::Global, space::FUNCTION_WINDOW + u64::from(index)),
        };
        let window = if address.generic { space::window(space, self.constants) } else { 0 };
        offset.wrapping_add(window).wrapping_add(address.addend.cast_unsigned())
    }

    /// Whether a generic address is in the window of a space.
    pub(super) fn is_in(&self, space: Space, address: u64) -> bool {
        let (window, _) = space::of_generic(address);
        let constant = self.constants_index.is_some_and(|index| {
            let allocation = &self.allocations[index];
            debug_assert!(allocation.purpose() == Purpose::Constants);
            address.wrapping_sub(allocation.address()) < allocation.bytes()
        });
        match space {
            Space::Const => constant,
            Space::Global => window == Space::Global && !constant,
            space => window == space,
        }
    }

    /// What to tell the caller, after all blocks.
    pub(super) fn report(self) -> LaunchReport {
        let End { fault, stopped, printed, dropped_bytes, .. } =
            self.end.into_inner().unwrap_or_else(PoisonError::into_inner);
        let kernel = || self.kernel.name.clone();
        let outcome = match (fault, stopped) {
            (Some((_, fault)), _) => Err(LaunchError::Fault(fault)),
            (None, None | Some(Stopped::Elsewhere)) => Ok(()),
            (None, Some(Stopped::Cancelled)) => Err(LaunchError::Cancelled { kernel: kernel() }),
            (None, Some(Stopped::InstructionLimit)) => Err(LaunchError::InstructionLimit {
                kernel: kernel(),
                limit: self.limits.instructions.unwrap_or(u64::MAX),
            }),
            (None, Some(Stopped::NoMemory)) => Err(LaunchError::InvalidLaunch {
                what: "registers and shared memory of a block",
                expected: "what the machine has".to_owned(),
                found: "more".to_owned(),
            }),
        };
        LaunchReport {
            outcome,
            thread_instructions: self.counters.executed.into_inner(),
            printed: printed.into_values().flatten().collect(),
            print_dropped_bytes: dropped_bytes,
        }
    }

    fn end(&self) -> MutexGuard<'_, End> {
        // Every change of it is complete before anything can fail.
        self.end.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
