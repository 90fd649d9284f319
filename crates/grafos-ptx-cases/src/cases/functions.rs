//! `kernels/functions.cu`.

use super::{SIZES, blocks};
use crate::Case;
use crate::random::Random;

const MODULE: &str = "functions";

pub(super) fn cases() -> Vec<Case> {
    let each = |make: fn(u32, u32) -> Case| SIZES.iter().map(move |&(n, threads)| make(n, threads));
    each(escape_time)
        .chain(each(least_multiple))
        .chain(each(sort_fives))
        .chain(each(call_by_number))
        .collect()
}

fn escape_time(n: u32, threads: u32) -> Case {
    let mut random = Random::new(1);
    let re = random.many(n, |random| random.unit_f64() * 1.5 - 0.5);
    let im = random.many(n, |random| random.unit_f64() * 1.2);
    let limit = 50_u32;
    let steps_of = |re: f64, im: f64| {
        let (mut x, mut y, mut step) = (0.0, 0.0, 0);
        while step < limit && x * x + y * y <= 4.0 {
            (x, y) = (x * x - y * y + re, 2.0 * x * y + im);
            step += 1;
        }
        step
    };
    let steps: Vec<u32> = re.iter().zip(&im).map(|(re, im)| steps_of(*re, *im)).collect();
    let mut case = Case::new(MODULE, format!("escape_time n={n} threads={threads}"));
    let (re, im) = (case.input("re", &re), case.input("im", &im));
    let steps = case.output("steps", &vec![999; steps.len()], &steps);
    let args = vec![n.into(), limit.into(), re.into(), im.into(), steps.into()];
    case.launch("escape_time", blocks(n, threads), threads, args);
    case
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

fn least_multiple(n: u32, threads: u32) -> Case {
    let mut random = Random::new(2);
    let a = random.many(n, |random| random.next_u32() >> random.below(32));
    let b = random.many(n, |random| random.below(1000));
    let lcm = |a: u32, b: u32| if a == 0 { 0 } else { (a / gcd(a, b)).wrapping_mul(b) };
    let multiples: Vec<u32> = a.iter().zip(&b).map(|(a, b)| lcm(*a, *b)).collect();
    let mut case = Case::new(MODULE, format!("least_multiple n={n} threads={threads}"));
    let (a, b) = (case.input("a", &a), case.input("b", &b));
    let multiple = case.output("multiple", &vec![1; multiples.len()], &multiples);
    let args = vec![n.into(), a.into(), b.into(), multiple.into()];
    case.launch("least_multiple", blocks(n, threads), threads, args);
    case
}

fn sort_fives(n: u32, threads: u32) -> Case {
    let x = Random::new(3).words(5 * n);
    let mut sorted = x.clone();
    for five in sorted.chunks_mut(5) {
        five.sort_unstable();
    }
    let mut case = Case::new(MODULE, format!("sort_fives n={n} threads={threads}"));
    let x = case.output("x", &x, &sorted);
    case.launch("sort_fives", blocks(n, threads), threads, vec![n.into(), x.into()]);
    case
}

fn call_by_number(n: u32, threads: u32) -> Case {
    let mut random = Random::new(4);
    let (choice, a, b) = (random.words(n), random.words(n), random.words(n));
    let functions: [fn(u32, u32) -> u32; 4] =
        [u32::wrapping_add, u32::wrapping_sub, u32::wrapping_mul, u32::midpoint];
    let result = |i: usize| functions[choice[i] as usize % 4](a[i], b[i]);
    let results: Vec<u32> = (0..choice.len()).map(result).collect();
    let mut case = Case::new(MODULE, format!("call_by_number n={n} threads={threads}"));
    let (choice, a, b) = (case.input("choice", &choice), case.input("a", &a), case.input("b", &b));
    let out = case.output("out", &vec![1; results.len()], &results);
    let args = vec![n.into(), choice.into(), a.into(), b.into(), out.into()];
    case.launch("call_by_number", blocks(n, threads), threads, args);
    case
}
