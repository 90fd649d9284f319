//! Figures as people read them.

/// Three digits and a unit: `57.1 µs`, `152 ms`.
#[must_use]
pub fn seconds(secs: f64) -> String {
    match secs {
        _ if secs < 1e-3 => format!("{} µs", three_digits(secs * 1e6)),
        _ if secs < 1.0 => format!("{} ms", three_digits(secs * 1e3)),
        _ => format!("{} s", three_digits(secs)),
    }
}

/// As many digits after the point as make three in all.
#[must_use]
pub fn three_digits(value: f64) -> String {
    match value {
        _ if value < 10.0 => format!("{value:.2}"),
        _ if value < 100.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_keep_three_digits() {
        assert_eq!(seconds(57.1234e-6), "57.1 µs");
        assert_eq!(seconds(0.1523), "152 ms");
        assert_eq!(seconds(1.0), "1.00 s");
    }
}
