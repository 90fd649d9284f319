//! [`Schedule`]: which preemption comes next, and when. Pure: a seed in, a plan out.
//!
//! Kinds are drawn from a bag that holds each of them once and is filled again when it is empty, so that none can be
//! missing from a long run. Invariant: the same seed and pace give the same schedule, on every machine.

use std::time::Duration;

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};

use super::kind::Kind;

/// How preemptions follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// At random times, this far apart on average.
    Every(Duration),
    /// After events of the worker, and then up to so much time, so that every place of its loop is hit.
    Events {
        /// The longest time between the event and the blow; zero strikes at the event.
        then_at_most: Duration,
    },
}

/// When a preemption comes, counted from the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// After the worker has told of so many commits,
    pub commits: u32,
    /// then of so many steps,
    pub steps: u32,
    /// and then so much time.
    pub then: Duration,
}

/// A preemption that is to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Planned {
    /// What.
    pub kind: Kind,
    /// When.
    pub moment: Moment,
    /// Decides the details: which replica, how many commits a frozen worker sleeps.
    pub chance: u64,
}

/// The preemptions of one run, as an endless list.
#[derive(Clone, Debug)]
pub struct Schedule {
    dice: Xoshiro256PlusPlus,
    pace: Pace,
    bag: Vec<Kind>,
}

impl Schedule {
    /// The schedule that this seed stands for.
    #[must_use]
    pub fn new(seed: u64, pace: Pace) -> Self {
        Self { dice: Xoshiro256PlusPlus::seed_from_u64(seed), pace, bag: Vec::new() }
    }

    /// The next preemption. Without `may_hurt_replicas` those that hurt a replica wait in the bag.
    pub fn next(&mut self, may_hurt_replicas: bool) -> Planned {
        Planned { kind: self.draw(may_hurt_replicas), moment: self.moment(), chance: self.dice.next_u64() }
    }

    fn draw(&mut self, may_hurt_replicas: bool) -> Kind {
        loop {
            let fits = |kind: &Kind| may_hurt_replicas || !kind.hurts_a_replica();
            if let Some(place) = self.bag.iter().rposition(fits) {
                return self.bag.remove(place);
            }
            // What waits stays on top, and is not there twice.
            let mut full: Vec<_> = Kind::ALL.into_iter().filter(|kind| !self.bag.contains(kind)).collect();
            for last in (1..full.len()).rev() {
                full.swap(last, below(&mut self.dice, last + 1));
            }
            full.append(&mut self.bag);
            self.bag = full;
        }
    }

    fn moment(&mut self) -> Moment {
        match self.pace {
            Pace::Every(mean) => Moment { commits: 0, steps: 0, then: self.exponential(mean) },
            Pace::Events { then_at_most } => {
                let then = then_at_most.mul_f64(self.unit());
                // Mostly in the middle of the work; now and then while a worker starts, or right after a commit.
                let (commits, steps) = match below(&mut self.dice, 10) {
                    0 => (0, 0),
                    1..4 => (1 + below(&mut self.dice, 3), 0),
                    4..6 => (0, 1 + below(&mut self.dice, 6)),
                    _ => (1 + below(&mut self.dice, 3), 1 + below(&mut self.dice, 6)),
                };
                let small = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
                Moment { commits: small(commits), steps: small(steps), then }
            }
        }
    }

    /// The time to the next of events that come at random, `mean` apart on average; nothing extreme.
    fn exponential(&mut self, mean: Duration) -> Duration {
        let times = -(1.0 - self.unit()).ln();
        mean.mul_f64(times.clamp(0.05, 4.0))
    }

    /// From 0 to below 1.
    #[expect(clippy::cast_precision_loss, reason = "53 bits fit")]
    fn unit(&mut self) -> f64 {
        (self.dice.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// Less than `bound`; 0 for a bound of 0.
pub(super) fn below(dice: &mut Xoshiro256PlusPlus, bound: usize) -> usize {
    let wide = u128::from(dice.next_u64()) * bound as u128;
    usize::try_from(wide >> 64).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    const EVENTS: Pace = Pace::Events { then_at_most: Duration::from_millis(10) };

    #[test]
    fn a_seed_gives_the_same_schedule_for_ever() {
        let first = |seed, count| {
            let mut schedule = Schedule::new(seed, EVENTS);
            (0..count).map(|_| schedule.next(true)).collect::<Vec<_>>()
        };
        assert_eq!(first(1, 50), first(1, 50));
        assert_ne!(first(1, 50), first(2, 50));
        let kinds: Vec<_> = first(1, 7).iter().map(|planned| planned.kind).collect();
        assert_eq!(kinds, GOLDEN);
    }

    /// Replay commands of old reports rely on it.
    const GOLDEN: [Kind; 7] = [
        Kind::ReplicaLost,
        Kind::Frozen,
        Kind::Revoked,
        Kind::Killed,
        Kind::ReplicaDamaged,
        Kind::Expired,
        Kind::Terminated,
    ];

    #[test]
    fn each_kind_comes_once_in_seven_and_none_is_left_out() {
        let mut schedule = Schedule::new(9, EVENTS);
        for _ in 0..20 {
            let mut seen: Vec<_> = (0..7).map(|_| schedule.next(true).kind).collect();
            seen.sort_unstable();
            assert_eq!(seen, Kind::ALL);
        }
    }

    #[test]
    fn what_hurts_a_replica_waits_until_it_may_and_is_not_forgotten() {
        let mut schedule = Schedule::new(3, EVENTS);
        let mut count = BTreeMap::<Kind, u32>::new();
        for round in 0..70 {
            let planned = schedule.next(round % 10 == 0);
            assert!(round % 10 == 0 || !planned.kind.hurts_a_replica(), "round {round}: {planned:?}");
            *count.entry(planned.kind).or_default() += 1;
        }
        // One time in ten; the first of them draws something else, since nothing waits yet.
        assert_eq!(count[&Kind::ReplicaLost] + count[&Kind::ReplicaDamaged], 6, "{count:?}");
        assert!(schedule.bag.len() <= Kind::ALL.len());
    }

    #[test]
    fn times_are_random_around_their_mean() {
        let mean = Duration::from_secs(2);
        let mut schedule = Schedule::new(5, Pace::Every(mean));
        let times: Vec<_> = (0..2000).map(|_| schedule.next(true).moment.then.as_secs_f64()).collect();
        let average = times.iter().sum::<f64>() / 2000.0;
        assert!((1.8..2.2).contains(&average), "{average}");
        assert!(times.iter().all(|&time| (0.1..=8.0).contains(&time)));
        assert!(times.iter().any(|&time| time < 0.5) && times.iter().any(|&time| time > 4.0));
    }

    #[test]
    fn events_are_hit_at_every_place_of_the_loop() {
        let mut schedule = Schedule::new(7, EVENTS);
        let moments: Vec<_> = (0..200).map(|_| schedule.next(true).moment).collect();
        assert!(moments.iter().any(|moment| moment.commits == 0 && moment.steps == 0));
        assert!(moments.iter().any(|moment| moment.commits > 0 && moment.steps == 0));
        assert!(moments.iter().any(|moment| moment.commits > 0 && moment.steps > 0));
        assert!(moments.iter().all(|moment| moment.then <= Duration::from_millis(10)));
        let mut at_events = Schedule::new(7, Pace::Events { then_at_most: Duration::ZERO });
        assert!((0..50).all(|_| at_events.next(true).moment.then.is_zero()));
    }
}
