//! A table as it lies in a file or frame, before encoding: named columns of optional numbers or words.

use super::csv;
use crate::data::gzip;
use crate::{Error, Result};
use polars::prelude::{Column as FrameColumn, DataFrame, DataType, ParquetReader, PolarsResult, SerReader};
use std::borrow::Cow;
use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

pub(super) struct Source {
    /// As the user wrote it, for messages.
    file: String,
    /// Without folders, for the data set.
    name: String,
    columns: Vec<(String, Cells)>,
    /// The line at which each row begins, for a text file.
    lines: Option<Vec<usize>>,
}

enum Cells {
    Numbers(Vec<Option<f64>>),
    Words(Vec<Option<String>>),
    Other(String),
}

impl Source {
    pub(super) fn csv_bytes(file: &str, bytes: &[u8]) -> Result<Self> {
        let csv::Sheet { header, columns, lines } = csv::parse(file, bytes)?;
        let columns = header.into_iter().zip(columns.into_iter().map(Cells::Words)).collect();
        Ok(Self { file: file.to_string(), name: gzip::stem(Path::new(file)), columns, lines: Some(lines) })
    }

    pub(super) fn parquet(path: &Path) -> Result<Self> {
        let bytes = std::fs::read(path).map_err(|source| gzip::refused(path, source))?;
        let file = path.display().to_string();
        // polars panics on some damaged files and on column types it was built without.
        let read = catch_unwind(AssertUnwindSafe(|| ParquetReader::new(Cursor::new(bytes)).finish()));
        let frame = match read {
            Ok(Ok(frame)) => frame,
            Ok(Err(cause)) => return Err(Error::table(file, cause)),
            Err(_) => return Err(Error::table(file, "the file is damaged or has a column that is no number, text or truth value")),
        };
        Ok(Self { name: gzip::stem(path), ..Self::frame(&file, &frame) })
    }

    pub(super) fn frame(name: &str, frame: &DataFrame) -> Self {
        let columns = frame.columns().iter().map(|column| (column.name().to_string(), Cells::of(column))).collect();
        Self { file: name.to_string(), name: name.to_string(), columns, lines: None }
    }

    /// Turns columns of words that are all numbers into numbers, except the label.
    pub(super) fn typed(mut self, label: &str) -> Result<Self> {
        for i in 0..self.columns.len() {
            let Some((name, Cells::Words(words))) = self.columns.get(i) else { continue };
            if name == label {
                continue;
            }
            let given: Vec<&String> = words.iter().flatten().collect();
            let numbers = given.iter().filter(|word| word.parse::<f64>().is_ok()).count();
            if numbers < given.len() && 2 * numbers > given.len() {
                let bad = |word: &Option<String>| word.as_ref().is_some_and(|word| word.parse::<f64>().is_err());
                let row = words.iter().position(bad).unwrap_or_default();
                let what = format!("{:?} in a column of numbers", words.get(row).cloned().flatten().unwrap_or_default());
                let remedy = "correct or drop the row; for categories written as numbers use from_frame with a column of text";
                return Err(Error::data(&self.file, self.place(row, name), what, remedy));
            }
            if numbers == given.len() {
                let parsed = words.iter().map(|word| word.as_ref().and_then(|word| word.parse().ok())).collect();
                if let Some((_, cells)) = self.columns.get_mut(i) {
                    *cells = Cells::Numbers(parsed);
                }
            }
        }
        Ok(self)
    }

    pub(super) fn file(&self) -> &str {
        &self.file
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.columns.iter().map(|(name, _)| name.as_str())
    }

    /// Where a value stands, for messages.
    pub(super) fn place(&self, row: usize, column: &str) -> String {
        match self.lines.as_ref().and_then(|lines| lines.get(row)) {
            Some(line) => format!("line {line}, column {column}"),
            None => format!("row {row}, column {column}"),
        }
    }

    pub(super) fn is_numeric(&self, column: &str) -> Result<bool> {
        Ok(matches!(self.cells(column)?, Cells::Numbers(_)))
    }

