//! Convolution 3×3, instance or group norm, ReLU and average pool 2×2 in one pass: the block of the ConvNet, on the processor.
//!
//! One image at a time goes through the whole block while it is in the cache; the layer by layer path writes and reads every
//! activation several times. The numbers are those of the four layers (tested against them and against burn's autodiff), so a
//! [`Net`](super::Net) uses the block where it can: on the CPU and outside autodiff.

mod gradients;
mod kernel;

pub(crate) use gradients::BlockGradients;

use super::{AvgPool, Conv2d, GroupNorm, InstanceNorm, Layer};
use crate::simd::vectorize;
use burn::tensor::{Tensor, TensorData};
use kernel::{Correlation, WeightGradient};
use pulp::{Simd, WithSimd};

/// The fused block; parameters are those of its convolution and norm: weight, bias, scale, shift.
#[derive(Clone)]
pub(super) struct ConvBlock {
    inputs: usize,
    outputs: usize,
    padding: usize,
    /// Channels that are normalised together: 1 for instance norm.
    group: usize,
    epsilon: f32,
}

/// What the forward pass keeps.
#[derive(Default)]
pub(crate) struct BlockSaved {
    /// Input `[n, inputs, h, w]`.
    x: Vec<f32>,
    shape: [usize; 4],
    /// Normalised activations, channels last, `[n, h', w', outputs]`.
    normal: Vec<f32>,
    /// 1 / √(σ² + ε), `[n, outputs]`.
    inverse: Vec<f32>,
}

impl ConvBlock {
    /// The block that these layers are, if they are one.
    pub(super) fn of(layers: &[Layer]) -> Option<Self> {
        let [Layer::Conv2d(conv), norm, Layer::Relu, Layer::AvgPool(AvgPool { size: 2 }), ..] = layers else { return None };
        let Conv2d { inputs, outputs, kernel: 3, stride: 1, padding } = *conv else { return None };
        let (channels, group, epsilon) = match *norm {
            Layer::InstanceNorm(InstanceNorm { channels, epsilon }) => (channels, 1, epsilon),
            Layer::GroupNorm(GroupNorm { groups, channels, epsilon }) if groups > 0 => (channels, channels / groups, epsilon),
            _ => return None,
        };
        (channels == outputs).then_some(Self { inputs, outputs, padding, group, epsilon: epsilon as f32 })
    }

    /// How many layers the block stands for.
    pub(super) const LAYERS: usize = 4;
    /// How many parameter vectors it has.
    pub(super) const PARAMETERS: usize = 4;

    /// The output `[n, outputs, h' / 2, w' / 2]`, and what the backward pass needs if `saving`.
    pub(super) fn forward(&self, w: &[Tensor<1>], x: Tensor<4>, saving: bool) -> (Tensor<4>, BlockSaved) {
        let [n, _, height, width] = x.dims();
        let device = x.device();
        let (h, v) = (height + 2 * self.padding - 2, width + 2 * self.padding - 2);
        let x = values(x);
        let parameters: Vec<Vec<f32>> = w.iter().cloned().map(values).collect();
        let [weight, bias, scale, shift] = [&parameters[0], &parameters[1], &parameters[2], &parameters[3]];
        let weights = self.taps_first(weight);
        let mut y = vec![0.0; n * self.outputs * (h / 2) * (v / 2)];
        let kept = if saving { n } else { 0 };
        let mut saved = BlockSaved {
            shape: [n, self.inputs, height, width],
            normal: vec![0.0; kept * h * v * self.outputs],
            inverse: vec![0.0; kept * self.outputs],
            ..BlockSaved::default()
        };
        let correlation = Correlation { height: h, width: v, inputs: self.inputs, outputs: self.outputs, weights: &weights, bias };
        vectorize(Forward { block: self, correlation, x: &x, size: [height, width], scale, shift, y: &mut y, saved: &mut saved });
        if saving {
            saved.x = x;
        }
        (tensor(y, [n, self.outputs, h / 2, v / 2], &device), saved)
    }

