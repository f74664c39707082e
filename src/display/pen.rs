//! One set of strokes for two media: what draws itself with a [`Pen`] becomes SVG (lines and text stay such) or pixels.

use super::dots::{averaged, png};
use super::font::{self, Weight};
use super::html;
use crate::{Error, Result};
use image::RgbImage;
use image::imageops::{self, FilterType};
use plotters::backend::{BitMapBackend, DrawingBackend, SVGBackend};
use plotters::coord::Shift;
use plotters::drawing::{DrawingArea, DrawingAreaErrorKind, IntoDrawingArea};
use plotters::element::{Circle, PathElement, Polygon, Rectangle, Text};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color, FontTransform, RGBAColor, RGBColor, ShapeStyle, TextStyle, WHITE};

/// Dark grey of text and axes, near black so that print stays sharp.
pub(super) const INK: RGBAColor = RGBAColor(0x22, 0x22, 0x22, 1.0);
/// Grey of what matters less: dtypes, captions, reference lines.
pub(super) const FAINT: RGBAColor = RGBAColor(0x66, 0x66, 0x66, 1.0);
/// Light grey of rules and grid lines.
pub(super) const RULE: RGBAColor = RGBAColor(0xdd, 0xdd, 0xdd, 1.0);

/// A place in CSS pixels from the upper left corner.
pub(super) type Point = (f64, f64);

/// A picture of known size that draws itself with a pen.
pub(super) trait Drawing {
    /// Width and height in CSS pixels.
    fn extent(&self) -> Result<(u32, u32)>;
    /// Draws on a white ground.
    fn draw<DB: DrawingBackend>(&self, pen: &Pen<DB>) -> Result<()>;
    /// Pixels to lay over the strokes, never smoothed.
    fn pictures(&self) -> Result<Vec<Picture>> {
        Ok(vec![])
    }
}

/// Pixels at a place, each `zoom` CSS pixels wide and high.
#[derive(Debug)]
pub(super) struct Picture {
    pub(super) at: (u32, u32),
    pub(super) pixels: RgbImage,
    pub(super) zoom: f64,
}

/// How many pixels a raster has for each CSS pixel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Resolution {
    /// One: what a notebook shows.
    Screen,
    /// 3.125: 300 dots per inch on paper.
    Print,
}

impl Resolution {
    fn scale(self) -> f64 {
        match self {
            Self::Screen => 1.0,
            Self::Print => 300.0 / 96.0,
        }
    }

    /// The pixel nearest to a place or length in CSS pixels.
    pub(super) fn pixels(self, length: f64) -> u32 {
        (length * self.scale()).round() as u32
    }

    /// Strokes are drawn this many times larger, then averaged: plotters does not smooth thick lines.
    fn oversampling(self) -> u32 {
        match self {
            Self::Screen => 4,
            Self::Print => 2,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Medium {
    Svg,
    Bitmap,
}

/// Where a text is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Anchor {
    Left,
    Middle,
    Right,
}

/// The look of a line of text.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lettering {
    pub(super) size: f64,
    pub(super) weight: Weight,
    pub(super) anchor: Anchor,
    pub(super) color: RGBAColor,
}

impl Lettering {
    pub(super) fn new(size: f64) -> Self {
        Self { size, weight: Weight::Regular, anchor: Anchor::Left, color: INK }
    }

    pub(super) fn bold(self) -> Self {
        Self { weight: Weight::Bold, ..self }
    }

    pub(super) fn anchored(self, anchor: Anchor) -> Self {
        Self { anchor, ..self }
    }

    pub(super) fn colored(self, color: RGBAColor) -> Self {
        Self { color, ..self }
    }
}

/// Draws in CSS pixels on a plotters backend.
pub(super) struct Pen<DB: DrawingBackend> {
    area: DrawingArea<DB, Shift>,
    scale: f64,
    medium: Medium,
}

impl<DB: DrawingBackend> Pen<DB> {
    fn new(backend: DB, scale: f64, medium: Medium) -> Result<Self> {
        let pen = Self { area: backend.into_drawing_area(), scale, medium };
        pen.area.fill(&WHITE).map_err(failed)?;
        Ok(pen)
    }

