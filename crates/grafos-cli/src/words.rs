//! Numbers as people read them.

use std::time::{Duration, SystemTime};

/// A length: `17 B`, `4.0 KiB`, `1.5 GiB`.
pub(crate) fn bytes(len: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if len < 1024 {
        return format!("{len} B");
    }
    let power = (len.ilog2() / 10).clamp(1, 6);
    // Tenths, rounded down, without a float.
    let tenths = (u128::from(len) * 10) >> (10 * power);
    let unit = UNITS.get(power as usize - 1).unwrap_or(&"B");
    format!("{}.{} {unit}", tenths / 10, tenths % 10)
}

/// A moment in UTC, from milliseconds since 1970.
pub(crate) fn unix_ms(ms: u64) -> String {
    let moment = SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(ms));
    // Later than the year 9999, a date has no such form.
    let latest = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(253_402_300_799));
    match (moment, latest) {
        (Some(moment), Some(latest)) if moment <= latest => {
            humantime::format_rfc3339_seconds(moment).to_string()
        }
        _ => format!("{ms} ms after 1970"),
    }
}

/// The first bytes of a digest, enough to tell two apart by eye.
pub(crate) fn short_hex(digest: &[u8]) -> String {
    hex(digest.get(..8).unwrap_or(digest))
}

/// All bytes of a digest.
pub(crate) fn hex(digest: &[u8]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_have_the_unit_that_fits() {
        let cases = [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1536, "1.5 KiB"),
            (1 << 20, "1.0 MiB"),
            ((1 << 30) - 1, "1023.9 MiB"),
            (u64::MAX, "15.9 EiB"),
        ];
        for (len, expected) in cases {
            assert_eq!(bytes(len), expected);
        }
    }

    #[test]
    fn any_moment_can_be_said() {
        assert_eq!(unix_ms(0), "1970-01-01T00:00:00Z");
        assert_eq!(unix_ms(u64::MAX), "18446744073709551615 ms after 1970");
    }
}
