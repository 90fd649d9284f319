//! From text to a syntax tree: what stands there, not what it means.
//!
//! Names are not looked up here, and opcodes are only looked at to tell those whose operands have a syntax of their
//! own, which the machine does not run. Invariant: no input makes it recurse deeper or allocate more than
//! [`limits`] says, and every node knows its line.

pub(crate) mod ast;
mod constants;
mod directives;
mod lexer;
pub(crate) mod limits;
mod operands;
mod parser;
mod refused;
mod statements;
mod variables;

#[cfg(test)]
mod tests;

pub(crate) use parser::parse;
