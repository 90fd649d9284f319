//! From the syntax tree to a [`Program`]: names become numbers, every operand is checked against its instruction, and
//! memory is laid out.
//!
//! Registers are checked by their size alone: compilers compute floats in registers of plain bits. Everything in the
//! module is checked, also functions that nobody calls.

mod atomics;
mod calls;
mod compute;
mod control;
mod function;
mod initial;
mod layout;
mod memory;
mod moves;
mod names;
mod operands;
mod predicates;
mod registers;
mod scopes;
mod shared;
mod special;
mod warp;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use crate::error::{LoadError, LoadErrorKind};
use crate::program::{Program, Symbol};
use crate::syntax::ast;

/// The program of a module. `source_bytes` bounds what initialisers may set.
pub(crate) fn lower(module: &ast::Module<'_>, source_bytes: usize) -> Result<Program, LoadError> {
    let names = names::Names::collect(module)?;
    let mut variables = Vec::with_capacity(names.variables.len());
    let mut budget = initial::Budget::new(source_bytes);
    for declaration in &names.variables {
        variables.push(initial::variable(declaration, &names, &mut budget)?);
    }
    let mut functions = Vec::new();
    let mut uses = Vec::new();
    let mut shared = shared::Areas::of_module(&names)?;
    for declaration in &module.functions {
        if let Some(body) = &declaration.body {
            let (function, used) = function::Body::lower(declaration, body, &names, &mut shared)?;
            functions.push(function);
            uses.push(used);
        }
    }
    // Functions whose addresses are taken may be called by any indirect call.
    let in_variables = variables.iter().flat_map(|variable| &variable.relocations);
    let mut addresses: BTreeSet<u32> = in_variables
        .filter_map(|(_, address)| match address.of {
            Symbol::Function(function) => Some(function),
            _ => None,
        })
        .collect();
    addresses.extend(uses.iter().flat_map(|uses| &uses.addresses));
    shared.place(&mut functions, &uses, &addresses)?;
    Ok(Program { functions, variables })
}

/// A [`LoadErrorKind::Limit`].
fn limit(line: u32, what: &'static str, limit: u64, found: u64) -> LoadError {
    LoadError { line, kind: LoadErrorKind::Limit { what, limit, found } }
}

/// A [`LoadErrorKind::Unsupported`].
fn unsupported(line: u32, what: &'static str, found: &str) -> LoadError {
    LoadError { line, kind: LoadErrorKind::Unsupported { what, found: ast::shown(found).to_owned() } }
}

/// A [`LoadErrorKind::UnknownName`].
fn unknown(line: u32, what: &'static str, name: &str) -> LoadError {
    LoadError { line, kind: LoadErrorKind::UnknownName { what, name: ast::shown(name).to_owned() } }
}

/// A [`LoadErrorKind::DuplicateName`].
fn duplicate(line: u32, name: &str, first_line: u32) -> LoadError {
    LoadError { line, kind: LoadErrorKind::DuplicateName { name: ast::shown(name).to_owned(), first_line } }
}
