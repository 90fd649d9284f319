//! Numbers as people type them: `5_000_000`, `5M`, `30s`.

use std::time::Duration;

/// A text that is not the quantity it should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected {expected}, found=`{found}`")]
pub struct ParseQuantityError {
    /// What would have been right.
    pub expected: &'static str,
    /// What was given, cut to 64 characters.
    pub found: String,
}

/// A whole number of at least 1; underscores are ignored, `k`, `M` and `G` stand for thousands, millions, billions.
///
/// # Errors
/// [`ParseQuantityError`] for anything else, and for numbers beyond 64 bits.
pub fn parse_count(text: &str) -> Result<u64, ParseQuantityError> {
    let (digits, unit) = match text.as_bytes().last() {
        Some(b'k' | b'K') => (&text[..text.len() - 1], 1_000),
        Some(b'M') => (&text[..text.len() - 1], 1_000_000),
        Some(b'G') => (&text[..text.len() - 1], 1_000_000_000),
        _ => (text, 1_u64),
    };
    digits_of(digits).and_then(|number| number.checked_mul(unit)).filter(|count| *count > 0).ok_or_else(
        || ParseQuantityError {
            expected: "a whole number of at least 1, such as 5000000, 5_000_000 or 5M (k, M, G)",
            found: text.chars().take(64).collect(),
        },
    )
}

/// A time of at least a millisecond: a whole number and `ms`, `s`, `min` or `h`.
///
/// # Errors
/// [`ParseQuantityError`] for anything else.
pub fn parse_duration(text: &str) -> Result<Duration, ParseQuantityError> {
    let units = [("ms", 1_u64), ("min", 60_000), ("s", 1_000), ("h", 3_600_000)];
    units
        .iter()
        .find_map(|(suffix, millis)| text.strip_suffix(suffix).map(|digits| (digits, *millis)))
        .and_then(|(digits, millis)| digits_of(digits)?.checked_mul(millis))
        .filter(|millis| *millis > 0)
        .map(Duration::from_millis)
        .ok_or_else(|| ParseQuantityError {
            expected: "a time of at least 1ms, such as 500ms, 30s, 5min or 2h",
            found: text.chars().take(64).collect(),
        })
}

/// The number that these digits and underscores write; no sign, and a digit first.
fn digits_of(text: &str) -> Option<u64> {
    if !text.bytes().next()?.is_ascii_digit() {
        return None;
    }
    text.bytes().filter(|byte| *byte != b'_').try_fold(0_u64, |number, byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        number.checked_mul(10)?.checked_add(digit)
    })
}

/// A number with a space between groups of three digits.
#[must_use]
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3 + 1);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

/// A time in one unit that people read at a glance.
#[must_use]
pub fn rough(time: Duration) -> String {
    match time.as_secs() {
        0..=1 => format!("{} ms", time.as_millis()),
        secs @ 2..=119 => format!("{secs} s"),
        secs @ 120..=7_199 => format!("{} min", secs / 60),
        secs @ 7_200..=172_799 => format!("{} h", secs / 3_600),
        secs => format!("{} days", secs / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_take_underscores_and_suffixes() {
        for (text, count) in [
            ("1", 1),
            ("5_000_000", 5_000_000),
            ("7k", 7_000),
            ("7K", 7_000),
            ("12M", 12_000_000),
            ("3G", 3_000_000_000),
            ("18446744073709551615", u64::MAX),
        ] {
            assert_eq!(parse_count(text), Ok(count), "{text}");
        }
    }

    #[test]
    fn other_texts_are_refused_and_quoted_in_part() {
        for text in
            ["", "0", "0G", "G", "_1", "-5", "+5", "1.5M", "5m", "1 000", "18446744073709551616", "9e9", "5é"]
        {
            assert!(parse_count(text).is_err(), "{text}");
        }
        for text in ["", "s", "0s", "5", "5M", "1.5s", "-1s", "99999999999999999h", "5 s"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
        assert_eq!(parse_count(&"x".repeat(1000)).unwrap_err().found.len(), 64);
    }

    #[test]
    fn times_have_units() {
        for (text, millis) in [("500ms", 500), ("30s", 30_000), ("5min", 300_000), ("2h", 7_200_000)] {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
    }

    #[test]
    fn numbers_and_times_are_printed_for_people() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(1_000), "1 000");
        assert_eq!(grouped(5_000_000_000), "5 000 000 000");
        assert_eq!(rough(Duration::from_millis(1_999)), "1999 ms");
        assert_eq!(rough(Duration::from_secs(119)), "119 s");
        assert_eq!(rough(Duration::from_secs(120)), "2 min");
        assert_eq!(rough(Duration::from_secs(7_200)), "2 h");
        assert_eq!(rough(Duration::from_secs(200_000)), "2 days");
    }
}
