//! Model inversion: a class, not a record.

use super::{Explain, Explanation, count, most, percent, share, short, texts};
use crate::inversion::{Inversion, InversionReport, InversionTable};
use crate::service::Inverted;
use crate::stats::Rate;

const MIFACE: &str = "Fredrikson, Jha, Ristenpart, CCS 2015";
const JUDGE: &str = "Zhang et al. 2020, arXiv 1911.07135";
const FORMULA: &str = "x* = argmin over x of (1 − p_c(x)) or −log p_c(x), plus R(x), p the model's probabilities";
const CLASS: &str = "Not a record, and not membership: what a model takes for a class is class-level information, which differential \
     privacy does not promise to hide. The model's own confidence proves nothing: it was optimised.";

fn recognised(rate: Option<Rate>) -> String {
    rate.map_or_else(|| "no picture".to_string(), |rate| share(&rate))
}

impl Explain for InversionReport {
    fn explain(&self) -> Explanation {
        let control = match self.control_accuracy() {
            Some(rate) => format!("Class means of public records, without any attack: {}.", share(&rate)),
            None => "No public control was judged beside it.".to_string(),
        };
        Explanation {
            title: "A model inverted and judged".into(),
            means: format!(
                "The target is {} sure on average; an independent network puts {} of the pictures into their class. {control}",
                percent(self.confidence()),
                recognised(self.accuracy())
            ),
            does_not_mean: CLASS.into(),
            would_change: "One person per class makes a class a person. A public prior, other starts, an adaptive way around an encoder; \
                 another judge. Few classes make wide intervals."
                .into(),
            formula: FORMULA.into(),
            references: texts(&[MIFACE, JUDGE]),
        }
    }
}

impl Explain for Inversion {
    fn explain(&self) -> Explanation {
        let rows = self.rows();
        let sure = rows.iter().map(|row| row.confidence).sum::<f64>() / rows.len() as f64;
        Explanation {
            title: "A model inverted".into(),
            means: if rows.is_empty() {
                "0 classes were inverted.".into()
            } else {
                format!(
                    "For {} a record was searched that the target takes for it; it ends {} sure on average. Queries: {}.",
                    count(rows.len(), "class"),
                    percent(sure),
                    self.queries()
                )
            },
            does_not_mean: CLASS.into(),
            would_change: "Let an independent network and the private records judge it (judge); other starts, cost, prior or threshold. \
                 Behind an encoder the naive way finds codes, not pictures."
                .into(),
            formula: FORMULA.into(),
            references: texts(&[MIFACE]),
        }
    }
}

impl Explain for InversionTable {
    fn explain(&self) -> Explanation {
        let value = |report: &InversionReport| report.accuracy().map_or(f64::NAN, |rate| rate.value());
        let best = most(self.rows(), |(_, report)| value(report));
        let control = self.rows().iter().find_map(|(_, report)| report.control_accuracy());
        Explanation {
            title: "Inversions beside each other".into(),
            means: match best {
                None => format!("{} and no picture among them.", count(self.rows().len(), "inversion")),
                Some((name, report)) => format!(
                    "Of {} the best recognised is \"{}\": {} by an independent network. Public class means, which need no attack: {}.",
                    count(self.rows().len(), "inversion"),
                    short(name),
                    recognised(report.accuracy()),
                    control.map_or_else(|| "not judged".to_string(), |rate| share(&rate))
                ),
            },
            does_not_mean: format!("{CLASS} A low row may be a poor attack."),
            would_change: "An attack that adapts to each defence; the same judge and starts for all; more classes, as each is one trial."
                .into(),
            formula: FORMULA.into(),
            references: texts(&[MIFACE, JUDGE]),
        }
    }
}

impl Explain for Inverted {
    fn explain(&self) -> Explanation {
        let n = self.confidence.len() as f64;
        let mean = |at: usize| self.confidence.iter().map(|both| both[at]).sum::<f64>() / n;
        Explanation {
            title: "A model inverted through its answers".into(),
            means: if self.confidence.is_empty() {
                format!("0 classes were reached with {} queries.", self.queries)
            } else {
                format!(
                    "With {} queries the service's confidence rose from {} to {} on average over {} images.",
                    self.queries,
                    percent(mean(0)),
                    percent(mean(1)),
                    self.confidence.len()
                )
            },
            does_not_mean: CLASS.into(),
            would_change: "More queries, directions or steps; answers that are rounded or labels only flatten the slope and stop this \
                 search, not every search."
                .into(),
            formula: "g = 1/m Σ_i (f(x + μ u_i) − f(x − μ u_i)) / (2μ) · u_i, f = log p_c, u_i ~ N(0, I); x ← clip(x + η g / \
                 max|g|)"
                .into(),
            references: texts(&[MIFACE, "Nesterov, Spokoiny 2017"]),
        }
    }
}
