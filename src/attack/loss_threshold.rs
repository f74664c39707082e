//! The simplest attack: a record with a small loss was a member.
//!
//! With q queries of a record and p the model's probability of its label, score = (1/q) Σ log p, the negative mean cross-entropy,
//! at most 0. No shadow model is used, so every record is held to the same threshold, and an easy non-member looks like a member.
//!
//! 1. [`Attack::score`] ranks; every threshold is tried in the curve.
//! 2. [`LossThreshold::rule`] is the paper's rule: member if the loss is at most the mean loss of the members.
//!
//! # Privacy
//! None: this is an attack. Under (ε, 0)-differential privacy its advantage is at most (e^ε − 1)/(e^ε + 1).
//!
//! # References
//! Yeom, Giacomelli, Fredrikson, Jha, arXiv 1709.01604.
//!
//! # Example
//! ```
//! use freelunch::attack::{LossThreshold, Manifest, Signals};
//! let manifest = Manifest::new(serde_json::Value::Null, 7, "no data");
//! let logits = vec![3.0_f32, 0.0, 0.0, 0.0]; // one model, two records, two classes
//! let signals = Signals::new(logits, [1, 2, 1, 2], vec![true, false], vec![0, 0], manifest)?;
//! assert_eq!(LossThreshold::new().rule(&signals, 0)?.advantage(), 1.0);
//! # Ok::<(), freelunch::Error>(())
//! ```

use super::{Attack, Signals};
use crate::stats::{Rate, mean};
use crate::{Error, Result};
use serde::{Deserialize, Serialize};

/// Ranks records by the log probability of their label under the target alone.
///
/// # Example
/// ```
/// use freelunch::attack::{Attack, LossThreshold};
/// assert_eq!(LossThreshold::new().name(), "loss threshold");
/// ```
#[doc(alias = "Yeom")]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LossThreshold {}

/// What one given threshold on the loss achieves.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ThresholdRule {
    /// "Member" is said up to this loss.
    pub threshold: f64,
    /// Members found.
    pub true_positives: Rate,
    /// Non-members taken for members.
    pub false_positives: Rate,
}

impl ThresholdRule {
    /// TPR − FPR, −1 to 1; 0 is guessing.
    #[must_use]
    pub fn advantage(&self) -> f64 {
        self.true_positives.value() - self.false_positives.value()
    }

    /// The share of all trials, members or not, about which the rule is right. Below one half it is as good as its opposite is.
    #[must_use]
    pub fn accuracy(&self) -> Rate {
        let (found, accused) = (self.true_positives, self.false_positives);
        Rate::counted(found.hits + accused.of - accused.hits, found.of + accused.of)
    }

    /// The share of those called members that are; none where nobody is.
    #[must_use]
    pub fn precision(&self) -> Option<Rate> {
        let called = self.true_positives.hits + self.false_positives.hits;
        (called > 0).then(|| Rate::counted(self.true_positives.hits, called))
    }

    /// (TPR + 1 − FPR)/2, 0 to 1; 0.5 is guessing.
    #[must_use]
    pub fn balanced_accuracy(&self) -> f64 {
        (self.true_positives.value() + 1.0 - self.false_positives.value()) / 2.0
    }
}

impl LossThreshold {
    /// The attack; it has no parameters.
    #[must_use]
    pub fn new() -> Self {
        Self {}
    }

    /// The rule whose threshold is the mean loss of the target's members, which the paper lets the attacker know.
    ///
    /// # Errors
    /// [`Error::Config`] when there is no such model, or it has no member or no non-member.
    pub fn rule(&self, signals: &Signals, target: usize) -> Result<ThresholdRule> {
        let (losses, members) = (mean_losses(signals, target)?, signals.members_of(target)?);
        let of_members: Vec<f64> = losses.iter().zip(members).filter(|trial| *trial.1).map(|trial| *trial.0).collect();
        self.rule_at(signals, target, mean(&of_members))
    }

    /// The rule "member if the loss is at most `threshold`".
    ///
    /// # Errors
    /// As [`LossThreshold::rule`], and [`Error::Config`] when the threshold is not a number.
    pub fn rule_at(&self, signals: &Signals, target: usize, threshold: f64) -> Result<ThresholdRule> {
        let (losses, members) = (mean_losses(signals, target)?, signals.members_of(target)?);
        let count = |side: bool| members.iter().filter(|&&member| member == side).count();
        let below = |side: bool| losses.iter().zip(members).filter(|trial| *trial.1 == side && *trial.0 <= threshold).count();
        if count(true) == 0 || count(false) == 0 {
            let what = format!("model {target} has {} members and {} non-members", count(true), count(false));
            return Err(Error::config(what, "a rule is measured on at least one of each"));
        }
        if threshold.is_nan() {
            return Err(Error::config(format!("threshold is {threshold}"), "expected a loss"));
        }
        let rate = |side: bool| Rate::counted(below(side), count(side));
        Ok(ThresholdRule { threshold, true_positives: rate(true), false_positives: rate(false) })
    }
}

impl Attack for LossThreshold {
    fn name(&self) -> String {
        "loss threshold".to_string()
    }

    fn score(&self, signals: &Signals, target: usize) -> Result<Vec<f64>> {
        Ok(mean_losses(signals, target)?.into_iter().map(|loss| -loss).collect())
    }
}

/// Mean cross-entropy over the queries, `[n]`.
fn mean_losses(signals: &Signals, target: usize) -> Result<Vec<f64>> {
    Ok(signals.loss(target)?.chunks(signals.queries()).map(mean).collect())
}

#[cfg(test)]
mod tests {
    use super::super::Manifest;
    use super::*;

    #[test]
    fn the_score_is_the_mean_log_probability_over_queries() {
        let manifest = Manifest::new(serde_json::Value::Null, 0, "");
        let logits = vec![1.0, 0.0, 0.0, 0.0]; // one record, two queries
        let signals = Signals::new(logits, [1, 1, 2, 2], vec![true], vec![0], manifest).unwrap();
        let p = 1f64.exp() / (1f64.exp() + 1.0);
        let expected = 0.5 * (p.ln() + 0.5f64.ln());
        assert!((LossThreshold::new().score(&signals, 0).unwrap()[0] - expected).abs() < 1e-15);
        assert!(LossThreshold::new().rule(&signals, 0).is_err(), "there is no non-member");
    }

    #[test]
    fn the_rule_says_member_up_to_its_threshold() {
        let manifest = Manifest::new(serde_json::Value::Null, 0, "");
        let logits = vec![2.0, 0.0, 1.0, 0.0, 0.0, 0.0, 2.0, 0.0];
        let signals = Signals::new(logits, [1, 4, 1, 2], vec![true, true, false, false], vec![0; 4], manifest).unwrap();
        let rule = LossThreshold::new().rule(&signals, 0).unwrap();
        assert_eq!((rule.true_positives.hits, rule.false_positives.hits, rule.advantage()), (1, 1, 0.0));
        let all = LossThreshold::new().rule_at(&signals, 0, 10.0).unwrap();
        assert_eq!((all.true_positives.value(), all.false_positives.value(), all.balanced_accuracy()), (1.0, 1.0, 0.5));
        assert!(LossThreshold::new().rule_at(&signals, 0, f64::NAN).is_err());
    }
}
