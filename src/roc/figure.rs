//! Curves as a log-log figure with the diagonal and shaded intervals, and as lines of text.

use super::Roc;
use super::tpr_at::{TprAt, grouped, percent};
use crate::display::{Bundle, Figure, Plot, Show, show_inline};
use serde::{Deserialize, Serialize};
use std::fmt;

/// The bounds on the false positive rate that text reports.
const BOUNDS: [f64; 2] = [0.01, 0.001];

/// Curves that are shown together.
///
/// # Example
/// ```
/// use freelunch::roc::{Roc, RocSet};
/// let roc = Roc::new(&[0.9, 0.1], &[true, false])?.named("LiRA");
/// assert!(RocSet::new(vec![roc]).to_string().starts_with("LiRA (1 members, 1 non-members)"));
/// # Ok::<(), freelunch::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RocSet {
    curves: Vec<Roc>,
}

impl RocSet {
    /// Curves in the order of their legend. A name that occurs twice is numbered.
    #[must_use]
    pub fn new(curves: Vec<Roc>) -> Self {
        let mut named: Vec<Roc> = vec![];
        for curve in curves {
            let before =
                named.iter().filter(|other| other.name == curve.name || other.name.starts_with(&format!("{} #", curve.name))).count();
            let name = if before > 0 { format!("{} #{}", curve.name, before + 1) } else { curve.name.clone() };
            named.push(curve.named(&name));
        }
        Self { curves: named }
    }

    /// The curves.
    #[must_use]
    pub fn curves(&self) -> &[Roc] {
        &self.curves
    }
}

pub(super) fn plot(curves: &[Roc]) -> Plot {
    // The smallest rates that the trials can show; a log axis cannot start at 0.
    let smallest = |count: fn(&Roc) -> usize| curves.iter().map(count).max().map_or(0.1, |most| 1.0 / most.max(10) as f64);
    let mut plot = Plot::new("Membership inference")
        .x_label("false positive rate")
        .y_label("true positive rate")
        .log_log()
        .x_range(smallest(|roc| roc.non_members), 1.0)
        .y_range(smallest(|roc| roc.members.max(roc.non_members)), 1.0);
    for roc in curves {
        let band = roc.band();
        let edges: Vec<(f64, f64, f64)> = band.iter().map(|(fpr, rate)| (*fpr, rate.low, rate.high)).collect();
        let line: Vec<(f64, f64)> = band.iter().map(|(fpr, rate)| (*fpr, rate.value())).collect();
        let name = format!("{} (AUC {:.3})", roc.name, roc.auc().value);
        plot = plot.band(&name, &edges).line(&name, &line);
    }
    // A box of many names would cover the curves.
    let plot = if curves.len() > 4 { plot.legend_below() } else { plot };
    plot.diagonal().caption(&caption(curves))
}

pub(super) fn caption(curves: &[Roc]) -> String {
    let mut trials: Vec<String> = vec![];
    for roc in curves {
        let text = roc.trials();
        if !trials.contains(&text) {
            trials.push(text);
        }
    }
    format!("{}. Shaded: 95 % Clopper-Pearson interval of the true positive rate, trials taken as independent.", trials.join(". "))
}

impl Roc {
    fn trials(&self) -> String {
        let note = if self.note.is_empty() { String::new() } else { format!("; {}", self.note) };
        format!("{} members, {} non-members{note}", grouped(self.members), grouped(self.non_members))
    }
}

fn line(found: &TprAt) -> String {
    let warning = found.warning.as_ref().map(|text| format!(" ({text})")).unwrap_or_default();
    format!("TPR at {} FPR {}{warning}", percent(found.at_most), found.rate)
}

impl fmt::Display for Roc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} ({})", self.name, self.trials())?;
        writeln!(f, "  AUC {}", self.auc())?;
        write!(f, "  balanced accuracy {:.3}", self.balanced_accuracy())?;
        for bound in BOUNDS {
            write!(f, "\n  {}", line(&self.tpr_at(bound)))?;
        }
        Ok(())
    }
}

impl fmt::Display for RocSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let texts: Vec<String> = self.curves.iter().map(Roc::to_string).collect();
        write!(f, "{}", texts.join("\n"))
    }
}

impl Show for Roc {
    fn figure(&self) -> Figure {
        plot(std::slice::from_ref(self)).figure()
    }

    fn bundle(&self) -> Bundle {
        Bundle { text: self.to_string(), ..self.figure().bundle() }
    }
}

impl Show for RocSet {
    fn figure(&self) -> Figure {
        plot(&self.curves).figure()
    }

    fn bundle(&self) -> Bundle {
        Bundle { text: self.to_string(), ..self.figure().bundle() }
    }
}

show_inline!(Roc, RocSet);

#[cfg(test)]
mod tests {
    use super::*;

    fn guess(n: usize) -> Roc {
        let scores: Vec<f64> = (0..n).map(|i| (i * 7919 % n) as f64).collect();
        let truth: Vec<bool> = (0..n).map(|i| i % 2 == 0).collect();
        Roc::new(&scores, &truth).unwrap().named("guess").with_note("seed 3")
    }

    #[test]
    fn the_text_gives_every_number_with_its_interval_and_its_warning() {
        let text = guess(400).to_string();
        for part in
            ["guess (200 members, 200 non-members; seed 3)", "AUC 0.", "balanced accuracy", "TPR at 1 % FPR", "needs 1,000 non-members"]
        {
            assert!(text.contains(part), "{text}\nlacks {part}");
        }
        assert_eq!(guess(400).bundle().text, text);
    }

    #[test]
    fn the_figure_names_trials_seed_and_interval_and_the_legend_the_auc() {
        let svg = Roc::compare([guess(400), guess(400)]).figure().to_svg().unwrap();
        for part in ["200 members, 200 non-members; seed 3", "Clopper-Pearson", "AUC 0.", "guess #2"] {
            assert!(svg.contains(part), "the figure lacks {part}");
        }
    }
}
