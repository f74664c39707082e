//! Membership inference: an attack scores records by how likely they were in the training set of a model.
//!
//! 1. A game reruns the randomised algorithm under test several times, each time with a random half of the records, and leaves
//!    [`Signals`]: every model's logits and members.
//! 2. An [`Attack`] takes one model as its target and the others as shadows, whose members it knows, and scores each record.
//! 3. Every model takes its turn as target (leave one out); the scores of all turns, ranked together, give one
//!    [`Roc`].
//!
//! # Members
//! | attack | reference |
//! |---|---|
//! | [`LossThreshold`] | Yeom et al., arXiv 1709.01604 |
//! | [`PredictionEntropy`] | Song, Mittal, arXiv 2003.10595 |
//! | [`LabelOnly`] | Yeom et al.; Choquette-Choo et al., arXiv 2007.14321 |
//! | [`ShadowClassifier`] | Shokri et al., arXiv 1610.05820 |
//! | [`CalibratedLoss`] | Watson et al., arXiv 2111.08440 |
//! | [`LikelihoodRatio`] (LiRA) | Carlini et al., arXiv 2112.03570 |
//! | [`BayesianLikelihoodRatio`] (BaVarIA) | Brännvall, arXiv 2603.11799 |
//! | [`RelativeLikelihood`] (RMIA) | Zarifzadeh et al., arXiv 2312.03262 |
//! | [`OnRelease`] | attacks on what was released, [`released`](crate::released) |
//!
//! # Reading them
//! [`Scores`] slices a curve, [`Calibrated`] fixes the threshold on shadow models and gives the precision, [`Vulnerability`] and [`Stability`] say who is
//! exposed and whether that is chance; [`audit`](crate::audit) turns an attack into a lower bound on ε.
//!
//! # References
//! Carlini et al., arXiv 2112.03570; leave-one-out over the shadow models as in Aerni, Zhang, Tramèr, arXiv 2404.17399.

pub mod bayesian_likelihood_ratio;
pub mod calibrated;
pub mod calibrated_loss;
pub mod entropy;
pub mod game;
mod histogram;
pub mod label_only;
pub mod likelihood_ratio;
pub mod loss_threshold;
pub mod manifest;
pub mod on_release;
pub mod pipeline;
pub mod relative_likelihood;
pub mod scores;
pub mod shadow_classifier;
mod shadows;
pub mod signals;
pub mod vulnerability;

pub use bayesian_likelihood_ratio::{BayesianLikelihoodRatio, Comparison, Predictive};
pub use calibrated::Calibrated;
pub use calibrated_loss::{CalibratedLoss, Reference};
pub use entropy::{Entropy, PredictionEntropy, Thresholds};
pub use game::{Coins, Game, Queries};
pub use label_only::{Answers, Difficulty, LabelOnly};
pub use likelihood_ratio::{Convention, LikelihoodRatio, Mode, Statistic, Variance};
pub use loss_threshold::{LossThreshold, ThresholdRule};
pub use manifest::{Manifest, Run};
pub use on_release::OnRelease;
pub use pipeline::{Outcome, Pipeline};
pub use relative_likelihood::{InGuess, RelativeLikelihood, Ties};
pub use scores::{Scores, Slice, SliceOf, Sliced};
pub use shadow_classifier::{Classifier, ShadowClassifier};
pub use signals::{Logits, Signals};
pub use vulnerability::{Exposed, Stability, Vulnerability};

use crate::Result;
use crate::roc::Roc;
use std::fmt;

/// A membership attack that works on signals.
///
/// # Example
/// ```
/// use freelunch::attack::{Attack, LossThreshold, Manifest, Signals};
/// let manifest = Manifest::new(serde_json::Value::Null, 7, "no data");
/// let logits = vec![2.0_f32, 0.0, 1.0, 0.0, 0.0, 0.0, 3.0, 1.0];
/// let signals = Signals::new(logits, [2, 2, 1, 2], vec![true, false, false, true], vec![0, 0], manifest)?;
/// let scores = LossThreshold::new().score(&signals, 0)?;
/// assert!(scores[0] > scores[1]);
/// assert_eq!(LossThreshold::new().roc(&signals)?.auc().value, 1.0);
/// # Ok::<(), freelunch::Error>(())
/// ```
pub trait Attack: fmt::Debug + Send + Sync {
    /// The attack in a few words, for legends and tables.
    fn name(&self) -> String;

    /// One score for each record, higher = member, for model `target` with all other models as shadows. The members of `target`
    /// are not read.
    ///
    /// # Errors
    /// [`Error::Config`](crate::Error::Config) when there is no such model or too few shadows.
    fn score(&self, signals: &Signals, target: usize) -> Result<Vec<f64>>;

    /// The scores with every model as target in turn, `[models][n]`.
    ///
    /// # Errors
    /// As [`Attack::score`].
    fn score_all(&self, signals: &Signals) -> Result<Vec<Vec<f64>>> {
        (0..signals.models()).map(|target| self.score(signals, target)).collect()
    }

