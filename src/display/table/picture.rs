//! The same table as SVG and pixels: three rules, as in a paper. Where it is wider than its room, cells break into lines; where that
//! is not enough, columns move below, each group with the first column before it.

use super::{Table, View};
use crate::Result;
use crate::display::font::{self, Weight};
use crate::display::pen::{Anchor, Drawing, FAINT, INK, Lettering, Pen};
use plotters::backend::DrawingBackend;

/// One column as it is drawn: the lines of each of its cells.
#[derive(Clone)]
struct Column {
    cells: Vec<Vec<String>>,
    width: f64,
    right: bool,
}

/// Columns that stand beside each other.
struct Panel {
    columns: Vec<Column>,
    /// Lines of each row.
    lines: Vec<usize>,
}

/// What a table is drawn as, in pixels.
struct Design {
    panels: Vec<Panel>,
    gap: f64,
    margin: f64,
}

impl Table {
    /// Height of a row of one line, and what each further line adds.
    fn row_height(&self) -> f64 {
        (self.font * 20.0 / 12.0).round()
    }

    fn line_height(&self) -> f64 {
        1.2 * self.font
    }

    fn drawn_column(&self, column: Option<usize>, view: &View, room: f64) -> Result<Column> {
        let (mut cells, mut width) = (vec![], 0.0f64);
        for (i, text) in self.column(column, view).iter().enumerate() {
            let weight = if i == 0 { Weight::Bold } else { Weight::Regular };
            let lines = if text.is_empty() { vec![String::new()] } else { font::wrap(&held_together(text), self.font, weight, room)? };
            width = width.max(font::widest(lines.iter().map(String::as_str), self.font, weight)?);
            cells.push(lines);
        }
        Ok(Column { cells, width, right: column.is_some_and(|j| self.is_numeric(j)) })
    }

    /// The width of a column whose cells break at every space: less would cut words.
    fn least_width(&self, column: Option<usize>, view: &View) -> Result<f64> {
        let mut least = 0.0f64;
        for (i, text) in self.column(column, view).iter().enumerate() {
            let weight = if i == 0 { Weight::Bold } else { Weight::Regular };
            least = least.max(font::widest(font::words(&held_together(text)), self.font, weight)?);
        }
        // Rounding must not cut the widest word.
        Ok(least + 0.1)
    }

    /// The width it would like to have.
    pub(in crate::display) fn wanted_width(&self) -> Result<f64> {
        let free = Self { room: None, ..self.clone() };
        let design = free.design()?;
        Ok(design.panels.iter().map(|panel| design.width(panel)).fold(0.0, f64::max))
    }

    fn design(&self) -> Result<Design> {
        let view = self.view();
        let (gap, margin) = (self.font * 20.0 / 12.0, self.font * 10.0 / 12.0);
        let free: Vec<Column> = view.columns.iter().map(|&j| self.drawn_column(j, &view, f64::INFINITY)).collect::<Result<_>>()?;
        let design = |groups: Vec<Vec<Column>>, gap, margin| Design { panels: groups.into_iter().map(Panel::new).collect(), gap, margin };
        let total = |columns: &[Column], gap: f64, margin: f64| columns.iter().map(|column| column.width + gap).sum::<f64>() + 2.0 * margin;
        let Some(room) = self.room.map(f64::from) else {
            return Ok(design(vec![free], gap, margin));
        };
        if total(&free, gap, margin) <= room {
            return Ok(design(vec![free], gap, margin));
        }
        let (gap, margin) = (0.9 * self.font, 0.3 * self.font);
        let inside = room - 2.0 * margin - 0.5; // for what rounding adds
        let mut least = vec![];
        for &column in &view.columns {
            least.push(self.least_width(column, &view)?.min(inside - gap));
        }
        // Groups of columns whose words fit; every group but the first begins with the first column.
        let mut groups: Vec<Vec<usize>> = vec![vec![]];
        let mut taken = 0.0;
        for (k, width) in least.iter().enumerate() {
            let first = least[0] + gap;
            let full = taken + width + gap > inside && k > 0;
            if full && first + width + gap <= inside {
                groups.push(vec![0]);
                taken = first;
            } else if full {
                groups.push(vec![]);
                taken = 0.0;
            }
            taken += width + gap;
            if let Some(group) = groups.last_mut() {
                group.push(k);
            }
        }
        let mut drawn = vec![];
        for group in groups {
            let wanted: Vec<f64> = group.iter().map(|&k| free[k].width).collect();
            let needed: Vec<f64> = group.iter().map(|&k| least[k]).collect();
            let widths = shared(&wanted, &needed, inside - gap * group.len() as f64);
            let columns = group.iter().zip(widths).map(|(&k, width)| self.drawn_column(view.columns[k], &view, width + 0.01));
            drawn.push(columns.collect::<Result<Vec<Column>>>()?);
        }
        Ok(design(drawn, gap, margin))
    }