    /// The gradients of weight, bias, scale and shift summed over the images, and the one in the block's input, in one pass; either
    /// may not be wanted.
    pub(super) fn gradients(
        &self,
        w: &[Tensor<1>],
        saved: &BlockSaved,
        grad: Tensor<4>,
        wanted: Wanted,
    ) -> (Vec<Tensor<1>>, Option<Tensor<4>>) {
        let device = grad.device();
        let parameters: Vec<Vec<f32>> = w.iter().cloned().map(values).collect();
        let grad = values(grad);
        let mut sums = Sums {
            weight: vec![0.0; if wanted.weights { 9 * self.inputs * self.outputs } else { 0 }],
            bias: vec![0.0; self.outputs],
            scale: vec![],
            shift: vec![],
        };
        let mut x = vec![0.0; if wanted.input { saved.x.len() } else { 0 }];
        vectorize(Backward { block: self, parameters: &parameters, saved, grad: &grad, into: Into::Sum(&mut sums), x: &mut x });
        let input = if wanted.input { Some(tensor(x, saved.shape, &device)) } else { None };
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
    pub(super) fn sample_gradients(
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
        (each, input.then(|| tensor(x, saved.shape, &device)))
    }

    fn sides(&self, saved: &BlockSaved) -> (usize, usize) {
        let [_, _, height, width] = saved.shape;
        (height + 2 * self.padding - 2, width + 2 * self.padding - 2)
    }

    /// `[outputs, inputs, 3, 3]` to `[3, 3, inputs, outputs]`.
    fn taps_first(&self, weight: &[f32]) -> Vec<f32> {
        let mut out = vec![0.0; weight.len()];
        for (at, value) in weight.iter().enumerate() {
            let (tap, i, o) = (at % 9, at / 9 % self.inputs, at / 9 / self.inputs);
            out[(tap * self.inputs + i) * self.outputs + o] = *value;
        }
        out
    }

    /// The inverse of [`ConvBlock::taps_first`].
    fn outputs_first(&self, weight: &[f32]) -> Vec<f32> {
        let mut out = vec![0.0; weight.len()];
        for (at, slot) in out.iter_mut().enumerate() {
            let (tap, i, o) = (at % 9, at / 9 % self.inputs, at / 9 / self.inputs);
            *slot = weight[(tap * self.inputs + i) * self.outputs + o];
        }
        out
    }

    /// `[outputs, inputs, 3, 3]` turned by half a circle, as `[3, 3, outputs, inputs]`: the adjoint's weights.
    fn turned(&self, weight: &[f32]) -> Vec<f32> {
        let mut out = vec![0.0; weight.len()];
        for (at, value) in weight.iter().enumerate() {
            let (tap, i, o) = (at % 9, at / 9 % self.inputs, at / 9 / self.inputs);
            out[((8 - tap) * self.outputs + o) * self.inputs + i] = *value;
        }
        out
    }

    /// One image `[c, h, w]` into the middle of `pad` `[h + 2p, w + 2p, c]`, whose border stays zero.
    #[inline(always)]
    fn pad(&self, image: &[f32], [height, width]: [usize; 2], pad: &mut [f32]) {
        let stride = width + 2 * self.padding;
        for (c, plane) in image.chunks_exact(height * width).enumerate() {
            for (y, row) in plane.chunks_exact(width).enumerate() {
                let start = ((y + self.padding) * stride + self.padding) * self.inputs + c;
                for (slot, value) in pad[start..].iter_mut().step_by(self.inputs).zip(row) {
                    *slot = *value;
                }
            }
        }
    }

    /// The gradient in the convolution's output `[h, w, outputs]` from the one in the pooled output of image `i`; adds to the
    /// sums of the norm's parameters.
    #[inline(always)]
    fn through_norm(&self, i: usize, [scale, shift]: [&[f32]; 2], saved: &BlockSaved, grad: &[f32], out: &mut [f32], sums: &mut NormSums) {
        let (h, w) = self.sides(saved);
        let o = self.outputs;
        let normal = &saved.normal[i * h * w * o..(i + 1) * h * w * o];
        let inverse = &saved.inverse[i * o..(i + 1) * o];
        sums.pooled.resize(grad.len(), 0.0);
        transpose(grad, o, (h / 2) * (w / 2), &mut sums.pooled);
        let pooled = &sums.pooled;
        sums.mean.fill(0.0);
        sums.slope.fill(0.0);
        for (y, (normal, out)) in normal.chunks_exact(w * o).zip(out.chunks_exact_mut(w * o)).enumerate() {
            for (x, (normal, out)) in normal.chunks_exact(o).zip(out.chunks_exact_mut(o)).enumerate() {
                if y / 2 >= h / 2 || x / 2 >= w / 2 {
                    out.fill(0.0);
                    continue;
                }
                let grad = &pooled[(y / 2 * (w / 2) + x / 2) * o..][..o];
                let (scale, shift) = (&scale[..o], &shift[..o]);
                let (mean, slope) = (&mut sums.mean[..o], &mut sums.slope[..o]);
                for c in 0..o {
                    let g = if scale[c] * normal[c] + shift[c] > 0.0 { 0.25 * grad[c] } else { 0.0 };
                    out[c] = g;
                    mean[c] += g;
                    slope[c] += g * normal[c];
                }
            }
        }
        for c in 0..o {
            sums.shift[c] += sums.mean[c];
            sums.scale[c] += sums.slope[c];
        }
        // The means of γg and γg·x̂ over the group.
        let share = 1.0 / (h * w) as f32;
        sums.group_mean.clear();
        sums.group_slope.clear();
        sums.group_mean.extend(sums.mean.iter().zip(scale).map(|(mean, scale)| share * scale * mean));
        sums.group_slope.extend(sums.slope.iter().zip(scale).map(|(slope, scale)| share * scale * slope));
        average(&mut sums.group_mean, self.group);
        average(&mut sums.group_slope, self.group);
        for (normal, out) in normal.chunks_exact(o).zip(out.chunks_exact_mut(o)) {
            let (mean, slope, scale) = (&sums.group_mean[..o], &sums.group_slope[..o], &scale[..o]);
            for c in 0..o {
                out[c] = inverse[c] * (scale[c] * out[c] - mean[c] - normal[c] * slope[c]);
            }
        }
    }
}

/// Sums of [`ConvBlock::through_norm`]: of the current image, and over all of them.
struct NormSums {
    pooled: Vec<f32>,
    mean: Vec<f32>,
    slope: Vec<f32>,
    group_mean: Vec<f32>,
    group_slope: Vec<f32>,
    scale: Vec<f32>,
    shift: Vec<f32>,
}

impl NormSums {
    fn new(outputs: usize) -> Self {
        let zeros = || vec![0.0; outputs];
        let (group_mean, group_slope) = (vec![], vec![]);
        Self { pooled: vec![], mean: zeros(), slope: zeros(), group_mean, group_slope, scale: zeros(), shift: zeros() }
    }
}

struct Sums {
    weight: Vec<f32>, // [3, 3, inputs, outputs]
    bias: Vec<f32>,
    scale: Vec<f32>,
    shift: Vec<f32>,
}

struct Forward<'a> {
    block: &'a ConvBlock,
    correlation: Correlation<'a>,
    x: &'a [f32],
    size: [usize; 2],
    scale: &'a [f32],
    shift: &'a [f32],
    y: &'a mut [f32],
    saved: &'a mut BlockSaved,
}

