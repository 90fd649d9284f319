//! Constants and constant expressions. Integers are of 64 bits, signed unless they have a `U` or don't fit; operators
//! bind as in C.

use super::ast::Immediate;
use super::lexer::{Kind, syntax};
use super::parser::Parser;
use crate::error::LoadError;

impl Parser<'_> {
    /// A constant expression.
    pub(super) fn constant(&mut self) -> Result<Immediate, LoadError> {
        self.nested(|parser| {
            let condition = parser.binary(1)?;
            if !parser.eat("?")? {
                return Ok(condition);
            }
            let if_true = parser.constant()?;
            parser.expect(":", "`:`")?;
            let if_false = parser.constant()?;
            Ok(if parser.integer(condition)?.0 != 0 { if_true } else { if_false })
        })
    }

    /// A plain number that is not negative.
    pub(super) fn unsigned(&mut self) -> Result<u64, LoadError> {
        let token = self.take(Kind::Number, "a number")?;
        match number(token.text) {
            Some(Immediate::Int { bits, .. }) => Ok(bits),
            _ => Err(syntax(token.line, "an integer of at most 64 bits", token.text)),
        }
    }

    /// Operators that bind at least as strongly as `weakest`.
    fn binary(&mut self, weakest: u8) -> Result<Immediate, LoadError> {
        let mut left = self.unary()?;
        loop {
            let operator = self.current();
            let strength = if operator.kind == Kind::Mark { strength(operator.text) } else { 0 };
            if strength == 0 || strength < weakest {
                return Ok(left);
            }
            self.advance()?;
            let right = self.nested(|parser| parser.binary(strength + 1))?;
            let (left_int, right_int) = (self.integer(left)?, self.integer(right)?);
            let (bits, unsigned) = apply(operator.text, left_int, right_int)
                .ok_or_else(|| syntax(operator.line, "a divisor other than 0", operator.text))?;
            left = Immediate::Int { bits, unsigned };
        }
    }

    fn unary(&mut self) -> Result<Immediate, LoadError> {
        if self.eat("-")? {
            return Ok(match self.nested(Self::unary)? {
                Immediate::Int { bits, unsigned } => Immediate::Int { bits: bits.wrapping_neg(), unsigned },
                Immediate::F32(bits) => Immediate::F32(bits ^ (1 << 31)),
                Immediate::F64(bits) => Immediate::F64(bits ^ (1 << 63)),
            });
        }
        if self.eat("+")? {
            return self.nested(Self::unary);
        }
        if self.eat("!")? {
            let value = self.nested(Self::unary)?;
            return Ok(Immediate::Int { bits: u64::from(self.integer(value)?.0 == 0), unsigned: false });
        }
        if self.eat("~")? {
            let value = self.nested(Self::unary)?;
            let (bits, unsigned) = self.integer(value)?;
            return Ok(Immediate::Int { bits: !bits, unsigned });
        }
        if self.eat("(")? {
            return self.parenthesised();
        }
        let token = self.current();
        match token.kind {
            Kind::Number => {
                self.advance()?;
                number(token.text)
                    .ok_or_else(|| syntax(token.line, "a number of at most 64 bits", token.text))
            }
            Kind::Word if token.text == "WARP_SZ" => {
                self.advance()?;
                Ok(Immediate::Int { bits: 32, unsigned: false })
            }
            _ => Err(self.unexpected("an operand or a constant")),
        }
    }

    /// What follows a `(`: a cast and its operand, or an expression.
    fn parenthesised(&mut self) -> Result<Immediate, LoadError> {
        if self.current().kind == Kind::Dot {
            let cast = self.advance()?;
            self.expect(")", "`)`")?;
            let value = self.nested(Self::unary)?;
            let (bits, _) = self.integer(value)?;
            return match cast.text {
                "s64" => Ok(Immediate::Int { bits, unsigned: false }),
                "u64" => Ok(Immediate::Int { bits, unsigned: true }),
                _ => Err(syntax(cast.line, "`.s64` or `.u64`", cast.text)),
            };
        }
        let value = self.constant()?;
        self.expect(")", "`)`")?;
        Ok(value)
    }

    fn integer(&self, value: Immediate) -> Result<(u64, bool), LoadError> {
        match value {
            Immediate::Int { bits, unsigned } => Ok((bits, unsigned)),
            _ => Err(self.unexpected("integers around an operator before this")),
        }
    }
}

