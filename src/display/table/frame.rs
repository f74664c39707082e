//! polars frames as tables.

use super::source::Source;
use super::{Cell, Table};
use crate::display::{Figure, Show, send};
use polars::prelude::{AnyValue, Column, DataFrame};

impl Table {
    /// The first and last rows of a polars frame, with its shape and the types of its columns; exports hold all rows.
    ///
    /// # Example
    /// ```
    /// use freelunch::display::Table;
    /// use freelunch::polars::df;
    /// let frame = df!("epsilon" => [1.0, 8.0], "method" => ["DP-SGD", "DP-SGD"]).map_err(|e| freelunch::Error::table("example", e))?;
    /// assert_eq!(format!("{:?}", Table::from_frame(&frame)), "Table(2 x 2: epsilon, method)");
    /// # Ok::<(), freelunch::Error>(())
    /// ```
    #[must_use]
    pub fn from_frame(frame: &DataFrame) -> Self {
        let n = frame.height();
        let half = Self::MOST / 2;
        let kept: Vec<usize> = if n <= Self::MOST { (0..n).collect() } else { (0..half).chain(n - half..n).collect() };
        let columns = frame.columns();
        let headers = columns.iter().map(|column| column.name().to_string());
        let mut table = kept.iter().fold(Self::new(headers), |table, &i| table.row(columns.iter().map(|column| cell(column, i))));
        table.types = columns.iter().map(|column| column.dtype().to_string()).collect();
        table.source = Some(Source::Rows(frame.clone()));
        table.out_of(n)
    }
}

pub(super) fn cell(column: &Column, i: usize) -> Cell {
    match column.get(i) {
        Ok(AnyValue::Null) | Err(_) => Cell::Missing,
        Ok(AnyValue::Float32(value)) => Cell::from(value),
        Ok(AnyValue::Float64(value)) => Cell::from(value),
        Ok(value) => match (value.get_str(), value.extract::<i64>()) {
            (Some(text), _) => Cell::from(text),
            (None, Some(whole)) if value.is_integer() => Cell::from(whole),
            _ => Cell::from(value.to_string()),
        },
    }
}

impl Show for DataFrame {
    fn figure(&self) -> Figure {
        Table::from_frame(self).figure()
    }
}

/// Shows polars frames as HTML tables in notebooks; in scope with `use freelunch::prelude::*`.
pub trait TableDisplay {
    /// Shows this frame in a notebook cell: text, HTML and PNG in one bundle.
    fn evcxr_display(&self);
}

impl TableDisplay for DataFrame {
    fn evcxr_display(&self) {
        send(&self.bundle());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use polars::df;

    #[test]
    fn a_frame_keeps_types_and_missing_values() {
        let frame = df!("name" => ["a", "b<"], "n" => [Some(1i64), None], "x" => [0.123_456, 2.0], "yes" => [true, false]).unwrap();
        let html = Table::from_frame(&frame).to_html();
        assert!(html.contains("shape: (2, 4)"));
        for kept in [">str<", ">i64<", ">f64<", ">bool<", ">b&lt;<", ">0.1235<", ">true<", "></td>"] {
            assert!(html.contains(kept), "{kept} in {html}");
        }
    }

    #[test]
    fn a_long_frame_shows_both_ends() {
        let frame = df!("i" => (0..50_000i64).collect::<Vec<_>>()).unwrap();
        let html = frame.figure().to_html();
        assert!(html.contains("shape: (50\u{a0}000, 1)") && html.contains(">9<") && html.contains(">49999<") && html.contains("&hellip;"));
        assert_eq!(html.matches("<tr>").count(), 2 + 20 + 1);
    }
}
