//! The rules that the suites are made of: those of `grafos-suite`.

pub(super) use grafos_suite::{Broken, Checked, Rule, assert_all, ensure, ensure_eq, ensure_error, rules};
