//! The ROC curve of an attack: how many members it finds for how many false accusations, with intervals and their limits.
//!
//! "Member" is said when score ≥ t. With tp(t) and fp(t) the members and non-members that reach t, TPR = tp/n₁ and FPR = fp/n₀.
//!
//! 1. Thresholds are the distinct scores: equal scores move together. The point (0, 0) belongs to the curve.
//! 2. AUC = Σ ½ (TPRᵢ₋₁ + TPRᵢ)(FPRᵢ − FPRᵢ₋₁) (trapezoids, so a tie counts half), with DeLong's interval.
//! 3. TPR at FPR ≤ b is the largest TPR whose FPR does not exceed b, with the Clopper-Pearson interval of that TPR.
//!
//! With n₀ non-members no FPR below 1/n₀ can be measured: [`TprAt::warning`] says so where it matters.
//!
//! # Privacy
//! None: a curve is computed from the membership itself.
//!
//! # References
//! Carlini et al., arXiv 2112.03570 (TPR at low FPR, log-log curves); DeLong, DeLong, Clarke-Pearson, *Biometrics* 44 (1988).
//!
//! # Example
//! ```
//! use freelunch::roc::Roc;
//! let roc = Roc::new(&[0.9, 0.8, 0.7, 0.1], &[true, false, true, false])?.named("guess");
//! assert_eq!(roc.auc().value, 0.75);
//! assert_eq!(roc.tpr_at(0.01).rate.value(), 0.5);
//! # Ok::<(), freelunch::Error>(())
//! ```

mod figure;
mod ranks;
mod steps;
mod sums;
mod tpr_at;
mod zoom;

pub use figure::RocSet;
pub use tpr_at::TprAt;

use crate::stats::{Estimate, Rate};
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::fmt;
use steps::{Step, Steps};
use tpr_at::{ROUNDING, warning};

/// The trade-off between true and false positives over all thresholds.
///
/// # Example
/// ```
/// let roc = freelunch::roc::Roc::new(&[2.0, 1.0, 0.0], &[true, true, false])?;
/// assert_eq!((roc.members(), roc.non_members(), roc.balanced_accuracy()), (2, 1, 1.0));
/// # Ok::<(), freelunch::Error>(())
/// ```
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Roc {
    name: String,
    note: String,
    members: usize,
    non_members: usize,
    steps: Steps,
}

/// A point of the curve.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct RocPoint {
    /// "Member" is said from this score on; `None` where it is never said.
    pub threshold: Option<f64>,
    /// False positive rate.
    pub fpr: f64,
    /// True positive rate.
    pub tpr: f64,
}

impl Roc {
    /// The curve of `scores` (higher = member) against the truth. Sorts once: a million scores take a fraction of a second.
    ///
    /// # Errors
    /// [`Error::Config`] when the lengths differ, there is no member or no non-member, or a score is not finite.
    pub fn new(scores: &[f64], membership: &[bool]) -> Result<Self> {
        if scores.len() != membership.len() || u32::try_from(scores.len()).is_err() {
            let what = format!("{} scores for {} records", scores.len(), membership.len());
            return Err(Error::config(what, "expected one score for each, fewer than 2^32"));
        }
        let members = membership.iter().filter(|&&member| member).count();
        let non_members = membership.len() - members;
        if members == 0 || non_members == 0 {
            let what = format!("{members} members and {non_members} non-members");
            return Err(Error::config(what, "a curve needs at least one of each"));
        }
        let Some(steps) = Steps::of(scores, membership) else {
            let at = scores.iter().position(|score| !score.is_finite()).unwrap_or_default();
            return Err(Error::config(format!("score {at} is {}", scores[at]), "expected finite scores"));
        };
        Ok(Self { name: "attack".to_string(), note: String::new(), members, non_members, steps })
    }

    /// The same curve under a name, for legends and tables.
    #[must_use]
    pub fn named(mut self, name: &str) -> Self {
        self.name = name.to_string();
        self
    }

    /// The same curve with a remark for the caption: how many models, which seed.
    #[must_use]
    pub fn with_note(mut self, note: &str) -> Self {
        self.note = note.to_string();
        self
    }

