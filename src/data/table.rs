//! Tables: numbers stay numbers, categories become one-hot columns, and both are decoded again.
//!
//! 1. The columns' kinds and levels are found in the training table ([`Dataset::from_csv`], [`Dataset::from_parquet`],
//!    [`Dataset::from_frame`]) and kept as its [`Schema`].
//! 2. Every other table is encoded with that schema ([`Dataset::encode_csv`], [`Dataset::encode_frame`]), so that nothing of a
//!    test table leaks into the encoding.
//! 3. [`Dataset::frame`] turns encoded records, real or synthetic, back into the original columns.
//!
//! # Example
//! ```
//! use freelunch::Dataset;
//! use freelunch::polars::prelude::*;
//! let people = df!("age" => [30, 41, 52], "ward" => ["a", "b", "a"], "ill" => ["no", "yes", "no"])?;
//! let train = Dataset::from_frame("people", &people, "ill")?;
//! assert_eq!(train.record(1), [41.0, 0.0, 1.0]); // age, ward = a, ward = b
//! assert_eq!(train.class_names(), ["no", "yes"]);
//! let test = train.encode_frame("more people", &people.head(Some(1)))?;
//! assert_eq!(test.frame()?.column("ward")?.str()?.get(0), Some("a"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod csv;
mod source;

use super::{Dataset, gzip};
use crate::interchange::files::kept_parquet;
use crate::{Error, Result};
use polars::prelude::{Column as FrameColumn, DataFrame};
use serde::{Deserialize, Serialize};
use source::Source;
use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};
use std::path::Path;

/// More levels than this in one column are names or numbers rather than categories, and would blow up the encoded table.
const MOST_LEVELS: usize = 1000;

/// The columns of a table, in the order of its encoded values, and the name of the column of labels.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Schema {
    /// The columns besides the label.
    pub columns: Vec<Column>,
    /// The name of the label column.
    pub label: String,
}

/// One column of a table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Column {
    /// A number in its own unit: one encoded value.
    Numeric {
        /// The column's name.
        name: String,
    },
    /// A category: one encoded value per level, 1 for the level at hand and 0 for the others.
    Categorical {
        /// The column's name.
        name: String,
        /// The values that occur, in the order of the encoded values.
        levels: Vec<String>,
    },
}

impl Schema {
    /// Number of encoded values of one record.
    ///
    /// # Example
    /// ```
    /// use freelunch::Dataset;
    /// let table = Dataset::toy_table();
    /// assert_eq!(table.schema().map(|schema| schema.width()), Some(table.features()));
    /// ```
    #[must_use]
    pub fn width(&self) -> usize {
        self.columns.iter().map(Column::width).sum()
    }
}

impl Column {
    /// The column's name.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Numeric { name } | Self::Categorical { name, .. } => name,
        }
    }

    /// Number of encoded values: 1 for a number, one per level for a category.
    #[must_use]
    pub fn width(&self) -> usize {
        match self {
            Self::Numeric { .. } => 1,
            Self::Categorical { levels, .. } => levels.len(),
        }
    }
}

