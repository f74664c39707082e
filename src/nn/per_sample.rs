//! The gradient of every sample by itself, as clipping needs it: its length, and sums in which every sample has its own weight.
//!
//! For a linear layer y = Wx + b the gradient of one sample is g xᵀ, so its squared length is |g|² (|x|² + 1), and the weighted sum is one
//! matrix product with the rows of g scaled: nothing per sample is stored ("ghost" clipping, arXiv 1510.01799). For a convolution with
//! patches X and output gradients G the squared length is Σ (XᵀX) ∘ (GᵀG), which is cheaper than the gradient itself where the image is small and
//! the channels are many (arXiv 2205.10683); elsewhere the gradient of each sample is kept.

use super::conv_block::BlockGradients;
use super::conv2d::columns;
use super::{Conv2d, Layer, Linear, Saved};
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

/// How the lengths of the gradients of single samples are found.
///
/// # Example
/// ```
/// use freelunch::nn::PerSample;
/// assert_eq!(PerSample::default(), PerSample::Ghost);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum PerSample {
    /// Every gradient is computed and kept: `[n, parameters]` numbers for each chunk of samples.
    Flat,
    /// Lengths without gradients wherever that is cheaper, layer by layer. The same numbers up to rounding.
    #[default]
    Ghost,
}

/// The gradients of a few samples in all parameters, part by part in the order of the parameters.
pub(crate) struct SampleGradients {
    parts: Vec<Part>,
    samples: usize,
}

pub(super) enum Part {
    /// `[n, length]` for each parameter of one layer.
    Kept(Vec<Tensor<2>>),
    /// A fused block's.
    Block(BlockGradients, Device),
    Linear(Linear, Saved, Tensor<4>),
    Conv(Conv2d, Saved, Tensor<4>),
}

impl SampleGradients {
    pub(super) fn new(parts: Vec<Part>, samples: usize) -> Self {
        Self { parts, samples }
    }

    /// This network's gradients and then another one's, of the same samples.
    pub(crate) fn join(mut self, other: Self) -> Self {
        self.parts.extend(other.parts);
        self
    }

    /// |gradient|² of every sample, `[n]`.
    pub(crate) fn squared_lengths(&self, device: &Device) -> Tensor<1> {
        let lengths = self.parts.iter().map(|part| part.squared_lengths(self.samples));
        lengths.reduce(|sum, part| sum + part).unwrap_or_else(|| Tensor::zeros([self.samples], device))
    }

    /// Σ over the samples of factor · gradient, one flat vector per parameter. `factors` `[n]`.
    pub(crate) fn weighted_sum(self, factors: Tensor<1>) -> Vec<Tensor<1>> {
        self.parts.into_iter().flat_map(|part| part.weighted_sum(factors.clone())).collect()
    }

    /// The mean over every `times` consecutive samples, as one sample each. All gradients must have been kept.
    pub(crate) fn averaged(self, times: usize) -> Self {
        let samples = self.samples / times.max(1);
        let parts = self.parts.into_iter().map(|part| part.averaged(samples, times)).collect();
        Self { parts, samples }
    }
}

impl Part {
    /// What `layer` gives.
    pub(super) fn of(layer: &Layer, saved: &Saved, grad: Tensor<4>, how: PerSample) -> Self {
        match layer {
            Layer::Linear(linear) if how == PerSample::Ghost => Self::Linear(linear.clone(), saved.clone(), grad),
            Layer::Conv2d(conv) if how == PerSample::Ghost && conv.lengths_are_cheap(grad.dims()) => {
                Self::Conv(conv.clone(), saved.clone(), grad)
            }
            layer => Self::Kept(layer.sample_gradients(saved, grad)),
        }
    }

