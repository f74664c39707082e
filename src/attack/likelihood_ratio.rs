//! The likelihood ratio attack (LiRA): is the target's confidence on a record more like that of models that saw it, or of others?
//!
//! φ is the logit of the label's probability (see [`signals`](super::signals)). For one record, with μ₁, σ₁ the mean and standard
//! deviation of φ over the shadow models that saw it (IN), μ₀, σ₀ over those that did not (OUT), and N the normal density:
//!
//! online score = log N(φ; μ₁, σ₁) − log N(φ; μ₀, σ₀),  offline score = (φ − μ₀)/σ₀
//!
//! The paper's offline score Φ((φ − μ₀)/σ₀) ranks in the same way but is 1 for every strong member; the argument is not.
//!
//! 1. Take the statistic of every (model, record, query), in f64.
//! 2. Fit location and deviation (divided by the count) of each record over the shadows, or one deviation for all records.
//! 3. Score the target. With several queries, each has its own locations, the queries count as independent (the diagonal form), and
//!    the score is the mean over queries, which ranks as the sum does.
//!
//! A standard deviation of 0 becomes 1e-30, as in the authors' code.
//!
//! # Privacy
//! None: this is an attack. It needs shadow models trained on the records it attacks; offline mode only needs some without them.
//!
//! # References
//! Carlini, Chien, Nasr, Song, Terzis, Tramèr, arXiv 2112.03570; their code at github.com/tensorflow/privacy, `mi_lira_2021`.
//!
//! # Example
//! ```
//! use freelunch::attack::{Attack, LikelihoodRatio, Manifest, Signals};
//! // Four models, one record, two classes: a member of models 0 and 2, where its label's logit is higher.
//! let logits = vec![3.0_f32, 0.0, 1.0, 0.0, 4.0, 0.0, 0.0, 0.0];
//! let manifest = Manifest::new(serde_json::Value::Null, 7, "no data");
//! let signals = Signals::new(logits, [4, 1, 1, 2], vec![true, false, true, false], vec![0], manifest)?;
//! // Model 0 against its OUT shadows, whose φ are 1 and 0: (3 − 0.5)/0.5.
//! assert!((LikelihoodRatio::offline().score(&signals, 0)?[0] - 5.0).abs() < 1e-9);
//! # Ok::<(), freelunch::Error>(())
//! ```

mod values;

pub(super) use values::Values;

use super::{Attack, Signals};
use crate::stats::normal_log_pdf;
use crate::{Error, Result};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// Models that saw the record and models that did not, or only the latter.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Mode {
    /// Compares the record's IN and OUT models: the stronger attack.
    #[default]
    Online,
    /// Uses the OUT models alone, one-sided: unusually *high* confidence means member.
    Offline,
}

/// Whose spread the normal densities have.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Variance {
    /// [`Variance::Global`] below 64 shadow models, [`Variance::PerRecord`] from there on: where the paper's curves cross.
    #[default]
    Auto,
    /// Each record's own deviations. Needs at least two shadows on each side that is used.
    PerRecord,
    /// Two deviations for all records: that of all IN values together (all records, shadows and queries), and of all OUT values.
    /// Differences between records are part of it.
    Global,
    /// Two deviations for all records: the root of the mean squared distance from the record's own mean, over all IN values and
    /// over all OUT values.
    PooledWithinRecord,
}

/// What is compared. Both grow with the confidence in the label.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Statistic {
    /// φ = log(p/(1 − p)), the paper's choice.
    #[default]
    Logit,
    /// z_y − max z_j, nearly equivalent and free of probabilities.
    Hinge,
}

/// Which description of the attack is followed where paper and published code differ.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Convention {
    /// The text: means; a global variance for each side; offline is one-sided.
    #[default]
    Paper,
    /// The authors' plotting script: medians; the global deviation of IN for both sides; offline is −log N(φ; median OUT, σ), so
    /// unusually *low* confidence counts as member, too. To compare with numbers made by it.
    Script,
}

/// LiRA. The default is online, on the logit, with [`Variance::Auto`].
///
/// # Example
/// ```
/// use freelunch::attack::{Attack, LikelihoodRatio, Variance};
/// let attack = LikelihoodRatio::offline().with_variance(Variance::PerRecord);
/// assert_eq!(attack.name(), "LiRA offline, per-record variance");
/// ```
#[doc(alias = "LiRA")]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LikelihoodRatio {
    /// Online or offline; the paper's stronger attack is online.
    pub mode: Mode,
    /// Deviations for each record or for all; the paper: each record from 64 shadow models on.
    pub variance: Variance,
    /// The logit (the paper) or the hinge.
    pub statistic: Statistic,
    /// The paper's text or its authors' script.
    pub convention: Convention,
}

impl LikelihoodRatio {
    /// The attack that compares IN and OUT models.
    #[must_use]
    pub fn online() -> Self {
        Self::default()
    }

