//! Instance normalisation: every channel of every image to mean 0 and variance 1, then scale and shift.
//!
//! y = γ (x − μ) / √(σ² + ε) + β with μ, σ² over the h·w values of one channel of one image (arXiv 1607.08022). The same as
//! group normalisation with one group per channel, which is what the reference ConvNet of the condensation literature uses. It
//! never mixes samples.

use super::Saved;
use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

/// Instance normalisation with scale and shift.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InstanceNorm {
    /// Number of channels.
    pub channels: usize,
    /// ε added to the variance; 1e-5 as everywhere.
    pub epsilon: f64,
}

impl InstanceNorm {
    pub(crate) fn parameters(&self) -> Vec<usize> {
        vec![self.channels, self.channels]
    }

    pub(crate) fn forward(&self, w: &[Tensor<1>], x: Tensor<4>) -> (Tensor<4>, Saved) {
        let [n, c, height, width] = x.dims();
        let flat: Tensor<3> = x.clone().reshape([n, c, height * width]);
        let mean = flat.clone().mean_dim(2); // [n, c, 1]
        let centred = flat - mean.clone();
        let variance = (centred.clone() * centred).mean_dim(2);
        let inverse = (variance + self.epsilon).sqrt().recip().reshape([n, c, 1, 1]);
        // y = x * scale + shift: two passes over the activations instead of four.
        let scale = inverse.clone() * self.channel(&w[0]);
        let shift = self.channel(&w[1]) - mean.clone().reshape([n, c, 1, 1]) * scale.clone();
        let y = x.clone() * scale + shift;
        (y, vec![x, mean.reshape([n, c, 1, 1]), inverse])
    }

    /// dx = γ/√(σ²+ε) · (g − mean(g) − x̂ · mean(g·x̂)).
    pub(crate) fn input_gradient(&self, w: &[Tensor<1>], saved: &Saved, grad: Tensor<4>) -> Tensor<4> {
        let [n, c, height, width] = grad.dims();
        let normal = normalised(saved);
        let over_image = |t: Tensor<4>| -> Tensor<4> { t.reshape([n, c, height * width]).mean_dim(2).reshape([n, c, 1, 1]) };
        let mean = over_image(grad.clone());
        let slope = over_image(grad.clone() * normal.clone());
        (grad - mean - normal * slope) * (saved[2].clone() * self.channel(&w[0]))
    }

    pub(crate) fn weight_gradients(&self, saved: &Saved, grad: Tensor<4>) -> Vec<Tensor<1>> {
        let scale = (grad.clone() * normalised(saved)).sum_dims(&[0, 2, 3]);
        let shift = grad.sum_dims(&[0, 2, 3]);
        vec![scale.reshape([-1]), shift.reshape([-1])]
    }

    /// Per sample `[n, channels]` for scale and shift.
    pub(crate) fn sample_gradients(saved: &Saved, grad: Tensor<4>) -> Vec<Tensor<2>> {
        let [n, c, ..] = grad.dims();
        let over_image = |t: Tensor<4>| -> Tensor<2> { t.sum_dims(&[2, 3]).reshape([n, c]) };
        vec![over_image(grad.clone() * normalised(saved)), over_image(grad)]
    }

    fn channel(&self, parameter: &Tensor<1>) -> Tensor<4> {
        parameter.clone().reshape([1, self.channels, 1, 1])
    }
}

fn normalised(saved: &Saved) -> Tensor<4> {
    (saved[0].clone() - saved[1].clone()) * saved[2].clone()
}
