//! A report with one row for each pipeline: what it costs in accuracy, what is proven, and what every attack finds.

use super::{Report, Row};
use crate::Result;
use crate::display::{Figure, Plot, Show, Table, show_inline};
use crate::roc::TprAt;
use crate::stats::{Estimate, MeanInterval};
use polars::prelude::{Column, DataFrame};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Pipelines × attacks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    title: String,
    counted: String,
    attacks: Vec<String>,
    methods: Vec<MethodSummary>,
}

/// One pipeline.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MethodSummary {
    /// What the models learned from.
    pub method: String,
    /// Test accuracy over the runs, 0..1, with a 95 % Student interval, if the game tested.
    pub accuracy: Option<MeanInterval>,
    /// The proven ε; ∞ when nothing is proven.
    pub epsilon: f64,
    /// The largest ε that an attack proves to be lost; of up to twelve attacks it holds at 95 % ([`Row::lower`]).
    pub lower: f64,
    /// One for each attack of the summary; none where it was not measured.
    pub found: Vec<Option<Found>>,
}

/// What one attack found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Found {
    /// The attack.
    pub attack: String,
    /// Area under the ROC curve.
    pub auc: Estimate,
    /// True positive rate at a false positive rate of at most 1 %.
    pub tpr_at_1_percent: TprAt,
    /// True positive rate at a false positive rate of at most 0.1 %.
    pub tpr_at_01_percent: TprAt,
    /// The ε that it proves to be lost ([`Row::lower`]).
    pub lower: f64,
}

impl MethodSummary {
    /// The measurement with the largest TPR at FPR ≤ 1 %; of equal ones the first.
    #[must_use]
    pub fn strongest(&self) -> Option<&Found> {
        let tpr = |found: &Found| found.tpr_at_1_percent.rate.value();
        self.found.iter().flatten().fold(None, |best: Option<&Found>, found| match best {
            Some(best) if tpr(best) >= tpr(found) => Some(best),
            _ => Some(found),
        })
    }
}

impl Report {
    /// One row for each pipeline with what every attack found.
    #[must_use]
    pub fn by_method(&self) -> Summary {
        let (mut attacks, mut methods): (Vec<String>, Vec<String>) = (vec![], vec![]);
        for row in &self.rows {
            if !attacks.contains(&row.attack) {
                attacks.push(row.attack.clone());
            }
            if !methods.contains(&row.method) {
                methods.push(row.method.clone());
            }
        }
        let found = |row: &Row| Found {
            attack: row.attack.clone(),
            auc: row.auc,
            tpr_at_1_percent: row.tpr_at_1_percent.clone(),
            tpr_at_01_percent: row.tpr_at_01_percent.clone(),
            lower: row.lower.epsilon,
        };
        let summarise = |method: String| {
            let of_method = || self.rows.iter().filter(|row| row.method == method);
            let found: Vec<Option<Found>> = attacks.iter().map(|attack| of_method().find(|row| row.attack == *attack).map(found)).collect();
            MethodSummary {
                accuracy: of_method().next().and_then(|row| row.accuracy),
                epsilon: of_method().next().map_or(f64::INFINITY, |row| row.epsilon),
                lower: found.iter().flatten().map(|found| found.lower).fold(0.0, f64::max),
                found,
                method: method.clone(),
            }
        };
        let counted = self.rows.first().map_or(String::new(), |row| row.counted.clone());
        let methods = methods.into_iter().map(summarise).collect();
        Summary { title: self.title.clone(), counted, attacks, methods }
    }
}

impl Summary {
    /// Pipelines that a legend can name.
    const MOST_POINTS: usize = 10;

    /// The pipelines.
    #[must_use]
    pub fn methods(&self) -> &[MethodSummary] {
        &self.methods
    }

    /// The attacks, in the order of [`MethodSummary::found`].
    #[must_use]
    pub fn attacks(&self) -> &[String] {
        &self.attacks
    }

    /// One row per pipeline: `method`, `accuracy`, `epsilon`, `epsilon_lower`, `strongest`, and for every attack the TPR at FPR ≤ 1 % and 0.1 %
    /// as `ATTACK @1%` and `ATTACK @0.1%`.
    #[must_use]
    pub fn frame(&self) -> DataFrame {
        let numbers = |name: &str, of: &dyn Fn(&MethodSummary) -> Option<f64>| -> Column {
            Column::new(name.into(), self.methods.iter().map(of).collect::<Vec<Option<f64>>>())
        };
        let texts = |name: &str, of: &dyn Fn(&MethodSummary) -> String| -> Column {
            Column::new(name.into(), self.methods.iter().map(of).collect::<Vec<String>>())
        };
        let mut columns = vec![
            texts("method", &|method| method.method.clone()),
            numbers("accuracy", &|method| method.accuracy.map(|accuracy| accuracy.mean)),
            numbers("epsilon", &|method| Some(method.epsilon)),
            numbers("epsilon_lower", &|method| Some(method.lower)),
            texts("strongest", &|method| method.strongest().map_or(String::new(), |found| found.attack.clone())),
        ];
        for (at, attack) in self.attacks.iter().enumerate() {
            let of = |method: &MethodSummary, at_1: bool| -> Option<f64> {
                let found = method.found.get(at)?.as_ref()?;
                Some(if at_1 { found.tpr_at_1_percent.rate.value() } else { found.tpr_at_01_percent.rate.value() })
            };
            columns.push(numbers(&format!("{attack} @1%"), &|method| of(method, true)));
            columns.push(numbers(&format!("{attack} @0.1%"), &|method| of(method, false)));
        }
        // All columns have one value per method, so this cannot fail.
        DataFrame::new(self.methods.len(), columns).unwrap_or_default()
    }

