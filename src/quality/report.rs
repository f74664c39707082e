//! The measured accuracies as a table, a figure, Markdown and a polars frame.

use super::Published;
use crate::display::{Figure, Plot, Show, Table, show_inline};
use crate::stats::MeanInterval;
use crate::{Dataset, Error, Result};
use polars::prelude::{Column, DataFrame};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::Path;

/// What [`Quality::measure`](super::Quality::measure) found.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct QualityReport {
    dataset: String,
    records: usize,
    tested_on: usize,
    seed: u64,
    rows: Vec<QualityRow>,
}

/// One method, size and architecture.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct QualityRow {
    /// The condenser.
    pub method: String,
    /// Records per class; none for the whole set.
    pub per_class: Option<usize>,
    /// The architecture that learned.
    pub arch: String,
    /// Mean test accuracy, 0..1, with a 95 % Student interval.
    pub accuracy: MeanInterval,
    /// Networks for each condensation.
    pub networks: usize,
    /// Condensations.
    pub condensations: usize,
    /// Seconds of one condensation (of training, for the whole set).
    pub seconds: f64,
    /// What others published.
    pub published: Option<Published>,
    /// The method's parameters.
    pub config: serde_json::Value,
}

impl QualityReport {
    pub(super) fn new(train: &Dataset, tested_on: usize, rows: Vec<QualityRow>, seed: u64) -> Self {
        Self { dataset: train.name().to_string(), records: train.len(), tested_on, seed, rows }
    }

    /// The rows.
    #[must_use]
    pub fn rows(&self) -> &[QualityRow] {
        &self.rows
    }

    /// Both reports' rows in one; the second must be about the same data.
    ///
    /// # Errors
    /// [`Error::Mismatch`] when the data sets differ.
    pub fn and(mut self, other: Self) -> Result<Self> {
        if (&self.dataset, self.records, self.tested_on) != (&other.dataset, other.records, other.tested_on) {
            let what = format!("reports on {} ({} records) and {} ({})", self.dataset, self.records, other.dataset, other.records);
            return Err(Error::mismatch(what, "join reports on the same data"));
        }
        for row in other.rows {
            let known = self.rows.iter().any(|r| (&r.method, r.per_class, &r.arch) == (&row.method, row.per_class, &row.arch));
            if !known {
                self.rows.push(row);
            }
        }
        Ok(self)
    }

    /// The rows as a polars table: accuracies between 0 and 1.
    #[must_use]
    pub fn frame(&self) -> DataFrame {
        let numbers = |name: &str, value: &dyn Fn(&QualityRow) -> Option<f64>| -> Column {
            Column::new(name.into(), self.rows.iter().map(value).collect::<Vec<Option<f64>>>())
        };
        let texts = |name: &str, value: &dyn Fn(&QualityRow) -> &str| -> Column {
            Column::new(name.into(), self.rows.iter().map(value).collect::<Vec<&str>>())
        };
        let columns = vec![
            texts("method", &|row| &row.method),
            numbers("per_class", &|row| row.per_class.map(|n| n as f64)),
            texts("arch", &|row| &row.arch),
            numbers("accuracy", &|row| Some(row.accuracy.mean)),
            numbers("accuracy_low", &|row| Some(row.accuracy.low)),
            numbers("accuracy_high", &|row| Some(row.accuracy.high)),
            numbers("networks", &|row| Some(row.networks as f64)),
            numbers("condensations", &|row| Some(row.condensations as f64)),
            numbers("seconds", &|row| Some(row.seconds)),
            numbers("published", &|row| row.published.as_ref().map(|p| p.accuracy)),
            texts("published_by", &|row| row.published.as_ref().map_or("", |p| &p.source)),
        ];
        // All columns have one value per row, so this cannot fail.
        DataFrame::new(self.rows.len(), columns).unwrap_or_default()
    }

    /// The rows as a Markdown table.
    #[must_use]
    pub fn to_markdown(&self) -> String {
        let mut lines = vec![format!("| {} |", Self::HEADERS.join(" | ")), format!("|{}", "---|".repeat(Self::HEADERS.len()))];
        lines.extend(self.rows.iter().map(|row| format!("| {} |", row.cells().join(" | "))));
        lines.join("\n")
    }

    /// Writes `quality.csv`, `quality.svg`, `quality.png`, `quality.html` and `quality.json` into a folder, which is made if needed.
    ///
    /// # Errors
    /// [`Error::Io`] when the folder cannot be written, [`Error::Figure`] when the figure cannot be drawn.
    pub fn save(&self, folder: impl AsRef<Path>) -> Result<()> {
        crate::file::save_report(folder.as_ref(), "quality", "quality.json", self.frame(), self, &self.figure())
    }

    const HEADERS: [&str; 7] = ["method", "per class", "network", "accuracy %", "measured on", "minutes", "published %"];

    fn caption(&self) -> String {
        let sources = self.rows.iter().filter_map(|row| row.published.as_ref().map(|p| p.source.clone()));
        let mut once: Vec<String> = vec![];
        for source in sources {
            if !once.contains(&source) {
                once.push(source);
            }
        }
        let mut caption = format!(
            "{}: {} training and {} test records, seed {}. 95 % Student intervals: over condensations where there are several, else over \
             networks. Minutes: of one condensation.",
            self.dataset, self.records, self.tested_on, self.seed
        );
        if !once.is_empty() {
            caption
                .push_str(&format!(" Published: {}; full size (width 128), other recipes: not a comparison of methods.", once.join("; ")));
        }
        caption
    }
}

impl QualityRow {
    fn cells(&self) -> Vec<String> {
        let a = &self.accuracy;
        let count = match (self.per_class, self.condensations) {
            (None, _) => format!("{} networks", self.networks),
            (_, 1) => format!("1 set × {}", self.networks),
            (_, s) => format!("{s} sets × {}", self.networks),
        };
        vec![
            self.method.clone(),
            self.per_class.map_or_else(|| "all".into(), |n| n.to_string()),
            self.arch.clone(),
            format!("{:.1} [{:.1}, {:.1}]", 100.0 * a.mean, 100.0 * a.low, 100.0 * a.high),
            count,
            format!("{:.1}", self.seconds / 60.0),
            self.published.as_ref().map_or_else(String::new, |p| format!("{:.1}", 100.0 * p.accuracy)),
        ]
    }
}

impl Show for QualityReport {
    fn figure(&self) -> Figure {
        let mut table = Table::new(Self::HEADERS);
        for row in &self.rows {
            table = table.row(row.cells());
        }
        let several = self.rows.iter().any(|row| row.arch != self.rows[0].arch);
        let name = |row: &QualityRow| {
            let size = row.per_class.map_or_else(String::new, |n| format!(", {n} per class"));
            if several { format!("{}{size}, {}", row.method, row.arch) } else { format!("{}{size}", row.method) }
        };
        let named: Vec<(String, &MeanInterval)> = self.rows.iter().map(|row| (name(row), &row.accuracy)).collect();
        let bars: Vec<(&str, f64, f64, f64)> =
            named.iter().map(|(name, a)| (name.as_str(), 100.0 * a.mean, 100.0 * a.low.max(0.0), 100.0 * a.high.min(1.0))).collect();
        let plot = Plot::new("Test accuracy").x_label("accuracy %").bars(&bars);
        let title = format!("Quality of condensed sets: {}", self.dataset);
        Figure::column([table.captioned(&self.caption()).figure(), plot.figure()]).titled(&title)
    }
}

show_inline!(QualityReport);

impl fmt::Debug for QualityReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "QualityReport({}, {} rows)", self.dataset, self.rows.len())
    }
}
