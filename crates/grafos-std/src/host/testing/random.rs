//! Bytes and numbers that only their seed decides: those of `grafos-suite`.

pub(super) use grafos_suite::{Random, mix};