impl Dataset {
    /// A table from a CSV file with a header (plain or gzipped, commas, UTF-8); the schema is found in it.
    ///
    /// A column whose values are all numbers is numeric, any other is categorical. Spaces around unquoted values do not count.
    /// A marker for missing values such as `?` is a category of its own, an empty value is an error. Classes are sorted by name.
    ///
    /// # Errors
    /// [`Error::Io`] when the file cannot be read; [`Error::Data`] with line and column when it is not rectangular, a value is
    /// missing, infinite or not a number among numbers, a column has more than 1,000 levels, or there is no such label column.
    ///
    /// # Example
    /// ```
    /// use freelunch::Dataset;
    /// let file = std::env::temp_dir().join("doc-people.csv");
    /// std::fs::write(&file, "age,ward,ill\n30,a,no\n41,b,yes\n")?;
    /// let people = Dataset::from_csv(&file, "ill")?;
    /// assert_eq!((people.len(), people.features()), (2, 3));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn from_csv(path: impl AsRef<Path>, label_column: &str) -> Result<Self> {
        let path = path.as_ref();
        from_csv_bytes(&path.display().to_string(), &gzip::read(path)?, label_column)
    }

    /// A table from a Parquet file; the schema is found in it. Open only files you trust: a file that was cut short is an error,
    /// but one with bytes changed on purpose can make polars ask for more memory than there is, which ends the process.
    ///
    /// # Errors
    /// [`Error::Io`] or [`Error::Table`] when the file cannot be read, [`Error::Data`] as for [`Dataset::from_frame`].
    ///
    /// # Example
    /// ```
    /// use freelunch::Dataset;
    /// use freelunch::polars::prelude::*;
    /// let file = std::env::temp_dir().join("doc-people.parquet");
    /// let mut people = df!("age" => [30, 41], "ill" => ["no", "yes"])?;
    /// ParquetWriter::new(std::fs::File::create(&file)?).finish(&mut people)?;
    /// assert_eq!(Dataset::from_parquet(&file, "ill")?.x(), [30.0, 41.0]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn from_parquet(path: impl AsRef<Path>, label_column: &str) -> Result<Self> {
        match kept_parquet(path.as_ref(), label_column)? {
            Some(kept) => Ok(kept),
            None => fit(&Source::parquet(path.as_ref())?, label_column),
        }
    }

    /// A table from a polars frame; the schema is found in it. Numbers are numeric columns, text and truth values categorical.
    ///
    /// # Errors
    /// [`Error::Data`] with row (counted from 0) and column when a value is null, NaN or infinite, a column is of another type or
    /// has more than 1,000 levels, or there is no such label column.
    pub fn from_frame(name: &str, frame: &DataFrame, label_column: &str) -> Result<Self> {
        fit(&Source::frame(name, frame), label_column)
    }

    /// Another CSV file in this table's encoding; columns that this table does not have are ignored. The result carries this
    /// table's classes and normalisation.
    ///
    /// # Errors
    /// As [`Dataset::from_csv`]; also [`Error::Data`] when a column is missing or a value is none of the known levels, and
    /// [`Error::Config`] when this set is not a table.
    pub fn encode_csv(&self, path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        encode_csv_bytes(self, &path.display().to_string(), &gzip::read(path)?)
    }

    /// Another polars frame in this table's encoding: see [`Dataset::encode_csv`].
    ///
    /// # Errors
    /// As [`Dataset::encode_csv`].
    pub fn encode_frame(&self, name: &str, frame: &DataFrame) -> Result<Self> {
        self.encode(&Source::frame(name, frame))
    }

    fn encode(&self, source: &Source) -> Result<Self> {
        let Some(schema) = &self.schema else {
            return Err(Error::config(format!("{} is a set of images", self.name), "encode with a table read by from_csv or from_frame"));
        };
        let made = encode(source, schema.clone(), &self.class_names)?;
        Ok(made.with_normalization(self.normalization.clone()))
    }

    /// The set as a polars frame: a table gets its original columns and the label column back (of one-hot values the largest
    /// wins); of images it lists `record`, `label`, `class`, and the `mean`, `min` and `max` of the pixels.
    ///
    /// # Errors
    /// [`Error::Table`] when two columns share a name.
    ///
    /// # Example
    /// ```
    /// use freelunch::Dataset;
    /// assert_eq!(Dataset::toy_table().frame()?.get_column_names(), ["age", "dose", "ward", "outcome"]);
    /// assert_eq!(Dataset::toy().frame()?.height(), 120);
    /// # Ok::<(), freelunch::Error>(())
    /// ```
    pub fn frame(&self) -> Result<DataFrame> {
        let class = |label: &u32| self.class_names.get(*label as usize).cloned().unwrap_or_default();
        let classes: Vec<String> = self.labels.iter().map(class).collect();
        let columns = match &self.schema {
            Some(schema) => {
                let mut columns = self.decoded(schema);
                columns.push(FrameColumn::new(schema.label.as_str().into(), classes));
                columns
            }
            None => {
                let pixels = |of: fn(&[f32]) -> f32| (0..self.len()).map(|i| of(self.record(i))).collect::<Vec<f32>>();
                vec![
                    FrameColumn::new("record".into(), (0..self.len() as u32).collect::<Vec<u32>>()),
                    FrameColumn::new("label".into(), self.labels.to_vec()),
                    FrameColumn::new("class".into(), classes),
                    FrameColumn::new("mean".into(), pixels(|x| x.iter().sum::<f32>() / x.len().max(1) as f32)),
                    FrameColumn::new("min".into(), pixels(|x| x.iter().copied().fold(f32::INFINITY, f32::min))),
                    FrameColumn::new("max".into(), pixels(|x| x.iter().copied().fold(f32::NEG_INFINITY, f32::max))),
                ]
            }
        };
        DataFrame::new(self.len(), columns).map_err(|cause| Error::table(&self.name, cause))
    }

    fn decoded(&self, schema: &Schema) -> Vec<FrameColumn> {
        let mut at = 0;
        let mut columns = vec![];
        for column in &schema.columns {
            let values = |i| self.record(i).get(at..at + column.width()).unwrap_or_default();
            let name = column.name().into();
            columns.push(match column {
                Column::Numeric { .. } => {
                    FrameColumn::new(name, (0..self.len()).flat_map(|i| values(i).first().copied()).collect::<Vec<f32>>())
                }
                Column::Categorical { levels, .. } => {
                    FrameColumn::new(name, (0..self.len()).map(|i| largest(values(i), levels)).collect::<Vec<String>>())
                }
            });
            at += column.width();
        }
        columns
    }
}

