//! [`Rule`]: one named sentence of a contract, and the check that can find it broken.
//!
//! A check returns instead of panicking, so that one run of a suite tells all that is wrong with a backend. The
//! panic at the end is what a test expects of an assertion.

use std::any::Any;
use std::error::Error;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// What a check found: the rule holds, or in what it was seen broken.
pub type Checked = Result<(), Broken>;

/// How a rule was broken. Not an error itself, so that every error can become one.
#[derive(Debug)]
pub struct Broken(
    /// What was expected, and what was found.
    pub String,
);

impl<E: Error> From<E> for Broken {
    fn from(unexpected: E) -> Self {
        Self(format!("unexpected error: {unexpected}"))
    }
}

/// One rule of the contract of things that are tested as `T`.
pub struct Rule<T> {
    /// The rule in a few words: the name of its check.
    pub name: &'static str,
    /// Finds it broken.
    pub check: fn(&T) -> Checked,
}

/// Runs each rule on a thing of its own, and panics with the names of all that are broken.
///
/// # Panics
/// If a rule is broken.
#[allow(clippy::panic, reason = "a conformance suite is an assertion: failing is how it reports")]
pub fn assert_all<T>(of: &str, rules: &[Rule<T>], make: impl Fn() -> T) {
    let verdicts = rules.iter().filter_map(|rule| {
        let broken = verdict(rule, &make)?;
        Some(format!("\n  {}: {broken}", rule.name))
    });
    let broken: Vec<String> = verdicts.collect();
    if !broken.is_empty() {
        panic!("{} of {} rules of {of} are broken:{}", broken.len(), rules.len(), broken.concat());
    }
}

/// `None` if the rule holds. A backend that panics breaks the rule under which it does.
fn verdict<T>(rule: &Rule<T>, make: impl Fn() -> T) -> Option<String> {
    match catch_unwind(AssertUnwindSafe(|| (rule.check)(&make()))) {
        Ok(Ok(())) => None,
        Ok(Err(Broken(how))) => Some(how),
        Err(panic) => Some(format!("it panicked: {}", panic_message(panic.as_ref()))),
    }
}

fn panic_message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}

/// A list of rules, named after their checks.
#[macro_export]
macro_rules! rules {
    ($($module:ident :: { $($check:ident),+ $(,)? }),+ $(,)?) => {
        &[$($($crate::Rule { name: stringify!($check), check: $module::$check }),+),+]
    };
}

/// The check goes on only if the condition holds.
#[macro_export]
macro_rules! ensure {
    ($condition:expr, $($message:tt)+) => {
        if !$condition {
            return Err($crate::Broken(format!($($message)+)));
        }
    };
}

/// The check goes on only if both are equal.
#[macro_export]
macro_rules! ensure_eq {
    ($found:expr, $expected:expr, $($message:tt)+) => {
        match (&$found, &$expected) {
            (found, expected) if found != expected => {
                let what = format!($($message)+);
                let message = format!("{what}: expected={expected:?}, found={found:?}");
                return Err($crate::Broken(message));
            }
            _ => {}
        }
    };
}

/// The check goes on only if the result is an error of this form.
#[macro_export]
macro_rules! ensure_error {
    ($result:expr, $pattern:pat $(if $guard:expr)?, $($message:tt)+) => {
        match &$result {
            Err($pattern) $(if $guard)? => {}
            other => {
                let (what, form) = (format!($($message)+), stringify!($pattern));
                let message = format!("{what}: expected error={form}, found={other:?}");
                return Err($crate::Broken(message));
            }
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(_: &u8) -> Checked {
        Ok(())
    }

    fn fails(value: &u8) -> Checked {
        ensure_eq!(*value, 0, "the value of number {}", 7);
        Ok(())
    }

    fn panics(_: &u8) -> Checked {
        panic!("index {} out of bounds", 3)
    }

    fn meets_an_error(_: &u8) -> Checked {
        "x".parse::<u8>()?;
        Ok(())
    }

    #[test]
    fn every_broken_rule_is_named_with_its_reason_and_no_other() {
        let rules = &[
            Rule { name: "holds", check: holds },
            Rule { name: "fails", check: fails },
            Rule { name: "panics", check: panics },
            Rule { name: "meets_an_error", check: meets_an_error },
        ];
        let panic = catch_unwind(|| assert_all("Number", rules, || 5)).unwrap_err();
        let message = panic_message(panic.as_ref());
        assert!(message.starts_with("3 of 4 rules of Number are broken:"), "{message}");
        assert!(message.contains("fails: the value of number 7: expected=0, found=5"), "{message}");
        assert!(message.contains("panics: it panicked: index 3 out of bounds"), "{message}");
        assert!(message.contains("meets_an_error: unexpected error: invalid digit"), "{message}");
        assert!(!message.contains("holds"), "{message}");
        assert_all("Number", &rules[..1], || 5);
    }
}
