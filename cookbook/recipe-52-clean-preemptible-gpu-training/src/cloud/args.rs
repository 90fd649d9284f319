//! The options of the cloud.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

/// Options of `train` that play the cloud.
#[derive(Clone, Debug, Default, PartialEq, Args)]
pub struct CloudArgs {
    /// Play the cloud: preempt the training at random, so far apart on average (such as 500ms, 5s or 2min). Leases are
    /// revoked or run out, processes are killed, told to end, or stopped while another host takes over; replicas are
    /// lost and damaged.
    #[arg(long, value_name = "TIME", value_parser = parse_time, help_heading = "Cloud", conflicts_with = "control")]
    pub preempt_every: Option<Duration>,

    /// Decides what the cloud does, and when.
    #[arg(long, value_name = "N", default_value_t = 1, help_heading = "Cloud")]
    pub cloud_seed: u64,
}

impl CloudArgs {
    /// Whether there is a cloud to play.
    #[must_use]
    pub fn is_asked_for(&self) -> bool {
        self.preempt_every.is_some()
    }
}

/// Options of `preempt`.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
pub struct TrialArgs {
    /// How many preemptions. From 7 on, each kind is played.
    #[arg(long, value_name = "N", default_value_t = 300, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub preemptions: u32,

    /// Decides what the cloud does, and when.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,

    /// How many steps to train [default: enough for the preemptions].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    pub steps: Option<u64>,

    /// How many steps lie between two commits.
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub interval_steps: u64,

    /// How many images a step takes.
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub batch: u32,

    /// Strike right at events of the workers, and not some time after: the same preemptions at the same events each time.
    #[arg(long)]
    pub at_events: bool,

    /// Keep the jobs' files in this directory, which must be empty or new.
    #[arg(long, value_name = "DIR")]
    pub keep: Option<PathBuf>,
}

impl TrialArgs {
    /// How many steps are trained. On average a preemption comes after 2 commits and 3 steps, and loses some; and now and
    /// then a lease runs out while its worker works.
    #[must_use]
    pub fn steps(&self) -> u64 {
        let for_one = 4 * self.interval_steps + 34;
        self.steps.unwrap_or(for_one * u64::from(self.preemptions))
    }

    /// The command that plays the same again.
    #[must_use]
    pub fn replay(&self) -> String {
        let Self { preemptions, seed, interval_steps, batch, .. } = self;
        let (steps, at_events) = (self.steps(), if self.at_events { " --at-events" } else { "" });
        format!(
            "cargo xtask preempt --preemptions {preemptions} --seed {seed} --steps {steps} \
             --interval-steps {interval_steps} --batch {batch}{at_events}"
        )
    }
}

/// A time with its unit: `500ms`, `1.5s`, `2min`.
fn parse_time(text: &str) -> Result<Duration, ParseTimeError> {
    let unit_at = text.find(|c: char| c.is_ascii_alphabetic()).ok_or(ParseTimeError)?;
    let (number, unit) = text.split_at(unit_at);
    let millis = match unit {
        "ms" => 1.0,
        "s" => 1e3,
        "min" => 60e3,
        _ => return Err(ParseTimeError),
    };
    let number: f64 = number.parse().map_err(|_| ParseTimeError)?;
    let millis = number * millis;
    if !(1.0..=86_400e3).contains(&millis) {
        return Err(ParseTimeError);
    }
    Duration::try_from_secs_f64(millis / 1e3).map_err(|_| ParseTimeError)
}

/// A text that is no time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a time from 1ms to a day, such as 500ms, 5s or 2min")]
struct ParseTimeError;

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Alone {
        #[command(flatten)]
        trial: TrialArgs,
    }

    #[test]
    fn the_replay_command_says_all_that_decides() {
        for words in [
            vec!["preempt"],
            vec!["preempt", "--preemptions", "9", "--seed", "7", "--steps", "80", "--at-events"],
            vec!["preempt", "--batch", "3", "--interval-steps", "2"],
        ] {
            let trial = Alone::parse_from(words).trial;
            let replay = trial.replay();
            let again = Alone::parse_from(replay.split(' ').skip(2)).trial;
            assert_eq!(again, TrialArgs { steps: Some(trial.steps()), ..trial });
        }
    }

    #[test]
    fn times_are_read_with_their_units() {
        assert_eq!(parse_time("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(parse_time("1.5s"), Ok(Duration::from_millis(1500)));
        assert_eq!(parse_time("2min"), Ok(Duration::from_secs(120)));
        for wrong in ["", "5", "s", "-1s", "0s", "1e9s", "nans", "infs", "5 s", "5sec", "0.1ms", "2000min"] {
            assert_eq!(parse_time(wrong), Err(ParseTimeError), "{wrong}");
        }
    }
}
