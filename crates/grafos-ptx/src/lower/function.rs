//! [`Body`]: one function on its way from statements to instructions.

use std::rc::Rc;

use super::layout::{self, Cursor};
use super::names::{Entity, Names, Signature, index};
use super::registers::{File, Registers};
use super::scopes::Scopes;
use super::shared::{Areas, Uses};
use super::{limit, unknown, unsupported};
use crate::error::LoadError;
use crate::program::{Function, Guard, Instruction, Op, Param, Slot, Target};
use crate::syntax::ast::{self, Declaration, StateSpace, Statement};
use crate::syntax::limits;

/// What an indirect call must know of its callee.
#[derive(Clone, Debug)]
pub(super) enum Prototype {
    /// The same as a function, by its number in [`Names::functions`].
    Of(u32),
    /// Parameters and results.
    Own(Rc<(Vec<Param>, Vec<Param>)>),
}

/// A function while it is lowered.
#[derive(Debug)]
pub(super) struct Body<'n, 'm, 'a> {
    pub(super) scopes: Scopes<'n, 'm, 'a>,
    pub(super) regs: Registers,
    pub(super) areas: &'n mut Areas,
    pub(super) uses: Uses,
    pub(super) is_kernel: bool,
    pub(super) code: Vec<Instruction>,
    lines: Vec<u32>,
    /// Of the statement that is being lowered.
    pub(super) guard: Option<Guard>,
    pub(super) line: u32,
    frame: Cursor,
    frame_bytes: u64,
    /// Where each label stands. Branches hold the numbers of labels until the end.
    labels: Vec<Option<Target>>,
    tables: Vec<Vec<u32>>,
    pub(super) prototypes: Vec<Prototype>,
    /// Results that the source keeps in registers: what to store where before the function returns.
    pub(super) register_results: Vec<(&'a str, u32)>,
}

