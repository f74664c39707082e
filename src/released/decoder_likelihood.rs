//! How likely a record is under the decoder of its class: what a generator gives too much probability was a member.
//!
//! score(x) = log (1/K) Σₖ p(x | zₖ) with z₁ .. z_K ~ N(0, I), a Monte Carlo estimate of log p(x) that is never above it on average;
//! or maxₖ log p(x | zₖ), the best of K random codes ([`Aggregate::Best`]).
//!
//! 1. The same K codes serve all candidates of a class, so that their luck cancels in the ranking.
//! 2. p(x | z) is the likelihood that the generator was trained with: Bernoulli pixels, Gaussian numbers, categorical levels. In x it is
//!    log p(x | z) = ⟨x, a(z)⟩ + b(z) + c(x), so that one matrix product compares all candidates with all codes.
//!
//! Simple records are likely under any decoder. That difficulty is not removed here: run the attack in a game and compare with other runs.
//!
//! # Privacy
//! None: this is an attack.
//!
//! # References
//! Chen, Yu, Zhang, Fritz, arXiv 1909.03935 (GAN-Leaks, attacks on generators); Hayes et al., arXiv 1705.07663 (LOGAN).
//!
//! # Example
//! ```
//! use freelunch::prelude::*;
//! use freelunch::released::{DecoderLikelihood, Released};
//! let lab = Lab::new()?.seed(1).quiet();
//! let halves = Dataset::toy().members(40, &lab)?;
//! let generator = PrivateVae::new(1, 1.0).with_epochs(2).with_batch(4).fit(&halves.members, &lab)?;
//! let roc = Released::from(generator).attack(&DecoderLikelihood::new().with_draws(32), &halves, &lab)?;
//! assert!(roc.auc().value < 0.7); // two noisy epochs remember nobody
//! # Ok::<(), Error>(())
//! ```

use super::{ReleaseAttack, Released, check, finite};
use crate::data::rows_at;
use crate::generate::VaeGenerator;
use crate::kernel::Panels;
use crate::stats::log_sum_exp;
use crate::{Dataset, Error, Lab, Result};
use rand_distr::{Distribution, StandardNormal};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// Ranks candidates by their likelihood under the decoder of their class.
///
/// # Example
/// ```
/// use freelunch::released::{DecoderLikelihood, ReleaseAttack};
/// assert_eq!(DecoderLikelihood::new().best().name(), "decoder likelihood, best of 512");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct DecoderLikelihood {
    /// K, codes drawn for each class, at least 1.
    pub draws: usize,
    /// What is made of the K likelihoods of a candidate.
    pub aggregate: Aggregate,
}

/// What is made of the likelihoods under all codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Aggregate {
    /// The logarithm of their mean.
    Mean,
    /// The logarithm of the largest.
    Best,
}

impl Default for DecoderLikelihood {
    fn default() -> Self {
        Self::new()
    }
}

impl DecoderLikelihood {
    /// Candidates of one matrix product; fixed, so that results do not depend on the number of threads.
    const ROWS: usize = 64;

    /// The mean over 512 codes.
    #[must_use]
    pub fn new() -> Self {
        Self { draws: 512, aggregate: Aggregate::Mean }
    }

    /// The same with the best code instead of the mean.
    #[must_use]
    pub fn best(mut self) -> Self {
        self.aggregate = Aggregate::Best;
        self
    }

    /// The same with another number of codes.
    #[must_use]
    pub fn with_draws(mut self, draws: usize) -> Self {
        self.draws = draws;
        self
    }

    /// The scores of rows `targets` under the decoder of one class.
    fn of_class(&self, generator: &VaeGenerator, class: usize, targets: &[f32], lab: &Lab) -> Result<Vec<f64>> {
        let mut rng = lab.rng("decoder likelihood", class as u64);
        let z: Vec<f32> = (0..self.draws * generator.recipe().latent).map(|_| StandardNormal.sample(&mut rng)).collect();
        let (outputs, likelihood) = (generator.outputs(class, &z, lab.device())?, generator.likelihood());
        let d = outputs.len() / self.draws;
        let (a, b): (Vec<Vec<f64>>, Vec<f64>) = outputs.par_chunks(d).map(|row| likelihood.linear(row)).unzip();
        let panels = Panels::pack(&a.concat(), d);
        let columns = panels.columns();
        let aggregate = |products: &[f64], target: &[f32]| {
            let logs: Vec<f64> = products.iter().zip(&b).map(|(product, b)| product + b).collect();
            let all = match self.aggregate {
                Aggregate::Mean => log_sum_exp(&logs) - libm::log(self.draws as f64),
                Aggregate::Best => logs.into_iter().fold(f64::NEG_INFINITY, f64::max),
            };
            all + likelihood.offset(target)
        };
        let block = |targets: &[f32]| -> Vec<f64> {
            let rows: Vec<f64> = targets.iter().map(|&v| f64::from(v)).collect();
            let mut products = vec![0.0; rows.len() / d * columns];
            panels.times(&rows, d, &mut products);
            products.chunks_exact(columns).zip(targets.chunks_exact(d)).map(|(products, target)| aggregate(products, target)).collect()
        };
        Ok(targets.par_chunks(Self::ROWS * d).flat_map_iter(block).collect())
    }
}

