//! Points with an interval in each direction.

use super::frame::Frame;
use super::mark::Mark;
use super::{Plot, curves};
use crate::Result;
use crate::display::pen::Pen;
use crate::stats::Estimate;
use plotters::backend::DrawingBackend;

impl Plot {
    /// Points `(x, y)` of which both have an interval.
    ///
    /// # Example
    /// ```
    /// use freelunch::display::Plot;
    /// use freelunch::stats::Estimate;
    /// let (leak, accuracy) = (Estimate { value: 1.0, low: 0.5, high: 2.0 }, Estimate { value: 80.0, low: 78.0, high: 82.0 });
    /// assert!(Plot::new("").crosses("DM", &[(leak, accuracy)]).to_svg()?.contains("DM"));
    /// # Ok::<(), freelunch::Error>(())
    /// ```
    #[must_use]
    pub fn crosses(self, name: &str, points: &[(Estimate, Estimate)]) -> Self {
        self.with(Mark::Crosses { name: name.to_string(), points: points.to_vec() })
    }
}

pub(super) fn draw<DB: DrawingBackend>(frame: &Frame, pen: &Pen<DB>, points: &[(Estimate, Estimate)], number: usize) -> Result<()> {
    let inside = |at: f64| (0.0..=1.0).contains(&at);
    for (x, y) in points {
        let (across, up) = (frame.x.at(x.value), frame.y.at(y.value));
        let reach = |low: f64, high: f64| (low.clamp(0.0, 1.0), high.clamp(0.0, 1.0));
        let (left, right) = reach(frame.x.at(x.low), frame.x.at(x.high));
        let (bottom, top) = reach(frame.y.at(y.low), frame.y.at(y.high));
        if inside(up) && left < right {
            curves::whisker(frame, pen, frame.place((left, up)), frame.place((right, up)), curves::color(number))?;
        }
        if inside(across) && bottom < top {
            curves::whisker(frame, pen, frame.place((across, bottom)), frame.place((across, top)), curves::color(number))?;
        }
        curves::marker(frame, pen, (across, up), number)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::display::pen::svg;

    #[test]
    fn both_intervals_are_inside_the_axes_and_in_the_words() {
        let (x, y) = (Estimate { value: 1.0, low: 0.5, high: 2.0 }, Estimate { value: 80.0, low: 78.0, high: 82.0 });
        let plot = Plot::new("").crosses("DM", &[(x, y)]);
        let (across, up) = plot.axes().unwrap();
        assert!(across.at(0.5) > 0.0 && across.at(2.0) < 1.0 && up.at(78.0) > 0.0 && up.at(82.0) < 1.0);
        // Two whiskers of three strokes each.
        assert!(svg(&plot, (0, 0)).unwrap().matches("<line").count() + svg(&plot, (0, 0)).unwrap().matches("<polyline").count() >= 6);
        assert!(plot.in_words().contains("(1 [0.5, 2], 80 [78, 82])"));
    }
}
