//! Attacks on the shape of the whole prediction: a model is surer of what it learned.
//!
//! With p the softmax probabilities of a record and y its label, the entropy and the modified entropy are
//!
//! H = −Σ p log p,  M = −(1 − `p_y`) log `p_y` − Σ over i ≠ y of `p_i` log(1 − `p_i`)
//!
//! and the score is the negative. H is small for any sure answer; M only for a sure and right one.
//!
//! 1. log p comes from the logits; log(1 − p) of a class with p > ½ from those of the other classes, so it is finite where p rounds
//!    to 1.
//! 2. Several queries give the mean of their scores.
//! 3. [`PredictionEntropy::with_class_thresholds`] takes off τ of the record's class, the threshold of the best balanced accuracy over
//!    the trials of that class under the shadow models, so that "score > 0" is the paper's rule and one threshold fits all classes.
//!
//! # Privacy
//! None: this is an attack. Without class thresholds it needs no shadow model.
//!
//! # References
//! Song, Mittal, arXiv 2003.10595.
//!
//! # Example
//! ```
//! use freelunch::attack::{Attack, Manifest, PredictionEntropy, Signals};
//! // One model, two records of class 0, two classes: sure and right, sure and wrong.
//! let manifest = Manifest::new(serde_json::Value::Null, 7, "no data");
//! let logits = vec![4.0_f32, 0.0, 0.0, 4.0];
//! let signals = Signals::new(logits, [1, 2, 1, 2], vec![true, false], vec![0, 0], manifest)?;
//! let (plain, modified) = (PredictionEntropy::new().score(&signals, 0)?, PredictionEntropy::modified().score(&signals, 0)?);
//! assert!(plain[0] == plain[1] && modified[0] > modified[1]);
//! # Ok::<(), freelunch::Error>(())
//! ```

use super::shadows::every_model;
use super::{Attack, Signals};
use crate::roc::Roc;
use crate::stats::{log_sum_exp, mean};
use crate::{Error, Result};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::f64::consts::LN_2;

/// Which entropy is small for members.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Entropy {
    /// That of the probabilities; the label plays no part.
    #[default]
    Plain,
    /// The paper's, which grows with the confidence in wrong classes.
    Modified,
}

/// One threshold for all records, or one for each class.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Thresholds {
    /// One: the score is the negative entropy.
    #[default]
    Common,
    /// Each class has its own, learned from the shadow models, and the score is the distance from it.
    PerClass,
}

/// Ranks records by the negative entropy of the target's prediction.
///
/// # Example
/// ```
/// use freelunch::attack::{Attack, PredictionEntropy};
/// assert_eq!(PredictionEntropy::modified().with_class_thresholds().name(), "modified entropy, class thresholds");
/// ```
#[doc(alias = "Mentr")]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PredictionEntropy {
    /// Plain or modified.
    pub entropy: Entropy,
    /// Common or for each class.
    pub thresholds: Thresholds,
}

impl PredictionEntropy {
    /// The attack on the entropy itself.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The attack on the paper's modified entropy.
    #[must_use]
    pub fn modified() -> Self {
        Self { entropy: Entropy::Modified, ..Self::default() }
    }

    /// The same attack with a threshold for each class, learned from the shadow models.
    #[must_use]
    pub fn with_class_thresholds(mut self) -> Self {
        self.thresholds = Thresholds::PerClass;
        self
    }

    /// The negative entropy, `[n, queries]`.
    fn negative_entropy(&self, signals: &Signals, model: usize) -> Result<Vec<f64>> {
        let (log_p, classes, queries) = (signals.log_probabilities(model)?, signals.classes(), signals.queries());
        let of_row = |(at, row): (usize, &[f64])| match self.entropy {
            Entropy::Plain => row.iter().map(|&log_p| libm::exp(log_p) * log_p).sum(),
            Entropy::Modified => negative_modified_entropy(row, signals.labels()[at / queries] as usize),
        };
        Ok(log_p.par_chunks(classes).enumerate().map(of_row).collect())
    }

