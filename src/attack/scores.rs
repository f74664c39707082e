//! The scores of an attack with every model as target in turn, and what can be read from them: curves of all trials, of some records, of slices.
//!
//! A *trial* is one record under one target. Slicing shows where a curve comes from: which classes, the records that the target gets wrong, the
//! records with a large loss, the canaries, and apart from each other the members that a condensed set began as and the others.
//!
//! # Privacy
//! None: this is an attack's result. A slice is chosen by what the attacker also sees (label, correctness, loss of the target), or by what only the
//! experimenter knows (canaries, start records); the second kind measures, it is no attack.
//!
//! # References
//! Slices as in TensorFlow Privacy's membership tests; start records apart: Zhao, Zhang, arXiv 2502.12976.
//!
//! # Example
//! ```
//! use freelunch::attack::{LossThreshold, Manifest, Scores, Signals, Slice};
//! let manifest = Manifest::new(serde_json::Value::Null, 7, "no data");
//! let logits = vec![2.0_f32, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 3.0];
//! let signals = Signals::new(logits, [2, 2, 1, 2], vec![true, false, false, true], vec![0, 1], manifest)?;
//! let scores = Scores::of(&LossThreshold::new(), &signals)?;
//! assert_eq!(scores.roc()?.auc().value, 1.0);
//! assert_eq!(scores.sliced(Slice::Class).slices().len(), 2);
//! # Ok::<(), freelunch::Error>(())
//! ```

use super::{Attack, Signals, ThresholdRule, signals};
use crate::display::{Figure, Show, Table, show_inline};
use crate::roc::{Roc, TprAt};
use crate::stats::{Rate, mean};
use crate::{Error, Result};
use polars::prelude::{Column, DataFrame};
use serde::{Deserialize, Serialize};
use std::fmt;

/// One score for each trial, with what is known of the trial.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Scores {
    attack: String,
    models: usize,
    seed: u64,
    scores: Vec<f64>,      // [models, n]
    membership: Vec<bool>, // [models, n]
    started: Vec<bool>,    // [models, n], or empty
    correct: Vec<bool>,    // [models, n]: the target gets the record right
    losses: Vec<f64>,      // [models, n]: mean over queries
    labels: Vec<u32>,
    ids: Vec<usize>,
    marked: Vec<bool>,
}

/// How trials are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Slice {
    /// By the record's label.
    Class,
    /// By whether the target gets the record right.
    Correctness,
    /// By the loss under the target, in this many parts of equal size.
    Loss(usize),
    /// Canaries and the others.
    Canaries,
    /// Members that the release began as, against all non-members; and the other members, against the same. Every non-member is in both.
    Started,
}

impl Scores {
    /// The scores of `attack` with every model as target in turn.
    ///
    /// # Errors
    /// As [`Attack::score`], and [`Error::Config`] when the attack gives another number of scores than there are records.
    pub fn of<A: Attack + ?Sized>(attack: &A, signals: &Signals) -> Result<Self> {
        let all = attack.score_all(signals)?;
        if let Some(wrong) = all.iter().find(|of_target| of_target.len() != signals.len()) {
            let what = format!("{} gave {} scores for {} records", attack.name(), wrong.len(), signals.len());
            return Err(Error::config(what, "an attack gives one for each"));
        }
        let (mut correct, mut losses) = (vec![], vec![]);
        for model in 0..signals.models() {
            // A record is right when no other class has a larger logit; of several queries the first is the record itself.
            correct.extend(signals.hinge(model)?.chunks(signals.queries()).map(|hinges| hinges[0] >= 0.0));
            losses.extend(signals.loss(model)?.chunks(signals.queries()).map(mean));
        }
        Ok(Self {
            attack: attack.name(),
            models: signals.models(),
            seed: signals.manifest().seed,
            scores: all.concat(),
            membership: signals.membership().to_vec(),
            started: signals.started().to_vec(),
            correct,
            losses,
            labels: signals.labels().to_vec(),
            ids: signals.ids().to_vec(),
            marked: signals.marked().to_vec(),
        })
    }

    /// The attack's name.
    #[must_use]
    pub fn attack(&self) -> &str {
        &self.attack
    }

