//! The list of names below the axes, where a box between them would hide points.

use super::Plot;
use super::frame::Frame;
use super::legend::{Entry, entries, swatch};
use crate::Result;
use crate::display::font::{self, Weight};
use crate::display::pen::{Lettering, Pen};
use plotters::backend::DrawingBackend;

/// Entries in as many columns as fit, row by row.
struct Key<'a> {
    entries: Vec<Entry<'a>>,
    names: Vec<Vec<String>>,
    columns: usize,
    cell: (f64, f64),
}

impl Plot {
    /// Lists the names below the axes, not between them: for few points of which none may be covered.
    ///
    /// # Example
    /// ```
    /// use freelunch::display::Plot;
    /// assert!(Plot::new("").points("DM", &[(1.0, 2.0)]).legend_below().to_svg()?.contains(">DM</text>"));
    /// # Ok::<(), freelunch::Error>(())
    /// ```
    #[must_use]
    pub fn legend_below(mut self) -> Self {
        self.key_below = true;
        self
    }
}

fn key(plot: &Plot) -> Result<Key<'_>> {
    let (size, width) = (Frame::small(plot), f64::from(plot.size.0) - 1.4 * plot.font);
    let entries = entries(plot);
    let names: Vec<Vec<String>> = entries.iter().map(|e| font::broken(e.name, size, width - 3.5 * size, 2)).collect::<Result<_>>()?;
    let across = font::widest(names.iter().flatten().map(String::as_str), size, Weight::Regular)? + 4.0 * size;
    let lines = names.iter().map(Vec::len).max().unwrap_or(0);
    Ok(Key { entries, names, columns: ((width / across) as usize).max(1), cell: (across, (1.2 * lines as f64 + 0.25) * size) })
}

/// What the list adds to the height.
pub(super) fn height(plot: &Plot) -> Result<f64> {
    if !plot.key_below {
        return Ok(0.0);
    }
    let key = key(plot)?;
    Ok(key.entries.len().div_ceil(key.columns) as f64 * key.cell.1 + 0.4 * plot.font)
}

pub(super) fn draw<DB: DrawingBackend>(plot: &Plot, frame: &Frame, pen: &Pen<DB>) -> Result<()> {
    let (key, size, floor) = (key(plot)?, Frame::small(plot), f64::from(plot.height()?));
    for (i, (entry, lines)) in key.entries.iter().zip(&key.names).enumerate() {
        let left = 0.7 * plot.font + (i % key.columns) as f64 * key.cell.0;
        let middle = floor + (i / key.columns) as f64 * key.cell.1 + 0.7 * size;
        swatch(frame, pen, entry, (left, middle), size)?;
        for (k, line) in lines.iter().enumerate() {
            pen.text((left + 2.5 * size, middle + 0.36 * size + 1.2 * size * k as f64), line, Lettering::new(size))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::display::pen::{Drawing, svg};

    #[test]
    fn names_below_stand_under_the_axes_and_above_the_caption() {
        let plot = (0..7).fold(Plot::new(""), |plot, i| plot.points(&format!("method {i}"), &[(f64::from(i), 1.0)]));
        let (plot, floor) = (plot.clone().caption("n = 1").legend_below(), plot.extent().unwrap().1);
        let drawn = svg(&plot, (0, 0)).unwrap();
        let y = |text: &str| -> f64 {
            let tag = drawn.split("<text").find(|tag| tag.contains(&format!(">{text}</text>"))).unwrap();
            tag.split(" y=\"").nth(1).unwrap().split('"').next().unwrap().parse::<f64>().unwrap() / 10.0
        };
        for i in 0..7 {
            assert!(y(&format!("method {i}")) >= f64::from(floor) - 6.0 && y(&format!("method {i}")) < y("n = 1"));
        }
        assert!(y("n = 1") < f64::from(plot.extent().unwrap().1));
    }
}
