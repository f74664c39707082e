//! Images class by class: one labelled row per class, every pixel a sharp square.

use super::dots::enlarged;
use super::font::{self, Weight};
use super::number::count;
use super::pen::{Anchor, Drawing, FAINT, Lettering, Pen, Picture};
use super::{Figure, Show, show_inline};
use crate::{Dataset, Error, Result};
use image::{Rgb, RgbImage};
use plotters::backend::DrawingBackend;
use std::fmt;

/// Rows of images with labels, enlarged without smoothing.
///
/// # Example
/// ```
/// use freelunch::display::{ImageGrid, Show};
/// let checkers = vec![vec![0.0, 1.0, 1.0, 0.0]; 5];
/// let grid = ImageGrid::new(vec![("checkers".to_string(), checkers)], [1, 2, 2]).titled("A test image");
/// assert!(grid.figure().to_html().contains("image-rendering:pixelated"));
/// ```
#[derive(Clone)]
pub struct ImageGrid {
    rows: Vec<(String, Vec<Vec<f32>>)>,
    shape: [usize; 3],
    columns: Vec<String>,
    title: String,
    caption: String,
    room: u32,
    font: f64,
    /// Whether the grid fills its room even where a pixel becomes a fraction of a CSS pixel.
    fills: bool,
}

impl ImageGrid {
    /// White space between images.
    const GAP: u32 = 2;
    /// Free space around the grid.
    const MARGIN: u32 = 8;
    /// Rows of one picture; the caption says when a set has more classes.
    const MOST_ROWS: usize = 20;

    /// A row for each label with its images: values 0..1 (others are clipped), row-major `[c, h, w]` with one or three
    /// channels. Rows may be of different length.
    #[must_use]
    pub fn new(rows: Vec<(String, Vec<Vec<f32>>)>, shape: [usize; 3]) -> Self {
        Self { rows, shape, columns: vec![], title: String::new(), caption: String::new(), room: 950, font: 12.0, fills: false }
    }

    /// The first `per_class` images of every class that has any, of at most 20 classes.
    #[must_use]
    pub fn from_dataset(data: &Dataset, per_class: usize) -> Self {
        let mut rows: Vec<(String, Vec<Vec<f32>>)> = data.class_names().iter().map(|name| (name.clone(), vec![])).collect();
        for (i, &label) in data.labels().iter().enumerate() {
            match rows.get_mut(label as usize) {
                Some((_, images)) if images.len() < per_class => images.push(data.record(i).to_vec()),
                _ => {}
            }
        }
        rows.retain(|(_, images)| !images.is_empty());
        rows.truncate(Self::MOST_ROWS);
        Self::new(rows, data.shape())
    }

    /// Text above each column, such as "real" and "nearest".
    #[must_use]
    pub fn column_captions(mut self, captions: &[&str]) -> Self {
        self.columns = captions.iter().map(ToString::to_string).collect();
        self
    }

    /// A title above the grid.
    #[must_use]
    pub fn titled(mut self, title: &str) -> Self {
        self.title = title.to_string();
        self
    }

    /// What a reader must know: n, seed, how the images were made.
    #[must_use]
    pub fn captioned(mut self, caption: &str) -> Self {
        self.caption = caption.to_string();
        self
    }

    /// The width in pixels that the grid should not exceed (950 unless told); images are never smaller than they are.
    #[must_use]
    pub fn at_most(mut self, width: u32) -> Self {
        self.room = width;
        self
    }

    /// The same grid in other letters.
    pub(super) fn lettered(mut self, em: f64) -> Self {
        self.font = em;
        self
    }

    /// The same grid no wider than `room`, which it fills if its images are not enlarged too much for it.
    pub(super) fn fitted(mut self, room: u32, em: f64) -> Self {
        (self.room, self.font, self.fills) = (room.min(self.room), em, true);
        self
    }

    /// The least width at which each pixel has at least half a CSS pixel: more than one dot in print.
    pub(super) fn least_width(&self, em: f64) -> Result<f64> {
        let labels = self
            .rows
            .iter()
            .try_fold(0.0f64, |most, (label, _)| Ok::<_, Error>(most.max(self.clone().lettered(em).label_width(label)?)))?;
        Ok(labels + 8.0 + f64::from(2 * Self::MARGIN) + 0.5 * (self.across() * (self.shape[2] + 2)) as f64)
    }

    /// The labels of its rows.
    pub(super) fn labels(&self) -> Vec<&str> {
        self.rows.iter().map(|(label, _)| label.as_str()).collect()
    }

