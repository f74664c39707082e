//! Places the parts of a figure on one sheet: rows from left to right, columns from top to bottom.

use super::{Content, Figure};
use crate::display::font;
use crate::display::html::escape;
use crate::display::pen::{self, Drawing, FAINT, Lettering, Pen, Resolution};
use crate::display::{ImageGrid, Plot, Preset, Table};
use crate::{Error, Result};
use image::{Rgb, RgbImage};
use plotters::backend::DrawingBackend;

pub(super) const GAP: u32 = 12;
/// The width at which text is broken when nothing wider stands beside it.
const TEXT_ROOM: u32 = 560;
/// Letters of titles and captions, as shares of the body's.
const TITLE: f64 = 14.0 / 12.0;
const CAPTION: f64 = 10.5 / 12.0;

/// What an SVG measures itself in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Units {
    /// CSS pixels, for pages.
    Pixels,
    /// Millimetres, for print.
    Millimetres,
}

/// Lines of text as a picture.
struct Lines {
    lines: Vec<String>,
    look: Lettering,
}

enum Part<'a> {
    Plot(&'a Plot),
    Grid(&'a ImageGrid),
    Table(&'a Table),
    Lines(Lines),
}

/// A part with the place of its upper left corner.
struct Placed<'a> {
    at: (u32, u32),
    part: Part<'a>,
    families: Option<String>,
}

struct Sheet<'a> {
    width: u32,
    height: u32,
    parts: Vec<Placed<'a>>,
}

/// Width and height of a whole figure in CSS pixels.
#[cfg(test)]
pub(super) fn size(figure: &Figure) -> Result<(u32, u32)> {
    let figure = figure.laid_out();
    let sheet = sheet(&figure)?;
    Ok((sheet.width, sheet.height))
}

pub(super) fn svg(figure: &Figure, units: Units) -> Result<String> {
    let Sheet { width, height, parts } = sheet(figure)?;
    let words = figure.in_words();
    let (title, words) = (escape(super::page::first_clause(&words)), escape(&words));
    let size = match units {
        Units::Pixels => format!("width=\"{width}\" height=\"{height}\" style=\"max-width:100%;height:auto\""),
        Units::Millimetres => in_millimetres(figure, width, height),
    };
    let mut document = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" {size} viewBox=\"0 0 {width} {height}\" \
         role=\"img\" aria-label=\"{words}\"><title>{title}</title>\
         <rect width=\"{width}\" height=\"{height}\" fill=\"#ffffff\"/>"
    );
    for Placed { at, part, families } in parts {
        let drawn = match part {
            Part::Plot(plot) => pen::svg(plot, at),
            Part::Grid(grid) => pen::svg(grid, at),
            Part::Table(table) => pen::svg(table, at),
            Part::Lines(lines) => pen::svg(&lines, at),
        }?;
        document.push_str(&families.map_or(drawn.clone(), |families| font::in_families(&drawn, &families)));
    }
    document.push_str("</svg>");
    Ok(document)
}

/// A figure that fills its preset has that width exactly; a CSS pixel is 25.4/96 mm.
fn in_millimetres(figure: &Figure, width: u32, height: u32) -> String {
    let (across, down) = (f64::from(width) * 25.4 / 96.0, f64::from(height) * 25.4 / 96.0);
    match figure.look.preset.filter(|preset| preset.room() == width).and_then(Preset::millimetres) {
        Some(whole) => format!("width=\"{whole}mm\" height=\"{:.2}mm\"", f64::from(whole) * f64::from(height) / f64::from(width)),
        None => format!("width=\"{across:.2}mm\" height=\"{down:.2}mm\""),
    }
}

pub(super) fn raster(figure: &Figure, resolution: Resolution) -> Result<RgbImage> {
    const MOST: u64 = 200_000_000;
    let Sheet { width, height, parts } = sheet(figure)?;
    let dots = |length: u32| resolution.pixels(f64::from(length));
    if u64::from(dots(width)) * u64::from(dots(height)) > MOST {
        return Err(Error::figure(format!("{width} x {height} pixels"), "too large for one picture, show fewer parts"));
    }
    let mut image = RgbImage::from_pixel(dots(width), dots(height), Rgb([255; 3]));
    for Placed { at, part, .. } in parts {
        let drawn = match part {
            Part::Plot(plot) => pen::raster(plot, resolution),
            Part::Grid(grid) => pen::raster(grid, resolution),
            Part::Table(table) => pen::raster(table, resolution),
            Part::Lines(lines) => pen::raster(&lines, resolution),
        }?;
        image::imageops::replace(&mut image, &drawn, i64::from(dots(at.0)), i64::from(dots(at.1)));
    }
    Ok(image)
}

/// The places of all parts of a figure that is laid out.
fn sheet(figure: &Figure) -> Result<Sheet<'_>> {
    let mut sheet = titled(figure)?;
    for placed in &mut sheet.parts {
        placed.families = placed.families.take().or_else(|| figure.look.families());
    }
    Ok(sheet)
}