impl WithSimd for Forward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { block, correlation, x, size: [height, width], scale, shift, y, saved } = self;
        let (h, w, o) = (correlation.height, correlation.width, block.outputs);
        let packed = correlation.pack::<S>();
        let mut pad = vec![0.0; (h + 2) * (w + 2) * block.inputs];
        let mut z = vec![0.0; h * w * o];
        let (mut mean, mut inverse, mut pooled) = (vec![0.0; o], vec![0.0; o], vec![0.0; o * (h / 2) * (w / 2)]);
        let images = x.chunks_exact(block.inputs * height * width).zip(y.chunks_exact_mut(o * (h / 2) * (w / 2)));
        for (i, (image, y)) in images.enumerate() {
            block.pad(image, [height, width], &mut pad);
            correlation.run(simd, &packed, &pad, &mut z);
            moments(&z, block.epsilon, block.group, &mut mean, &mut inverse);
            for z in z.chunks_exact_mut(o) {
                let (mean, inverse) = (&mean[..o], &inverse[..o]);
                for c in 0..o {
                    z[c] = (z[c] - mean[c]) * inverse[c];
                }
            }
            pool(&z, [h, w], [scale, shift], &mut pooled);
            transpose(&pooled, (h / 2) * (w / 2), o, y);
            if !saved.normal.is_empty() {
                saved.normal[i * h * w * o..(i + 1) * h * w * o].copy_from_slice(&z);
                saved.inverse[i * o..(i + 1) * o].copy_from_slice(&inverse);
            }
        }
    }
}

