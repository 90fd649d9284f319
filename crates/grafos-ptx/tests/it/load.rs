//! Modules that must be refused, each with its exact error, and modules that must be accepted.

mod accepted;
mod corrupted;
mod refused;
mod replay;
mod seeds;

use grafos_ptx::Module;

const HEADER: &str = ".version 8.0\n.target sm_90\n.address_size 64\n";

/// A module of one kernel with registers of every kind, whose body begins at line 6.
fn kernel(body: &str) -> String {
    let registers = ".reg .pred %p<9>; .reg .b16 %rs<9>; .reg .b32 %r<9>; .reg .b64 %rd<9>; .reg .f32 %f<9>; .reg .f64 %fd<9>;";
    format!("{HEADER}.visible .entry k(.param .u64 a, .param .u32 n) {{\n{registers}\n{body}\n}}\n")
}

/// What loading says, as a user sees it.
fn error(source: &[u8]) -> String {
    match Module::load(source) {
        Ok(_) => "accepted".to_owned(),
        Err(error) => error.to_string(),
    }
}

/// Checks a list of sources and their errors, and tells all that differ at once.
#[track_caller]
fn check(cases: &[(&str, &str)], whole: impl Fn(&str) -> String) {
    let wrong: Vec<String> = cases
        .iter()
        .map(|(source, expected)| (source, expected, error(whole(source).as_bytes())))
        .filter(|(_, expected, found)| *expected != found)
        .map(|(source, expected, found)| format!("{source}\n  expected: {expected}\n  found:    {found}\n"))
        .collect();
    assert!(wrong.is_empty(), "\n{}", wrong.concat());
}
