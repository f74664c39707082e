//! The Bayesian likelihood ratio attack (BaVarIA): LiRA whose deviations of single records lean on those of all records.
//!
//! φ is the logit of the label's probability (see [`signals`](super::signals)). For each side, IN and OUT, φ of one record is normal
//! with unknown mean and variance under the prior σ² ~ InverseGamma(α₀, β₀), μ | σ² ~ N(μ₀, σ²/κ₀). After n shadows with mean m and
//! sum of squared distances s from it
//!
//! κ = κ₀ + n,  μ = (κ₀ μ₀ + n m)/κ,  α = α₀ + n/2,  β = β₀ + s/2 + κ₀ n (m − μ₀)²/(2κ)
//!
//! and a new φ follows Student's t with 2α degrees of freedom, location μ and scale √(β (κ + 1)/(α κ)).
//!
//! online score = log `t_in`(φ) − log `t_out`(φ),  offline: `t_in` is the prior's own predictive,
//! one-sided score = log Pr(T < φ) − log Pr(T > φ) with T ~ `t_out`
//!
//! 1. μ₀ is the mean of φ over all records, shadows and queries of the side, and β₀ = (α₀ − 1) times its variance, so that the prior
//!    expects that variance; κ₀ = 1, α₀ = 2 (the authors' values).
//! 2. Update with the record's own shadows. A record without shadows on a side keeps the prior.
//! 3. Score the target. Several queries count as independent; the score is their mean.
//!
//! The Gaussian form takes N(m, β/(α − 1)) for both sides, with α₀ = 1 and β₀ the variance, as the authors' code does: the location is
//! the record's own mean. The one-sided score is this library's, after LiRA's offline test; as log odds it never saturates.
//!
//! The prior's variance holds the differences between records as well as those between models. Where the former are much larger, it is
//! too wide for most records, and the AUC can fall below that of LiRA with global deviations while the rate at a low FPR rises.
//!
//! # Privacy
//! None: this is an attack. It needs two shadow models or more; one-sided mode never looks at IN shadows.
//!
//! # References
//! Brännvall, arXiv 2603.11799; the prior's values are those of the code at github.com/rickardbrannvall/exponential-family-mia.
//!
//! # Example
//! ```
//! use freelunch::attack::{Attack, BayesianLikelihoodRatio, Manifest, Signals};
//! // Five models, one record, two classes: a member of models 0, 2 and 4, where its label's logit is higher.
//! let logits = vec![3.0_f32, 0.0, 1.0, 0.0, 4.0, 0.0, 0.0, 0.0, 2.0, 0.0];
//! let manifest = Manifest::new(serde_json::Value::Null, 7, "no data");
//! let signals = Signals::new(logits, [5, 1, 1, 2], vec![true, false, true, false, true], vec![0], manifest)?;
//! assert!(BayesianLikelihoodRatio::online().score(&signals, 0)?[0] > 0.0);
//! # Ok::<(), freelunch::Error>(())
//! ```

mod posterior;

use super::shadows::{Shadows, every_model};
use super::{Attack, Signals};
use crate::stats::{deviation, mean};
use crate::{Error, Result};
use posterior::{Posterior, SMALLEST};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// What the OUT predictive is compared with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Comparison {
    /// The record's own IN predictive.
    #[default]
    Online,
    /// The predictive of the IN prior, which all records share: needs IN shadows of some records, not of this one.
    Offline,
    /// Nothing: how far φ lies in its upper tail.
    OneSided,
}

/// The form of the two densities.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Predictive {
    /// Student's t, which accounts for the unknown deviation.
    #[default]
    StudentT,
    /// A normal density with the posterior mean of the variance.
    Gaussian,
}

/// BaVarIA. The default is online with Student's t.
///
/// # Example
/// ```
/// use freelunch::attack::{Attack, BayesianLikelihoodRatio};
/// assert_eq!(BayesianLikelihoodRatio::offline().gaussian().name(), "BaVarIA-n offline");
/// ```
#[doc(alias = "BaVarIA")]
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct BayesianLikelihoodRatio {
    /// Online, offline or one-sided.
    pub comparison: Comparison,
    /// Student's t or a normal density.
    pub predictive: Predictive,
    /// κ₀ > 0, how many shadows the prior's location is worth; the authors: 1.
    pub location_weight: f64,
    /// α₀ ≥ 1, half as many shadows as the prior's variance is worth; the authors: 2 for Student's t, 1 for the normal density.
    pub shape: f64,
}

