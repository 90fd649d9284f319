//! [`Areas`]: where variables in shared memory lie.
//!
//! A function may be called by several kernels, so what it uses lies at one place for all of them; what only one
//! kernel reaches lies behind that, at places that other kernels use for their own.

use std::collections::BTreeSet;

use super::names::{Names, index};
use super::{layout, limit, unsupported};
use crate::error::LoadError;
use crate::program::{AddressOf, Function, Op, Preset, Symbol};
use crate::syntax::ast::{Declaration, Linkage};
use crate::syntax::limits;

/// One variable, at a place that is not known yet.
#[derive(Clone, Copy, Debug)]
struct Area {
    line: u32,
    /// None: it is the dynamic shared memory.
    bytes: Option<u64>,
    align: u32,
}

/// All variables in shared memory. Until [`place`](Self::place), `Symbol::Shared` holds their numbers.
#[derive(Debug, Default)]
pub(super) struct Areas {
    areas: Vec<Area>,
}

/// What a function refers to.
#[derive(Debug, Default)]
pub(super) struct Uses {
    pub(super) areas: BTreeSet<u32>,
    /// Functions of the program that it calls.
    pub(super) calls: BTreeSet<u32>,
    /// Functions of the program whose addresses it takes.
    pub(super) addresses: BTreeSet<u32>,
    pub(super) calls_indirectly: bool,
    /// Accesses to areas by name: the index of the instruction and the area.
    pub(super) accesses: Vec<(usize, u32)>,
}

impl Areas {
    pub(super) fn of_module(names: &Names<'_, '_>) -> Result<Self, LoadError> {
        let mut areas = Self::default();
        for declared in &names.shared {
            areas.declare(declared)?;
        }
        Ok(areas)
    }

    pub(super) fn declare(&mut self, declared: &Declaration<'_>) -> Result<u32, LoadError> {
        let (bytes, align) = layout::extent(declared, limits::SHARED_BYTES)?;
        if bytes.is_none() && declared.linkage != Linkage::Extern {
            return Err(unsupported(declared.line, "open-ended array that is not `.extern`", declared.name));
        }
        // An external array of some size is still the dynamic memory.
        let bytes = if declared.linkage == Linkage::Extern { None } else { bytes };
        self.areas.push(Area { line: declared.line, bytes, align });
        Ok(index(self.areas.len() - 1))
    }

    pub(super) fn is_dynamic(&self, area: u32) -> bool {
        self.areas.get(area as usize).is_some_and(|area| area.bytes.is_none())
    }

    /// Lays everything out, and puts the places where the numbers stood.
    pub(super) fn place(
        &self,
        functions: &mut [Function],
        uses: &[Uses],
        addresses: &BTreeSet<u32>,
    ) -> Result<(), LoadError> {
        let mut walk = Walk { uses, addresses, seen: vec![usize::MAX; uses.len()], steps: 0 };
        let mut reached = Vec::new();
        for (number, function) in functions.iter().enumerate() {
            if function.is_kernel {
                reached.push((number, walk.from(number)?));
            }
        }
        let mut kernels_of = vec![0_u32; self.areas.len()];
        for area in reached.iter().flat_map(|(_, areas)| areas) {
            if let Some(count) = kernels_of.get_mut(*area as usize) {
                *count += 1;
            }
        }
        let is_common = |area: u32| kernels_of.get(area as usize).is_some_and(|count| *count > 1);
        let mut offsets = vec![0_u32; self.areas.len()];
        let mut common = layout::Cursor::default();
        for area in (0..index(self.areas.len())).filter(|area| is_common(*area)) {
            self.place_one(area, &mut common, &mut offsets)?;
        }
        for (number, areas) in &reached {
            let shared_bytes = self.place_kernel(areas, &is_common, &mut offsets)?;
            if let Some(function) = functions.get_mut(*number) {
                function.shared_bytes = shared_bytes;
            }
        }
        for (function, uses) in functions.iter_mut().zip(uses) {
            resolve(function, uses, &offsets);
        }
        Ok(())
    }

