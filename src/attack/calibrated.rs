//! An attack with its threshold fixed beforehand on shadow models, and how far its word can be trusted at realistic shares of members.
//!
//! A ROC curve tries every threshold with the truth in hand. An attacker has one model and no truth: she takes the threshold from models of her
//! own. With π the share of members among those she asks about, her precision is
//!
//! PPV(π) = π TPR / (π TPR + (1 − π) FPR)
//!
//! and half of the records being members, as in the game, is the rare case: at π = 1 % a TPR of 5 % at an FPR of 1 % means that 19 of 20
//! accusations are wrong.
//!
//! 1. Let every model be the target once. Without it, attack some of the other models with the rest; pool their non-members' scores.
//! 2. The threshold is the smallest that at most a share `fpr` of these exceeds. Attack the target and count who exceeds it.
//! 3. TPR and the FPR that was really reached are pooled over targets.
//!
//! # Privacy
//! None: this is an attack.
//!
//! # References
//! Precision at low priors and shadow-only thresholds: github.com/najeebjebreel/lira_analysis; Jayaraman et al., arXiv 2005.10881.
//!
//! # Example
//! ```
//! use freelunch::prelude::*;
//! use freelunch::attack::Calibrated;
//! let lab = Lab::new()?.quiet();
//! let signals = Game::new(4).play(&Pipeline::direct(Train::new(Arch::Logistic).with_epochs(1)), &Dataset::toy(), &lab)?;
//! let attack = Calibrated::of(&LossThreshold::new(), &signals, 0.1)?;
//! println!("{}: precision {} if one in ten is a member", attack.false_positives(), attack.precision(0.1)?);
//! # Ok::<(), Error>(())
//! ```

use super::{Attack, Signals, signals};
use crate::display::{Figure, Show, Table, show_inline};
use crate::stats::{Estimate, Rate, clopper_pearson};
use crate::{Error, Result};
use serde::{Deserialize, Serialize};

/// What an attack achieves at thresholds that were fixed on shadow models.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Calibrated {
    attack: String,
    asked: f64,
    true_positives: Rate,
    false_positives: Rate,
    warning: Option<String>,
}

impl Calibrated {
    /// Shadow models that are attacked for each threshold.
    const PROBES: usize = 4;

    /// The attack on every model in turn, at thresholds for a false positive rate of `fpr`.
    ///
    /// # Errors
    /// [`Error::Config`] for an `fpr` outside (0, 1), fewer than three models, no members or no non-members, and as [`Attack::score`] with one
    /// model fewer.
    pub fn of<A: Attack + ?Sized>(attack: &A, signals: &Signals, fpr: f64) -> Result<Self> {
        Self::of_records(attack, signals, &(0..signals.len()).collect::<Vec<_>>(), fpr)
    }

    /// As [`Calibrated::of`], with thresholds for and counts of some records only, such as the canaries.
    ///
    /// # Errors
    /// As [`Calibrated::of`], and [`Error::Config`] for no record or one that does not exist.
    pub fn of_records<A: Attack + ?Sized>(attack: &A, signals: &Signals, records: &[usize], fpr: f64) -> Result<Self> {
        signals::check_positions("record", records, signals.len())?;
        if !(fpr > 0.0 && fpr < 1.0) {
            return Err(Error::config(format!("fpr is {fpr}"), "expected a rate between 0 and 1, such as 0.01"));
        }
        let models = signals.models();
        if models < 3 {
            return Err(Error::config(format!("{models} models"), "a threshold from shadow models needs at least 3: play more runs"));
        }
        let (mut found, mut accused, mut members, mut others, mut fewest) = (0, 0, 0, 0, usize::MAX);
        for target in 0..models {
            let shadows = signals.keep_models(&(0..models).filter(|&model| model != target).collect::<Vec<_>>())?;
            let mut innocent = vec![];
            for probe in 0..Self::PROBES.min(models - 1) {
                // Spread over the shadows, another choice for every target.
                let probe = (target + probe * (models - 1) / Self::PROBES.min(models - 1)) % (models - 1);
                let (scores, inside) = (attack.score(&shadows, probe)?, shadows.members_of(probe)?);
                innocent.extend(records.iter().filter(|&&record| !inside[record]).map(|&record| scores[record]));
            }
            innocent.sort_unstable_by(|a, b| b.total_cmp(a));
            fewest = fewest.min(innocent.len());
            let allowed = (fpr * innocent.len() as f64).floor() as usize;
            // Above the largest score that must not be accused.
            let threshold = innocent.get(allowed).copied().unwrap_or(f64::INFINITY);
            let (scores, inside) = (attack.score(signals, target)?, signals.members_of(target)?);
            for &record in records {
                let exceeds = usize::from(scores[record] > threshold);
                if inside[record] {
                    (found, members) = (found + exceeds, members + 1);
                } else {
                    (accused, others) = (accused + exceeds, others + 1);
                }
            }
        }
        if members == 0 || others == 0 {
            return Err(Error::config(format!("{members} members and {others} non-members"), "a rate of each needs at least one"));
        }
        let warning = ((fewest as f64) * fpr < 1.0).then(|| {
            format!("with {fewest} non-members of shadow models no threshold for an FPR below {:.1e} can be learned", 1.0 / fewest as f64)
        });
        Ok(Self {
            attack: attack.name(),
            asked: fpr,
            true_positives: Rate::counted(found, members),
            false_positives: Rate::counted(accused, others),
            warning,
        })
    }