    /// Number of models, each a target once.
    #[must_use]
    pub fn models(&self) -> usize {
        self.models
    }

    /// Number of records.
    #[must_use]
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Never true: there is at least one record.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// The seed of the game.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// The scores, row-major `[models, n]`, higher = member.
    #[must_use]
    pub fn values(&self) -> &[f64] {
        &self.scores
    }

    /// Who was a member, row-major `[models, n]`.
    #[must_use]
    pub fn membership(&self) -> &[bool] {
        &self.membership
    }

    /// The labels, `[n]`.
    #[must_use]
    pub fn labels(&self) -> &[u32] {
        &self.labels
    }

    /// Each record's position in the pool, `[n]`.
    #[must_use]
    pub fn ids(&self) -> &[usize] {
        &self.ids
    }

    /// Which records are canaries, `[n]`.
    #[must_use]
    pub fn marked(&self) -> &[bool] {
        &self.marked
    }

    /// The curve of all trials under one threshold; see [`Attack::roc`].
    ///
    /// # Errors
    /// [`Error::Config`] when no trial is a member or none is a non-member.
    pub fn roc(&self) -> Result<Roc> {
        self.roc_where(self.len(), |_| true)
    }

    /// The curve of the trials of some records; see [`Attack::roc_of`].
    ///
    /// # Errors
    /// As [`Scores::roc`], and [`Error::Config`] for no record or one that does not exist.
    pub fn roc_of(&self, records: &[usize]) -> Result<Roc> {
        signals::check_positions("record", records, self.len())?;
        let mut times = vec![0; self.len()];
        records.iter().for_each(|&record| times[record] += 1);
        self.roc_where(times.iter().filter(|&&times| times > 0).count(), |at| times[at % self.len()] > 0)
    }

    /// What one given threshold achieves over all trials: "member" is said from this score on.
    ///
    /// # Errors
    /// [`Error::Config`] when no trial is a member or none is a non-member.
    pub fn rule(&self, threshold: f64) -> Result<ThresholdRule> {
        let rate = |side: bool| {
            let trials: Vec<f64> =
                self.scores.iter().zip(&self.membership).filter(|trial| *trial.1 == side).map(|trial| *trial.0).collect();
            Rate::new(trials.iter().filter(|&&score| score >= threshold).count(), trials.len())
        };
        Ok(ThresholdRule { threshold, true_positives: rate(true)?, false_positives: rate(false)? })
    }

    /// The scores and the truth of the trials of some records, model by model.
    pub(crate) fn trials_of(&self, records: &[usize]) -> (Vec<f64>, Vec<bool>) {
        let trials = (0..self.models).flat_map(|model| records.iter().map(move |&record| model * self.len() + record));
        trials.map(|at| (self.scores[at], self.membership[at])).unzip()
    }

    /// The curve of the trials `[model, record]` that are counted, of so many records.
    fn roc_where(&self, records: usize, counted: impl Fn(usize) -> bool) -> Result<Roc> {
        let trials: Vec<usize> = (0..self.scores.len()).filter(|&at| counted(at)).collect();
        let scores: Vec<f64> = trials.iter().map(|&at| self.scores[at]).collect();
        let membership: Vec<bool> = trials.iter().map(|&at| self.membership[at]).collect();
        let note = format!("{} models × {records} records, seed {}", self.models, self.seed);
        Ok(Roc::new(&scores, &membership)?.named(&self.attack).with_note(&note))
    }

