//! [`Names`]: what is declared at the outermost level.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use super::{duplicate, layout, unknown, unsupported};
use crate::error::LoadError;
use crate::program::Param;
use crate::syntax::ast::{self, Declaration, Linkage, StateSpace, Statement};

/// What a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entity {
    /// `%r<12>`: registers `id`, with a number behind the name.
    Range {
        id: u32,
        count: u32,
        bits: u32,
    },
    /// One register, or a vector of them.
    Register {
        id: u32,
        lanes: u8,
        bits: u32,
    },
    /// In the frame's local memory. `is_param`: what the source calls `.param`.
    Frame {
        offset: u32,
        size: u32,
        is_param: bool,
    },
    /// In the kernel's parameter space.
    Param {
        offset: u32,
    },
    /// An area of shared memory, by its number in [`Areas`](super::shared::Areas).
    Shared(u32),
    /// A variable in global or constant memory, by its index in the program.
    Variable {
        index: u32,
        is_const: bool,
    },
    /// A function, by its index in [`Names::functions`].
    Function(u32),
    Label(u32),
    BranchTable(u32),
    Prototype(u32),
}

/// What is known of a function before its body is read.
#[derive(Debug)]
pub(super) struct Signature<'a> {
    pub(super) name: &'a str,
    pub(super) is_kernel: bool,
    /// Its index in the program; none if it is only declared.
    pub(super) index: Option<u32>,
    pub(super) params: Vec<Param>,
    pub(super) results: Vec<Param>,
}

/// The outermost scope.
#[derive(Debug, Default)]
pub(super) struct Names<'m, 'a> {
    pub(super) entities: HashMap<&'a str, (Entity, u32)>,
    pub(super) functions: Vec<Signature<'a>>,
    /// Those that the program will have, in its order. Those that are declared in functions come last.
    pub(super) variables: Vec<&'m Declaration<'a>>,
    /// The indices of those in functions, by where their declarations lie in the tree.
    inner: HashMap<*const Declaration<'a>, u32>,
    /// Variables in shared memory, in the order of their numbers.
    pub(super) shared: Vec<&'m Declaration<'a>>,
}

impl<'m, 'a> Names<'m, 'a> {
    pub(super) fn collect(module: &'m ast::Module<'a>) -> Result<Self, LoadError> {
        let mut names = Self::default();
        for declaration in module.variables.iter().filter(|v| v.linkage == Linkage::Defined) {
            names.define_variable(declaration)?;
        }
        for declaration in module.variables.iter().filter(|v| v.linkage == Linkage::Extern) {
            if declaration.space == StateSpace::Shared {
                names.define_variable(declaration)?;
            } else if !names.entities.contains_key(declaration.name) {
                return Err(unknown(
                    declaration.line,
                    "definition of an external variable",
                    declaration.name,
                ));
            }
        }
        let mut defined = 0_u32;
        for function in &module.functions {
            names.collect_inner(function.body.as_deref().unwrap_or_default());
            names.declare_function(function, &mut defined)?;
        }
        for alias in &module.aliases {
            match names.entities.get(alias.of) {
                Some(&(Entity::Function(index), _)) => {
                    // A prototype of the alias may stand before it.
                    let line = names.entities.insert(alias.name, (Entity::Function(index), alias.line));
                    if let Some((Entity::Function(old), first)) = line
                        && names.functions.get(old as usize).is_some_and(|f| f.index.is_some())
                    {
                        return Err(duplicate(alias.line, alias.name, first));
                    }
                }
                _ => return Err(unknown(alias.line, "function", alias.of)),
            }
        }
        Ok(names)
    }

    /// Variables in global and constant memory that only a function sees. Blocks nest no deeper than the parser lets
    /// them.
    fn collect_inner(&mut self, statements: &'m [Statement<'a>]) {
        for statement in statements {
            match statement {
                Statement::Block(inner) => self.collect_inner(inner),
                Statement::Declare(declared)
                    if matches!(declared.space, StateSpace::Global | StateSpace::Const) =>
                {
                    self.inner.insert(declared, index(self.variables.len()));
                    self.variables.push(declared);
                }
                _ => {}
            }
        }
    }

    /// The entity of a variable that only a function sees.
    pub(super) fn inner(&self, declared: &Declaration<'a>) -> Option<Entity> {
        let index = *self.inner.get(&std::ptr::from_ref(declared))?;
        Some(Entity::Variable { index, is_const: declared.space == StateSpace::Const })
    }

    /// What is known of a function.
    pub(super) fn signature(&self, name: &str) -> Option<&Signature<'a>> {
        match self.entities.get(name) {
            Some((Entity::Function(number), _)) => self.functions.get(*number as usize),
            _ => None,
        }
    }

    fn define_variable(&mut self, declared: &'m Declaration<'a>) -> Result<(), LoadError> {
        if declared.count.is_some() {
            return Err(unsupported(declared.line, "numbered names of variables", declared.name));
        }
        let entity = match declared.space {
            StateSpace::Global | StateSpace::Const => {
                let index = index(self.variables.len());
                self.variables.push(declared);
                Entity::Variable { index, is_const: declared.space == StateSpace::Const }
            }
            StateSpace::Shared => {
                let number = index(self.shared.len());
                self.shared.push(declared);
                Entity::Shared(number)
            }
            _ => return Err(unsupported(declared.line, "variable outside of functions", declared.name)),
        };
        match self.entities.entry(declared.name) {
            Entry::Occupied(first) => Err(duplicate(declared.line, declared.name, first.get().1)),
            Entry::Vacant(vacant) => {
                vacant.insert((entity, declared.line));
                Ok(())
            }
        }
    }

    fn declare_function(
        &mut self,
        function: &'m ast::Function<'a>,
        defined: &mut u32,
    ) -> Result<(), LoadError> {
        let (results, params) = if function.is_kernel {
            (Vec::new(), layout::kernel_params(function)?)
        } else {
            let (results, params, _) = layout::signature(&function.results, &function.params)?;
            (results, params)
        };
        let signature = Signature {
            name: function.name,
            is_kernel: function.is_kernel,
            index: function.body.is_some().then_some(*defined),
            params,
            results,
        };
        *defined += u32::from(function.body.is_some());
        match self.entities.entry(function.name) {
            Entry::Vacant(vacant) => {
                vacant.insert((Entity::Function(index(self.functions.len())), function.line));
                self.functions.push(signature);
            }
            Entry::Occupied(mut first) => {
                let (Entity::Function(number), line) = *first.get() else {
                    return Err(duplicate(function.line, function.name, first.get().1));
                };
                let Some(known) = self.functions.get_mut(number as usize) else {
                    return Err(unknown(function.line, "function", function.name));
                };
                if known.index.is_some() && signature.index.is_some() {
                    return Err(duplicate(function.line, function.name, line));
                }
                if signature.index.is_some() {
                    *known = signature;
                    first.get_mut().1 = function.line;
                }
            }
        }
        Ok(())
    }
}

/// Counts of things in a source are far below 2³².
pub(super) fn index(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
