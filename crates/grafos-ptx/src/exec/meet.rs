//! What lanes of a warp do together: shuffles, votes, matches, reductions, elections.
//!
//! Lanes that take part bring an [`Offer`] each and take away what [`exchange`] makes of them. They may come from
//! different places of the program, as long as they execute the same kind of instruction with the same members: so
//! what they offer is gathered first, group by group, and results are handed out afterwards.

use crate::compute::{LANES, Lanes32, Lanes64, Mask};
use crate::program::{Op, ReduceOp, ShuffleMode, Slot, VoteKind};

use super::core::Core;
use super::low32;
use super::registers::{first, keep_mask, keep32, keep64, lanes};

/// The register that names the lanes which an instruction waits for.
pub(super) fn members(op: &Op) -> Option<Slot> {
    match op {
        Op::WarpSync { members }
        | Op::Match { members, .. }
        | Op::WarpReduce { members, .. }
        | Op::Elect { members, .. } => Some(*members),
        Op::Vote { members, .. } => *members,
        Op::Shuffle(shuffle) => shuffle.members,
        _ => None,
    }
}

/// What faults call it.
pub(super) fn name(op: &Op) -> &'static str {
    match op {
        Op::WarpSync { .. } => "bar.warp.sync",
        Op::Match { .. } => "match.sync",
        Op::WarpReduce { .. } => "redux.sync",
        Op::Elect { .. } => "elect.sync",
        Op::Vote { .. } => "vote.sync",
        Op::Shuffle(_) => "shfl.sync",
        _ => "instruction",
    }
}

/// Whether lanes that execute the one can meet lanes that execute the other.
pub(super) fn same_kind(a: &Op, b: &Op) -> bool {
    match (a, b) {
        (Op::Match { all: a, is_64: a64, .. }, Op::Match { all: b, is_64: b64, .. }) => (a, a64) == (b, b64),
        (Op::WarpReduce { op: a, .. }, Op::WarpReduce { op: b, .. }) => a == b,
        (Op::Vote { kind: a, .. }, Op::Vote { kind: b, .. }) => a == b,
        (Op::Shuffle(a), Op::Shuffle(b)) => a.mode == b.mode,
        _ => std::mem::discriminant(a) == std::mem::discriminant(b),
    }
}

/// What lanes bring.
#[derive(Debug, Default)]
pub(super) struct Offer {
    values: Lanes64,
    /// Of a shuffle.
    lane: Lanes32,
    clamp: Lanes32,
    /// Of a vote.
    pred: Mask,
}

/// What lanes take away.
#[derive(Debug, Default)]
pub(super) struct Answer {
    values: Lanes64,
    pred: Mask,
}

impl Core<'_> {
    /// A meeting of just the active lanes.
    pub(super) fn meet_alone(&mut self, op: &Op, active: Mask) {
        if let Op::Shuffle(shuffle) = op
            && let Some(values) = self.shuffle_straight(op, active)
        {
            keep32(&mut self.r32[usize::from(shuffle.dest)], &values, active);
            return;
        }
        let mut offer = Offer::default();
        self.offer(op, active, &mut offer);
        let answer = exchange(op, active, &offer);
        self.take(op, active, &answer);
    }

    /// The shuffle of all lanes by the same distance over the whole warp, which reductions are made of.
    fn shuffle_straight(&self, op: &Op, active: Mask) -> Option<Lanes32> {
        let Op::Shuffle(shuffle) = op else { return None };
        let (by, clamp) = (&self.r32[usize::from(shuffle.lane)], &self.r32[usize::from(shuffle.clamp)]);
        let whole = if shuffle.mode == ShuffleMode::Up { 0 } else { 31 };
        let uniform = by.iter().all(|b| *b == by[0]) && clamp.iter().all(|c| *c == whole);
        if active != Mask::MAX || !uniform || shuffle.pred.is_some() {
            return None;
        }
        let from = &self.r32[usize::from(shuffle.source)];
        let by = (by[0] & 31) as usize;
        let mut to = *from;
        match shuffle.mode {
            ShuffleMode::Up => to[by..].copy_from_slice(&from[..LANES - by]),
            ShuffleMode::Down => to[..LANES - by].copy_from_slice(&from[by..]),
            ShuffleMode::Bfly => {
                for (lane, to) in to.iter_mut().enumerate() {
                    *to = from[(lane ^ by) % LANES];
                }
            }
            ShuffleMode::Idx => to = [from[by]; LANES],
        }
        Some(to)
    }

    /// Adds what these lanes bring.
    pub(super) fn offer(&self, op: &Op, lanes: Mask, offer: &mut Offer) {
        let narrow = |slot: Slot| self.r32[usize::from(slot)].map(u64::from);
        match op {
            Op::Shuffle(shuffle) => {
                keep64(&mut offer.values, &narrow(shuffle.source), lanes);
                keep32(&mut offer.lane, &self.r32[usize::from(shuffle.lane)], lanes);
                keep32(&mut offer.clamp, &self.r32[usize::from(shuffle.clamp)], lanes);
            }
            Op::Vote { source, .. } => offer.pred |= self.holds(*source, lanes),
            Op::Match { is_64: true, source, .. } => {
                keep64(&mut offer.values, &self.r64[usize::from(*source)], lanes);
            }
            Op::Match { source, .. } | Op::WarpReduce { source, .. } => {
                keep64(&mut offer.values, &narrow(*source), lanes);
            }
            _ => {}
        }
    }

    /// Gives these lanes what they take away.
    pub(super) fn take(&mut self, op: &Op, lanes: Mask, answer: &Answer) {
        let values = || answer.values.map(low32);
        match op {
            Op::Shuffle(shuffle) => {
                keep32(&mut self.r32[usize::from(shuffle.dest)], &values(), lanes);
                self.take_pred(shuffle.pred, lanes, answer);
            }
            Op::Vote { kind: VoteKind::Ballot, dest, .. } | Op::WarpReduce { dest, .. } => {
                keep32(&mut self.r32[usize::from(*dest)], &values(), lanes);
            }
            Op::Vote { dest, .. } => self.take_pred(Some(*dest), lanes, answer),
            Op::Match { dest, pred, .. } => {
                keep32(&mut self.r32[usize::from(*dest)], &values(), lanes);
                self.take_pred(*pred, lanes, answer);
            }
            Op::Elect { dest, pred, .. } => {
                if let Some(dest) = dest {
                    keep32(&mut self.r32[usize::from(*dest)], &values(), lanes);
                }
                self.take_pred(Some(*pred), lanes, answer);
            }
            _ => {}
        }
    }

    fn take_pred(&mut self, pred: Option<Slot>, lanes: Mask, answer: &Answer) {
        if let Some(pred) = pred {
            keep_mask(&mut self.preds[usize::from(pred)], answer.pred, lanes);
        }
    }
}

