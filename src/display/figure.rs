//! What can be shown: a plot, a grid of images, a table or text, and rows and columns of such; as HTML, SVG, PNG and text.

mod export;
mod fit;
mod layout;
mod page;

use super::animation::Animation;
use super::dots;
use super::pen::Resolution;
use super::{Bundle, ImageGrid, Plot, Show, Table, show_inline};
use crate::{Error, Result};
use fit::Look;
use layout::Units;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

/// A picture that needs no other file: shown in a notebook, saved for a paper, or put beside others.
///
/// # Example
/// ```
/// use freelunch::Dataset;
/// use freelunch::display::{Figure, Plot, Show};
/// let loss = Plot::new("Loss").x_label("step").y_label("loss").line("DM", &[(0.0, 2.3), (100.0, 0.4)]);
/// let both = Figure::row([Dataset::toy().figure(), loss.figure()]).titled("Condensing").captioned("seed 7");
/// assert!(both.to_svg()?.starts_with("<svg"));
/// assert!(both.to_html().contains("<figcaption"));
/// # Ok::<(), freelunch::Error>(())
/// ```
#[derive(Clone)]
pub struct Figure {
    content: Content,
    title: String,
    caption: String,
    look: Look,
}

#[derive(Clone)]
enum Content {
    Plot(Arc<Plot>),
    Grid(Arc<ImageGrid>),
    Table(Arc<Table>),
    Moving(Arc<Animation>),
    Text(String),
    Failure(String),
    Row(Vec<Figure>),
    Column(Vec<Figure>),
}

impl Figure {
    /// Figures side by side.
    #[must_use]
    pub fn row(figures: impl IntoIterator<Item = Self>) -> Self {
        Self::of(Content::Row(figures.into_iter().collect()))
    }

    /// Figures below each other.
    #[must_use]
    pub fn column(figures: impl IntoIterator<Item = Self>) -> Self {
        Self::of(Content::Column(figures.into_iter().collect()))
    }

    /// Values of different types side by side: `Figure::row_of(&[&data, &report])`.
    #[must_use]
    pub fn row_of(values: &[&dyn Show]) -> Self {
        Self::row(values.iter().map(|value| value.figure()))
    }

    /// Values of different types below each other.
    #[must_use]
    pub fn column_of(values: &[&dyn Show]) -> Self {
        Self::column(values.iter().map(|value| value.figure()))
    }

    /// A block of text; its line breaks stay.
    #[must_use]
    pub fn text(text: impl Into<String>) -> Self {
        Self::of(Content::Text(text.into()))
    }

    /// The place of a figure that could not be drawn: says why.
    #[must_use]
    pub fn failed(error: impl ToString) -> Self {
        Self::of(Content::Failure(error.to_string()))
    }

    /// The figure of a fallible computation, or its error text.
    #[must_use]
    pub fn or_failed(figure: Result<Self>) -> Self {
        figure.unwrap_or_else(Self::failed)
    }

    pub(super) fn of_plot(plot: Plot) -> Self {
        Self::of(Content::Plot(Arc::new(plot)))
    }

    pub(super) fn of_grid(grid: ImageGrid) -> Self {
        Self::of(Content::Grid(Arc::new(grid)))
    }

    pub(super) fn of_table(table: Table) -> Self {
        Self::of(Content::Table(Arc::new(table)))
    }

    pub(super) fn of_animation(animation: Animation) -> Self {
        Self::of(Content::Moving(Arc::new(animation)))
    }

    fn of(content: Content) -> Self {
        Self { content, title: String::new(), caption: String::new(), look: Look::default() }
    }

    /// The figure with a title above it.
    #[must_use]
    pub fn titled(mut self, title: &str) -> Self {
        self.title = title.to_string();
        self
    }

    /// The figure with a caption below it.
    #[must_use]
    pub fn captioned(mut self, caption: &str) -> Self {
        self.caption = caption.to_string();
        self
    }

    /// One SVG document; text stays text, images are inside.
    ///
    /// # Errors
    /// [`Error::Config`] for a plot or grid that cannot be, [`Error::Figure`] when drawing fails.
    pub fn to_svg(&self) -> Result<String> {
        layout::svg(&self.laid_out(), Units::Pixels)
    }