/// How strongly an operator binds; 0 for none.
fn strength(operator: &str) -> u8 {
    match operator {
        "||" => 1,
        "&&" => 2,
        "|" => 3,
        "^" => 4,
        "&" => 5,
        "==" | "!=" => 6,
        "<" | ">" | "<=" | ">=" => 7,
        "<<" | ">>" => 8,
        "+" | "-" => 9,
        "*" | "/" | "%" => 10,
        _ => 0,
    }
}

/// Both operands are unsigned if one is; a shift and a truth are as ISA section 4.5.5 says. None: division by zero.
fn apply(operator: &str, (a, a_unsigned): (u64, bool), (b, b_unsigned): (u64, bool)) -> Option<(u64, bool)> {
    let unsigned = a_unsigned || b_unsigned;
    let (sa, sb) = (a.cast_signed(), b.cast_signed());
    let less = |a: u64, b: u64| if unsigned { a < b } else { a.cast_signed() < b.cast_signed() };
    let shift = u32::try_from(b).unwrap_or(u32::MAX);
    let truth = |holds: bool| Some((u64::from(holds), false));
    let bits = match operator {
        "||" => return truth(a != 0 || b != 0),
        "&&" => return truth(a != 0 && b != 0),
        "==" => return truth(a == b),
        "!=" => return truth(a != b),
        "<" => return truth(less(a, b)),
        ">" => return truth(less(b, a)),
        "<=" => return truth(!less(b, a)),
        ">=" => return truth(!less(a, b)),
        "<<" => return Some((a.checked_shl(shift).unwrap_or(0), a_unsigned)),
        ">>" if a_unsigned => return Some((a.checked_shr(shift).unwrap_or(0), true)),
        ">>" => return Some(((sa >> shift.min(63)).cast_unsigned(), false)),
        "|" => a | b,
        "^" => a ^ b,
        "&" => a & b,
        "+" => a.wrapping_add(b),
        "-" => a.wrapping_sub(b),
        "*" => a.wrapping_mul(b),
        "/" | "%" if b == 0 => return None,
        "/" if unsigned => a / b,
        "/" => sa.wrapping_div(sb).cast_unsigned(),
        "%" if unsigned => a % b,
        _ => sa.wrapping_rem(sb).cast_unsigned(),
    };
    Some((bits, unsigned))
}

/// A literal. None if it is none, or does not fit.
fn number(text: &str) -> Option<Immediate> {
    let tail = |n: usize| text.get(n..).unwrap_or_default();
    let hex = |digits: &str, len: usize| {
        let ok = digits.len() == len && digits.bytes().all(|b| b.is_ascii_hexdigit());
        ok.then(|| u64::from_str_radix(digits, 16).ok()).flatten()
    };
    match text.get(..2) {
        Some("0f" | "0F") => Some(Immediate::F32(u32::try_from(hex(tail(2), 8)?).ok()?)),
        Some("0d" | "0D") => Some(Immediate::F64(hex(tail(2), 16)?)),
        Some("0x" | "0X") => integer(tail(2), 16),
        Some("0b" | "0B") => integer(tail(2), 2),
        _ if text.bytes().any(|b| matches!(b, b'.' | b'e' | b'E')) => {
            let value: f64 = text.parse().ok()?;
            Some(Immediate::F64(value.to_bits()))
        }
        Some(octal) if octal.starts_with('0') && octal != "0U" => integer(tail(1), 8),
        _ => integer(text, 10),
    }
}

fn integer(digits: &str, radix: u32) -> Option<Immediate> {
    let (digits, unsigned) = match digits.strip_suffix('U') {
        Some(digits) => (digits, true),
        None => (digits, false),
    };
    if !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    let bits = u64::from_str_radix(digits, radix).ok()?;
    Some(Immediate::Int { bits, unsigned: unsigned || bits > i64::MAX.cast_unsigned() })
}
