//! Bytes and rates as people read them.

use std::fmt;
use std::str::FromStr;

use crate::three_digits;

/// A number of bytes: at least one, at most [`MAX`](ByteSize::MAX).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteSize(usize);

impl ByteSize {
    /// SQLite takes no blob of more than 10⁹ bytes, and every contender must do every size.
    pub const MAX: usize = 512 << 20;

    const UNITS: [(&'static str, usize); 3] = [("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

    /// So many.
    #[must_use]
    pub const fn of(bytes: usize) -> Self {
        Self(bytes)
    }

    /// How many.
    #[must_use]
    pub const fn bytes(self) -> usize {
        self.0
    }

    /// Without the space, as the command line takes it.
    #[must_use]
    pub fn compact(&self) -> String {
        self.to_string().replace(' ', "")
    }
}

/// Not a size.
#[derive(Debug)]
pub struct BadSize;

impl fmt::Display for BadSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "expected a size such as 512, 4KiB or 64MiB, at most {}", ByteSize(ByteSize::MAX).compact())
    }
}

impl std::error::Error for BadSize {}

impl FromStr for ByteSize {
    type Err = BadSize;

    fn from_str(text: &str) -> Result<Self, BadSize> {
        let with_unit =
            Self::UNITS.iter().find_map(|(unit, factor)| Some((text.strip_suffix(unit)?, *factor)));
        let (digits, factor) = with_unit.unwrap_or((text, 1));
        let count: usize = digits.trim_end().parse().map_err(|_| BadSize)?;
        match count.checked_mul(factor) {
            Some(bytes @ 1..=Self::MAX) => Ok(Self(bytes)),
            _ => Err(BadSize),
        }
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = Self::UNITS.iter().find(|(_, factor)| self.0.is_multiple_of(*factor));
        let (unit, factor) = whole.unwrap_or(&Self::UNITS[2]);
        write!(f, "{} {unit}", self.0 / factor)
    }
}

/// Three digits and a unit: `1.76 GB/s`, `7.43 MB/s`.
#[must_use]
pub fn rate(bytes: usize, secs: f64) -> String {
    let per_sec = per_sec(bytes, secs);
    match per_sec {
        _ if per_sec < 1e9 => format!("{} MB/s", three_digits(per_sec / 1e6)),
        _ => format!("{} GB/s", three_digits(per_sec / 1e9)),
    }
}

/// Bytes per second.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "sizes stay far below 2^52")]
pub fn per_sec(bytes: usize, secs: f64) -> f64 {
    bytes as f64 / secs
}

/// A count of bytes in MiB, or in KiB where that says more.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "sizes stay far below 2^52")]
pub fn mebibytes(bytes: usize) -> String {
    let mib = bytes as f64 / f64::from(1 << 20);
    if mib < 1.0 {
        format!("{} KiB", three_digits(mib * 1024.0))
    } else {
        format!("{} MiB", three_digits(mib))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_they_are_written() {
        for (text, bytes) in [("512", 512), ("512 B", 512), ("4KiB", 4096), ("64 MiB", 64 << 20)] {
            let size: ByteSize = text.parse().unwrap();
            assert_eq!(size.bytes(), bytes, "{text}");
            assert_eq!(size.to_string().parse::<ByteSize>().unwrap(), size);
        }
        assert_eq!(ByteSize::of(1 << 20).to_string(), "1 MiB");
        assert_eq!(ByteSize::of(1025).to_string(), "1025 B");
    }

    #[test]
    fn what_is_no_size_is_refused() {
        for text in
            ["", "0", "x", "-1", "1.5MiB", "513MiB", "99999999999999999999", "18446744073709551615MiB"]
        {
            assert!(text.parse::<ByteSize>().is_err(), "{text}");
        }
    }

    #[test]
    fn figures_keep_three_digits() {
        assert_eq!(rate(1_760_000_000, 1.0), "1.76 GB/s");
        assert_eq!(rate(512, 70e-6), "7.31 MB/s");
        assert_eq!(mebibytes(3 << 19), "1.50 MiB");
        assert_eq!(mebibytes(4096), "4.00 KiB");
    }
}
