//! The same table as SVG and pixels: three rules, as in a paper.

use super::{Table, View};
use crate::Result;
use crate::display::font::{self, Weight};
use crate::display::pen::{Anchor, Drawing, FAINT, INK, Lettering, Pen};
use plotters::backend::DrawingBackend;

const FONT: f64 = 12.0;
const ROW: f64 = 20.0;
const GAP: f64 = 20.0;
const MARGIN: f64 = 10.0;

/// One column as it is drawn.
struct Column {
    texts: Vec<String>,
    width: f64,
    right: bool,
}

impl Table {
    fn drawn_columns(&self, view: &View) -> Result<Vec<Column>> {
        let mut columns = vec![];
        for &column in &view.columns {
            let texts = self.column(column, view);
            let heading = texts.first().map_or(Ok(0.0), |text| font::width(text, FONT, Weight::Bold))?;
            let width = heading.max(font::widest(texts.iter().skip(1).map(String::as_str), FONT, Weight::Regular)?);
            columns.push(Column { texts, width, right: column.is_some_and(|j| self.is_numeric(j)) });
        }
        Ok(columns)
    }

    /// Where the first row begins: below the line with the shape.
    fn top(&self) -> f64 {
        if self.shape_line().is_some() { MARGIN + ROW } else { MARGIN }
    }
}

impl Drawing for Table {
    fn extent(&self) -> Result<(u32, u32)> {
        let view = self.view();
        let columns = self.drawn_columns(&view)?;
        let width = columns.iter().map(|column| column.width + GAP).sum::<f64>().max(60.0) + 2.0 * MARGIN;
        let height = self.top() + ROW * (self.heading_rows() + view.rows.len()) as f64 + MARGIN;
        Ok((width.ceil() as u32, height.ceil() as u32))
    }

    fn draw<DB: DrawingBackend>(&self, pen: &Pen<DB>) -> Result<()> {
        let view = self.view();
        let columns = self.drawn_columns(&view)?;
        let top = self.top();
        if let Some(line) = self.shape_line() {
            pen.text((MARGIN, MARGIN + 0.9 * FONT), &line, Lettering::new(0.9 * FONT).colored(FAINT))?;
        }
        let mut left = MARGIN + GAP / 2.0;
        for column in &columns {
            let (x, anchor) = if column.right { (left + column.width, Anchor::Right) } else { (left, Anchor::Left) };
            for (i, text) in column.texts.iter().enumerate() {
                let plain = Lettering::new(FONT).anchored(anchor);
                let look = match i {
                    0 => plain.bold(),
                    1 if self.heading_rows() == 2 => plain.colored(FAINT),
                    _ => plain,
                };
                pen.text((x, top + ROW * i as f64 + 0.7 * ROW), text, look)?;
            }
            left += column.width + GAP;
        }
        let right = left - GAP / 2.0;
        let below_heading = top + ROW * self.heading_rows() as f64;
        let bottom = below_heading + ROW * view.rows.len() as f64;
        for (y, width) in [(top, 1.5), (below_heading, 0.8), (bottom, 1.5)] {
            pen.line(&[(MARGIN, y), (right.max(MARGIN + 40.0), y)], INK, width)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::Cell;
    use super::*;
    use crate::display::pen::{Resolution, raster, svg};

    #[test]
    fn a_table_is_drawn_with_all_its_text() {
        let table = Table::new(["method", "AUC"]).row(["DM & co".into(), Cell::from(0.512_34)]);
        let drawn = svg(&table, (0, 0)).unwrap();
        assert!(drawn.contains(">DM &amp; co</text>") && drawn.contains(">0.5123</text>") && drawn.contains("font-weight=\"bold\""));
        assert_eq!(raster(&table, Resolution::Screen).unwrap().dimensions(), table.extent().unwrap());
    }
}
