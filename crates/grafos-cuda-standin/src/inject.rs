//! Calls that are made to fail, and the count of all calls.

use std::collections::HashMap;
use std::sync::{Mutex, OnceLock};

use crate::code::Code;
use crate::config::variable;
use crate::sync::locked;

/// The name under which faults of running kernels are set.
pub(crate) const KERNEL: &str = "kernel";

#[derive(Debug, Default)]
struct Plan {
    calls: HashMap<String, u64>,
    /// Function, number of the call that fails (counted from the first call of all), code.
    faults: Vec<(String, u64, Code)>,
}

fn plan() -> &'static Mutex<Plan> {
    static PLAN: OnceLock<Mutex<Plan>> = OnceLock::new();
    PLAN.get_or_init(|| {
        let text = variable::<String>("FAIL").unwrap_or_default();
        let faults = text.split(',').filter_map(parse).collect();
        Mutex::new(Plan { calls: HashMap::new(), faults })
    })
}

fn parse(text: &str) -> Option<(String, u64, Code)> {
    let mut parts = text.split(':');
    let (name, nth, code) = (parts.next()?, parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    parts.next().is_none().then(|| (name.to_owned(), nth, code))
}

/// Counts a call of `function`, and says with which code it must fail, if it must.
pub(crate) fn called(function: &str) -> Option<Code> {
    let mut plan = locked(plan());
    let count = plan.calls.entry(function.to_owned()).or_default();
    *count += 1;
    let count = *count;
    let at = plan.faults.iter().position(|(name, nth, _)| name == function && *nth == count)?;
    Some(plan.faults.swap_remove(at).2)
}

/// How often `function` has been called.
pub(crate) fn calls(function: &str) -> u64 {
    locked(plan()).calls.get(function).copied().unwrap_or(0)
}

/// Lets the nth call of `function` from now on fail with `code`.
pub(crate) fn fail(function: &str, nth: u64, code: Code) {
    let mut plan = locked(plan());
    let so_far = plan.calls.get(function).copied().unwrap_or(0);
    plan.faults.push((function.to_owned(), so_far.saturating_add(nth), code));
}

/// Forgets every fault that has not happened yet.
pub(crate) fn forget() {
    locked(plan()).faults.clear();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_call_that_was_named_fails() {
        fail("some_function", 2, 700);
        assert_eq!(called("some_function"), None);
        assert_eq!(called("another_function"), None);
        assert_eq!(called("some_function"), Some(700));
        assert_eq!(called("some_function"), None);
        assert_eq!(calls("some_function"), 3);
    }

    #[test]
    fn the_environment_s_form_is_function_number_code() {
        assert_eq!(parse("cuInit:1:100"), Some(("cuInit".to_owned(), 1, 100)));
        for wrong in ["", "cuInit", "cuInit:1", "cuInit:x:1", "cuInit:1:2:3"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }
}
