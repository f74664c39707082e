//! Tables of results and of data, in the manner of polars in Python: at most 20 rows, the rest behind an ellipsis.

mod cell;
mod csv;
mod frame;
mod latex;
mod markdown;
mod picture;
mod source;

pub use cell::Cell;
pub use frame::TableDisplay;

use super::html::escape;
use super::number::count;
use super::{Figure, Show, show_inline};
use source::Source;
use std::fmt;

/// A table with a header, built row by row or taken from a polars frame.
///
/// # Example
/// ```
/// use freelunch::display::{Cell, Show, Table};
/// let table = Table::new(["method", "accuracy", "ε"])
///     .row(["random subset".into(), Cell::from(0.7512), Cell::from(f64::INFINITY)])
///     .row(["DP-SGD".into(), Cell::from(0.61), Cell::from(8)])
///     .titled("Fashion-MNIST, 10 per class");
/// assert!(table.figure().to_text().contains("0.7512"));
/// ```
#[derive(Clone)]
pub struct Table {
    headers: Vec<String>,
    /// The columns' types in polars' words; empty for a table made by hand.
    types: Vec<String>,
    rows: Vec<Vec<Cell>>,
    /// Rows of the whole table, of which `rows` may hold only the first and last.
    total: usize,
    title: String,
    caption: String,
    /// What exports read instead of `rows`.
    source: Option<Source>,
    font: f64,
    room: Option<u32>,
}

/// What of a table is shown: `None` stands for an ellipsis.
struct View {
    rows: Vec<Option<usize>>,
    columns: Vec<Option<usize>>,
}

impl Table {
    /// Rows and columns that are shown at most.
    const MOST: usize = 20;
    /// Characters of a cell that are shown at most: as polars does for data, more where somebody wrote a table by hand.
    const LONGEST: usize = 30;
    const LONGEST_BY_HAND: usize = 80;

    /// An empty table with these column names.
    #[must_use]
    pub fn new<H: Into<String>>(headers: impl IntoIterator<Item = H>) -> Self {
        Self {
            headers: headers.into_iter().map(Into::into).collect(),
            types: vec![],
            rows: vec![],
            total: 0,
            title: String::new(),
            caption: String::new(),
            source: None,
            font: 12.0,
            room: None,
        }
    }

    /// One more row; missing cells stay empty, surplus ones are dropped. Cells of different kinds: `["a".into(), Cell::from(0.5)]`.
    #[must_use]
    pub fn row<C: Into<Cell>>(mut self, cells: impl IntoIterator<Item = C>) -> Self {
        let mut row: Vec<Cell> = cells.into_iter().map(Into::into).collect();
        row.resize(self.headers.len(), Cell::Missing);
        self.rows.push(row);
        self.total += 1;
        self
    }

    /// A title above the table.
    #[must_use]
    pub fn titled(mut self, title: &str) -> Self {
        self.title = title.to_string();
        self
    }

    /// What a reader must know: n, seed, kind of interval.
    #[must_use]
    pub fn captioned(mut self, caption: &str) -> Self {
        self.caption = caption.to_string();
        self
    }

    /// Says that the rows are the first and last of a larger table.
    pub(super) fn out_of(mut self, total: usize) -> Self {
        self.total = total.max(self.rows.len());
        self
    }

    /// The same table in other letters.
    pub(super) fn lettered(mut self, em: f64) -> Self {
        self.font = em;
        self
    }

    /// The same table no wider than `room`.
    pub(super) fn fitted(mut self, room: u32, em: f64) -> Self {
        (self.room, self.font) = (Some(room), em);
        self
    }

    fn view(&self) -> View {
        let rows = if self.total > self.rows.len() {
            halves(self.rows.len(), self.rows.len().min(Self::MOST), true)
        } else {
            shown(self.rows.len())
        };
        View { rows, columns: shown(self.headers.len()) }
    }

    /// `shape: (rows, columns)` where that says more than the eye sees.
    fn shape_line(&self) -> Option<String> {
        let telling = !self.types.is_empty() || self.total > Self::MOST || self.headers.len() > Self::MOST;
        telling.then(|| format!("shape: ({}, {})", count(self.total), count(self.headers.len())))
    }

