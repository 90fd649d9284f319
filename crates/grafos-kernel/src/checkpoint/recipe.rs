//! [`Recipe`]: the first chunk of a delta, which lists what it makes. Moves no data.
//!
//! ```text
//! integers are little-endian
//! +--------+-----+-------------------------------------------------------------------+
//! | offset | len | field                                                             |
//! +--------+-----+-------------------------------------------------------------------+
//! |      0 |   4 | version = 1                                                       |
//! |      4 |   4 | page_bytes: a power of two from 512 to 1048576                    |
//! |      8 |   4 | parent_chunks: how many chunks the parent has                     |
//! |     12 |   4 | count: how many chunks are made                                   |
//! |     16 |  32 | result: the digest of the contents that are made                  |
//! |     48 | 8·n | for each chunk, in order: how (u32), which of the parent (u32)    |
//! +--------+-----+-------------------------------------------------------------------+
//! how = 0: the parent's chunk as it is; 1: the delta's next chunk, whole (u32::MAX: it replaces none);
//! 2: the parent's chunk with the pages of the delta's next one
//! ```
//!
//! Chunks of the parent that are not named are deleted. None is named twice, so that a delta never makes more than its
//! parent and itself together.

use super::bytes::{Parser, array_at};
use super::chunk::{DataChunk, FLAG_PAGES};
use super::digest::Digest;
use super::error::CheckpointError;

const VERSION: u32 = 1;
const RESULT_AT: usize = 16;
const STEP_BYTES: usize = 8;
const NO_PARENT: u32 = u32::MAX;

/// How one chunk is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// It is chunk `parent` of the parent.
    Keep { parent: u32 },
    /// It is the delta's next chunk; it stands for chunk `parent` of the parent, if that had one.
    Whole { parent: Option<u32> },
    /// It is chunk `parent` of the parent, with the pages of the delta's next one.
    Pages { parent: u32 },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Recipe {
    pub(super) page_bytes: u32,
    pub(super) parent_chunks: u32,
    pub(super) result: Digest,
    pub(super) steps: Vec<Step>,
}

impl Recipe {
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(RESULT_AT + 32 + self.steps.len() * STEP_BYTES);
        let count = super::bytes::count_of(self.steps.len());
        for number in [VERSION, self.page_bytes, self.parent_chunks, count] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        bytes.extend_from_slice(&self.result.0);
        for step in &self.steps {
            let (how, parent) = match *step {
                Step::Keep { parent } => (0_u32, parent),
                Step::Whole { parent } => (1, parent.unwrap_or(NO_PARENT)),
                Step::Pages { parent } => (2, parent),
            };
            bytes.extend_from_slice(&how.to_le_bytes());
            bytes.extend_from_slice(&parent.to_le_bytes());
        }
        bytes
    }

    pub(super) fn parse(bytes: &[u8]) -> Result<Self, CheckpointError> {
        let mut parser = Parser::new(bytes, 0);
        let version = parser.u32()?;
        check("version of the recipe", 0, u64::from(VERSION), u64::from(version))?;
        let page_bytes = parser.u32()?;
        if !is_page_size(page_bytes) {
            return Err(malformed("page size", 4, 4096, u64::from(page_bytes)));
        }
        let parent_chunks = parser.u32()?;
        let count = parser.u32()?;
        let result = Digest(array_at(parser.take(32)?, 0));
        check(
            "bytes of the recipe's steps",
            12,
            parser.remaining() as u64,
            u64::from(count) * STEP_BYTES as u64,
        )?;
        let mut steps = Vec::new();
        // One place per step at most: a parent of more chunks can't be named whole anyway.
        let mut named = std::collections::HashSet::new();
        for _ in 0..count {
            let offset = parser.offset();
            let (how, parent) = (parser.u32()?, parser.u32()?);
            let step = match how {
                0 => Step::Keep { parent },
                1 => Step::Whole { parent: (parent != NO_PARENT).then_some(parent) },
                2 => Step::Pages { parent },
                _ => return Err(malformed("how a chunk is made", offset, 2, u64::from(how))),
            };
            if step != (Step::Whole { parent: None }) {
                if parent >= parent_chunks {
                    let most = u64::from(parent_chunks).saturating_sub(1);
                    return Err(malformed("chunk of the parent", offset + 4, most, u64::from(parent)));
                }
                if !named.insert(parent) {
                    return Err(malformed("times a chunk of the parent is named", offset + 4, 1, 2));
                }
            }
            steps.push(step);
        }
        Ok(Self { page_bytes, parent_chunks, result, steps })
    }

    /// The recipe, and the delta's chunk that each step takes. Every chunk must be taken, each as what it is.
    pub(super) fn assign(&self, chunks: &[DataChunk]) -> Result<Vec<Option<usize>>, CheckpointError> {
        let mut next = 1;
        let mut assigned = Vec::with_capacity(self.steps.len());
        for (index, step) in self.steps.iter().enumerate() {
            let flag = match step {
                Step::Keep { .. } => {
                    assigned.push(None);
                    continue;
                }
                Step::Whole { .. } => 0,
                Step::Pages { .. } => FLAG_PAGES,
            };
            let offset = (RESULT_AT + 32 + index * STEP_BYTES) as u64;
            let chunk = chunks
                .get(next)
                .ok_or_else(|| malformed("number of chunks", offset, next as u64 + 1, chunks.len() as u64))?;
            let found = chunk.header.flags & super::chunk::OUR_FLAGS;
            if found != flag {
                return Err(malformed("flags of a chunk", offset, u64::from(flag), u64::from(found)));
            }
            assigned.push(Some(next));
            next += 1;
        }
        check("number of chunks", 12, next as u64, chunks.len() as u64)?;
        Ok(assigned)
    }

    /// How many chunks of the parent are not there any more.
    pub(super) fn deleted(&self) -> usize {
        let named = self.steps.iter().filter(|step| **step != Step::Whole { parent: None }).count();
        (self.parent_chunks as usize).saturating_sub(named)
    }
}

pub(super) fn is_page_size(bytes: u32) -> bool {
    bytes.is_power_of_two()
        && (super::DeltaOptions::MIN_PAGE_BYTES..=super::DeltaOptions::MAX_PAGE_BYTES).contains(&bytes)
}

fn check(field: &'static str, offset: u64, expected: u64, found: u64) -> Result<(), CheckpointError> {
    if expected == found { Ok(()) } else { Err(malformed(field, offset, expected, found)) }
}

fn malformed(field: &'static str, offset: u64, expected: u64, found: u64) -> CheckpointError {
    CheckpointError::MalformedDelta { field, chunk: 0, offset, expected, found }
}

#[cfg(test)]
mod tests;
