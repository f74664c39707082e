//! The rectangle of a plot with everything around it: title, axes with numbers and labels, caption.

use super::axis::{Axis, Tick};
use super::mark::Mark;
use super::{Direction, Plot, key};
use crate::Result;
use crate::display::font::{self, Weight};
use crate::display::pen::{Anchor, FAINT, INK, Lettering, Pen, Point, RULE, see_through};
use plotters::backend::DrawingBackend;

/// Where things are, in CSS pixels.
pub(super) struct Frame {
    pub(super) left: f64,
    pub(super) right: f64,
    pub(super) top: f64,
    pub(super) bottom: f64,
    pub(super) font: f64,
    pub(super) x: Axis,
    pub(super) y: Axis,
    x_ticks: Vec<Tick>,
    y_ticks: Vec<Tick>,
}

impl Frame {
    /// Size of captions and legends.
    pub(super) fn small(plot: &Plot) -> f64 {
        plot.font * 0.88
    }

    /// Width for the names of lying bars.
    pub(super) fn name_room(plot: &Plot) -> f64 {
        0.36 * f64::from(plot.size.0)
    }

    pub(super) fn caption_lines(plot: &Plot) -> Result<Vec<String>> {
        font::wrap(&plot.caption, Self::small(plot), Weight::Regular, f64::from(plot.size.0) - 1.4 * plot.font)
    }

    /// Leaves room for what stands around the axes.
    pub(super) fn new(plot: &Plot, x: Axis, y: Axis) -> Result<Self> {
        let (width, height) = (f64::from(plot.size.0), f64::from(plot.height()?));
        let em = plot.font;
        let headroom = if Self::label_above(plot) { 1.1 * em } else { 0.0 };
        let top = headroom + if plot.title.is_empty() { 0.9 * em } else { (1.0 + 1.3 * Self::title_lines(plot)?.len() as f64) * em };
        let below = if plot.x.label.is_empty() { 0.6 * em } else { 2.0 * em };
        let slots = plot.bars.len();
        let names: Vec<Tick> = plot.bars.iter().enumerate().map(|(i, bar)| Tick { at: slot(i, slots), label: bar.label.clone() }).collect();
        let upright = Self::names_below(plot);
        let lying = slots > 0 && plot.bars_lie == Direction::Across;

        let mut bottom = height - below - 1.7 * em;
        let mut y_ticks = if lying {
            names.iter().map(|tick| Tick { at: 1.0 - tick.at, label: tick.label.clone() }).collect()
        } else if plot.y_names.is_empty() {
            y.ticks(((bottom - top) / (2.6 * em)) as usize)
        } else {
            named_rows(plot, &y)?
        };
        if lying {
            let lines = ((bottom - top) / (1.3 * em * slots as f64)).clamp(1.0, 3.0) as usize;
            for tick in &mut y_ticks {
                tick.label = font::broken(&tick.label, em, Self::name_room(plot), lines)?.join("\n");
            }
        }
        let numbers = font::widest(y_ticks.iter().flat_map(|tick| tick.label.lines()), em, Weight::Regular)?;
        let beside = if plot.y.label.is_empty() { 0.5 * em } else { 1.9 * em };
        let left = beside + numbers + 0.8 * em;

        let mut right = width - 1.2 * em - Self::label_beside(plot)?;
        let mut x_ticks = if !plot.x_names.is_empty() {
            named_columns(plot, &x)
        } else if upright {
            names
        } else {
            x.ticks(((right - left) / (4.2 * em)) as usize)
        };
        if upright {
            let room = (right - left) / x_ticks.len().max(1) as f64 - 0.5 * em;
            let mut most = 1;
            for tick in &mut x_ticks {
                tick.label = font::broken(&tick.label, em, room, 3)?.join("\n");
                most = most.max(tick.label.lines().count());
            }
            bottom -= (most - 1) as f64 * 1.2 * em;
        } else if let Some(last) = x_ticks.last() {
            let half = font::width(&last.label, em, Weight::Regular)? / 2.0;
            right = right.min(width - half - 0.3 * em);
        }
        let frame = Self { left, right, top, bottom, font: em, x, y, x_ticks, y_ticks };
        frame.without_collisions()
    }

