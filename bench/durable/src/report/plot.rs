//! `durable.svg`: the speed of one durable commit by the size of the state, in bytes per second and as a share of the
//! raw write. A drawing of the tables, nothing that is not in them.

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use grafos_bench_support::Axis;

use super::judged::{LARGE, SPEED_TARGET};
use crate::Result;
use crate::measure::CommitResult;
use grafos_bench_support::{ByteSize, per_sec};

const WIDTH: u32 = 960;
const CHART_HEIGHT: u32 = 460;
/// What is left free to both sides of the sizes.
const MARGIN_DOUBLINGS: f64 = 0.7;
const FONT: &str = "sans-serif";
const INK: RGBColor = RGBColor(60, 60, 60);
const GRID: RGBColor = RGBColor(225, 225, 225);

/// Told apart by eyes that see no red or no green (Okabe and Ito 2008), in the order of the contenders.
const COLORS: [RGBColor; 6] = [
    RGBColor(0, 114, 178),
    RGBColor(90, 90, 90),
    RGBColor(230, 159, 0),
    RGBColor(204, 121, 167),
    RGBColor(0, 158, 115),
    RGBColor(213, 94, 0),
];

/// One contender: a point per size.
struct Line {
    name: &'static str,
    points: Vec<(f64, f64)>,
}

/// One coordinate system. Sizes and speeds are drawn by their logarithms.
struct Chart {
    caption: &'static str,
    y_name: &'static str,
    y_axis: Axis,
    target: Option<f64>,
    lines: Vec<Line>,
}

/// Both charts, one above the other.
pub(super) fn svg(commits: &[CommitResult]) -> Result<String> {
    let sizes: Vec<ByteSize> = commits.iter().map(|commit| commit.size).collect();
    let mut text = String::new();
    {
        let root = SVGBackend::with_string(&mut text, (WIDTH, 2 * CHART_HEIGHT)).into_drawing_area();
        root.fill(&WHITE)?;
        let (upper, lower) = root.split_vertically(CHART_HEIGHT);
        draw(&upper, &sizes, &speeds(commits))?;
        draw(&lower, &sizes, &shares(commits))?;
        root.present()?;
    }
    Ok(text)
}

fn speeds(commits: &[CommitResult]) -> Chart {
    let lines = lines(commits, |commit, secs| (per_sec(commit.size.bytes(), secs) / 1e6).log10());
    let (lowest, highest) = bounds(&lines);
    let (lowest, highest) = (lowest.floor(), highest.ceil());
    let decades = (-9..=9).map(f64::from).filter(|decade| (lowest..=highest).contains(decade));
    Chart {
        caption: "One durable commit of the whole state: speed",
        y_name: "MB/s (10⁶ bytes a second)",
        y_axis: Axis::new(lowest..highest, decades.map(|decade| (decade, 10_f64.powf(decade).to_string()))),
        target: None,
        lines,
    }
}

fn shares(commits: &[CommitResult]) -> Chart {
    let lines = lines(commits, |commit, secs| commit.raw().median() / secs);
    let top = bounds(&lines).1.max(1.0) + 0.1;
    let fifths = (0..=20).map(|fifth| f64::from(fifth) / 5.0).filter(|share| *share <= top);
    Chart {
        caption: "The same as a share of the raw write's speed (colours as above)",
        y_name: "share of the raw write's speed",
        y_axis: Axis::new(0.0..top, fifths.map(|share| (share, format!("{share:.1}")))),
        target: Some(SPEED_TARGET),
        lines,
    }
}

/// The least and the most of all points.
fn bounds(lines: &[Line]) -> (f64, f64) {
    let values = || lines.iter().flat_map(|line| &line.points).map(|(_, value)| *value);
    (values().fold(f64::INFINITY, f64::min), values().fold(f64::NEG_INFINITY, f64::max))
}

fn lines(commits: &[CommitResult], y: impl Fn(&CommitResult, f64) -> f64) -> Vec<Line> {
    let names = commits.first().map(CommitResult::by_name).unwrap_or_default();
    let points = |nth: usize| {
        let measured =
            commits.iter().filter_map(|commit| Some((commit, commit.by_name().get(nth)?.1.median())));
        measured.map(|(commit, secs)| (x_of(commit.size), y(commit, secs))).collect()
    };
    names.iter().enumerate().map(|(nth, (name, _))| Line { name, points: points(nth) }).collect()
}

/// Doublings.
fn x_of(size: ByteSize) -> f64 {
    per_sec(size.bytes(), 1.0).log2()
}

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Context<'a, 'b> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<Axis, Axis>>;

