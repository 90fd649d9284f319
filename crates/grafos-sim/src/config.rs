//! [`Config`]: what a run is asked for; and [`Weather`]: what its seed makes of it. Seeds differ in what goes wrong and how
//! often, since a fault that happens all the time hides what a rare one would show.

use crate::mutant::Mutant;
use crate::random::Random;

/// Which world to run.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// Decides everything that happens.
    pub seed: u64,
    /// How many events to go through before the world comes to rest.
    pub steps: u64,
    /// The planted fault, if one is to be caught.
    pub mutant: Option<Mutant>,
}

/// How large the world is, and what goes wrong in it. Times are means, in milliseconds; chances are per thousand.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Weather {
    pub(crate) replicas: usize,
    /// Replicas that are in no set at first.
    pub(crate) spares: usize,
    pub(crate) write_quorum: usize,
    pub(crate) keep_versions: usize,
    pub(crate) writers: usize,
    pub(crate) workers: usize,
    /// Messages, each way.
    pub(crate) lost: u64,
    pub(crate) twice: u64,
    /// Messages that take very long.
    pub(crate) late: u64,
    pub(crate) late_ms: u64,
    pub(crate) crash_ms: u64,
    pub(crate) pause_ms: u64,
    pub(crate) replica_crash_ms: u64,
    pub(crate) wipe_ms: u64,
    pub(crate) flip_ms: u64,
    /// The replica set is changed now and then.
    pub(crate) change_ms: Option<u64>,
    /// The engine is restored from an old copy now and then.
    pub(crate) restore_ms: Option<u64>,
}

impl Weather {
    /// How many replicas there are, in a set or not.
    pub(crate) fn pool(&self) -> usize {
        self.replicas + self.spares
    }

    pub(crate) fn of(random: &mut Random) -> Self {
        let is_wide = random.chance(200);
        let is_calm = random.chance(150);
        let of_calm = |per_thousand| if is_calm { 0 } else { per_thousand };
        Self {
            replicas: if is_wide { 5 } else { 3 },
            spares: random.index(2) + 1,
            write_quorum: if is_wide { 3 } else { 2 },
            keep_versions: random.index(4) + 1,
            writers: random.index(3) + 2,
            workers: random.index(2) + 2,
            lost: of_calm(random.below(80)),
            twice: of_calm(random.below(80)),
            late: of_calm(random.below(40)),
            late_ms: random.between(100, 3000),
            crash_ms: random.between(300, 5000),
            pause_ms: random.between(300, 5000),
            replica_crash_ms: random.between(300, 5000),
            wipe_ms: random.between(1000, 10_000),
            flip_ms: random.between(200, 5000),
            change_ms: random.chance(600).then(|| random.between(50, 1000)),
            restore_ms: random.chance(250).then(|| random.between(1000, 4000)),
        }
    }
}
