//! [`Parser`]: the cursor over the tokens that all parts of the grammar share, and the outermost level of a module.

use super::ast::{Declaration, Linkage, Module};
use super::lexer::{Kind, Lexer, Token, syntax};
use super::limits;
use crate::error::{LoadError, LoadErrorKind};

/// The tree of a module.
pub(crate) fn parse(source: &str) -> Result<Module<'_>, LoadError> {
    Parser::new(source)?.module()
}

/// A cursor that has read one token ahead.
#[derive(Debug)]
pub(super) struct Parser<'a> {
    lexer: Lexer<'a>,
    current: Token<'a>,
    /// The line of the token that was taken last.
    taken_line: u32,
    depth: u32,
}

impl<'a> Parser<'a> {
    pub(super) fn new(source: &'a str) -> Result<Self, LoadError> {
        let mut lexer = Lexer::new(source);
        let current = lexer.next()?;
        Ok(Self { lexer, current, taken_line: 1, depth: 0 })
    }

    pub(super) fn current(&self) -> Token<'a> {
        self.current
    }

    pub(super) fn line(&self) -> u32 {
        self.current.line
    }

    /// The token behind the current one.
    pub(super) fn second(&self) -> Result<Token<'a>, LoadError> {
        self.lexer.clone().next()
    }

    /// A piece of the source by its bounds.
    pub(super) fn source(&self, start: usize, end: usize) -> &'a str {
        self.lexer.source().get(start..end).unwrap_or_default()
    }

    /// Takes the current token.
    pub(super) fn advance(&mut self) -> Result<Token<'a>, LoadError> {
        let next = self.lexer.next()?;
        self.taken_line = self.current.line;
        Ok(std::mem::replace(&mut self.current, next))
    }

    pub(super) fn at(&self, mark: &str) -> bool {
        self.current.kind == Kind::Mark && self.current.text == mark
    }

    /// Takes `mark` if it is there.
    pub(super) fn eat(&mut self, mark: &str) -> Result<bool, LoadError> {
        let there = self.at(mark);
        if there {
            self.advance()?;
        }
        Ok(there)
    }

    pub(super) fn expect(&mut self, mark: &str, expected: &'static str) -> Result<(), LoadError> {
        if self.eat(mark)? { Ok(()) } else { Err(self.unexpected(expected)) }
    }

    /// A token of this kind, or an error.
    pub(super) fn take(&mut self, kind: Kind, expected: &'static str) -> Result<Token<'a>, LoadError> {
        if self.current.kind == kind { self.advance() } else { Err(self.unexpected(expected)) }
    }

    pub(super) fn name(&mut self) -> Result<&'a str, LoadError> {
        Ok(self.take(Kind::Word, "a name")?.text)
    }

    pub(super) fn unexpected(&self, expected: &'static str) -> LoadError {
        let found = match self.current.kind {
            Kind::End => "the end of the source",
            _ => self.source(self.current.start, self.current.end),
        };
        syntax(self.current.line, expected, found)
    }

    /// A [`LoadErrorKind::Unsupported`] about what was taken last.
    pub(super) fn unsupported(&self, what: &'static str, found: &str) -> LoadError {
        let kind = LoadErrorKind::Unsupported { what, found: super::ast::shown(found).to_owned() };
        LoadError { line: self.taken_line, kind }
    }

    /// A [`LoadErrorKind::Limit`] about what was taken last.
    pub(super) fn limit(&self, what: &'static str, limit: u64, found: u64) -> LoadError {
        LoadError { line: self.taken_line, kind: LoadErrorKind::Limit { what, limit, found } }
    }

    /// The current token is one that could stand here, but is not supported.
    pub(super) fn unsupported_here(&self, what: &'static str) -> LoadError {
        LoadError { line: self.line(), ..self.unsupported(what, self.current.text) }
    }

    /// Runs `inner` one level deeper.
    pub(super) fn nested<T>(
        &mut self,
        inner: impl FnOnce(&mut Self) -> Result<T, LoadError>,
    ) -> Result<T, LoadError> {
        if self.depth == limits::DEPTH {
            return Err(self.limit("nesting", u64::from(limits::DEPTH), u64::from(self.depth) + 1));
        }
        self.depth += 1;
        let result = inner(self);
        self.depth -= 1;
        result
    }

    /// Everything between the header and the end.
    fn module(mut self) -> Result<Module<'a>, LoadError> {
        let mut module = Module::default();
        self.header()?;
        while self.current.kind != Kind::End {
            self.item(&mut module)?;
        }
        Ok(module)
    }

    /// One directive at the outermost level.
    fn item(&mut self, module: &mut Module<'a>) -> Result<(), LoadError> {
        let mut linkage = Linkage::Defined;
        loop {
            if self.current.kind != Kind::Dot {
                return Err(self.unexpected("a directive"));
            }
            match self.current.text {
                "visible" | "weak" | "common" => {
                    self.advance()?;
                }
                "extern" => {
                    self.advance()?;
                    linkage = Linkage::Extern;
                }
                "entry" | "func" => {
                    let function = self.function()?;
                    module.functions.push(function);
                    return Ok(());
                }
                "global" | "const" | "shared" => return self.variables(linkage, &mut module.variables),
                "alias" => {
                    module.aliases.push(self.alias()?);
                    return Ok(());
                }
                _ if linkage == Linkage::Defined => return self.passing_directive(),
                _ => return Err(self.unexpected("`.func` or a state space")),
            }
        }
    }

    /// Variables of one directive, up to the `;`.
    fn variables(&mut self, linkage: Linkage, into: &mut Vec<Declaration<'a>>) -> Result<(), LoadError> {
        self.declarations(linkage, into)?;
        self.expect(";", "`;` after the variables")
    }
}
