//! Curves, bands, points and bars with intervals on labelled axes, at the size of a notebook, a paper's column or a slide.

mod axis;
mod bars;
mod clip;
mod crosses;
mod curves;
mod frame;
mod heat;
mod key;
mod legend;
mod mark;
mod size;
mod steps;
mod words;

use super::pen::{Drawing, Pen};
use super::{Figure, Show, show_inline};
use crate::{Error, Result};
use axis::{Axis, Scale};
use frame::Frame;
use mark::{Bar, Mark};
use plotters::backend::DrawingBackend;
use std::fmt;

/// A diagram, built up call by call and drawn when it is shown or saved.
///
/// Everything with the same name has the same colour and one entry in the legend; an empty name has none. Values that are not
/// finite are left out, and zero lies on the lower limit of a log axis.
///
/// # Example
/// ```
/// use freelunch::display::Plot;
/// let roc = Plot::new("Membership inference")
///     .x_label("false positive rate")
///     .y_label("true positive rate")
///     .log_log()
///     .x_range(1e-3, 1.0)
///     .y_range(1e-3, 1.0)
///     .band("LiRA", &[(0.0, 0.0, 0.1), (0.1, 0.2, 0.4), (1.0, 1.0, 1.0)])
///     .line("LiRA", &[(0.0, 0.05), (0.1, 0.3), (1.0, 1.0)])
///     .diagonal()
///     .caption("n = 1000, seed 7, intervals of 95 %");
/// assert!(roc.to_svg()?.contains("LiRA"));
/// # Ok::<(), freelunch::Error>(())
/// ```
#[derive(Clone)]
pub struct Plot {
    title: String,
    caption: String,
    x: Side,
    y: Side,
    marks: Vec<Mark>,
    bars: Vec<Bar>,
    bars_lie: Direction,
    x_names: Vec<String>,
    y_names: Vec<String>,
    key_below: bool,
    size: (u32, u32),
    font: f64,
}

#[derive(Clone)]
struct Side {
    label: String,
    scale: Scale,
    range: Option<(f64, f64)>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    Across,
    Up,
}

impl Plot {
    /// An empty diagram; the title may be empty.
    #[must_use]
    pub fn new(title: &str) -> Self {
        let side = Side { label: String::new(), scale: Scale::Linear, range: None };
        Self {
            title: title.to_string(),
            caption: String::new(),
            x: side.clone(),
            y: side,
            marks: vec![],
            bars: vec![],
            bars_lie: Direction::Across,
            x_names: vec![],
            y_names: vec![],
            key_below: false,
            size: (480, 360),
            font: 12.0,
        }
    }

    /// What the horizontal axis measures.
    #[must_use]
    pub fn x_label(mut self, label: &str) -> Self {
        self.x.label = label.to_string();
        self
    }

    /// What the vertical axis measures.
    #[must_use]
    pub fn y_label(mut self, label: &str) -> Self {
        self.y.label = label.to_string();
        self
    }

    /// A logarithmic horizontal axis.
    #[must_use]
    pub fn log_x(mut self) -> Self {
        self.x.scale = Scale::Log;
        self
    }

    /// A logarithmic vertical axis.
    #[must_use]
    pub fn log_y(mut self) -> Self {
        self.y.scale = Scale::Log;
        self
    }

    /// Two logarithmic axes.
    #[must_use]
    pub fn log_log(self) -> Self {
        self.log_x().log_y()
    }

    /// Limits of the horizontal axis; without them it holds all values. What lies outside is cut off.
    #[must_use]
    pub fn x_range(mut self, low: f64, high: f64) -> Self {
        self.x.range = Some((low, high));
        self
    }

    /// Limits of the vertical axis; without them it holds all values. What lies outside is cut off.
    #[must_use]
    pub fn y_range(mut self, low: f64, high: f64) -> Self {
        self.y.range = Some((low, high));
        self
    }