/// Which gradients a backward pass computes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted {
    pub(super) weights: bool,
    pub(super) input: bool,
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
    Sum(&'a mut Sums),
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
        let kernel = WeightGradient { height: h, width: w, inputs, outputs: o };
        let (weights, bias) = (block.turned(&parameters[0]), vec![0.0; inputs]);
        let adjoint = Correlation { height, width, inputs: o, outputs: inputs, weights: &weights, bias: &bias };
        let packed = adjoint.pack::<S>();
        let mut norm = NormSums::new(o);
        let mut z = vec![0.0; h * w * o];
        let mut pad_x = vec![0.0; (h + 2) * (w + 2) * inputs];
        let mut pad_z = vec![0.0; (height + 2) * (width + 2) * o];
        let mut out = vec![0.0; height * width * inputs];
        let mut scratch = vec![];
        let features = inputs * height * width;
        for (i, grad) in grad.chunks_exact(o * (h / 2) * (w / 2)).enumerate() {
            block.through_norm(i, [&parameters[2], &parameters[3]], saved, grad, &mut z, &mut norm);
            let (weight, bias) = match &mut into {
                Into::Sum(sums) => (&mut sums.weight[..], &mut sums.bias[..]),
                Into::Each { weight, rest } => {
                    let rest = &mut rest[3 * o * i..3 * o * (i + 1)];
                    rest[o..2 * o].copy_from_slice(&norm.slope);
                    rest[2 * o..].copy_from_slice(&norm.mean);
                    (&mut weight[9 * inputs * o * i..9 * inputs * o * (i + 1)], &mut rest[..o])
                }
            };
            if !weight.is_empty() {
                block.pad(&saved.x[i * features..(i + 1) * features], [height, width], &mut pad_x);
                kernel.run(simd, &pad_x, &z, &mut scratch, weight);
                for z in z.chunks_exact(o) {
                    bias.iter_mut().zip(z).for_each(|(sum, z)| *sum += z);
                }
            }
            if !x.is_empty() {
                // Row a of the padded gradient is row a + padding − 2 of the gradient, where there is one.
                for (a, row) in pad_z.chunks_exact_mut((width + 2) * o).enumerate() {
                    for (b, slot) in row.chunks_exact_mut(o).enumerate() {
                        let (y, x) = ((a + block.padding).wrapping_sub(2), (b + block.padding).wrapping_sub(2));
                        if y < h && x < w {
                            slot.copy_from_slice(&z[(y * w + x) * o..][..o]);
                        }
                    }
                }
                adjoint.run(simd, &packed, &pad_z, &mut out);
                transpose(&out, height * width, inputs, &mut x[i * features..(i + 1) * features]);
            }
        }
        if let Into::Sum(sums) = into {
            sums.scale = norm.scale;
            sums.shift = norm.shift;
        }
    }
}

/// Mean and 1 / √(σ² + ε) of every channel of `z` `[pixels, channels]`, over groups of `group` channels.
#[inline(always)]
fn moments(z: &[f32], epsilon: f32, group: usize, mean: &mut [f32], inverse: &mut [f32]) {
    let o = mean.len();
    let share = 1.0 / (z.len() / o) as f32;
    mean.fill(0.0);
    inverse.fill(0.0);
    for z in z.chunks_exact(o) {
        mean.iter_mut().zip(z).for_each(|(sum, z)| *sum += z);
    }
    mean.iter_mut().for_each(|sum| *sum *= share);
    average(mean, group);
    for z in z.chunks_exact(o) {
        for ((sum, z), mean) in inverse.iter_mut().zip(z).zip(&*mean) {
            *sum += (z - mean) * (z - mean);
        }
    }
    average(inverse, group);
    inverse.iter_mut().for_each(|sum| *sum = 1.0 / (*sum * share + epsilon).sqrt());
}

/// Puts the mean of every group in the place of its members.
#[inline(always)]
fn average(values: &mut [f32], group: usize) {
    if group > 1 {
        for members in values.chunks_exact_mut(group) {
            let mean = members.iter().sum::<f32>() / group as f32;
            members.fill(mean);
        }
    }
}

/// Scale, shift, ReLU and the mean of 2×2 squares: `[h, w, channels]` to `[h / 2, w / 2, channels]`.
#[inline(always)]
fn pool(normal: &[f32], [h, w]: [usize; 2], [scale, shift]: [&[f32]; 2], pooled: &mut [f32]) {
    let o = scale.len();
    for (y, row) in pooled.chunks_exact_mut((w / 2).max(1) * o).enumerate().take(h / 2) {
        for (x, out) in row.chunks_exact_mut(o).enumerate() {
            let corner = |dy: usize, dx: usize| &normal[((2 * y + dy) * w + 2 * x + dx) * o..][..o];
            let (a, b, c, d) = (corner(0, 0), corner(0, 1), corner(1, 0), corner(1, 1));
            let (scale, shift) = (&scale[..o], &shift[..o]);
            for k in 0..o {
                let relu = |v: f32| (scale[k] * v + shift[k]).max(0.0);
                out[k] = 0.25 * ((relu(a[k]) + relu(b[k])) + (relu(c[k]) + relu(d[k])));
            }
        }
    }
}

/// `[rows, columns]` to `[columns, rows]`.
#[inline(always)]
fn transpose(from: &[f32], rows: usize, columns: usize, to: &mut [f32]) {
    for (r, row) in from.chunks_exact(columns).enumerate() {
        for (c, value) in row.iter().enumerate() {
            to[c * rows + r] = *value;
        }
    }
}

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    // A CPU tensor of f32 always reads back; an empty result would fail the shape check of the caller's tensor.
    tensor.try_into_vec_as::<f32>().unwrap_or_default()
}

fn tensor(values: Vec<f32>, shape: [usize; 4], device: &burn::tensor::Device) -> Tensor<4> {
    Tensor::from_data(TensorData::new(values, shape), device)
}
