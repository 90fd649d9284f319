//! [`Lexer`]: source text to tokens, one at a time. It copies nothing and remembers only where it is.

use super::ast::shown;
use crate::error::{LoadError, LoadErrorKind};

/// A piece of source.
#[derive(Clone, Copy, Debug)]
pub(super) struct Token<'a> {
    pub(super) kind: Kind,
    /// Without the dot of a [`Kind::Dot`] and the quotes of a [`Kind::Text`].
    pub(super) text: &'a str,
    pub(super) line: u32,
    /// Where it begins in the source, and where it ends.
    pub(super) start: usize,
    pub(super) end: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A name or an opcode: `mov`, `%r1`, `$L__BB0_2`, `_`.
    Word,
    /// `.u32`, `.L2::128B`, `.x`
    Dot,
    Number,
    /// In quotes.
    Text,
    /// One of `{ } ( ) [ ] , ; : = @ | ! < > + - * / % & ^ ~ ?`, or two that belong together.
    Mark,
    End,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Lexer<'a> {
    source: &'a str,
    at: usize,
    line: u32,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(source: &'a str) -> Self {
        Self { source, at: 0, line: 1 }
    }

    pub(super) fn source(&self) -> &'a str {
        self.source
    }

    /// The next token; [`Kind::End`] at the end, again and again.
    pub(super) fn next(&mut self) -> Result<Token<'a>, LoadError> {
        self.skip_blanks()?;
        let start = self.at;
        let Some(first) = self.byte(0) else { return Ok(self.token(Kind::End, start, start, start)) };
        match first {
            b'0'..=b'9' => {
                self.at += self.number_len();
                Ok(self.token(Kind::Number, start, start, self.at))
            }
            b'.' if self.byte(1).is_some_and(follows) => {
                self.at += 1;
                self.skip_dotted();
                Ok(self.token(Kind::Dot, start, start + 1, self.at))
            }
            b'"' => self.text(),
            _ if first == b'%' && !self.byte(1).is_some_and(follows) => self.mark(),
            _ if follows(first) || first == b'%' => {
                self.at += 1;
                self.skip_while(follows);
                Ok(self.token(Kind::Word, start, start, self.at))
            }
            _ => self.mark(),
        }
    }

    fn token(&self, kind: Kind, start: usize, from: usize, to: usize) -> Token<'a> {
        let text = self.source.get(from..to).unwrap_or_default();
        Token { kind, text, line: self.line, start, end: self.at }
    }

    fn byte(&self, ahead: usize) -> Option<u8> {
        self.source.as_bytes().get(self.at + ahead).copied()
    }

    fn skip_while(&mut self, holds: impl Fn(u8) -> bool) {
        while self.byte(0).is_some_and(&holds) {
            self.at += 1;
        }
    }

    /// `word` or `word::word`.
    fn skip_dotted(&mut self) {
        loop {
            self.skip_while(follows);
            if self.byte(0) == Some(b':')
                && self.byte(1) == Some(b':')
                && self.byte(2).is_some_and(|b| b.is_ascii_alphanumeric())
            {
                self.at += 2;
            } else {
                return;
            }
        }
    }

    /// Blanks, line ends and comments.
    fn skip_blanks(&mut self) -> Result<(), LoadError> {
        loop {
            match (self.byte(0), self.byte(1)) {
                (Some(b'\n'), _) => {
                    self.line = self.line.saturating_add(1);
                    self.at += 1;
                }
                (Some(b' ' | b'\t' | b'\r' | 0x0b | 0x0c), _) => self.at += 1,
                (Some(b'/'), Some(b'/')) => self.skip_while(|b| b != b'\n'),
                (Some(b'/'), Some(b'*')) => self.skip_comment()?,
                _ => return Ok(()),
            }
        }
    }

    fn skip_comment(&mut self) -> Result<(), LoadError> {
        let begun = self.line;
        self.at += 2;
        loop {
            match (self.byte(0), self.byte(1)) {
                (Some(b'*'), Some(b'/')) => {
                    self.at += 2;
                    return Ok(());
                }
                (Some(byte), _) => {
                    self.line = self.line.saturating_add(u32::from(byte == b'\n'));
                    self.at += 1;
                }
                (None, _) => return Err(syntax(begun, "`*/` after `/*`", "the end of the source")),
            }
        }
    }

    /// How long the number is that begins here: digits and letters, and a fraction and an exponent of a decimal one.
    fn number_len(&self) -> usize {
        let run = |from: usize| (from..).take_while(|&i| self.byte(i).is_some_and(word)).count();
        let mut len = run(0);
        let decimal = |upto: usize| (0..upto).all(|i| self.byte(i).is_some_and(|b| b.is_ascii_digit()));
        let is_decimal = decimal(len);
        if is_decimal
            && self.byte(len) == Some(b'.')
            && self.byte(len + 1).is_some_and(|b| b.is_ascii_digit())
        {
            len += 1 + run(len + 1);
        } else if is_decimal || !decimal(len.saturating_sub(1)) {
            return len;
        }
        let exponent = matches!(self.byte(len - 1), Some(b'e' | b'E'));
        let signed = matches!(self.byte(len), Some(b'+' | b'-'))
            && self.byte(len + 1).is_some_and(|b| b.is_ascii_digit());
        if exponent && signed { len + 1 + run(len + 1) } else { len }
    }

    fn text(&mut self) -> Result<Token<'a>, LoadError> {
        let start = self.at;
        self.at += 1;
        self.skip_while(|b| b != b'"' && b != b'\n');
        if self.byte(0) != Some(b'"') {
            return Err(syntax(self.line, "`\"` at the end of a text", "the end of the line"));
        }
        self.at += 1;
        Ok(self.token(Kind::Text, start, start + 1, self.at - 1))
    }

    fn mark(&mut self) -> Result<Token<'a>, LoadError> {
        let start = self.at;
        let first = self.byte(0).unwrap_or_default();
        let len = match (first, self.byte(1)) {
            (b'<', Some(b'<')) | (b'>', Some(b'>')) | (b'&', Some(b'&')) | (b'|', Some(b'|')) => 2,
            (b'=' | b'!' | b'<' | b'>', Some(b'=')) => 2,
            _ if b"{}()[],;:=@|!<>+-*/%&^~?".contains(&first) => 1,
            _ => {
                let found = self.source.get(start..).unwrap_or_default();
                let end = found.find(char::is_whitespace).unwrap_or(found.len());
                let found = found.get(..end).unwrap_or(found);
                // What can't be seen is spelled out.
                return Err(syntax(self.line, "a token", &shown(found).escape_debug().to_string()));
            }
        };
        self.at += len;
        Ok(self.token(Kind::Mark, start, start, self.at))
    }
}

/// A character of a name.
fn follows(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$')
}

/// A character of a number.
fn word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// A [`LoadErrorKind::Syntax`].
pub(super) fn syntax(line: u32, expected: &'static str, found: &str) -> LoadError {
    let kind = LoadErrorKind::Syntax { expected, found: shown(found).to_owned() };
    LoadError { line, kind }
}