    /// Several curves in one figure.
    ///
    /// # Example
    /// ```
    /// use freelunch::roc::Roc;
    /// let truth = [true, false, true, false];
    /// let good = Roc::new(&[0.9, 0.1, 0.8, 0.2], &truth)?.named("good");
    /// let bad = Roc::new(&[0.5, 0.5, 0.5, 0.5], &truth)?.named("bad");
    /// assert_eq!(Roc::compare([good, bad]).curves().len(), 2);
    /// # Ok::<(), freelunch::Error>(())
    /// ```
    #[must_use]
    pub fn compare(curves: impl IntoIterator<Item = Roc>) -> RocSet {
        RocSet::new(curves.into_iter().collect())
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The remark for the caption.
    #[must_use]
    pub fn note(&self) -> &str {
        &self.note
    }

    /// Number of member trials, n₁.
    #[must_use]
    pub fn members(&self) -> usize {
        self.members
    }

    /// Number of non-member trials, n₀.
    #[must_use]
    pub fn non_members(&self) -> usize {
        self.non_members
    }

    /// Area under the curve, the chance that a random member scores above a random non-member (a tie counts half), with
    /// DeLong's 95 % interval: AUC ± 1.96 √(S₁₀/n₁ + S₀₁/n₀), cut to 0..1, where S₁₀ is the variance over members of the share of
    /// non-members below them and S₀₁ the variance over non-members of the share of members above them.
    ///
    /// Where both variances are 0 (perfect separation, or all scores equal) that interval would have no width. Then the m =
    /// min(n₁, n₀) disjoint pairs are m trials with one outcome, and the interval is Clopper-Pearson's; with m = 1 it says nothing.
    #[must_use]
    pub fn auc(&self) -> Estimate {
        let (n1, n0) = (self.members as f64, self.non_members as f64);
        let value = self.steps.wins() as f64 / (2.0 * n1 * n0);
        let [spread_members, spread_others] = self.steps.spreads(value, n1, n0);
        let pairs = self.members.min(self.non_members);
        if pairs < 2 {
            return Estimate { value, low: 0.0, high: 1.0 };
        }
        let variance = spread_members / (n1 * (n1 - 1.0)) + spread_others / (n0 * (n0 - 1.0));
        // Rounding leaves about 1e-32 of a variance that is 0.
        if variance < 1e-25 {
            let unseen = 1.0 - Rate::counted(pairs, pairs).low;
            let (down, up) = (value * unseen, (1.0 - value) * unseen);
            return Estimate { value, low: value - down, high: value + up };
        }
        let reach = 1.959_963_984_540_054 * variance.sqrt();
        Estimate { value, low: (value - reach).max(0.0), high: (value + reach).min(1.0) }
    }

    /// The best (TPR + 1 − FPR)/2 over all thresholds, 0.5 to 1. The threshold is chosen with the truth in hand, so this is a
    /// little optimistic; report it beside the rates at low FPR, not instead of them.
    #[must_use]
    pub fn balanced_accuracy(&self) -> f64 {
        let (n1, n0) = (self.members as f64, self.non_members as f64);
        0.5 + 0.5 * self.steps.distance(n1, n0) / (n1 * n0)
    }

    /// The largest TPR with FPR ≤ `fpr`. A bound outside 0..1 is moved to its nearer end.
    ///
    /// The interval is that of the members alone, at the threshold found; it holds for independent trials. How far the FPR itself
    /// is uncertain is in the warning.
    #[must_use]
    pub fn tpr_at(&self, fpr: f64) -> TprAt {
        let at_most = within(fpr);
        self.best(at_most, Some((at_most * self.non_members as f64 + ROUNDING).floor() as usize))
    }

    /// The largest TPR with FPR < `fpr`. Differs from [`Roc::tpr_at`] where the bound is met exactly; publications use both.
    #[must_use]
    pub fn tpr_at_strict(&self, fpr: f64) -> TprAt {
        let below = within(fpr);
        self.best(below, ((below * self.non_members as f64 - ROUNDING).ceil() as usize).checked_sub(1))
    }

    fn best(&self, at_most: f64, allowed: Option<usize>) -> TprAt {
        let step = allowed.map_or(steps::START, |allowed| self.steps.last_within(allowed));
        let (members, non_members, false_positives) = (self.members, self.non_members, step.fp as usize);
        TprAt {
            rate: Rate::counted(step.tp as usize, members),
            at_most,
            false_positives,
            threshold: threshold(step),
            members,
            non_members,
            warning: warning(at_most, false_positives, non_members),
        }
    }

    /// The curve from (0, 0) to (1, 1). Points inside a vertical stretch are left out.
    #[must_use]
    pub fn curve(&self) -> Vec<RocPoint> {
        let (n1, n0) = (self.members as f64, self.non_members as f64);
        let point = |step: Step| RocPoint { threshold: threshold(step), fpr: f64::from(step.fp) / n0, tpr: f64::from(step.tp) / n1 };
        self.steps.iter().map(point).collect()
    }

    /// [`Roc::tpr_at`] on a grid of at most about 150 values of the FPR, 1/n₀ to 1 and evenly spaced in its logarithm: the curve
    /// and the band of a log-log figure.
    #[must_use]
    pub fn band(&self) -> Vec<(f64, Rate)> {
        const POINTS: i32 = 150;
        let n0 = self.non_members as f64;
        let mut counts: Vec<usize> = (0..=POINTS).map(|i| n0.powf(f64::from(i) / f64::from(POINTS)).round() as usize).collect();
        counts.dedup();
        let rate = |count: usize| Rate::counted(self.steps.last_within(count).tp as usize, self.members);
        counts.into_iter().map(|count| (count as f64 / n0, rate(count))).collect()
    }
}

fn threshold(step: Step) -> Option<f64> {
    step.threshold.is_finite().then_some(step.threshold)
}

fn within(fpr: f64) -> f64 {
    if fpr.is_nan() { 0.0 } else { fpr.clamp(0.0, 1.0) }
}

impl fmt::Debug for Roc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, members, non_members, .. } = self;
        write!(f, "Roc({name}, {members} members, {non_members} non-members, AUC {:.3})", self.auc().value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scores on a coarse grid, so that there are ties, and a truth that follows them a little.
    fn made_up(n: usize, levels: u64) -> (Vec<f64>, Vec<bool>) {
        let mut state = 99_u64;
        let mut next = |below: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % below
        };
        let scores: Vec<f64> = (0..n).map(|_| next(levels) as f64).collect();
        let membership = scores.iter().map(|score| next(2 * levels) as f64 - 0.5 * levels as f64 <= *score).collect();
        (scores, membership)
    }

    #[test]
    fn auc_is_the_chance_that_a_member_outranks_a_non_member_and_its_interval_is_delongs() {
        let (scores, membership) = made_up(120, 30);
        let wins = |a: f64, b: f64| if a > b { 1.0 } else { 0.5 * f64::from(u8::from(a == b)) };
        let side = |member: bool| scores.iter().zip(&membership).filter(move |trial| *trial.1 == member).map(|trial| *trial.0);
        let below: Vec<f64> = side(true).map(|a| side(false).map(|b| wins(a, b)).sum::<f64>() / side(false).count() as f64).collect();
        let above: Vec<f64> = side(false).map(|b| side(true).map(|a| wins(a, b)).sum::<f64>() / side(true).count() as f64).collect();
        let part = |values: &[f64]| crate::stats::deviation(values).powi(2) / (values.len() - 1) as f64;
        let auc = Roc::new(&scores, &membership).unwrap().auc();
        assert!((auc.value - crate::stats::mean(&below)).abs() < 1e-12);
        let reach = 1.959_963_984_540_054 * (part(&below) + part(&above)).sqrt();
        assert!((auc.high - auc.value - reach).abs() < 1e-12 && (auc.value - auc.low - reach).abs() < 1e-12);
    }

    #[test]
    fn all_metrics_depend_on_the_ranks_only() {
        let (scores, membership) = made_up(500, 40);
        let stretched: Vec<f64> = scores.iter().map(|score| (score / 7.0).exp() - 3.0).collect();
        let (a, b) = (Roc::new(&scores, &membership).unwrap(), Roc::new(&stretched, &membership).unwrap());
        assert_eq!((a.auc(), a.balanced_accuracy(), a.band()), (b.auc(), b.balanced_accuracy(), b.band()));
        assert_eq!(a.tpr_at(0.05).rate, b.tpr_at(0.05).rate);
    }

    #[test]
    fn the_order_of_the_trials_does_not_matter() {
        let (mut scores, mut membership) = made_up(300, 20);
        let roc = Roc::new(&scores, &membership).unwrap();
        scores.reverse();
        membership.reverse();
        assert_eq!(roc, Roc::new(&scores, &membership).unwrap());
    }

    #[test]
    fn swapping_labels_or_signs_mirrors_the_auc() {
        let (scores, membership) = made_up(200, 25);
        let swapped: Vec<bool> = membership.iter().map(|member| !member).collect();
        let negative: Vec<f64> = scores.iter().map(|score| -score).collect();
        let auc = |scores: &[f64], truth: &[bool]| Roc::new(scores, truth).unwrap().auc().value;
        assert!((auc(&scores, &membership) + auc(&scores, &swapped) - 1.0).abs() < 1e-12);
        assert!((auc(&scores, &membership) - auc(&negative, &swapped)).abs() < 1e-12);
    }

    #[test]
    fn equal_scores_give_an_auc_of_one_half_and_no_threshold_between() {
        let roc = Roc::new(&[1.0; 6], &[true, false, true, false, true, false]).unwrap();
        assert_eq!((roc.auc().value, roc.balanced_accuracy(), roc.curve().len()), (0.5, 0.5, 2));
        assert_eq!((roc.tpr_at(0.5).rate.hits, roc.tpr_at(1.0).rate.hits), (0, 3));
        assert!(roc.auc().low < 0.2 && roc.auc().high > 0.8);
    }

    #[test]
    fn perfect_separation_has_an_auc_of_one_with_an_honest_interval() {
        let scores: Vec<f64> = (0..20).map(f64::from).collect();
        let truth: Vec<bool> = (0..20).map(|i| i >= 10).collect();
        let roc = Roc::new(&scores, &truth).unwrap();
        assert_eq!((roc.auc().value, roc.auc().high, roc.balanced_accuracy()), (1.0, 1.0, 1.0));
        assert!((roc.auc().low - 0.691_502_892).abs() < 1e-8); // Clopper-Pearson of 10 pairs of 10
        assert_eq!((roc.tpr_at(0.0).rate.hits, roc.tpr_at(0.0).threshold), (10, Some(10.0)));
        let upside_down = Roc::new(&scores, &truth.iter().map(|member| !member).collect::<Vec<_>>()).unwrap();
        assert_eq!((upside_down.auc().value, upside_down.balanced_accuracy()), (0.0, 0.5));
    }

    #[test]
    fn the_strict_bound_differs_where_it_is_met_exactly() {
        // Ranks: one member, one non-member, one member, then 99 non-members.
        let scores: Vec<f64> = (0..102).map(|i| -f64::from(i)).collect();
        let truth: Vec<bool> = (0..102).map(|i| i == 0 || i == 2).collect();
        let roc = Roc::new(&scores, &truth).unwrap();
        assert_eq!((roc.tpr_at(0.01).rate.hits, roc.tpr_at(0.01).false_positives), (2, 1));
        assert_eq!((roc.tpr_at_strict(0.01).rate.hits, roc.tpr_at_strict(0.01).false_positives), (1, 0));
        assert_eq!((roc.tpr_at_strict(0.0).rate.hits, roc.tpr_at(f64::NAN).rate.hits), (0, 1));
    }

    #[test]
    fn unusable_scores_are_refused() {
        assert!(Roc::new(&[1.0], &[true, false]).is_err());
        assert!(Roc::new(&[1.0, 2.0], &[true, true]).is_err());
        assert!(Roc::new(&[1.0, f64::NAN], &[true, false]).unwrap_err().to_string().contains("score 1 is NaN"));
    }
}
