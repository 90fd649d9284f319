//! The pages of a region that changed. Knows no checkpoint: a pair of byte strings makes a patch, a patch and the first
//! of them make the second.
//!
//! ```text
//! a patch; integers are little-endian
//! +-----------------------------+
//! | len_bytes   u64             |  how long the region is afterwards
//! | run_count   u64             |
//! | for each run:               |  ascending, and never touching
//! |   first_page u64            |
//! |   page_count u64            |  1 or more
//! | the bytes of these pages    |  the region's last page may be shorter
//! +-----------------------------+
//! ```
//!
//! A page that is not listed is that of the parent, and lies in it whole: a patch makes no region that is larger than
//! its parent and its own pages together.

use std::convert::Infallible;

use super::bytes::{Parser, usize_of};
use super::error::CheckpointError;
use super::parallel;

/// So many bytes are compared as one piece of work.
const STRIDE: usize = 4 << 20;
const HEAD_BYTES: u64 = 16;
const RUN_BYTES: u64 = 16;

/// Pages that follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Run {
    first: u64,
    count: u64,
}

/// How a region differs from its parent.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Diff {
    /// It does not.
    Same,
    /// In some pages: the patch.
    Pages(Vec<u8>),
    /// So much that a patch would not be shorter than the region.
    Whole,
}

/// What must change in `parent` so that it becomes `new`.
/// `page` is a power of two and at most [`STRIDE`].
pub(super) fn diff(parent: &[u8], new: &[u8], page: u32, threads: usize) -> Diff {
    let page = usize_of(u64::from(page));
    let runs = dirty(parent, new, page, threads);
    if runs.is_empty() && parent.len() == new.len() {
        return Diff::Same;
    }
    let places: Vec<_> = runs.iter().map(|run| place(*run, page as u64, new.len() as u64)).collect();
    let pages: u64 = places.iter().map(|(begin, end)| end - begin).sum();
    let len = HEAD_BYTES + RUN_BYTES * runs.len() as u64 + pages;
    if len >= new.len() as u64 {
        return Diff::Whole;
    }
    let mut patch = Vec::with_capacity(usize_of(len));
    patch.extend_from_slice(&(new.len() as u64).to_le_bytes());
    patch.extend_from_slice(&(runs.len() as u64).to_le_bytes());
    for Run { first, count } in &runs {
        patch.extend_from_slice(&first.to_le_bytes());
        patch.extend_from_slice(&count.to_le_bytes());
    }
    for (begin, end) in places {
        patch.extend_from_slice(&new[usize_of(begin)..usize_of(end)]);
    }
    Diff::Pages(patch)
}

fn dirty(parent: &[u8], new: &[u8], page: usize, threads: usize) -> Vec<Run> {
    let jobs = new.chunks(STRIDE).enumerate().map(|(index, piece)| (index * STRIDE, piece)).collect();
    let work = |_: &mut _, (begin, piece): (usize, &[u8])| {
        let mut runs = Vec::new();
        // Whole strides are equal as a rule, and one comparison is faster than many.
        if parent.get(begin..begin + piece.len()) != Some(piece) {
            for (index, bytes) in piece.chunks(page).enumerate() {
                let at = begin + index * page;
                if parent.get(at..at + bytes.len()) != Some(bytes) {
                    join(&mut runs, Run { first: (at / page) as u64, count: 1 });
                }
            }
        }
        Ok::<_, Infallible>(runs)
    };
    let Ok(found) = parallel::map(jobs, threads, work);
    let mut runs = Vec::new();
    for run in found.into_iter().flatten() {
        join(&mut runs, run);
    }
    runs
}

fn join(runs: &mut Vec<Run>, run: Run) {
    match runs.last_mut() {
        Some(last) if last.first + last.count == run.first => last.count += run.count,
        _ => runs.push(run),
    }
}

/// Where the pages of a run begin and end in a region of `len` bytes.
fn place(run: Run, page: u64, len: u64) -> (u64, u64) {
    let begin = run.first.saturating_mul(page);
    let end = run.first.saturating_add(run.count).saturating_mul(page);
    (begin.min(len), end.min(len))
}

/// A patch that fits its parent.
#[derive(Debug)]
pub(super) struct Patch<'a> {
    len_bytes: u64,
    runs: Vec<Run>,
    page: u64,
    pages: &'a [u8],
}

impl<'a> Patch<'a> {
    /// The patch that `bytes` are, chunk `chunk` of a delta, for a parent of `parent_bytes`.
    pub(super) fn parse(
        bytes: &'a [u8],
        chunk: usize,
        parent_bytes: u64,
        page: u32,
    ) -> Result<Self, CheckpointError> {
        let page = u64::from(page);
        let malformed = |field, offset, expected, found| CheckpointError::MalformedDelta {
            field,
            chunk,
            offset,
            expected,
            found,
        };
        let mut parser = Parser::new(bytes, 0);
        let (len_bytes, run_count) = (parser.u64()?, parser.u64()?);
        let most = parser.remaining() as u64 / RUN_BYTES;
        if run_count > most {
            return Err(malformed("number of runs", 8, most, run_count));
        }
        let mut runs = Vec::with_capacity(usize_of(run_count));
        let (mut free, mut listed) = (0, 0_u64);
        let page_count = len_bytes.div_ceil(page);
        // Pages from here on lie behind the parent's end, with a part of them at least.
        let beyond = if len_bytes > parent_bytes { parent_bytes / page } else { page_count };
        let mut listed_beyond = 0;
        for _ in 0..run_count {
            let offset = parser.offset();
            let run = Run { first: parser.u64()?, count: parser.u64()? };
            if run.first < free {
                return Err(malformed("first page of a run", offset, free, run.first));
            }
            let end = run.first.saturating_add(run.count);
            if run.count == 0 || end > page_count {
                return Err(malformed(
                    "pages of a run",
                    offset + 8,
                    page_count.saturating_sub(run.first),
                    run.count,
                ));
            }
            let (begin_byte, end_byte) = place(run, page, len_bytes);
            listed += end_byte - begin_byte;
            listed_beyond += end.saturating_sub(beyond.max(run.first));
            free = end + 1;
            runs.push(run);
        }
        if listed_beyond != page_count - beyond {
            return Err(malformed("pages behind the parent's end", 0, page_count - beyond, listed_beyond));
        }
        let found = parser.remaining() as u64;
        if found != listed {
            return Err(malformed("bytes of pages", parser.offset(), listed, found));
        }
        let pages = parser.take(usize_of(found))?;
        Ok(Self { len_bytes, runs, page, pages })
    }

    /// How long the region becomes.
    pub(super) fn len_bytes(&self) -> u64 {
        self.len_bytes
    }

    /// Makes `region`, which is as long as the parent, into the new one.
    pub(super) fn apply(&self, region: &mut Vec<u8>) {
        region.resize(usize_of(self.len_bytes), 0);
        let mut pages = self.pages;
        for run in &self.runs {
            let (begin, end) = place(*run, self.page, self.len_bytes);
            let (these, rest) = pages.split_at(usize_of(end - begin));
            region[usize_of(begin)..usize_of(end)].copy_from_slice(these);
            pages = rest;
        }
    }
}

#[cfg(test)]
mod tests;
