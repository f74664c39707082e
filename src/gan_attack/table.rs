//! The attack against several defences beside each other.

use super::GanAttackReport;
use crate::display::{Figure, Plot, Show, Table, show_inline};
use crate::stats::Rate;
use crate::{Error, Result};
use polars::prelude::{Column, DataFrame};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::Path;

/// Reports by name, each with the accuracy that the shared model still has: a defence that ruins the model protects easily.
///
/// # Example
/// ```
/// use freelunch::gan_attack::{GanAttack, GanAttackTable};
/// use freelunch::prelude::*;
/// let lab = Lab::new()?.quiet();
/// let halves = Dataset::toy().members(50, &lab)?;
/// let (victim, others) = (&halves.members, &halves.non_members);
/// let evaluator = Train::new(Arch::mlp()).with_epochs(5).fit(others, &lab)?;
/// let own = others.subset(&others.of_class(0))?;
/// let mut table = GanAttackTable::new("toy");
/// for (name, train) in [("raw", Train::new(Arch::mlp())), ("DP-SGD", Train::new(Arch::mlp()).with_privacy(DpSgd::new(1.0)))] {
///     let model = train.with_epochs(2).with_batch(25).fit(victim, &lab)?;
///     let report = GanAttack::small(3).with_own(&own).invert(&model, 2, &lab)?.judge(&evaluator, victim, others, &lab)?;
///     table.add(name, &report, model.accuracy(others)?);
/// }
/// assert_eq!(table.frame()?.height(), 2);
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone, Serialize, Deserialize)]
pub struct GanAttackTable {
    title: String,
    rows: Vec<GanAttackRow>,
}

/// One defence.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct GanAttackRow {
    /// Its name.
    pub name: String,
    /// What the attack achieved.
    pub report: GanAttackReport,
    /// Test accuracy of the shared model.
    pub accuracy: Rate,
}

impl GanAttackTable {
    /// An empty table.
    #[must_use]
    pub fn new(title: &str) -> Self {
        Self { title: title.to_string(), rows: vec![] }
    }

    /// Adds a defence: what the attack achieved, and the test accuracy of the last shared model.
    pub fn add(&mut self, name: &str, report: &GanAttackReport, accuracy: Rate) {
        self.rows.push(GanAttackRow { name: name.to_string(), report: report.clone(), accuracy });
    }

    /// The defences.
    #[must_use]
    pub fn rows(&self) -> &[GanAttackRow] {
        &self.rows
    }

    /// The rows as a polars table: shares between 0 and 1 with the ends of their intervals, distances per value.
    ///
    /// # Errors
    /// [`Error::Table`] when polars refuses.
    pub fn frame(&self) -> Result<DataFrame> {
        let rates = |name: &str, value: &dyn Fn(&Rate) -> f64| -> Column {
            Column::new(name.into(), self.rows.iter().map(|row| value(&row.accuracy)).collect::<Vec<f64>>())
        };
        let mut columns = vec![
            Column::new("defence".into(), self.rows.iter().map(|row| row.name.as_str()).collect::<Vec<&str>>()),
            Column::new("proven".into(), self.rows.iter().map(|row| row.report.event().to_string()).collect::<Vec<String>>()),
            rates("accuracy", &Rate::value),
            rates("accuracy_low", &|rate| rate.low),
            rates("accuracy_high", &|rate| rate.high),
        ];
        let numbers: Vec<_> = self.rows.iter().map(|row| row.report.numbers()).collect();
        for (i, (name, _)) in numbers.first().into_iter().flatten().enumerate() {
            let values: Vec<Option<f64>> = numbers.iter().map(|row| row.get(i).and_then(|(_, value)| *value)).collect();
            columns.push(Column::new((*name).into(), values));
        }
        DataFrame::new(self.rows.len(), columns).map_err(|e| Error::table("GAN attack", e))
    }

    /// Writes `gan_table.csv`, `gan_table.svg`, `gan_table.png`, `gan_table.html` and `gan_table.json` into a folder, which is made if needed.
    ///
    /// # Errors
    /// [`Error::Io`] when the folder cannot be written, [`Error::Figure`] when the figure cannot be drawn.
    pub fn save(&self, folder: impl AsRef<Path>) -> Result<()> {
        crate::file::save_report(folder.as_ref(), "gan_table", "gan_table.json", self.frame()?, self, &self.figure())
    }

    fn table(&self) -> Table {
        let mut table = Table::new([
            "defence",
            "accuracy of the shared model",
            "taken for the class by others",
            "untrained generator",
            "relative distance",
            "spread",
            "p: no more than the class",
            "proven",
        ]);
        let text = |rate: Option<Rate>| rate.map_or_else(String::new, |rate| rate.to_string());
        let number = |value: Option<f64>| value.map_or_else(String::new, |value| format!("{value:.2}"));
        for GanAttackRow { name, report, accuracy } in &self.rows {
            table = table.row([
                name.clone(),
                accuracy.to_string(),
                report.recognised().to_string(),
                text(report.recognised_untrained()),
                number(report.relative_distance()),
                number(report.spread()),
                format!("{:.3}", report.distances().p_value),
                report.event().to_string(),
            ]);
        }
        table
    }

    fn caption(&self) -> String {
        let warned = self.rows.iter().filter(|row| row.report.result().warning().is_some()).count();
        let warning =
            if warned > 0 { format!(" Warning: in {warned} rows the attacker owned records of the target class.") } else { String::new() };
        format!(
            "One federation and one generator a row. Intervals: 95 % Clopper-Pearson over test records and over the images of that generator. \
             Relative distance: to the victim's records, where other records of the class lie at 1; spread: where those have 1. A small p: more \
             than the class is lost. Differential privacy of records does not promise to hide a class.{warning}"
        )
    }
}

impl Show for GanAttackTable {
    fn figure(&self) -> Figure {
        let percent = |rate: &Rate| [100.0 * rate.value(), 100.0 * rate.low, 100.0 * rate.high];
        let rates: Vec<(&str, [f64; 3])> = self.rows.iter().map(|row| (row.name.as_str(), percent(&row.report.recognised()))).collect();
        let bars: Vec<(&str, f64, f64, f64)> = rates.iter().map(|(name, [value, low, high])| (*name, *value, *low, *high)).collect();
        let plot = (!bars.is_empty())
            .then(|| Plot::new("Images taken for the class by others").x_label("%").x_range(0.0, 112.0).bars(&bars).figure());
        Figure::column(std::iter::once(self.table().figure()).chain(plot))
            .titled(&format!("The GAN attack on {}", self.title))
            .captioned(&self.caption())
    }
}

show_inline!(GanAttackTable);

impl fmt::Debug for GanAttackTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GanAttackTable({}, {} rows)", self.title, self.rows.len())
    }
}