fn titled(figure: &Figure) -> Result<Sheet<'_>> {
    let body = body(figure)?;
    if figure.title.is_empty() && figure.caption.is_empty() {
        return Ok(body);
    }
    let room = body.width.max(240).min(figure.look.room.unwrap_or(u32::MAX));
    let em = figure.look.em();
    let mut stack = vec![];
    if !figure.title.is_empty() {
        stack.push(lines(&figure.title, Lettering::new(TITLE * em).bold(), room)?);
    }
    stack.push(body);
    if !figure.caption.is_empty() {
        stack.push(lines(&figure.caption, Lettering::new(CAPTION * em).colored(FAINT), room)?);
    }
    Ok(stacked(stack, 0))
}

fn body(figure: &Figure) -> Result<Sheet<'_>> {
    let text = |text: &str| lines(text, Lettering::new(figure.look.em()), figure.look.room.unwrap_or(TEXT_ROOM));
    match &figure.content {
        Content::Plot(plot) => single(plot.extent()?, Part::Plot(plot)),
        Content::Grid(grid) => single(grid.extent()?, Part::Grid(grid)),
        Content::Table(table) => single(table.extent()?, Part::Table(table)),
        Content::Moving(animation) => {
            let grid = animation.still()?;
            single(grid.extent()?, Part::Grid(grid))
        }
        Content::Text(words) => text(words),
        Content::Failure(words) => text(&format!("could not be shown: {words}")),
        Content::Row(parts) => Ok(beside(parts.iter().map(sheet).collect::<Result<_>>()?)),
        Content::Column(parts) => Ok(stacked(parts.iter().map(sheet).collect::<Result<_>>()?, GAP)),
    }
}

fn single((width, height): (u32, u32), part: Part<'_>) -> Result<Sheet<'_>> {
    Ok(Sheet { width, height, parts: vec![Placed { at: (0, 0), part, families: None }] })
}

fn lines<'a>(text: &str, look: Lettering, room: u32) -> Result<Sheet<'a>> {
    let lines = Lines { lines: font::wrap(text, look.size, look.weight, f64::from(room) - 2.0 * Lines::MARGIN)?, look };
    single(lines.extent()?, Part::Lines(lines))
}

fn beside(sheets: Vec<Sheet<'_>>) -> Sheet<'_> {
    let mut row = Sheet { width: 0, height: 0, parts: vec![] };
    for sheet in sheets {
        let left = if row.parts.is_empty() { 0 } else { row.width + GAP };
        row.parts.extend(sheet.parts.into_iter().map(|placed| Placed { at: (placed.at.0 + left, placed.at.1), ..placed }));
        row.width = left + sheet.width;
        row.height = row.height.max(sheet.height);
    }
    row.at_least_a_pixel()
}

fn stacked(sheets: Vec<Sheet<'_>>, gap: u32) -> Sheet<'_> {
    let mut column = Sheet { width: 0, height: 0, parts: vec![] };
    for sheet in sheets {
        let top = if column.parts.is_empty() { 0 } else { column.height + gap };
        column.parts.extend(sheet.parts.into_iter().map(|placed| Placed { at: (placed.at.0, placed.at.1 + top), ..placed }));
        column.height = top + sheet.height;
        column.width = column.width.max(sheet.width);
    }
    column.at_least_a_pixel()
}

impl Sheet<'_> {
    /// An empty row is still a picture.
    fn at_least_a_pixel(mut self) -> Self {
        self.width = self.width.max(1);
        self.height = self.height.max(1);
        self
    }
}

impl Lines {
    const MARGIN: f64 = 8.0;

    fn pitch(&self) -> f64 {
        (1.35 * self.look.size).round()
    }
}

impl Drawing for Lines {
    fn extent(&self) -> Result<(u32, u32)> {
        let widest = font::widest(self.lines.iter().map(String::as_str), self.look.size, self.look.weight)?;
        let height = self.pitch() * self.lines.len() as f64 + Self::MARGIN;
        Ok(((widest + 2.0 * Self::MARGIN).ceil() as u32, height.ceil() as u32))
    }

    fn draw<DB: DrawingBackend>(&self, pen: &Pen<DB>) -> Result<()> {
        for (i, line) in self.lines.iter().enumerate() {
            pen.text((Self::MARGIN, Self::MARGIN / 2.0 + self.pitch() * i as f64 + self.look.size), line, self.look)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::display::Show;

    #[test]
    fn rows_add_widths_and_columns_add_heights() {
        let plot = || Plot::new("").size(200, 100).figure();
        assert_eq!(size(&Figure::row([plot(), plot()])).unwrap(), (400 + GAP, 100));
        assert_eq!(size(&Figure::column([plot(), plot()])).unwrap(), (200, 200 + GAP));
        let (width, height) = size(&plot().titled("t")).unwrap();
        assert!(width == 200 && height > 100);
    }

    #[test]
    fn an_empty_row_is_still_a_picture() {
        assert!(raster(&Figure::row([]), Resolution::Screen).is_ok());
        assert!(svg(&Figure::column([]), Units::Pixels).is_ok());
    }

    #[test]
    fn tags_are_balanced() {
        let drawn = svg(&Figure::row([Plot::new("a").figure().titled("b"), Figure::text("c < d")]), Units::Pixels).unwrap();
        assert_eq!(drawn.matches("<svg").count(), drawn.matches("</svg>").count());
        assert_eq!(drawn.matches("<text").count(), drawn.matches("</text>").count());
        assert!(drawn.contains("c &lt; d"));
    }
}
