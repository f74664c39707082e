//! Bars with intervals: lying below each other or standing side by side.

use super::axis::Axis;
use super::frame::{Frame, slot};
use super::mark::{Bar, Mark};
use super::{Direction, Plot, Scale, curves};
use crate::Result;
use crate::display::font;
use crate::display::number::significant;
use crate::display::pen::{Anchor, INK, Pen};
use plotters::backend::DrawingBackend;
use plotters::style::RGBAColor;

/// Share of its slot that a bar fills.
const FILL: f64 = 0.62;

/// The axes of a bar chart: values along one, slots of equal size along the other.
pub(super) fn axes(plot: &Plot) -> Result<(Axis, Axis)> {
    let lying = plot.bars_lie == Direction::Across;
    let (name, side) = if lying { ("x", &plot.x) } else { ("y", &plot.y) };
    let range = match side.range {
        Some(range) => Some(range),
        None => natural_range(plot, side.scale),
    };
    let values = Axis::new(name, side.scale, range, &[])?;
    let slots = Axis::new("slot", Scale::Linear, Some((0.0, 1.0)), &[])?;
    Ok(if lying { (values, slots) } else { (slots, values) })
}

/// Bars stand on zero, and the number at their end needs room.
fn natural_range(plot: &Plot, scale: Scale) -> Option<(f64, f64)> {
    let references = plot.marks.iter().filter_map(|mark| match mark {
        Mark::Horizontal { at, .. } | Mark::Vertical { at, .. } => Some(*at),
        _ => None,
    });
    let ends = plot.bars.iter().flat_map(|bar| [bar.value, bar.low, bar.high]).chain(references);
    let ends: Vec<f64> = ends.filter(|v| v.is_finite()).collect();
    if scale == Scale::Log {
        let least = ends.iter().copied().filter(|v| *v > 0.0).fold(f64::INFINITY, f64::min);
        let most = ends.iter().copied().fold(0.0, f64::max);
        return (least <= most).then_some((least / 3.0, most * 3.0));
    }
    let (low, high) = ends.iter().fold((0.0f64, 0.0f64), |(low, high), &v| (low.min(v), high.max(v)));
    let room = if plot.bars_lie == Direction::Across { 0.16 } else { 0.1 } * (high - low);
    let low = if low < 0.0 { low - room } else { 0.0 };
    (low < high + room).then_some((low, high + room))
}

pub(super) fn draw<DB: DrawingBackend>(plot: &Plot, frame: &Frame, pen: &Pen<DB>) -> Result<()> {
    let n = plot.bars.len();
    for (i, bar) in plot.bars.iter().enumerate() {
        match plot.bars_lie {
            Direction::Across => lying(frame, pen, bar, 1.0 - slot(i, n), FILL / n as f64)?,
            Direction::Up => standing(frame, pen, bar, slot(i, n), FILL / n as f64)?,
        }
    }
    for mark in &plot.marks {
        match mark {
            Mark::Horizontal { at, label } if plot.bars_lie == Direction::Up => level(frame, pen, *at, label)?,
            Mark::Vertical { at, label } if plot.bars_lie == Direction::Across => mast(frame, pen, *at, label)?,
            _ => {}
        }
    }
    for (i, bar) in plot.bars.iter().enumerate() {
        match plot.bars_lie {
            Direction::Across => number_beside(frame, pen, bar, 1.0 - slot(i, n))?,
            Direction::Up => number_above(frame, pen, bar, slot(i, n), 1.0 / n as f64)?,
        }
    }
    Ok(())
}

/// The first colour, mixed with white so that an interval stands out; opaque, so that no grid shines through.
fn filling() -> RGBAColor {
    let RGBAColor(red, green, blue, _) = curves::color(0);
    let pale = |channel: u8| (0.72 * f64::from(channel) + 0.28 * 255.0).round() as u8;
    RGBAColor(pale(red), pale(green), pale(blue), 1.0)
}

/// Between 0 and 1; a bar of infinite height ends at the axis' limit.
fn along(axis: &Axis, value: f64) -> f64 {
    axis.at(value).clamp(0.0, 1.0)
}

fn lying<DB: DrawingBackend>(frame: &Frame, pen: &Pen<DB>, bar: &Bar, at: f64, thick: f64) -> Result<()> {
    let along = |value: f64| along(&frame.x, value);
    if !bar.value.is_nan() {
        let (from, to) = (frame.place((along(0.0), at - thick / 2.0)), frame.place((along(bar.value), at + thick / 2.0)));
        pen.rectangle(from, to, filling())?;
    }
    if bar.has_interval() {
        curves::whisker(frame, pen, frame.place((along(bar.low), at)), frame.place((along(bar.high), at)), INK)?;
    }
    Ok(())
}

fn standing<DB: DrawingBackend>(frame: &Frame, pen: &Pen<DB>, bar: &Bar, at: f64, thick: f64) -> Result<()> {
    let along = |value: f64| along(&frame.y, value);
    if !bar.value.is_nan() {
        let (from, to) = (frame.place((at - thick / 2.0, along(0.0))), frame.place((at + thick / 2.0, along(bar.value))));
        pen.rectangle(from, to, filling())?;
    }
    if bar.has_interval() {
        curves::whisker(frame, pen, frame.place((at, along(bar.low))), frame.place((at, along(bar.high))), INK)?;
    }
    Ok(())
}