    /// Places what only this kernel reaches; how many bytes it needs in all.
    fn place_kernel(
        &self,
        areas: &BTreeSet<u32>,
        is_common: &impl Fn(u32) -> bool,
        offsets: &mut [u32],
    ) -> Result<u32, LoadError> {
        let mut cursor = layout::Cursor::default();
        for &area in areas.iter().filter(|area| is_common(**area)) {
            let offset = offsets.get(area as usize).copied().unwrap_or_default();
            let bytes = self.areas.get(area as usize).and_then(|area| area.bytes).unwrap_or_default();
            cursor.end = cursor.end.max(u64::from(offset) + bytes);
        }
        for &area in areas.iter().filter(|area| !is_common(**area)) {
            self.place_one(area, &mut cursor, offsets)?;
        }
        // The machine puts the dynamic memory behind this, at a multiple of 16.
        let dynamic = areas.iter().filter(|area| self.is_dynamic(**area));
        let align = dynamic.filter_map(|area| self.areas.get(*area as usize)).map(|area| area.align).max();
        let bytes = match align {
            Some(align) if align > 16 => cursor.end.next_multiple_of(u64::from(align)),
            _ => cursor.end,
        };
        Ok(u32::try_from(bytes).unwrap_or(u32::MAX))
    }

    fn place_one(
        &self,
        number: u32,
        cursor: &mut layout::Cursor,
        offsets: &mut [u32],
    ) -> Result<(), LoadError> {
        let (Some(area), Some(offset)) = (self.areas.get(number as usize), offsets.get_mut(number as usize))
        else {
            return Ok(());
        };
        if let Some(bytes) = area.bytes {
            let most = ("bytes of static shared memory", limits::SHARED_BYTES);
            *offset = cursor.place(area.line, (bytes, area.align), most)?;
        }
        Ok(())
    }
}

/// Which areas kernels reach through calls.
struct Walk<'u> {
    uses: &'u [Uses],
    /// Functions that an indirect call may reach.
    addresses: &'u BTreeSet<u32>,
    /// The kernel that came to each function last.
    seen: Vec<usize>,
    steps: u64,
}

impl Walk<'_> {
    fn from(&mut self, kernel: usize) -> Result<BTreeSet<u32>, LoadError> {
        let mut areas = BTreeSet::new();
        let mut open = vec![kernel];
        while let Some(number) = open.pop() {
            self.steps += 1;
            let Some(seen) = self.seen.get_mut(number) else { continue };
            if std::mem::replace(seen, kernel) == kernel {
                continue;
            }
            let Some(uses) = self.uses.get(number) else { continue };
            areas.extend(&uses.areas);
            open.extend(uses.calls.iter().map(|function| *function as usize));
            self.steps += (uses.areas.len() + uses.calls.len()) as u64;
            if uses.calls_indirectly {
                open.extend(self.addresses.iter().map(|function| *function as usize));
                self.steps += self.addresses.len() as u64;
            }
            if self.steps > limits::REACH_STEPS {
                return Err(limit(0, "calls between functions", limits::REACH_STEPS, self.steps));
            }
        }
        Ok(areas)
    }
}

/// Puts the places of areas where their numbers stood.
fn resolve(function: &mut Function, uses: &Uses, offsets: &[u32]) {
    let offset = |area: u32| offsets.get(area as usize).copied().unwrap_or_default();
    for (_, preset) in &mut function.presets {
        if let Preset::Address32(AddressOf { of: Symbol::Shared(place), .. })
        | Preset::Address64(AddressOf { of: Symbol::Shared(place), .. }) = preset
        {
            *place = offset(*place);
        }
    }
    for &(at, area) in &uses.accesses {
        let address = match function.code.get_mut(at).map(|instruction| &mut instruction.op) {
            Some(Op::Load(access) | Op::Store(access)) => &mut access.address,
            Some(Op::Atomic(atomic)) => &mut atomic.address,
            _ => continue,
        };
        address.offset = address.offset.wrapping_add(i64::from(offset(area)));
    }
}
