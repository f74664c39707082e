//! The list of names, in the corner where it hides least.

use super::frame::Frame;
use super::mark::Mark;
use super::{Plot, curves, key, steps};
use crate::Result;
use crate::display::font::{self, Weight};
use crate::display::pen::{Lettering, Pen, Point, RULE, opaque, see_through};
use plotters::backend::DrawingBackend;
use plotters::style::WHITE;

/// Width of what stands before a name, in em.
const SWATCH: f64 = 1.9;

pub(super) struct Entry<'a> {
    pub(super) name: &'a str,
    number: usize,
    lined: bool,
    dotted: bool,
    filled: bool,
}

pub(super) fn draw<DB: DrawingBackend>(plot: &Plot, frame: &Frame, pen: &Pen<DB>) -> Result<()> {
    let entries = entries(plot);
    if plot.key_below {
        return key::draw(plot, frame, pen);
    }
    if entries.is_empty() {
        return Ok(());
    }
    let size = Frame::small(plot);
    let (across, row, turn, pad) = (SWATCH * size, 1.45 * size, 1.2 * size, 0.5 * size);
    let room = (0.6 * (frame.right - frame.left) - across - 3.0 * pad).max(4.0 * size);
    let names: Vec<Vec<String>> = entries.iter().map(|e| font::broken(e.name, size, room, 2)).collect::<Result<_>>()?;
    let widest = font::widest(names.iter().flatten().map(String::as_str), size, Weight::Regular)?;
    let turns: usize = names.iter().map(|lines| lines.len().saturating_sub(1)).sum();
    let (width, height) = (across + widest + 3.0 * pad, row * entries.len() as f64 + turn * turns as f64 + pad);
    let (left, top) = corner(plot, frame, width, height);
    pen.rectangle((left, top), (left + width, top + height), see_through(opaque(WHITE), 0.85))?;
    let border = [(left, top), (left + width, top), (left + width, top + height), (left, top + height), (left, top)];
    pen.line(&border, RULE, 0.07 * frame.font)?;
    let mut middle = top + pad / 2.0 + 0.5 * row;
    for (entry, lines) in entries.iter().zip(&names) {
        swatch(frame, pen, entry, (left + pad, middle), size)?;
        for (i, line) in lines.iter().enumerate() {
            pen.text((left + 2.0 * pad + across, middle + 0.36 * size + turn * i as f64), line, Lettering::new(size))?;
        }
        middle += row + turn * lines.len().saturating_sub(1) as f64;
    }
    Ok(())
}

/// What a series looks like, `left` of its name.
pub(super) fn swatch<DB: DrawingBackend>(frame: &Frame, pen: &Pen<DB>, entry: &Entry<'_>, (left, middle): Point, size: f64) -> Result<()> {
    let right = left + SWATCH * size;
    if entry.filled {
        let (from, to) = ((left, middle + 0.4 * size), (right, middle - 0.4 * size));
        steps::shaded(frame, pen, from, to, entry.number)?;
        curves::stroke(frame, pen, &[from, (from.0, to.1), to, (to.0, from.1), from], entry.number)?;
    }
    if entry.lined {
        curves::stroke(frame, pen, &[(left, middle), (right, middle)], entry.number)?;
    }
    if entry.dotted {
        curves::shape(frame, pen, ((left + right) / 2.0, middle), entry.number)?;
    }
    Ok(())
}

pub(super) fn entries(plot: &Plot) -> Vec<Entry<'_>> {
    let mut entries = vec![];
    for (number, name) in plot.names().into_iter().enumerate() {
        let marks = || plot.marks.iter().filter(|mark| mark.name() == Some(name));
        let lined = marks().any(|mark| matches!(mark, Mark::Line { .. } | Mark::Band { .. }));
        let dotted = marks().any(|mark| matches!(mark, Mark::Points { .. } | Mark::ErrorBars { .. } | Mark::Crosses { .. }));
        let filled = marks().any(|mark| matches!(mark, Mark::Steps { .. }));
        if !name.is_empty() {
            entries.push(Entry { name, number, lined, dotted, filled });
        }
    }
    entries
}