/// Where a bar and its interval end.
fn end(axis: &Axis, bar: &Bar) -> f64 {
    let value = if bar.value.is_nan() { 0.0 } else { bar.value };
    along(axis, if bar.has_interval() { value.max(bar.high) } else { value.max(0.0) })
}

fn number(bar: &Bar) -> String {
    if bar.value.is_nan() { "no value".to_string() } else { significant(bar.value, 3) }
}

fn number_beside<DB: DrawingBackend>(frame: &Frame, pen: &Pen<DB>, bar: &Bar, at: f64) -> Result<()> {
    let look = curves::small(frame).colored(INK);
    let text = number(bar);
    let (x, y) = frame.place((end(&frame.x, bar), at));
    let (x, y) = (x + 0.5 * frame.font, y + 0.31 * frame.font);
    // A bar that reaches the limit has its number inside.
    let inside = x + font::width(&text, look.size, look.weight)? > frame.right + frame.font;
    if inside { pen.text((x - frame.font, y), &text, look.anchored(Anchor::Right)) } else { curves::haloed(pen, (x, y), &text, look) }
}

fn number_above<DB: DrawingBackend>(frame: &Frame, pen: &Pen<DB>, bar: &Bar, at: f64, slot: f64) -> Result<()> {
    let look = curves::small(frame).colored(INK).anchored(Anchor::Middle);
    let text = number(bar);
    if font::width(&text, look.size, look.weight)? > slot * (frame.right - frame.left) {
        return Ok(());
    }
    let (x, y) = frame.place((at, end(&frame.y, bar)));
    let above = y - 0.5 * frame.font;
    if above - frame.font < frame.top {
        pen.text((x, y + 1.1 * frame.font), &text, look)
    } else {
        curves::haloed(pen, (x, above), &text, look)
    }
}

/// A horizontal line over standing bars; its label stands to the right of the axes.
fn level<DB: DrawingBackend>(frame: &Frame, pen: &Pen<DB>, value: f64, label: &str) -> Result<()> {
    let at = frame.y.at(value);
    if !(0.0..=1.0).contains(&at) {
        return Ok(());
    }
    let (right, y) = frame.place((1.0, at));
    curves::reference(frame, pen, &[(frame.left, y), (right, y)])?;
    pen.text((right + 0.4 * frame.font, y + 0.31 * frame.font), label, curves::small(frame))
}

/// A vertical line over lying bars; its label stands above the axes.
fn mast<DB: DrawingBackend>(frame: &Frame, pen: &Pen<DB>, value: f64, label: &str) -> Result<()> {
    let at = frame.x.at(value);
    if !(0.0..=1.0).contains(&at) {
        return Ok(());
    }
    let (x, top) = frame.place((at, 1.0));
    curves::reference(frame, pen, &[(x, frame.bottom), (x, top)])?;
    let look = curves::small(frame).anchored(Anchor::Middle);
    let half = font::width(label, look.size, look.weight)? / 2.0;
    let inside = x.min(frame.right + 0.9 * frame.font - half).max(frame.left + half);
    pen.text((inside, top - 0.4 * frame.font), label, look)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::display::pen::svg;

    fn plot() -> Plot {
        Plot::new("").x_label("AUC").bars(&[
            ("DM", 0.6, 0.5, 0.7),
            ("proven", f64::INFINITY, f64::NAN, f64::NAN),
            ("none", f64::NAN, 0.0, 1.0),
        ])
    }

    #[test]
    fn every_bar_shows_its_number() {
        let drawn = svg(&plot(), (0, 0)).unwrap();
        for text in ["DM", "0.6", "proven", "∞", "none", "no value"] {
            assert!(drawn.contains(&format!(">{text}</text>")), "{text}");
        }
    }

    #[test]
    fn bars_stand_on_zero() {
        let (x, _) = axes(&plot()).unwrap();
        assert_eq!(x.at(0.0), 0.0);
        assert!(x.at(0.7) < 0.9);
        let (_, y) = axes(&Plot::new("").columns(&[("a", -1.0, -2.0, 0.0)])).unwrap();
        assert!(y.at(-2.0) > 0.0 && y.at(0.0) <= 1.0);
    }

    #[test]
    fn lines_of_comparison_keep_their_labels() {
        let drawn = svg(&plot().vertical(0.5, "guessing").horizontal(0.5, "not this one"), (0, 0)).unwrap();
        assert!(drawn.contains(">guessing</text>") && !drawn.contains("not this one"));
        let drawn = svg(&Plot::new("").columns(&[("a", 0.4, 0.3, 0.5)]).horizontal(0.1, "guessing"), (0, 0)).unwrap();
        assert!(drawn.contains(">guessing</text>"));
    }

    #[test]
    fn values_on_a_log_axis_may_be_all_equal_or_absent() {
        assert!(svg(&Plot::new("").log_x().bars(&[("a", 8.0, 8.0, 8.0)]), (0, 0)).is_ok());
        assert!(svg(&Plot::new("").log_y().columns(&[("a", 0.0, 0.0, 0.0)]), (0, 0)).is_ok());
    }
}