    /// The grid in words, for those who cannot see it.
    pub(super) fn in_words(&self) -> String {
        let [c, h, w] = self.shape;
        let colours = if c == 3 { "colour" } else { "grey" };
        let images: usize = self.rows.iter().map(|(_, images)| images.len()).sum();
        let labels: Vec<&str> = self.rows.iter().map(|(label, _)| label.as_str()).filter(|label| !label.is_empty()).collect();
        let rows = if labels.is_empty() { String::new() } else { format!(": {}", labels.join(", ")) };
        let s = |n: usize| if n == 1 { "" } else { "s" };
        let lines = self.rows.len();
        format!("{} {colours} image{} of {h} x {w} pixels in {lines} row{}{rows}", count(images), s(images), s(lines))
    }

    fn across(&self) -> usize {
        self.rows.iter().map(|(_, images)| images.len()).max().unwrap_or(0)
    }

    /// Side of the square that shows one pixel, and the width of the labels.
    fn zoom(&self) -> Result<(f64, u32)> {
        let [c, h, w] = self.shape;
        let images = self.across();
        if !matches!(c, 1 | 3) || h == 0 || w == 0 || images == 0 {
            let what = format!("image grid of {images} columns, shape {:?}", self.shape);
            return Err(Error::config(what, "expected at least one image of shape [1, h, w] or [3, h, w]"));
        }
        if let Some(wrong) = self.rows.iter().flat_map(|(_, images)| images).find(|image| image.len() != c * h * w) {
            return Err(Error::config(
                format!("an image of {} values for shape {:?}", wrong.len(), self.shape),
                "expected c * h * w values",
            ));
        }
        let mut labels = 0.0f64;
        for (label, _) in &self.rows {
            labels = labels.max(self.label_width(label)?);
        }
        let labels = if labels > 0.0 { labels.ceil() as u32 + 8 } else { 0 };
        let free = self.room.saturating_sub(labels + 2 * Self::MARGIN);
        // Small images stay small enough for ten rows on a screen: 28 pixels about fourfold, 8 pixels eightfold.
        let readable = (112 / h.max(w) as u32).min(8);
        if self.fills {
            // Gaps shrink and grow with the images here.
            let fitting = f64::from(free.max(1)) / (images * w + (images - 1) * Self::GAP as usize) as f64;
            return Ok((fitting.min(f64::from(readable.max(1))), labels));
        }
        let fitting = free.saturating_sub((images as u32 - 1) * Self::GAP) / (images * w) as u32;
        Ok((f64::from(fitting.min(readable).max(1)), labels))
    }

    /// Lines of a label beside its row, or above its column.
    const LINES: usize = 3;

    /// Room for a label that is broken into lines.
    fn label_width(&self, label: &str) -> Result<f64> {
        let lines = font::broken(label, self.font, 12.5 * self.font, Self::LINES)?;
        font::widest(lines.iter().map(String::as_str), self.font, Weight::Regular)
    }

    /// The captions above the columns, in lines.
    fn captions(&self, zoom: f64) -> Result<Vec<Vec<String>>> {
        let room = self.shape[2] as f64 * zoom;
        self.columns.iter().take(self.across()).map(|caption| font::broken(caption, 0.9 * self.font, room, Self::LINES)).collect()
    }

    /// Height of what stands above the images.
    fn header(&self, zoom: f64) -> Result<u32> {
        let lines = self.captions(zoom)?.iter().map(Vec::len).max().unwrap_or(0);
        let captioned = self.columns.iter().any(|caption| !caption.is_empty());
        Ok(if captioned { ((0.55 + 1.12 * lines as f64) * self.font).round() as u32 } else { 0 })
    }

    /// Where image `(row, column)` begins within the grid, and pixels for each of an image's in the mosaic.
    fn place(&self, row: usize, column: usize, zoom: f64) -> (f64, f64) {
        let [_, h, w] = self.shape;
        let gap = f64::from(Self::GAP) * if self.fills { zoom } else { 1.0 };
        (column as f64 * (w as f64 * zoom + gap), row as f64 * (h as f64 * zoom + gap))
    }

    /// Width and height of all images.
    fn inner(&self, zoom: f64) -> (f64, f64) {
        let [_, h, w] = self.shape;
        let (left, top) = self.place(self.rows.len().saturating_sub(1), self.across().saturating_sub(1), zoom);
        (left + w as f64 * zoom, top + h as f64 * zoom)
    }

