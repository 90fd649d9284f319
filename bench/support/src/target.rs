//! What was promised of a ratio, and whether it was kept.

use std::fmt;

/// The bound that a ratio has to keep.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Target {
    /// It must be this or more.
    AtLeast(f64),
    /// It must be this or less.
    AtMost(f64),
}

/// Whether it did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Yes.
    Met,
    /// No.
    Missed,
}

impl Target {
    /// A ratio that is not a number misses every target.
    #[must_use]
    pub fn judge(self, ratio: f64) -> Verdict {
        let met = match self {
            Self::AtLeast(bound) => ratio >= bound,
            Self::AtMost(bound) => ratio <= bound,
        };
        if met { Verdict::Met } else { Verdict::Missed }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtLeast(bound) => write!(f, "≥ {bound:.2}"),
            Self::AtMost(bound) => write!(f, "≤ {bound:.2}"),
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Met => "met",
            Self::Missed => "**missed**",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_itself_is_met_and_a_hair_beyond_is_missed() {
        assert_eq!(Target::AtLeast(0.85).judge(0.85), Verdict::Met);
        assert_eq!(Target::AtLeast(0.85).judge(0.849), Verdict::Missed);
        assert_eq!(Target::AtMost(1.15).judge(1.15), Verdict::Met);
        assert_eq!(Target::AtMost(1.15).judge(1.151), Verdict::Missed);
    }

    #[test]
    fn no_figure_is_a_missed_target() {
        assert_eq!(Target::AtLeast(0.0).judge(f64::NAN), Verdict::Missed);
        assert_eq!(Target::AtMost(9.0).judge(f64::NAN), Verdict::Missed);
    }
}
