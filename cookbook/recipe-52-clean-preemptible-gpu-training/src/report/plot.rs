//! The loss of a run as a drawing (SVG), with what happened to its workers marked.
//!
//! Made from the records of the strides, so it covers all workers of a job, the killed ones included. Invariant: the
//! drawing has a bounded size, whatever the length of the run.

use std::fmt::{self, Write};

use super::words::grouped;
use crate::audit::{Audit, Preemption, PreemptionKind};

const WIDTH: f64 = 960.0;
const HEIGHT: f64 = 420.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 20.0;
const TOP: f64 = 56.0;
const BOTTOM: f64 = 48.0;
const INK: &str = "#3c3c3c";
const GRID: &str = "#e1e1e1";
const CURVE: &str = "#0072b2";
const BAND: &str = "#9ecae9";
/// How many places across the drawing have a point of their own.
const COLUMNS: usize = 800;
/// How many marks of a kind are drawn; more would be a wall.
const MAX_MARKS: usize = 600;
/// No smaller loss is drawn: the axis is logarithmic.
const FLOOR: f64 = 1e-6;

/// The kinds of marks: colours are told apart by eyes that see no red or no green (Okabe and Ito 2008), dashes by all.
const KINDS: [(PreemptionKind, &str, &str, &str); 3] = [
    (PreemptionKind::GpuLost, "GPU taken away", "#e69f00", "none"),
    (PreemptionKind::Killed, "killed or fenced", "#d55e00", "7 4"),
    (PreemptionKind::Stopped, "told to end", "#009e73", "2 4"),
];

/// The drawing.
///
/// ```
/// use cookbook_recipe_52_clean_preemptible_gpu_training::audit::Audit;
/// use cookbook_recipe_52_clean_preemptible_gpu_training::report::plot::svg;
///
/// let drawing = svg("digits", &Audit::default());
/// assert!(drawing.starts_with("<svg ") && drawing.ends_with("</svg>\n"));
/// ```
#[must_use]
pub fn svg(job: &str, audit: &Audit) -> String {
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = draw(&mut text, job, audit);
    text
}

fn draw(to: &mut String, job: &str, audit: &Audit) -> fmt::Result {
    let columns = columns(audit);
    let scale = Scale::of(audit.step(), &columns);
    let preemptions = audit.preemptions();
    writeln!(
        to,
        r#"<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="14" fill="{INK}">"#
    )?;
    writeln!(to, r##"<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>"##)?;
    writeln!(
        to,
        r#"<text x="{LEFT}" y="24" font-size="19">Loss of job {}: {} steps, {} workers, every step {}</text>"#,
        escaped(job),
        grouped(audit.step()),
        grouped(audit.workers()),
        if audit.violations.is_empty() { "once" } else { "NOT once" },
    )?;
    axes(to, &scale)?;
    marks(to, &scale, &preemptions)?;
    curve(to, &scale, &columns)?;
    legend(to, &preemptions)?;
    writeln!(to, "</svg>")
}

/// The losses of some neighbouring steps.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Column {
    step: f64,
    mean: f64,
    least: f64,
    most: f64,
}

/// As many as fit beside each other.
fn columns(audit: &Audit) -> Vec<Column> {
    let steps = audit.step().max(1);
    let mut columns: Vec<Option<(f64, f64, Column)>> = vec![None; COLUMNS];
    for point in audit.strides.iter().flat_map(|stride| stride.record.points()) {
        let place = u128::from(point.step) * COLUMNS as u128 / u128::from(steps);
        let loss = f64::from(point.loss);
        let slot = usize::try_from(place).ok().and_then(|place| columns.get_mut(place));
        let Some(slot) = slot.filter(|_| loss.is_finite()) else { continue };
        let loss = loss.max(FLOOR);
        let weight = f64::from(point.steps);
        let step = number(point.step) + weight / 2.0;
        let (sum, total, column) =
            slot.get_or_insert((0.0, 0.0, Column { step, mean: loss, least: loss, most: loss }));
        *sum += loss * weight;
        *total += weight;
        column.mean = *sum / *total;
        column.least = column.least.min(loss);
        column.most = column.most.max(loss);
    }
    columns.into_iter().flatten().map(|(.., column)| column).collect()
}

/// From steps and losses to places.
struct Scale {
    steps: f64,
    /// Powers of ten.
    least: i32,
    most: i32,
}

impl Scale {
    #[allow(clippy::cast_possible_truncation, reason = "powers of ten of a float")]
    fn of(steps: u64, columns: &[Column]) -> Self {
        let least = columns.iter().map(|column| column.least).fold(1.0, f64::min);
        let most = columns.iter().map(|column| column.most).fold(1.0, f64::max);
        Self {
            steps: number(steps.max(1)),
            least: least.log10().floor() as i32,
            most: most.log10().ceil() as i32,
        }
    }

    fn x(&self, step: f64) -> f64 {
        LEFT + (WIDTH - LEFT - RIGHT) * (step / self.steps).clamp(0.0, 1.0)
    }

