//! `replicated.svg`: saves and loads as a share of their baselines by the size of the state, and steps a second by the
//! number of keys on record. A drawing of the tables, nothing that is not in them.

use plotters::coord::Shift;
use plotters::prelude::*;

use grafos_bench_support::{Axis, per_sec};

use super::judged::SAVE_TARGET;
use crate::Result;
use crate::measure::{KeysResult, PayloadResult, Results};

const WIDTH: u32 = 960;
const CHART_HEIGHT: u32 = 400;
const FONT: &str = "sans-serif";
const INK: RGBColor = RGBColor(60, 60, 60);
const GRID: RGBColor = RGBColor(225, 225, 225);

/// Told apart by eyes that see no red or no green (Okabe and Ito 2008).
const COLORS: [RGBColor; 2] = [RGBColor(0, 114, 178), RGBColor(230, 159, 0)];

/// One curve.
struct Line {
    name: &'static str,
    points: Vec<(f64, f64)>,
}

/// One coordinate system; what is across is drawn by its logarithm.
struct Chart {
    caption: &'static str,
    x_name: &'static str,
    x_ticks: Vec<(f64, String)>,
    y_name: &'static str,
    y_axis: Axis,
    target: Option<(f64, &'static str)>,
    lines: Vec<Line>,
}

/// Both charts, one above the other.
pub(super) fn svg(results: &Results) -> Result<String> {
    let mut text = String::new();
    {
        let root = SVGBackend::with_string(&mut text, (WIDTH, 2 * CHART_HEIGHT)).into_drawing_area();
        root.fill(&WHITE)?;
        let (upper, lower) = root.split_vertically(CHART_HEIGHT);
        draw(&upper, &shares(&results.payloads))?;
        draw(&lower, &steps(&results.keys))?;
        root.present()?;
    }
    Ok(text)
}

fn shares(payloads: &[PayloadResult]) -> Chart {
    // Doublings.
    let x_of = |payload: &PayloadResult| per_sec(payload.size.bytes(), 1.0).log2();
    let line = |name, share: fn(&PayloadResult) -> f64| Line {
        name,
        points: payloads.iter().map(|payload| (x_of(payload), share(payload))).collect(),
    };
    let lines = vec![
        line("save", |payload| payload.save.baseline.over(&payload.save.ours).of_medians),
        line("load", |payload| payload.load.baseline.over(&payload.load.ours).of_medians),
    ];
    let top = highest(&lines).max(1.0) + 0.1;
    let fifths = (0..=50).map(|fifth| f64::from(fifth) / 5.0).filter(|share| *share <= top);
    Chart {
        caption: "A whole state: speed as a share of the baseline's",
        x_name: "size of the state",
        x_ticks: payloads.iter().map(|payload| (x_of(payload), payload.size.to_string())).collect(),
        y_name: "share of the baseline's speed",
        y_axis: Axis::new(0.0..top, fifths.map(|share| (share, format!("{share:.1}")))),
        target: Some((SAVE_TARGET, "target of saves")),
        lines,
    }
}

fn steps(keys: &[KeysResult]) -> Chart {
    #[expect(clippy::cast_precision_loss, reason = "a place in a drawing")]
    let x_of = |result: &KeysResult| (result.keys as f64).log10();
    let points = keys.iter().map(|result| (x_of(result), 1.0 / result.secs.median())).collect();
    let lines = vec![Line { name: "steps a second", points }];
    let top = highest(&lines).max(1.0) * 1.1;
    let step = 10_f64.powf(top.log10().floor()) / 2.0;
    let ticks = (0..=40).map(|nth| f64::from(nth) * step).filter(|tick| *tick <= top);
    Chart {
        caption: "reserve + complete of a new key",
        x_name: "keys on record",
        x_ticks: keys.iter().map(|result| (x_of(result), result.keys.to_string())).collect(),
        y_name: "steps a second",
        y_axis: Axis::new(0.0..top, ticks.map(|tick| (tick, tick.to_string()))),
        target: None,
        lines,
    }
}

fn highest(lines: &[Line]) -> f64 {
    let values = lines.iter().flat_map(|line| &line.points).map(|(_, value)| *value);
    values.fold(0.0, f64::max)
}

fn draw(area: &DrawingArea<SVGBackend<'_>, Shift>, chart: &Chart) -> Result<()> {
    let (Some((first, _)), Some((last, _))) = (chart.x_ticks.first(), chart.x_ticks.last()) else {
        return Ok(());
    };
    let margin = (last - first).max(1.0) / 15.0;
    let x_range = first - margin..last + margin;
    let mut context = ChartBuilder::on(area)
        .caption(chart.caption, (FONT, 21).into_font().color(&INK))
        .margin(16)
        .x_label_area_size(52)
        .y_label_area_size(78)
        .build_cartesian_2d(Axis::new(x_range.clone(), chart.x_ticks.clone()), chart.y_axis.clone())?;
    context
        .configure_mesh()
        .x_desc(chart.x_name)
        .y_desc(chart.y_name)
        .axis_desc_style((FONT, 16).into_font().color(&INK))
        .label_style((FONT, 15).into_font().color(&INK))
        .axis_style(INK)
        .bold_line_style(GRID)
        .light_line_style(WHITE)
        .draw()?;
    for (line, color) in chart.lines.iter().zip(COLORS) {
        let style = color.stroke_width(3);
        let series = context.draw_series(LineSeries::new(line.points.iter().copied(), style))?;
        series.label(line.name).legend(move |(x, y)| PathElement::new([(x, y), (x + 20, y)], style));
        context.draw_series(line.points.iter().map(|point| Circle::new(*point, 4, color.filled())))?;
    }
    if let Some((target, name)) = chart.target {
        let ends = [(x_range.start, target), (x_range.end, target)];
        let series = context.draw_series(DashedLineSeries::new(ends, 6, 4, INK.stroke_width(2)))?;
        series.label(name).legend(|(x, y)| PathElement::new([(x, y), (x + 20, y)], INK.stroke_width(2)));
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    #[test]
    fn the_drawing_names_every_curve_both_axes_and_every_place() {
        let drawing = svg(&sample::results()).unwrap();
        let expected = [
            "save",
            "load",
            "target of saves",
            "size of the state",
            "64 KiB",
            "256 MiB",
            "keys on record",
            "1000000",
            "steps a second",
        ];
        for label in expected {
            assert!(drawing.contains(label), "{label} is missing");
        }
        assert!(drawing.starts_with("<svg") && drawing.trim_end().ends_with("</svg>"));
        assert_eq!(drawing.matches("<circle").count(), 2 * 2 + 2);
    }

    #[test]
    fn a_single_size_and_none_can_be_drawn() {
        let mut results = sample::results();
        results.payloads.truncate(1);
        results.keys.truncate(1);
        assert!(svg(&results).unwrap().contains("64 KiB"));
        assert!(svg(&Results::default()).is_ok());
    }
}
