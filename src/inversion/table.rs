//! Several inversions beside each other: raw, condensed, with DP-SGD, behind an encoder.

use super::InversionReport;
use super::gallery::{Pictures, side_by_side};
use super::report::Likeness;
use crate::display::{Cell, Figure, Show, Table, show_inline};
use crate::stats::Rate;
use crate::{Result, error};
use polars::prelude::{Column, DataFrame};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::Path;

/// Reports by name, as a gallery, a table and a polars frame. The control is that of the first report.
///
/// # Example
/// ```
/// use freelunch::inversion::{InversionTable, InversionTarget, ModelInversion};
/// use freelunch::prelude::*;
/// let lab = Lab::new()?.seed(1).quiet();
/// let halves = Dataset::toy().members(60, &lab)?;
/// let evaluator = Train::new(Arch::mlp()).fit(&halves.non_members, &lab)?;
/// let mut table = InversionTable::new("toy");
/// let condensed = Herding::new(2).synthesize(&halves.members, &lab)?;
/// for (name, data) in [("raw", &halves.members), ("condensed", &condensed)] {
///     let model = Train::new(Arch::Logistic).fit(data, &lab)?;
///     let inversion = ModelInversion::small().invert(&InversionTarget::model(&model), &lab)?;
///     table.add(name, &inversion.judge(&evaluator, &halves.members)?);
/// }
/// assert_eq!(table.frame()?.height(), 2);
/// # Ok::<(), freelunch::Error>(())
/// ```
#[derive(Clone, Serialize, Deserialize)]
pub struct InversionTable {
    title: String,
    rows: Vec<(String, InversionReport)>,
}

/// A number of one picture.
type Value = fn(&Likeness) -> Option<f64>;

impl InversionTable {
    /// An empty table.
    #[must_use]
    pub fn new(title: &str) -> Self {
        Self { title: title.to_string(), rows: vec![] }
    }

    /// Adds a report under a name such as "DP-SGD, ε = 1".
    pub fn add(&mut self, name: &str, report: &InversionReport) {
        self.rows.push((name.to_string(), report.clone()));
    }

    /// Names and reports.
    #[must_use]
    pub fn rows(&self) -> &[(String, InversionReport)] {
        &self.rows
    }

    /// The control and the inversions: name, the target's confidence, judged pictures.
    fn lines(&self) -> Vec<(String, Option<f64>, &[Likeness])> {
        let control = self.rows.iter().map(|(_, report)| report.control()).find(|control| !control.is_empty());
        let mut lines: Vec<(String, Option<f64>, &[Likeness])> =
            control.map(|rows| ("public class means (no attack)".to_string(), None, rows)).into_iter().collect();
        lines.extend(self.rows.iter().map(|(name, report)| (name.clone(), Some(report.confidence()), report.rows())));
        lines
    }

    /// The rows as a polars table: the control first, if there is one; null where there is no picture.
    ///
    /// # Errors
    /// None in practice: all columns have one value per row.
    pub fn frame(&self) -> Result<DataFrame> {
        let lines = self.lines();
        let numbers = |name: &str, value: &dyn Fn(&[Likeness]) -> Option<f64>| -> Column {
            Column::new(name.into(), lines.iter().map(|(_, _, rows)| value(rows)).collect::<Vec<Option<f64>>>())
        };
        let rate = |rows: &[Likeness]| super::report::accuracy(rows);
        let mut columns = vec![
            Column::new("name".into(), lines.iter().map(|(name, _, _)| name.as_str()).collect::<Vec<&str>>()),
            Column::new("confidence".into(), lines.iter().map(|(_, sure, _)| *sure).collect::<Vec<Option<f64>>>()),
            numbers("recognised", &|rows| rate(rows).map(|rate: Rate| rate.value())),
            numbers("recognised_low", &|rows| rate(rows).map(|rate: Rate| rate.low)),
            numbers("recognised_high", &|rows| rate(rows).map(|rate: Rate| rate.high)),
        ];
        let values: [(&str, Value); 4] = [
            ("ssim_class_mean", |row| row.ssim_mean),
            ("ssim_nearest_record", |row| row.ssim_nearest),
            ("l2_class_mean", |row| Some(row.l2_mean)),
            ("l2_nearest_record", |row| Some(row.l2_nearest)),
        ];
        for (name, value) in values {
            columns.push(numbers(name, &|rows| InversionReport::mean(rows, value).map(|mean| mean.mean)));
            columns.push(numbers(&format!("{name}_low"), &|rows| InversionReport::mean(rows, value).map(|mean| mean.low)));
            columns.push(numbers(&format!("{name}_high"), &|rows| InversionReport::mean(rows, value).map(|mean| mean.high)));
        }
        DataFrame::new(lines.len(), columns).map_err(|e| error::Error::table("inversions", e))
    }

    /// Writes `inversions.csv`, .svg, .png, .html and .json into a folder, which is made if needed.
    ///
    /// # Errors
    /// [`crate::Error::Io`] when the folder cannot be written, [`crate::Error::Figure`] when the figure cannot be drawn.
    pub fn save(&self, folder: impl AsRef<Path>) -> Result<()> {
        crate::file::save_report(folder.as_ref(), "inversions", "inversions.json", self.frame()?, self, &self.figure())
    }

    /// One row a class: the private and the public mean, then what each attack found.
    fn gallery(&self) -> Option<Figure> {
        let (_, first) = self.rows.first()?;
        let mut columns = first.columns();
        columns.pop();
        for (name, report) in &self.rows {
            columns.extend(report.columns().pop().map(|column| Pictures { name: name.clone(), ..column }));
        }
        side_by_side(&first.names(), &columns)
    }
}

impl Show for InversionTable {
    fn figure(&self) -> Figure {
        let Some((_, first)) = self.rows.first() else {
            return Figure::text(format!("{}: no inversion yet; table.add(name, &report)", self.title));
        };
        let mut headers = vec!["attack on", "target's confidence"];
        headers.extend(InversionReport::HEADERS);
        let mut table = Table::new(headers);
        for (name, sure, rows) in self.lines() {
            table = table.row([vec![Cell::from(name), Cell::from(sure)], InversionReport::cells(rows).to_vec()].concat());
        }
        let caption = format!("{} A target that is sure proves nothing: the search made it so.", first.words());
        Figure::column(self.gallery().into_iter().chain([table.figure()])).titled(&self.title).captioned(&caption)
    }
}

show_inline!(InversionTable);

impl fmt::Debug for InversionTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "InversionTable({}, {} rows)", self.title, self.rows.len())
    }
}
