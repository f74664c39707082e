//! The gradients of a block in its parameters and its input, summed over the images or image by image.

use super::buffer::Buffer;
use super::convolve::{Convolution, WeightSums};
use super::kernel::Correlation;
use super::norm::NormSums;
use super::{BlockGradients, BlockSaved, ConvBlock, laid_out, tensor, transpose, turn, values};
use crate::simd::vectorize;
use burn::tensor::{Tensor, TensorData};
use pulp::{Simd, WithSimd};

/// Which gradients a backward pass computes.
#[derive(Debug, Clone, Copy)]
pub(in crate::nn) struct Wanted {
    pub(in crate::nn) weights: bool,
    pub(in crate::nn) input: bool,
}

impl ConvBlock {
    /// The gradients of weight, bias, scale and shift summed over the images, and the one in the block's input, in one pass; either
    /// may not be wanted.
    pub(in crate::nn) fn gradients(
        &self,
        w: &[Tensor<1>],
        saved: &BlockSaved,
        grad: Tensor<4>,
        wanted: Wanted,
    ) -> (Vec<Tensor<1>>, Option<Tensor<4>>) {
        let device = grad.device();
        let parameters: Vec<Vec<f32>> = w.iter().cloned().map(values).collect();
        let grad = values(grad);
        let mut sums = Totals {
            weight: vec![0.0; if wanted.weights { 9 * self.inputs * self.outputs } else { 0 }],
            bias: vec![0.0; self.outputs],
            scale: vec![],
            shift: vec![],
        };
        let mut x = vec![0.0; if wanted.input { saved.x.len() } else { 0 }];
        vectorize(Backward { block: self, parameters: &parameters, saved, grad: &grad, into: Into::Sum(&mut sums), x: &mut x });
        let input = wanted.input.then(|| tensor(x, laid_out(self.follows, saved.shape), &device));
        if !wanted.weights {
            return (vec![], input);
        }
        let weight = self.outputs_first(&sums.weight);
        let weights = [weight, sums.bias, sums.scale, sums.shift].map(|values| {
            let len = values.len();
            Tensor::from_data(TensorData::new(values, [len]), &device)
        });
        (weights.into(), input)
    }

    /// The gradients of every image by itself, and the one in the block's input if `input`.
    pub(in crate::nn) fn sample_gradients(
        &self,
        w: &[Tensor<1>],
        saved: &BlockSaved,
        grad: Tensor<4>,
        input: bool,
    ) -> (BlockGradients, Option<Tensor<4>>) {
        let device = grad.device();
        let parameters: Vec<Vec<f32>> = w.iter().cloned().map(values).collect();
        let grad = values(grad);
        let n = saved.shape[0];
        let mut each = BlockGradients {
            block: self.clone(),
            weight: vec![0.0; n * 9 * self.inputs * self.outputs],
            rest: vec![0.0; n * 3 * self.outputs],
        };
        let mut x = vec![0.0; if input { saved.x.len() } else { 0 }];
        let into = Into::Each { weight: &mut each.weight, rest: &mut each.rest };
        vectorize(Backward { block: self, parameters: &parameters, saved, grad: &grad, into, x: &mut x });
        (each, input.then(|| tensor(x, laid_out(self.follows, saved.shape), &device)))
    }

    /// The gradient `z` `[h, w, outputs]` in the convolution's output into `pad` `[height + 2, channels, width + 2]`, from channel `first`.
    #[inline(always)]
    pub(super) fn pad_gradient(&self, z: &[f32], [height, width]: [usize; 2], pad: &mut [f32], [channels, first]: [usize; 2]) {
        let (h, w, o) = (height + 2 * self.padding - 2, width + 2 * self.padding - 2, self.outputs);
        // Row y of the gradient is row y + 2 − padding of the padded one, and columns likewise; of a wide padding the rim falls outside.
        let border = 2usize.saturating_sub(self.padding);
        let cut = self.padding.saturating_sub(2);
        let stride = width + 2;
        for y in cut..h - cut {
            let row = &z[(y * w + cut) * o..][..(w - 2 * cut) * o];
            let at = ((y + border - cut) * channels + first) * stride + border;
            turn(row, [w - 2 * cut, o], &mut pad[at..], stride);
        }
    }