    /// The attack that knows OUT models only.
    #[must_use]
    pub fn offline() -> Self {
        Self { mode: Mode::Offline, ..Self::default() }
    }

    /// The same attack with other deviations.
    #[must_use]
    pub fn with_variance(mut self, variance: Variance) -> Self {
        self.variance = variance;
        self
    }

    /// The same attack on another statistic.
    #[must_use]
    pub fn with_statistic(mut self, statistic: Statistic) -> Self {
        self.statistic = statistic;
        self
    }

    /// The same attack as another source describes it.
    #[must_use]
    pub fn with_convention(mut self, convention: Convention) -> Self {
        self.convention = convention;
        self
    }

    /// One score for each record, for model `target` with the others as shadows.
    pub(super) fn score_values(&self, values: &Values, target: usize) -> Result<Vec<f64>> {
        let shadows = values.models() - 1;
        if shadows < 2 {
            return Err(Error::config(format!("{shadows} shadow models"), "expected at least 2: play the game with 3 or more models"));
        }
        let variance = match self.variance {
            Variance::Auto if shadows < 64 => Variance::Global,
            Variance::Auto => Variance::PerRecord,
            chosen => chosen,
        };
        self.check_sides(values, target, variance)?;
        let shared = self.shared_deviations(values, target, variance)?;
        let (row, queries) = (values.row(target), values.queries());
        let scores: Vec<Vec<f64>> = row
            .par_chunks(Values::BLOCK)
            .enumerate()
            .map(|(block, of_target)| self.score_block(values, shared, target, block * Values::BLOCK, of_target))
            .collect();
        let scores = scores.concat();
        Ok(scores.chunks(queries).map(|of_record| of_record.iter().sum::<f64>() / queries as f64).collect())
    }

    /// Every record needs shadows on the sides that are used, and two of them where it has a deviation of its own.
    fn check_sides(&self, values: &Values, target: usize, variance: Variance) -> Result<()> {
        let least = if variance == Variance::PerRecord { 2 } else { 1 };
        let sides: &[(bool, &str)] = if self.mode == Mode::Online { &[(true, "IN"), (false, "OUT")] } else { &[(false, "OUT")] };
        for &(side, name) in sides {
            let counts = values.counts(target, side);
            if let Some(record) = counts.iter().position(|&have| have < least) {
                let what = format!("record {record} is {name} for {} of the {} shadow models", counts[record], values.models() - 1);
                let remedy = format!("{} with {variance:?} variance needs {least}: play the game with more models", self.name());
                return Err(Error::config(what, remedy));
            }
        }
        Ok(())
    }

    /// The deviations that all records share, IN and OUT, if they share any.
    fn shared_deviations(&self, values: &Values, target: usize, variance: Variance) -> Result<Option<[f64; 2]>> {
        let used_in = self.mode == Mode::Online || self.convention == Convention::Script;
        let of = |side: bool| match variance {
            Variance::PooledWithinRecord => values.pooled_deviation(target, side),
            _ => values.global_deviation(target, side),
        };
        if variance == Variance::PerRecord {
            return Ok(None);
        }
        let outside = of(false);
        let inside = if used_in { of(true) } else { outside };
        if inside.is_nan() {
            return Err(Error::config("no record is IN for any shadow model", "Convention::Script takes its deviation from IN values"));
        }
        let script = self.convention == Convention::Script && variance == Variance::Global;
        Ok(Some([inside, if script { inside } else { outside }]))
    }

    /// The scores of the target's values from `start` on.
    fn score_block(&self, values: &Values, shared: Option<[f64; 2]>, target: usize, start: usize, of_target: &[f64]) -> Vec<f64> {
        /// What the authors' code adds to a deviation.
        const SMALLEST: f64 = 1e-30;
        let len = of_target.len();
        let fit = |side: bool, shared: Option<f64>| {
            let mut fit = values.side(target, side, start, len, self.convention);
            if let Some(shared) = shared {
                fit.deviation.fill(shared);
            }
            fit.deviation.iter_mut().for_each(|deviation| *deviation += SMALLEST);
            fit
        };
        let outside = fit(false, shared.map(|both| both[1]));
        let from_outside = |at: usize| normal_log_pdf(of_target[at], outside.location[at], outside.deviation[at]);
        match (self.mode, self.convention) {
            (Mode::Online, _) => {
                let inside = fit(true, shared.map(|both| both[0]));
                let from_inside = |at: usize| normal_log_pdf(of_target[at], inside.location[at], inside.deviation[at]);
                (0..len).map(|at| from_inside(at) - from_outside(at)).collect()
            }
            (Mode::Offline, Convention::Paper) => {
                (0..len).map(|at| (of_target[at] - outside.location[at]) / outside.deviation[at]).collect()
            }
            (Mode::Offline, Convention::Script) => (0..len).map(|at| -from_outside(at)).collect(),
        }
    }
}