    /// One curve for each slice. A slice without members or non-members is listed without one.
    #[must_use]
    pub fn sliced(&self, by: Slice) -> Sliced {
        let record = |at: usize| at % self.len();
        let trials = |counted: &dyn Fn(usize) -> bool| (0..self.scores.len()).filter(|&at| counted(at)).collect::<Vec<usize>>();
        let named: Vec<(String, Vec<usize>)> = match by {
            Slice::Class => {
                let classes = self.labels.iter().max().map_or(0, |&last| last + 1);
                (0..classes).map(|class| (format!("class {class}"), trials(&|at| self.labels[record(at)] == class))).collect()
            }
            Slice::Correctness => [("right", true), ("wrong", false)]
                .map(|(name, right)| (format!("the target is {name}"), trials(&|at| self.correct[at] == right)))
                .to_vec(),
            Slice::Loss(parts) => self.by_loss(parts.max(1)),
            Slice::Canaries => [("canaries", true), ("others", false)]
                .map(|(name, canary)| (name.to_string(), trials(&|at| self.marked[record(at)] == canary)))
                .to_vec(),
            Slice::Started => [("members it began as", true), ("other members", false)]
                .map(|(name, began)| {
                    let counted = |at: usize| !self.membership[at] || self.started.get(at).copied().unwrap_or(false) == began;
                    (name.to_string(), trials(&counted))
                })
                .to_vec(),
        };
        let slices = named.into_iter().map(|(name, trials)| {
            let scores: Vec<f64> = trials.iter().map(|&at| self.scores[at]).collect();
            let membership: Vec<bool> = trials.iter().map(|&at| self.membership[at]).collect();
            let members = membership.iter().filter(|&&member| member).count();
            SliceOf {
                members,
                non_members: trials.len() - members,
                roc: Roc::new(&scores, &membership).ok().map(|roc| roc.named(&format!("{}, {name}", self.attack))),
                name,
            }
        });
        Sliced { attack: self.attack.clone(), slices: slices.collect() }
    }

    fn by_loss(&self, parts: usize) -> Vec<(String, Vec<usize>)> {
        let mut order: Vec<usize> = (0..self.scores.len()).collect();
        order.sort_by(|&a, &b| self.losses[a].total_cmp(&self.losses[b]));
        let end = |part: usize| order.len() * part / parts;
        let name = |part: usize| {
            format!("loss percentile {:.0} to {:.0}", 100.0 * part as f64 / parts as f64, 100.0 * (part + 1) as f64 / parts as f64)
        };
        (0..parts).map(|part| (name(part), order[end(part)..end(part + 1)].to_vec())).collect()
    }
}

impl fmt::Debug for Scores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Scores({}, {} models, {} records)", self.attack, self.models, self.len())
    }
}

/// An attack's curve apart for each slice of the trials.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sliced {
    attack: String,
    slices: Vec<SliceOf>,
}

/// One slice.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SliceOf {
    /// Which trials.
    pub name: String,
    /// Trials of members.
    pub members: usize,
    /// Trials of non-members.
    pub non_members: usize,
    /// The curve; none where all trials are members or none is.
    pub roc: Option<Roc>,
}

impl Sliced {
    /// The slices.
    #[must_use]
    pub fn slices(&self) -> &[SliceOf] {
        &self.slices
    }

    /// One row per slice: `slice`, `members`, `non_members`, `auc`, `tpr_at_1_percent`, each with the ends of its interval.
    #[must_use]
    pub fn frame(&self) -> DataFrame {
        let names: Vec<&str> = self.slices.iter().map(|slice| slice.name.as_str()).collect();
        let numbers = |name: &str, of: &dyn Fn(&SliceOf) -> Option<f64>| -> Column {
            Column::new(name.into(), self.slices.iter().map(of).collect::<Vec<Option<f64>>>())
        };
        let auc = |slice: &SliceOf| slice.roc.as_ref().map(Roc::auc);
        let found = |slice: &SliceOf| slice.roc.as_ref().map(|roc| roc.tpr_at(0.01).rate);
        let columns = vec![
            Column::new("slice".into(), names),
            numbers("members", &|slice| Some(slice.members as f64)),
            numbers("non_members", &|slice| Some(slice.non_members as f64)),
            numbers("auc", &|slice| auc(slice).map(|auc| auc.value)),
            numbers("auc_low", &|slice| auc(slice).map(|auc| auc.low)),
            numbers("auc_high", &|slice| auc(slice).map(|auc| auc.high)),
            numbers("tpr_at_1_percent", &|slice| found(slice).map(|rate| rate.value())),
            numbers("tpr_at_1_percent_low", &|slice| found(slice).map(|rate| rate.low)),
            numbers("tpr_at_1_percent_high", &|slice| found(slice).map(|rate| rate.high)),
        ];
        // All columns have one value per slice, so this cannot fail.
        DataFrame::new(self.slices.len(), columns).unwrap_or_default()
    }
}