    /// All images, each pixel a square of `zoom` x `zoom`.
    fn mosaic(&self, zoom: u32) -> RgbImage {
        let [_, h, w] = self.shape;
        let (across, down) = self.inner(f64::from(zoom));
        let mut mosaic = RgbImage::from_pixel(across as u32, down as u32, Rgb([255; 3]));
        for (i, (_, images)) in self.rows.iter().enumerate() {
            for (j, image) in images.iter().enumerate() {
                let pixels = RgbImage::from_fn(w as u32, h as u32, |x, y| self.color(image, y as usize, x as usize));
                let (x, y) = self.place(i, j, f64::from(zoom));
                image::imageops::replace(&mut mosaic, &enlarged(&pixels, zoom), x as i64, y as i64);
            }
        }
        mosaic
    }

    fn color(&self, image: &[f32], y: usize, x: usize) -> Rgb<u8> {
        let [c, h, w] = self.shape;
        // A NaN becomes 0 in the cast.
        let channel = |k: usize| (image.get((k * h + y) * w + x).copied().unwrap_or(0.0).clamp(0.0, 1.0) * 255.0).round() as u8;
        if c == 3 { Rgb([channel(0), channel(1), channel(2)]) } else { Rgb([channel(0); 3]) }
    }
}

impl Drawing for ImageGrid {
    fn extent(&self) -> Result<(u32, u32)> {
        let (zoom, labels) = self.zoom()?;
        let (across, down) = self.inner(zoom);
        // Rounding must not make it wider than its room.
        let across = (across - 1e-6).ceil() as u32;
        Ok((labels + across + 2 * Self::MARGIN, self.header(zoom)? + down.ceil() as u32 + 2 * Self::MARGIN))
    }

    fn draw<DB: DrawingBackend>(&self, pen: &Pen<DB>) -> Result<()> {
        let [_, h, w] = self.shape;
        let (zoom, labels) = self.zoom()?;
        let (left, top) = (f64::from(Self::MARGIN + labels), f64::from(Self::MARGIN + self.header(zoom)?));
        let look = Lettering::new(self.font);
        let lines = (h as f64 * zoom / (1.2 * self.font)).clamp(1.0, Self::LINES as f64) as usize;
        for (i, (label, _)) in self.rows.iter().enumerate() {
            let middle = top + self.place(i, 0, zoom).1 + h as f64 * zoom / 2.0;
            let lines = font::broken(label, self.font, f64::from(labels) - 8.0, lines)?;
            for (k, line) in lines.iter().enumerate() {
                let below = 1.2 * self.font * (k as f64 - (lines.len() - 1) as f64 / 2.0);
                pen.text((left - 8.0, middle + below + 0.36 * self.font), line, look.anchored(Anchor::Right))?;
            }
        }
        let small = Lettering::new(0.9 * self.font).anchored(Anchor::Middle).colored(FAINT);
        let width = w as f64 * zoom;
        for (j, caption) in self.captions(zoom)?.iter().enumerate() {
            for (k, line) in caption.iter().rev().enumerate() {
                let above = 7.0 + 1.12 * self.font * k as f64;
                pen.text((left + self.place(0, j, zoom).0 + width / 2.0, top - above), line, small)?;
            }
        }
        Ok(())
    }

    fn pictures(&self) -> Result<Vec<Picture>> {
        let (zoom, labels) = self.zoom()?;
        let at = (Self::MARGIN + labels, Self::MARGIN + self.header(zoom)?);
        // One pixel for each of an image's where the grid fills its room: print then makes blocks of dots of it.
        let (finer, zoom) = if self.fills { (1, zoom) } else { (zoom as u32, 1.0) };
        Ok(vec![Picture { at, pixels: self.mosaic(finer), zoom }])
    }
}

impl Show for ImageGrid {
    fn figure(&self) -> Figure {
        Figure::of_grid(self.clone()).titled(&self.title).captioned(&self.caption)
    }
}

impl fmt::Debug for ImageGrid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ImageGrid({:?}, {})", self.title, self.in_words())
    }
}

