//! Variables in global and constant memory, and what they hold at first.

use super::names::{Entity, Names};
use super::operands::preset;
use super::{layout, limit, unknown, unsupported};
use crate::error::LoadError;
use crate::program::{AddressOf, Preset, Symbol, Variable};
use crate::syntax::ast::{Declaration, Initial, StateSpace};
use crate::syntax::limits;
use crate::types::Type;

/// What variables may take together.
#[derive(Debug)]
pub(super) struct Budget {
    bytes: u64,
    initial: u64,
    most_initial: u64,
}

impl Budget {
    pub(super) fn new(source_bytes: usize) -> Self {
        let most_initial = (source_bytes as u64 + (8 << 10)) * limits::INITIAL_BYTES_PER_SOURCE_BYTE;
        Self { bytes: 0, initial: 0, most_initial }
    }
}

/// One variable.
pub(super) fn variable(
    declared: &Declaration<'_>,
    names: &Names<'_, '_>,
    budget: &mut Budget,
) -> Result<Variable, LoadError> {
    let (bytes, align) = layout::extent(declared, limits::GLOBAL_BYTES)?;
    let mut dims: Vec<u64> = declared.dims.iter().copied().flatten().collect();
    if declared.vector > 1 {
        dims.push(u64::from(declared.vector));
    }
    let size = match (bytes, &declared.initial) {
        (Some(bytes), _) => bytes,
        // `a[] = {1, 2, 3}` has as many elements as the list.
        (None, Some(Initial::List(list))) => {
            dims.insert(0, list.len() as u64);
            list.len() as u64 * layout::type_bytes(declared.ty) * u64::from(declared.vector)
        }
        (None, _) => return Err(unsupported(declared.line, "array without a size", declared.name)),
    };
    budget.bytes = budget.bytes.saturating_add(size);
    if budget.bytes > limits::GLOBAL_BYTES {
        return Err(limit(declared.line, "bytes of variables", limits::GLOBAL_BYTES, budget.bytes));
    }
    let mut filler = Filler { declared, names, budget, bytes: Vec::new(), relocations: Vec::new() };
    if let Some(initial) = &declared.initial {
        filler.fill(initial, &dims, 0)?;
    }
    let Filler { bytes: initial, relocations, .. } = filler;
    Ok(Variable {
        name: declared.name.to_owned(),
        is_const: declared.space == StateSpace::Const,
        align,
        size,
        initial,
        relocations,
    })
}

struct Filler<'f, 'm, 'a> {
    declared: &'f Declaration<'a>,
    names: &'f Names<'m, 'a>,
    budget: &'f mut Budget,
    bytes: Vec<u8>,
    relocations: Vec<(u64, AddressOf)>,
}

impl Filler<'_, '_, '_> {
    /// Sets what lies from element `at` on. `dims` are those of the array there; none for an element.
    fn fill(&mut self, initial: &Initial<'_>, dims: &[u64], at: u64) -> Result<(), LoadError> {
        match (initial, dims) {
            (Initial::List(list), [most, inner @ ..]) => {
                if list.len() as u64 > *most {
                    return Err(limit(self.declared.line, "elements of an array", *most, list.len() as u64));
                }
                let stride: u64 = inner.iter().product();
                for (i, element) in (0_u64..).zip(list) {
                    self.fill(element, inner, at + i * stride)?;
                }
                Ok(())
            }
            (Initial::List(_), []) => {
                Err(unsupported(self.declared.line, "list for a single element", self.declared.name))
            }
            (_, [_, ..]) => {
                Err(unsupported(self.declared.line, "initialiser of an array", self.declared.name))
            }
            (Initial::Value(value), []) => match preset(*value, self.declared.ty) {
                Some(Preset::Bits32(bits)) => self.put(at, u64::from(bits)),
                Some(Preset::Bits64(bits)) => self.put(at, bits),
                _ => Err(unsupported(self.declared.line, "initialiser of this type", &value.to_string())),
            },
            (Initial::Address { name, generic, addend }, []) => {
                self.put_address(at, name, (*generic, *addend))
            }
        }
    }

    fn put(&mut self, element: u64, bits: u64) -> Result<(), LoadError> {
        let bytes = layout::type_bytes(self.declared.ty);
        let end = (element + 1) * bytes;
        let grown = end.saturating_sub(self.bytes.len() as u64);
        let most = self.budget.most_initial;
        self.budget.initial = self.budget.initial.saturating_add(grown);
        if self.budget.initial > most {
            return Err(limit(self.declared.line, "bytes set by initialisers", most, self.budget.initial));
        }
        let at = usize::try_from(element * bytes).unwrap_or(usize::MAX);
        let len = usize::try_from(bytes).unwrap_or(usize::MAX);
        if grown > 0 {
            self.bytes.resize(at.saturating_add(len), 0);
        }
        if let Some(place) = self.bytes.get_mut(at..at.saturating_add(len)) {
            place.copy_from_slice(bits.to_le_bytes().get(..len).unwrap_or_default());
        }
        Ok(())
    }

    fn put_address(
        &mut self,
        element: u64,
        name: &str,
        (generic, addend): (bool, i64),
    ) -> Result<(), LoadError> {
        let line = self.declared.line;
        if !matches!(self.declared.ty, Type::B64 | Type::U64 | Type::S64) {
            return Err(unsupported(line, "address in an element that is not of 64 bits", name));
        }
        let of = match self.names.entities.get(name) {
            Some((Entity::Variable { index, .. }, _)) => Symbol::Variable(*index),
            Some((Entity::Function(number), _)) => {
                let function = self.names.functions.get(*number as usize);
                if function.is_some_and(|function| function.is_kernel) {
                    return Err(unsupported(line, "address of a kernel", name));
                }
                let index = function.and_then(|function| function.index);
                let index = index.ok_or_else(|| unknown(line, "definition of a function", name))?;
                Symbol::Function(index)
            }
            Some(_) => return Err(unsupported(line, "address of this as initialiser", name)),
            None => return Err(unknown(line, "variable or function", name)),
        };
        self.put(element, 0)?;
        let offset = element * layout::type_bytes(self.declared.ty);
        self.relocations.push((offset, AddressOf { of, addend, generic }));
        Ok(())
    }
}