impl Show for Sliced {
    fn figure(&self) -> Figure {
        let mut table = Table::new(["slice", "member trials", "non-member trials", "AUC", "TPR at FPR ≤ 1 %"]);
        let mut warnings: Vec<String> = vec![];
        for slice in &self.slices {
            let at: Option<TprAt> = slice.roc.as_ref().map(|roc| roc.tpr_at(0.01));
            warnings.extend(at.as_ref().and_then(|at| at.warning.clone()).map(|text| format!("{}: {text}", slice.name)));
            table = table.row([
                slice.name.clone(),
                slice.members.to_string(),
                slice.non_members.to_string(),
                slice.roc.as_ref().map_or("one side only".to_string(), |roc| roc.auc().to_string()),
                at.map_or(String::new(), |at| at.rate.to_string()),
            ]);
        }
        let caption = format!("Intervals: 95 %, for these records and models. {}", warnings.join("; "));
        table.captioned(caption.trim_end()).figure().titled(&self.attack)
    }
}

show_inline!(Sliced);

#[cfg(test)]
mod tests {
    use super::super::LossThreshold;
    use super::super::signals::tests::made_up;
    use super::*;

    fn scores() -> Scores {
        let signals = made_up(60).with_marked((0..60).map(|i| i < 20).collect()).unwrap();
        let started = signals.membership().iter().enumerate().map(|(at, &member)| member && at % 2 == 0).collect();
        Scores::of(&LossThreshold::new(), &signals.with_started(started).unwrap()).unwrap()
    }

    #[test]
    fn slices_hold_every_trial_once_and_give_the_curve_of_their_trials() {
        let scores = scores();
        for (by, parts) in [(Slice::Class, 3), (Slice::Correctness, 2), (Slice::Loss(4), 4), (Slice::Canaries, 2)] {
            let sliced = scores.sliced(by);
            assert_eq!(sliced.slices().len(), parts);
            assert_eq!(sliced.slices().iter().map(|slice| slice.members + slice.non_members).sum::<usize>(), 360, "{by:?}");
            assert_eq!(sliced.frame().height(), parts);
        }
        let canaries = scores.sliced(Slice::Canaries).slices()[0].roc.clone().unwrap();
        let alone = scores.roc_of(&(0..20).collect::<Vec<_>>()).unwrap();
        assert_eq!((canaries.auc(), canaries.band()), (alone.auc(), alone.band()));
    }

    #[test]
    fn start_records_and_other_members_meet_the_same_non_members() {
        let slices = scores().sliced(Slice::Started);
        let [began, other] = slices.slices() else { panic!() };
        assert_eq!((began.members + other.members, began.non_members, other.non_members), (180, 180, 180));
        assert!(began.members > 0 && other.members > 0);
    }

    #[test]
    fn a_large_loss_is_rarer_among_members() {
        let slices = scores().sliced(Slice::Loss(2));
        let [low, high] = slices.slices() else { panic!() };
        assert!(low.members > low.non_members && high.members < high.non_members);
    }

    #[test]
    fn a_rule_counts_who_reaches_its_threshold() {
        let scores = scores();
        let roc = scores.roc().unwrap();
        let at = roc.tpr_at(0.05);
        let rule = scores.rule(at.threshold.unwrap()).unwrap();
        assert_eq!((rule.true_positives, rule.false_positives.hits), (at.rate, at.false_positives));
        assert_eq!(rule.accuracy().hits, at.rate.hits + roc.non_members() - at.false_positives);
        assert_eq!(rule.precision().map(|rate| rate.hits), Some(at.rate.hits));
        assert!(scores.rule(1.0).unwrap().precision().is_none()); // log p is never above 0
    }

    #[test]
    fn a_slice_of_one_side_is_listed_without_a_curve() {
        let none_started = Scores::of(&LossThreshold::new(), &made_up(12)).unwrap().sliced(Slice::Started);
        assert_eq!((none_started.slices()[0].members, none_started.slices()[0].roc.is_none()), (0, true));
        let _ = none_started.figure();
    }
}
