//! A lower bound on ε from the exact ends of a true and a false positive rate.
//!
//! With TPR⁻ the lower and FPR⁺ the upper Clopper-Pearson end, each at (1 − confidence)/2, so that both hold together,
//!
//! ε ≥ ln((TPR⁻ − δ)/FPR⁺)  and  ε ≥ ln((1 − FPR⁺ − δ)/(1 − TPR⁻)),
//!
//! of which the larger one is stated: both need the same two ends, so the second costs nothing.
//!
//! 1. Choose a test as [`Selection`] says.
//! 2. Count how often it says "member" with and without the record.
//! 3. Take the ends, and the larger of the two bounds, at least 0.
//!
//! 1000 of 1000 members found without a false alarm in 1000 prove no more than ε ≥ 5.6: it is trials that limit a bound.
//!
//! # Privacy
//! None: this is an attack.
//!
//! # References
//! Jagielski, Ullman, Oprea, arXiv 2006.07709; Nasr, Song, Thakurta, Papernot, Carlini, arXiv 2101.04535.
//!
//! # Example
//! ```
//! use freelunch::audit::ClopperPearson;
//! let epsilon = ClopperPearson::bound((250, 500), (50, 500), 1e-5, 0.95)?;
//! assert!((epsilon - 1.255609).abs() < 1e-6);
//! # Ok::<(), freelunch::Error>(())
//! ```

use super::selection::{Ends, Found, best};
use super::{LowerBound, Premise, Selection, Side, check_delta_and_confidence, check_worlds, pooled, worlds};
use crate::attack::{Attack, Signals};
use crate::display::number::significant;
use crate::stats::{CONFIDENCE, clopper_pearson};
use crate::{Lab, Result};
use serde::{Deserialize, Serialize};

/// The audit by exact ends of both rates.
///
/// # Example
/// ```
/// use freelunch::Lab;
/// use freelunch::audit::{ClopperPearson, Selection};
/// let (scores, members): (Vec<f64>, Vec<bool>) = (0..400).map(|i| (f64::from(i % 100), i % 100 >= 50)).unzip();
/// let audit = ClopperPearson::new(Selection::Bonferroni { candidates: 10 }).with_delta(0.0);
/// assert!(audit.audit(&scores, &members, &Lab::new()?.quiet())?.epsilon > 3.0);
/// # Ok::<(), freelunch::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ClopperPearson {
    /// How the threshold is found.
    pub selection: Selection,
    /// Which scores speak for a member.
    pub side: Side,
    /// δ in [0, 1).
    pub delta: f64,
    /// Probability that the bound is right, in (0, 1); 0.95 in the literature.
    pub confidence: f64,
}

impl ClopperPearson {
    /// With δ = 1e-5, 95 % confidence, high scores for members.
    #[must_use]
    pub fn new(selection: Selection) -> Self {
        Self { selection, side: Side::High, delta: crate::privacy::DELTA, confidence: CONFIDENCE }
    }

    /// The same with another δ; 0 for pure differential privacy.
    #[must_use]
    pub fn with_delta(mut self, delta: f64) -> Self {
        self.delta = delta;
        self
    }

    /// The same with another confidence.
    #[must_use]
    pub fn with_confidence(mut self, confidence: f64) -> Self {
        self.confidence = confidence;
        self
    }

    /// The same for scores of which nobody knows whether members have the higher ones.
    #[must_use]
    pub fn with_side(mut self, side: Side) -> Self {
        self.side = side;
        self
    }

    /// The bound of one test that was fixed in advance: (true positives, members) and (false positives, non-members).
    ///
    /// # Errors
    /// [`Error::Config`](crate::Error::Config) for more positives than trials, no trial, or a δ or confidence out of its range.
    pub fn bound(found: (usize, usize), falsely: (usize, usize), delta: f64, confidence: f64) -> Result<f64> {
        check_delta_and_confidence(delta, confidence)?;
        let tpr_low = clopper_pearson(found.0, found.1, confidence)?.low;
        let fpr_high = clopper_pearson(falsely.0, falsely.1, confidence)?.high;
        Ok(stated(Ends { tpr_low, fpr_high }, delta))
    }

    /// The bound from independent trials: a score each, and whether the record was in.
    ///
    /// # Errors
    /// [`Error::Config`](crate::Error::Config) without members or non-members, for a score that is not finite, lengths that differ, or
    /// a setting out of its range.
    pub fn audit(&self, scores: &[f64], membership: &[bool], lab: &Lab) -> Result<LowerBound> {
        let (with, without) = worlds(scores, membership)?;
        self.audit_worlds(&with, &without, lab)
    }

    /// As [`ClopperPearson::audit`], with the scores of members and non-members apart.
    ///
    /// # Errors
    /// As [`ClopperPearson::audit`].
    pub fn audit_worlds(&self, with: &[f64], without: &[f64], lab: &Lab) -> Result<LowerBound> {
        let found = self.best(with, without, lab, |ends| stated(ends, self.delta))?;
        let mut bound = self.lower_bound(found.value, &found);
        if let Some(test) = &found.test {
            let [members, non_members] = both(test.ends, self.delta);
            bound.direction = Some(test.direction(members >= non_members));
        }
        Ok(bound)
    }

    /// The bound from a game, every model as target in turn: its canaries, or all records where none was marked. The trials are not
    /// independent ([`Premise::IndependentTrials`]); [`OneRun`](super::OneRun) needs no such premise.
    ///
    /// # Errors
    /// As [`ClopperPearson::audit`], and what the attack answers.
    pub fn pooled(&self, signals: &Signals, attack: &dyn Attack, lab: &Lab) -> Result<LowerBound> {
        let (scores, membership) = pooled(signals, attack)?;
        let bound = self.audit(&scores, &membership, lab)?;
        Ok(LowerBound { premise: Some(Premise::IndependentTrials), ..bound })
    }

    pub(super) fn best(&self, with: &[f64], without: &[f64], lab: &Lab, value: impl Fn(Ends) -> f64) -> Result<Found> {
        check_delta_and_confidence(self.delta, self.confidence)?;
        check_worlds(with, without)?;
        best((with, without), self.selection, self.side, self.confidence, lab, value)
    }

    pub(super) fn lower_bound(&self, epsilon: f64, found: &Found) -> LowerBound {
        let evidence = found.test.as_ref().map_or("no test tells the worlds apart".to_string(), |test| {
            let [(hits, of), (false_hits, out_of)] = test.hits;
            format!("{hits} of {of} with, {false_hits} of {out_of} without, at {}", significant(test.threshold(), 4))
        });
        LowerBound {
            epsilon,
            delta: self.delta,
            confidence: self.confidence,
            method: "Clopper-Pearson".to_string(),
            evidence,
            trials: found.trials,
            threshold: found.test.as_ref().map(|test| test.threshold()),
            direction: None,
            premise: None,
        }
    }
}

/// ln((TPR − δ)/FPR) and ln((1 − FPR − δ)/(1 − TPR)), each at least 0.
fn both(ends: Ends, delta: f64) -> [f64; 2] {
    let above = |most: f64, least: f64| if most > least { libm::log(most / least) } else { 0.0 };
    [above(ends.tpr_low - delta, ends.fpr_high), above(1.0 - ends.fpr_high - delta, 1.0 - ends.tpr_low)]
}

fn stated(ends: Ends, delta: f64) -> f64 {
    let [members, non_members] = both(ends, delta);
    members.max(non_members)
}