    fn squared_lengths(&self, n: usize) -> Tensor<1> {
        let squares = |t: Tensor<2>| -> Tensor<1> { (t.clone() * t).sum_dim(1).reshape([n]) };
        match self {
            Self::Kept(gradients) => squares(Tensor::cat(gradients.clone(), 1)),
            Self::Block(gradients, device) => Tensor::from_floats(gradients.squared_lengths().as_slice(), device),
            Self::Linear(layer, saved, grad) => {
                let x = squares(saved[0].clone().reshape([n, layer.inputs]));
                squares(grad.clone().reshape([n, layer.outputs])) * (x + 1.0)
            }
            Self::Conv(layer, saved, grad) => {
                let [_, o, h, w] = grad.dims();
                let patches = columns(saved[0].clone(), layer.kernel, layer.stride, layer.padding, [h, w]); // [n, i·k·k, h·w]
                let grad: Tensor<3> = grad.clone().reshape([n, o, h * w]);
                let bias = squares(grad.clone().sum_dim(2).reshape([n, o]));
                let gram = |t: Tensor<3>| t.clone().swap_dims(1, 2).matmul(t); // [n, h·w, h·w]
                let taps = layer.inputs * layer.kernel * layer.kernel;
                let weight: Tensor<2> = (gram(patches.clone()) * gram(grad.clone())).reshape([n, h * w * h * w]);
                // Products of either sign may cancel, and what rounding leaves of them may be far too small: so round up, by what the sum of
                // their sizes can lose in 32 bits (Cauchy-Schwarz bounds that sum).
                let sizes = squares(patches.clone().reshape([n, taps * h * w])) * squares(grad.clone().reshape([n, o * h * w]));
                weight.sum_dim(1).reshape([n]).clamp_min(0.0) + sizes * 1e-7 + bias
            }
        }
    }

    fn weighted_sum(self, factors: Tensor<1>) -> Vec<Tensor<1>> {
        let [n] = factors.dims();
        match self {
            Self::Kept(gradients) => {
                let row: Tensor<2> = factors.reshape([1, n]);
                gradients.into_iter().map(|gradients| row.clone().matmul(gradients).reshape([-1])).collect()
            }
            Self::Block(gradients, device) => {
                let factors = factors.try_into_vec_as::<f32>().unwrap_or_default();
                gradients.weighted_sum(&factors).into_iter().map(|sum| Tensor::from_floats(sum.as_slice(), &device)).collect()
            }
            Self::Linear(layer, saved, grad) => layer.weight_gradients(&saved, grad * factors.reshape([n, 1, 1, 1])),
            Self::Conv(layer, saved, grad) => layer.weight_gradients(&saved, grad * factors.reshape([n, 1, 1, 1])),
        }
    }

