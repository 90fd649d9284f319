//! SIGINT and SIGTERM: the first asks the worker to commit and end, the second ends the process at once.
//!
//! The handlers do nothing but set a flag. A process that is killed harder loses no more than one stride.

use rustix::process::{Signal, set_parent_process_death_signal};
use signal_hook::consts::signal::{SIGINT, SIGTERM};
use signal_hook::flag;

use crate::run::{Controls, RunError};

/// Asks the worker to end at the first signal, and restores the default at the second: the process then dies of it.
///
/// # Errors
/// [`RunError::Signals`] if the operating system refuses.
pub fn stop_on_signals(controls: &Controls) -> Result<(), RunError> {
    for signal in [SIGINT, SIGTERM] {
        // In this order: the first signal finds the flag down, so only the second one is deadly.
        flag::register_conditional_default(signal, controls.stop_flag()).map_err(RunError::Signals)?;
        flag::register(signal, controls.stop_flag()).map_err(RunError::Signals)?;
    }
    Ok(())
}

/// Lets this process wake up when the one that started it dies: one that lies stopped then would lie so for ever, and
/// hold its GPU.
///
/// # Errors
/// [`RunError::Signals`] if the operating system refuses.
pub fn wake_up_when_orphaned() -> Result<(), RunError> {
    set_parent_process_death_signal(Some(Signal::CONT)).map_err(|errno| RunError::Signals(errno.into()))
}