impl Attack for LikelihoodRatio {
    fn name(&self) -> String {
        let mut name = match self.mode {
            Mode::Online => "LiRA online".to_string(),
            Mode::Offline => "LiRA offline".to_string(),
        };
        name.push_str(match self.variance {
            Variance::Auto => "",
            Variance::PerRecord => ", per-record variance",
            Variance::Global => ", global variance",
            Variance::PooledWithinRecord => ", pooled variance",
        });
        name.push_str(if self.statistic == Statistic::Hinge { ", hinge" } else { "" });
        name.push_str(if self.convention == Convention::Script { ", as scripted" } else { "" });
        name
    }

    fn score(&self, signals: &Signals, target: usize) -> Result<Vec<f64>> {
        signals.check_model(target)?;
        self.score_values(&Values::of(signals, self.statistic)?, target)
    }

    fn score_all(&self, signals: &Signals) -> Result<Vec<Vec<f64>>> {
        let values = Values::of(signals, self.statistic)?;
        (0..signals.models()).map(|target| self.score_values(&values, target)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::Manifest;
    use super::super::signals::tests::made_up;
    use super::*;

    /// One record; two classes, so that φ is the label's logit.
    fn record(phi: &[f64], queries: usize, membership: &[bool]) -> Signals {
        let logits: Vec<f64> = phi.iter().flat_map(|&value| [value, 0.0]).collect();
        let manifest = Manifest::new(serde_json::Value::Null, 0, "");
        Signals::new(logits, [membership.len(), 1, queries, 2], membership.to_vec(), vec![0], manifest).unwrap()
    }

    const TWO_AND_TWO: [bool; 5] = [true, true, false, false, true];

    #[test]
    fn scores_are_the_formulas_of_the_paper() {
        let signals = record(&[3.0, 5.0, 0.0, 1.0, 3.5], 1, &TWO_AND_TWO);
        let per_record = LikelihoodRatio::online().with_variance(Variance::PerRecord);
        let online = normal_log_pdf(3.5, 4.0, 1.0) - normal_log_pdf(3.5, 0.5, 0.5);
        assert!((per_record.score(&signals, 4).unwrap()[0] - online).abs() < 1e-12);
        let offline = LikelihoodRatio { mode: Mode::Offline, ..per_record };
        assert!((offline.score(&signals, 4).unwrap()[0] - 6.0).abs() < 1e-12);
    }

    #[test]
    fn several_queries_give_the_mean_of_their_scores() {
        let phi = [3.0, 9.0, 5.0, 7.0, 0.0, 2.0, 1.0, 3.0, 3.5, 4.0];
        let attack = LikelihoodRatio::online().with_variance(Variance::PerRecord);
        let single = |query: usize| {
            let of_query: Vec<f64> = phi.iter().skip(query).step_by(2).copied().collect();
            attack.score(&record(&of_query, 1, &TWO_AND_TWO), 4).unwrap()[0]
        };
        let both = attack.score(&record(&phi, 2, &TWO_AND_TWO), 4).unwrap()[0];
        assert!((both - 0.5 * (single(0) + single(1))).abs() < 1e-12);
    }

    #[test]
    fn equal_shadows_give_finite_scores() {
        let signals = record(&[3.0, 3.0, 0.0, 0.0, 2.0], 1, &TWO_AND_TWO);
        for variance in [Variance::PerRecord, Variance::PooledWithinRecord, Variance::Auto] {
            let score = LikelihoodRatio::online().with_variance(variance).score(&signals, 4).unwrap()[0];
            assert!(score.is_finite() && score > 0.0, "{variance:?} {score}");
        }
    }

    #[test]
    fn auto_is_global_with_few_shadows() {
        let signals = made_up(12);
        let global = LikelihoodRatio::online().with_variance(Variance::Global);
        assert_eq!(LikelihoodRatio::online().score(&signals, 1).unwrap(), global.score(&signals, 1).unwrap());
    }

    #[test]
    fn what_cannot_be_fitted_is_refused_with_the_record() {
        let never_in = record(&[0.0; 4], 1, &[false, false, false, true]);
        let text = LikelihoodRatio::online().score(&never_in, 3).unwrap_err().to_string();
        assert!(text.starts_with("record 0 is IN for 0 of the 3 shadow models"), "{text}");
        assert!(LikelihoodRatio::offline().score(&never_in, 3).is_ok());
        assert!(LikelihoodRatio::offline().with_convention(Convention::Script).score(&never_in, 3).is_err());
        assert!(LikelihoodRatio::offline().score(&record(&[0.0; 2], 1, &[false, true]), 1).is_err());
        assert!(LikelihoodRatio::offline().score(&never_in, 4).is_err());
        let one_in = record(&[0.0; 4], 1, &[true, false, false, true]);
        assert!(LikelihoodRatio::online().with_variance(Variance::PerRecord).score(&one_in, 3).is_err());
    }
}