    /// Height of the line with the shape.
    fn headroom(&self) -> f64 {
        if self.shape_line().is_some() { self.row_height() } else { 0.0 }
    }

    fn draw_panel<DB: DrawingBackend>(&self, pen: &Pen<DB>, design: &Design, panel: &Panel, top: f64) -> Result<()> {
        let (gap, margin) = (design.gap, design.margin);
        let mut left = margin + gap / 2.0;
        for column in &panel.columns {
            let (x, anchor) = if column.right { (left + column.width, Anchor::Right) } else { (left, Anchor::Left) };
            let mut y = top;
            for (i, lines) in column.cells.iter().enumerate() {
                let plain = Lettering::new(self.font).anchored(anchor);
                let look = match i {
                    0 => plain.bold(),
                    1 if self.heading_rows() == 2 => plain.colored(FAINT),
                    _ => plain,
                };
                for (k, line) in lines.iter().enumerate() {
                    pen.text((x, y + 0.7 * self.row_height() + k as f64 * self.line_height()), line, look)?;
                }
                y += self.height_of(panel, i);
            }
            left += column.width + gap;
        }
        let right = (left - gap / 2.0).max(margin + 40.0);
        let below_heading = top + (0..self.heading_rows()).map(|i| self.height_of(panel, i)).sum::<f64>();
        for (y, width) in [(top, 1.5), (below_heading, 0.8), (top + self.panel_height(panel), 1.5)] {
            pen.line(&[(margin, y), (right, y)], INK, width)?;
        }
        Ok(())
    }

    fn height_of(&self, panel: &Panel, row: usize) -> f64 {
        let more = panel.lines.get(row).map_or(0, |lines| lines.saturating_sub(1));
        self.row_height() + more as f64 * self.line_height()
    }

    fn panel_height(&self, panel: &Panel) -> f64 {
        (0..panel.lines.len()).map(|row| self.height_of(panel, row)).sum()
    }
}

impl Panel {
    fn new(columns: Vec<Column>) -> Self {
        let rows = columns.iter().map(|column| column.cells.len()).max().unwrap_or(0);
        let most = |row: usize| columns.iter().filter_map(|column| column.cells.get(row)).map(Vec::len).max().unwrap_or(1);
        let lines = (0..rows).map(most).collect();
        Self { columns, lines }
    }
}

impl Design {
    fn width(&self, panel: &Panel) -> f64 {
        panel.columns.iter().map(|column| column.width + self.gap).sum::<f64>().max(60.0) + 2.0 * self.margin
    }
}

/// Shares `room` between columns: each gets what it needs; of what is left, the modest get all they want and the others equal shares.
fn shared(wanted: &[f64], needed: &[f64], room: f64) -> Vec<f64> {
    let mut widths = needed.to_vec();
    let mut order: Vec<usize> = (0..wanted.len()).collect();
    order.sort_by(|&a, &b| (wanted[a] - needed[a]).total_cmp(&(wanted[b] - needed[b])));
    let mut left = (room - needed.iter().sum::<f64>()).max(0.0);
    let mut waiting = vec![];
    for k in order {
        if wanted[k] - needed[k] <= left {
            left -= wanted[k] - needed[k];
            widths[k] = wanted[k];
        } else {
            waiting.push(k);
        }
    }
    for &k in &waiting {
        widths[k] += left / waiting.len() as f64;
    }
    widths
}