    /// Scores of every model before the thresholds, the mean over queries, `[models][n]`.
    fn all(&self, signals: &Signals) -> Result<Vec<Vec<f64>>> {
        let each = every_model(signals, |model| self.negative_entropy(signals, model))?;
        Ok(each.into_iter().map(|scores| scores.chunks(signals.queries()).map(mean).collect()).collect())
    }

    fn score_target(&self, signals: &Signals, all: &[Vec<f64>], target: usize) -> Result<Vec<f64>> {
        signals.members_of(target)?;
        if self.thresholds == Thresholds::Common {
            return Ok(all[target].clone());
        }
        if all.len() < 2 {
            return Err(Error::config("0 shadow models", "thresholds are learned from at least 1: play the game with 2 or more models"));
        }
        let thresholds = class_thresholds(signals, all, target)?;
        Ok(all[target].iter().zip(signals.labels()).map(|(score, &label)| score - thresholds[label as usize]).collect())
    }
}

/// (1 − `p_y`) log `p_y` + Σ over i ≠ y of `p_i` log(1 − `p_i`) of log p.
fn negative_modified_entropy(log_p: &[f64], label: usize) -> f64 {
    let of_class = |(class, &value): (usize, &f64)| {
        let log_rest = log_complement(log_p, class);
        if class != label {
            return libm::exp(value) * log_rest;
        }
        // Where p_y rounds to 1 its logarithm would be 0, and all sure records would tie.
        let log_p = if value > -LN_2 { libm::log1p(-libm::exp(log_rest)) } else { value };
        libm::exp(log_rest) * log_p
    };
    log_p.iter().enumerate().map(of_class).sum()
}

/// log(1 − p) of one class.
fn log_complement(log_p: &[f64], class: usize) -> f64 {
    let own = log_p[class];
    if own <= -LN_2 {
        return libm::log1p(-libm::exp(own));
    }
    // At most one class comes here; 1 − p would be 0 where p rounds to 1.
    let others: Vec<f64> = log_p.iter().enumerate().filter(|other| other.0 != class).map(|other| *other.1).collect();
    log_sum_exp(&others)
}

/// For each class the score from which "member" is most accurate over its records under the shadow models, 0 for classes without
/// records.
fn class_thresholds(signals: &Signals, all: &[Vec<f64>], target: usize) -> Result<Vec<f64>> {
    let n = signals.len();
    let mut thresholds = vec![0.0; signals.classes()];
    for (class, threshold) in thresholds.iter_mut().enumerate() {
        let records: Vec<usize> = (0..n).filter(|&record| signals.labels()[record] as usize == class).collect();
        if records.is_empty() {
            continue;
        }
        let trials =
            || (0..all.len()).filter(|&model| model != target).flat_map(|model| records.iter().map(move |&record| (model, record)));
        let scores: Vec<f64> = trials().map(|(model, record)| all[model][record]).collect();
        let members: Vec<bool> = trials().map(|(model, record)| signals.membership()[model * n + record]).collect();
        let hits = members.iter().filter(|&&member| member).count();
        if hits == 0 || hits == members.len() {
            let what = format!("the {} shadow trials of class {class} have {hits} members", members.len());
            return Err(Error::config(what, "its threshold needs members and others: use more records or models, or a common threshold"));
        }
        let mut best = f64::NEG_INFINITY;
        for point in Roc::new(&scores, &members)?.curve() {
            let (Some(at), gain) = (point.threshold, point.tpr - point.fpr) else { continue };
            if gain > best {
                (best, *threshold) = (gain, at);
            }
        }
    }
    Ok(thresholds)
}

impl Attack for PredictionEntropy {
    fn name(&self) -> String {
        let mut name = match self.entropy {
            Entropy::Plain => "entropy".to_string(),
            Entropy::Modified => "modified entropy".to_string(),
        };
        name.push_str(if self.thresholds == Thresholds::PerClass { ", class thresholds" } else { "" });
        name
    }

    fn score(&self, signals: &Signals, target: usize) -> Result<Vec<f64>> {
        signals.members_of(target)?;
        self.score_target(signals, &self.all(signals)?, target)
    }

