//! What stands in the body of a function.

use super::ast::{Guard, Instruction, Linkage, Statement};
use super::lexer::Kind;
use super::parser::Parser;
use super::refused;
use crate::error::{LoadError, LoadErrorKind};

impl<'a> Parser<'a> {
    /// `{ … }`
    pub(super) fn block(&mut self) -> Result<Vec<Statement<'a>>, LoadError> {
        self.nested(|parser| {
            parser.expect("{", "`{`")?;
            let mut statements = Vec::new();
            while !parser.eat("}")? {
                parser.statement(&mut statements)?;
            }
            Ok(statements)
        })
    }

    fn statement(&mut self, into: &mut Vec<Statement<'a>>) -> Result<(), LoadError> {
        let token = self.current();
        match token.kind {
            Kind::Mark if self.at("{") => into.push(Statement::Block(self.block()?)),
            Kind::Mark if self.at("@") => into.push(Statement::Instruction(self.guarded()?)),
            Kind::Dot => match token.text {
                "reg" | "local" | "shared" | "shared::cta" | "param" | "global" | "const" => {
                    let mut declared = Vec::new();
                    self.declarations(Linkage::Defined, &mut declared)?;
                    self.expect(";", "`;` after a declaration")?;
                    into.extend(declared.into_iter().map(Statement::Declare));
                }
                _ => self.passing_directive()?,
            },
            Kind::Word => {
                let second = self.second()?;
                if second.kind == Kind::Mark && second.text == ":" {
                    self.label(into)?;
                } else {
                    into.push(Statement::Instruction(self.instruction(None)?));
                }
            }
            _ => return Err(self.unexpected("a statement or `}`")),
        }
        Ok(())
    }

    /// `name:`, and the list of an indirect jump that it may name.
    fn label(&mut self, into: &mut Vec<Statement<'a>>) -> Result<(), LoadError> {
        let line = self.line();
        let name = self.name()?;
        self.expect(":", "`:`")?;
        let directive = self.current();
        into.push(match (directive.kind, directive.text) {
            (Kind::Dot, "branchtargets") => {
                self.advance()?;
                Statement::BranchTargets { line, name, targets: self.names()? }
            }
            (Kind::Dot, "calltargets") => {
                self.advance()?;
                Statement::CallTargets { line, name, targets: self.names()? }
            }
            (Kind::Dot, "callprototype") => {
                self.advance()?;
                let results = self.params()?;
                self.name()?;
                let params = self.params()?;
                while self.current().kind == Kind::Dot {
                    match self.current().text {
                        "noreturn" => self.advance().map(drop)?,
                        "abi_preserve" | "abi_preserve_control" => {
                            self.advance()?;
                            self.unsigned()?;
                        }
                        _ => return Err(self.unsupported_here("directive of a prototype")),
                    }
                }
                self.expect(";", "`;` after a prototype")?;
                Statement::CallPrototype { line, name, results, params }
            }
            _ => Statement::Label { line, name },
        });
        Ok(())
    }

    /// `a, b;`
    fn names(&mut self) -> Result<Vec<&'a str>, LoadError> {
        let mut names = vec![self.name()?];
        while self.eat(",")? {
            names.push(self.name()?);
        }
        self.expect(";", "`,` or `;` in a list of names")?;
        Ok(names)
    }

    /// `@%p instruction`, `@!%p instruction`
    fn guarded(&mut self) -> Result<Instruction<'a>, LoadError> {
        self.expect("@", "`@`")?;
        let negated = self.eat("!")?;
        let pred = self.name()?;
        self.instruction(Some(Guard { pred, negated }))
    }

    /// `opcode.modifiers operands;`
    fn instruction(&mut self, guard: Option<Guard<'a>>) -> Result<Instruction<'a>, LoadError> {
        let line = self.line();
        let word = self.take(Kind::Word, "an instruction")?;
        let (opcode, mut end) = (word.text, word.end);
        let mut modifiers = Vec::new();
        while self.current().kind == Kind::Dot {
            let modifier = self.advance()?;
            modifiers.push(modifier.text);
            end = modifier.end;
        }
        let text = self.source(word.start, end);
        if let Some(reason) = refused::reason(opcode, &modifiers) {
            let opcode = super::ast::shown(text).to_owned();
            return Err(LoadError { line, kind: LoadErrorKind::UnsupportedInstruction { opcode, reason } });
        }
        let mut operands = Vec::new();
        if !self.eat(";")? {
            loop {
                operands.push(if opcode == "call" { self.call_operand()? } else { self.operand()? });
                if self.eat(";")? {
                    break;
                }
                self.expect(",", "`,` or `;` after an operand")?;
            }
        }
        Ok(Instruction { line, guard, opcode, modifiers, operands, text })
    }
}
