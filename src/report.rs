//! The answer in one place: every pipeline with its accuracy, its proven ε and its measured leakage, as a table and a figure.
//!
//! [`Report::measure`] adds a row for a pipeline and an attack; [`Report::by_method`] puts all attacks on a pipeline into one row.
//!
//! # Example
//! ```
//! use freelunch::prelude::*;
//! let lab = Lab::new()?.quiet();
//! let pipeline = Pipeline::direct(Train::new(Arch::Logistic).with_epochs(1));
//! let signals = Game::new(4).play(&pipeline, &Dataset::toy(), &lab)?;
//! let mut report = Report::new("toy");
//! report.measure(&signals, &LossThreshold::new())?;
//! assert_eq!(report.frame().height(), 1);
//! # Ok::<(), Error>(())
//! ```

mod frontier;
mod summary;

pub use summary::{Found, MethodSummary, Summary};

use crate::attack::{Attack, Scores, Signals};
use crate::audit::{ClopperPearson, LowerBound, Selection};
use crate::display::{Figure, Plot, Show, Table, show_inline};
use crate::roc::{Roc, RocSet, TprAt};
use crate::stats::{Estimate, MeanInterval};
use crate::{Lab, Result};
use polars::prelude::{Column, DataFrame};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::Path;

/// Pipelines beside each other.
#[derive(Clone, Serialize, Deserialize)]
pub struct Report {
    title: String,
    records: Option<Vec<usize>>,
    rows: Vec<Row>,
}

/// One pipeline under one attack.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// What the models learned from.
    pub method: String,
    /// Test accuracy over the shadow runs, 0..1, with a 95 % Student interval, if the game tested.
    pub accuracy: Option<MeanInterval>,
    /// The proven ε; ∞ when nothing is proven.
    pub epsilon: f64,
    /// The ε that this attack proves to be lost, at δ = 1e-5 and taking trials as independent: Clopper-Pearson at the best of ten thresholds,
    /// corrected for the choice. Its confidence is 99.6 %, so that the largest of up to twelve attacks on a pipeline holds at 95 %.
    pub lower: LowerBound,
    /// The attack.
    pub attack: String,
    /// Area under the ROC curve; 0.5 is guessing.
    pub auc: Estimate,
    /// True positive rate at a false positive rate of at most 1 %.
    pub tpr_at_1_percent: TprAt,
    /// True positive rate at a false positive rate of at most 0.1 %.
    pub tpr_at_01_percent: TprAt,
    /// Shadow runs.
    pub runs: usize,
    /// Seconds the game took.
    pub seconds: f64,
    /// Seed of the lab.
    pub seed: u64,
    /// Which records were counted.
    pub counted: String,
    /// The pipeline with all its parameters.
    pub pipeline: serde_json::Value,
    /// The game's parameters.
    pub game: serde_json::Value,
    /// The curve.
    pub roc: Roc,
}

impl Report {
    /// With fewer shadow runs the left-out target visibly tilts an attack that fits both groups of a record.
    const ENOUGH_RUNS: usize = 16;

    /// An empty report.
    #[must_use]
    pub fn new(title: &str) -> Self {
        Self { title: title.to_string(), records: None, rows: vec![] }
    }

    /// The same report counting only these records of the pool. Without this it counts the canaries if the game marked any, and all
    /// records otherwise.
    #[must_use]
    pub fn on_records(mut self, records: &[usize]) -> Self {
        self.records = Some(records.to_vec());
        self
    }

