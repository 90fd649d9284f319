//! [`Axis`]: an axis of a chart that is labelled at given places and nowhere else.

use std::ops::Range;

use plotters::coord::ranged1d::{KeyPointHint, NoDefaultFormatting, Ranged, ValueFormatter};

/// A linear axis; for a logarithmic one, hand in logarithms.
#[derive(Clone, Debug)]
pub struct Axis {
    range: Range<f64>,
    ticks: Vec<(f64, String)>,
}

impl Axis {
    /// Labels stand at the ticks, given as `(place, label)`.
    pub fn new(range: Range<f64>, ticks: impl IntoIterator<Item = (f64, String)>) -> Self {
        Self { range, ticks: ticks.into_iter().collect() }
    }
}

impl Ranged for Axis {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    #[expect(clippy::cast_possible_truncation, reason = "pixels of a drawing of fixed size")]
    fn map(&self, value: &f64, (first, last): (i32, i32)) -> i32 {
        let share = (value - self.range.start) / (self.range.end - self.range.start);
        first + (f64::from(last - first) * share).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, _hint: Hint) -> Vec<f64> {
        self.ticks.iter().map(|(at, _)| *at).collect()
    }

    fn range(&self) -> Range<f64> {
        self.range.clone()
    }
}

impl ValueFormatter<f64> for Axis {
    fn format_ext(&self, value: &f64) -> String {
        let tick = self.ticks.iter().find(|(at, _)| (at - value).abs() < 1e-9);
        tick.map(|(_, label)| label.clone()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_stand_at_their_ticks_only() {
        let axis = Axis::new(0.0..4.0, [(1.0, "one".to_owned()), (3.0, "three".to_owned())]);
        assert_eq!(axis.format_ext(&3.0), "three");
        assert_eq!(axis.format_ext(&2.0), "");
        assert_eq!(axis.map(&1.0, (0, 100)), 25);
        assert_eq!(axis.map(&1.0, (100, 0)), 75);
    }
}
