//! Operands of instructions.

use super::ast::{Immediate, Operand};
use super::lexer::Kind;
use super::parser::Parser;
use crate::error::LoadError;

impl<'a> Parser<'a> {
    /// An operand of a call, which may be a list in parentheses.
    pub(super) fn call_operand(&mut self) -> Result<Operand<'a>, LoadError> {
        if !self.eat("(")? {
            return self.operand();
        }
        let mut group = Vec::new();
        if self.eat(")")? {
            return Ok(Operand::Group(group));
        }
        loop {
            group.push(self.operand()?);
            if self.eat(")")? {
                return Ok(Operand::Group(group));
            }
            self.expect(",", "`,` or `)` in a list of arguments")?;
        }
    }

    pub(super) fn operand(&mut self) -> Result<Operand<'a>, LoadError> {
        if self.eat("[")? {
            return self.address();
        }
        if self.at("{") {
            return self.nested(Self::vector);
        }
        if self.at("!") && self.second()?.kind == Kind::Word {
            self.advance()?;
            return Ok(Operand::Negated(self.name()?));
        }
        match self.current().kind {
            Kind::Word if self.current().text != "WARP_SZ" => self.named(),
            Kind::Word | Kind::Number | Kind::Mark => Ok(Operand::Immediate(self.constant()?)),
            _ => Err(self.unexpected("an operand")),
        }
    }

    /// `name`, `name.x`, `name+4`, `p|q`, `_`
    fn named(&mut self) -> Result<Operand<'a>, LoadError> {
        let name = self.name()?;
        if self.eat("|")? {
            return Ok(Operand::Pair(name, self.name()?));
        }
        if name == "_" {
            return Ok(Operand::Sink);
        }
        if self.current().kind == Kind::Dot {
            return Ok(Operand::Component(name, self.advance()?.text));
        }
        if self.at("+") || self.at("-") {
            return Ok(Operand::NameOffset(name, self.offset()?));
        }
        // `%envreg<4>` names one register.
        if self.at("<") && name == "%envreg" {
            self.advance()?;
            self.unsigned()?;
            self.expect(">", "`>`")?;
        }
        Ok(Operand::Name(name))
    }

    /// `{a, b}`
    fn vector(&mut self) -> Result<Operand<'a>, LoadError> {
        self.expect("{", "`{`")?;
        let mut elements = Vec::new();
        loop {
            elements.push(self.operand()?);
            if self.eat("}")? {
                return Ok(Operand::Vector(elements));
            }
            self.expect(",", "`,` or `}` in a vector")?;
        }
    }

    /// What follows the `[` of an address.
    fn address(&mut self) -> Result<Operand<'a>, LoadError> {
        let base = match self.current().kind {
            Kind::Word if self.current().text != "WARP_SZ" => Some(self.name()?),
            _ => None,
        };
        let offset = match base {
            Some(_) => self.offset()?,
            None => self.integer_expression()?.cast_signed(),
        };
        self.expect("]", "`]`")?;
        if self.current().kind == Kind::Dot && self.current().text == "unified" {
            self.advance()?;
        }
        Ok(Operand::Address { base, offset })
    }

    /// `+8`, `-8`, `+-8`, or nothing.
    pub(super) fn offset(&mut self) -> Result<i64, LoadError> {
        if self.eat("+")? {
            Ok(self.integer_expression()?.cast_signed())
        } else if self.at("-") {
            // The minus belongs to the constant.
            Ok(self.integer_expression()?.cast_signed())
        } else {
            Ok(0)
        }
    }

    /// The bits of a constant expression that is an integer.
    pub(super) fn integer_expression(&mut self) -> Result<u64, LoadError> {
        match self.constant()? {
            Immediate::Int { bits, .. } => Ok(bits),
            _ => Err(self.unexpected("an integer before this")),
        }
    }

    /// A constant expression that is not negative.
    pub(super) fn unsigned_expression(&mut self) -> Result<u64, LoadError> {
        match self.constant()? {
            Immediate::Int { bits, unsigned } if unsigned || bits.cast_signed() >= 0 => Ok(bits),
            _ => Err(self.unexpected("a number that is not negative before this")),
        }
    }
}