impl Default for BayesianLikelihoodRatio {
    fn default() -> Self {
        Self { comparison: Comparison::Online, predictive: Predictive::StudentT, location_weight: 1.0, shape: 2.0 }
    }
}

impl BayesianLikelihoodRatio {
    /// The attack that compares the record's IN and OUT predictives.
    #[must_use]
    pub fn online() -> Self {
        Self::default()
    }

    /// The attack whose IN predictive is that of the prior.
    #[must_use]
    pub fn offline() -> Self {
        Self { comparison: Comparison::Offline, ..Self::default() }
    }

    /// The attack that uses OUT shadows only.
    #[must_use]
    pub fn one_sided() -> Self {
        Self { comparison: Comparison::OneSided, ..Self::default() }
    }

    /// The same attack with normal densities (BaVarIA-n), α₀ = 1.
    #[must_use]
    pub fn gaussian(self) -> Self {
        Self { predictive: Predictive::Gaussian, shape: 1.0, ..self }
    }

    /// The same attack with another prior: κ₀ and α₀.
    #[must_use]
    pub fn with_prior(self, location_weight: f64, shape: f64) -> Self {
        Self { location_weight, shape, ..self }
    }

    fn check(&self) -> Result<()> {
        let Self { location_weight, shape, .. } = *self;
        if !(location_weight > 0.0 && location_weight.is_finite()) {
            return Err(Error::config(format!("location_weight is {location_weight}"), "expected a positive number, such as 1"));
        }
        if !(shape >= 1.0 && shape.is_finite()) {
            return Err(Error::config(format!("shape is {shape}"), "expected at least 1, such as 2"));
        }
        Ok(())
    }

    fn score_target(&self, signals: &Signals, values: &[Vec<f64>], target: usize) -> Result<Vec<f64>> {
        let shadows = Shadows::new(signals, values, target)?;
        let count = shadows.all_models().len();
        if count < 2 {
            return Err(Error::config(format!("{count} shadow models"), "expected at least 2: play the game with 3 or more models"));
        }
        let outside = self.prior(&shadows, false)?;
        let inside = match self.comparison {
            Comparison::OneSided => outside,
            _ => self.prior(&shadows, true)?,
        };
        Ok((0..signals.len()).into_par_iter().map(|record| self.score_record(&shadows, [outside, inside], record)).collect())
    }

    fn prior(&self, shadows: &Shadows, side: bool) -> Result<Posterior> {
        let all = shadows.all(side);
        if all.is_empty() {
            let what = format!("no record is {} for any shadow model", if side { "IN" } else { "OUT" });
            return Err(Error::config(what, "the prior comes from such values; BayesianLikelihoodRatio::one_sided needs OUT only"));
        }
        let (location, variance) = (mean(&all), deviation(&all).powi(2));
        if !variance.is_finite() {
            return Err(Error::data("signals", "all records", "the logits overflow", "scale them down"));
        }
        let shape = self.shape;
        // With α₀ = 1 the prior's variance has no mean: its β₀ is the variance itself, as in the authors' code.
        let scale = f64::max(if shape > 1.0 { variance * (shape - 1.0) } else { variance }, SMALLEST);
        Ok(Posterior { location, own_mean: location, weight: self.location_weight, shape, scale })
    }

    fn score_record(&self, shadows: &Shadows, [outside, inside]: [Posterior; 2], record: usize) -> f64 {
        let queries = shadows.signals.queries();
        let of_query = |query: usize| {
            let value = shadows.value(shadows.target, record, query);
            let update = |prior: Posterior, side: bool| prior.after(&shadows.of(record, query, side)).density(self.predictive);
            let outside = update(outside, false);
            match self.comparison {
                Comparison::Online => update(inside, true).log_density(value) - outside.log_density(value),
                Comparison::Offline => inside.density(self.predictive).log_density(value) - outside.log_density(value),
                Comparison::OneSided => outside.log_odds_below(value),
            }
        };
        (0..queries).map(of_query).sum::<f64>() / queries as f64
    }
}

