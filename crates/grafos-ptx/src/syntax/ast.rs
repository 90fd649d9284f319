//! The syntax tree. It borrows every name from the source.

use std::fmt;

/// A whole module.
#[derive(Debug, Default)]
pub(crate) struct Module<'a> {
    pub(crate) variables: Vec<Declaration<'a>>,
    pub(crate) functions: Vec<Function<'a>>,
    pub(crate) aliases: Vec<Alias<'a>>,
}

/// `.alias name, of;`
#[derive(Debug)]
pub(crate) struct Alias<'a> {
    pub(crate) line: u32,
    pub(crate) name: &'a str,
    pub(crate) of: &'a str,
}

/// Who else sees a name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Linkage {
    /// Nothing, `.visible`, `.weak` or `.common`: it is defined here.
    #[default]
    Defined,
    /// `.extern`
    Extern,
}

/// Where a declared thing lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StateSpace {
    Reg,
    Global,
    Const,
    Shared,
    Local,
    Param,
}

/// One declared name: a register, a variable or a parameter.
#[derive(Debug)]
pub(crate) struct Declaration<'a> {
    pub(crate) line: u32,
    pub(crate) linkage: Linkage,
    pub(crate) space: StateSpace,
    pub(crate) align: Option<u32>,
    pub(crate) ty: crate::types::Type,
    /// Elements of a vector; 1 for none.
    pub(crate) vector: u8,
    pub(crate) name: &'a str,
    /// `%r<12>`: `%r0` to `%r11`.
    pub(crate) count: Option<u32>,
    /// Of an array; `None` for `[]`.
    pub(crate) dims: Vec<Option<u64>>,
    pub(crate) initial: Option<Initial<'a>>,
}

/// What a variable holds at first.
#[derive(Debug)]
pub(crate) enum Initial<'a> {
    List(Vec<Initial<'a>>),
    Value(Immediate),
    Address { name: &'a str, generic: bool, addend: i64 },
}

/// `.entry` or `.func`, with its body or without.
#[derive(Debug)]
pub(crate) struct Function<'a> {
    pub(crate) line: u32,
    pub(crate) is_kernel: bool,
    pub(crate) name: &'a str,
    pub(crate) results: Vec<Declaration<'a>>,
    pub(crate) params: Vec<Declaration<'a>>,
    pub(crate) max_threads: Option<[u32; 3]>,
    pub(crate) required_threads: Option<[u32; 3]>,
    pub(crate) body: Option<Vec<Statement<'a>>>,
}

/// What stands in a body.
#[derive(Debug)]
pub(crate) enum Statement<'a> {
    Declare(Declaration<'a>),
    Block(Vec<Statement<'a>>),
    Label {
        line: u32,
        name: &'a str,
    },
    Instruction(Instruction<'a>),
    /// `name: .branchtargets a, b;`
    BranchTargets {
        line: u32,
        name: &'a str,
        targets: Vec<&'a str>,
    },
    /// `name: .calltargets f, g;`
    CallTargets {
        line: u32,
        name: &'a str,
        targets: Vec<&'a str>,
    },
    /// `name: .callprototype (results) _ (params);`
    CallPrototype {
        line: u32,
        name: &'a str,
        results: Vec<Declaration<'a>>,
        params: Vec<Declaration<'a>>,
    },
}

/// `@!%p`
#[derive(Clone, Copy, Debug)]
pub(crate) struct Guard<'a> {
    pub(crate) pred: &'a str,
    pub(crate) negated: bool,
}

/// One instruction.
#[derive(Debug)]
pub(crate) struct Instruction<'a> {
    pub(crate) line: u32,
    pub(crate) guard: Option<Guard<'a>>,
    pub(crate) opcode: &'a str,
    /// Without their dots.
    pub(crate) modifiers: Vec<&'a str>,
    pub(crate) operands: Vec<Operand<'a>>,
    /// Opcode and modifiers as they stand in the source.
    pub(crate) text: &'a str,
}

impl Instruction<'_> {
    pub(crate) fn has(&self, modifier: &str) -> bool {
        self.modifiers.contains(&modifier)
    }
}

/// An operand as it is written.
#[derive(Clone, Debug)]
pub(crate) enum Operand<'a> {
    /// A register, a special register, a label, a variable, a function.
    Name(&'a str),
    /// `%tid.x`, `v.x`
    Component(&'a str, &'a str),
    /// `name+4`
    NameOffset(&'a str, i64),
    Immediate(Immediate),
    /// `!%p`
    Negated(&'a str),
    /// `[name+8]`, `[16]`
    Address {
        base: Option<&'a str>,
        offset: i64,
    },
    /// `{a, b}`
    Vector(Vec<Operand<'a>>),
    /// `p|q`: each a name or `_`.
    Pair(&'a str, &'a str),
    /// `(a, b)` of a call.
    Group(Vec<Operand<'a>>),
    /// `_`
    Sink,
}

/// A constant.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Immediate {
    /// 64 bits, and whether they are unsigned.
    Int { bits: u64, unsigned: bool },
    /// `0f3F800000`
    F32(u32),
    /// `0d3FF0000000000000`, `1.0`
    F64(u64),
}

/// As it is repeated in errors: short, whatever the source holds.
impl fmt::Display for Operand<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(shown(name)),
            Self::Component(name, component) => write!(f, "{}.{}", shown(name), shown(component)),
            Self::NameOffset(name, offset) => write!(f, "{}{offset:+}", shown(name)),
            Self::Immediate(value) => write!(f, "{value}"),
            Self::Negated(name) => write!(f, "!{}", shown(name)),
            Self::Address { base: Some(base), offset: 0 } => write!(f, "[{}]", shown(base)),
            Self::Address { base: Some(base), offset } => write!(f, "[{}{offset:+}]", shown(base)),
            Self::Address { base: None, offset } => write!(f, "[{offset}]"),
            Self::Vector(elements) => write!(f, "a vector of {}", elements.len()),
            Self::Pair(a, b) => write!(f, "{}|{}", shown(a), shown(b)),
            Self::Group(elements) => write!(f, "a list of {}", elements.len()),
            Self::Sink => f.write_str("_"),
        }
    }
}

impl fmt::Display for Immediate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Int { bits, unsigned: true } => write!(f, "{bits}"),
            Self::Int { bits, unsigned: false } => write!(f, "{}", bits.cast_signed()),
            Self::F32(bits) => write!(f, "0f{bits:08X}"),
            Self::F64(bits) => write!(f, "0d{bits:016X}"),
        }
    }
}

/// The beginning of a piece of source, for an error.
pub(crate) fn shown(text: &str) -> &str {
    match text.char_indices().nth(super::limits::SHOWN_CHARS) {
        Some((end, _)) => text.get(..end).unwrap_or(text),
        None => text,
    }
}
