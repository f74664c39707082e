//! Lines, bands, points and error bars between two axes.

use super::frame::Frame;
use super::mark::Mark;
use super::{Plot, clip, crosses, heat, steps};
use crate::Result;
use crate::display::font;
use crate::display::palette::PALETTE;
use crate::display::pen::{Anchor, FAINT, Lettering, Pen, Point, opaque, see_through};
use plotters::backend::DrawingBackend;
use plotters::style::{RGBAColor, WHITE};

/// The colour of the i-th name.
pub(super) fn color(i: usize) -> RGBAColor {
    let [red, green, blue] = PALETTE[i % PALETTE.len()];
    RGBAColor(red, green, blue, 1.0)
}

pub(super) fn draw<DB: DrawingBackend>(plot: &Plot, frame: &Frame, pen: &Pen<DB>) -> Result<()> {
    let names = plot.names();
    let number = |name: &String| names.iter().position(|known| known == name).unwrap_or(0);
    for mark in &plot.marks {
        match mark {
            Mark::Cells { shares, texts } => heat::draw(frame, pen, shares, texts)?,
            Mark::Steps { name, bins } => steps::areas(frame, pen, bins, number(name))?,
            Mark::Band { name, edges } => band(frame, pen, edges, see_through(color(number(name)), 0.2))?,
            _ => {}
        }
    }
    for mark in &plot.marks {
        match mark {
            Mark::Diagonal => diagonal(frame, pen)?,
            Mark::Horizontal { at, label } => horizontal(frame, pen, *at, label)?,
            Mark::Vertical { at, label } => vertical(frame, pen, *at, label)?,
            _ => {}
        }
    }
    for mark in &plot.marks {
        match mark {
            Mark::Line { name, points } => line(frame, pen, points, number(name))?,
            Mark::Steps { name, bins } => steps::outline(frame, pen, bins, number(name))?,
            _ => {}
        }
    }
    // Points last, so that no line hides them.
    for mark in &plot.marks {
        match mark {
            Mark::Crosses { name, points } => crosses::draw(frame, pen, points, number(name))?,
            Mark::Points { name, points } => dots(frame, pen, points, number(name))?,
            Mark::ErrorBars { name, points } => {
                for &point in points {
                    error_bar(frame, pen, point, number(name))?;
                }
            }
            _ => {}
        }
    }
    Ok(())
}

fn line<DB: DrawingBackend>(frame: &Frame, pen: &Pen<DB>, points: &[(f64, f64)], number: usize) -> Result<()> {
    let places: Vec<Point> = points.iter().map(|&(x, y)| (frame.x.at(x), frame.y.at(y))).collect();
    for part in clip::line(&places) {
        let path = thinned(part.into_iter().map(|p| frame.place(p)));
        stroke(frame, pen, &path, number)?;
    }
    Ok(())
}

/// Solid, dashed and dotted lines in turn, and others when the colours come round again: who sees no colour sees this.
pub(super) fn stroke<DB: DrawingBackend>(frame: &Frame, pen: &Pen<DB>, path: &[Point], number: usize) -> Result<()> {
    let (ink, width, em) = (color(number), frame.stroke(), frame.font);
    match (number % PALETTE.len() + number / PALETTE.len()) % 4 {
        0 => pen.line(path, ink, width),
        1 => pen.dashes(path, ink, width, [0.75, 0.3].map(|part| part * em)),
        2 => pen.dashes(path, ink, width, [0.22, 0.22].map(|part| part * em)),
        _ => pen.dashes(path, ink, width, [1.6, 0.35].map(|part| part * em)),
    }
}

/// Leaves out points that are nearer than an eye can see to the one before.
fn thinned(path: impl Iterator<Item = Point>) -> Vec<Point> {
    const NEAR: f64 = 0.35;
    let mut kept: Vec<Point> = vec![];
    let mut skipped = None;
    for point in path {
        match kept.last() {
            Some(last) if (point.0 - last.0).abs() < NEAR && (point.1 - last.1).abs() < NEAR => skipped = Some(point),
            _ => {
                kept.push(point);
                skipped = None;
            }
        }
    }
    kept.extend(skipped);
    kept
}