    /// Whether names stand where numbers would, below standing bars and the columns of a heat map.
    fn names_below(plot: &Plot) -> bool {
        !plot.x_names.is_empty() || (!plot.bars.is_empty() && plot.bars_lie == Direction::Up)
    }

    /// Lying bars leave no room for the labels of vertical lines between them.
    fn label_above(plot: &Plot) -> bool {
        let labelled = |mark: &Mark| matches!(mark, Mark::Vertical { label, .. } if !label.is_empty());
        !plot.bars.is_empty() && plot.bars_lie == Direction::Across && plot.marks.iter().any(labelled)
    }

    /// Nor do standing bars for those of horizontal lines.
    fn label_beside(plot: &Plot) -> Result<f64> {
        if plot.bars.is_empty() || plot.bars_lie == Direction::Across {
            return Ok(0.0);
        }
        let labels = plot.marks.iter().filter_map(|mark| match mark {
            Mark::Horizontal { label, .. } => Some(label.as_str()),
            _ => None,
        });
        font::widest(labels, Self::small(plot), Weight::Regular)
    }

    /// Takes the numbers off the ticks that stand too close to the one before.
    fn without_collisions(mut self) -> Result<Self> {
        let mut free_from = f64::NEG_INFINITY;
        for i in 0..self.x_ticks.len() {
            let center = self.left + self.x_ticks[i].at * (self.right - self.left);
            let half = font::widest(self.x_ticks[i].label.lines(), self.font, Weight::Regular)? / 2.0;
            if self.x_ticks[i].label.is_empty() {
                continue;
            }
            if center - half < free_from {
                self.x_ticks[i].label.clear();
            } else {
                free_from = center + half + 0.4 * self.font;
            }
        }
        Ok(self)
    }

    fn title_lines(plot: &Plot) -> Result<Vec<String>> {
        font::wrap(&plot.title, 1.1 * plot.font, Weight::Bold, f64::from(plot.size.0) - 2.0 * plot.font)
    }

    /// From places between 0 and 1 to pixels.
    pub(super) fn place(&self, (x, y): Point) -> Point {
        (self.left + x * (self.right - self.left), self.bottom - y * (self.bottom - self.top))
    }

    /// Width of lines and curves.
    pub(super) fn stroke(&self) -> f64 {
        0.14 * self.font
    }

    /// Title, grid, numbers, labels and caption.
    pub(super) fn draw<DB: DrawingBackend>(&self, plot: &Plot, pen: &Pen<DB>) -> Result<()> {
        let em = self.font;
        let look = Lettering::new(em);
        let middle = (self.left + self.right) / 2.0;
        for (i, line) in Self::title_lines(plot)?.iter().enumerate() {
            let baseline = (1.5 + 1.3 * i as f64) * em;
            pen.text((f64::from(plot.size.0) / 2.0, baseline), line, Lettering::new(1.1 * em).bold().anchored(Anchor::Middle))?;
        }
        let hairline = 0.06 * em;
        let lying = !plot.bars.is_empty() && plot.bars_lie == Direction::Across;
        let upright = Self::names_below(plot);
        for tick in &self.x_ticks {
            let (x, _) = self.place((tick.at, 0.0));
            if !upright {
                self.rule(pen, [(x, self.top), (x, self.bottom)], hairline, !tick.label.is_empty())?;
            }
            for (i, line) in tick.label.lines().enumerate() {
                pen.text((x, self.bottom + (1.4 + 1.2 * i as f64) * em), line, look.anchored(Anchor::Middle))?;
            }
        }
        for tick in &self.y_ticks {
            let (_, y) = self.place((0.0, tick.at));
            if !lying {
                self.rule(pen, [(self.left, y), (self.right, y)], hairline, !tick.label.is_empty())?;
            }
            let above = 0.6 * em * (tick.label.lines().count().max(1) - 1) as f64;
            for (i, line) in tick.label.lines().enumerate() {
                let baseline = y + (0.36 + 1.2 * i as f64) * em - above;
                pen.text((self.left - 0.6 * em, baseline), line, look.anchored(Anchor::Right))?;
            }
        }
        let (floor, below) = (f64::from(plot.height()?), key::height(plot)?);
        pen.text((middle, floor - 0.6 * em), &plot.x.label, look.anchored(Anchor::Middle))?;
        pen.upward_text((1.3 * em, (self.top + self.bottom) / 2.0), &plot.y.label, look.anchored(Anchor::Middle))?;
        for (i, line) in Self::caption_lines(plot)?.iter().enumerate() {
            let baseline = floor + below + (0.9 + 1.3 * i as f64) * Self::small(plot);
            pen.text((0.7 * em, baseline), line, Lettering::new(Self::small(plot)).colored(FAINT))?;
        }
        Ok(())
    }