/// The text with no-break spaces inside intervals and beside signs: `0.5 [0.4, 0.6]` breaks before the bracket only.
fn held_together(text: &str) -> String {
    let characters: Vec<char> = text.chars().collect();
    let mut open = 0;
    let mut held = String::new();
    for (i, &c) in characters.iter().enumerate() {
        open += i32::from(c == '[') - i32::from(c == ']');
        let (before, after) = (i.checked_sub(1).map(|i| characters[i]), characters.get(i + 1).copied());
        let near = before.is_some_and(|c| "≤≥=±".contains(c)) || after.is_some_and(|c| "≤≥=±%".contains(c));
        held.push(if c == ' ' && (open > 0 || near) { '\u{a0}' } else { c });
    }
    held
}

impl Drawing for Table {
    fn extent(&self) -> Result<(u32, u32)> {
        let design = self.design()?;
        let width = design.panels.iter().map(|panel| design.width(panel)).fold(0.0, f64::max);
        let panels: f64 = design.panels.iter().map(|panel| self.panel_height(panel) + design.gap).sum();
        Ok((width.ceil() as u32, (self.headroom() + panels - design.gap + 2.0 * design.margin).ceil() as u32))
    }

    fn draw<DB: DrawingBackend>(&self, pen: &Pen<DB>) -> Result<()> {
        let design = self.design()?;
        if let Some(line) = self.shape_line() {
            pen.text((design.margin, design.margin + 0.9 * self.font), &line, Lettering::new(0.9 * self.font).colored(FAINT))?;
        }
        let mut top = self.headroom() + design.margin;
        for panel in &design.panels {
            self.draw_panel(pen, &design, panel, top)?;
            top += self.panel_height(panel) + design.gap;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::Cell;
    use super::*;
    use crate::display::pen::{Resolution, raster, svg};

    fn wide() -> Table {
        let headers: Vec<String> = (0..9).map(|i| format!("true positive rate {i}")).collect();
        let cells = (0..9).map(|i| Cell::from(format!("0.{i}23 [0.1, 0.2]")));
        Table::new(headers).row(cells)
    }

    #[test]
    fn a_table_is_drawn_with_all_its_text() {
        let table = Table::new(["method", "AUC"]).row(["DM & co".into(), Cell::from(0.512_34)]);
        let drawn = svg(&table, (0, 0)).unwrap();
        assert!(drawn.contains(">DM &amp; co</text>") && drawn.contains(">0.5123</text>") && drawn.contains("font-weight=\"bold\""));
        assert_eq!(raster(&table, Resolution::Screen).unwrap().dimensions(), table.extent().unwrap());
    }

    #[test]
    fn a_table_that_is_too_wide_breaks_and_keeps_every_cell() {
        for room in [673, 321, 120] {
            let table = wide().fitted(room, 10.0);
            assert!(table.extent().unwrap().0 <= room, "{:?} in {room}", table.extent());
            let words: String =
                svg(&table, (0, 0)).unwrap().split('<').filter_map(|tag| tag.split_once('>')).map(|(_, text)| text).collect();
            for i in 0..9 {
                assert!(words.contains(&format!("0.{i}23")) && !words.contains('…'), "{i} in {room}: {words}");
            }
        }
    }

    #[test]
    fn room_is_shared_by_need() {
        assert_eq!(shared(&[50.0, 400.0], &[50.0, 100.0], 300.0), [50.0, 250.0]);
        assert_eq!(shared(&[200.0, 220.0], &[100.0, 100.0], 300.0), [200.0, 100.0]);
        assert_eq!(shared(&[400.0, 400.0], &[100.0, 100.0], 300.0), [150.0, 150.0]);
    }

    #[test]
    fn intervals_do_not_break_inside() {
        let held = held_together("0.5 [0.4, 0.6] at FPR ≤ 1 %");
        assert_eq!(held.split(' ').collect::<Vec<_>>(), ["0.5", "[0.4,\u{a0}0.6]", "at", "FPR\u{a0}≤\u{a0}1\u{a0}%"]);
    }
}