    fn y(&self, loss: f64) -> f64 {
        let (least, most) = (f64::from(self.least), f64::from(self.most.max(self.least + 1)));
        HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * ((loss.log10() - least) / (most - least)).clamp(0.0, 1.0)
    }
}

fn axes(to: &mut String, scale: &Scale) -> fmt::Result {
    let (right, bottom) = (WIDTH - RIGHT, HEIGHT - BOTTOM);
    for power in scale.least..=scale.most.max(scale.least + 1) {
        let y = scale.y(10_f64.powi(power));
        writeln!(to, r#"<line x1="{LEFT}" y1="{y:.1}" x2="{right}" y2="{y:.1}" stroke="{GRID}"/>"#)?;
        let (x, y) = (LEFT - 8.0, y + 5.0);
        writeln!(to, r#"<text x="{x}" y="{y:.1}" text-anchor="end">{}</text>"#, power_of_ten(power))?;
    }
    for tick in ticks(scale.steps) {
        let x = scale.x(tick);
        writeln!(
            to,
            r#"<line x1="{x:.1}" y1="{bottom}" x2="{x:.1}" y2="{}" stroke="{INK}"/>"#,
            bottom + 5.0
        )?;
        writeln!(to, r#"<text x="{x:.1}" y="{}" text-anchor="middle">{tick}</text>"#, bottom + 20.0)?;
    }
    writeln!(to, r#"<line x1="{LEFT}" y1="{bottom}" x2="{right}" y2="{bottom}" stroke="{INK}"/>"#)?;
    writeln!(to, r#"<text x="{right}" y="{}" text-anchor="end">step</text>"#, HEIGHT - 10.0)
}

/// Four to ten round numbers from 0 on.
fn ticks(end: f64) -> impl Iterator<Item = f64> {
    let power = 10_f64.powf((end / 5.0).log10().floor());
    let between = [1.0, 2.0, 5.0, 10.0].map(|factor| factor * power);
    let between = between.into_iter().find(|between| end / between <= 8.0).unwrap_or(end).max(1.0);
    std::iter::successors(Some(0.0), move |tick| Some(tick + between)).take_while(move |tick| *tick <= end)
}

fn power_of_ten(power: i32) -> String {
    match power {
        -6..0 => format!("{:.*}", power.unsigned_abs() as usize, 10_f64.powi(power)),
        0..=6 => format!("{:.0}", 10_f64.powi(power)),
        _ => format!("1e{power}"),
    }
}

fn marks(to: &mut String, scale: &Scale, preemptions: &[Preemption]) -> fmt::Result {
    for (kind, _, color, dash) in KINDS {
        let of_kind: Vec<_> = preemptions.iter().filter(|preemption| preemption.kind == kind).collect();
        let each = of_kind.len().div_ceil(MAX_MARKS).max(1);
        for preemption in of_kind.iter().step_by(each) {
            let x = scale.x(number(preemption.step));
            writeln!(
                to,
                r#"<line x1="{x:.1}" y1="{TOP}" x2="{x:.1}" y2="{}" stroke="{color}" stroke-width="1.5" stroke-dasharray="{dash}"/>"#,
                HEIGHT - BOTTOM
            )?;
        }
    }
    Ok(())
}

fn curve(to: &mut String, scale: &Scale, columns: &[Column]) -> fmt::Result {
    if columns.is_empty() {
        return Ok(());
    }
    let point = |column: &Column, loss: f64| format!("{:.1},{:.1} ", scale.x(column.step), scale.y(loss));
    let above = columns.iter().map(|column| point(column, column.most));
    let below = columns.iter().rev().map(|column| point(column, column.least));
    let band: String = above.chain(below).collect();
    writeln!(to, r#"<polygon points="{}" fill="{BAND}" fill-opacity="0.6"/>"#, band.trim_end())?;
    let mean: String = columns.iter().map(|column| point(column, column.mean)).collect();
    writeln!(
        to,
        r#"<polyline points="{}" fill="none" stroke="{CURVE}" stroke-width="1.5"/>"#,
        mean.trim_end()
    )
}

fn legend(to: &mut String, preemptions: &[Preemption]) -> fmt::Result {
    let mut x = LEFT;
    let curve = ("mean loss, least and most".to_owned(), CURVE, "none");
    let kinds = KINDS.into_iter().filter_map(|(kind, name, color, dash)| {
        let number = preemptions.iter().filter(|preemption| preemption.kind == kind).count();
        (number > 0).then(|| (format!("{name}: {number}"), color, dash))
    });
    for (name, color, dash) in std::iter::once(curve).chain(kinds) {
        writeln!(
            to,
            r#"<line x1="{x}" y1="42" x2="{}" y2="42" stroke="{color}" stroke-width="2" stroke-dasharray="{dash}"/>"#,
            x + 24.0
        )?;
        writeln!(to, r#"<text x="{}" y="46.5" font-size="13">{name}</text>"#, x + 30.0)?;
        x += 50.0 + 6.6 * number(name.len() as u64);
    }
    Ok(())
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[expect(clippy::cast_precision_loss, reason = "for a drawing")]
fn number(of: u64) -> f64 {
    of as f64
}

#[cfg(test)]
mod tests;
