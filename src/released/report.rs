//! All attacks on one release beside each other, and why some do not apply.

use super::Released;
use crate::data::Membership;
use crate::display::{Figure, Show, Table, show_inline};
use crate::privacy::Event;
use crate::roc::{Roc, RocSet};
use crate::{Lab, Result};
use polars::prelude::{Column, DataFrame};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::Path;

/// What [`Released::attack_all`] found.
///
/// # Example
/// ```
/// use freelunch::prelude::*;
/// use freelunch::released::Released;
/// let lab = Lab::new()?.quiet();
/// let halves = Dataset::toy().members(30, &lab)?;
/// let encoder = PrivateAutoencoder::new(4, 1.0).with_epochs(1).with_batch(15).fit(&halves.members, &lab)?;
/// let report = Released::from(encoder).attack_all(&halves, Some(&Dataset::toy()), &lab)?;
/// assert_eq!(report.frame().height(), report.rows().len());
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct ReleaseReport {
    released: String,
    kind: String,
    event: Event,
    members: usize,
    non_members: usize,
    seed: u64,
    rows: Vec<ReleaseRow>,
}

/// One attack.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReleaseRow {
    /// The attack's name.
    pub attack: String,
    /// Its parameters.
    pub config: serde_json::Value,
    /// What it achieved.
    pub outcome: Outcome,
}

/// What an attack achieved.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Outcome {
    /// Its curve.
    Measured(Roc),
    /// Why it cannot attack this release.
    DoesNotApply(String),
}

impl Outcome {
    /// The curve, if there is one.
    #[must_use]
    pub fn roc(&self) -> Option<&Roc> {
        match self {
            Self::Measured(roc) => Some(roc),
            Self::DoesNotApply(_) => None,
        }
    }
}

impl ReleaseReport {
    pub(super) fn new(released: &Released, truth: &Membership, rows: Vec<ReleaseRow>, lab: &Lab) -> Self {
        Self {
            released: released.name(),
            kind: released.kind().to_string(),
            event: released.event().clone(),
            members: truth.members.len(),
            non_members: truth.non_members.len(),
            seed: lab.seed_value(),
            rows,
        }
    }

    /// The rows, one for each attack of the library.
    #[must_use]
    pub fn rows(&self) -> &[ReleaseRow] {
        &self.rows
    }

    /// What was proven about the release.
    #[must_use]
    pub fn event(&self) -> &Event {
        &self.event
    }

    /// The curves of the attacks that apply.
    #[must_use]
    pub fn rocs(&self) -> RocSet {
        Roc::compare(self.rows.iter().filter_map(|row| row.outcome.roc().cloned()))
    }

    /// The rows as a polars table: rates between 0 and 1 with the ends of their intervals, null where the attack does not apply.
    #[must_use]
    pub fn frame(&self) -> DataFrame {
        let numbers = |name: &str, value: &dyn Fn(&Roc) -> f64| -> Column {
            Column::new(name.into(), self.rows.iter().map(|row| row.outcome.roc().map(value)).collect::<Vec<Option<f64>>>())
        };
        let why = |row: &ReleaseRow| match &row.outcome {
            Outcome::Measured(_) => None,
            Outcome::DoesNotApply(why) => Some(why.clone()),
        };
        let columns = vec![
            Column::new("attack".into(), self.rows.iter().map(|row| row.attack.as_str()).collect::<Vec<&str>>()),
            numbers("auc", &|roc| roc.auc().value),
            numbers("auc_low", &|roc| roc.auc().low),
            numbers("auc_high", &|roc| roc.auc().high),
            numbers("tpr_at_1_percent", &|roc| roc.tpr_at(0.01).rate.value()),
            numbers("tpr_at_1_percent_low", &|roc| roc.tpr_at(0.01).rate.low),
            numbers("tpr_at_1_percent_high", &|roc| roc.tpr_at(0.01).rate.high),
            numbers("tpr_at_01_percent", &|roc| roc.tpr_at(0.001).rate.value()),
            numbers("tpr_at_01_percent_low", &|roc| roc.tpr_at(0.001).rate.low),
            numbers("tpr_at_01_percent_high", &|roc| roc.tpr_at(0.001).rate.high),
            Column::new("does_not_apply".into(), self.rows.iter().map(why).collect::<Vec<Option<String>>>()),
        ];
        // All columns have one value per row, so this cannot fail.
        DataFrame::new(self.rows.len(), columns).unwrap_or_default()
    }

    /// Writes `release.csv`, `release.svg`, `release.png`, `release.html` and `release.json` into a folder, which is made if needed.
    ///
    /// # Errors
    /// [`crate::Error::Io`] when the folder cannot be written, [`crate::Error::Figure`] when the figure cannot be drawn.
    pub fn save(&self, folder: impl AsRef<Path>) -> Result<()> {
        crate::file::save_report(folder.as_ref(), "release", "release.json", self.frame(), self, &self.figure())
    }

    fn table(&self) -> Table {
        let mut table = Table::new(["attack", "AUC", "TPR at 1 % FPR", "TPR at 0.1 % FPR", "does not apply"]);
        for row in &self.rows {
            let mut cells = vec![row.attack.clone()];
            match &row.outcome {
                Outcome::Measured(roc) => {
                    let rates = [roc.tpr_at(0.01).rate, roc.tpr_at(0.001).rate];
                    cells.extend([roc.auc().to_string(), rates[0].to_string(), rates[1].to_string()]);
                }
                Outcome::DoesNotApply(why) => cells.extend(["".into(), "".into(), "".into(), why.clone()]),
            }
            table = table.row(cells);
        }
        let warning = self.rows.iter().filter_map(|row| row.outcome.roc()).find_map(|roc| roc.tpr_at(0.001).warning);
        let warning = warning.map_or_else(String::new, |text| format!(" At 0.1 %: {text}."));
        let caption = format!(
            "{} members, {} non-members, seed {}. Guessing: AUC 0.5, TPR = FPR. Intervals: 95 %, of this release.{warning} Proven: {}.",
            self.members, self.non_members, self.seed, self.event
        );
        table.captioned(&caption)
    }
}

impl Show for ReleaseReport {
    fn figure(&self) -> Figure {
        let rocs = self.rocs();
        let curves = (!rocs.curves().is_empty()).then(|| rocs.figure());
        Figure::column(std::iter::once(self.table().figure()).chain(curves))
            .titled(&format!("Attacks on the {} {}", self.kind, self.released))
    }
}

show_inline!(ReleaseReport);

impl fmt::Debug for ReleaseReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ReleaseReport({} {}, {} attacks of {})", self.kind, self.released, self.rocs().curves().len(), self.rows.len())
    }
}
