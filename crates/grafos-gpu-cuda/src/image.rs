//! [`Image`]: the bytes of a module, checked as far as the driver would read past their end otherwise.
//!
//! The driver takes a pointer without a length. It finds the end of a text at a NUL, that of a binary by what its
//! headers say; so both are checked here. What the image means is the driver's to judge.

use std::fmt;

/// ELF, 64 bits, little-endian: a cubin.
const ELF_MAGIC: &[u8] = b"\x7fELF";
/// A fat binary: several images with a header.
const FAT_MAGIC: &[u8] = &0xBA55_ED50_u32.to_le_bytes();

const PROGRAM_HEADER_BYTES: u64 = 56;
const SECTION_HEADER_BYTES: u64 = 64;

/// A module to load.
#[derive(Debug)]
pub(crate) struct Image {
    bytes: Vec<u8>,
    is_text: bool,
}

/// Why bytes can't be handed to the driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BadImage {
    /// A NUL inside a text.
    NulInText { offset: usize },
    /// A binary that is shorter than its headers say.
    Truncated { expected: u64, found: u64 },
    /// An ELF file of another machine, or of no known form.
    NotForDevices,
}

impl fmt::Display for BadImage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NulInText { offset } => write!(f, "a NUL inside the text: offset={offset}"),
            Self::Truncated { expected, found } => {
                write!(f, "the binary is cut off: expected_bytes={expected}, found_bytes={found}")
            }
            Self::NotForDevices => f.write_str("not an ELF file of the kind that devices run"),
        }
    }
}

impl Image {
    /// Checks and copies `bytes`.
    pub(crate) fn new(bytes: &[u8]) -> Result<Self, BadImage> {
        if bytes.starts_with(ELF_MAGIC) {
            check_length(bytes, elf_bytes(bytes)?)?;
            return Ok(Self { bytes: bytes.to_vec(), is_text: false });
        }
        if bytes.starts_with(FAT_MAGIC) {
            check_length(bytes, fat_bytes(bytes)?)?;
            return Ok(Self { bytes: bytes.to_vec(), is_text: false });
        }
        let text = bytes.strip_suffix(&[0]).unwrap_or(bytes);
        if let Some(offset) = text.iter().position(|byte| *byte == 0) {
            return Err(BadImage::NulInText { offset });
        }
        let mut owned = Vec::with_capacity(text.len() + 1);
        owned.extend_from_slice(text);
        owned.push(0);
        Ok(Self { bytes: owned, is_text: true })
    }

    /// What the driver gets.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The text without its NUL, if it is one.
    pub(crate) fn text(&self) -> Option<&[u8]> {
        if self.is_text { self.bytes.split_last().map(|(_, text)| text) } else { None }
    }
}

fn check_length(bytes: &[u8], expected: u64) -> Result<(), BadImage> {
    let found = bytes.len() as u64;
    if found < expected { Err(BadImage::Truncated { expected, found }) } else { Ok(()) }
}

/// An unsigned number of `N` bytes at `offset`.
fn number<const N: usize>(bytes: &[u8], offset: usize) -> Result<u64, BadImage> {
    let found = bytes.get(offset..).and_then(|rest| rest.first_chunk::<N>());
    let found =
        found.ok_or(BadImage::Truncated { expected: (offset + N) as u64, found: bytes.len() as u64 })?;
    let mut wide = [0; 8];
    wide[..N].copy_from_slice(found);
    Ok(u64::from_le_bytes(wide))
}

/// Where the last header or section of an ELF file ends. Offsets as in the System V ABI, "Object Files".
fn elf_bytes(bytes: &[u8]) -> Result<u64, BadImage> {
    // EI_CLASS and EI_DATA: 64 bits, least significant byte first.
    if bytes.get(4..6) != Some(&[2, 1]) {
        return Err(BadImage::NotForDevices);
    }
    let programs =
        Table { at: number::<8>(bytes, 32)?, each: number::<2>(bytes, 54)?, count: number::<2>(bytes, 56)? };
    let sections =
        Table { at: number::<8>(bytes, 40)?, each: number::<2>(bytes, 58)?, count: number::<2>(bytes, 60)? };
    // Tables of headers of another size, or more of them than the header can count, are no files for devices.
    let is_known = programs.is_of(PROGRAM_HEADER_BYTES) && sections.is_of(SECTION_HEADER_BYTES);
    if !is_known || (sections.count == 0 && sections.at != 0) {
        return Err(BadImage::NotForDevices);
    }
    let mut end = programs.end().max(sections.end());
    check_length(bytes, end)?;
    for header in sections.offsets() {
        // SHT_NOBITS takes no bytes of the file.
        let kind = number::<4>(bytes, header + 4)?;
        let (offset, size) = (number::<8>(bytes, header + 24)?, number::<8>(bytes, header + 32)?);
        if kind != 8 {
            end = end.max(offset.saturating_add(size));
        }
    }
    for header in programs.offsets() {
        let (offset, size) = (number::<8>(bytes, header + 8)?, number::<8>(bytes, header + 32)?);
        end = end.max(offset.saturating_add(size));
    }
    Ok(end.max(64))
}

/// A table of headers in an ELF file.
struct Table {
    at: u64,
    each: u64,
    count: u64,
}

impl Table {
    fn is_of(&self, header_bytes: u64) -> bool {
        self.count == 0 || self.each == header_bytes
    }

    fn end(&self) -> u64 {
        if self.count == 0 { 0 } else { self.at.saturating_add(self.each.saturating_mul(self.count)) }
    }

    /// Where each header starts. Only after the end of the table was found inside the file.
    fn offsets(&self) -> impl Iterator<Item = usize> {
        let starts = (0..self.count).map(|index| self.at.saturating_add(index.saturating_mul(self.each)));
        starts.map(|start| usize::try_from(start).unwrap_or(usize::MAX / 2))
    }
}

/// How long a fat binary is: a header of its own length, and what it says that follows.
fn fat_bytes(bytes: &[u8]) -> Result<u64, BadImage> {
    Ok(number::<2>(bytes, 6)?.max(16).saturating_add(number::<8>(bytes, 8)?))
}

#[cfg(test)]
mod tests;