fn band<DB: DrawingBackend>(frame: &Frame, pen: &Pen<DB>, edges: &[(f64, f64, f64)], color: RGBAColor) -> Result<()> {
    let sound: Vec<_> = edges.iter().filter(|(x, low, high)| !(x.is_nan() || low.is_nan() || high.is_nan())).collect();
    let upper = sound.iter().map(|(x, _, high)| (frame.x.at(*x), frame.y.at(*high)));
    let lower = sound.iter().rev().map(|(x, low, _)| (frame.x.at(*x), frame.y.at(*low)));
    let outline = clip::polygon(&upper.chain(lower).collect::<Vec<_>>());
    pen.polygon(&thinned(outline.into_iter().map(|p| frame.place(p))), color)
}

fn diagonal<DB: DrawingBackend>(frame: &Frame, pen: &Pen<DB>) -> Result<()> {
    const STEPS: usize = 200;
    let along = (0..=STEPS).map(|i| i as f64 / STEPS as f64).map(|x| (x, frame.y.at(frame.x.value(x))));
    for part in clip::line(&along.collect::<Vec<_>>()) {
        let path: Vec<Point> = part.into_iter().map(|p| frame.place(p)).collect();
        reference(frame, pen, &path)?;
    }
    Ok(())
}

fn horizontal<DB: DrawingBackend>(frame: &Frame, pen: &Pen<DB>, y: f64, label: &str) -> Result<()> {
    let at = frame.y.at(y);
    if !(0.0..=1.0).contains(&at) {
        return Ok(());
    }
    let (right, height) = frame.place((1.0, at));
    reference(frame, pen, &[(frame.left, height), (right, height)])?;
    let above = height - 0.35 * frame.font;
    let baseline = if above - frame.font > frame.top { above } else { height + 1.05 * frame.font };
    haloed(pen, (right - 0.3 * frame.font, baseline), label, small(frame).anchored(Anchor::Right))
}

fn vertical<DB: DrawingBackend>(frame: &Frame, pen: &Pen<DB>, x: f64, label: &str) -> Result<()> {
    let at = frame.x.at(x);
    if !(0.0..=1.0).contains(&at) {
        return Ok(());
    }
    let (across, top) = frame.place((at, 1.0));
    reference(frame, pen, &[(across, frame.bottom), (across, top)])?;
    let (anchor, side) = if at < 0.6 { (Anchor::Left, 0.4) } else { (Anchor::Right, -0.4) };
    haloed(pen, (across + side * frame.font, top + 0.9 * frame.font), label, small(frame).anchored(anchor))
}

/// The lettering of what stands between the axes.
pub(super) fn small(frame: &Frame) -> Lettering {
    Lettering::new(0.88 * frame.font).colored(FAINT)
}

/// Text on a veil of white, to be read where lines cross it.
pub(super) fn haloed<DB: DrawingBackend>(pen: &Pen<DB>, (x, y): Point, text: &str, look: Lettering) -> Result<()> {
    let (width, em) = (font::width(text, look.size, look.weight)?, look.size);
    let left = match look.anchor {
        Anchor::Left => x,
        Anchor::Middle => x - width / 2.0,
        Anchor::Right => x - width,
    };
    if width > 0.0 {
        let veil = see_through(opaque(WHITE), 0.75);
        pen.rectangle((left - 0.15 * em, y - 0.85 * em), (left + width + 0.15 * em, y + 0.2 * em), veil)?;
    }
    pen.text((x, y), text, look)
}

/// The dashed grey line of a comparison.
pub(super) fn reference<DB: DrawingBackend>(frame: &Frame, pen: &Pen<DB>, path: &[Point]) -> Result<()> {
    pen.dashes(path, FAINT, 0.75 * frame.stroke(), [0.4 * frame.font; 2])
}