/// A table in memory, whose schema is found in it.
pub(super) fn from_csv_bytes(file: &str, bytes: &[u8], label: &str) -> Result<Dataset> {
    fit(&Source::csv_bytes(file, bytes)?.typed(label)?, label)
}

/// A table in memory, in the encoding of `train`.
pub(super) fn encode_csv_bytes(train: &Dataset, file: &str, bytes: &[u8]) -> Result<Dataset> {
    train.encode(&Source::csv_bytes(file, bytes)?)
}

/// The level with the largest value; the first of equals.
fn largest(values: &[f32], levels: &[String]) -> String {
    let mut best = (f32::NEG_INFINITY, "");
    for (&value, level) in values.iter().zip(levels) {
        if value > best.0 {
            best = (value, level);
        }
    }
    best.1.to_string()
}

/// Finds the schema and the classes of a table and encodes it with them.
fn fit(source: &Source, label: &str) -> Result<Dataset> {
    let classes = levels(source, label)?;
    let mut columns = vec![];
    for name in source.names().filter(|name| *name != label) {
        let name = name.to_string();
        columns.push(match source.is_numeric(&name)? {
            true => Column::Numeric { name },
            false => Column::Categorical { levels: levels(source, &name)?, name },
        });
    }
    if columns.is_empty() {
        let what = format!("no column besides the label {label:?}");
        return Err(Error::data(source.file(), "header", what, "give a table with at least one column to learn from"));
    }
    encode(source, Schema { columns, label: label.to_string() }, &classes)
}

fn levels(source: &Source, column: &str) -> Result<Vec<String>> {
    let distinct: BTreeSet<Cow<'_, str>> = source.words(column)?.into_iter().collect();
    if distinct.len() > MOST_LEVELS {
        let what = format!("{} different values, expected at most {MOST_LEVELS} categories", distinct.len());
        let remedy = "leave the column out, group its values, or name another column as label";
        return Err(Error::data(source.file(), format!("column {column}"), what, remedy));
    }
    Ok(sorted(distinct.into_iter().map(Cow::into_owned).collect()))
}

/// By number when all are numbers ("2" before "10"), else by text.
pub(super) fn sorted(mut names: Vec<String>) -> Vec<String> {
    let number = |name: &String| name.parse::<f64>().ok().filter(|number| !number.is_nan());
    names.sort();
    if names.iter().all(|name| number(name).is_some()) {
        names.sort_by(|a, b| number(a).partial_cmp(&number(b)).unwrap_or(std::cmp::Ordering::Equal));
    }
    names
}

fn encode(source: &Source, schema: Schema, class_names: &[String]) -> Result<Dataset> {
    let labels = positions(source, &schema.label, class_names)?;
    let width = schema.width();
    if labels.is_empty() || width == 0 {
        return Err(Error::data(source.file(), "rows", "0 records", "give a table with at least one record"));
    }
    let mut x = vec![0.0; labels.len() * width]; // [n, d]
    let mut at = 0;
    for column in &schema.columns {
        let cells = x.chunks_exact_mut(width);
        match column {
            Column::Numeric { name } => {
                for (record, number) in cells.zip(source.numbers(name)?) {
                    record[at] = number;
                }
            }
            Column::Categorical { name, levels } => {
                for (record, level) in cells.zip(positions(source, name, levels)?) {
                    record[at + level as usize] = 1.0;
                }
            }
        }
        at += column.width();
    }
    Dataset::table(source.name(), x, schema, labels, class_names.to_vec())
}

/// Where the values of a column stand in `levels`.
fn positions(source: &Source, column: &str, levels: &[String]) -> Result<Vec<u32>> {
    let known: HashMap<&str, u32> = levels.iter().map(String::as_str).zip(0..).collect();
    let mut out = vec![];
    for (row, word) in source.words(column)?.iter().enumerate() {
        let Some(&level) = known.get(word.as_ref()) else {
            let shown = levels.iter().take(20).map(String::as_str).collect::<Vec<_>>().join(", ");
            let more = if levels.len() > 20 { ", .." } else { "" };
            let remedy = format!("known are {shown}{more}: correct or drop the row, or fit the encoding on a table that has this value");
            return Err(Error::data(source.file(), source.place(row, column), format!("unknown value {word:?}"), remedy));
        };
        out.push(level);
    }
    Ok(out)
}

#[cfg(test)]
mod tests;