    /// `[outputs, inputs, 3, 3]` turned by half a circle, as `[3, outputs, 3, inputs]`: the adjoint's weights.
    pub(super) fn turned(&self, weight: &[f32]) -> Vec<f32> {
        let mut out = vec![0.0; weight.len()];
        for (row, values) in weight.chunks_exact(9).enumerate() {
            let (o, i) = (row / self.inputs, row % self.inputs);
            for (tap, value) in values.iter().rev().enumerate() {
                out[((tap / 3 * self.outputs + o) * 3 + tap % 3) * self.inputs + i] = *value;
            }
        }
        out
    }
}

struct Totals {
    weight: Vec<f32>, // [3, inputs, 3, outputs]
    bias: Vec<f32>,
    scale: Vec<f32>,
    shift: Vec<f32>,
}

struct Backward<'a> {
    block: &'a ConvBlock,
    parameters: &'a [Vec<f32>],
    saved: &'a BlockSaved,
    grad: &'a [f32],
    into: Into<'a>,
    /// Empty when it is not wanted.
    x: &'a mut [f32],
}

/// Where the gradients in the parameters go.
enum Into<'a> {
    /// Added up over the images; the weight is empty when it is not wanted.
    Sum(&'a mut Totals),
    /// One row per image: the weight, and bias, scale and shift after each other.
    Each { weight: &'a mut [f32], rest: &'a mut [f32] },
}

impl WithSimd for Backward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { block, parameters, saved, grad, mut into, x } = self;
        let ((h, w), o) = (block.sides(saved), block.outputs);
        let [_, inputs, height, width] = saved.shape;
        let (weights, bias) = (block.turned(&parameters[0]), vec![0.0; inputs]);
        let adjoint = Correlation { height, width, inputs: o, outputs: inputs, weights: &weights, bias: &bias };
        let mut adjoint = if x.is_empty() { None } else { Some(Convolution::adjoint(simd, block, adjoint)) };
        let by_itself = matches!(into, Into::Each { .. });
        let unwanted = matches!(&into, Into::Sum(sums) if sums.weight.is_empty());
        let mut products = if unwanted { None } else { Some(WeightSums::new(simd, block, [height, width], [h, w])) };
        let mut norm = NormSums::new(o);
        let mut z = Buffer::of(h * w * o);
        let mut out = Buffer::of(height * width * inputs);
        let features = inputs * height * width;
        for (i, grad) in grad.chunks_exact(o * (h / 2) * (w / 2)).enumerate() {
            block.through_norm(simd, [&parameters[2], &parameters[3]], (saved, i), grad, &mut z, &mut norm);
            let (weight, bias) = match &mut into {
                Into::Sum(sums) => (&mut sums.weight[..], &mut sums.bias[..]),
                Into::Each { weight, rest } => {
                    let rest = &mut rest[3 * o * i..3 * o * (i + 1)];
                    rest[o..2 * o].copy_from_slice(&norm.slope);
                    rest[2 * o..].copy_from_slice(&norm.mean);
                    (&mut weight[9 * inputs * o * i..9 * inputs * o * (i + 1)], &mut rest[..o])
                }
            };
            if let Some(products) = &mut products {
                products.add(simd, &saved.x[i * features..(i + 1) * features], &z, weight);
                if by_itself {
                    products.finish(simd, weight);
                }
                bias.iter_mut().zip(&norm.bias).for_each(|(sum, own)| *sum += own);
            }
            if let Some(adjoint) = &mut adjoint {
                let x = &mut x[i * features..(i + 1) * features];
                if block.follows {
                    adjoint.run(simd, &[&z], x);
                } else {
                    adjoint.run(simd, &[&z], &mut out);
                    transpose(&out, height * width, inputs, x);
                }
            }
        }
        if let Into::Sum(sums) = into {
            if let Some(products) = &mut products {
                products.finish(simd, &mut sums.weight);
            }
            sums.scale = norm.scale;
            sums.shift = norm.shift;
        }
    }
}