    /// Attacks the models of a game and adds a row.
    ///
    /// # Errors
    /// What the attack answers.
    pub fn measure(&mut self, signals: &Signals, attack: &dyn Attack) -> Result<()> {
        let marked = signals.marked_records();
        let scores = Scores::of(attack, signals)?;
        let (records, counted) = match &self.records {
            Some(records) => (records.clone(), format!("{} chosen records", records.len())),
            None if !marked.is_empty() => (marked.clone(), format!("the {} canaries", marked.len())),
            None => ((0..signals.len()).collect(), format!("all {} records", signals.len())),
        };
        let roc = scores.roc_of(&records)?;
        let (values, membership) = scores.trials_of(&records);
        // Thresholds at fixed ranks draw no random numbers, so any lab will do.
        let audit = ClopperPearson::new(Selection::Bonferroni { candidates: 10 }).with_confidence(0.996);
        let mut lower = audit.audit(&values, &membership, &Lab::on(crate::Device::Cpu)?.quiet())?;
        lower.premise = Some(crate::audit::Premise::IndependentTrials);
        let manifest = signals.manifest();
        let accuracies: Vec<f64> = manifest.runs.iter().filter_map(|run| run.test_accuracy).collect();
        let accuracy = if accuracies.len() < 2 { None } else { Some(MeanInterval::new(&accuracies)?) };
        self.rows.push(Row {
            method: manifest.name.clone(),
            accuracy,
            epsilon: manifest.event.epsilon(crate::privacy::DELTA)?.value,
            lower,
            attack: attack.name(),
            auc: roc.auc(),
            tpr_at_1_percent: roc.tpr_at(0.01),
            tpr_at_01_percent: roc.tpr_at(0.001),
            runs: signals.models(),
            seconds: manifest.seconds,
            seed: manifest.seed,
            counted,
            pipeline: manifest.pipeline.clone(),
            game: manifest.game.clone(),
            roc,
        });
        Ok(())
    }

    /// The rows.
    #[must_use]
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// The curves of all rows, named after their methods.
    #[must_use]
    pub fn roc(&self) -> RocSet {
        let several = self.rows.iter().any(|row| row.attack != self.rows[0].attack);
        let name = |row: &Row| if several { format!("{}, {}", row.method, row.attack) } else { row.method.clone() };
        Roc::compare(self.rows.iter().map(|row| row.roc.clone().named(&name(row))))
    }

    /// The rows as a polars table: rates as numbers between 0 and 1, with the ends of their intervals.
    #[must_use]
    pub fn frame(&self) -> DataFrame {
        let numbers = |name: &str, value: &dyn Fn(&Row) -> Option<f64>| -> Column {
            Column::new(name.into(), self.rows.iter().map(value).collect::<Vec<Option<f64>>>())
        };
        let texts = |name: &str, value: &dyn Fn(&Row) -> &str| -> Column {
            Column::new(name.into(), self.rows.iter().map(value).collect::<Vec<&str>>())
        };
        let columns = vec![
            texts("method", &|row| &row.method),
            numbers("accuracy", &|row| row.accuracy.map(|a| a.mean)),
            numbers("accuracy_low", &|row| row.accuracy.map(|a| a.low)),
            numbers("accuracy_high", &|row| row.accuracy.map(|a| a.high)),
            numbers("epsilon", &|row| Some(row.epsilon)),
            numbers("epsilon_lower", &|row| Some(row.lower.epsilon)),
            texts("attack", &|row| &row.attack),
            numbers("auc", &|row| Some(row.auc.value)),
            numbers("auc_low", &|row| Some(row.auc.low)),
            numbers("auc_high", &|row| Some(row.auc.high)),
            numbers("tpr_at_1_percent", &|row| Some(row.tpr_at_1_percent.rate.value())),
            numbers("tpr_at_1_percent_low", &|row| Some(row.tpr_at_1_percent.rate.low)),
            numbers("tpr_at_1_percent_high", &|row| Some(row.tpr_at_1_percent.rate.high)),
            numbers("tpr_at_01_percent", &|row| Some(row.tpr_at_01_percent.rate.value())),
            numbers("tpr_at_01_percent_low", &|row| Some(row.tpr_at_01_percent.rate.low)),
            numbers("tpr_at_01_percent_high", &|row| Some(row.tpr_at_01_percent.rate.high)),
            numbers("runs", &|row| Some(row.runs as f64)),
            numbers("seconds", &|row| Some(row.seconds)),
        ];
        // All columns have one value per row, so this cannot fail.
        DataFrame::new(self.rows.len(), columns).unwrap_or_default()
    }

