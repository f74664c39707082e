//! A table as CSV (RFC 4180): every row, every digit. An interval becomes three columns.

use super::{Cell, Table};
use crate::{Error, Result};
use polars::prelude::{CsvWriter, DataFrame, SerWriter};

impl Table {
    pub(in crate::display) fn csv(&self) -> Result<String> {
        match self.frame_behind()? {
            Some(frame) => of_frame(frame),
            None => Ok(self.of_rows()),
        }
    }

    fn of_rows(&self) -> String {
        let intervals: Vec<bool> = (0..self.headers.len())
            .map(|j| self.rows.iter().filter_map(|row| row.get(j)).any(|cell| matches!(cell, Cell::Interval { .. })))
            .collect();
        let mut header = vec![];
        for (name, &interval) in self.headers.iter().zip(&intervals) {
            header.push(quoted(name));
            if interval {
                header.extend([quoted(&format!("{name}_low")), quoted(&format!("{name}_high"))]);
            }
        }
        let mut csv = line(&header);
        for row in &self.rows {
            let mut fields = vec![];
            for (cell, &interval) in row.iter().zip(&intervals) {
                match cell {
                    Cell::Interval { value, low, high, .. } => fields.extend([value, low, high].map(|v| number(*v))),
                    Cell::Missing => fields.push(String::new()),
                    Cell::Whole(value) => fields.push(value.to_string()),
                    Cell::Number(value) => fields.push(number(*value)),
                    Cell::Text(text) => fields.push(quoted(text)),
                }
                if interval && !matches!(cell, Cell::Interval { .. }) {
                    fields.extend([String::new(), String::new()]);
                }
            }
            csv.push_str(&line(&fields));
        }
        csv
    }
}

fn of_frame(mut frame: DataFrame) -> Result<String> {
    let mut bytes = vec![];
    let failed = |e: &dyn ToString| Error::figure("a table as CSV", format!("{}, choose columns of numbers and text", e.to_string()));
    CsvWriter::new(&mut bytes).with_line_terminator("\r\n".into()).finish(&mut frame).map_err(|e| failed(&e))?;
    String::from_utf8(bytes).map_err(|e| failed(&e))
}

/// The shortest digits that read back as the same number.
fn number(value: f64) -> String {
    if value.is_infinite() { if value > 0.0 { "inf".into() } else { "-inf".into() } } else { format!("{value:?}") }
}

fn quoted(text: &str) -> String {
    let plain = !text.is_empty() && !text.contains(['"', ',', '\r', '\n']) && text.trim() == text;
    if plain { text.to_string() } else { format!("\"{}\"", text.replace('"', "\"\"")) }
}

fn line(fields: &[String]) -> String {
    // A line of one empty field would be an empty line, which readers skip.
    let line = if matches!(fields, [only] if only.is_empty()) { "\"\"".to_string() } else { fields.join(",") };
    line + "\r\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Dataset;
    use crate::display::Show;
    use crate::stats::Rate;
    use polars::df;
    use polars::prelude::{CsvReader, SerReader};

    fn read(csv: &str) -> DataFrame {
        CsvReader::new(std::io::Cursor::new(csv.as_bytes().to_vec())).finish().unwrap()
    }

    #[test]
    fn what_was_written_reads_back() {
        let texts = ["plain", "a, b", "say \"no\"", "two\nlines", " space ", "ε ≤ 8"];
        let numbers = [0.1 + 0.2, 1e-300, -2.5e17, 1.0, std::f64::consts::PI, 3.0];
        let rows = texts.iter().zip(numbers);
        let table = rows.fold(Table::new(["na,me", "x"]), |table, (text, x)| table.row([Cell::from(*text), Cell::from(x)]));
        let frame = read(&table.to_csv().unwrap());
        assert_eq!(frame.get_column_names().iter().map(|n| n.as_str()).collect::<Vec<_>>(), ["na,me", "x"]);
        for (i, (text, x)) in texts.iter().zip(numbers).enumerate() {
            assert_eq!(frame.columns()[0].get(i).unwrap().get_str(), Some(*text));
            assert_eq!(frame.columns()[1].get(i).unwrap().try_extract::<f64>().unwrap(), x);
        }
    }

    #[test]
    fn an_interval_is_three_columns_at_full_precision() {
        let rate = Rate::new(1, 3).unwrap();
        let table = Table::new(["method", "rate"]).row(["a".into(), Cell::from(rate)]).row(["b".into(), Cell::Missing]);
        let csv = table.to_csv().unwrap();
        let lines: Vec<&str> = csv.split_terminator("\r\n").collect();
        assert_eq!(lines, ["method,rate,rate_low,rate_high", &format!("a,{:?},{:?},{:?}", 1.0 / 3.0, rate.low, rate.high), "b,,,"]);
    }

    #[test]
    fn all_rows_are_written_not_the_twenty_that_are_shown() {
        let frame = df!("i" => (0..3000i64).collect::<Vec<_>>(), "x" => (0..3000).map(|i| f64::from(i) / 7.0).collect::<Vec<_>>()).unwrap();
        assert!(read(&frame.to_csv().unwrap()).equals(&frame));
        let long = (0..100).fold(Table::new(["i"]), |table, i| table.row([i]));
        assert_eq!(read(&long.to_csv().unwrap()).height(), 100);
        let data = Dataset::toy_table();
        assert_eq!(read(&data.to_csv().unwrap()).height(), data.len());
        assert!(data.to_markdown().unwrap().lines().count() > data.len());
    }

    #[test]
    fn a_lone_missing_value_is_not_an_empty_line() {
        assert_eq!(Table::new(["a"]).row([Cell::Missing]).to_csv().unwrap(), "a\r\n\"\"\r\n");
    }
}