    /// Whether a column holds numbers and so stands on the right.
    fn is_numeric(&self, column: usize) -> bool {
        let cells = || self.rows.iter().filter_map(|row| row.get(column)).filter(|cell| **cell != Cell::Missing);
        cells().next().is_some() && cells().all(Cell::is_number)
    }

    /// The text of one column, top to bottom: header, type if there is one, cells.
    fn column(&self, column: Option<usize>, view: &View) -> Vec<String> {
        let longest = if self.types.is_empty() { Self::LONGEST_BY_HAND } else { Self::LONGEST };
        let of_column = |texts: &[String]| column.map_or("…".to_string(), |j| texts.get(j).cloned().unwrap_or_default());
        let mut texts = vec![of_column(&self.headers)];
        if !self.types.is_empty() {
            texts.push(of_column(&self.types));
        }
        for row in &view.rows {
            let cell = match (row, column) {
                (Some(i), Some(j)) => self.rows.get(*i).and_then(|row| row.get(j)).map(ToString::to_string),
                _ => Some("…".to_string()),
            };
            texts.push(cell.unwrap_or_default());
        }
        texts.iter().map(|text| Cell::shortened(text, longest)).collect()
    }

    fn heading_rows(&self) -> usize {
        if self.types.is_empty() { 1 } else { 2 }
    }

    pub(super) fn to_html(&self) -> String {
        let view = self.view();
        let columns: Vec<Vec<String>> = view.columns.iter().map(|&j| self.column(j, &view)).collect();
        let style = |column: Option<usize>, row: usize, text: &str| {
            let side = if column.is_some_and(|j| self.is_numeric(j)) { "right" } else { "left" };
            let weight = match row {
                0 => "font-weight:bold",
                1 if self.heading_rows() == 2 => "font-weight:normal;opacity:0.7",
                _ => "font-weight:normal",
            };
            let long = text.chars().count() > Self::LONGEST + 1;
            let breaks = if long { "min-width:16em;overflow-wrap:anywhere" } else { "white-space:nowrap" };
            format!("text-align:{side};{weight};padding:2px 10px;{breaks}")
        };
        let mut html = self.shape_line().map_or(String::new(), |line| format!("<small>{line}</small>"));
        html.push_str(
            "<table border=\"1\" class=\"dataframe\" style=\"border-collapse:collapse;font-variant-numeric:tabular-nums\"><thead>",
        );
        for i in 0..self.heading_rows() + view.rows.len() {
            if i == self.heading_rows() {
                html.push_str("</thead><tbody>");
            }
            let heading = i < self.heading_rows();
            let tag = if heading { "th" } else { "td" };
            html.push_str("<tr>");
            for (texts, &column) in columns.iter().zip(&view.columns) {
                let text = texts.get(i).map_or("", String::as_str);
                let escaped = escape(text).replace('…', "&hellip;");
                html.push_str(&format!("<{tag} style=\"{}\">{escaped}</{tag}>", style(column, i, text)));
            }
            html.push_str("</tr>");
        }
        html.push_str(if view.rows.is_empty() { "</thead><tbody></tbody></table>" } else { "</tbody></table>" });
        html
    }

    pub(super) fn to_text(&self) -> String {
        let view = self.view();
        let mut lines = vec![String::new(); self.heading_rows() + view.rows.len()];
        let mut rule = String::new();
        for (k, &column) in view.columns.iter().enumerate() {
            let texts = self.column(column, &view);
            let width = texts.iter().map(|text| text.chars().count()).max().unwrap_or(0);
            let gap = if k == 0 { "" } else { "  " };
            for (line, text) in lines.iter_mut().zip(&texts) {
                let right = column.is_some_and(|j| self.is_numeric(j));
                line.push_str(&format!("{gap}{}", padded(text, width, right)));
            }
            rule.push_str(&format!("{gap}{}", "─".repeat(width)));
        }
        lines.insert(self.heading_rows(), rule);
        let lines: Vec<&str> = lines.iter().map(|line| line.trim_end()).collect();
        self.shape_line().map_or(String::new(), |line| format!("{line}\n")) + &lines.join("\n")
    }

