//! Medians, and ratios of what was measured in the same rounds.

/// One figure per round, in the order of the rounds.
#[derive(Clone, Debug, Default)]
pub struct Samples(Vec<f64>);

impl Samples {
    /// Adds the figure of the next round.
    pub fn push(&mut self, sample: f64) {
        self.0.push(sample);
    }

    /// The middle, or the mean of the two in the middle. Of no samples at all it is not a number, which meets no
    /// target.
    #[must_use]
    pub fn median(&self) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_unstable_by(f64::total_cmp);
        let upper = sorted.len() / 2;
        match (sorted.len() % 2, sorted.get(upper)) {
            (_, None) => f64::NAN,
            (1, Some(middle)) => *middle,
            (_, Some(above)) => f64::midpoint(sorted[upper - 1], *above),
        }
    }

    /// The highest; of no samples at all not a number.
    #[must_use]
    pub fn highest(&self) -> f64 {
        self.0.iter().copied().fold(f64::NAN, f64::max)
    }

    /// All together.
    #[must_use]
    pub fn sum(&self) -> f64 {
        self.0.iter().sum()
    }

    /// These over those, round by round.
    #[must_use]
    pub fn over(&self, below: &Self) -> Ratio {
        let by_round: Self = self.0.iter().zip(&below.0).map(|(above, below)| above / below).collect();
        Ratio {
            of_medians: self.median() / below.median(),
            median: by_round.median(),
            lowest: by_round.0.iter().copied().fold(f64::NAN, f64::min),
            highest: by_round.highest(),
        }
    }
}

impl FromIterator<f64> for Samples {
    fn from_iter<I: IntoIterator<Item = f64>>(samples: I) -> Self {
        Self(samples.into_iter().collect())
    }
}

/// How two figures compare.
#[derive(Clone, Copy, Debug)]
pub struct Ratio {
    /// Median over median: what targets are judged on.
    pub of_medians: f64,
    /// The median of the rounds' own ratios: both figures of a round met the same neighbours on the machine.
    pub median: f64,
    /// The smallest ratio of a round.
    pub lowest: f64,
    /// The largest ratio of a round.
    pub highest: f64,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(values: &[f64]) -> Samples {
        values.iter().copied().collect()
    }

    fn assert_close(found: f64, expected: f64) {
        assert!((found - expected).abs() < 1e-12, "{found} is not {expected}");
    }

    #[test]
    fn the_median_is_in_the_middle_whatever_the_order() {
        assert_close(samples(&[9.0, 1.0, 5.0]).median(), 5.0);
        assert_close(samples(&[4.0, 1.0, 2.0, 100.0]).median(), 3.0);
        assert_close(samples(&[7.0]).median(), 7.0);
        assert!(samples(&[]).median().is_nan());
    }

    #[test]
    fn one_slow_round_does_not_move_the_median() {
        assert_close(samples(&[1.0, 1.0, 1.0, 1.0, 900.0]).median(), 1.0);
    }

    #[test]
    fn the_two_ratios_differ_where_the_noise_does() {
        let ratio = samples(&[1.0, 4.0, 9.0]).over(&samples(&[1.0, 2.0, 18.0]));
        assert_close(ratio.of_medians, 2.0);
        assert_close(ratio.median, 1.0);
        assert_close(ratio.lowest, 0.5);
        assert_close(ratio.highest, 2.0);
    }
}
