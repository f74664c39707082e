//! Rates, estimates and means, and what an interval promises.

use super::{Explain, Explanation, count, number, percent, share, short, texts};
use crate::stats::{Estimate, MeanInterval, Rate};
use crate::train::Evaluation;

const EXACT: &str = "Clopper, Pearson, Biometrika 26, 1934";

impl Explain for Rate {
    fn explain(&self) -> Explanation {
        let ends = format!("{} to {}", percent(self.low), percent(self.high));
        Explanation {
            title: "A rate and its interval".into(),
            means: match self.of {
                0 => "0 of 0 trials: nothing was counted, so every rate from 0 to 1 is possible.".into(),
                _ => format!(
                    "{} of {} trials are hits: {}. The method behind the interval {ends} covers the true rate in at least 95 % of samples.",
                    self.hits,
                    self.of,
                    percent(self.value())
                ),
            },
            does_not_mean:
                "Clopper-Pearson takes the trials as independent and alike. Trials that share a model, or whose threshold was chosen on \
                     them, make the interval too narrow. It says nothing about other data, seeds or attacks."
                    .into(),
            would_change: format!(
                "More trials: the width, now {}, falls about as 1/√n. With no hit in n trials the upper end is about 3.7/n, never 0.",
                percent(self.high - self.low)
            ),
            formula: "k hits of n: low = B(0.025; k, n − k + 1), high = B(0.975; k + 1, n − k), B the quantiles of the beta distribution"
                .into(),
            references: texts(&[EXACT]),
        }
    }
}

impl Explain for Estimate {
    fn explain(&self) -> Explanation {
        Explanation {
            title: "An estimate and its interval".into(),
            means: format!(
                "The estimate is {}. Its 95 % interval, {} to {}, is made by a method that covers the true value in about 95 % of samples.",
                number(self.value),
                number(self.low),
                number(self.high)
            ),
            does_not_mean: "The interval counts the luck of the sampled trials, taken as independent: not another seed, data set or \
                 attack. That it holds the value of guessing (0.5 for an AUC) does not prove guessing."
                .into(),
            would_change: format!(
                "More trials narrow it: it is {} wide. A better attack or other records move the estimate itself.",
                number(self.high - self.low)
            ),
            formula: "P[low ≤ true value ≤ high] ≈ 0.95 over samples; for an AUC with DeLong's variance, for a precision from the ends of \
                 its two rates"
                .into(),
            references: texts(&["DeLong, DeLong, Clarke-Pearson, Biometrics 44, 1988", EXACT]),
        }
    }
}

impl Explain for MeanInterval {
    fn explain(&self) -> Explanation {
        Explanation {
            title: "A mean over runs".into(),
            means: format!(
                "The mean of {} is {}; with 95 % confidence the mean of all such runs lies between {} and {}.",
                count(self.n, "run"),
                number(self.mean),
                number(self.low),
                number(self.high)
            ),
            does_not_mean: "Not the range of single runs. The interval counts only what was drawn anew in each run (seeds, say): test \
                 records, data set and settings stayed as they were. It takes the runs as independent and about normal."
                .into(),
            would_change: format!(
                "More runs than {}: t is 12.7 for 2 runs, 4.3 for 3, 2.3 for 10 and falls to 1.96. Runs that also draw data or records \
                     anew would widen it.",
                self.n
            ),
            formula: "mean ± t(0.975; n − 1) · s / √n, with s the standard deviation of the n runs".into(),
            references: texts(&["Student, Biometrika 6, 1908"]),
        }
    }
}

impl Explain for Evaluation {
    fn explain(&self) -> Explanation {
        let worst = self.per_class.iter().zip(&self.class_names).filter(|(rate, _)| rate.of > 0);
        let worst = worst.min_by(|a, b| a.0.value().total_cmp(&b.0.value()));
        let worst = worst.map_or(String::new(), |(rate, name)| format!(" Its worst class, {}: {}.", short(name), share(rate)));
        Explanation {
            title: "Accuracy of a model".into(),
            means: format!(
                "The model gets {} of these records right; 95 % interval {} to {}.{worst}",
                share(&self.accuracy),
                percent(self.accuracy.low),
                percent(self.accuracy.high)
            ),
            does_not_mean:
                "High accuracy on test records does not say that training records are safe, and low accuracy does not make a model \
                     private. Measured on its own training records it counts memory, too. The interval is for one model, not for \
                     retraining."
                    .into(),
            would_change: format!(
                "Other records: these are {}. Other seeds or more data, which the interval does not see. The gap between members and \
                     non-members is the simplest membership signal.",
                self.accuracy.of
            ),
            formula: "accuracy = #{records: argmax of the logits = label} / #records".into(),
            references: texts(&[EXACT, "the gap as an attack: Yeom et al. 2018, arXiv 1709.01604"]),
        }
    }
}
