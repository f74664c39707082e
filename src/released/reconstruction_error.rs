//! A record that comes back well from its code was a member: the autoencoder has learned it.
//!
//! score(x) = −|x − d(e(x))|²/n with n the values of a record, in natural units (columns of tables in standard deviations).
//!
//! 1. An autoencoder brings its decoder d.
//! 2. For an encoder alone the attacker fits a linear one by ridge regression on the codes C of public records X, both centred:
//!    W = (CᵀC + λ tr(CᵀC)/k · I)⁻¹ CᵀX, in f64. That is weaker than the decoder that was dropped.
//!
//! # Privacy
//! None: this is an attack.
//!
//! # References
//! Chen, Yu, Zhang, Fritz, arXiv 1909.03935 (GAN-Leaks: reconstruction as the score).
//!
//! # Example
//! ```
//! use freelunch::prelude::*;
//! use freelunch::released::{ReconstructionError, Released};
//! let lab = Lab::new()?.seed(1).quiet();
//! let halves = Dataset::toy().members(30, &lab)?;
//! let whole = PrivateAutoencoder::new(8, 1.0).without_privacy().with_epochs(5).fit_whole(&halves.members, &lab)?;
//! let roc = Released::from(whole).attack(&ReconstructionError::new(), &halves, &lab)?;
//! assert_eq!(roc.members(), 30);
//! # Ok::<(), Error>(())
//! ```

use super::{ReleaseAttack, Released, check, comparable, finite};
use crate::generate::Encoder;
use crate::kernel::{Cholesky, add_ridge, dot};
use crate::{Dataset, Error, Lab, Result};
use rayon::prelude::*;

/// Ranks candidates by how well they come back from their codes.
///
/// # Example
/// ```
/// use freelunch::released::{ReconstructionError, ReleaseAttack};
/// assert_eq!(ReconstructionError::new().name(), "reconstruction error");
/// ```
#[derive(Debug, Clone)]
pub struct ReconstructionError {
    /// Public records from which a decoder is learned where none was released.
    pub reference: Option<Dataset>,
    /// λ of the ridge regression, relative to the mean variance of a code, at least 0.
    pub ridge: f64,
}

impl Default for ReconstructionError {
    fn default() -> Self {
        Self::new()
    }
}

impl ReconstructionError {
    /// Without a reference, so that it applies to autoencoders only; λ = 0.001.
    #[must_use]
    pub fn new() -> Self {
        Self { reference: None, ridge: 1e-3 }
    }

    /// The same with public records of the same kind: it then applies to encoders, too.
    #[must_use]
    pub fn with_reference(mut self, reference: &Dataset) -> Self {
        self.reference = Some(reference.clone());
        self
    }

    /// The same with another λ.
    #[must_use]
    pub fn with_ridge(mut self, ridge: f64) -> Self {
        self.ridge = ridge;
        self
    }

    fn of_encoder(&self, encoder: &Encoder, reference: &Dataset, candidates: &Dataset) -> Result<Vec<f64>> {
        if !(self.ridge >= 0.0 && self.ridge.is_finite()) {
            return Err(Error::config(format!("ridge is {}", self.ridge), "expected a number of at least 0"));
        }
        let scale = reference.normalization();
        let decoder = LinearDecoder::fit(encoder.encode(reference)?.x(), &comparable(reference, scale), encoder.code(), self.ridge);
        let (codes, d) = (encoder.encode(candidates)?, candidates.features());
        let x = comparable(candidates, scale);
        Ok(codes.x().par_chunks(encoder.code()).zip(x.par_chunks(d)).map(|(code, x)| -decoder.mean_square(code, x)).collect())
    }
}

impl ReleaseAttack for ReconstructionError {
    fn name(&self) -> String {
        "reconstruction error".to_string()
    }

    fn config(&self) -> serde_json::Value {
        let reference = self.reference.as_ref().map(|reference| (reference.name(), reference.len()));
        serde_json::json!({ "reference": reference, "ridge": self.ridge })
    }

    fn applies(&self, released: &Released) -> Result<(), String> {
        match released {
            Released::Autoencoder(_) => Ok(()),
            Released::Encoder(_) if self.reference.is_some() => Ok(()),
            Released::Encoder(_) => {
                let remedy = "ReconstructionError::new().with_reference(&public)";
                Err(format!("an encoder has no decoder; one can be learned from public records: {remedy}"))
            }
            _ => Err(format!("it needs codes of records; the release is {}", released.with_article())),
        }
    }

    fn score(&self, released: &Released, candidates: &Dataset, _lab: &Lab) -> Result<Vec<f64>> {
        check(self, released)?;
        let scores = match (released, &self.reference) {
            (Released::Autoencoder(both), _) => {
                let back = both.reconstruct(candidates)?;
                let scale = back.normalization();
                let (x, y, d) = (comparable(candidates, scale), comparable(&back, scale), candidates.features());
                let square = |(x, y): (&[f32], &[f32])| x.iter().zip(y).map(|(&a, &b)| (f64::from(a) - f64::from(b)).powi(2)).sum::<f64>();
                x.chunks_exact(d).zip(y.chunks_exact(d)).map(|pair| -square(pair) / d as f64).collect()
            }
            (Released::Encoder(encoder), Some(reference)) => self.of_encoder(encoder, reference, candidates)?,
            _ => vec![], // refused above
        };
        finite(self, scores)
    }
}