    fn place(&self, (x, y): Point) -> (i32, i32) {
        ((x * self.scale).round() as i32, (y * self.scale).round() as i32)
    }

    fn stroke(&self, color: RGBAColor, width: f64) -> ShapeStyle {
        color.stroke_width((width * self.scale).round().max(1.0) as u32)
    }

    /// A line through points.
    pub(super) fn line(&self, points: &[Point], color: RGBAColor, width: f64) -> Result<()> {
        let mut corners: Vec<(i32, i32)> = points.iter().map(|&p| self.place(p)).collect();
        corners.dedup();
        if corners.len() < 2 {
            return Ok(());
        }
        let style = self.stroke(color, width);
        if self.medium == Medium::Svg {
            return self.area.draw(&PathElement::new(corners, style)).map_err(failed);
        }
        // plotters fills the outline of a thick path with gaps where it crosses itself: stroke by stroke with round joints instead.
        for pair in corners.windows(2) {
            self.area.draw(&PathElement::new(pair.to_vec(), style)).map_err(failed)?;
        }
        for &corner in &corners[1..corners.len() - 1] {
            self.area.draw(&Circle::new(corner, style.stroke_width / 2, color.filled())).map_err(failed)?;
        }
        Ok(())
    }

    /// A line through points, broken into dashes and gaps of these lengths.
    pub(super) fn dashes(&self, points: &[Point], color: RGBAColor, width: f64, [dash, gap]: [f64; 2]) -> Result<()> {
        let mut walked = 0.0;
        for pair in points.windows(2) {
            let (from, to) = (pair[0], pair[1]);
            let far = (to.0 - from.0).hypot(to.1 - from.1);
            let on = |d: f64| (from.0 + (to.0 - from.0) * d / far, from.1 + (to.1 - from.1) * d / far);
            let mut start = 0.0;
            while start < far {
                let phase: f64 = (walked + start) % (dash + gap);
                let left_of_phase = if phase < dash { dash - phase } else { dash + gap - phase };
                let end = (start + left_of_phase.max(0.01)).min(far);
                if phase < dash {
                    self.line(&[on(start), on(end)], color, width)?;
                }
                start = end;
            }
            walked += far;
        }
        Ok(())
    }

    /// A filled polygon.
    pub(super) fn polygon(&self, points: &[Point], color: RGBAColor) -> Result<()> {
        let corners: Vec<(i32, i32)> = points.iter().map(|&p| self.place(p)).collect();
        if corners.len() < 3 {
            return Ok(());
        }
        self.area.draw(&Polygon::new(corners, color.filled())).map_err(failed)
    }

    /// A filled rectangle between two opposite corners.
    pub(super) fn rectangle(&self, from: Point, to: Point, color: RGBAColor) -> Result<()> {
        let (a, b) = (self.place(from), self.place(to));
        let corners = [(a.0.min(b.0), a.1.min(b.1)), (a.0.max(b.0), a.1.max(b.1))];
        self.area.draw(&Rectangle::new(corners, color.filled())).map_err(failed)
    }

    /// A filled circle.
    pub(super) fn disc(&self, center: Point, radius: f64, color: RGBAColor) -> Result<()> {
        let radius = (radius * self.scale).round().max(1.0) as i32;
        self.area.draw(&Circle::new(self.place(center), radius, color.filled())).map_err(failed)
    }

    /// One line of text whose baseline runs through `at`.
    pub(super) fn text(&self, at: Point, text: &str, look: Lettering) -> Result<()> {
        self.lettering(at, text, look, FontTransform::None)
    }

