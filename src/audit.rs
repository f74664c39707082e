//! Audits: how much privacy an attack proves to be lost, as a lower bound on ε with its confidence.
//!
//! If a mechanism is (ε, δ)-differentially private, every test of "was this record in?" has
//! TPR ≤ e^ε · FPR + δ and 1 − FPR ≤ e^ε · (1 − TPR) + δ. Read backwards, rates that were measured bound ε from below.
//!
//! 1. [`ClopperPearson`]: exact ends of both rates, over many runs of the mechanism.
//! 2. [`OneRun`]: many canaries in a single run, each in or out by a coin.
//! 3. [`GaussianBound`]: the rates fix μ of a Gaussian trade-off curve, and μ gives ε; a bound for Gaussian mechanisms only.
//! 4. [`EpsilonAxis`] draws these bounds from below beside an accountant's bound from above.
//!
//! # What makes it a bound
//! With probability `confidence` the number is at most the true ε, if the test was fixed before the data were seen. A threshold that was
//! *chosen* as the best on the same data is not: its bound exceeds the true ε far more often than it says. So there is no
//! "best of all thresholds" here; [`Selection`] and [`Guesses`] offer what is sound (fixed, chosen on other data, or Bonferroni). What
//! else must hold stands in [`LowerBound::premise`]: the trials of a membership game, pooled over models and records, are not independent.
//!
//! A bound of 0 proves nothing, least of all privacy: a better attack may prove more. ε is the one of the neighbouring relation that was
//! played: with and without a record.
//!
//! # Privacy
//! None: an audit reads the membership itself.
//!
//! # References
//! Jagielski, Ullman, Oprea, arXiv 2006.07709 (Clopper-Pearson); Nasr et al., arXiv 2101.04535; arXiv 2302.07956 (Gaussian trade-off);
//! Steinke, Nasr, Jagielski, arXiv 2305.08846 (one run).
//!
//! # Example
//! ```
//! use freelunch::Lab;
//! use freelunch::audit::{Selection, distinguish};
//! let lab = Lab::new()?.quiet();
//! // A "mechanism" whose output gives the record away: it is 1 with it and 0 without, 1000 runs each.
//! let bound = distinguish(&[1.0; 1000], &[0.0; 1000], 0.0, Selection::Fixed(0.5), &lab)?;
//! assert_eq!(bound.to_string(), "ε ≥ 5.43 (95 %, Clopper-Pearson, δ = 0)");
//! # Ok::<(), freelunch::Error>(())
//! ```

mod binomial;
pub mod clopper_pearson;
pub mod epsilon_axis;
pub mod gaussian;
pub mod one_run;
pub mod selection;

pub use clopper_pearson::ClopperPearson;
pub use epsilon_axis::{AxisRow, EpsilonAxis};
pub use gaussian::GaussianBound;
pub use one_run::{Guesses, OneRun};
pub use selection::{Selection, Side};

use crate::attack::{Attack, Scores, Signals};
use crate::display::number::significant;
use crate::display::{Cell, Figure, Show, Table, show_inline};
use crate::{Error, Lab, Result};
use serde::{Deserialize, Serialize};
use std::fmt;

/// What an audit proves: ε is at least this.
///
/// # Example
/// ```
/// use freelunch::Lab;
/// use freelunch::audit::{Guesses, OneRun};
/// let (scores, coins): (Vec<f64>, Vec<bool>) = (0..100).map(|i| (f64::from(i), i >= 50)).unzip();
/// let bound = OneRun::new(Guesses::Fixed { members: 20, non_members: 20 }).audit(&scores, &coins, &Lab::new()?.quiet())?;
/// assert!(bound.epsilon > 2.4 && bound.trials == 100);
/// # Ok::<(), freelunch::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LowerBound {
    /// The bound, ≥ 0 and finite; 0: nothing is proven.
    pub epsilon: f64,
    /// δ in [0, 1) of the (ε, δ) that it speaks about.
    pub delta: f64,
    /// Probability that the bound is right, in (0, 1).
    pub confidence: f64,
    /// The audit in a few words.
    pub method: String,
    /// The counts that prove it, in words.
    pub evidence: String,
    /// Trials that were counted, not those that chose the test.
    pub trials: usize,
    /// The score at which the test decides; none for one run, or where nothing is proven.
    pub threshold: Option<f64>,
    /// Which side of the threshold gives away whom; none as for the threshold.
    pub direction: Option<Direction>,
    /// What must hold beside, and nobody has proven.
    pub premise: Option<Premise>,
}

/// Which event is too likely in one of the two worlds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Direction {
    /// Members score at or above the threshold: ε ≥ ln((TPR − δ)/FPR).
    MembersAbove,
    /// Non-members score below it: ε ≥ ln((1 − FPR − δ)/(1 − TPR)).
    NonMembersBelow,
    /// Members score at or below it.
    MembersBelow,
    /// Non-members score above it.
    NonMembersAbove,
}

/// What a bound takes for granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Premise {
    /// The trials are independent. Those of a game are not quite: records share models, and a record is tried in every model.
    IndependentTrials,
    /// The mechanism's trade-off curve is Gaussian, as for one or many Gaussian releases without sampling.
    GaussianTradeOff,
    /// The shadows' members tell nothing about the target's. In a game they do: every record is in exactly half of the runs.
    UnrelatedShadows,
}

