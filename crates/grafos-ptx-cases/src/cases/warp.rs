//! `kernels/warp.cu`.

use crate::Case;
use crate::random::Random;

const MODULE: &str = "warp";

/// `(blocks, threads per block)`, whole warps.
const SHAPES: &[(u32, u32)] = &[(1, 32), (3, 96), (2, 1024)];

pub(super) fn cases() -> Vec<Case> {
    let each =
        |make: fn(u32, u32) -> Case| SHAPES.iter().map(move |&(blocks, threads)| make(blocks, threads));
    each(warp_scan)
        .chain(each(warp_gather))
        .chain(each(warp_votes))
        .chain(each(warp_reduce))
        .chain(each(bits))
        .collect()
}

/// What `of_warp` makes of each warp's words.
fn by_warp(x: &[u32], of_warp: impl Fn(&[u32]) -> Vec<u32>) -> Vec<u32> {
    x.chunks(32).flat_map(of_warp).collect()
}

fn warp_scan(blocks: u32, threads: u32) -> Case {
    let x = Random::new(1).words(blocks * threads);
    let sum_to = |warp: &[u32], lane: usize| warp[..=lane].iter().fold(0_u32, |sum, x| sum.wrapping_add(*x));
    let sums = by_warp(&x, |warp| (0..32).map(|lane| sum_to(warp, lane)).collect());
    let mut case = Case::new(MODULE, format!("warp_scan blocks={blocks} threads={threads}"));
    let (x, out) = (case.input("x", &x), case.output("out", &vec![0; sums.len()], &sums));
    case.launch("warp_scan", blocks, threads, vec![x.into(), out.into()]);
    case
}

fn warp_gather(blocks: u32, threads: u32) -> Case {
    let mut random = Random::new(2);
    let (x, from) = (random.words(blocks * threads), random.words(blocks * threads));
    let taken = |i: usize| x[i / 32 * 32 + from[i] as usize % 32];
    let out: Vec<u32> = (0..x.len()).map(taken).collect();
    let mut case = Case::new(MODULE, format!("warp_gather blocks={blocks} threads={threads}"));
    let (x, from) = (case.input("x", &x), case.input("from", &from));
    let out = case.output("out", &vec![0; out.len()], &out);
    case.launch("warp_gather", blocks, threads, vec![x.into(), from.into(), out.into()]);
    case
}

fn lanes(warp: &[u32], holds: impl Fn(u32) -> bool) -> u32 {
    warp.iter().enumerate().fold(0, |lanes, (lane, x)| lanes | u32::from(holds(*x)) << lane)
}

fn warp_votes(blocks: u32, threads: u32) -> Case {
    let x = Random::new(3).many(blocks * threads, |random| random.below(9));
    let votes = by_warp(&x, |warp| vec![lanes(warp, |x| x % 2 == 1); 32]);
    let peers = by_warp(&x, |warp| warp.iter().map(|own| lanes(warp, |x| x == *own)).collect());
    let rank = |(i, peers): (usize, &u32)| (peers & ((1_u32 << (i % 32)) - 1)).count_ones();
    let ranks: Vec<u32> = peers.iter().enumerate().map(rank).collect();
    let mut case = Case::new(MODULE, format!("warp_votes blocks={blocks} threads={threads}"));
    let zeros = vec![99_u32; x.len()];
    let x = case.input("x", &x);
    let votes = case.output("votes", &zeros, &votes);
    let peers = case.output("peers", &zeros, &peers);
    let ranks = case.output("ranks", &zeros, &ranks);
    case.launch("warp_votes", blocks, threads, vec![x.into(), votes.into(), peers.into(), ranks.into()]);
    case
}

fn warp_reduce(blocks: u32, threads: u32) -> Case {
    let x = Random::new(4).words(blocks * threads);
    let sums = by_warp(&x, |warp| vec![warp.iter().fold(0, |sum: u32, x| sum.wrapping_add(*x)); 32]);
    let lowest = by_warp(&x, |warp| vec![warp.iter().copied().fold(u32::MAX, u32::min); 32]);
    let mut case = Case::new(MODULE, format!("warp_reduce blocks={blocks} threads={threads}"));
    let zeros = vec![0_u32; x.len()];
    let x = case.input("x", &x);
    let (sums, lowest) = (case.output("sums", &zeros, &sums), case.output("lowest", &zeros, &lowest));
    case.launch("warp_reduce", blocks, threads, vec![x.into(), sums.into(), lowest.into()]);
    case
}

fn bits(blocks: u32, threads: u32) -> Case {
    let mut random = Random::new(5);
    let mut x = random.many(blocks * threads, |random| random.next_u32() >> random.below(32));
    x[0] = 0;
    let of = |f: fn(usize, u32) -> u32| x.iter().enumerate().map(|(i, x)| f(i, *x)).collect::<Vec<u32>>();
    let results = [
        ("counts", of(|_, x| x.count_ones() + 100 * x.leading_zeros())),
        ("reversed", of(|_, x| x.reverse_bits())),
        ("rotated", of(|i, x| (0..i % 32).fold(x, |x, _| x.rotate_left(1)))),
        ("bytes", of(|_, x| x.swap_bytes())),
        ("high", of(|_, x| u32::try_from((u64::from(x) * u64::from(x)) >> 32).unwrap_or(0))),
    ];
    let mut case = Case::new(MODULE, format!("bits blocks={blocks} threads={threads}"));
    let mut args = vec![case.input("x", &x).into()];
    for (name, expected) in results {
        args.push(case.output(name, &vec![77; x.len()], &expected).into());
    }
    case.launch("bits", blocks, threads, args);
    case
}