    /// Names in place of numbers on the vertical axis, from the top: the first of n stands at y = n, the last at y = 1. Names may have
    /// several lines.
    #[must_use]
    pub fn y_names(mut self, names: &[&str]) -> Self {
        self.y_names = names.iter().map(ToString::to_string).collect();
        self.y.range = Some((0.5, names.len().max(1) as f64 + 0.5));
        self
    }

    /// A line through points `(x, y)`; a value that is not a number breaks it.
    #[must_use]
    pub fn line(self, name: &str, points: &[(f64, f64)]) -> Self {
        self.with(Mark::Line { name: name.to_string(), points: points.to_vec() })
    }

    /// A shaded interval `(x, low, high)` around the line of the same name.
    #[must_use]
    pub fn band(self, name: &str, edges: &[(f64, f64, f64)]) -> Self {
        self.with(Mark::Band { name: name.to_string(), edges: edges.to_vec() })
    }

    /// Single points `(x, y)`, with a shape of their own for every name.
    #[must_use]
    pub fn points(self, name: &str, points: &[(f64, f64)]) -> Self {
        self.with(Mark::Points { name: name.to_string(), points: points.to_vec() })
    }

    /// Points with vertical intervals: `(x, value, low, high)`.
    #[must_use]
    pub fn error_bars(self, name: &str, points: &[(f64, f64, f64, f64)]) -> Self {
        self.with(Mark::ErrorBars { name: name.to_string(), points: points.to_vec() })
    }

    /// Horizontal bars with intervals, one below the other: `(label, value, low, high)`. The value axis is the horizontal one.
    #[must_use]
    pub fn bars(self, bars: &[(&str, f64, f64, f64)]) -> Self {
        self.with_bars(bars, Direction::Across)
    }

    /// Vertical bars with intervals, side by side: `(label, value, low, high)`. The value axis is the vertical one.
    #[must_use]
    pub fn columns(self, bars: &[(&str, f64, f64, f64)]) -> Self {
        self.with_bars(bars, Direction::Up)
    }

    /// The dashed line on which x equals y: guessing, in a ROC curve.
    #[must_use]
    pub fn diagonal(self) -> Self {
        self.with(Mark::Diagonal)
    }

    /// A dashed horizontal line with a label.
    #[must_use]
    pub fn horizontal(self, y: f64, label: &str) -> Self {
        self.with(Mark::Horizontal { at: y, label: label.to_string() })
    }

    /// A dashed vertical line with a label.
    #[must_use]
    pub fn vertical(self, x: f64, label: &str) -> Self {
        self.with(Mark::Vertical { at: x, label: label.to_string() })
    }

    /// What a reader must know to trust it: n, seed, kind of interval. Drawn below the axes.
    #[must_use]
    pub fn caption(mut self, caption: &str) -> Self {
        self.caption = caption.to_string();
        self
    }

    /// Width and height in pixels (96 per inch), the caption not counted.
    #[must_use]
    pub fn size(mut self, width: u32, height: u32) -> Self {
        self.size = (width, height);
        self
    }

    /// The diagram as SVG.
    ///
    /// # Errors
    /// [`Error::Config`] for impossible limits, [`Error::Figure`] when drawing fails.
    pub fn to_svg(&self) -> Result<String> {
        self.figure().to_svg()
    }

    /// The diagram as PNG, 300 dots per inch.
    ///
    /// # Errors
    /// [`Error::Config`] for impossible limits, [`Error::Figure`] when drawing fails.
    pub fn to_png(&self) -> Result<Vec<u8>> {
        self.figure().to_png()
    }

    /// Writes the diagram to a file that ends in `.svg`, `.png`, `.html`, `.tex`, `.md` or `.csv`.
    ///
    /// # Errors
    /// As [`Figure::save`].
    pub fn save(&self, path: impl AsRef<std::path::Path>) -> Result<()> {
        self.figure().save(path)
    }

    fn with(mut self, mark: Mark) -> Self {
        self.marks.push(mark);
        self
    }