impl ReleaseAttack for DecoderLikelihood {
    fn name(&self) -> String {
        let how = if self.aggregate == Aggregate::Best { "best" } else { "mean" };
        format!("decoder likelihood, {how} of {}", self.draws)
    }

    fn config(&self) -> serde_json::Value {
        serde_json::json!(self)
    }

    fn applies(&self, released: &Released) -> Result<(), String> {
        match released {
            Released::Generator(_) => Ok(()),
            _ => Err(format!(
                "it needs the decoder of a VAE generator; the release is {}",
                match released {
                    Released::MeanEmbedding(_) => "a generator without a likelihood".into(),
                    _ => released.with_article(),
                }
            )),
        }
    }

    fn score(&self, released: &Released, candidates: &Dataset, lab: &Lab) -> Result<Vec<f64>> {
        check(self, released)?;
        if self.draws == 0 {
            return Err(Error::config("draws is 0", "expected at least 1 code"));
        }
        let Released::Generator(generator) = released else { return Ok(vec![]) }; // refused above
        let classes = generator.class_names().len();
        if candidates.classes() != classes {
            let what = format!("candidates in {} classes for a generator of {classes}", candidates.classes());
            return Err(Error::mismatch(what, "use records with the classes that it was trained on"));
        }
        let (targets, d) = (generator.likelihood().targets(&generator.readable(candidates)?), candidates.features());
        let mut scores = vec![f64::NAN; candidates.len()];
        for class in 0..classes {
            let positions = candidates.of_class(class);
            if positions.is_empty() {
                continue;
            }
            let rows = rows_at(&targets, d, &positions);
            let of_class = self.of_class(generator, class, &rows, lab)?;
            positions.into_iter().zip(of_class).for_each(|(i, score)| scores[i] = score);
        }
        finite(self, scores)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{halves, lab};
    use super::*;
    use crate::data::Normalization;
    use crate::generate::{Coder, PrivateVae};
    use crate::nn::Optimizer;

    fn recipe() -> PrivateVae {
        let recipe = PrivateVae::new(1, 1.0).with_latent(2).with_network(Coder::Dense { hidden: vec![32] }).with_batch(4);
        recipe.without_privacy().with_optimizer(Optimizer::adam(0.01)).with_epochs(150)
    }

    #[test]
    fn an_overfitted_decoder_finds_its_members_more_likely() {
        let truth = halves();
        let released = Released::from(recipe().fit(&truth.members, &lab()).unwrap());
        for attack in [DecoderLikelihood::new(), DecoderLikelihood::new().best()] {
            let roc = released.attack(&attack, &truth, &lab()).unwrap();
            assert!(roc.auc().value > 0.7, "{attack:?} {roc:?}");
        }
    }

    #[test]
    fn the_score_is_the_mean_of_the_likelihoods_of_the_definition() {
        let toy = Dataset::toy();
        let generator = recipe().with_epochs(3).fit(&toy, &lab()).unwrap();
        let attack = DecoderLikelihood::new().with_draws(5);
        let released = Released::from(generator.clone());
        let (scores, bests) = (attack.score(&released, &toy, &lab()).unwrap(), attack.best().score(&released, &toy, &lab()).unwrap());
        for i in [0, 5, 119] {
            let class = toy.labels()[i] as usize;
            let mut rng = lab().rng("decoder likelihood", class as u64);
            let z: Vec<f32> = (0..10).map(|_| StandardNormal.sample(&mut rng)).collect();
            let outputs = generator.outputs(class, &z, lab().device()).unwrap();
            let log_p = |row: &[f32]| -> f64 {
                let pixel = |(&o, &x): (&f32, &f32)| f64::from(x) * f64::from(o) - (1.0 + f64::from(o).exp()).ln();
                row.iter().zip(toy.record(i)).map(pixel).sum()
            };
            let logs: Vec<f64> = outputs.chunks(64).map(log_p).collect();
            assert!((scores[i] - (log_sum_exp(&logs) - 5f64.ln())).abs() < 1e-9);
            assert!((bests[i] - logs.iter().copied().fold(f64::NEG_INFINITY, f64::max)).abs() < 1e-9);
        }
        assert_eq!(scores, attack.score(&released, &toy, &lab()).unwrap());
        assert_ne!(scores, attack.score(&released, &toy, &lab().seed(77)).unwrap());
    }

    #[test]
    fn tables_and_classes_without_candidates_have_finite_scores_and_no_draw_is_refused() {
        let ranges = Normalization::of_ranges(&[(0.0, 100.0), (0.0, 20.0), (0.0, 1.0), (0.0, 1.0), (0.0, 1.0)]).unwrap();
        let table = Dataset::toy_table().with_public_normalization(ranges).unwrap();
        let released = Released::from(recipe().with_epochs(2).fit(&table, &lab()).unwrap());
        let some = table.subset(&table.of_class(1)).unwrap();
        let scores = DecoderLikelihood::new().with_draws(16).score(&released, &some, &lab()).unwrap();
        assert!(scores.len() == some.len() && scores.iter().all(|score| score.is_finite()));
        let message = DecoderLikelihood::new().with_draws(0).score(&released, &some, &lab()).unwrap_err().to_string();
        assert!(message.contains("draws is 0"), "{message}");
        assert!(DecoderLikelihood::new().score(&released, &Dataset::toy(), &lab()).is_err());
    }
}
