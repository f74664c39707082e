//! Lays a figure out for where it will stand: every part at its share of the width, letters at the size of the place.

use super::{Content, Figure, layout};
use crate::Result;
use crate::display::preset::{POINT, families};
use crate::display::{Plot, Preset};
use std::sync::Arc;

/// What was asked for a figure, and what follows from what was asked for the figures around it.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Look {
    pub(super) preset: Option<Preset>,
    family: Option<String>,
    points: Option<f64>,
    /// The width that is left.
    pub(super) room: Option<u32>,
}

impl Look {
    /// The letters of the body, in CSS pixels.
    pub(super) fn em(&self) -> f64 {
        self.points.map_or(self.preset.map_or(12.0, Preset::em), |points| points * POINT)
    }

    /// Whether letters have a size that was asked for.
    fn is_lettered(&self) -> bool {
        self.points.is_some() || self.preset.is_some()
    }

    /// The list of families, if one was asked for.
    pub(super) fn families(&self) -> Option<String> {
        self.family.as_deref().map(families)
    }

    /// The size of letters in points, if one was asked for.
    pub(super) fn points(&self) -> Option<f64> {
        self.points
    }

    /// The width of the place decides over that of a part, the letters of a part over those of the place.
    fn within(&self, outer: &Self) -> Self {
        let preset = outer.preset.or(self.preset);
        Self {
            preset,
            family: self.family.clone().or_else(|| outer.family.clone()),
            points: self.points.or(outer.points),
            room: outer.room.or(self.room).or_else(|| preset.map(Preset::room)),
        }
    }
}

impl Figure {
    /// The same figure laid out anew for a notebook, a paper or a slide: plots, grids and tables get their share of the width, rows that do
    /// not fit become several, tables that are too wide break their cells or move columns below. Letters have the size of the place and
    /// are not scaled: at least 7 points in print.
    ///
    /// # Example
    /// ```
    /// use freelunch::Dataset;
    /// use freelunch::display::{Figure, Plot, Preset, Show};
    /// let loss = Plot::new("Loss").x_label("step").y_label("loss").line("DM", &[(0.0, 2.3), (100.0, 0.4)]);
    /// let both = Figure::row([Dataset::toy().figure(), loss.figure()]).sized(Preset::Column).with_font("Times New Roman", 8.0);
    /// assert!(both.to_svg()?.contains("Times New Roman, Times, Liberation Serif, serif"));
    /// # Ok::<(), freelunch::Error>(())
    /// ```
    #[must_use]
    pub fn sized(mut self, preset: Preset) -> Self {
        self.look.preset = Some(preset);
        self
    }

    /// The same figure in letters of a family and a size in points (1/72 inch); captions and legends are an eighth smaller. SVG and HTML
    /// name the family, with others that stand in where it is not installed ("serif" is such a name, too); PNG always has the bundled
    /// DejaVu Sans. A size outside 4 to 72 points is moved to the nearer end.
    #[must_use]
    pub fn with_font(mut self, family: &str, points: f64) -> Self {
        self.look.family = Some(family.to_string());
        self.look.points = Some(if points.is_nan() { 9.0 } else { points.clamp(4.0, 72.0) });
        self
    }

    /// The figure with every part at its final size.
    pub(super) fn laid_out(&self) -> Self {
        self.fitted(&Look::default())
    }

    fn fitted(&self, outer: &Look) -> Self {
        let look = self.look.within(outer);
        let em = look.em();
        let content = match (&self.content, look.room) {
            (Content::Plot(plot), Some(room)) => Content::Plot(Arc::new(fitted_plot(plot, room, &look))),
            (Content::Grid(grid), Some(room)) => Content::Grid(Arc::new((**grid).clone().fitted(room, em))),
            (Content::Table(table), Some(room)) => Content::Table(Arc::new((**table).clone().fitted(room, em))),
            (Content::Plot(plot), None) if look.is_lettered() => Content::Plot(Arc::new((**plot).clone().lettered(em))),
            (Content::Grid(grid), None) if look.is_lettered() => Content::Grid(Arc::new((**grid).clone().lettered(em))),
            (Content::Table(table), None) if look.is_lettered() => Content::Table(Arc::new((**table).clone().lettered(em))),
            (Content::Moving(film), Some(room)) => Content::Moving(Arc::new(film.each(|grid| grid.fitted(room, em)))),
            (Content::Moving(film), None) if look.is_lettered() => Content::Moving(Arc::new(film.each(|grid| grid.lettered(em)))),
            (Content::Row(parts), Some(room)) => in_rows(parts, room, &look),
            (Content::Row(parts), None) => Content::Row(parts.iter().map(|part| part.fitted(&look)).collect()),
            (Content::Column(parts), _) => Content::Column(parts.iter().map(|part| part.fitted(&look)).collect()),
            (other, _) => other.clone(),
        };
        Self { content, title: self.title.clone(), caption: self.caption.clone(), look }
    }

    /// The width below which this figure would be hard to read.
    fn least_width(&self, em: f64) -> Result<f64> {
        let widest = |parts: &[Self]| parts.iter().try_fold(0.0f64, |most, part| Ok(most.max(part.least_width(em)?)));
        match &self.content {
            Content::Plot(_) => Ok(17.0 * em),
            Content::Grid(grid) => grid.least_width(em),
            Content::Moving(film) => film.still()?.least_width(em),
            Content::Table(table) => (**table).clone().lettered(em).wanted_width(),
            Content::Text(_) | Content::Failure(_) => Ok(15.0 * em),
            // A row inside can become a column.
            Content::Row(parts) | Content::Column(parts) => widest(parts),
        }
    }
}

