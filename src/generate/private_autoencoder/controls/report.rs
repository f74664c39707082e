//! The comparison as a table, a figure, Markdown and a polars frame.

use super::{Control, EncoderControls};
use crate::data::Split;
use crate::display::{Figure, Plot, Show, Table, show_inline};
use crate::privacy::Event;
use crate::stats::MeanInterval;
use crate::{Dataset, Result};
use polars::prelude::{Column, DataFrame};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::Path;

/// What [`EncoderControls::measure`] found.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct EncoderReport {
    controls: EncoderControls,
    private: String,
    records: usize,
    public: String,
    tested_on: usize,
    seed: u64,
    event: Event,
    rows: Vec<EncoderRow>,
}

/// One control at one number of public records.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EncoderRow {
    /// What the classifier learned.
    pub control: Control,
    /// How many public records.
    pub records: usize,
    /// Mean test accuracy over the seeds, 0..1, with a 95 % Student interval.
    pub accuracy: MeanInterval,
}

impl EncoderReport {
    pub(super) fn new(
        controls: EncoderControls,
        private: &Dataset,
        public: &Split,
        event: Event,
        rows: Vec<EncoderRow>,
        seed: u64,
    ) -> Self {
        let (records, tested_on) = (private.len(), public.test.len());
        Self { controls, private: private.name().into(), records, public: public.train.name().into(), tested_on, seed, event, rows }
    }

    /// The rows, control by control.
    #[must_use]
    pub fn rows(&self) -> &[EncoderRow] {
        &self.rows
    }

    /// The row of one control at one number of public records.
    #[must_use]
    pub fn row(&self, control: Control, records: usize) -> Option<&EncoderRow> {
        self.rows.iter().find(|row| (row.control, row.records) == (control, records))
    }

    /// What the comparison did to the privacy of the private records: all encoders after each other.
    #[must_use]
    pub fn event(&self) -> &Event {
        &self.event
    }

    /// The rows as a polars table: accuracies between 0 and 1.
    #[must_use]
    pub fn frame(&self) -> DataFrame {
        let numbers = |name: &str, value: &dyn Fn(&EncoderRow) -> f64| -> Column {
            Column::new(name.into(), self.rows.iter().map(value).collect::<Vec<f64>>())
        };
        let columns = vec![
            Column::new("learned".into(), self.rows.iter().map(|row| row.control.to_string()).collect::<Vec<String>>()),
            numbers("public_records", &|row| row.records as f64),
            numbers("accuracy", &|row| row.accuracy.mean),
            numbers("accuracy_low", &|row| row.accuracy.low),
            numbers("accuracy_high", &|row| row.accuracy.high),
            numbers("seeds", &|row| row.accuracy.n as f64),
        ];
        // All columns have one value per row, so this cannot fail.
        DataFrame::new(self.rows.len(), columns).unwrap_or_default()
    }

    /// One line for each control, one column for each number of public records, as Markdown.
    #[must_use]
    pub fn to_markdown(&self) -> String {
        let headers = self.headers();
        let mut lines = vec![format!("| {} |", headers.join(" | ")), format!("|{}", "---|".repeat(headers.len()))];
        lines.extend(Control::ALL.iter().map(|&control| format!("| {} |", self.cells(control).join(" | "))));
        lines.join("\n")
    }

    /// Writes `encoder.csv`, `encoder.svg`, `encoder.png`, `encoder.html` and `encoder.json` into a folder, which is made if needed.
    ///
    /// # Errors
    /// [`crate::Error::Io`] when the folder cannot be written, [`crate::Error::Figure`] when the figure cannot be drawn.
    pub fn save(&self, folder: impl AsRef<Path>) -> Result<()> {
        crate::file::save_report(folder.as_ref(), "encoder", "encoder.json", self.frame(), self, &self.figure())
    }

    fn headers(&self) -> Vec<String> {
        let sizes = self.controls.sizes.iter().map(|size| format!("{size} public records"));
        std::iter::once("learned".to_string()).chain(sizes).collect()
    }

    fn cells(&self, control: Control) -> Vec<String> {
        let rows = self.rows.iter().filter(|row| row.control == control).map(|row| &row.accuracy);
        let cells = rows.map(|a| format!("{:.1} [{:.1}, {:.1}]", 100.0 * a.mean, 100.0 * a.low, 100.0 * a.high));
        std::iter::once(control.to_string()).chain(cells).collect()
    }

    fn caption(&self) -> String {
        format!(
            "Test accuracy in %, mean of {} seeds with 95 % Student intervals; {} test records. Codes of {} numbers; the private encoder \
             learned {} records of {}; public records: {}; seed {}. A control that does as well needed no private record.",
            self.controls.seeds, self.tested_on, self.controls.autoencoder.code, self.records, self.private, self.public, self.seed
        )
    }
}

impl Show for EncoderReport {
    fn figure(&self) -> Figure {
        let mut table = Table::new(self.headers());
        let mut plot = Plot::new("Test accuracy").x_label("public records").y_label("accuracy %");
        // A logarithmic axis needs more than one place.
        plot = if self.controls.sizes.len() > 1 { plot.log_x() } else { plot };
        for control in Control::ALL {
            table = table.row(self.cells(control));
            let rows: Vec<&EncoderRow> = self.rows.iter().filter(|row| row.control == control).collect();
            let at = |row: &EncoderRow| (row.records as f64, 100.0 * row.accuracy.mean);
            let ends = |row: &EncoderRow| (100.0 * row.accuracy.low.max(0.0), 100.0 * row.accuracy.high.min(1.0));
            let name = control.to_string();
            let line: Vec<(f64, f64)> = rows.iter().map(|row| at(row)).collect();
            let bars: Vec<(f64, f64, f64, f64)> = rows.iter().map(|row| (at(row).0, at(row).1, ends(row).0, ends(row).1)).collect();
            plot = plot.line(&name, &line).error_bars(&name, &bars);
        }
        let title = format!("What the private records of {} added: {}", self.private, self.controls.autoencoder.name());
        Figure::column([table.captioned(&self.caption()).figure(), plot.figure()]).titled(&title)
    }
}

show_inline!(EncoderReport);

impl fmt::Debug for EncoderReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EncoderReport({} on {}, {} rows)", self.controls.autoencoder.name(), self.private, self.rows.len())
    }
}