    /// The curve over all models and records: every model is the target once, and its trials are ranked together with those of the
    /// others, under one threshold for all.
    ///
    /// The models × records trials are not independent: a record is tried once for each model, with nearly the same shadows. The
    /// intervals of the curve treat them as if they were, so they tell how much chance is left *for these records and models*; for
    /// other records, or where a few records carry the result, they are too narrow. Repeat the game with other seeds and records
    /// and use [`MeanInterval`](crate::stats::MeanInterval) for a claim beyond them.
    ///
    /// # Errors
    /// As [`Attack::score`], and [`Error::Config`](crate::Error::Config) when no trial is a member or none is a non-member.
    fn roc(&self, signals: &Signals) -> Result<Roc> {
        Scores::of(self, signals)?.roc()
    }

    /// As [`Attack::roc`], counting only the trials of some records, such as the canaries. The others still serve the attack (a
    /// global variance is taken over all); use [`Signals::subset`] to hide them from it.
    ///
    /// # Errors
    /// As [`Attack::roc`], and [`Error::Config`](crate::Error::Config) for no record or one that does not exist.
    fn roc_of(&self, signals: &Signals, records: &[usize]) -> Result<Roc> {
        Scores::of(self, signals)?.roc_of(records)
    }

    /// The curve of one target over all records: few trials, which share one model.
    ///
    /// # Errors
    /// As [`Attack::roc`].
    fn roc_of_model(&self, signals: &Signals, target: usize) -> Result<Roc> {
        let members = signals.members_of(target)?;
        let note = format!("model {target} of {}, seed {}", signals.models(), signals.manifest().seed);
        Ok(Roc::new(&self.score(signals, target)?, members)?.named(&self.name()).with_note(&note))
    }
}

#[cfg(test)]
mod tests {
    use super::signals::tests::made_up;
    use super::*;

    fn attacks() -> Vec<Box<dyn Attack>> {
        let (relative, bayesian, entropy) =
            (RelativeLikelihood::offline(), BayesianLikelihoodRatio::online(), PredictionEntropy::modified());
        vec![
            Box::new(LossThreshold::new()),
            Box::new(LikelihoodRatio::online()),
            Box::new(LikelihoodRatio::offline()),
            Box::new(RelativeLikelihood::online()),
            Box::new(relative),
            Box::new(relative.tuned().with_ratio_ranking()),
            Box::new(bayesian),
            Box::new(bayesian.gaussian()),
            Box::new(BayesianLikelihoodRatio::offline()),
            Box::new(BayesianLikelihoodRatio::one_sided()),
            Box::new(CalibratedLoss::new()),
            Box::new(CalibratedLoss::new().with_all_shadows()),
            Box::new(PredictionEntropy::new()),
            Box::new(entropy),
            Box::new(entropy.with_class_thresholds()),
            Box::new(LabelOnly::gap()),
            Box::new(LabelOnly::gap().calibrated()),
            Box::new(ShadowClassifier::logistic()),
            Box::new(ShadowClassifier::mlp()),
        ]
    }

    #[test]
    fn the_pooled_curve_counts_every_model_and_record_once() {
        let signals = made_up(200);
        for attack in attacks() {
            let roc = attack.roc(&signals).unwrap();
            assert_eq!(roc.members() + roc.non_members(), 6 * 200);
            assert_eq!(roc.name(), attack.name());
            assert_eq!(roc.note(), "6 models × 200 records, seed 5");
            assert!(roc.auc().value > 0.55, "{attack:?} {roc:?}");
        }
    }

    #[test]
    fn no_attack_reads_the_members_of_its_target() {
        let signals = made_up(12);
        let mut lied = signals.membership().to_vec();
        lied[2 * 12..3 * 12].iter_mut().for_each(|member| *member = !*member);
        let shape = [6, 12, 1, 3];
        let other = Signals::new(signals.logits().clone(), shape, lied, signals.labels().to_vec(), signals.manifest().clone()).unwrap();
        for attack in attacks() {
            assert_eq!(attack.score(&signals, 2).unwrap(), attack.score(&other, 2).unwrap(), "{attack:?}");
        }
    }

    #[test]
    fn scores_do_not_depend_on_the_number_of_threads() {
        let signals = made_up(200);
        for attack in attacks() {
            let pool = |threads| rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let with = |threads| pool(threads).install(|| attack.score_all(&signals));
            let (one, many) = (with(1).unwrap(), with(5).unwrap());
            assert!(one.iter().flatten().map(|v| v.to_bits()).eq(many.iter().flatten().map(|v| v.to_bits())), "{attack:?}");
            assert_eq!(one[3], attack.score(&signals, 3).unwrap());
        }
    }

    #[test]
    fn some_records_are_scored_as_among_all() {
        let signals = made_up(12);
        for attack in attacks() {
            let roc = attack.roc_of(&signals, &[0, 3, 4]).unwrap();
            assert_eq!(roc.members() + roc.non_members(), 18);
            assert!(attack.roc_of(&signals, &[]).is_err() && attack.roc_of(&signals, &[12]).is_err());
            assert!(attack.roc_of_model(&signals, 6).is_err());
        }
    }
}