    /// The table in Markdown: TPR at FPR ≤ 1 % in percent with its interval for every attack, the strongest in bold.
    #[must_use]
    pub fn to_markdown(&self) -> String {
        let mut lines = vec![format!("| {} |", self.headers().join(" | ")), format!("|{}", "---|".repeat(self.headers().len()))];
        lines.extend(self.methods.iter().map(|method| format!("| {} |", self.cells(method, true).join(" | "))));
        lines.join("\n")
    }

    /// Writes `summary.csv`, `summary.svg`, `summary.png`, `summary.html` and `summary.json` into a folder, which is made if needed.
    ///
    /// # Errors
    /// [`crate::Error::Io`] when the folder cannot be written, [`crate::Error::Figure`] when the figure cannot be drawn.
    pub fn save(&self, folder: impl AsRef<Path>) -> Result<()> {
        crate::file::save_report(folder.as_ref(), "summary", "summary.json", self.frame(), self, &self.figure())
    }

    /// Accuracy against what the strongest attack finds.
    fn strongest_points(&self) -> Plot {
        let mut plot = Plot::new("Accuracy and the strongest attack").x_label("test accuracy (%)").y_label("TPR % at FPR ≤ 1 %");
        for method in &self.methods {
            if let (Some(accuracy), Some(strongest)) = (method.accuracy, method.strongest()) {
                plot = plot.points(&method.method, &[(100.0 * accuracy.mean, 100.0 * strongest.tpr_at_1_percent.rate.value())]);
            }
        }
        plot.horizontal(1.0, "guessing")
    }

    /// The same without accuracy, for more pipelines than a legend can name.
    fn strongest_bars(&self) -> Plot {
        let strongest = |method: &MethodSummary| {
            let rate = method.strongest()?.tpr_at_1_percent.rate;
            Some((method.method.clone(), 100.0 * rate.value(), 100.0 * rate.low, 100.0 * rate.high))
        };
        let bars: Vec<(String, f64, f64, f64)> = self.methods.iter().filter_map(strongest).collect();
        let bars: Vec<(&str, f64, f64, f64)> = bars.iter().map(|(name, value, low, high)| (name.as_str(), *value, *low, *high)).collect();
        let height = 90 + 26 * bars.len() as u32;
        let caption = "Of each pipeline the attack with the largest rate, so a number a little above 1 is chance.";
        let plot = Plot::new("What the strongest attack finds").x_label("TPR % at FPR ≤ 1 %").bars(&bars).vertical(1.0, "guessing");
        plot.size(640, height).caption(caption)
    }

    fn headers(&self) -> Vec<String> {
        let fixed = ["trained on", "accuracy %", "ε ≤", "ε ≥"].map(str::to_string);
        fixed.into_iter().chain(self.attacks.iter().cloned()).collect()
    }

    fn cells(&self, method: &MethodSummary, markdown: bool) -> Vec<String> {
        let interval = |value: f64, low: f64, high: f64| format!("{:.1} [{:.1}, {:.1}]", 100.0 * value, 100.0 * low, 100.0 * high);
        let strongest = method.strongest().map(|found| &found.attack);
        let mut cells = vec![
            method.method.clone(),
            method.accuracy.map_or(String::new(), |accuracy| interval(accuracy.mean, accuracy.low, accuracy.high)),
            if method.epsilon.is_finite() { format!("{:.2}", method.epsilon) } else { "∞".into() },
            format!("{:.2}", method.lower),
        ];
        for found in &method.found {
            let Some(found) = found else {
                cells.push("–".to_string());
                continue;
            };
            let rate = found.tpr_at_1_percent.rate;
            let text = interval(rate.value(), rate.low, rate.high);
            cells.push(if markdown && strongest == Some(&found.attack) { format!("**{text}**") } else { text });
        }
        cells
    }
}

impl Show for Summary {
    fn figure(&self) -> Figure {
        let mut table = Table::new(self.headers());
        for method in &self.methods {
            table = table.row(self.cells(method, false));
        }
        let counted = &self.counted;
        let caption = format!(
            "TPR % at FPR ≤ 1 % for each attack, on {counted}; guessing gives 1. Intervals: 95 % for each attack alone. ε ≤: proven, ∞ if nothing is. ε ≥: the most that \
             an attack proves, if trials are independent (95 % for the best of up to twelve). –: does not apply."
        );
        let plot = if self.methods.len() > Self::MOST_POINTS { self.strongest_bars() } else { self.strongest_points() };
        Figure::column([table.captioned(&caption).figure(), plot.figure()]).titled(&self.title)
    }
}

show_inline!(Summary);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attack::signals::tests::made_up;
    use crate::attack::{CalibratedLoss, LossThreshold};

    #[test]
    fn a_method_has_one_row_with_what_every_attack_found() {
        let mut report = Report::new("made up");
        report.measure(&made_up(60), &LossThreshold::new()).unwrap();
        report.measure(&made_up(60), &CalibratedLoss::new()).unwrap();
        let summary = report.by_method();
        let [method] = summary.methods() else { panic!() };
        assert_eq!((summary.attacks().len(), method.found.len(), summary.frame().height()), (2, 2, 1));
        let rates: Vec<f64> = report.rows().iter().map(|row| row.tpr_at_1_percent.rate.value()).collect();
        let strongest = method.strongest().unwrap();
        assert_eq!(strongest.tpr_at_1_percent.rate.value(), rates.iter().copied().fold(0.0, f64::max));
        assert_eq!(method.lower, report.rows().iter().map(|row| row.lower.epsilon).fold(0.0, f64::max));
        assert_eq!(summary.to_markdown().matches("**").count(), 2);
        // The curves stay in the report.
        assert!(serde_json::to_string(&summary).unwrap().len() < 5_000);
    }
}
