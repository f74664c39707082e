//! Group normalisation: groups of consecutive channels of every image to mean 0 and variance 1, then scale and shift per channel.
//!
//! y = γ (x − μ) / √(σ² + ε) + β with μ, σ² over one group of channels of one image (arXiv 1803.08494). It never mixes samples.
//! With one group per channel it is [`InstanceNorm`](super::InstanceNorm).

use super::Saved;
use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

/// Group normalisation with scale and shift per channel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GroupNorm {
    /// Groups; must divide the channels.
    pub groups: usize,
    /// Number of channels.
    pub channels: usize,
    /// ε added to the variance; 1e-5 as everywhere.
    pub epsilon: f64,
}

impl GroupNorm {
    pub(crate) fn parameters(&self) -> Vec<usize> {
        vec![self.channels, self.channels]
    }

    pub(crate) fn forward(&self, w: &[Tensor<1>], x: Tensor<4>) -> (Tensor<4>, Saved) {
        let (normal, inverse) = normalise(x, self.groups, self.epsilon);
        let y = normal.clone() * self.channel(&w[0]) + self.channel(&w[1]);
        (y, vec![normal, inverse])
    }

    pub(crate) fn input_gradient(&self, w: &[Tensor<1>], saved: &Saved, grad: Tensor<4>) -> Tensor<4> {
        through_normalise(saved, grad * self.channel(&w[0]), self.groups)
    }

    /// Per sample `[n, channels]` for scale and shift.
    pub(crate) fn sample_gradients(saved: &Saved, grad: Tensor<4>) -> Vec<Tensor<2>> {
        let [n, c, ..] = grad.dims();
        let over_image = |t: Tensor<4>| -> Tensor<2> { t.sum_dims(&[2, 3]).reshape([n, c]) };
        vec![over_image(grad.clone() * saved[0].clone()), over_image(grad)]
    }

    fn channel(&self, parameter: &Tensor<1>) -> Tensor<4> {
        parameter.clone().reshape([1, self.channels, 1, 1])
    }
}

/// (x − μ) / √(σ² + ε) over each of `groups` equal parts of every sample, and 1 / √(σ² + ε) as `[n, groups, 1]`-shaped `[n, groups, 1, 1]`.
pub(super) fn normalise(x: Tensor<4>, groups: usize, epsilon: f64) -> (Tensor<4>, Tensor<4>) {
    let [n, c, h, w] = x.dims();
    let parts: Tensor<3> = x.reshape([n, groups, c * h * w / groups]);
    let centred = parts.clone() - parts.mean_dim(2);
    let variance = (centred.clone() * centred.clone()).mean_dim(2);
    let inverse = (variance + epsilon).sqrt().recip(); // [n, groups, 1]
    ((centred * inverse.clone()).reshape([n, c, h, w]), inverse.reshape([n, groups, 1, 1]))
}

/// dx = (g − mean(g) − x̂ · mean(g·x̂)) / √(σ² + ε), the means over each part.
pub(super) fn through_normalise(saved: &Saved, grad: Tensor<4>, groups: usize) -> Tensor<4> {
    let [n, c, h, w] = grad.dims();
    let parts = |t: Tensor<4>| -> Tensor<3> { t.reshape([n, groups, c * h * w / groups]) };
    let (normal, grad) = (parts(saved[0].clone()), parts(grad));
    let inverse: Tensor<3> = saved[1].clone().reshape([n, groups, 1]);
    let slope = (grad.clone() * normal.clone()).mean_dim(2);
    ((grad.clone() - grad.mean_dim(2) - normal * slope) * inverse).reshape([n, c, h, w])
}