impl fmt::Display for Premise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::IndependentTrials => "if the trials are independent",
            Self::GaussianTradeOff => "if the trade-off is Gaussian",
            Self::UnrelatedShadows => "if the shadows tell nothing of the coins",
        })
    }
}

impl fmt::Display for LowerBound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let confidence = significant(100.0 * self.confidence, 4);
        write!(f, "ε ≥ {} ({confidence} %, {}, δ = {}", significant(self.epsilon, 3), self.method, short(self.delta))?;
        self.premise.map_or(Ok(()), |premise| write!(f, "; {premise}"))?;
        f.write_str(")")
    }
}

impl Show for LowerBound {
    fn figure(&self) -> Figure {
        let premise = self.premise.map_or("none".to_string(), |premise| premise.to_string());
        let cells = [Cell::from(self.epsilon), short(self.delta).into(), self.confidence.into(), self.method.as_str().into()];
        let more = [self.evidence.as_str().into(), Cell::from(self.trials), premise.into()];
        Table::new(["ε ≥", "δ", "confidence", "audit", "evidence", "trials", "premise"]).row(cells.into_iter().chain(more)).figure()
    }
}

show_inline!(LowerBound);

/// A lower bound on ε from runs of a mechanism with and without a record: a number computed from each output, of which nobody knows
/// in advance whether the record raises or lowers it. 95 % confidence; the runs must be independent.
///
/// # Errors
/// As [`ClopperPearson::audit`].
///
/// # Example
/// ```
/// use freelunch::Lab;
/// use freelunch::audit::{Selection, distinguish};
/// let lab = Lab::new()?.quiet();
/// let (with, without): (Vec<f64>, Vec<f64>) = (0..1000).map(|i| (f64::from(i % 10), f64::from(i % 7))).unzip();
/// let bound = distinguish(&with, &without, 1e-5, Selection::Split { share: 0.5 }, &lab)?;
/// assert!(bound.epsilon > 1.0); // 7, 8 and 9 are never seen without it
/// # Ok::<(), freelunch::Error>(())
/// ```
pub fn distinguish(with: &[f64], without: &[f64], delta: f64, selection: Selection, lab: &Lab) -> Result<LowerBound> {
    ClopperPearson::new(selection).with_side(Side::Either).with_delta(delta).audit_worlds(with, without, lab)
}

/// δ or another small number as people write it.
fn short(value: f64) -> String {
    if value == 0.0 { "0".to_string() } else { format!("{value:e}") }
}

fn check_delta_and_confidence(delta: f64, confidence: f64) -> Result<()> {
    if !(0.0..1.0).contains(&delta) {
        return Err(Error::config(format!("delta is {delta}"), "expected a number from 0 to below 1, such as 1e-5"));
    }
    if confidence > 0.0 && confidence < 1.0 {
        return Ok(());
    }
    Err(Error::config(format!("confidence is {confidence}"), "expected a number between 0 and 1, such as 0.95"))
}

/// The scores of both worlds, each finite and none of them empty.
fn worlds(scores: &[f64], membership: &[bool]) -> Result<(Vec<f64>, Vec<f64>)> {
    if scores.len() != membership.len() {
        let what = format!("{} scores for {} memberships", scores.len(), membership.len());
        return Err(Error::config(what, "expected one score for each trial"));
    }
    let of = |side: bool| scores.iter().zip(membership).filter(|(_, member)| **member == side).map(|(score, _)| *score).collect();
    let (with, without): (Vec<f64>, Vec<f64>) = (of(true), of(false));
    check_worlds(&with, &without)?;
    Ok((with, without))
}

fn check_worlds(with: &[f64], without: &[f64]) -> Result<()> {
    if with.is_empty() || without.is_empty() {
        let what = format!("{} trials with the record and {} without it", with.len(), without.len());
        return Err(Error::config(what, "an audit needs both; hundreds of each prove something"));
    }
    match with.iter().chain(without).find(|score| !score.is_finite()) {
        Some(bad) => Err(Error::config(format!("a score is {bad}"), "expected finite scores")),
        None => Ok(()),
    }
}

/// The records an audit of a game counts: the canaries, or all where none was marked.
fn counted(signals: &Signals) -> Vec<usize> {
    let marked = signals.marked_records();
    if marked.is_empty() { (0..signals.len()).collect() } else { marked }
}

/// The scores and members of some records, with every model as the target in turn.
fn pooled(signals: &Signals, attack: &dyn Attack) -> Result<(Vec<f64>, Vec<bool>)> {
    Ok(Scores::of(attack, signals)?.trials_of(&counted(signals)))
}

fn of_model(signals: &Signals, attack: &dyn Attack, target: usize) -> Result<(Vec<f64>, Vec<bool>)> {
    let (all, members, records) = (attack.score(signals, target)?, signals.members_of(target)?, counted(signals));
    if all.len() != signals.len() {
        let what = format!("{} gave {} scores for {} records", attack.name(), all.len(), signals.len());
        return Err(Error::config(what, "an attack gives one for each"));
    }
    Ok((records.iter().map(|&record| all[record]).collect(), records.iter().map(|&record| members[record]).collect()))
}

#[cfg(test)]
mod tests;