impl Attack for BayesianLikelihoodRatio {
    fn name(&self) -> String {
        let form = if self.predictive == Predictive::StudentT { "t" } else { "n" };
        let comparison = match self.comparison {
            Comparison::Online => "online",
            Comparison::Offline => "offline",
            Comparison::OneSided => "one-sided",
        };
        format!("BaVarIA-{form} {comparison}")
    }

    fn score(&self, signals: &Signals, target: usize) -> Result<Vec<f64>> {
        self.check()?;
        signals.members_of(target)?;
        self.score_target(signals, &every_model(signals, |model| signals.phi(model))?, target)
    }

    fn score_all(&self, signals: &Signals) -> Result<Vec<Vec<f64>>> {
        self.check()?;
        let values = every_model(signals, |model| signals.phi(model))?;
        (0..signals.models()).map(|target| self.score_target(signals, &values, target)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::{LikelihoodRatio, Manifest, Variance};
    use super::*;
    use crate::Lab;
    use crate::stats::student::student_log_pdf;
    use rand::RngExt;

    /// Records whose φ are given, `[models][n]`.
    fn signals(phi: &[Vec<f64>], membership: Vec<bool>) -> Signals {
        let (models, n) = (phi.len(), phi[0].len());
        let logits: Vec<f64> = phi.iter().flatten().flat_map(|&value| [value, 0.0]).collect();
        Signals::new(logits, [models, n, 1, 2], membership, vec![0; n], Manifest::new(serde_json::Value::Null, 0, "")).unwrap()
    }

    /// Records with locations, deviations and memorisation of their own, `spread` that of the log deviations; half of the models see each.
    fn records(models: usize, n: usize, seed: u64, spread: f64) -> Signals {
        let mut rng = Lab::new().unwrap().seed(seed).quiet().rng("records", 0);
        let mut uniform = || rng.random::<f64>();
        let mut normal = || {
            let (u, v) = (uniform(), uniform());
            ((-2.0 * (1.0 - u).ln()).sqrt() * (std::f64::consts::TAU * v).cos(), u)
        };
        let mut phi = vec![vec![0.0; n]; models];
        let membership: Vec<bool> = (0..models * n).map(|at| (at / n + at % n).is_multiple_of(2)).collect();
        for record in 0..n {
            let (location, deviation, gain) = (2.0 * normal().0, (spread * normal().0 - 0.5).exp(), (normal().0).abs());
            for model in 0..models {
                let shift = if membership[model * n + record] { gain } else { 0.0 };
                phi[model][record] = location + shift + deviation * normal().0;
            }
        }
        signals(&phi, membership)
    }

    #[test]
    fn a_record_without_shadows_on_a_side_keeps_the_prior() {
        let membership = vec![false, true, false, true, false, false];
        let signals = signals(&[vec![0.0, 3.0], vec![1.0, 2.0], vec![2.0, 0.5]], membership);
        // The only IN value of the shadows 0 and 1 are 3 and 2 of record 1: μ₀ = 2.5, β₀ = 0.25.
        let inside = student_log_pdf((2.0 - 2.5) / 0.25f64.sqrt(), 4.0) - 0.25f64.sqrt().ln();
        // OUT values 0 and 1: μ₀ = 0.5, β₀ = 0.25; record 0 has both: κ = 3, μ = 0.5, α = 3, β = 0.5.
        let scale = (0.5 * 4.0 / (3.0 * 3.0f64)).sqrt();
        let outside = student_log_pdf(1.5 / scale, 6.0) - scale.ln();
        let online = BayesianLikelihoodRatio::online().score(&signals, 2).unwrap();
        assert!((online[0] - (inside - outside)).abs() < 1e-12, "{online:?}");
        assert_eq!(online[0], BayesianLikelihoodRatio::offline().score(&signals, 2).unwrap()[0]);
    }

    #[test]
    fn with_many_shadows_it_is_lira_with_deviations_of_each_record() {
        let lira = LikelihoodRatio::online().with_variance(Variance::PerRecord);
        // Far out the tails of Student's t never become normal, so only moderate scores are compared.
        let distance = |models: usize, attack: BayesianLikelihoodRatio| {
            let signals = records(models, 10, 3, 0.0);
            let (ours, theirs) = (attack.score(&signals, 0).unwrap(), lira.score(&signals, 0).unwrap());
            let moderate: Vec<f64> = ours.iter().zip(&theirs).filter(|both| both.1.abs() < 5.0).map(|(a, b)| (a - b).abs()).collect();
            assert!(moderate.len() >= 5, "{theirs:?}");
            moderate.into_iter().fold(0.0, f64::max)
        };
        for attack in [BayesianLikelihoodRatio::online(), BayesianLikelihoodRatio::online().gaussian()] {
            // 2000 shadows on each side against a prior that is worth a few, but of a variance some ten times that of a record.
            let (few, many) = (distance(17, attack), distance(4001, attack));
            assert!(many < 0.1 && many < few / 4.0, "{attack:?}: {few} and {many}");
        }
    }

    #[test]
    fn with_few_shadows_and_unequal_deviations_it_finds_more_members_at_one_percent() {
        // Eight shadows; 9 targets × 2000 records whose deviations vary by a factor of about 2 either way.
        let signals = records(9, 2000, 1, 0.7);
        let tpr = |attack: &dyn Attack| attack.roc(&signals).unwrap().tpr_at(0.01).rate.value();
        let ours = tpr(&BayesianLikelihoodRatio::online());
        for variance in [Variance::Global, Variance::PerRecord, Variance::PooledWithinRecord] {
            let theirs = tpr(&LikelihoodRatio::online().with_variance(variance));
            assert!(ours > 1.1 * theirs, "{variance:?}: {theirs}, ours {ours}");
        }
        let global = LikelihoodRatio::offline().with_variance(Variance::Global);
        assert!(tpr(&BayesianLikelihoodRatio::one_sided()) > 1.5 * tpr(&global));
    }

    #[test]
    fn the_one_sided_score_grows_without_end_on_both_sides() {
        let scores = |attack: BayesianLikelihoodRatio| {
            let at = |phi: f64| attack.score(&signals(&[vec![0.0], vec![1.0], vec![phi]], vec![false; 3]), 2).unwrap()[0];
            [-1e9, -1e4, -50.0, 0.5, 50.0, 1e4, 1e9].map(at)
        };
        for attack in [BayesianLikelihoodRatio::one_sided(), BayesianLikelihoodRatio::one_sided().gaussian()] {
            let scores = scores(attack);
            assert!(scores.is_sorted_by(|a, b| a < b) && scores.iter().all(|score| score.is_finite()), "{scores:?}");
            assert!(scores[3].abs() < 1e-12, "the middle is 0: {scores:?}");
        }
    }

    #[test]
    fn what_cannot_be_fitted_is_refused_and_equal_values_are_not() {
        let never_in = signals(&[vec![0.0], vec![1.0], vec![2.0]], vec![false; 3]);
        let text = BayesianLikelihoodRatio::offline().score(&never_in, 2).unwrap_err().to_string();
        assert!(text.contains("no record is IN") && text.contains("one_sided"), "{text}");
        assert!(BayesianLikelihoodRatio::one_sided().score(&never_in, 2).is_ok());
        assert!(BayesianLikelihoodRatio::online().score(&never_in.keep_models(&[0, 1]).unwrap(), 0).is_err());
        assert!(BayesianLikelihoodRatio::online().with_prior(0.0, 2.0).score(&never_in, 0).is_err());
        assert!(BayesianLikelihoodRatio::online().with_prior(1.0, 0.5).score(&never_in, 0).is_err());
        let equal = signals(&[vec![1.0], vec![1.0], vec![1.0]], vec![true, false, false]);
        assert_eq!(BayesianLikelihoodRatio::online().score(&equal, 2).unwrap(), [0.0]);
        assert!(BayesianLikelihoodRatio::offline().gaussian().score(&equal, 2).unwrap()[0].is_finite());
    }
}