/// What comes out when these lanes meet, none of them missing.
pub(super) fn exchange(op: &Op, who: Mask, offer: &Offer) -> Answer {
    let same =
        |value: u64, pred: bool| Answer { values: [value; LANES], pred: if pred { Mask::MAX } else { 0 } };
    match op {
        Op::Shuffle(shuffle) => shuffled(shuffle.mode, who, offer),
        Op::Vote { kind, .. } => match kind {
            VoteKind::All => same(0, offer.pred == who),
            VoteKind::Any => same(0, offer.pred != 0),
            VoteKind::Uni => same(0, offer.pred == 0 || offer.pred == who),
            VoteKind::Ballot => same(offer.pred.into(), false),
        },
        Op::Match { all: true, .. } => {
            let all = lanes(who).all(|lane| offer.values[lane] == offer.values[first(who)]);
            same(if all { who.into() } else { 0 }, all)
        }
        Op::Match { .. } => {
            let mut answer = Answer::default();
            for lane in lanes(who) {
                let equal = lanes(who).filter(|other| offer.values[*other] == offer.values[lane]);
                answer.values[lane] = equal.fold(0, |mask, other| mask | 1 << other);
            }
            answer
        }
        Op::WarpReduce { op, .. } => {
            let value = lanes(who).map(|lane| low32(offer.values[lane])).reduce(|a, b| reduced(*op, a, b));
            same(value.unwrap_or(0).into(), false)
        }
        Op::Elect { .. } => Answer { values: [first(who) as u64; LANES], pred: 1 << first(who) },
        _ => Answer::default(),
    }
}

/// The definition of `shfl`. A lane that is not there gives zero.
fn shuffled(mode: ShuffleMode, who: Mask, offer: &Offer) -> Answer {
    let mut answer = Answer::default();
    for lane in lanes(who) {
        let (by, clamp) = (offer.lane[lane] & 31, offer.clamp[lane]);
        let (segment, clamp) = ((clamp >> 8) & 31, clamp & 31);
        let here = u32::try_from(lane).unwrap_or(0);
        let (min, max) = (here & segment, (here & segment) | (clamp & !segment));
        let (from, inside) = match mode {
            ShuffleMode::Up => {
                let from = here.cast_signed() - by.cast_signed();
                (from.cast_unsigned(), from >= max.cast_signed())
            }
            ShuffleMode::Down => (here + by, here + by <= max),
            ShuffleMode::Bfly => (here ^ by, here ^ by <= max),
            ShuffleMode::Idx => (min | (by & !segment), min | (by & !segment) <= max),
        };
        let from = if inside { from as usize % LANES } else { lane };
        answer.values[lane] = if who & (1 << from) == 0 { 0 } else { offer.values[from] };
        answer.pred |= Mask::from(inside) << lane;
    }
    answer
}

fn reduced(op: ReduceOp, a: u32, b: u32) -> u32 {
    match op {
        ReduceOp::AddU32 => a.wrapping_add(b),
        ReduceOp::MinU32 => a.min(b),
        ReduceOp::MinS32 => a.cast_signed().min(b.cast_signed()).cast_unsigned(),
        ReduceOp::MaxU32 => a.max(b),
        ReduceOp::MaxS32 => a.cast_signed().max(b.cast_signed()).cast_unsigned(),
        ReduceOp::And => a & b,
        ReduceOp::Or => a | b,
        ReduceOp::Xor => a ^ b,
    }
}