/// The upper left point of a box of this size, in a corner or by the middle of a side, where it covers least of the data.
fn corner(plot: &Plot, frame: &Frame, width: f64, height: f64) -> Point {
    let inset = 0.6 * frame.font;
    let (left, right) = (frame.left + inset, frame.right - inset - width);
    let (top, bottom) = (frame.top + inset, frame.bottom - inset - height);
    let data = traces(plot, frame);
    let covered = |&(x, y): &Point| {
        let near = 1.5 * inset;
        let inside = |p: &&Point| p.0 > x - near && p.0 < x + width + near && p.1 > y - near && p.1 < y + height + near;
        data.iter().filter(inside).count()
    };
    let (center, middle) = ((left + right) / 2.0, (top + bottom) / 2.0);
    let corners = [(right, bottom), (left, top), (right, top), (left, bottom)];
    let sides = [(right, middle), (center, bottom), (center, top), (left, middle)];
    corners.into_iter().chain(sides).min_by_key(covered).unwrap_or((right, bottom))
}

/// Points every few pixels along everything that is drawn.
fn traces(plot: &Plot, frame: &Frame) -> Vec<Point> {
    let place = |x: f64, y: f64| frame.place((frame.x.at(x).clamp(0.0, 1.0), frame.y.at(y).clamp(0.0, 1.0)));
    let mut traces = vec![];
    for mark in &plot.marks {
        match mark {
            Mark::Line { points, .. } => {
                let path: Vec<Point> = points.iter().map(|&(x, y)| place(x, y)).collect();
                for pair in path.windows(2) {
                    traces.extend(along(pair[0], pair[1]));
                }
            }
            Mark::Band { edges, .. } => traces.extend(edges.iter().flat_map(|&(x, low, high)| [place(x, low), place(x, high)])),
            Mark::Points { points, .. } => traces.extend(points.iter().map(|&(x, y)| place(x, y))),
            Mark::ErrorBars { points, .. } => {
                traces.extend(points.iter().flat_map(|&(x, value, low, high)| [place(x, value), place(x, low), place(x, high)]));
            }
            Mark::Horizontal { at, .. } => traces.extend(along((frame.left, place(0.0, *at).1), (frame.right, place(0.0, *at).1))),
            Mark::Crosses { points, .. } => traces.extend(points.iter().flat_map(|(x, y)| {
                [place(x.value, y.value), place(x.low, y.value), place(x.high, y.value), place(x.value, y.low), place(x.value, y.high)]
            })),
            Mark::Steps { bins, .. } => {
                for &(low, high, top) in bins {
                    let middle = (low + high) / 2.0;
                    traces.extend(along(place(middle, 0.0), place(middle, top)));
                }
            }
            Mark::Cells { .. } | Mark::Diagonal | Mark::Vertical { .. } => {}
        }
    }
    traces
}

fn along(from: Point, to: Point) -> impl Iterator<Item = Point> {
    const STEP: f64 = 5.0;
    let far = (to.0 - from.0).hypot(to.1 - from.1);
    let steps = if far.is_finite() { (far / STEP).ceil().max(1.0) as usize } else { 0 };
    (0..steps).map(move |i| i as f64 / steps as f64).map(move |t| (from.0 + t * (to.0 - from.0), from.1 + t * (to.1 - from.1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn corner_of(points: &[(f64, f64)]) -> (bool, bool) {
        let plot = Plot::new("").x_range(0.0, 1.0).y_range(0.0, 1.0).line("a", points);
        let (x, y) = plot.axes().unwrap();
        let frame = Frame::new(&plot, x, y).unwrap();
        let (left, top) = corner(&plot, &frame, 80.0, 40.0);
        (left > (frame.left + frame.right) / 2.0 - 40.0, top > (frame.top + frame.bottom) / 2.0 - 20.0)
    }

    #[test]
    fn the_legend_keeps_away_from_the_data() {
        assert_eq!(corner_of(&[(0.0, 0.0), (0.0, 1.0), (1.0, 1.0)]), (true, true));
        assert_eq!(corner_of(&[(0.0, 0.0), (1.0, 0.0), (1.0, 1.0)]), (false, false));
        assert_eq!(corner_of(&[(0.0, 1.0), (0.0, 0.0), (1.0, 0.0)]), (true, false));
    }

    #[test]
    fn an_empty_name_has_no_entry() {
        let plot = Plot::new("").line("", &[(0.0, 1.0)]).line("named", &[(0.0, 1.0)]).diagonal();
        let names: Vec<&str> = entries(&plot).iter().map(|entry| entry.name).collect();
        assert_eq!(names, ["named"]);
    }
}