/// The points of a series: all rims before all inks, so that a point does not hide its neighbours.
fn dots<DB: DrawingBackend>(frame: &Frame, pen: &Pen<DB>, points: &[(f64, f64)], number: usize) -> Result<()> {
    let places = || points.iter().map(|&(x, y)| (frame.x.at(x), frame.y.at(y))).filter(|at| inside(*at)).map(|at| frame.place(at));
    for at in places() {
        rim(frame, pen, at, number)?;
    }
    places().try_for_each(|at| ink(frame, pen, at, number))
}

fn inside((across, up): Point) -> bool {
    (0.0..=1.0).contains(&across) && (0.0..=1.0).contains(&up)
}

/// A point whose shape, like its colour, tells the series.
pub(super) fn marker<DB: DrawingBackend>(frame: &Frame, pen: &Pen<DB>, at: Point, number: usize) -> Result<()> {
    if inside(at) { shape(frame, pen, frame.place(at), number) } else { Ok(()) }
}

/// The marker of the n-th name, at a place in pixels.
pub(super) fn shape<DB: DrawingBackend>(frame: &Frame, pen: &Pen<DB>, at: Point, number: usize) -> Result<()> {
    rim(frame, pen, at, number)?;
    ink(frame, pen, at, number)
}

/// A white rim keeps overlapping markers of different series apart.
fn rim<DB: DrawingBackend>(frame: &Frame, pen: &Pen<DB>, at: Point, number: usize) -> Result<()> {
    outline(pen, at, 0.37 * frame.font, number, opaque(WHITE))
}

fn ink<DB: DrawingBackend>(frame: &Frame, pen: &Pen<DB>, at: Point, number: usize) -> Result<()> {
    outline(pen, at, 0.3 * frame.font, number, color(number))
}

fn outline<DB: DrawingBackend>(pen: &Pen<DB>, (x, y): Point, r: f64, number: usize, ink: RGBAColor) -> Result<()> {
    match number % 4 {
        0 => pen.disc((x, y), r, ink),
        1 => pen.rectangle((x - 0.88 * r, y - 0.88 * r), (x + 0.88 * r, y + 0.88 * r), ink),
        2 => pen.polygon(&[(x, y - 1.2 * r), (x + 1.1 * r, y + 0.8 * r), (x - 1.1 * r, y + 0.8 * r)], ink),
        _ => pen.polygon(&[(x, y - 1.25 * r), (x + 1.25 * r, y), (x, y + 1.25 * r), (x - 1.25 * r, y)], ink),
    }
}

fn error_bar<DB: DrawingBackend>(frame: &Frame, pen: &Pen<DB>, (x, value, low, high): (f64, f64, f64, f64), number: usize) -> Result<()> {
    let across = frame.x.at(x);
    let (from, to) = (frame.y.at(low).clamp(0.0, 1.0), frame.y.at(high).clamp(0.0, 1.0));
    if (0.0..=1.0).contains(&across) && from < to {
        whisker(frame, pen, frame.place((across, from)), frame.place((across, to)), color(number))?;
    }
    marker(frame, pen, (across, frame.y.at(value)), number)
}

