//! Directives: the header of a module, functions with what is said about their launches, and what debuggers want.

use super::ast::{Alias, Declaration, Function};
use super::lexer::Kind;
use super::parser::Parser;
use crate::error::LoadError;

/// What directives between the head and the body of a function say.
#[derive(Default)]
struct Bounds {
    max_threads: Option<[u32; 3]>,
    required_threads: Option<[u32; 3]>,
}

impl<'a> Parser<'a> {
    /// `.version`, `.target` and `.address_size`.
    pub(super) fn header(&mut self) -> Result<(), LoadError> {
        self.header_directive("version", "`.version`")?;
        let version = self.take(Kind::Number, "a version")?;
        let known = version
            .text
            .split_once('.')
            .and_then(|(major, minor)| Some((major.parse::<u32>().ok()?, minor.parse::<u32>().ok()?)));
        match known {
            Some(version) if ((2, 3)..(10, 0)).contains(&version) => {}
            _ => return Err(self.unsupported("version other than 2.3 to 9.x", version.text)),
        }
        self.header_directive("target", "`.target`")?;
        loop {
            let target = self.take(Kind::Word, "a target")?;
            match target.text {
                "texmode_unified" | "texmode_independent" | "debug" => {}
                sm if sm.starts_with("sm_") || sm.starts_with("compute_") => {}
                _ => return Err(self.unsupported("target", target.text)),
            }
            if !self.eat(",")? {
                break;
            }
        }
        self.header_directive("address_size", "`.address_size 64`")?;
        let size = self.take(Kind::Number, "`64`")?;
        if size.text == "64" {
            Ok(())
        } else {
            Err(self.unsupported("address size other than 64", size.text))
        }
    }

    fn header_directive(&mut self, name: &str, expected: &'static str) -> Result<(), LoadError> {
        while self.current().kind == Kind::Dot && matches!(self.current().text, "file" | "pragma") {
            self.passing_directive()?;
        }
        if self.current().kind == Kind::Dot && self.current().text == name {
            self.advance()?;
            return Ok(());
        }
        Err(self.unexpected(expected))
    }

    /// A directive that changes nothing here: for debuggers, or advice.
    pub(super) fn passing_directive(&mut self) -> Result<(), LoadError> {
        match self.current().text {
            "file" => self.file(),
            "loc" => self.loc(),
            "section" => self.section(),
            "pragma" => {
                self.advance()?;
                while !self.eat(";")? {
                    match self.current().kind {
                        Kind::Text => self.advance().map(drop)?,
                        Kind::Mark if self.at(",") => self.advance().map(drop)?,
                        _ => return Err(self.unexpected("a text or `;`")),
                    }
                }
                Ok(())
            }
            "version" | "target" | "address_size" => Err(self.unexpected("the header only once")),
            _ => Err(self.unsupported_here("directive")),
        }
    }

    /// `.file 1 "name"{, timestamp, size}`
    fn file(&mut self) -> Result<(), LoadError> {
        self.advance()?;
        self.take(Kind::Number, "the number of a file")?;
        self.take(Kind::Text, "the name of a file")?;
        while self.eat(",")? {
            self.take(Kind::Number, "a number")?;
        }
        Ok(())
    }

    /// `.loc 1 12 5{, function_name label{+4}, inlined_at 1 8 2}`
    fn loc(&mut self) -> Result<(), LoadError> {
        self.advance()?;
        for _ in 0..3 {
            self.take(Kind::Number, "a position in a file")?;
        }
        while self.eat(",")? {
            match self.name()? {
                "function_name" => {
                    self.name()?;
                    if self.eat("+")? {
                        self.take(Kind::Number, "an offset")?;
                    }
                }
                "inlined_at" => {
                    for _ in 0..3 {
                        self.take(Kind::Number, "a position in a file")?;
                    }
                }
                _ => return Err(self.unexpected("`function_name` or `inlined_at`")),
            }
        }
        Ok(())
    }

    /// `.section .debug_info { … }`, unread.
    fn section(&mut self) -> Result<(), LoadError> {
        self.advance()?;
        self.advance()?;
        if !self.at("{") {
            return Err(self.unexpected("`{`"));
        }
        let mut open = 0_usize;
        loop {
            if self.current().kind == Kind::End {
                return Err(self.unexpected("`}` at the end of a section"));
            }
            if self.at("{") {
                open += 1;
            } else if self.at("}") {
                open -= 1;
            }
            self.advance()?;
            if open == 0 {
                return Ok(());
            }
        }
    }

    /// `.alias name, of;`
    pub(super) fn alias(&mut self) -> Result<Alias<'a>, LoadError> {
        let line = self.line();
        self.advance()?;
        let name = self.name()?;
        self.expect(",", "`,`")?;
        let of = self.name()?;
        self.expect(";", "`;`")?;
        Ok(Alias { line, name, of })
    }

    /// `.entry name (params) directives { … }`, `.func (results) name (params);`
    pub(super) fn function(&mut self) -> Result<Function<'a>, LoadError> {
        let is_kernel = self.advance()?.text == "entry";
        self.attribute()?;
        let results = if is_kernel { Vec::new() } else { self.params()? };
        let line = self.line();
        let name = self.name()?;
        let params = self.params()?;
        let mut bounds = Bounds::default();
        while self.current().kind == Kind::Dot {
            self.bound(&mut bounds)?;
        }
        let body = if self.eat(";")? {
            None
        } else if self.at("{") {
            Some(self.block()?)
        } else {
            return Err(self.unexpected("`{` or `;`"));
        };
        let Bounds { max_threads, required_threads } = bounds;
        Ok(Function { line, is_kernel, name, results, params, max_threads, required_threads, body })
    }

    /// `(.param .b32 a, .reg .u32 b)`, or nothing.
    pub(super) fn params(&mut self) -> Result<Vec<Declaration<'a>>, LoadError> {
        let mut params = Vec::new();
        if !self.eat("(")? || self.eat(")")? {
            return Ok(params);
        }
        loop {
            params.push(self.parameter()?);
            if self.eat(")")? {
                return Ok(params);
            }
            self.expect(",", "`,` or `)` after a parameter")?;
        }
    }

    /// What stands between the head and the body of a function.
    fn bound(&mut self, bounds: &mut Bounds) -> Result<(), LoadError> {
        match self.current().text {
            "maxntid" => {
                self.advance()?;
                bounds.max_threads = Some(self.extents()?);
            }
            "reqntid" => {
                self.advance()?;
                bounds.required_threads = Some(self.extents()?);
            }
            "minnctapersm"
            | "maxnctapersm"
            | "maxnreg"
            | "maxclusterrank"
            | "abi_preserve"
            | "abi_preserve_control" => {
                self.advance()?;
                self.unsigned()?;
            }
            "noreturn" => {
                self.advance()?;
            }
            "attribute" => self.attribute()?,
            "pragma" | "loc" | "file" => self.passing_directive()?,
            _ => return Err(self.unsupported_here("directive of a function")),
        }
        Ok(())
    }

    /// Up to three numbers; those that are missing are 1.
    fn extents(&mut self) -> Result<[u32; 3], LoadError> {
        let mut extents = [1; 3];
        for (axis, extent) in extents.iter_mut().enumerate() {
            if axis > 0 && !self.eat(",")? {
                break;
            }
            let number = self.unsigned()?;
            *extent = u32::try_from(number)
                .map_err(|_| self.limit("threads along an axis", u64::from(u32::MAX), number))?;
        }
        Ok(extents)
    }
}