    /// One PNG file, 300 dots per inch, which it says to programs that set pages.
    ///
    /// # Errors
    /// [`Error::Config`] for a plot or grid that cannot be, [`Error::Figure`] when drawing fails.
    pub fn to_png(&self) -> Result<Vec<u8>> {
        dots::png(&layout::raster(&self.laid_out(), Resolution::Print)?, Resolution::Print)
    }

    /// HTML that stands alone: inline SVG and images, no script, no style sheet. A part that cannot be drawn is its error text.
    #[must_use]
    pub fn to_html(&self) -> String {
        page::html(&self.laid_out())
    }

    /// Plain text.
    #[must_use]
    pub fn to_text(&self) -> String {
        page::text(self)
    }

    /// Writes the figure to a file that ends in `.svg` (sizes in millimetres, text as text: ready to become a PDF), `.png` (300 dots per
    /// inch) or `.html`, or its tables to one that ends in `.tex`, `.md` or `.csv`.
    ///
    /// # Errors
    /// [`Error::Config`] for another ending or a figure without a table, [`Error::Io`] when the file cannot be written, and what drawing
    /// answers.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or("").to_lowercase();
        let bytes = match ending.as_str() {
            "svg" => layout::svg(&self.laid_out(), Units::Millimetres)?.into_bytes(),
            "png" => self.to_png()?,
            "html" => page::document(&self.laid_out()).into_bytes(),
            "tex" => self.to_latex()?.into_bytes(),
            "md" => self.to_markdown()?.into_bytes(),
            "csv" => self.to_csv()?.into_bytes(),
            _ => {
                return Err(Error::config(
                    format!("figure file {}", path.display()),
                    "expected an ending of .svg, .png, .html, .tex, .md or .csv",
                ));
            }
        };
        std::fs::write(path, bytes).map_err(|e| Error::io("write", path, e, "check that the folder exists and can be written to"))
    }

    /// Text, HTML and PNG of this figure.
    #[must_use]
    pub fn bundle(&self) -> Bundle {
        let image = layout::raster(&self.laid_out(), Resolution::Screen).or_else(|e| layout::raster(&Self::failed(e), Resolution::Screen));
        // Where not even an error text can be drawn, text and HTML still say why.
        let png = image.and_then(|image| dots::png(&image, Resolution::Screen)).unwrap_or_default();
        Bundle { text: self.to_text(), html: self.to_html(), png }
    }

    /// The figure in words, for those who cannot see it.
    fn in_words(&self) -> String {
        let content = match &self.content {
            Content::Plot(plot) => plot.in_words(),
            Content::Grid(grid) => grid.in_words(),
            Content::Table(table) => table.in_words(),
            Content::Moving(animation) => animation.in_words(),
            Content::Text(text) | Content::Failure(text) => text.clone(),
            Content::Row(parts) | Content::Column(parts) => parts.iter().map(Self::in_words).collect::<Vec<_>>().join(" | "),
        };
        if self.title.is_empty() { content } else { format!("{}: {content}", self.title) }
    }
}

impl Show for Figure {
    fn figure(&self) -> Figure {
        self.clone()
    }
}

impl fmt::Debug for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let content = match &self.content {
            Content::Plot(plot) => format!("{plot:?}"),
            Content::Grid(grid) => format!("{grid:?}"),
            Content::Table(table) => format!("{table:?}"),
            Content::Moving(animation) => animation.in_words(),
            Content::Text(text) => format!("text of {} characters", text.chars().count()),
            Content::Failure(text) => format!("failed: {text}"),
            Content::Row(parts) => format!("row of {}", parts.len()),
            Content::Column(parts) => format!("column of {}", parts.len()),
        };
        write!(f, "Figure({content})")
    }
}

