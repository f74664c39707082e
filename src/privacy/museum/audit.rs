//! Every exhibit under the same audit: the ε it claims, the ε it has, and the ε that an attacker can prove.

use super::{Exhibit, Museum};
use crate::display::number::significant;
use crate::display::{Figure, Plot, Show, Table, show_inline};
use crate::{Lab, Result};
use polars::prelude::{Column, DataFrame};
use serde::{Deserialize, Serialize};

/// What an audit of the museum found.
///
/// # Example
/// ```
/// use freelunch::{Lab, privacy::museum::museum};
/// let audit = museum().audit(2_000, 1e-5, &Lab::new()?.seed(1).quiet())?;
/// assert!(audit.findings().iter().all(|found| found.right < found.claimed));
/// # Ok::<(), freelunch::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MuseumAudit {
    runs: usize,
    delta: f64,
    seed: u64,
    findings: Vec<Finding>,
}

/// One exhibit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// Which.
    pub exhibit: Exhibit,
    /// The ε that its account states.
    pub claimed: f64,
    /// The ε that the wrong version could state for any records; ∞ where there is none. On the exhibit's own ten records less may be lost.
    pub actual: f64,
    /// What an audit proves of the wrong version: ε is at least this, with 95 % confidence.
    pub wrong: f64,
    /// The same of the right version.
    pub right: f64,
}

impl Finding {
    /// Whether the audit disproves the claim.
    #[must_use]
    pub fn disproved(&self) -> bool {
        self.wrong > self.claimed
    }
}

impl Museum {
    /// Runs every exhibit, right and wrong, `runs` times with and without its target, and bounds ε at `delta` from what comes out.
    ///
    /// # Errors
    /// [`Error::Config`](crate::Error::Config) for fewer than 100 runs or a δ outside (0, 1).
    pub fn audit(&self, runs: usize, delta: f64, lab: &Lab) -> Result<MuseumAudit> {
        let mut findings = vec![];
        for &exhibit in &self.exhibits {
            findings.push(Finding {
                exhibit,
                claimed: exhibit.claimed().epsilon(delta)?.value,
                actual: exhibit.actual().epsilon(delta)?.value,
                wrong: exhibit.empirical_epsilon(false, runs, delta, lab)?,
                right: exhibit.empirical_epsilon(true, runs, delta, lab)?,
            });
        }
        Ok(MuseumAudit { runs, delta, seed: lab.seed_value(), findings })
    }
}

impl MuseumAudit {
    /// One for each exhibit.
    #[must_use]
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// One row per exhibit: `exhibit`, `claimed`, `actual`, `audit_of_wrong`, `audit_of_right`.
    #[must_use]
    pub fn frame(&self) -> DataFrame {
        let numbers = |name: &str, of: &dyn Fn(&Finding) -> f64| Column::new(name.into(), self.findings.iter().map(of).collect::<Vec<_>>());
        let names: Vec<&str> = self.findings.iter().map(|found| found.exhibit.name()).collect();
        let columns = vec![
            Column::new("exhibit".into(), names),
            numbers("claimed", &|found| found.claimed),
            numbers("actual", &|found| found.actual),
            numbers("audit_of_wrong", &|found| found.wrong),
            numbers("audit_of_right", &|found| found.right),
        ];
        // All columns have one value per row, so this cannot fail.
        DataFrame::new(self.findings.len(), columns).unwrap_or_default()
    }
}

impl Show for MuseumAudit {
    fn figure(&self) -> Figure {
        let mut table = Table::new([
            "exhibit",
            "ε claimed",
            "ε of what it does, for any records",
            "audit: ε ≥",
            "audit of the right version: ε ≥",
            "claim",
            "how it is found",
        ]);
        for found in &self.findings {
            let [claimed, actual, wrong, right] =
                [found.claimed, found.actual, found.wrong, found.right].map(|value| significant(value, 3));
            let verdict = if found.disproved() { "disproved" } else { "not disproved by the audit" };
            table = table.row([found.exhibit.name(), &claimed, &actual, &wrong, &right, verdict, found.exhibit.how_found()]);
        }
        let at = |of: fn(&Finding) -> f64| -> Vec<(f64, f64)> {
            self.findings.iter().enumerate().map(|(i, f)| (i as f64 + 1.0, of(f))).collect()
        };
        let most = self.findings.iter().fold(1.0f64, |most, found| most.max(found.claimed).max(found.wrong));
        let names: Vec<String> = self.findings.iter().enumerate().map(|(i, f)| format!("{}: {}", i + 1, f.exhibit.name())).collect();
        let caption = format!(
            "δ = {:e}, {} runs each way, seed {}, bounds of 95 % confidence. {}",
            self.delta,
            self.runs,
            self.seed,
            names.join(", ")
        );
        let plot = Plot::new("Claimed above, proven below")
            .x_label("exhibit")
            .y_label("ε")
            .x_range(0.5, self.findings.len() as f64 + 0.5)
            .y_range(0.0, 1.1 * most)
            .points("claimed (upper bound)", &at(|found| found.claimed))
            .points("audit of the wrong version (lower bound)", &at(|found| found.wrong))
            .points("audit of the right version (lower bound)", &at(|found| found.right));
        Figure::column([table.figure(), plot.figure()]).titled("The bug museum under audit").captioned(&caption)
    }
}

show_inline!(MuseumAudit);
