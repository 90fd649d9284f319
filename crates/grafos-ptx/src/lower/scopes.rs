//! [`Scopes`]: which names a statement sees. Inner blocks hide outer names.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use super::duplicate;
use super::names::{Entity, Names};
use crate::error::LoadError;

/// The scopes around a statement, from the module inwards.
#[derive(Debug)]
pub(super) struct Scopes<'n, 'm, 'a> {
    pub(super) module: &'n Names<'m, 'a>,
    inner: Vec<HashMap<&'a str, (Entity, u32)>>,
}

/// A name, found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    Entity(Entity),
    /// Register `number` of a numbered declaration.
    Numbered {
        id: u32,
        number: u32,
        bits: u32,
    },
}

impl<'n, 'm, 'a> Scopes<'n, 'm, 'a> {
    pub(super) fn new(module: &'n Names<'m, 'a>) -> Self {
        Self { module, inner: Vec::new() }
    }

    pub(super) fn enter(&mut self) {
        self.inner.push(HashMap::new());
    }

    pub(super) fn leave(&mut self) {
        self.inner.pop();
    }

    /// Declares a name in the innermost scope.
    pub(super) fn declare(&mut self, name: &'a str, entity: Entity, line: u32) -> Result<(), LoadError> {
        let Some(scope) = self.inner.last_mut() else { return Ok(()) };
        if let Some(first) = numbered(scope, name).and_then(|_| scope.get(split(name)?.0)) {
            return Err(duplicate(line, name, first.1));
        }
        match scope.entry(name) {
            Entry::Occupied(first) => Err(duplicate(line, name, first.get().1)),
            Entry::Vacant(vacant) => {
                vacant.insert((entity, line));
                Ok(())
            }
        }
    }

    pub(super) fn find(&self, name: &str) -> Option<Found> {
        for scope in self.inner.iter().rev() {
            if let Some((entity, _)) = scope.get(name) {
                return Some(Found::Entity(*entity));
            }
            if let Some(found) = numbered(scope, name) {
                return Some(found);
            }
        }
        self.module.entities.get(name).map(|(entity, _)| Found::Entity(*entity))
    }
}

/// `%r7`, if the scope has a `%r<8>`.
fn numbered(scope: &HashMap<&str, (Entity, u32)>, name: &str) -> Option<Found> {
    let (prefix, number) = split(name)?;
    match scope.get(prefix) {
        Some(&(Entity::Range { id, count, bits }, _)) if number < count => {
            Some(Found::Numbered { id, number, bits })
        }
        _ => None,
    }
}

/// `%r7` to `%r` and 7. A number with leading zeros is none.
fn split(name: &str) -> Option<(&str, u32)> {
    let prefix = name.trim_end_matches(|c: char| c.is_ascii_digit());
    let digits = name.get(prefix.len()..)?;
    if digits.is_empty() || (digits.len() > 1 && digits.starts_with('0')) {
        // `%r00` may be register 0 of `%r0<1>`, which no compiler writes.
        return None;
    }
    Some((prefix, digits.parse().ok()?))
}
