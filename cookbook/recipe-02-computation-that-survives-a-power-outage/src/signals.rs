//! SIGINT and SIGTERM: the first asks the run to end cleanly, the second ends the process at once.
//!
//! The handlers do nothing but set a flag. A process that is killed harder loses no more than one interval.

use signal_hook::consts::signal::{SIGINT, SIGTERM};
use signal_hook::flag;

use crate::error::RecipeError;
use crate::stop::StopFlag;

/// Raises `stop` at the first signal, and restores the default at the second: the process then dies of it.
///
/// # Errors
/// [`RecipeError::Signals`] if the operating system refuses.
pub fn stop_on_signals(stop: &StopFlag) -> Result<(), RecipeError> {
    for signal in [SIGINT, SIGTERM] {
        // In this order: the first signal finds the flag down, so only the second one is deadly.
        flag::register_conditional_default(signal, stop.shared()).map_err(RecipeError::Signals)?;
        flag::register(signal, stop.shared()).map_err(RecipeError::Signals)?;
    }
    Ok(())
}
