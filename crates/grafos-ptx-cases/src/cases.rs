//! The cases, one file for each file of `kernels/`: inputs, launches, and the reference in plain Rust.
//!
//! Sizes go to the edges: none, one, a whole number of blocks, one more or less. Where the order of floating additions
//! matters, the reference adds in the order of the kernel.

mod attention;
mod bfloat;
mod digits;
mod fdtd;
mod functions;
mod half;
mod histogram;
mod layer_norm;
mod matmul;
mod optimizer;
mod philox;
mod print;
mod radix;
mod reduce;
mod scan;
mod softmax;
mod stencil;
mod table;
mod train_step;
mod vector;
mod warp;

use crate::Case;

type Make = fn() -> Vec<Case>;

const ALL: &[(&str, Make)] = &[
    ("attention", attention::cases),
    ("bfloat", bfloat::cases),
    ("digits", digits::cases),
    ("fdtd", fdtd::cases),
    ("functions", functions::cases),
    ("half", half::cases),
    ("histogram", histogram::cases),
    ("layer_norm", layer_norm::cases),
    ("matmul", matmul::cases),
    ("optimizer", optimizer::cases),
    ("philox", philox::cases),
    ("print", print::cases),
    ("radix", radix::cases),
    ("reduce", reduce::cases),
    ("scan", scan::cases),
    ("softmax", softmax::cases),
    ("stencil", stencil::cases),
    ("table", table::cases),
    ("train_step", train_step::cases),
    ("vector", vector::cases),
    ("warp", warp::cases),
];

/// Every case of every module.
pub fn cases() -> impl Iterator<Item = Case> {
    ALL.iter().flat_map(|(_, make)| make())
}

/// The cases of one file of `kernels/`; none if there is no such file.
#[must_use]
pub fn cases_of(module: &str) -> Vec<Case> {
    ALL.iter().filter(|(name, _)| *name == module).flat_map(|(_, make)| make()).collect()
}

/// `(n, threads per block)` for kernels with one element per thread.
const SIZES: &[(u32, u32)] =
    &[(0, 32), (1, 1), (1, 64), (31, 32), (256, 128), (257, 128), (1000, 96), (2500, 1024)];

/// How many blocks of `threads` cover `n` elements; one at least.
fn blocks(n: u32, threads: u32) -> u32 {
    n.div_ceil(threads).max(1)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::{Arg, Ending, modules};

    #[test]
    fn every_module_has_cases_and_every_case_its_modules() {
        let modules: BTreeSet<_> = modules().map(|module| module.name).collect();
        let cases: BTreeSet<_> = ALL.iter().map(|(name, _)| *name).collect();
        assert_eq!(modules, cases);
    }

    #[test]
    fn names_are_unique_and_cases_belong_to_their_module() {
        for (module, make) in ALL {
            let cases = make();
            assert!(cases.iter().all(|case| case.module == *module), "{module}");
            let names: BTreeSet<_> = cases.iter().map(|case| case.name.as_str()).collect();
            assert_eq!(names.len(), cases.len(), "{module}: {names:?}");
        }
    }

    #[test]
    fn every_kernel_of_every_module_is_launched() {
        for module in modules() {
            let launched: BTreeSet<_> =
                cases_of(module.name).iter().flat_map(|case| &case.steps).map(|step| step.kernel).collect();
            let text = std::str::from_utf8(module.ptx).unwrap();
            let there: BTreeSet<_> = text
                .lines()
                .filter_map(|line| line.split_once(".entry ")?.1.split(['(', ' ']).next())
                .collect();
            assert_eq!(launched, there, "{module}");
        }
    }

    #[test]
    fn buffers_are_sound_and_a_launch_that_does_nothing_is_noticed() {
        for case in cases() {
            for buffer in &case.buffers {
                assert_eq!(buffer.initial.len(), buffer.expected.len(), "{}: {}", case.name, buffer.name);
                assert!(!buffer.initial.is_empty());
                assert!(buffer.verify(&buffer.expected).is_ok(), "{}: {}", case.name, buffer.name);
            }
            for step in &case.steps {
                for arg in &step.args {
                    assert!(!matches!(arg, Arg::Buffer(index) if index.0 >= case.buffers.len()));
                }
            }
            let changes = case.buffers.iter().any(|buffer| buffer.verify(&buffer.initial).is_err());
            let says = !case.printed.is_empty() || case.ending != Ending::Completes;
            let is_checked_for_restraint = case.name.contains("n=0") || case.name.contains("nothing");
            assert!(changes || says || is_checked_for_restraint, "{}: nothing would be noticed", case.name);
        }
    }
}
