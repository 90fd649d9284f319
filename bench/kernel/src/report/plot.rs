//! `kernel.svg`: the speed of each operation, ours and theirs, and of durable saves by compression. A drawing of the
//! tables, nothing that is not in them.

use grafos_bench_support::{Axis, ByteSize, Samples, per_sec};
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::Result;
use crate::measure::Results;
use crate::state::Data;

const WIDTH: u32 = 960;
const CHART_HEIGHT: u32 = 430;
const FONT: &str = "sans-serif";
const INK: RGBColor = RGBColor(60, 60, 60);
const GRID: RGBColor = RGBColor(225, 225, 225);
/// Ours and theirs, told apart by eyes that see no red or no green (Okabe and Ito 2008).
const CONTENDERS: [RGBColor; 2] = [RGBColor(0, 114, 178), RGBColor(230, 159, 0)];
/// Sorts of data, as above.
const DATA: [RGBColor; 2] = [RGBColor(0, 158, 115), RGBColor(204, 121, 167)];
/// Of the room of a group, to each side of its middle.
const BAR_WIDTH: f64 = 0.3;

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// Two bars, 10⁹ bytes a second, and what was promised of the first.
struct Group {
    name: String,
    rates: [f64; 2],
    target: Option<f64>,
}

struct Chart {
    caption: String,
    series: [&'static str; 2],
    colors: [RGBColor; 2],
    groups: Vec<Group>,
}

/// Both charts, one above the other.
pub(super) fn svg(results: &Results) -> Result<String> {
    let mut text = String::new();
    {
        let root = SVGBackend::with_string(&mut text, (WIDTH, 2 * CHART_HEIGHT)).into_drawing_area();
        root.fill(&WHITE)?;
        let (upper, lower) = root.split_vertically(CHART_HEIGHT);
        draw(&upper, &beside_theirs(results))?;
        draw(&lower, &compressed(results))?;
        root.present()?;
    }
    Ok(text)
}

fn speed(samples: &Samples, size: ByteSize) -> f64 {
    per_sec(size.bytes(), samples.median()) / 1e9
}

fn beside_theirs(results: &Results) -> Chart {
    let size = results.size;
    let groups = results.operations.iter().map(|result| {
        let theirs = speed(&result.theirs, size);
        Group {
            name: result.operation.name().to_owned(),
            rates: [speed(&result.ours, size), theirs],
            target: result.operation.target().map(|times| times * theirs),
        }
    });
    Chart {
        caption: format!("A kernel checkpoint of {size}; dashed: the target"),
        series: ["ours, saves durable", "ringkernel-core 1.1.0, saves not durable"],
        colors: CONTENDERS,
        groups: groups.collect(),
    }
}

fn compressed(results: &Results) -> Chart {
    let of = |data: Data| results.compressions.iter().filter(move |result| result.data == data);
    let speed_of = |data: Data, name: &str| {
        let found = of(data).find(|result| result.compression.to_string() == name);
        found.map_or(0.0, |result| speed(&result.save, results.size))
    };
    let groups = ["none", "lz4", "zstd"].map(|name| Group {
        name: name.to_owned(),
        rates: Data::ALL.map(|data| speed_of(data, name)),
        target: None,
    });
    Chart {
        caption: "A durable save by compression".to_owned(),
        series: Data::ALL.map(Data::name),
        colors: DATA,
        groups: groups.into(),
    }
}

/// The middle of each group's room.
fn places(groups: &[Group]) -> impl Iterator<Item = (f64, &Group)> {
    std::iter::successors(Some(0.5), |place| Some(place + 1.0)).zip(groups)
}

fn rate_axis(groups: &[Group]) -> Axis {
    let rates = groups.iter().flat_map(|group| group.rates.into_iter().chain(group.target));
    let top = rates.fold(0.1, f64::max) * 1.15;
    let step =
        [0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0].into_iter().find(|step| top / step <= 10.0).unwrap_or(50.0);
    let ticks = (0..=10).map(|tick| f64::from(tick) * step).filter(|rate| *rate <= top);
    Axis::new(0.0..top, ticks.map(|rate| (rate, format!("{rate:.1}"))))
}

fn draw(area: &Area<'_>, chart: &Chart) -> Result<()> {
    let end = places(&chart.groups).last().map_or(1.0, |(place, _)| place + 0.5);
    let names = Axis::new(0.0..end, places(&chart.groups).map(|(place, group)| (place, group.name.clone())));
    let mut context = ChartBuilder::on(area)
        .caption(&chart.caption, (FONT, 21).into_font().color(&INK))
        .margin(16)
        .x_label_area_size(40)
        .y_label_area_size(78)
        .build_cartesian_2d(names, rate_axis(&chart.groups))?;
    context
        .configure_mesh()
        .disable_x_mesh()
        .y_desc("10⁹ bytes a second")
        .axis_desc_style((FONT, 16).into_font().color(&INK))
        .label_style((FONT, 15).into_font().color(&INK))
        .axis_style(INK)
        .bold_line_style(GRID)
        .light_line_style(WHITE)
        .draw()?;
    for ((nth, name), width) in chart.series.into_iter().enumerate().zip([-BAR_WIDTH, BAR_WIDTH]) {
        let color = chart.colors[nth];
        let bars = places(&chart.groups).map(|(place, group)| {
            Rectangle::new([(place, 0.0), (place + width, group.rates[nth])], color.filled())
        });
        let entry = context.draw_series(bars)?.label(name);
        entry.legend(move |(x, y)| Rectangle::new([(x, y - 6), (x + 20, y + 6)], color.filled()));
        let style = (FONT, 14).into_font().color(&INK).pos(Pos::new(HPos::Center, VPos::Bottom));
        let labels = places(&chart.groups).map(|(place, group)| {
            let rate = group.rates[nth];
            Text::new(format!("{rate:.2}"), (place + width / 2.0, rate), style.clone())
        });
        context.draw_series(labels)?;
    }
    for (place, group) in places(&chart.groups) {
        if let Some(target) = group.target {
            let ends = [(place - BAR_WIDTH - 0.1, target), (place + 0.05, target)];
            context.draw_series(DashedLineSeries::new(ends, 6, 4, INK.stroke_width(2)))?;
        }
    }
    context
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperRight)
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
    fn the_drawing_names_every_operation_and_compression_and_both_contenders() {
        let drawing = svg(&sample::results()).unwrap();
        let labels =
            ["encode", "decode", "digest", "save", "load", "ringkernel-core", "ours", "lz4", "zstd", "3.36"];
        for label in labels {
            assert!(drawing.contains(label), "{label} is missing");
        }
        assert!(drawing.starts_with("<svg") && drawing.trim_end().ends_with("</svg>"));
    }

    #[test]
    fn nothing_at_all_can_be_drawn() {
        let mut results = sample::results();
        results.operations.clear();
        results.compressions.clear();
        assert!(svg(&results).is_ok());
    }
}