fn fitted_plot(plot: &Plot, room: u32, look: &Look) -> Plot {
    let (width, height) = look.preset.map_or((room, room), Preset::plot);
    let most = if look.preset == Some(Preset::Notebook) { 2 * height } else { height.max(room.min(2 * width) * 3 / 4).min(height * 2) };
    let most = if look.preset == Some(Preset::TwoColumns) { height } else { most };
    plot.clone().fitted(room.min(width), most, look.em())
}

/// Parts side by side, as many in a row as can be read there.
fn in_rows(parts: &[Figure], room: u32, look: &Look) -> Content {
    let share = |n: usize| (room.saturating_sub((n as u32 - 1) * layout::GAP) / n as u32).max(1);
    let least: Vec<f64> = parts.iter().map(|part| part.least_width(look.em()).unwrap_or(0.0)).collect();
    let fits = |n: &usize| least.iter().all(|&least| least <= f64::from(share(*n)));
    let most = (1..=parts.len()).rev().find(fits).unwrap_or(1);
    let at = |n: usize| Look { room: Some(share(n)), ..look.clone() };
    let row = |parts: &[Figure]| -> Vec<Figure> { parts.iter().map(|part| part.fitted(&at(most))).collect() };
    if most >= parts.len() {
        return Content::Row(row(parts));
    }
    if most == 1 {
        return Content::Column(row(parts));
    }
    let rows = parts.chunks(most).map(|chunk| Figure { look: look.clone(), ..Figure::of(Content::Row(row(chunk))) });
    Content::Column(rows.collect())
}

#[cfg(test)]
mod tests {
    use super::super::layout::size;
    use crate::display::{Cell, Figure, ImageGrid, Plot, Preset, Show, Table};

    fn plot(i: usize) -> Figure {
        Plot::new(&format!("Plot {i}")).x_label("x").y_label("y").line("a", &[(0.0, 0.0), (1.0, 1.0)]).caption("n = 2, seed 7").figure()
    }

    fn grid() -> Figure {
        let images = vec![vec![0.5; 784]; 10];
        ImageGrid::new((0..4).map(|i| (format!("class {i}"), images.clone())).collect(), [1, 28, 28]).figure()
    }

    fn table() -> Figure {
        let headers = ["trained on", "accuracy %", "ε ≤", "ε ≥", "attack", "AUC", "TPR % at FPR ≤ 1 %", "TPR % at FPR ≤ 0.1 %", "runs"];
        let row = ["distribution matching", "83.8 [82.6, 84.9]", "∞", "2.69", "likelihood ratio", "0.51 [0.48, 0.54]", "1.4 [0.7, 2.4]"];
        Table::new(headers).row(row.map(Cell::from).into_iter().chain(["0.1 [0.0, 0.7]".into(), 16.into()])).figure()
    }

    fn everything() -> Figure {
        let rows = Figure::row([plot(1), plot(2), plot(3)]);
        Figure::column([table(), rows, Figure::row([grid(), plot(4)]), Figure::text("words ".repeat(40))])
            .titled("A title that is long enough to need more than one line in a paper's narrow column")
            .captioned("seed 7, intervals of 95 %, and more words so that the caption has to break")
    }

    #[test]
    fn a_figure_is_no_wider_than_its_preset() {
        for preset in [Preset::Notebook, Preset::Column, Preset::TwoColumns, Preset::Slide] {
            let (width, _) = size(&everything().sized(preset)).unwrap();
            assert!(width <= preset.room() && width > preset.room() * 3 / 4, "{width} in {preset:?}");
        }
    }

    /// The sizes of all letters, in CSS pixels.
    fn letters(svg: &str) -> Vec<f64> {
        svg.split("font-size=\"").skip(1).map(|rest| rest.split('"').next().unwrap().parse::<f64>().unwrap() / 10.0).collect()
    }

    #[test]
    fn no_letter_in_print_is_smaller_than_seven_points() {
        for preset in [Preset::Column, Preset::TwoColumns] {
            let sizes = letters(&everything().sized(preset).to_svg().unwrap());
            // Sizes in the file are rounded to a thousandth of a pixel.
            assert!(sizes.len() > 40 && sizes.iter().all(|&size| size * 0.75 >= 6.99), "{sizes:?}");
        }
    }

    #[test]
    fn rows_break_where_their_parts_would_be_too_narrow() {
        let four = || Figure::row((0..4).map(plot));
        let (_, tall) = size(&four().sized(Preset::Column)).unwrap();
        let (_, low) = size(&four().sized(Preset::TwoColumns)).unwrap();
        let (_, one) = size(&plot(0).sized(Preset::Column)).unwrap();
        assert!(tall > 4 * one && low < 2 * one + 60, "{tall}, {low}, {one}");
    }

    #[test]
    fn letters_can_be_chosen_before_and_after_the_size() {
        let a = everything().sized(Preset::TwoColumns).with_font("serif", 10.0).to_svg().unwrap();
        assert_eq!(a, everything().with_font("serif", 10.0).sized(Preset::TwoColumns).to_svg().unwrap());
        assert!(a.contains("font-family=\"Times New Roman, Times, Liberation Serif, serif\"") && !a.contains("DejaVu"));
        assert!((letters(&a).into_iter().fold(0.0, f64::max) - 10.0 / 0.75 * 14.0 / 12.0).abs() < 0.01);
        let (width, _) = size(&everything().sized(Preset::Column).with_font("serif", 11.0)).unwrap();
        assert!(width <= Preset::Column.room());
    }

    #[test]
    fn without_a_wish_nothing_changes() {
        assert_eq!(plot(1).to_svg().unwrap(), plot(1).laid_out().to_svg().unwrap());
        assert!(plot(1).to_svg().unwrap().contains("DejaVu Sans, Helvetica"));
    }
}