    fn with_bars(mut self, bars: &[(&str, f64, f64, f64)], direction: Direction) -> Self {
        let bar = |&(label, value, low, high): &(&str, f64, f64, f64)| Bar { label: label.to_string(), value, low, high };
        self.bars.extend(bars.iter().map(bar));
        self.bars_lie = direction;
        self
    }

    /// The names that have a colour, in order of appearance.
    fn names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = vec![];
        for name in self.marks.iter().filter_map(Mark::name) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names
    }

    fn axes(&self) -> Result<(Axis, Axis)> {
        let (width, height) = self.size;
        if !(120..=10_000).contains(&width) || !(90..=10_000).contains(&height) {
            return Err(Error::config(format!("plot size is {width} x {height}"), "expected 120 x 90 to 10000 x 10000 pixels"));
        }
        if self.bars.is_empty() {
            let x = Axis::new("x", self.x.scale, self.x.range, &self.values(|mark| mark.xs()))?;
            let y = Axis::new("y", self.y.scale, self.y.range, &self.values(|mark| mark.ys()))?;
            return Ok((x, y));
        }
        if !self.names().is_empty() {
            return Err(Error::config(format!("{} series beside bars", self.names().len()), "draw two plots and put them in a row"));
        }
        bars::axes(self)
    }

    fn values(&self, of: impl Fn(&Mark) -> Vec<f64>) -> Vec<f64> {
        self.marks.iter().flat_map(of).collect()
    }
}

impl Drawing for Plot {
    fn extent(&self) -> Result<(u32, u32)> {
        let caption = Frame::caption_lines(self)?.len() as f64;
        let extra = if caption > 0.0 { (caption * 1.3 + 0.5) * Frame::small(self) } else { 0.0 };
        Ok((self.size.0, self.height()? + (extra + key::height(self)?).ceil() as u32))
    }

    fn draw<DB: DrawingBackend>(&self, pen: &Pen<DB>) -> Result<()> {
        let (x, y) = self.axes()?;
        let frame = Frame::new(self, x, y)?;
        frame.draw(self, pen)?;
        if self.bars.is_empty() {
            curves::draw(self, &frame, pen)?;
            legend::draw(self, &frame, pen)?;
        } else {
            bars::draw(self, &frame, pen)?;
        }
        frame.outline(pen)
    }
}

impl Show for Plot {
    fn figure(&self) -> Figure {
        Figure::of_plot(self.clone())
    }
}

impl fmt::Debug for Plot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Plot({:?}, {} series, {} bars)", self.title, self.names().len(), self.bars.len())
    }
}

show_inline!(Plot);

#[cfg(test)]
mod tests {
    use super::*;

    fn roc() -> Plot {
        Plot::new("ROC").x_label("FPR").y_label("TPR").log_log().line("LiRA", &[(0.0, 0.0), (0.1, 0.4), (1.0, 1.0)]).diagonal()
    }

    #[test]
    fn a_caption_adds_height_and_is_drawn() {
        let (_, bare) = roc().extent().unwrap();
        let (_, captioned) = roc().caption("n = 1000, seed 7").extent().unwrap();
        assert!(captioned > bare);
        assert!(roc().caption("n = 1000, seed 7").to_svg().unwrap().contains(">n = 1000, seed 7</text>"));
    }

    #[test]
    fn debug_is_one_short_line() {
        assert_eq!(format!("{:?}", roc()), "Plot(\"ROC\", 1 series, 0 bars)");
    }

    #[test]
    fn impossible_plots_are_named() {
        assert!(roc().size(10, 10).to_svg().unwrap_err().to_string().contains("10 x 10"));
        assert!(roc().bars(&[("a", 1.0, 1.0, 1.0)]).to_svg().unwrap_err().to_string().contains("beside bars"));
        assert!(roc().y_range(0.0, 1.0).to_png().unwrap_err().to_string().contains("y_range is 0..1"));
    }

    #[test]
    fn an_empty_plot_still_has_axes() {
        assert!(Plot::new("").to_svg().unwrap().contains(">0.4</text>"));
    }
}