    pub(super) fn numbers(&self, column: &str) -> Result<Vec<f32>> {
        let numbers: Vec<Option<f64>> = match self.cells(column)? {
            Cells::Numbers(numbers) => numbers.clone(),
            Cells::Words(words) => {
                let mut numbers = vec![];
                for (row, word) in words.iter().enumerate() {
                    let number = word.as_ref().map(|word| word.parse::<f64>().map_err(|_| self.not_a_number(row, column, word)));
                    numbers.push(number.transpose()?);
                }
                numbers
            }
            Cells::Other(kind) => return Err(self.unsupported(column, kind)),
        };
        let mut out = vec![];
        for (row, number) in numbers.into_iter().enumerate() {
            let number = number.ok_or_else(|| self.missing(row, column))?;
            if !(number as f32).is_finite() {
                let what = format!("value {number:e}");
                return Err(Error::data(&self.file, self.place(row, column), what, "replace or drop NaN, infinite and huge values"));
            }
            out.push(number as f32);
        }
        Ok(out)
    }

    pub(super) fn words(&self, column: &str) -> Result<Vec<Cow<'_, str>>> {
        let words: Vec<Option<Cow<'_, str>>> = match self.cells(column)? {
            Cells::Numbers(numbers) => {
                let mut words = vec![];
                for (row, number) in numbers.iter().enumerate() {
                    if let Some(number) = number.filter(|number| !number.is_finite() || number.fract() != 0.0) {
                        let what = format!("value {number} where a class or category belongs");
                        return Err(Error::data(&self.file, self.place(row, column), what, "expected whole numbers or text"));
                    }
                    words.push(number.map(|number| Cow::Owned(number.to_string())));
                }
                words
            }
            Cells::Words(words) => words.iter().map(|word| word.as_deref().map(Cow::Borrowed)).collect(),
            Cells::Other(kind) => return Err(self.unsupported(column, kind)),
        };
        words.into_iter().enumerate().map(|(row, word)| word.ok_or_else(|| self.missing(row, column))).collect()
    }

    fn cells(&self, column: &str) -> Result<&Cells> {
        let found = self.columns.iter().find(|(name, _)| name == column);
        found.map(|(_, cells)| cells).ok_or_else(|| {
            let names: Vec<&str> = self.names().collect();
            Error::data(&self.file, "header", format!("no column {column:?}"), format!("the columns are {}", names.join(", ")))
        })
    }

    fn missing(&self, row: usize, column: &str) -> Error {
        let remedy = "fill it (a category with a marker such as ?), or drop the row";
        Error::data(&self.file, self.place(row, column), "missing value", remedy)
    }

    fn not_a_number(&self, row: usize, column: &str, word: &str) -> Error {
        let remedy = "the encoding was fitted on numbers here: correct or drop the row";
        Error::data(&self.file, self.place(row, column), format!("{word:?} is not a number"), remedy)
    }

    fn unsupported(&self, column: &str, kind: &str) -> Error {
        let remedy = "cast the column to numbers or text, or leave it out";
        Error::data(&self.file, format!("column {column}"), format!("values of type {kind}"), remedy)
    }
}

impl Cells {
    fn of(column: &FrameColumn) -> Self {
        Self::read(column).unwrap_or_else(|cause| Self::Other(format!("{} ({cause})", column.dtype())))
    }

    fn read(column: &FrameColumn) -> PolarsResult<Self> {
        Ok(match column.dtype() {
            kind if kind.is_primitive_numeric() => Self::Numbers(column.cast(&DataType::Float64)?.f64()?.iter().collect()),
            DataType::String => Self::Words(column.str()?.iter().map(|word| word.map(String::from)).collect()),
            DataType::Boolean => Self::Words(column.bool()?.iter().map(|flag| flag.map(|flag| flag.to_string())).collect()),
            other => Self::Other(other.to_string()),
        })
    }
}
