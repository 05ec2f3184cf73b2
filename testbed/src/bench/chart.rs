//! `bench/results.svg`: wall time by delay, plain and over TLS.

use anyhow::{Result, anyhow};
use plotters::prelude::*;

use super::results::{Contender, Door, Network, Results};

const WIDTH: u32 = 960;
const HEIGHT: u32 = 420;

/// The chart for these results, as SVG.
pub(super) fn draw(results: &Results) -> Result<String> {
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, (WIDTH, HEIGHT)).into_drawing_area();
        area.fill(&WHITE)?;
        let halves = area.split_evenly((1, 2));
        for (half, tls) in halves.iter().zip([false, true]) {
            panel(half, results, tls)?;
        }
        area.present()?;
    }
    Ok(svg + "\n")
}

fn color(contender: Contender) -> RGBColor {
    match contender {
        Contender::Keyturn => RGBColor(0, 90, 181),
        Contender::Usual => RGBColor(220, 50, 32),
        Contender::Floor => RGBColor(120, 170, 220),
        Contender::UsualFloor => RGBColor(240, 160, 140),
    }
}

type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;

fn panel(area: &Area<'_>, results: &Results, tls: bool) -> Result<()> {
    let mut lines = Vec::new();
    for contender in Contender::ALL {
        let mut points = Vec::new();
        for network in Network::over(tls) {
            let wall = results.row(contender, Door::Process, network)?.wall.median;
            points.push((network.delay_ms as f64, wall));
        }
        lines.push((contender, points));
    }
    // Both panels have one scale.
    let all = results.rows.iter().filter(|row| row.door == Door::Process);
    let most = all.map(|row| row.wall.median).fold(0.0, f64::max) * 1.1;
    let over = if tls { "over TLS" } else { "plain HTTP" };
    let mut chart = ChartBuilder::on(area)
        .caption(format!("One rotation, {over}"), ("sans-serif", 18))
        .margin(12)
        .x_label_area_size(40)
        .y_label_area_size(60)
        .build_cartesian_2d(0.0..55.0, 0.0..most)?;
    chart
        .configure_mesh()
        .x_desc("delay added to each answer, ms")
        .y_desc("wall, ms")
        .x_labels(6)
        .x_label_formatter(&|delay| format!("{delay:.0}"))
        .y_label_formatter(&|wall| format!("{wall:.0}"))
        .max_light_lines(0)
        .draw()?;
    for (contender, points) in lines {
        let line = color(contender);
        chart.draw_series(points.iter().map(|point| Circle::new(*point, 3, line.filled())))?;
        chart
            .draw_series(LineSeries::new(points, line.stroke_width(2)))?
            .label(contender.name())
            .legend(move |(x, y)| {
                PathElement::new([(x, y), (x.saturating_add(18), y)], line.stroke_width(2))
            });
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .background_style(WHITE.mix(0.8))
        .draw()
        .map_err(|error| anyhow!("{error}"))
}