show_inline!(Figure);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::display::Cell;

    fn plot() -> Figure {
        Plot::new("A <plot>").x_label("x").y_label("y").line("a & b", &[(0.0, 0.0), (1.0, 1.0)]).caption("n = 2").figure()
    }

    fn everything() -> Figure {
        let grid = ImageGrid::new(vec![("zero".into(), vec![vec![0.5; 4]; 3])], [1, 2, 2]).figure();
        let table = Table::new(["name", "x"]).row(["DM".into(), Cell::from(0.5)]).figure();
        Figure::column([Figure::row([plot(), grid]), table, Figure::text("one\ntwo")]).titled("All").captioned("seed 7")
    }

    #[test]
    fn a_bundle_holds_three_forms_without_scripts() {
        let bundle = everything().bundle();
        assert!(bundle.text.contains("All") && bundle.text.contains("DM") && bundle.text.contains("seed 7"));
        assert!(bundle.html.contains("<img src=\"data:image/svg+xml") && bundle.html.contains("<table") && bundle.html.contains("<img"));
        for forbidden in ["<svg", "<script", "<style", "http://localhost", "<link"] {
            assert!(!bundle.html.contains(forbidden), "{forbidden}");
        }
        let image = image::load_from_memory(&bundle.png).unwrap();
        let (width, height) = layout::size(&everything()).unwrap();
        assert_eq!((image.width(), image.height()), (width, height));
    }

    #[test]
    fn pictures_have_words_for_those_who_cannot_see_them() {
        let html = everything().to_html();
        assert!(html.contains(" alt=\"A &lt;plot&gt;: y against x") && html.contains(" title=\"A &lt;plot&gt;"));
        assert!(html.contains(" alt=\"3 grey images"));
    }

    #[test]
    fn figures_are_the_same_each_time() {
        assert_eq!(everything().bundle(), everything().bundle());
        assert_eq!(everything().to_svg().unwrap(), everything().to_svg().unwrap());
    }

    #[test]
    fn print_has_300_dots_per_inch() {
        let image = image::load_from_memory(&plot().to_png().unwrap()).unwrap();
        let (width, height) = layout::size(&plot()).unwrap();
        let dots = |pixels: u32| (f64::from(pixels) * 300.0 / 96.0).round() as u32;
        assert_eq!((image.width(), image.height()), (dots(width), dots(height)));
    }

    #[test]
    fn a_failure_is_shown_as_its_text() {
        let broken = Plot::new("").log_x().x_range(0.0, 1.0);
        assert!(broken.to_svg().is_err());
        let bundle = Figure::row([broken.figure(), plot()]).bundle();
        assert!(bundle.html.contains("x_range is 0..1") && bundle.html.contains("A &lt;plot&gt;"));
        assert!(!bundle.png.is_empty());
        assert!(Figure::or_failed(Err(Error::figure("it", "why"))).to_text().contains("cannot draw it: why"));
    }

    #[test]
    fn files_are_written_by_their_ending() {
        let folder = std::env::temp_dir().join(format!("freelunch-figure-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        for ending in ["svg", "png", "html", "tex", "md", "csv"] {
            everything().save(folder.join(format!("figure.{ending}"))).unwrap();
        }
        assert!(std::fs::read_to_string(folder.join("figure.html")).unwrap().starts_with("<!DOCTYPE html>"));
        assert!(std::fs::read_to_string(folder.join("figure.tex")).unwrap().contains("\\toprule"));
        assert!(everything().save(folder.join("figure.pdf")).unwrap_err().to_string().contains(".svg, .png, .html, .tex, .md or .csv"));
        assert!(matches!(everything().save(folder.join("none/figure.svg")), Err(Error::Io { .. })));
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_saved_svg_has_the_millimetres_of_a_paper_and_nothing_from_outside() {
        let place = std::env::temp_dir().join(format!("freelunch-millimetres-{}.svg", std::process::id()));
        everything().sized(crate::display::Preset::Column).save(&place).unwrap();
        let svg = std::fs::read_to_string(&place).unwrap();
        std::fs::remove_file(place).unwrap();
        assert!(svg.contains("width=\"85mm\"") && svg.contains("viewBox=\"0 0 321 ") && svg.contains("</text>"), "{}", &svg[..200]);
        for forbidden in ["<script", "@import", "url(", "src=", "href=\"http", "<foreignObject"] {
            assert!(!svg.contains(forbidden), "{forbidden}");
        }
    }

    #[test]
    fn debug_is_one_short_line() {
        assert_eq!(format!("{:?}", everything()), "Figure(column of 3)");
    }
}
