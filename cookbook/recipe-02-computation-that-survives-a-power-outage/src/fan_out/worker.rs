//! One worker of a fan-out, on a thread of its own.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::Sender;

use grafos_std::host::Host;

use crate::error::Result;
use crate::event::Event;
use crate::policy::Patience;
use crate::run::{Context, Outcome, Part, run_part};
use crate::stop::StopFlag;

/// What a worker tells its coordinator.
#[derive(Debug)]
pub(super) enum News {
    /// Something has happened to it.
    Event(Event),
    /// It has come to an end, or to an error that it can't mend.
    Ended(Result<Outcome>),
    /// It has panicked. Its lease is free, its last checkpoint stands.
    Died(String),
}

/// What a worker takes from its coordinator.
#[derive(Clone, Debug)]
pub(super) struct Equipment {
    pub(super) host: Host,
    pub(super) stop: StopFlag,
    pub(super) patience: Patience,
    pub(super) news: Sender<(u32, News)>,
}

/// Runs a part to its end and tells the coordinator. Does not panic.
pub(super) fn work(part: &Part, equipment: &Equipment) {
    let tell = |news| {
        // A coordinator waits for all of its workers, so somebody listens.
        let _ = equipment.news.send((part.share.index, news));
    };
    let ended = catch_unwind(AssertUnwindSafe(|| {
        let mut observer = |event: &Event| tell(News::Event(event.clone()));
        let mut context = Context {
            host: equipment.host.clone(),
            stop: equipment.stop.clone(),
            patience: equipment.patience,
            observer: &mut observer,
        };
        run_part(part, &mut context)
    }));
    tell(match ended {
        Ok(outcome) => News::Ended(outcome),
        Err(panic) => News::Died(panic_text(panic.as_ref())),
    });
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without words".to_owned())
}