impl<'n, 'm, 'a> Body<'n, 'm, 'a> {
    pub(super) fn lower(
        function: &'m ast::Function<'a>,
        statements: &'m [Statement<'a>],
        names: &'n Names<'m, 'a>,
        areas: &'n mut Areas,
    ) -> Result<(Function, Uses), LoadError> {
        let Some(signature) = names.signature(function.name) else {
            return Err(unknown(function.line, "function", function.name));
        };
        let mut body = Self {
            scopes: Scopes::new(names),
            regs: Registers::default(),
            areas,
            uses: Uses::default(),
            is_kernel: function.is_kernel,
            code: Vec::new(),
            lines: Vec::new(),
            guard: None,
            line: function.line,
            frame: Cursor::default(),
            frame_bytes: 0,
            labels: Vec::new(),
            tables: Vec::new(),
            prototypes: Vec::new(),
            register_results: Vec::new(),
        };
        body.scopes.enter();
        body.declare_params(function, signature)?;
        body.block(statements)?;
        body.guard = None;
        body.leave_function()?;
        let mut lowered = body.finish(function)?;
        lowered.0.params.clone_from(&signature.params);
        lowered.0.results.clone_from(&signature.results);
        Ok(lowered)
    }

    /// Names of parameters and results; those in registers are fetched here.
    fn declare_params(
        &mut self,
        function: &'m ast::Function<'a>,
        signature: &Signature<'a>,
    ) -> Result<(), LoadError> {
        if !self.is_kernel {
            let (_, _, cursor) = layout::signature(&function.results, &function.params)?;
            self.frame = cursor;
            self.frame_bytes = cursor.end;
        }
        let params = function.params.iter().zip(&signature.params).map(|pair| (pair, false));
        let results = function.results.iter().zip(&signature.results).map(|pair| (pair, true));
        for ((declared, param), is_result) in params.chain(results) {
            if declared.space == StateSpace::Reg {
                self.declare_register(declared)?;
                if is_result {
                    self.register_results.push((declared.name, param.offset));
                    let (most, found) = (limits::REGISTER_RESULTS, self.register_results.len() as u64);
                    if found > most {
                        return Err(limit(declared.line, "results of a function in registers", most, found));
                    }
                } else {
                    self.load_param(declared.name, param)?;
                }
                continue;
            }
            let entity = if self.is_kernel {
                Entity::Param { offset: param.offset }
            } else {
                Entity::Frame { offset: param.offset, size: param.size, is_param: true }
            };
            if declared.name != "_" {
                self.scopes.declare(declared.name, entity, declared.line)?;
            }
        }
        Ok(())
    }

    /// A block: its names and its memory are its own.
    fn block(&mut self, statements: &'m [Statement<'a>]) -> Result<(), LoadError> {
        self.scopes.enter();
        let frame = self.frame;
        self.declare_labels(statements)?;
        for statement in statements {
            match statement {
                Statement::Declare(declared) => self.declare(declared)?,
                Statement::Block(inner) => self.block(inner)?,
                Statement::Label { name, .. } => self.place_label(name),
                Statement::Instruction(instruction) => self.instruction(instruction)?,
                Statement::BranchTargets { .. }
                | Statement::CallTargets { .. }
                | Statement::CallPrototype { .. } => {}
            }
        }
        self.frame = frame;
        self.scopes.leave();
        Ok(())
    }

    /// Labels of a block are known from its beginning on; tables and prototypes too.
    fn declare_labels(&mut self, statements: &'m [Statement<'a>]) -> Result<(), LoadError> {
        for statement in statements {
            if let Statement::Label { line, name } = statement {
                let label = Entity::Label(index(self.labels.len()));
                self.labels.push(None);
                self.scopes.declare(name, label, *line)?;
            }
        }
        for statement in statements {
            match statement {
                Statement::BranchTargets { line, name, targets } => {
                    let table = self.branch_table(*line, targets)?;
                    self.scopes.declare(name, table, *line)?;
                }
                Statement::CallTargets { line, name, targets } => {
                    let prototype = self.call_targets(*line, targets)?;
                    self.declare_prototype(name, *line, prototype)?;
                }
                Statement::CallPrototype { line, name, results, params } => {
                    let (results, params, _) = layout::signature(results, params)?;
                    let prototype = Prototype::Own(Rc::new((params, results)));
                    self.declare_prototype(name, *line, prototype)?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn declare_prototype(&mut self, name: &'a str, line: u32, prototype: Prototype) -> Result<(), LoadError> {
        let entity = Entity::Prototype(index(self.prototypes.len()));
        self.prototypes.push(prototype);
        self.scopes.declare(name, entity, line)
    }

    fn branch_table(&mut self, line: u32, targets: &[&'a str]) -> Result<Entity, LoadError> {
        let mut table = Vec::with_capacity(targets.len());
        for target in targets {
            table.push(self.label(target).ok_or_else(|| unknown(line, "label", target))?);
        }
        let all = self.tables.iter().map(Vec::len).sum::<usize>() as u64 + table.len() as u64;
        if all > limits::BRANCH_TARGETS || self.tables.len() == usize::from(u16::MAX) {
            return Err(limit(line, "targets of indirect branches", limits::BRANCH_TARGETS, all));
        }
        self.tables.push(table);
        Ok(Entity::BranchTable(index(self.tables.len() - 1)))
    }

    fn place_label(&mut self, name: &str) {
        let here = index(self.code.len());
        if let Some(place) = self.label(name).and_then(|label| self.labels.get_mut(label as usize)) {
            *place = Some(here);
        }
    }

    /// The number of a label.
    pub(super) fn label(&self, name: &str) -> Option<u32> {
        match self.scopes.find(name) {
            Some(super::scopes::Found::Entity(Entity::Label(label))) => Some(label),
            _ => None,
        }
    }

    fn declare(&mut self, declared: &'m Declaration<'a>) -> Result<(), LoadError> {
        let entity = match declared.space {
            StateSpace::Reg => return self.declare_register(declared),
            StateSpace::Shared => Entity::Shared(self.areas.declare(declared)?),
            StateSpace::Local | StateSpace::Param => {
                let is_param = declared.space == StateSpace::Param;
                let (bytes, align) = layout::extent(declared, limits::LOCAL_BYTES)?;
                let Some(bytes) = bytes else {
                    return Err(unsupported(declared.line, "open-ended array here", declared.name));
                };
                let offset = self.frame_place(declared.line, (bytes, align))?;
                let size = u32::try_from(bytes).unwrap_or(u32::MAX);
                Entity::Frame { offset, size, is_param }
            }
            StateSpace::Global | StateSpace::Const => match self.scopes.module.inner(declared) {
                Some(variable) => variable,
                None => return Err(unknown(declared.line, "variable", declared.name)),
            },
        };
        self.scopes.declare(declared.name, entity, declared.line)
    }

    fn declare_register(&mut self, declared: &Declaration<'a>) -> Result<(), LoadError> {
        let Declaration { count, vector, ty, line, name, .. } = *declared;
        let (id, bits) = (self.regs.declare(), ty.bits());
        let entity = match count {
            Some(_) if vector > 1 => return Err(unsupported(line, "numbered vectors of registers", name)),
            Some(count) => Entity::Range { id, count, bits },
            None => Entity::Register { id, lanes: vector, bits },
        };
        self.scopes.declare(name, entity, line)
    }

    /// A place in the frame's local memory, until the end of the block.
    pub(super) fn frame_place(&mut self, line: u32, extent: (u64, u32)) -> Result<u32, LoadError> {
        let offset = self.frame.place(line, extent, ("bytes of local memory", limits::LOCAL_BYTES))?;
        self.frame_bytes = self.frame_bytes.max(self.frame.end);
        Ok(offset)
    }

    /// Appends an instruction under the guard of the statement.
    pub(super) fn emit(&mut self, op: Op) -> Result<(), LoadError> {
        let guard = self.guard;
        self.emit_guarded(guard, op)
    }

    pub(super) fn emit_guarded(&mut self, guard: Option<Guard>, op: Op) -> Result<(), LoadError> {
        let count = self.code.len() as u64;
        if count >= limits::INSTRUCTIONS {
            return Err(limit(self.line, "instructions of a function", limits::INSTRUCTIONS, count + 1));
        }
        self.code.push(Instruction { guard, op });
        self.lines.push(self.line);
        Ok(())
    }

    /// A register of the machine's own.
    pub(super) fn fresh(&mut self, file: File) -> Result<Slot, LoadError> {
        self.regs.fresh(file, self.line)
    }

    /// Puts places where the numbers of labels stood.
    fn finish(mut self, function: &ast::Function<'a>) -> Result<(Function, Uses), LoadError> {
        let place = |label: u32| self.labels.get(label as usize).copied().flatten().unwrap_or_default();
        for instruction in &mut self.code {
            if let Op::Branch { target } = &mut instruction.op {
                *target = place(*target);
            }
        }
        let branch_tables =
            self.tables.iter().map(|table| table.iter().map(|label| place(*label)).collect()).collect();
        let ([num_regs_32, num_regs_64, num_preds], presets) = self.regs.finish();
        let lowered = Function {
            name: function.name.to_owned(),
            is_kernel: function.is_kernel,
            params: Vec::new(),
            results: Vec::new(),
            code: self.code,
            lines: self.lines,
            num_regs_32,
            num_regs_64,
            num_preds,
            presets,
            local_bytes: u32::try_from(self.frame_bytes.next_multiple_of(16)).unwrap_or(u32::MAX),
            shared_bytes: 0,
            max_threads: function.max_threads,
            required_threads: function.required_threads,
            branch_tables,
        };
        Ok((lowered, self.uses))
    }
}
