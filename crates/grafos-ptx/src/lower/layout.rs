//! Sizes, alignments and places of variables and parameters.

use super::{limit, unsupported};
use crate::error::LoadError;
use crate::program::Param;
use crate::syntax::ast::{Declaration, StateSpace};
use crate::syntax::{ast, limits};
use crate::types::Type;

/// The bytes of an element; a predicate has none in memory.
pub(super) fn type_bytes(ty: Type) -> u64 {
    u64::from(ty.bits() / 8)
}

/// Bytes and alignment of a variable. `None` bytes: `[]`.
pub(super) fn extent(declared: &Declaration<'_>, most: u64) -> Result<(Option<u64>, u32), LoadError> {
    let element = type_bytes(declared.ty) * u64::from(declared.vector);
    let natural = u32::try_from(element).unwrap_or(1).max(1);
    let align = declared.align.unwrap_or(natural);
    let mut bytes = Some(element);
    for (i, dim) in declared.dims.iter().enumerate() {
        bytes = match dim {
            Some(dim) => bytes.and_then(|bytes| bytes.checked_mul(*dim)).or(Some(u64::MAX)),
            None if i == 0 && declared.dims.len() == 1 => None,
            None => return Err(unsupported(declared.line, "open-ended array of arrays", declared.name)),
        };
    }
    match bytes {
        Some(bytes) if bytes > most => Err(limit(declared.line, "bytes of a variable", most, bytes)),
        _ => Ok((bytes, align)),
    }
}

/// A cursor that lays things out one behind the other.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Cursor {
    pub(super) end: u64,
}

impl Cursor {
    /// The next place for so many bytes.
    pub(super) fn place(
        &mut self,
        line: u32,
        (bytes, align): (u64, u32),
        (what, most): (&'static str, u64),
    ) -> Result<u32, LoadError> {
        let offset = self.end.next_multiple_of(u64::from(align.max(1)));
        let end = offset.saturating_add(bytes);
        match u32::try_from(offset) {
            Ok(offset) if end <= most => {
                self.end = end;
                Ok(offset)
            }
            _ => Err(limit(line, what, most, end)),
        }
    }
}

/// Parameters, one behind the other from `cursor` on.
pub(super) fn params(
    declared: &[Declaration<'_>],
    cursor: &mut Cursor,
    limit: (&'static str, u64),
) -> Result<Vec<Param>, LoadError> {
    declared
        .iter()
        .map(|param| {
            let (bytes, align) = extent(param, limits::LOCAL_BYTES)?;
            let Some(bytes) = bytes else {
                return Err(unsupported(param.line, "parameter of open-ended size", param.name));
            };
            if param.space == StateSpace::Reg && (param.ty == Type::Pred || param.count.is_some()) {
                return Err(unsupported(param.line, "parameter", param.name));
            }
            let offset = cursor.place(param.line, (bytes, align), limit)?;
            let size = u32::try_from(bytes).unwrap_or(u32::MAX);
            Ok(Param { name: param.name.to_owned(), offset, size, align })
        })
        .collect()
}

/// What a `.func` takes and gives, in the local memory of its frame.
pub(super) fn signature(
    results: &[Declaration<'_>],
    params_: &[Declaration<'_>],
) -> Result<(Vec<Param>, Vec<Param>, Cursor), LoadError> {
    let most = ("bytes of local memory", limits::LOCAL_BYTES);
    let mut cursor = Cursor::default();
    let results = params(results, &mut cursor, most)?;
    let params = params(params_, &mut cursor, most)?;
    Ok((results, params, cursor))
}

/// The parameter space of a kernel.
pub(super) fn kernel_params(kernel: &ast::Function<'_>) -> Result<Vec<Param>, LoadError> {
    for param in &kernel.params {
        if param.space == StateSpace::Reg {
            return Err(unsupported(param.line, "parameter of a kernel in a register", param.name));
        }
    }
    params(&kernel.params, &mut Cursor::default(), ("bytes of parameters", limits::PARAM_BYTES))
}