    fn averaged(self, samples: usize, times: usize) -> Self {
        match self {
            Self::Kept(gradients) => Self::Kept(
                gradients
                    .into_iter()
                    .map(|gradients| {
                        let [_, length] = gradients.dims();
                        let grouped: Tensor<3> = gradients.reshape([samples, times, length]);
                        grouped.mean_dim(1).reshape([samples, length])
                    })
                    .collect(),
            ),
            Self::Block(gradients, device) => Self::Block(gradients.averaged(times), device),
            Self::Linear(layer, saved, grad) => Self::Kept(layer.sample_gradients(&saved, grad)).averaged(samples, times),
            Self::Conv(layer, saved, grad) => Self::Kept(layer.sample_gradients(&saved, grad)).averaged(samples, times),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::{Arch, Net, to_host, to_tensor};
    use crate::{Device as Kind, Lab};
    use rand::RngExt;

    fn lab() -> Lab {
        Lab::on(Kind::Cpu).unwrap().seed(5).quiet()
    }

    fn random(count: usize, index: u64) -> Vec<f32> {
        let mut rng = lab().rng("values", index);
        (0..count).map(|_| rng.random_range(-1.0..1.0)).collect()
    }

    /// Compared with the larger of their own largest entry and 0.1: a bias before a norm has no gradient but rounding.
    fn near(ours: &[f32], expected: &[f32], what: &str) {
        let scale = expected.iter().fold(0.1f32, |most, v| most.max(v.abs()));
        for (a, b) in ours.iter().zip(expected) {
            // f32 sums of up to some thousand products in another order.
            assert!((a - b).abs() <= 3e-5 * scale, "{what}: {a} against {b}");
        }
        assert_eq!(ours.len(), expected.len(), "{what}");
    }

    /// Fused blocks, single layers, and a convolution whose lengths come from products of patches.
    fn networks() -> Vec<(Vec<Layer>, [usize; 4])> {
        let wide = Conv2d { inputs: 40, outputs: 48, kernel: 3, stride: 1, padding: 1 };
        assert!(wide.lengths_are_cheap([1, 48, 3, 3]) && !wide.lengths_are_cheap([1, 48, 20, 20]));
        vec![
            (Arch::conv_net().with_width(9).with_depth(2).layers([2, 9, 8], 3).unwrap(), [6, 2, 9, 8]),
            (Arch::conv_net().with_width(17).with_depth(2).layers([2, 9, 8], 3).unwrap(), [6, 2, 9, 8]),
            (vec![Layer::Conv2d(wide), Layer::Tanh, Layer::Flatten, Layer::Linear(Linear { inputs: 432, outputs: 3 })], [6, 40, 3, 3]),
        ]
    }

    #[test]
    fn all_ways_to_a_weighted_sum_agree_with_one_record_at_a_time() {
        for (layers, [n, c, h, w]) in networks() {
            let device = lab().open().unwrap();
            let fused = Net::new(layers.clone(), &mut lab().rng("weights", 0), &device);
            let plain = Net::on(layers, fused.weights.clone(), false);
            let (x, grad, factors) = (random(n * c * h * w, 0), random(n * 3, 1), random(n, 2));
            let mut expected: Vec<Vec<f32>> = vec![];
            let mut squares = vec![];
            for i in 0..n {
                let one = to_tensor(x[i * c * h * w..(i + 1) * c * h * w].to_vec(), [1, c, h, w], &device);
                let (_, tape) = plain.forward_saving(one);
                let own = plain.weight_gradients(&tape, to_tensor(grad[i * 3..(i + 1) * 3].to_vec(), [1, 3, 1, 1], &device));
                let own: Vec<Vec<f32>> = own.into_iter().map(|g| to_host(g).unwrap()).collect();
                squares.push(own.iter().flatten().map(|v| v * v).sum::<f32>());
                expected.resize_with(own.len(), Vec::new);
                for (sum, own) in expected.iter_mut().zip(own) {
                    sum.resize(own.len(), 0.0);
                    sum.iter_mut().zip(own).for_each(|(sum, v)| *sum += factors[i] * v);
                }
            }
            for (net, how) in [(&fused, PerSample::Ghost), (&plain, PerSample::Ghost), (&plain, PerSample::Flat)] {
                let (_, tape) = net.forward_saving(to_tensor(x.clone(), [n, c, h, w], &device));
                let (each, input) = net.per_sample(&tape, to_tensor(grad.clone(), [n, 3, 1, 1], &device), how, true);
                near(&to_host(each.squared_lengths(&device)).unwrap(), &squares, "squared lengths");
                let sums = each.weighted_sum(Tensor::from_floats(factors.as_slice(), &device));
                for (p, (sum, expected)) in sums.into_iter().zip(&expected).enumerate() {
                    near(&to_host(sum).unwrap(), expected, &format!("{how:?}, parameter {p}"));
                }
                let by_net = net.input_gradient(&tape, to_tensor(grad.clone(), [n, 3, 1, 1], &device));
                near(&to_host(input.unwrap()).unwrap(), &to_host(by_net).unwrap(), "input");
            }
        }
    }

    #[test]
    fn averages_over_groups_are_taken_before_lengths() {
        for (layers, [n, c, h, w]) in networks() {
            let device = lab().open().unwrap();
            let net = Net::new(layers, &mut lab().rng("weights", 0), &device);
            let (_, tape) = net.forward_saving(to_tensor(random(n * c * h * w, 0), [n, c, h, w], &device));
            let each = || net.per_sample(&tape, to_tensor(random(n * 3, 1), [n, 3, 1, 1], &device), PerSample::Flat, false).0;
            let mean: Vec<Vec<f32>> = each()
                .weighted_sum(Tensor::from_floats([1.0 / 3.0, 1.0 / 3.0, 1.0 / 3.0, 0.0, 0.0, 0.0], &device))
                .into_iter()
                .map(|g| to_host(g).unwrap())
                .collect();
            let squared: f32 = mean.iter().flatten().map(|v| v * v).sum();
            let grouped = each().averaged(3);
            near(&to_host(grouped.squared_lengths(&device)).unwrap()[..1], &[squared], "length of the mean");
            for (own, mean) in grouped.weighted_sum(Tensor::from_floats([1.0, 0.0], &device)).into_iter().zip(&mean) {
                near(&to_host(own).unwrap(), mean, "mean");
            }
        }
    }
}