    fn score_all(&self, signals: &Signals) -> Result<Vec<Vec<f64>>> {
        let all = self.all(signals)?;
        (0..signals.models()).map(|target| self.score_target(signals, &all, target)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::Manifest;
    use super::super::signals::tests::made_up;
    use super::*;

    fn one(logits: Vec<f64>, label: u32) -> Signals {
        let classes = logits.len();
        Signals::new(logits, [1, 1, 1, classes], vec![true], vec![label], Manifest::new(serde_json::Value::Null, 0, "")).unwrap()
    }

    #[test]
    fn scores_are_the_formulas_of_the_paper() {
        let p = [0.6f64, 0.3, 0.1];
        let signals = one(p.iter().map(|p| p.ln()).collect(), 1);
        let entropy: f64 = p.iter().map(|p| p * p.ln()).sum();
        assert!((PredictionEntropy::new().score(&signals, 0).unwrap()[0] - entropy).abs() < 1e-14);
        let modified = 0.7 * p[1].ln() + 0.6 * 0.4f64.ln() + 0.1 * 0.9f64.ln();
        assert!((PredictionEntropy::modified().score(&signals, 0).unwrap()[0] - modified).abs() < 1e-14);
    }

    #[test]
    fn probabilities_that_round_to_0_and_1_give_finite_scores_in_order() {
        let modified = |logits: Vec<f64>, label| PredictionEntropy::modified().score(&one(logits, label), 0).unwrap()[0];
        // Sure and right, with r = 1 − p_y = 2 exp(−100): M = r² + 2 (r/2)², though p_y rounds to 1.
        let right = modified(vec![100.0, 0.0, 0.0], 0);
        let rest = 2.0 * (-100f64).exp();
        let want = -rest * rest - 2.0 * (rest / 2.0).powi(2);
        assert!((right / want - 1.0).abs() < 1e-9, "{right} is not {want}");
        // Sure and wrong: log p_y = −1000 and log(1 − p_0) = log 2 − 1000.
        let wrong = modified(vec![1000.0, 0.0, 0.0], 1);
        assert!((wrong + 2000.0 - LN_2).abs() < 1e-9, "{wrong}");
        assert!(PredictionEntropy::new().score(&one(vec![1e4, -1e4], 1), 0).unwrap()[0].is_finite());
        assert!(modified(vec![0.0, 0.0], 0) > modified(vec![1.0, 0.0], 1));
    }

    #[test]
    fn class_thresholds_are_the_best_over_the_shadow_trials_of_their_class() {
        let (signals, attack) = (made_up(60), PredictionEntropy::modified());
        let (plain, moved) = (attack.score_all(&signals).unwrap(), attack.with_class_thresholds().score(&signals, 2).unwrap());
        for class in 0..3 {
            let threshold = plain[2][class] - moved[class];
            let gain = |at: f64| {
                let trials = (0..6).filter(|&model| model != 2).flat_map(|model| (class..60).step_by(3).map(move |record| (model, record)));
                let (mut hits, mut of) = ([0.0; 2], [0.0; 2]);
                for (model, record) in trials {
                    let side = usize::from(signals.members_of(model).unwrap()[record]);
                    of[side] += 1.0;
                    hits[side] += f64::from(u8::from(plain[model][record] >= at - 1e-12));
                }
                hits[1] / of[1] - hits[0] / of[0]
            };
            let best = plain.iter().flatten().map(|&at| gain(at)).fold(f64::NEG_INFINITY, f64::max);
            assert!((gain(threshold) - best).abs() < 1e-12, "class {class}: {} of {best}", gain(threshold));
            let shift = |record: usize| plain[2][record] - moved[record];
            assert!((class..60).step_by(3).all(|record| (shift(record) - threshold).abs() < 1e-12));
        }
    }

    #[test]
    fn a_class_without_members_among_the_shadows_is_named() {
        let signals = made_up(3).keep_models(&[0, 1]).unwrap(); // no record is a member of model 1
        let attack = PredictionEntropy::new().with_class_thresholds();
        let text = attack.score(&signals, 0).unwrap_err().to_string();
        assert!(text.contains("class 0 have 0 members"), "{text}");
        assert!(attack.score(&signals.keep_models(&[0]).unwrap(), 0).is_err() && PredictionEntropy::new().score(&signals, 2).is_err());
    }
}
