//! Dropout: in training, every value is 0 with probability `rate` and divided by 1 − rate otherwise (arXiv 1207.0580).

use super::Saved;
use burn::tensor::{Tensor, TensorData};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

/// Dropout; does nothing outside training. The mask follows from the seed of the pass, so that a run can be repeated.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Dropout {
    /// Probability of a zero, 0 up to, not including, 1.
    pub rate: f64,
}

impl Dropout {
    /// `seed` is none outside training.
    pub(crate) fn forward(&self, x: Tensor<4>, seed: Option<u64>) -> (Tensor<4>, Saved) {
        let Some(seed) = seed else { return (x, vec![]) };
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let keep = (1.0 / (1.0 - self.rate)) as f32;
        let dims = x.dims();
        let mask: Vec<f32> = (0..dims.iter().product()).map(|_| if rng.random::<f64>() < self.rate { 0.0 } else { keep }).collect();
        let mask = Tensor::<4>::from_data(TensorData::new(mask, dims), (&x.device(), x.dtype()));
        (x * mask.clone(), vec![mask])
    }

    pub(crate) fn input_gradient(saved: &Saved, grad: Tensor<4>) -> Tensor<4> {
        match saved.first() {
            Some(mask) => grad * mask.clone(),
            None => grad,
        }
    }
}
