//! Layer normalisation: all values of a sample to mean 0 and variance 1, then scale and shift of every value (arXiv 1607.06450).

use super::Saved;
use super::group_norm::{normalise, through_normalise};
use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

/// Layer normalisation of `[n, c, h, w]` over c·h·w values with a scale and a shift for each. It never mixes samples.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LayerNorm {
    /// Values of one sample, c·h·w.
    pub values: usize,
    /// ε added to the variance; 1e-5 as everywhere.
    pub epsilon: f64,
}

impl LayerNorm {
    pub(crate) fn parameters(&self) -> Vec<usize> {
        vec![self.values, self.values]
    }

    pub(crate) fn forward(&self, w: &[Tensor<1>], x: Tensor<4>) -> (Tensor<4>, Saved) {
        let dims = x.dims();
        let (normal, inverse) = normalise(x, 1, self.epsilon);
        let y = normal.clone() * each(&w[0], dims) + each(&w[1], dims);
        (y, vec![normal, inverse])
    }

    pub(crate) fn input_gradient(&self, w: &[Tensor<1>], saved: &Saved, grad: Tensor<4>) -> Tensor<4> {
        let dims = grad.dims();
        through_normalise(saved, grad * each(&w[0], dims), 1)
    }

    /// Per sample `[n, values]` for scale and shift.
    pub(crate) fn sample_gradients(&self, saved: &Saved, grad: Tensor<4>) -> Vec<Tensor<2>> {
        let [n, ..] = grad.dims();
        let rows = |t: Tensor<4>| -> Tensor<2> { t.reshape([n, self.values]) };
        vec![rows(grad.clone() * saved[0].clone()), rows(grad)]
    }
}

fn each(parameter: &Tensor<1>, [_, c, h, w]: [usize; 4]) -> Tensor<4> {
    parameter.clone().reshape([1, c, h, w])
}