    fn rule<DB: DrawingBackend>(&self, pen: &Pen<DB>, ends: [Point; 2], width: f64, numbered: bool) -> Result<()> {
        let color = if numbered { RULE } else { see_through(RULE, 0.45) };
        pen.line(&ends, color, width)
    }

    /// The two axes, drawn last so that nothing covers them.
    pub(super) fn outline<DB: DrawingBackend>(&self, pen: &Pen<DB>) -> Result<()> {
        let width = 0.085 * self.font;
        pen.line(&[(self.left, self.top), (self.left, self.bottom), (self.right, self.bottom)], INK, width)?;
        let length = |tick: &Tick| if tick.label.is_empty() { 0.18 } else { 0.35 } * self.font;
        for tick in &self.x_ticks {
            let (x, y) = self.place((tick.at, 0.0));
            pen.line(&[(x, y), (x, y + length(tick))], INK, width)?;
        }
        for tick in &self.y_ticks {
            let (x, y) = self.place((0.0, tick.at));
            pen.line(&[(x, y), (x - length(tick), y)], INK, width)?;
        }
        Ok(())
    }
}

/// The names of rows at n, n − 1, .. 1, each of their lines broken where it is too long.
fn named_rows(plot: &Plot, y: &Axis) -> Result<Vec<Tick>> {
    let n = plot.y_names.len();
    let mut ticks = vec![];
    for (i, name) in plot.y_names.iter().enumerate() {
        let mut lines = vec![];
        for line in name.lines() {
            lines.extend(font::broken(line, plot.font, Frame::name_room(plot), 2)?);
        }
        ticks.push(Tick { at: y.at((n - i) as f64), label: lines.join("\n") });
    }
    Ok(ticks)
}

/// The names of columns at 1, 2, .. n.
fn named_columns(plot: &Plot, x: &Axis) -> Vec<Tick> {
    plot.x_names.iter().enumerate().map(|(j, name)| Tick { at: x.at(j as f64 + 1.0), label: name.clone() }).collect()
}

/// The middle of the i-th of n equal parts.
pub(super) fn slot(i: usize, n: usize) -> f64 {
    (i as f64 + 0.5) / n as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(plot: &Plot) -> Frame {
        let (x, y) = plot.axes().unwrap();
        Frame::new(plot, x, y).unwrap()
    }

    #[test]
    fn numbers_do_not_overlap() {
        let long = Plot::new("").x_range(100_000.0, 900_000.0).size(240, 200).line("", &[(2e5, 0.0), (8e5, 1.0)]);
        let frame = frame(&long);
        let mut end = f64::NEG_INFINITY;
        for tick in frame.x_ticks.iter().filter(|tick| !tick.label.is_empty()) {
            let half = font::width(&tick.label, frame.font, Weight::Regular).unwrap() / 2.0;
            let center = frame.place((tick.at, 0.0)).0;
            assert!(center - half > end);
            end = center + half;
        }
        assert!(end <= 240.0);
    }

    #[test]
    fn everything_has_room_inside_the_picture() {
        let plot = Plot::new("A title that is long enough to need more than one line of this small picture")
            .x_label("x")
            .y_label("y")
            .size(240, 200)
            .line("", &[(0.0, 1e-9), (1.0, 2e-9)]);
        let frame = frame(&plot);
        assert!(frame.left > 30.0 && frame.right < 240.0 && frame.top > 30.0 && frame.bottom < 200.0 && frame.left < frame.right);
    }

    #[test]
    fn names_of_standing_bars_break_into_lines() {
        let plot = Plot::new("").size(240, 200).columns(&[("random subset", 1.0, 1.0, 1.0), ("distribution matching", 1.0, 1.0, 1.0)]);
        assert!(frame(&plot).x_ticks.iter().all(|tick| tick.label.lines().count() == 2));
    }
}
