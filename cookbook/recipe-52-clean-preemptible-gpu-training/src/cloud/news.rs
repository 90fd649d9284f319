//! [`CloudNews`]: what the cloud tells of itself, and [`Audience`], who hears it beside the worker's own events.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::kind::Kind;
use crate::run::event::Event;

/// What the cloud has just done, or seen. With `--json`, each is one line among those of the worker.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[non_exhaustive]
pub enum CloudNews {
    /// A worker was struck.
    Preempted {
        /// How.
        kind: Kind,
        /// Where it works.
        host: String,
        /// How many steps it had told of.
        step: u64,
    },
    /// The first step after a preemption is done.
    GoingOn {
        /// What it goes on from.
        kind: Kind,
        /// Who goes on.
        host: String,
        /// The step.
        step: u64,
        /// How many steps have to be done again.
        steps_lost: u64,
        /// From the blow to here.
        #[serde(rename = "recovery_ms", with = "millis")]
        recovery: Duration,
    },
    /// A frozen worker wakes up, and does not know yet that it was overtaken.
    ZombieWoke {
        /// Where it works.
        host: String,
    },
    /// It has learned it.
    ZombieFenced {
        /// Where it worked.
        host: String,
        /// Its epoch.
        held: u64,
        /// The epoch that fences it.
        current: u64,
    },
}

impl CloudNews {
    /// The same in words.
    #[must_use]
    pub fn in_words(&self) -> String {
        match self {
            Self::Preempted { kind, host, step } => {
                let what = match kind {
                    Kind::Revoked => "the lease was revoked",
                    Kind::Expired => "the lease was not renewed and ran out",
                    Kind::Killed => "the worker was killed",
                    Kind::Terminated => "the worker was told to end",
                    Kind::Frozen => "the worker was stopped as it was; another host takes over",
                    Kind::ReplicaLost => "the directory of a replica was removed",
                    Kind::ReplicaDamaged => "a file of a replica was damaged",
                };
                format!("cloud: {what} ({host}, step {step})")
            }
            Self::GoingOn { host, step, steps_lost, recovery, .. } => {
                let again = match steps_lost {
                    0 => "no step is done again".to_owned(),
                    1 => "1 step is done again".to_owned(),
                    lost => format!("{lost} steps are done again"),
                };
                format!(
                    "cloud: going on after {:.2} s ({host}, step {step}), {again}",
                    recovery.as_secs_f64()
                )
            }
            Self::ZombieWoke { host } => format!("cloud: the stopped worker wakes up ({host})"),
            Self::ZombieFenced { host, held, current } => {
                format!("cloud: it was fenced and has published nothing ({host}, epoch {held} < {current})")
            }
        }
    }
}

mod millis {
    //! A duration as milliseconds with fractions.

    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(time.as_secs_f64() * 1e3)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        let millis = f64::deserialize(deserializer)?;
        Duration::try_from_secs_f64(millis / 1e3).map_err(serde::de::Error::custom)
    }
}

/// Hears a preempted run.
pub trait Audience {
    /// An event of the worker that has the job.
    fn hear(&mut self, event: &Event);

    /// What the cloud did.
    fn tell(&mut self, news: &CloudNews);
}
