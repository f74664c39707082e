//! Convolution 3×3, instance or group norm, ReLU and average pool 2×2 in one pass: the block of the ConvNet, on the processor.
//!
//! One image at a time goes through the whole block while it is in the cache; the layer by layer path writes and reads every
//! activation several times. The numbers are those of the four layers (tested against them and against burn's autodiff), so a
//! [`Net`](super::Net) uses the block where it can: on the CPU and outside autodiff.

mod backward;
mod buffer;
mod convolve;
mod gradients;
mod kernel;
mod lanes;
mod norm;
mod tangent;
mod winograd;

pub(super) use backward::Wanted;
pub(crate) use gradients::BlockGradients;
pub(crate) use tangent::BlockTangent;

use super::{AvgPool, Conv2d, GroupNorm, InstanceNorm, Layer};
use crate::simd::vectorize;
use buffer::Buffer;
use burn::tensor::{Tensor, TensorData};
use convolve::Convolution;
use kernel::Correlation;
use lanes::each;
use norm::{Pooled, moments};
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
    /// Whether the input, and the output, is that of a neighbouring block: channels last, `[n, h, w, channels]`, so that nothing has to be
    /// turned between blocks.
    follows: bool,
    leads: bool,
}

/// What the forward pass keeps.
#[derive(Default)]
pub(crate) struct BlockSaved {
    /// The input as it came.
    x: Vec<f32>,
    /// `[n, inputs, h, w]`.
    shape: [usize; 4],
    /// Normalised activations, channels last, `[n, h', w', outputs]`.
    normal: Buffer,
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
        let epsilon = epsilon as f32;
        (channels == outputs).then_some(Self { inputs, outputs, padding, group, epsilon, follows: false, leads: false })
    }

    /// Says that the output of `before` is the input of this block.
    pub(super) fn follow(&mut self, before: &mut Self) {
        (before.leads, self.follows) = (true, true);
    }

    /// How many layers the block stands for.
    pub(super) const LAYERS: usize = 4;
    /// How many parameter vectors it has.
    pub(super) const PARAMETERS: usize = 4;

    /// The output `[n, outputs, h' / 2, w' / 2]` (or channels last), and what the backward pass needs if `saving`.
    pub(super) fn forward(&self, w: &[Tensor<1>], x: Tensor<4>, saving: bool) -> (Tensor<4>, BlockSaved) {
        let [n, height, width] = match x.dims() {
            [n, height, width, _] if self.follows => [n, height, width],
            [n, _, height, width] => [n, height, width],
        };
        let device = x.device();
        let (h, v) = (height + 2 * self.padding - 2, width + 2 * self.padding - 2);
        let x = values(x);
        let parameters: Vec<Vec<f32>> = w.iter().cloned().map(values).collect();
        let [weight, bias, scale, shift] = [&parameters[0], &parameters[1], &parameters[2], &parameters[3]];
        let weights = self.outputs_last(weight);
        let mut y = vec![0.0; n * self.outputs * (h / 2) * (v / 2)];
        let kept = if saving { n } else { 0 };
        let mut saved = BlockSaved {
            shape: [n, self.inputs, height, width],
            normal: Buffer::of(kept * h * v * self.outputs),
            inverse: Vec::with_capacity(kept * self.outputs),
            ..BlockSaved::default()
        };
        let correlation = Correlation { height: h, width: v, inputs: self.inputs, outputs: self.outputs, weights: &weights, bias };
        vectorize(Forward { block: self, correlation, x: &x, scale, shift, y: &mut y, saving, saved: &mut saved });
        if saving {
            saved.x = x;
        }
        (tensor(y, laid_out(self.leads, [n, self.outputs, h / 2, v / 2]), &device), saved)
    }

    fn sides(&self, saved: &BlockSaved) -> (usize, usize) {
        let [_, _, height, width] = saved.shape;
        (height + 2 * self.padding - 2, width + 2 * self.padding - 2)
    }

    /// `[outputs, inputs, 3, 3]` to `[3, inputs, 3, outputs]`, as the kernels want it: rows of the kernel, inputs, columns of the kernel.
    fn outputs_last(&self, weight: &[f32]) -> Vec<f32> {
        let mut out = vec![0.0; weight.len()];
        self.pairs(|here, there| out[there] = weight[here]);
        out
    }

    /// The inverse of [`ConvBlock::outputs_last`].
    fn outputs_first(&self, weight: &[f32]) -> Vec<f32> {
        let mut out = vec![0.0; weight.len()];
        self.pairs(|here, there| out[here] = weight[there]);
        out
    }

    /// Every place in `[outputs, inputs, 3, 3]` with its place in `[3, inputs, 3, outputs]`.
    fn pairs(&self, mut each: impl FnMut(usize, usize)) {
        for o in 0..self.outputs {
            for i in 0..self.inputs {
                for (dy, dx) in (0..9).map(|tap| (tap / 3, tap % 3)) {
                    each((o * self.inputs + i) * 9 + 3 * dy + dx, ((dy * self.inputs + i) * 3 + dx) * self.outputs + o);
                }
            }
        }
    }

    /// One image `[inputs, h, w]` into the middle of `pad` `[h + 2p, channels, w + 2p]`, from channel `first`; the border stays zero.
    #[inline(always)]
    fn pad(&self, image: &[f32], [height, width]: [usize; 2], pad: &mut [f32], [channels, first]: [usize; 2]) {
        let stride = width + 2 * self.padding;
        if self.follows {
            for (y, row) in image.chunks_exact(width * self.inputs).enumerate() {
                let at = ((y + self.padding) * channels + first) * stride + self.padding;
                turn(row, [width, self.inputs], &mut pad[at..], stride);
            }
            return;
        }
        for (c, plane) in image.chunks_exact(height * width).enumerate() {
            for (y, row) in plane.chunks_exact(width).enumerate() {
                pad[((y + self.padding) * channels + first + c) * stride + self.padding..][..width].copy_from_slice(row);
            }
        }
    }
}