fn draw(area: &Area<'_>, sizes: &[ByteSize], chart: &Chart) -> Result<()> {
    let (Some(first), Some(last)) = (sizes.first(), sizes.last()) else { return Ok(()) };
    let x_range = x_of(*first) - MARGIN_DOUBLINGS..x_of(*last) + MARGIN_DOUBLINGS;
    let x_axis = Axis::new(x_range, sizes.iter().map(|size| (x_of(*size), size.to_string())));
    let mut context = ChartBuilder::on(area)
        .caption(chart.caption, (FONT, 21).into_font().color(&INK))
        .margin(16)
        .x_label_area_size(52)
        .y_label_area_size(78)
        .build_cartesian_2d(x_axis, chart.y_axis.clone())?;
    context
        .configure_mesh()
        .x_desc("size of the state")
        .y_desc(chart.y_name)
        .axis_desc_style((FONT, 16).into_font().color(&INK))
        .label_style((FONT, 15).into_font().color(&INK))
        .axis_style(INK)
        .bold_line_style(GRID)
        .light_line_style(WHITE)
        .draw()?;
    draw_lines(&mut context, &chart.lines)?;
    match chart.target {
        None => draw_legend(&mut context, &chart.lines),
        Some(target) => draw_target(&mut context, target, x_of(*last)),
    }
}

/// The first line on top of the others, since it is the one to look for.
fn draw_lines(context: &mut Context<'_, '_>, lines: &[Line]) -> Result<()> {
    for (nth, line) in lines.iter().enumerate().rev() {
        context.draw_series(LineSeries::new(line.points.iter().copied(), style(nth)))?;
        let radius = if nth == 0 { 5 } else { 3 };
        context
            .draw_series(line.points.iter().map(|point| Circle::new(*point, radius, style(nth).filled())))?;
    }
    Ok(())
}

fn style(nth: usize) -> ShapeStyle {
    let width = if nth == 0 { 3 } else { 2 };
    COLORS[nth % COLORS.len()].stroke_width(width)
}

/// In the corner that speeds leave free: large states are never slow.
fn draw_legend<'a>(context: &mut Context<'a, 'a>, lines: &[Line]) -> Result<()> {
    for (nth, line) in lines.iter().enumerate() {
        let entry = context.draw_series(std::iter::empty::<Circle<(f64, f64), i32>>())?.label(line.name);
        entry.legend(move |(x, y)| PathElement::new([(x, y), (x + 20, y)], style(nth)));
    }
    context
        .configure_series_labels()
        .position(SeriesLabelPosition::LowerRight)
        .background_style(WHITE)
        .border_style(GRID)
        .label_font((FONT, 15).into_font().color(&INK))
        .draw()?;
    Ok(())
}

/// A dashed line over the sizes that the target is for.
fn draw_target(context: &mut Context<'_, '_>, target: f64, last: f64) -> Result<()> {
    let from = x_of(LARGE) - MARGIN_DOUBLINGS;
    if last < from {
        return Ok(());
    }
    let ends = [(from, target), (last + MARGIN_DOUBLINGS, target)];
    context.draw_series(DashedLineSeries::new(ends, 6, 4, INK.stroke_width(2)))?;
    let text = format!("target of Durable: {target}");
    // Left of the line, level with it.
    let place = (from - 0.1, target + 0.015);
    let style = (FONT, 15).into_font().color(&INK).pos(Pos::new(HPos::Right, VPos::Center));
    context.draw_series([Text::new(text, place, style)])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    #[test]
    fn the_drawing_names_every_contender_both_axes_and_every_size() {
        let drawing = svg(&sample::results().commits).unwrap();
        let expected = [
            "Durable",
            "raw write",
            "redb",
            "SQLite rollback",
            "SQLite WAL",
            "fsync + rename",
            "size of the state",
            "MB/s",
            "share of the raw write",
            "512 B",
            "64 KiB",
            "64 MiB",
            "target of Durable: 0.85",
        ];
        for label in expected {
            assert!(drawing.contains(label), "{label} is missing");
        }
        assert!(drawing.starts_with("<svg") && drawing.trim_end().ends_with("</svg>"));
    }

    #[test]
    fn every_contender_has_a_point_per_size_in_both_charts() {
        let commits = sample::results().commits;
        let circles = svg(&commits).unwrap().matches("<circle").count();
        assert_eq!(circles, 2 * commits.len() * COLORS.len());
    }

    #[test]
    fn a_single_size_and_none_can_be_drawn() {
        assert!(svg(&sample::results().commits[..1]).unwrap().contains("512 B"));
        assert!(svg(&[]).is_ok());
    }
}
