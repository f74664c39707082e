//! Histograms: steps over bins, shaded and hatched so that two of them can lie over each other.

use super::frame::Frame;
use super::mark::Mark;
use super::{Plot, curves};
use crate::Result;
use crate::display::pen::{Pen, Point, see_through};
use plotters::backend::DrawingBackend;

impl Plot {
    /// A histogram: steps over bins `(left, right, height)` from zero, see-through and hatched, so that several can share the axes.
    ///
    /// # Example
    /// ```
    /// use freelunch::display::Plot;
    /// let scores = Plot::new("Scores").histogram("members", &[(0.0, 0.5, 0.2), (0.5, 1.0, 1.8)]).histogram("others", &[(0.0, 1.0, 1.0)]);
    /// assert!(scores.to_svg()?.contains("members"));
    /// # Ok::<(), freelunch::Error>(())
    /// ```
    #[must_use]
    pub fn histogram(self, name: &str, bins: &[(f64, f64, f64)]) -> Self {
        self.with(Mark::Steps { name: name.to_string(), bins: bins.to_vec() })
    }
}

/// Areas and hatches; the outline of all follows with [`outline`], so that none hides another's.
pub(super) fn areas<DB: DrawingBackend>(frame: &Frame, pen: &Pen<DB>, bins: &[(f64, f64, f64)], number: usize) -> Result<()> {
    for (from, to) in bins.iter().filter_map(|bin| corners(frame, bin)) {
        shaded(frame, pen, from, to, number)?;
    }
    Ok(())
}

/// A rectangle in the look of the n-th name, also for the legend.
pub(super) fn shaded<DB: DrawingBackend>(frame: &Frame, pen: &Pen<DB>, from: Point, to: Point, number: usize) -> Result<()> {
    pen.rectangle(from, to, see_through(curves::color(number), 0.22))?;
    let lean = if number.is_multiple_of(2) { 1.0 } else { -1.0 };
    for (a, b) in hatch(from, to, 0.55 * frame.font, lean) {
        pen.line(&[a, b], see_through(curves::color(number), 0.6), 0.055 * frame.font)?;
    }
    Ok(())
}

pub(super) fn outline<DB: DrawingBackend>(frame: &Frame, pen: &Pen<DB>, bins: &[(f64, f64, f64)], number: usize) -> Result<()> {
    let mut path: Vec<Point> = vec![];
    let floor = frame.place((0.0, frame.y.at(0.0).clamp(0.0, 1.0))).1;
    for (from, to) in bins.iter().filter_map(|bin| corners(frame, bin)) {
        match path.last().copied() {
            // Bins that touch share their edge.
            Some(last) if (last.0 - from.0).abs() < 0.5 => {
                path.pop();
            }
            Some(_) => {
                curves::stroke(frame, pen, &path, number)?;
                path = vec![(from.0, floor)];
            }
            None => path.push((from.0, floor)),
        }
        path.extend([(from.0, to.1), (to.0, to.1), (to.0, floor)]);
    }
    curves::stroke(frame, pen, &path, number)
}

/// The lower left and the upper right corner of a bin in pixels, of what lies between the axes.
fn corners(frame: &Frame, &(left, right, height): &(f64, f64, f64)) -> Option<(Point, Point)> {
    if !(left < right && height.is_finite() && height != 0.0) {
        return None;
    }
    let [from, to] = [left, right].map(|x| frame.x.at(x).clamp(0.0, 1.0));
    let [low, high] = [0.0, height].map(|y| frame.y.at(y).clamp(0.0, 1.0));
    (from < to).then(|| (frame.place((from, low)), frame.place((to, high))))
}

/// Slanted lines across a rectangle, on one grid for the whole picture so that those of neighbours meet.
fn hatch(from: Point, to: Point, spacing: f64, lean: f64) -> Vec<(Point, Point)> {
    let (left, right) = (from.0.min(to.0), from.0.max(to.0));
    let (top, bottom) = (from.1.min(to.1), from.1.max(to.1));
    // Lines on which y = lean * x + c.
    let ends = [bottom - lean * left, bottom - lean * right, top - lean * left, top - lean * right];
    let (low, high) = ends.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), &c| (low.min(c), high.max(c)));
    let step = spacing * std::f64::consts::SQRT_2;
    let mut lines = vec![];
    let mut c = (low / step).ceil() * step;
    while c < high {
        let [a, b] = [(top - c) / lean, (bottom - c) / lean];
        let (start, end) = (a.min(b).max(left), a.max(b).min(right));
        if start < end {
            lines.push(((start, lean * start + c), (end, lean * end + c)));
        }
        c += step;
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::display::pen::svg;

    #[test]
    fn two_histograms_keep_their_colours_hatches_and_names() {
        let plot = Plot::new("").histogram("members", &[(0.0, 1.0, 1.0), (1.0, 2.0, 3.0)]).histogram("others", &[(0.0, 2.0, 2.0)]);
        let drawn = svg(&plot, (0, 0)).unwrap();
        for color in [0, 1].map(curves::color) {
            let hex = format!("#{:02X}{:02X}{:02X}", color.0, color.1, color.2);
            // At least: the areas, several lines of the hatch, the outline, and as much in the legend.
            assert!(drawn.matches(&hex).count() > 10, "{hex}");
        }
        assert!(drawn.contains(">members</text>") && drawn.contains(">others</text>"));
    }

    #[test]
    fn bins_stand_on_zero() {
        let plot = Plot::new("").histogram("a", &[(0.0, 1.0, 4.0)]);
        let (_, y) = plot.axes().unwrap();
        assert!(y.at(0.0) >= 0.0 && y.at(4.0) <= 1.0);
    }

    #[test]
    fn a_hatch_stays_inside_its_rectangle() {
        for lean in [1.0, -1.0] {
            let lines = hatch((10.0, 50.0), (40.0, 20.0), 5.0, lean);
            assert!(lines.len() > 4);
            for (a, b) in lines.into_iter().flat_map(|(a, b)| [a, b]) {
                assert!((10.0 - 1e-9..=40.0 + 1e-9).contains(&a) && (20.0 - 1e-9..=50.0 + 1e-9).contains(&b));
            }
        }
    }

    #[test]
    fn bins_without_width_or_height_are_left_out() {
        let nan = f64::NAN;
        assert!(svg(&Plot::new("").histogram("a", &[(1.0, 1.0, 2.0), (0.0, 1.0, nan), (nan, 1.0, 1.0)]), (0, 0)).is_ok());
    }
}