    /// One line of text that reads upwards; its baseline is the vertical through `at`.
    pub(super) fn upward_text(&self, at: Point, text: &str, look: Lettering) -> Result<()> {
        self.lettering(at, text, look, FontTransform::Rotate270)
    }

    fn lettering(&self, at: Point, text: &str, look: Lettering, turn: FontTransform) -> Result<()> {
        if text.is_empty() {
            return Ok(());
        }
        let horizontal = match look.anchor {
            Anchor::Left => HPos::Left,
            Anchor::Middle => HPos::Center,
            Anchor::Right => HPos::Right,
        };
        // Where the backends put the baseline below a text's upper edge, in em.
        let drop = look.size
            * match self.medium {
                Medium::Svg => 0.76,
                Medium::Bitmap => 0.62,
            };
        let corner = if matches!(turn, FontTransform::None) { (at.0, at.1 - drop) } else { (at.0 - drop, at.1) };
        let size = (look.size * self.scale * 100.0).round() / 100.0;
        let font = font::typeface(size, look.weight)?.transform(turn);
        let style = TextStyle { font, color: look.color.to_backend_color(), pos: Pos::new(horizontal, VPos::Top) };
        self.area.draw(&Text::new(text, self.place(corner), style)).map_err(failed)
    }
}

fn failed<E: std::error::Error + Send + Sync>(error: DrawingAreaErrorKind<E>) -> Error {
    Error::figure("a figure", error)
}

/// The elements of an SVG that shows the drawing with its upper left corner at `(x, y)`.
pub(super) fn svg<D: Drawing>(drawing: &D, (x, y): (u32, u32)) -> Result<String> {
    // plotters counts in whole units: tenths of a pixel keep curves smooth.
    const UNITS: u32 = 10;
    let (width, height) = drawing.extent()?;
    let mut document = String::new();
    let pen = Pen::new(SVGBackend::with_string(&mut document, (width * UNITS, height * UNITS)), f64::from(UNITS), Medium::Svg)?;
    drawing.draw(&pen)?;
    pen.area.present().map_err(failed)?;
    drop(pen);
    let strokes = document.split_once('>').map_or("", |(_, rest)| rest).trim_end().trim_end_matches("</svg>");
    let view = format!("viewBox=\"0 0 {} {}\"", width * UNITS, height * UNITS);
    let mut nested = format!("<svg x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" {view}>");
    nested.push_str(&strokes.replace("\n</text>", "</text>").replace(">\n", ">"));
    for picture in drawing.pictures()? {
        let units = |pixels: u32| (f64::from(pixels) * picture.zoom * f64::from(UNITS)).round();
        let (across, down) = picture.pixels.dimensions();
        let place =
            format!("x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\"", picture.at.0 * UNITS, picture.at.1 * UNITS, units(across), units(down));
        let address = html::data_uri(&png(&picture.pixels, Resolution::Screen)?);
        nested.push_str(&format!("<image {place} href=\"{address}\" style=\"image-rendering:pixelated\"/>"));
    }
    nested.push_str("</svg>");
    Ok(nested)
}

/// The drawing as pixels.
pub(super) fn raster<D: Drawing>(drawing: &D, resolution: Resolution) -> Result<RgbImage> {
    // 100 megapixels: more than any page shows, less than a notebook's memory.
    const MOST: u64 = 100_000_000;
    let (width, height) = drawing.extent()?;
    let (width, height) = (resolution.pixels(f64::from(width)).max(1), resolution.pixels(f64::from(height)).max(1));
    let pixels = |times: u32| u64::from(width) * u64::from(height) * u64::from(times) * u64::from(times);
    if pixels(1) > MOST {
        return Err(Error::figure(format!("{width} x {height} pixels"), "too large for one picture, show fewer rows"));
    }
    let finer = if pixels(resolution.oversampling()) > MOST { 1 } else { resolution.oversampling() };
    let fine = resolution.scale() * f64::from(finer);
    let mut buffer = vec![0u8; pixels(finer) as usize * 3];
    let pen = Pen::new(BitMapBackend::with_buffer(&mut buffer, (width * finer, height * finer)), fine, Medium::Bitmap)?;
    drawing.draw(&pen)?;
    pen.area.present().map_err(failed)?;
    drop(pen);
    let drawn = RgbImage::from_raw(width * finer, height * finer, buffer).ok_or_else(|| Error::figure("a figure", "wrong buffer size"))?;
    let mut image = averaged(&drawn, finer);
    for picture in drawing.pictures()? {
        let place = |at: u32| i64::from(resolution.pixels(f64::from(at)));
        imageops::replace(&mut image, &resized(&picture, resolution), place(picture.at.0), place(picture.at.1));
    }
    Ok(image)
}

/// The picture at the size of this resolution: blocks without smoothing where it grows, means where it shrinks.
fn resized(picture: &Picture, resolution: Resolution) -> RgbImage {
    let (across, down) = picture.pixels.dimensions();
    let length = |pixels: u32| resolution.pixels(f64::from(pixels) * picture.zoom).max(1);
    let (width, height) = (length(across), length(down));
    let filter = if width < across || height < down { FilterType::Triangle } else { FilterType::Nearest };
    imageops::resize(&picture.pixels, width, height, filter)
}

/// A colour without transparency.
pub(super) fn opaque(RGBColor(red, green, blue): RGBColor) -> RGBAColor {
    RGBAColor(red, green, blue, 1.0)
}

/// The same colour, see-through.
pub(super) fn see_through(color: RGBAColor, opacity: f64) -> RGBAColor {
    RGBAColor(color.0, color.1, color.2, opacity)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Sample;

    impl Drawing for Sample {
        fn extent(&self) -> Result<(u32, u32)> {
            Ok((60, 40))
        }

        fn draw<DB: DrawingBackend>(&self, pen: &Pen<DB>) -> Result<()> {
            pen.rectangle((0.0, 0.0), (10.0, 10.0), RGBAColor(255, 0, 0, 1.0))?;
            pen.line(&[(0.0, 20.0), (30.0, 20.0), (30.0, 30.0)], INK, 2.0)?;
            pen.dashes(&[(0.0, 35.0), (60.0, 35.0)], INK, 1.0, [4.0, 4.0])?;
            pen.text((20.0, 12.0), "a < b", Lettering::new(10.0))
        }

        fn pictures(&self) -> Result<Vec<Picture>> {
            Ok(vec![Picture { at: (40, 0), zoom: 1.0, pixels: RgbImage::from_fn(2, 1, |x, _| image::Rgb([x as u8 * 200, 7, 9])) }])
        }
    }

    #[test]
    fn svg_keeps_text_as_text_and_pictures_inline() {
        let body = svg(&Sample, (5, 6)).unwrap();
        assert!(body.starts_with("<svg x=\"5\" y=\"6\" width=\"60\" height=\"40\" viewBox=\"0 0 600 400\">"));
        assert!(body.contains(">a &lt; b</text>") && body.contains("font-family=\"DejaVu Sans, Helvetica"));
        assert!(body.contains("href=\"data:image/png;base64,") && body.contains("image-rendering:pixelated"));
        assert_eq!(body.matches("<svg").count(), body.matches("</svg>").count());
    }

    #[test]
    fn a_raster_has_the_size_of_its_resolution() {
        for (resolution, size) in [(Resolution::Screen, (60, 40)), (Resolution::Print, (188, 125))] {
            let image = raster(&Sample, resolution).unwrap();
            assert_eq!(image.dimensions(), size);
            assert_eq!(image.get_pixel(2, 2).0, [255, 0, 0]);
            assert_eq!(image.get_pixel(resolution.pixels(40.0), 0).0, [0, 7, 9]);
            assert_eq!(image.get_pixel(resolution.pixels(42.0) - 1, 0).0, [200, 7, 9]);
        }
    }
}
