//! `kernels/print.cu`.

use crate::random::Random;
use crate::{Case, Ending};

const MODULE: &str = "print";

pub(super) fn cases() -> Vec<Case> {
    let mut cases = vec![greets(1, 1), greets(1, 64)];
    cases.extend([(0, 32), (1, 32), (100, 32)].map(|(n, threads)| require_below(n, threads, 1000)));
    let mut fails = require_below(100, 32, 900);
    fails.ending = Ending::AssertionFails;
    cases.push(fails);
    cases
}

/// One block: a device prints blocks in any order.
fn greets(blocks: u32, threads: u32) -> Case {
    let mut case = Case::new(MODULE, format!("greet blocks={blocks} threads={threads}"));
    case.printed =
        b"block 0 of 1: -300 0x12c 18446744073709551615 -2.500 -2.5e+00 [left  ] [   r] O 100%\n".to_vec();
    let args = vec![300_u32.into(), u64::MAX.into(), (-2.5_f64).into()];
    case.launch("greet", blocks, threads, args);
    case
}

/// The numbers 0 to n in some order, with 999 among them where there are any.
fn require_below(n: u32, threads: u32, limit: u32) -> Case {
    let mut x = Random::new(1).many(n, |random| random.below(900));
    if let Some(last) = x.last_mut() {
        *last = 999;
    }
    let what = if limit > 999 { "nothing happens" } else { "fails" };
    let mut case = Case::new(MODULE, format!("require_below n={n} limit={limit}: {what}"));
    let x = case.input("x", &x);
    case.launch("require_below", super::blocks(n, threads), threads, vec![n.into(), limit.into(), x.into()]);
    case
}
