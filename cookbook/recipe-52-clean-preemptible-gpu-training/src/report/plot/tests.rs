//! The drawing, looked at as text.

use super::*;
use crate::audit::Stride;
use crate::run::event::StrideEnd;
use crate::run::stride::{LostLease, StrideRecord, tests::record};

fn audit(records: Vec<StrideRecord>) -> Audit {
    let epoch = records.last().map_or(0, |record| record.epoch);
    let strides = records.into_iter().map(|record| Stride {
        from: record.from,
        to: record.to,
        version: record.version,
        epoch: record.epoch,
        examples: record.consumed_examples,
        consumed: String::new(),
        record,
    });
    Audit { strides: strides.collect(), epoch, ..Audit::default() }
}

/// Every element that is opened is closed, and quotes come in pairs.
fn is_well_formed(text: &str) -> bool {
    let mut open = Vec::new();
    for tag in text.split('<').skip(1) {
        let Some((tag, _)) = tag.split_once('>') else { return false };
        if tag.matches('"').count() % 2 != 0 {
            return false;
        }
        let name = tag.trim_start_matches('/').split([' ', '/']).next().unwrap_or_default();
        if tag.starts_with('/') {
            if open.pop() != Some(name) {
                return false;
            }
        } else if !tag.ends_with('/') {
            open.push(name);
        }
    }
    open.is_empty()
}

#[test]
fn a_drawing_has_the_curve_and_a_mark_for_everything_that_happened() {
    let mut records =
        vec![record(0, 100, 1, 2), record(100, 200, 2, 2), record(200, 250, 3, 4), record(250, 300, 4, 5)];
    records[1].lost = vec![LostLease { step: 130, status: "revoked".into() }];
    records[1].leases_lost = 1;
    records[2].end = StrideEnd::Stop;
    let drawing = svg("digits", &audit(records));
    assert!(is_well_formed(&drawing), "{drawing}");
    for part in
        ["300 steps", "4 workers", "GPU taken away: 1", "killed or fenced: 2", "told to end: 1", "<polyline"]
    {
        assert!(drawing.contains(part), "{part} is missing: {drawing}");
    }
    assert!(!drawing.contains("NaN") && !drawing.contains("inf"), "{drawing}");
}

#[test]
fn nothing_and_odd_losses_can_be_drawn() {
    assert!(is_well_formed(&svg("a<b&c", &Audit::default())));
    let mut odd = record(0, 5, 1, 2);
    odd.losses = vec![f32::NAN, f32::INFINITY, 0.0, -1.0, f32::MAX];
    let drawing = svg("digits", &audit(vec![odd]));
    assert!(is_well_formed(&drawing) && !drawing.contains("NaN"), "{drawing}");
}

#[test]
fn a_long_run_with_many_marks_is_no_larger_than_a_short_one_by_much() {
    let mut records: Vec<_> =
        (0..2000_u64).map(|at| record(at * 50, at * 50 + 50, at + 1, 2 + 3 * at)).collect();
    for record in &mut records {
        record.lost = vec![LostLease { step: record.from, status: "expired".into() }; 10];
        record.leases_lost = 10;
    }
    let drawing = svg("digits", &audit(records));
    assert!(is_well_formed(&drawing));
    assert!(drawing.len() < 400_000, "{}", drawing.len());
}

#[test]
fn ticks_are_round_and_few() {
    for end in [1.0, 7.0, 40.0, 999.0, 9000.0, 1e7] {
        let ticks: Vec<_> = ticks(end).collect();
        assert!((2..=10).contains(&ticks.len()), "{end}: {ticks:?}");
    }
    assert_eq!(ticks(9000.0).nth(1), Some(2000.0));
    assert_eq!([power_of_ten(-2), power_of_ten(0), power_of_ten(9)], ["0.01", "1", "1e9"]);
}
