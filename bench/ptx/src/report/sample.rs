//! Made-up results for the tests of the report.

use grafos_bench_support::Samples;

use crate::measure::{KernelResult, LoadResult, Results};
use crate::stopping::StopResult;

fn secs(secs: f64) -> Samples {
    [secs].into_iter().collect()
}

pub(super) fn results() -> Results {
    let kernel = |name, target, one, two| KernelResult {
        name,
        size: "many".to_owned(),
        target,
        instructions: 1e8,
        one: secs(one),
        two: secs(two),
        plain: secs(0.01),
    };
    Results {
        kernels: vec![kernel("axpy", Some(1.0), 0.08, 0.05), kernel("train_step", None, 0.2, 0.1)],
        loading: LoadResult { lines: 1000, secs: secs(0.002) },
        stopping: vec![StopResult { name: "a loop", secs: [0.0001, 0.0002, 0.0009].into_iter().collect() }],
    }
}