    /// The attack's name.
    #[must_use]
    pub fn attack(&self) -> &str {
        &self.attack
    }

    /// The false positive rate that the thresholds were made for.
    #[must_use]
    pub fn asked(&self) -> f64 {
        self.asked
    }

    /// The share of members that were found.
    #[must_use]
    pub fn true_positives(&self) -> Rate {
        self.true_positives
    }

    /// The share of non-members that were accused: close to what was asked for, if shadow models are like targets.
    #[must_use]
    pub fn false_positives(&self) -> Rate {
        self.false_positives
    }

    /// Why the threshold may be of little use.
    #[must_use]
    pub fn warning(&self) -> Option<&str> {
        self.warning.as_deref()
    }

    /// The share of accusations that are right when a share `prior` of those asked about are members. The interval holds at 95 %: both rates
    /// are at the ends of intervals of 97.5 %.
    ///
    /// # Errors
    /// [`Error::Config`] for a prior outside (0, 1).
    pub fn precision(&self, prior: f64) -> Result<Estimate> {
        if !(prior > 0.0 && prior < 1.0) {
            return Err(Error::config(format!("prior is {prior}"), "expected a share of members between 0 and 1, such as 0.1"));
        }
        let ends = |rate: Rate| clopper_pearson(rate.hits, rate.of, 0.975);
        let precision = |tpr: f64, fpr: f64| if tpr + fpr > 0.0 { prior * tpr / (prior * tpr + (1.0 - prior) * fpr) } else { prior };
        let (tpr, fpr) = (ends(self.true_positives)?, ends(self.false_positives)?);
        Ok(Estimate {
            value: precision(self.true_positives.value(), self.false_positives.value()),
            low: precision(tpr.low, fpr.high),
            high: precision(tpr.high, fpr.low),
        })
    }
}

impl Show for Calibrated {
    fn figure(&self) -> Figure {
        let precision = |prior: f64| self.precision(prior).map_or(String::new(), |estimate| estimate.to_string());
        let table = Table::new(["FPR asked for", "FPR reached", "TPR", "precision, 50 % members", "10 %", "1 %"]).row([
            self.asked.to_string(),
            self.false_positives.to_string(),
            self.true_positives.to_string(),
            precision(0.5),
            precision(0.1),
            precision(0.01),
        ]);
        let caption = "Thresholds from shadow models only. Precision: the share of accusations that are right, by the share of members among those asked about.";
        let caption = self.warning.as_ref().map_or(caption.to_string(), |warning| format!("{caption} {warning}."));
        table.captioned(&caption).figure().titled(&self.attack)
    }
}

show_inline!(Calibrated);

#[cfg(test)]
mod tests {
    use super::super::signals::tests::made_up;
    use super::super::{LikelihoodRatio, LossThreshold};
    use super::*;

    #[test]
    fn the_rate_asked_for_is_about_the_rate_reached() {
        let signals = made_up(600);
        for attack in [&LossThreshold::new() as &dyn Attack, &LikelihoodRatio::offline()] {
            let calibrated = Calibrated::of(attack, &signals, 0.1).unwrap();
            let reached = calibrated.false_positives();
            assert_eq!(reached.of + calibrated.true_positives().of, 6 * 600);
            assert!((reached.value() - 0.1).abs() < 0.04, "{calibrated:?}");
            assert!(calibrated.true_positives().value() > 0.2);
        }
    }

    #[test]
    fn the_target_decides_nothing_about_its_threshold() {
        let signals = made_up(40);
        let mut lied = signals.membership().to_vec();
        lied[..40].iter_mut().for_each(|member| *member = !*member);
        let other =
            Signals::new(signals.logits().clone(), [6, 40, 1, 3], lied, signals.labels().to_vec(), signals.manifest().clone()).unwrap();
        // With one model's members exchanged, its accusations count on the other side: true and false positives of that target swap.
        let attack = LossThreshold::new();
        let accused = |signals: &Signals| {
            let calibrated = Calibrated::of(&attack, signals, 0.2).unwrap();
            calibrated.true_positives().hits + calibrated.false_positives().hits
        };
        // Other targets' thresholds change, as model 0 is a shadow of theirs; at most its probes' share of their accusations can.
        assert!(accused(&signals).abs_diff(accused(&other)) < 60);
    }

    #[test]
    fn precision_follows_bayes() {
        let rates = Calibrated {
            attack: "a".into(),
            asked: 0.01,
            true_positives: Rate::counted(50, 1000),
            false_positives: Rate::counted(10, 1000),
            warning: None,
        };
        assert!((rates.precision(0.01).unwrap().value - 0.0005 / (0.0005 + 0.0099)).abs() < 1e-12);
        assert!((rates.precision(0.5).unwrap().value - 5.0 / 6.0).abs() < 1e-12);
        let interval = rates.precision(0.1).unwrap();
        assert!(interval.low < interval.value && interval.value < interval.high);
        assert!(rates.precision(0.0).is_err() && rates.precision(1.0).is_err());
    }

    #[test]
    fn too_few_models_and_impossible_rates_are_refused() {
        let signals = made_up(12);
        assert!(Calibrated::of(&LossThreshold::new(), &signals, 0.0).is_err());
        assert!(Calibrated::of(&LossThreshold::new(), &signals.keep_models(&[0, 1]).unwrap(), 0.1).is_err());
        assert!(Calibrated::of_records(&LossThreshold::new(), &signals, &[], 0.1).is_err());
        assert!(Calibrated::of(&LossThreshold::new(), &signals, 0.001).unwrap().warning().is_some());
    }
}