struct Forward<'a> {
    block: &'a ConvBlock,
    correlation: Correlation<'a>,
    x: &'a [f32],
    scale: &'a [f32],
    shift: &'a [f32],
    y: &'a mut [f32],
    saving: bool,
    saved: &'a mut BlockSaved,
}

impl WithSimd for Forward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { block, correlation, x, scale, shift, y, saving, saved } = self;
        let (h, w, o) = (correlation.height, correlation.width, block.outputs);
        let mut convolution = Convolution::forward(simd, block, correlation);
        let pixels = h * w * o;
        let mut scratch = Buffer::of(if saving { 0 } else { pixels });
        let (mut mean, mut inverse, mut pooled) = (vec![0.0; o], vec![0.0; o], Buffer::of(o * (h / 2) * (w / 2)));
        let [_, inputs, height, width] = saved.shape;
        let images = x.chunks_exact(inputs * height * width).zip(y.chunks_exact_mut(o * (h / 2) * (w / 2)));
        for (i, (image, y)) in images.enumerate() {
            // What is kept is computed where it stays.
            let z = if saving { &mut saved.normal[i * pixels..(i + 1) * pixels] } else { &mut scratch[..] };
            convolution.run(simd, &[image], z);
            moments(simd, z, block.epsilon, block.group, &mut mean, &mut inverse);
            let (mean, inverse) = (&mean, &inverse);
            let out = if block.leads { &mut *y } else { &mut pooled[..] };
            each(simd, o, Pooled { z, sides: [h, w], mean, inverse, scale, shift, keep: saving, pooled: out });
            if !block.leads {
                transpose(&pooled, (h / 2) * (w / 2), o, y);
            }
            if saving {
                saved.inverse.extend_from_slice(inverse);
            }
        }
    }
}

/// `[rows, columns]` to `[columns, rows]`.
#[inline(always)]
fn transpose(from: &[f32], rows: usize, columns: usize, to: &mut [f32]) {
    turn(from, [rows, columns], to, rows);
}

/// `[rows, columns]` to `[columns, rows]`, whose rows start `stride` numbers apart.
#[inline(always)]
fn turn(from: &[f32], [rows, columns]: [usize; 2], to: &mut [f32], stride: usize) {
    let mut r = 0;
    while rows - r >= 16 {
        turn_rows::<16>(from, [r, columns], to, stride);
        r += 16;
    }
    if rows - r >= 8 {
        turn_rows::<8>(from, [r, columns], to, stride);
        r += 8;
    }
    if rows - r >= 4 {
        turn_rows::<4>(from, [r, columns], to, stride);
        r += 4;
    }
    for r in r..rows {
        turn_rows::<1>(from, [r, columns], to, stride);
    }
}

/// [`turn`] for `R` rows from `r` on. Blocks of fixed size need no checks of bounds inside.
#[inline(always)]
fn turn_rows<const R: usize>(from: &[f32], [r, columns]: [usize; 2], to: &mut [f32], stride: usize) {
    const SIDE: usize = 16;
    let whole = columns / SIDE * SIDE;
    for c in (0..whole).step_by(SIDE) {
        let mut block = [[0.0; SIDE]; R];
        for (i, row) in block.iter_mut().enumerate() {
            row.copy_from_slice(&from[(r + i) * columns + c..][..SIDE]);
        }
        for j in 0..SIDE {
            let out = &mut to[(c + j) * stride + r..][..R];
            for i in 0..R {
                out[i] = block[i][j];
            }
        }
    }
    for c in whole..columns {
        for i in 0..R {
            to[c * stride + r + i] = from[(r + i) * columns + c];
        }
    }
}

/// The dimensions of a tensor that is `[n, c, h, w]`, or channels last.
fn laid_out(last: bool, [n, c, h, w]: [usize; 4]) -> [usize; 4] {
    if last { [n, h, w, c] } else { [n, c, h, w] }
}

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    // A CPU tensor of f32 always reads back; an empty result would fail the shape check of the caller's tensor.
    tensor.try_into_vec_as::<f32>().unwrap_or_default()
}

fn tensor(values: Vec<f32>, shape: [usize; 4], device: &burn::tensor::Device) -> Tensor<4> {
    Tensor::from_data(TensorData::new(values, shape), device)
}