    /// The table in words, for those who cannot see it.
    pub(super) fn in_words(&self) -> String {
        format!("Table of {} rows and {} columns: {}", count(self.total), self.headers.len(), self.headers.join(", "))
    }
}

/// Text with blanks to a width.
fn padded(text: &str, width: usize, right: bool) -> String {
    let blank = " ".repeat(width.saturating_sub(text.chars().count()));
    if right { format!("{blank}{text}") } else { format!("{text}{blank}") }
}

/// All of n positions, or the first and last of them around an ellipsis.
fn shown(n: usize) -> Vec<Option<usize>> {
    halves(n, n.min(Table::MOST), n > Table::MOST)
}

fn halves(n: usize, kept: usize, ellipsis: bool) -> Vec<Option<usize>> {
    if !ellipsis {
        return (0..n).map(Some).collect();
    }
    let head = kept.div_ceil(2);
    let tail = kept - head;
    (0..head).map(Some).chain([None]).chain((n - tail..n).map(Some)).collect()
}

impl Show for Table {
    fn figure(&self) -> Figure {
        Figure::of_table(self.clone()).titled(&self.title).captioned(&self.caption)
    }
}

impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Table({} x {}: {})", self.total, self.headers.len(), self.headers.join(", "))
    }
}

show_inline!(Table);

#[cfg(test)]
mod tests {
    use super::*;

    fn long(n: usize) -> Table {
        (0..n).fold(Table::new(["i", "square"]), |table, i| table.row([i, i * i]))
    }

    #[test]
    fn more_than_twenty_rows_are_elided_in_the_middle() {
        let html = long(100).figure().to_html();
        assert!(html.contains("<small>shape: (100, 2)</small>"));
        assert_eq!(html.matches("<tr>").count(), 1 + 20 + 1);
        assert_eq!(html.matches("&hellip;").count(), 2);
        assert!(html.contains(">81<") && !html.contains(">100<") && html.contains(">8100<"));
        assert!(!long(20).figure().to_html().contains("&hellip;"));
    }

    #[test]
    fn the_ends_of_a_larger_table_say_so() {
        let html = long(6).out_of(1000).to_html();
        assert!(html.contains("shape: (1\u{a0}000, 2)"));
        assert_eq!(html.matches("&hellip;").count(), 2);
        assert_eq!(halves(6, 6, true), [Some(0), Some(1), Some(2), None, Some(3), Some(4), Some(5)]);
    }

    #[test]
    fn numbers_stand_on_the_right_and_text_is_escaped() {
        let html = Table::new(["name", "x"]).row(["<script>".into(), Cell::from(0.123_456)]).to_html();
        assert!(html.contains("text-align:left;font-weight:normal;padding:2px 10px;white-space:nowrap\">&lt;script&gt;<"));
        assert!(html.contains("text-align:right;font-weight:normal;padding:2px 10px;white-space:nowrap\">0.1235<"));
        assert!(!html.contains("<script"));
    }

    #[test]
    fn text_by_hand_may_be_longer_than_text_of_a_frame() {
        let mut table = Table::new(["a"]).row(["x".repeat(100)]);
        assert!(table.to_html().contains(&("x".repeat(80) + "&hellip;")));
        table.types = vec!["str".to_string()];
        assert!(table.to_html().contains(&(">".to_string() + &"x".repeat(30) + "&hellip;")));
    }

    #[test]
    fn text_is_aligned() {
        let table = Table::new(["method", "ε"]).row(["DM".into(), Cell::from(f64::INFINITY)]).row(["DP-SGD".into(), Cell::from(8)]);
        assert_eq!(table.to_text(), "method  ε\n──────  ─\nDM      ∞\nDP-SGD  8");
    }

    #[test]
    fn an_empty_table_is_still_a_table() {
        let html = Table::new(["a"]).to_html();
        assert!(html.ends_with("</table>") && html.contains("<tbody>"));
        assert_eq!(Table::new(["a"]).to_text(), "a\n─");
    }

    #[test]
    fn debug_is_one_short_line() {
        assert_eq!(format!("{:?}", long(50)), "Table(50 x 2: i, square)");
    }
}