show_inline!(ImageGrid);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::display::pen::{Resolution, raster, svg};

    fn grid() -> ImageGrid {
        let image = vec![0.0, 0.25, 0.5, 2.0];
        ImageGrid::new(vec![("first".into(), vec![image.clone(), image.clone()]), ("second".into(), vec![image])], [1, 2, 2])
    }

    #[test]
    fn a_pixel_becomes_an_exact_block() {
        let grid = grid();
        let (zoom, labels) = grid.zoom().unwrap();
        assert_eq!(zoom, 8.0);
        let zoom = zoom as u32;
        let image = raster(&grid, Resolution::Screen).unwrap();
        let (left, top) = (ImageGrid::MARGIN + labels, ImageGrid::MARGIN);
        for y in 0..2 * zoom {
            for x in 0..2 * zoom {
                let expected = [[0, 64], [128, 255]][(y / zoom) as usize][(x / zoom) as usize];
                assert_eq!(image.get_pixel(left + x, top + y).0, [expected; 3], "at {x}, {y}");
            }
        }
        assert_eq!(image.dimensions(), grid.extent().unwrap());
    }

    #[test]
    fn a_grid_fits_into_its_room() {
        let rows: Vec<_> = (0..10).map(|i| (format!("class {i}"), vec![vec![0.5; 784]; 10])).collect();
        let (width, height) = ImageGrid::new(rows.clone(), [1, 28, 28]).extent().unwrap();
        assert!(width <= 950 && width > 850 && height < 900, "{width} x {height}");
        assert!(ImageGrid::new(rows, [1, 28, 28]).at_most(460).extent().unwrap().0 <= 460);
    }

    #[test]
    fn a_fitted_grid_fills_a_paper_s_column_even_with_fractions_of_pixels() {
        let rows: Vec<_> = (0..3).map(|i| (format!("class {i}"), vec![vec![0.5; 784]; 10])).collect();
        let grid = ImageGrid::new(rows, [1, 28, 28]).fitted(321, 10.0);
        let (width, height) = grid.extent().unwrap();
        assert!((319..=321).contains(&width), "{width}");
        let print = raster(&grid, Resolution::Print).unwrap();
        assert_eq!(print.dimensions(), (Resolution::Print.pixels(f64::from(width)), Resolution::Print.pixels(f64::from(height))));
        // The last pixel of the last image is grey, what follows it white.
        let (right, bottom) = (f64::from(width - ImageGrid::MARGIN), f64::from(height - ImageGrid::MARGIN));
        assert_eq!(print.get_pixel(Resolution::Print.pixels(right) - 4, Resolution::Print.pixels(bottom) - 5).0, [128; 3]);
        assert_eq!(print.get_pixel(Resolution::Print.pixels(right) + 2, Resolution::Print.pixels(bottom) - 5).0, [255; 3]);
    }

    #[test]
    fn long_labels_take_more_lines_and_classes_without_images_none() {
        let rows = vec![("raw, clipped to 1, noise 0.001".to_string(), vec![vec![0.5; 784]; 3])];
        let grid = ImageGrid::new(rows, [1, 28, 28]);
        let (plain, captioned) =
            (svg(&grid, (0, 0)).unwrap(), svg(&grid.clone().column_captions(&["one", "DP-AuGM, through"]), (0, 0)).unwrap());
        assert!(plain.contains(">0.001<") && !plain.contains('…'), "{plain}");
        assert!(captioned.contains("DP-AuGM,") && captioned.contains("through") && !captioned.contains('…'), "{captioned}");
        let one = Dataset::digits().unwrap().train.subset(&[7]).unwrap();
        assert_eq!(ImageGrid::from_dataset(&one, 5).rows.len(), 1);
    }

    #[test]
    fn colours_are_planes() {
        let grid = ImageGrid::new(vec![(String::new(), vec![vec![1.0, 0.0, 0.0, 1.0, 0.0, 0.0]])], [3, 1, 2]);
        assert_eq!(grid.mosaic(1).get_pixel(0, 0).0, [255, 0, 0]);
        assert_eq!(grid.mosaic(1).get_pixel(1, 0).0, [0, 255, 0]);
    }

    #[test]
    fn impossible_grids_are_named() {
        let error = ImageGrid::new(vec![], [1, 2, 2]).extent().unwrap_err().to_string();
        assert!(error.contains("0 columns"), "{error}");
        let error = ImageGrid::new(vec![("a".into(), vec![vec![0.0; 3]])], [1, 2, 2]).extent().unwrap_err().to_string();
        assert!(error.contains("3 values"), "{error}");
        assert!(ImageGrid::new(vec![("a".into(), vec![vec![0.0; 8]])], [2, 2, 2]).extent().is_err());
    }

    #[test]
    fn html_has_alt_text_and_the_same_bytes_each_time() {
        let html = grid().titled("<Grid>").figure().to_html();
        assert!(html.contains("alt=\"3 grey images of 2 x 2 pixels in 2 rows: first, second\"") && html.contains("&lt;Grid&gt;"));
        assert_eq!(html, grid().titled("<Grid>").figure().to_html());
        assert!(!html.contains("<script"));
    }
}