/// x ≈ mean + W (code − mean code).
struct LinearDecoder {
    mean_code: Vec<f64>,
    mean: Vec<f64>,
    /// For every value of a record its k weights.
    weights: Vec<f64>,
}

impl LinearDecoder {
    /// From codes `[n, k]` and records `[n, d]`, row-major.
    fn fit(codes: &[f32], x: &[f32], k: usize, ridge: f64) -> Self {
        let d = x.len() / (codes.len() / k);
        let ((mean_code, codes), (mean, x)) = (centred_columns(codes, k), centred_columns(x, d));
        let mut gram: Vec<f64> = codes.iter().flat_map(|a| codes.iter().map(move |b| dot(a, b))).collect(); // [k, k]
        add_ridge(&mut gram, k, ridge);
        let mut weights: Vec<f64> = x.par_iter().flat_map_iter(|x| codes.iter().map(move |code| dot(code, x))).collect(); // [d, k]
        match Cholesky::of(gram, k) {
            Some(factor) => factor.solve(&mut weights),
            None => weights.fill(0.0), // codes that do not vary tell nothing: the mean record is the best guess
        }
        Self { mean_code, mean, weights }
    }

    fn mean_square(&self, code: &[f32], x: &[f32]) -> f64 {
        let k = self.mean_code.len();
        let code: Vec<f64> = code.iter().zip(&self.mean_code).map(|(&c, mean)| f64::from(c) - mean).collect();
        let guesses = self.mean.iter().zip(self.weights.chunks_exact(k)).map(|(mean, weights)| mean + dot(weights, &code));
        guesses.zip(x).map(|(guess, &x)| (guess - f64::from(x)).powi(2)).sum::<f64>() / x.len() as f64
    }
}

/// The mean of each column of row-major values, and the columns less their means.
fn centred_columns(rows: &[f32], width: usize) -> (Vec<f64>, Vec<Vec<f64>>) {
    let centred = |j: usize| {
        let column: Vec<f64> = rows.iter().skip(j).step_by(width).map(|&v| f64::from(v)).collect();
        let mean = crate::stats::mean(&column);
        (mean, column.into_iter().map(|v| v - mean).collect())
    };
    (0..width).into_par_iter().map(centred).unzip()
}

#[cfg(test)]
mod tests {
    use super::super::tests::{halves, lab, public};
    use super::*;
    use crate::generate::{Coder, PrivateAutoencoder};
    use crate::nn::Optimizer;

    fn overfitted() -> PrivateAutoencoder {
        let network = Coder::Dense { hidden: vec![48] };
        let recipe = PrivateAutoencoder::new(24, 1.0).with_network(network).with_batch(8).with_epochs(120);
        recipe.without_privacy().with_optimizer(Optimizer::adam(0.005))
    }

    #[test]
    fn a_linear_decoder_recovers_a_linear_map_and_its_offset() {
        // x = (1 + 2a − b, 3 + b, 5) of codes (a, b).
        let codes = [0.0f32, 0.0, 1.0, 0.0, 0.0, 1.0, 1.0, 1.0, -1.0, 0.5];
        let record = |c: &[f32]| [1.0 + 2.0 * c[0] - c[1], 3.0 + c[1], 5.0];
        let x: Vec<f32> = codes.chunks(2).flat_map(record).collect();
        let decoder = LinearDecoder::fit(&codes, &x, 2, 0.0);
        assert!(decoder.mean_square(&[0.3, -2.0], &record(&[0.3, -2.0])) < 1e-12); // f32 inputs
        let mut off = record(&[0.3, -2.0]);
        off[2] += 0.6;
        assert!((decoder.mean_square(&[0.3, -2.0], &off) - 0.12).abs() < 1e-6);
        let constant = LinearDecoder::fit(&[1.0; 10], &x, 2, 1e-3);
        assert_eq!(constant.weights, vec![0.0; 6]);
    }

    #[test]
    fn an_overfitted_autoencoder_gives_its_members_back_better() {
        let truth = halves();
        let both = overfitted().fit_whole(&truth.members, &lab()).unwrap();
        let attack = ReconstructionError::new();
        let roc = Released::from(both.clone()).attack(&attack, &truth, &lab()).unwrap();
        assert!(roc.auc().value > 0.9, "{roc:?}");
        let scores = attack.score(&Released::from(both.clone()), &truth.members, &lab()).unwrap();
        let back = both.reconstruct(&truth.members).unwrap();
        let pairs = back.record(3).iter().zip(truth.members.record(3));
        let square: f64 = pairs.map(|(&a, &b)| (f64::from(a) - f64::from(b)).powi(2)).sum();
        assert!((scores[3] + square / 64.0).abs() < 1e-12);
        let alone = Released::from(both.encoder().clone());
        let weaker = alone.attack(&attack.with_reference(&public()), &truth, &lab()).unwrap();
        assert!(weaker.auc().value < roc.auc().value, "{weaker:?}");
    }

    #[test]
    fn a_bad_ridge_and_references_of_another_kind_are_refused() {
        let truth = halves();
        let encoder = Released::from(overfitted().with_epochs(1).fit(&truth.members, &lab()).unwrap());
        let score = |attack: ReconstructionError| attack.score(&encoder, &truth.members, &lab()).unwrap_err().to_string();
        let attack = ReconstructionError::new();
        assert!(score(attack.clone()).contains("with_reference"));
        assert!(score(attack.clone().with_reference(&public()).with_ridge(f64::NAN)).contains("ridge is NaN"));
        assert!(score(attack.with_reference(&Dataset::toy_table())).contains("records"));
    }
}
