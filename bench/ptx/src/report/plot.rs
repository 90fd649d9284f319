//! `ptx.svg`: thread-instructions a second, a pair of bars for each kernel. A drawing of the tables, nothing that is not
//! in them.

use grafos_bench_support::Axis;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::Result;
use crate::measure::KernelResult;

const SIZE: (u32, u32) = (960, 460);
const FONT: &str = "sans-serif";
const INK: RGBColor = RGBColor(60, 60, 60);
const GRID: RGBColor = RGBColor(225, 225, 225);
/// Told apart by eyes that see no red or no green (Okabe and Ito 2008).
const ONE_CORE: RGBColor = RGBColor(0, 114, 178);
const TWO_CORES: RGBColor = RGBColor(230, 159, 0);
/// Of the room of a kernel, to each side of its middle.
const BAR_WIDTH: f64 = 0.3;

type Context<'a, 'b> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<Axis, Axis>>;

/// The whole drawing.
pub(super) fn svg(kernels: &[KernelResult]) -> Result<String> {
    let mut text = String::new();
    {
        let root = SVGBackend::with_string(&mut text, SIZE).into_drawing_area();
        root.fill(&WHITE)?;
        let mut context = ChartBuilder::on(&root)
            .caption("Kernels on the virtual machine", (FONT, 21).into_font().color(&INK))
            .margin(16)
            .x_label_area_size(40)
            .y_label_area_size(78)
            .build_cartesian_2d(kernel_axis(kernels), rate_axis(kernels))?;
        context
            .configure_mesh()
            .disable_x_mesh()
            .y_desc("10⁹ thread-instructions a second")
            .axis_desc_style((FONT, 16).into_font().color(&INK))
            .label_style((FONT, 15).into_font().color(&INK))
            .axis_style(INK)
            .bold_line_style(GRID)
            .light_line_style(WHITE)
            .draw()?;
        bars(&mut context, kernels, "one core", ONE_CORE, -BAR_WIDTH, |kernel| kernel.rate(&kernel.one))?;
        bars(&mut context, kernels, "two cores", TWO_CORES, BAR_WIDTH, |kernel| kernel.rate(&kernel.two))?;
        targets(&mut context, kernels)?;
        context
            .configure_series_labels()
            .position(SeriesLabelPosition::UpperRight)
            .background_style(WHITE)
            .border_style(GRID)
            .label_font((FONT, 15).into_font().color(&INK))
            .draw()?;
        root.present()?;
    }
    Ok(text)
}

/// The middle of each kernel's room, with its name.
fn places(kernels: &[KernelResult]) -> impl Iterator<Item = (f64, &KernelResult)> {
    std::iter::successors(Some(0.5), |place| Some(place + 1.0)).zip(kernels)
}

fn kernel_axis(kernels: &[KernelResult]) -> Axis {
    let end = places(kernels).last().map_or(1.0, |(place, _)| place + 0.5);
    Axis::new(0.0..end, places(kernels).map(|(place, kernel)| (place, kernel.name.to_owned())))
}

fn rate_axis(kernels: &[KernelResult]) -> Axis {
    let rates = kernels.iter().flat_map(|kernel| [kernel.rate(&kernel.one), kernel.rate(&kernel.two)]);
    let top = rates.fold(1.0, f64::max) * 1.1;
    let halves = (0..40).map(|half| f64::from(half) / 2.0).filter(|rate| *rate <= top);
    Axis::new(0.0..top, halves.map(|rate| (rate, format!("{rate:.1}"))))
}

fn bars(
    context: &mut Context<'_, '_>,
    kernels: &[KernelResult],
    name: &'static str,
    color: RGBColor,
    width: f64,
    rate: impl Fn(&KernelResult) -> f64,
) -> Result<()> {
    let bar = |(place, kernel)| Rectangle::new([(place, 0.0), (place + width, rate(kernel))], color.filled());
    let entry = context.draw_series(places(kernels).map(bar))?.label(name);
    entry.legend(move |(x, y)| Rectangle::new([(x, y - 6), (x + 20, y + 6)], color.filled()));
    let style = (FONT, 14).into_font().color(&INK).pos(Pos::new(HPos::Center, VPos::Bottom));
    let label = |(place, kernel)| {
        let rate = rate(kernel);
        Text::new(format!("{rate:.2}"), (place + width / 2.0, rate + 0.02), style.clone())
    };
    context.draw_series(places(kernels).map(label))?;
    Ok(())
}

/// A dashed line over the bar of one core.
fn targets(context: &mut Context<'_, '_>, kernels: &[KernelResult]) -> Result<()> {
    for (place, kernel) in places(kernels) {
        let Some(target) = kernel.target else { continue };
        let ends = [(place - BAR_WIDTH - 0.1, target), (place, target)];
        context.draw_series(DashedLineSeries::new(ends, 6, 4, INK.stroke_width(2)))?;
        let style = (FONT, 14).into_font().color(&INK).pos(Pos::new(HPos::Right, VPos::Center));
        let text = format!("≥ {target}");
        context.draw_series([Text::new(text, (place - BAR_WIDTH - 0.02, target + 0.05), style)])?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    #[test]
    fn the_drawing_names_every_kernel_both_counts_of_cores_and_the_targets() {
        let drawing = svg(&sample::results().kernels).unwrap();
        for label in ["axpy", "train_step", "one core", "two cores", "1.25", "2.00", "0.50", "≥ 1"] {
            assert!(drawing.contains(label), "{label} is missing");
        }
        assert!(drawing.starts_with("<svg") && drawing.trim_end().ends_with("</svg>"));
    }

    #[test]
    fn no_kernel_at_all_can_be_drawn() {
        assert!(svg(&[]).is_ok());
    }
}
