//! The one place where a benchmark reads a clock.

use std::time::Instant;

/// What `work` answered, and how many seconds it took.
#[expect(
    clippy::disallowed_methods,
    reason = "times work of seconds at most, during which no machine sleeps"
)]
pub fn timed<R>(work: impl FnOnce() -> R) -> (R, f64) {
    let start = Instant::now();
    let answer = work();
    (answer, start.elapsed().as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_is_done_once_and_takes_time() {
        let (sum, secs) = timed(|| (0..100_000_u64).fold(0, |sum, n| std::hint::black_box(sum + n)));
        assert_eq!(sum, 4_999_950_000);
        assert!(secs > 0.0);
    }
}