/// An interval: a line with a cap at either end, upright or lying.
pub(super) fn whisker<DB: DrawingBackend>(frame: &Frame, pen: &Pen<DB>, from: Point, to: Point, ink: RGBAColor) -> Result<()> {
    let cap = 0.25 * frame.font;
    let (dx, dy) = if from.0 == to.0 { (cap, 0.0) } else { (0.0, cap) };
    let width = 0.8 * frame.stroke();
    pen.line(&[from, to], ink, width)?;
    for end in [from, to] {
        pen.line(&[(end.0 - dx, end.1 - dy), (end.0 + dx, end.1 + dy)], ink, width)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::display::pen::svg;

    /// The corners of the first polyline in this colour, in tenths of a pixel.
    fn path(drawn: &str, color: &str) -> Vec<(i32, i32)> {
        let line = drawn.split('<').find(|tag| tag.starts_with("polyline") && tag.contains(color)).unwrap();
        let points = line.split("points=\"").nth(1).unwrap().split('"').next().unwrap();
        points.split_whitespace().map(|p| p.split_once(',').map(|(x, y)| (x.parse().unwrap(), y.parse().unwrap())).unwrap()).collect()
    }

    #[test]
    fn zero_is_clipped_to_the_lower_limit_of_log_axes() {
        let roc = [(0.0, 0.0), (0.0, 0.1), (0.1, 0.1), (0.1, 1.0), (1.0, 1.0)];
        let plot = Plot::new("").log_log().x_range(1e-3, 1.0).y_range(1e-3, 1.0).line("attack", &roc);
        let (x, y) = plot.axes().unwrap();
        let frame = Frame::new(&plot, x, y).unwrap();
        let drawn = path(&svg(&plot, (0, 0)).unwrap(), "#0072B2");
        let tenths = |(x, y): Point| ((x * 10.0).round() as i32, (y * 10.0).round() as i32);
        let third = |x: f64, y: f64| tenths(frame.place((x, y)));
        assert_eq!(drawn, [third(0.0, 0.0), third(0.0, 2.0 / 3.0), third(2.0 / 3.0, 2.0 / 3.0), third(2.0 / 3.0, 1.0), third(1.0, 1.0)]);
    }

    #[test]
    fn a_name_has_one_colour_and_one_entry() {
        let plot =
            Plot::new("").band("a", &[(0.0, 0.0, 1.0), (1.0, 1.0, 2.0)]).line("a", &[(0.0, 0.5), (1.0, 1.5)]).points("b", &[(0.5, 1.0)]);
        let drawn = svg(&plot, (0, 0)).unwrap();
        assert_eq!(drawn.matches(">a</text>").count(), 1);
        assert!(drawn.contains("<polygon opacity=\"0.2\" fill=\"#0072B2\"") && drawn.contains("fill=\"#D55E00\""));
    }

    #[test]
    fn lines_differ_without_their_colours_too() {
        // The name of the eighth has the first colour again and must differ in its dashes.
        let plot = |i: usize| {
            let names: Vec<String> = (0..=i).map(|k| k.to_string()).collect();
            let plot = names.iter().fold(Plot::new("").x_range(0.0, 1.0).y_range(0.0, 1.0), |plot, name| plot.line(name, &[]));
            let drawn = svg(&plot.line(&names[i], &[(0.0, 0.5), (1.0, 0.5)]), (0, 0)).unwrap();
            let hex = color(i);
            let hex = format!("#{:02X}{:02X}{:02X}", hex.0, hex.1, hex.2);
            drawn.matches("<polyline").count() + drawn.matches("<line").count() + drawn.matches(&hex).count()
        };
        let solid = plot(0);
        assert!(plot(1) > solid + 10 && plot(2) > plot(1) + 10 && plot(7) > solid + 10);
    }

    #[test]
    fn missing_values_leave_gaps_not_errors() {
        let nan = f64::NAN;
        let plot = Plot::new("")
            .line("a", &[(0.0, 1.0), (1.0, nan), (2.0, 1.0), (3.0, f64::INFINITY)])
            .band("a", &[(0.0, nan, 1.0), (1.0, 0.0, 1.0)])
            .error_bars("b", &[(nan, 1.0, 0.0, 2.0), (1.0, 1.0, nan, nan)])
            .points("c", &[]);
        assert!(svg(&plot, (0, 0)).is_ok());
    }

    #[test]
    fn close_points_are_thinned_but_the_ends_stay() {
        let path = thinned((0..1000).map(|i| (f64::from(i) / 100.0, 0.0)));
        assert!(path.len() < 40);
        assert_eq!((path[0].0, path[path.len() - 1].0), (0.0, 9.99));
    }
}