    /// Writes `report.csv`, `report.svg`, `report.png`, `report.html` and `manifest.json` into a folder, which is made if needed.
    ///
    /// # Errors
    /// [`crate::Error::Io`] when the folder cannot be written, [`crate::Error::Figure`] when the figure cannot be drawn.
    pub fn save(&self, folder: impl AsRef<Path>) -> Result<()> {
        crate::file::save_report(folder.as_ref(), "report", "manifest.json", self.frame(), self, &self.figure())
    }

    fn table(&self) -> Table {
        let interval = |value: f64, low: f64, high: f64| format!("{:.1} [{:.1}, {:.1}]", 100.0 * value, 100.0 * low, 100.0 * high);
        let mut table =
            Table::new(["trained on", "accuracy %", "ε ≤", "ε ≥", "attack", "AUC", "TPR % at FPR ≤ 1 %", "TPR % at FPR ≤ 0.1 %", "runs"]);
        for row in &self.rows {
            let rate = |at: &TprAt| interval(at.rate.value(), at.rate.low, at.rate.high);
            let epsilon = if row.epsilon.is_finite() { format!("{:.2}", row.epsilon) } else { "∞".into() };
            table = table.row([
                row.method.clone(),
                row.accuracy.map_or(String::new(), |a| interval(a.mean, a.low, a.high)),
                epsilon,
                format!("{:.2}", row.lower.epsilon),
                row.attack.clone(),
                row.auc.to_string(),
                rate(&row.tpr_at_1_percent),
                rate(&row.tpr_at_01_percent),
                row.runs.to_string(),
            ]);
        }
        let counted = distinct(self.rows.iter().map(|row| row.counted.clone()));
        let warnings = |at: fn(&Row) -> &TprAt| distinct(self.rows.iter().filter_map(|row| at(row).warning.clone()));
        let mut caption = format!(
            "On {counted}. Guessing: AUC 0.5, TPR = FPR. Intervals: 95 %. ε: add-or-remove-one, δ = 1e-5. ε ≤: proven, ∞ if nothing is. ε ≥: what the attack proves if trials are independent, at 99.6 % so that the best of twelve attacks holds at 95 %."
        );
        for (bound, text) in [("1 %", warnings(|row| &row.tpr_at_1_percent)), ("0.1 %", warnings(|row| &row.tpr_at_01_percent))] {
            if !text.is_empty() {
                caption.push_str(&format!(" At {bound}: {text}."));
            }
        }
        let fewest = self.rows.iter().map(|row| row.runs).min().unwrap_or(0);
        if fewest < Self::ENOUGH_RUNS {
            caption.push_str(&format!(
                " Only {fewest} runs: leaving the target out tilts LiRA below guessing (on noise AUC 0.41 with 4 runs, 0.49 with 16)."
            ));
        }
        table.captioned(&caption).measured_in(&self.frame())
    }
}

/// Texts joined, each once.
fn distinct(texts: impl Iterator<Item = String>) -> String {
    let mut once: Vec<String> = vec![];
    for text in texts {
        if !once.contains(&text) {
            once.push(text);
        }
    }
    once.join("; ")
}

impl Show for Report {
    fn figure(&self) -> Figure {
        if self.rows.is_empty() {
            return Figure::text("no measurement yet: report.measure(&signals, &attack)?").titled(&self.title);
        }
        let name = |row: &Row| format!("{}, {}", row.method, row.attack);
        let bars: Vec<(String, f64, f64, f64)> = self
            .rows
            .iter()
            .map(|row| (name(row), row.tpr_at_1_percent.rate))
            .map(|(name, rate)| (name, 100.0 * rate.value(), 100.0 * rate.low, 100.0 * rate.high))
            .collect();
        let bars: Vec<(&str, f64, f64, f64)> = bars.iter().map(|(name, v, l, h)| (name.as_str(), *v, *l, *h)).collect();
        let found = Plot::new("Members found")
            .x_label("TPR % at FPR ≤ 1 %")
            .bars(&bars)
            .vertical(1.0, "guessing")
            .caption("Bars: 95 % Clopper-Pearson interval.");
        let pictures = Figure::row([self.roc().figure(), found.figure()]);
        Figure::column([self.table().figure(), pictures]).titled(&self.title)
    }
}

show_inline!(Report);

impl fmt::Debug for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Report({}, {} rows)", self.title, self.rows.len())
    }
}
