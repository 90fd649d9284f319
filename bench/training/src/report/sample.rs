//! Made-up results for the tests of the report.

use cookbook_recipe_52_clean_preemptible_gpu_training::run::DEFAULT_INTERVAL_STEPS;
use cookbook_recipe_52_clean_preemptible_gpu_training::training::TrainingPlan;

use crate::measure::{IntervalResult, Results, StallResult};

/// Of a loop that takes so many times as long with its commits.
pub(super) fn results(ratio: f64) -> Results {
    let interval = |steps, secs: f64| IntervalResult {
        steps,
        secs: [secs].into_iter().collect(),
        bare: [4.0].into_iter().collect(),
        stalls: vec![0.004, 0.002, 0.009],
    };
    Results {
        training: TrainingPlan { steps: 1000, ..TrainingPlan::default() },
        state_bytes: 206_864,
        launches: 2.0,
        intervals: vec![interval(10, 8.0), interval(DEFAULT_INTERVAL_STEPS, 4.0 * ratio)],
        stalls: vec![StallResult { hidden: [16, 8], state_bytes: 15_800, stalls: vec![0.001, 0.002] }],
    }
}
