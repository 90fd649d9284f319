//! Declarations: registers, variables with their arrays and initialisers, and parameters.

use super::ast::{Declaration, Initial, Linkage, StateSpace};
use super::lexer::Kind;
use super::limits;
use super::parser::Parser;
use crate::error::LoadError;
use crate::types::Type;

/// What a directive says of all names that it declares.
#[derive(Clone, Copy)]
struct Head {
    linkage: Linkage,
    space: StateSpace,
    align: Option<u32>,
    ty: Type,
    vector: u8,
}

impl<'a> Parser<'a> {
    /// `.reg .b32 %r<4>, %x`, without the `;`.
    pub(super) fn declarations(
        &mut self,
        linkage: Linkage,
        into: &mut Vec<Declaration<'a>>,
    ) -> Result<(), LoadError> {
        let head = self.head(linkage)?;
        loop {
            into.push(self.declared(head)?);
            if !self.eat(",")? {
                return Ok(());
            }
        }
    }

    /// One parameter of a function.
    pub(super) fn parameter(&mut self) -> Result<Declaration<'a>, LoadError> {
        let head = self.head(Linkage::Defined)?;
        if !matches!(head.space, StateSpace::Param | StateSpace::Reg) {
            return Err(self.unexpected("a parameter in `.param` or `.reg`"));
        }
        self.declared(head)
    }

    /// State space, alignment, vector and type.
    fn head(&mut self, linkage: Linkage) -> Result<Head, LoadError> {
        let space = match (self.current().kind, self.current().text) {
            (Kind::Dot, "reg") => StateSpace::Reg,
            (Kind::Dot, "global") => StateSpace::Global,
            (Kind::Dot, "const") => StateSpace::Const,
            (Kind::Dot, "shared" | "shared::cta") => StateSpace::Shared,
            (Kind::Dot, "local") => StateSpace::Local,
            (Kind::Dot, "param") => StateSpace::Param,
            _ => return Err(self.unexpected("a state space")),
        };
        self.advance()?;
        let mut head = Head { linkage, space, align: None, ty: Type::B32, vector: 1 };
        let mut ty = None;
        let mut is_pointer = false;
        while self.current().kind == Kind::Dot {
            let word = self.current().text;
            match word {
                "align" => {
                    self.advance()?;
                    let align = self.alignment()?;
                    if !is_pointer {
                        head.align = Some(align);
                    }
                    continue;
                }
                "attribute" => {
                    self.attribute()?;
                    continue;
                }
                "v2" => head.vector = 2,
                "v4" => head.vector = 4,
                "ptr" => is_pointer = true,
                // The space that a pointer points to.
                "global" | "const" | "shared" | "local" if is_pointer => {}
                _ => match Type::of_name(word) {
                    Some(named) if ty.is_none() => ty = Some(named),
                    _ => return Err(self.unsupported_here("type or property of a variable")),
                },
            }
            self.advance()?;
        }
        head.ty = ty.ok_or_else(|| self.unexpected("a type"))?;
        if head.ty == Type::Pred && space != StateSpace::Reg {
            return Err(self.unsupported("predicate outside of a register", "pred"));
        }
        Ok(head)
    }

    /// `name`, `name<12>`, `name[4][] = { … }`
    fn declared(&mut self, head: Head) -> Result<Declaration<'a>, LoadError> {
        let Head { linkage, space, align, ty, vector } = head;
        let line = self.line();
        let name = self.name()?;
        let mut declared = Declaration {
            line,
            linkage,
            space,
            align,
            ty,
            vector,
            name,
            count: None,
            dims: Vec::new(),
            initial: None,
        };
        if self.eat("<")? {
            let count = self.unsigned()?;
            declared.count = match u32::try_from(count) {
                Ok(fits) if count <= limits::DECLARED_REGISTERS => Some(fits),
                _ => return Err(self.limit("registers", limits::DECLARED_REGISTERS, count)),
            };
            self.expect(">", "`>`")?;
            if space != StateSpace::Reg {
                return Err(self.unsupported("numbered names of variables", name));
            }
        }
        while self.eat("[")? {
            declared.dims.push(if self.at("]") { None } else { Some(self.unsigned_expression()?) });
            self.expect("]", "`]`")?;
        }
        if space == StateSpace::Reg && !declared.dims.is_empty() {
            return Err(self.unsupported("array of registers", name));
        }
        if self.eat("=")? {
            if !matches!(space, StateSpace::Global | StateSpace::Const) || linkage == Linkage::Extern {
                return Err(self.unsupported("initialiser in this state space", name));
            }
            declared.initial = Some(self.initial()?);
        }
        Ok(declared)
    }

    /// A power of two.
    fn alignment(&mut self) -> Result<u32, LoadError> {
        let align = self.unsigned()?;
        match u32::try_from(align) {
            Ok(fits) if fits.is_power_of_two() && align <= limits::ALIGNMENT => Ok(fits),
            Ok(fits) if fits.is_power_of_two() => {
                Err(self.limit("bytes of alignment", limits::ALIGNMENT, align))
            }
            _ => Err(self.unsupported("alignment that is no power of two", &align.to_string())),
        }
    }

    /// `.attribute(.managed)`, or nothing. All memory here is as good as managed.
    pub(super) fn attribute(&mut self) -> Result<(), LoadError> {
        if self.current().kind != Kind::Dot || self.current().text != "attribute" {
            return Ok(());
        }
        self.advance()?;
        self.expect("(", "`(`")?;
        while !self.eat(")")? {
            if self.current().kind == Kind::End {
                return Err(self.unexpected("`)`"));
            }
            self.advance()?;
        }
        Ok(())
    }

    /// A constant, an address or a list of them.
    fn initial(&mut self) -> Result<Initial<'a>, LoadError> {
        if self.eat("{")? {
            let mut list = Vec::new();
            if self.eat("}")? {
                return Ok(Initial::List(list));
            }
            loop {
                list.push(self.nested(Self::initial)?);
                if self.eat("}")? {
                    return Ok(Initial::List(list));
                }
                self.expect(",", "`,` or `}` in a list")?;
            }
        }
        if self.current().kind != Kind::Word || self.current().text == "WARP_SZ" {
            let value = self.constant()?;
            if self.at("(") {
                return Err(self.unsupported_here("part of an address as initialiser"));
            }
            return Ok(Initial::Value(value));
        }
        let mut name = self.name()?;
        let generic = name == "generic" && self.eat("(")?;
        if generic {
            name = self.name()?;
        }
        let mut addend = if generic { self.offset()? } else { 0 };
        if generic {
            self.expect(")", "`)`")?;
        }
        addend = self.offset()?.wrapping_add(addend);
        Ok(Initial::Address { name, generic, addend })
    }
}
