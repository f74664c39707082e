//! How a block's output and its gradients change along a direction: the derivative of the forward and of the backward pass when the
//! parameters move by v and the input by ẋ.
//!
//! A dot is the derivative, ⟨·⟩ the mean over a group, x̂ the normalised activation, r = 1 / √(σ² + ε), p the gradient behind ReLU and pool:
//!
//! ```text
//! z = W ⋆ x + b             ż = V ⋆ x + W ⋆ ẋ + ḃ
//! x̂ = r (z − ⟨z⟩)           x̂˙ = r (ż − ⟨ż⟩ − x̂ q)                       q = ⟨x̂ ż⟩
//! u = γ p                   u̇ = γ ṗ + γ̇ p
//! z̄ = r (u − ⟨u⟩ − x̂ s)     z̄˙ = r (u̇ − ⟨u̇⟩ − x̂˙ s − x̂ t) − r q z̄       s = ⟨x̂ u⟩, t = ⟨x̂˙ u⟩ + ⟨x̂ u̇⟩
//! x̄ = Wᵀ ⋆ z̄                x̄˙ = Vᵀ ⋆ z̄ + Wᵀ ⋆ z̄˙
//! ```
//!
//! The two convolutions of a line are one, over the channels of both images side by side.

use super::backward::Wanted;
use super::buffer::Buffer;
use super::convolve::{Convolution, WeightSums};
use super::kernel::Correlation;
use super::norm::average;
use super::{BlockSaved, ConvBlock, laid_out, tensor, transpose, values};
use crate::simd::vectorize;
use burn::tensor::{Tensor, TensorData};
use pulp::{Simd, WithSimd};

/// What the moved forward pass keeps for the moved backward pass.
pub(crate) struct BlockTangent {
    /// ẋ, laid out as x; empty where the input does not move.
    x: Vec<f32>,
    /// x̂˙, channels last, `[n, h', w', outputs]`.
    normal: Buffer,
    /// q, `[n, outputs]`.
    slope: Vec<f32>,
}

/// Parameters and their movement: weight, bias, scale, shift.
struct Moving {
    w: Vec<Vec<f32>>,
    v: Vec<Vec<f32>>,
}

impl Moving {
    fn of(w: &[Tensor<1>], v: &[Tensor<1>]) -> Self {
        let host = |parameters: &[Tensor<1>]| parameters.iter().cloned().map(values).collect();
        Self { w: host(w), v: host(v) }
    }

    fn scale(&self) -> [&[f32]; 2] {
        [&self.w[2], &self.v[2]]
    }

    fn shift(&self) -> [&[f32]; 2] {
        [&self.w[3], &self.v[3]]
    }
}

impl ConvBlock {
    /// The derivative of the output, `[n, outputs, h' / 2, w' / 2]`, when the parameters `w` move by `v` and the input by `moved`.
    pub(in crate::nn) fn forward_tangent(
        &self,
        [w, v]: [&[Tensor<1>]; 2],
        saved: &BlockSaved,
        moved: Option<Tensor<4>>,
        device: &burn::tensor::Device,
    ) -> (Tensor<4>, BlockTangent) {
        let n = saved.shape[0];
        let (h, width) = self.sides(saved);
        let mut tangent = BlockTangent {
            x: moved.map(values).unwrap_or_default(),
            normal: Buffer::of(saved.normal.len()),
            slope: vec![0.0; n * self.outputs],
        };
        let mut y = vec![0.0; n * self.outputs * (h / 2) * (width / 2)];
        vectorize(Forward { block: self, moving: &Moving::of(w, v), saved, tangent: &mut tangent, y: &mut y });
        (tensor(y, laid_out(self.leads, [n, self.outputs, h / 2, width / 2]), device), tangent)
    }

    /// The derivatives of the gradients in the parameters and in the input, from the gradient in the output and its derivative.
    pub(in crate::nn) fn gradients_tangent(
        &self,
        [w, v]: [&[Tensor<1>]; 2],
        saved: &BlockSaved,
        tangent: &BlockTangent,
        [grad, moved]: [Tensor<4>; 2],
        wanted: Wanted,
    ) -> (Vec<Tensor<1>>, Option<Tensor<4>>) {
        let device = grad.device();
        let o = self.outputs;
        let mut sums = Sums { weight: vec![0.0; if wanted.weights { 9 * self.inputs * o } else { 0 }], rest: vec![0.0; 3 * o] };
        let mut x = vec![0.0; if wanted.input { saved.x.len() } else { 0 }];
        let grads = [values(grad), values(moved)];
        vectorize(Backward { block: self, moving: &Moving::of(w, v), saved, tangent, grads: &grads, sums: &mut sums, x: &mut x });
        let input = wanted.input.then(|| tensor(x, laid_out(self.follows, saved.shape), &device));
        if !wanted.weights {
            return (vec![], input);
        }
        let vector = |values: Vec<f32>| {
            let len = values.len();
            Tensor::from_data(TensorData::new(values, [len]), &device)
        };
        let mut weights = vec![vector(self.outputs_first(&sums.weight))];
        weights.extend(sums.rest.chunks_exact(o).map(|part| vector(part.to_vec())));
        (weights, input)
    }
}

/// Derivatives of the gradients, summed over the images: weight `[3, inputs, 3, outputs]`, then bias, scale and shift.
struct Sums {
    weight: Vec<f32>,
    rest: Vec<f32>,
}

/// The rows of `a` and `b` in turn, `rows` numbers of each at a time.
fn interleaved(a: &[f32], b: &[f32], rows: usize) -> Vec<f32> {
    a.chunks_exact(rows).zip(b.chunks_exact(rows)).flat_map(|(a, b)| a.iter().chain(b)).copied().collect()
}

struct Forward<'a> {
    block: &'a ConvBlock,
    moving: &'a Moving,
    saved: &'a BlockSaved,
    tangent: &'a mut BlockTangent,
    y: &'a mut [f32],
}

impl WithSimd for Forward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { block, moving, saved, tangent, y } = self;
        let ((h, w), o) = (block.sides(saved), block.outputs);
        let [_, inputs, height, width] = saved.shape;
        let moves = !tangent.x.is_empty();
        let direction = block.outputs_last(&moving.v[0]);
        let weights = if moves { interleaved(&direction, &block.outputs_last(&moving.w[0]), 3 * inputs * o) } else { direction };
        let channels = if moves { 2 * inputs } else { inputs };
        let correlation = Correlation { height: h, width: w, inputs: channels, outputs: o, weights: &weights, bias: &moving.v[1] };
        let mut convolution = Convolution::forward(simd, block, correlation);
        let mut z = Buffer::of(h * w * o);
        let (mut mean, mut pooled) = (vec![0.0; o], vec![0.0; o * (h / 2) * (w / 2)]);
        let (features, pixels) = (inputs * height * width, h * w * o);
        for (i, y) in y.chunks_exact_mut(pooled.len()).enumerate() {
            let image = i * features..(i + 1) * features;
            if moves {
                convolution.run(simd, &[&saved.x[image.clone()], &tangent.x[image]], &mut z);
            } else {
                convolution.run(simd, &[&saved.x[image]], &mut z);
            }
            let normal = &saved.normal[i * pixels..(i + 1) * pixels];
            let inverse = &saved.inverse[i * o..(i + 1) * o];
            let slope = &mut tangent.slope[i * o..(i + 1) * o];
            mean.fill(0.0);
            for (z, normal) in z.chunks_exact(o).zip(normal.chunks_exact(o)) {
                let (mean, slope) = (&mut mean[..o], &mut slope[..o]);
                for c in 0..o {
                    mean[c] += z[c];
                    slope[c] += z[c] * normal[c];
                }
            }
            block.means(h * w, &mut mean);
            block.means(h * w, slope);
            for (z, normal) in z.chunks_exact_mut(o).zip(normal.chunks_exact(o)) {
                let (mean, slope, inverse) = (&mean[..o], &slope[..o], &inverse[..o]);
                for c in 0..o {
                    z[c] = inverse[c] * (z[c] - mean[c] - normal[c] * slope[c]);
                }
            }
            pool([normal, &z], [h, w], moving, &mut pooled);
            turned(!block.leads, &pooled, (h / 2) * (w / 2), o, y);
            tangent.normal[i * pixels..(i + 1) * pixels].copy_from_slice(&z);
        }
    }
}

/// `[rows, columns]` to `[columns, rows]`, unless neighbouring blocks agree on how it lies.
#[inline(always)]
fn turned(turn: bool, from: &[f32], rows: usize, columns: usize, to: &mut [f32]) {
    if turn {
        transpose(from, rows, columns, to);
    } else {
        to.copy_from_slice(from);
    }
}

/// The derivative of scale, shift, ReLU and mean of 2×2 squares, where the normalised activations move.
#[inline(always)]
fn pool([normal, moved]: [&[f32]; 2], [h, w]: [usize; 2], moving: &Moving, pooled: &mut [f32]) {
    let ([scale, scaling], [shift, shifting]) = (moving.scale(), moving.shift());
    let o = scale.len();
    for (y, row) in pooled.chunks_exact_mut((w / 2).max(1) * o).enumerate().take(h / 2) {
        for (x, out) in row.chunks_exact_mut(o).enumerate() {
            out.fill(0.0);
            for (dy, dx) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
                let at = ((2 * y + dy) * w + 2 * x + dx) * o;
                let (normal, moved) = (&normal[at..at + o], &moved[at..at + o]);
                let (scale, shift, scaling, shifting) = (&scale[..o], &shift[..o], &scaling[..o], &shifting[..o]);
                for c in 0..o {
                    let change = scale[c] * moved[c] + scaling[c] * normal[c] + shifting[c];
                    out[c] += if scale[c] * normal[c] + shift[c] > 0.0 { 0.25 * change } else { 0.0 };
                }
            }
        }
    }
}

struct Backward<'a> {
    block: &'a ConvBlock,
    moving: &'a Moving,
    saved: &'a BlockSaved,
    tangent: &'a BlockTangent,
    /// The gradient in the output and its derivative.
    grads: &'a [Vec<f32>; 2],
    sums: &'a mut Sums,
    /// Empty when it is not wanted.
    x: &'a mut [f32],
}

impl WithSimd for Backward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { block, moving, saved, tangent, grads, sums, x } = self;
        let ((h, w), o) = (block.sides(saved), block.outputs);
        let [n, inputs, height, width] = saved.shape;
        let weights = interleaved(&block.turned(&moving.v[0]), &block.turned(&moving.w[0]), 3 * o * inputs);
        let bias = vec![0.0; inputs];
        let adjoint = Correlation { height, width, inputs: 2 * o, outputs: inputs, weights: &weights, bias: &bias };
        let mut adjoint = if x.is_empty() { None } else { Some(Convolution::adjoint(simd, block, adjoint)) };
        let mut products = if sums.weight.is_empty() { None } else { Some(WeightSums::new(simd, block, [height, width], [h, w])) };
        let mut norm = Norm::new(o, h * w, (h / 2) * (w / 2));
        let mut out = Buffer::of(height * width * inputs);
        let features = inputs * height * width;
        for i in 0..n {
            norm.run(block, moving, (saved, tangent, i), grads, &mut sums.rest[o..]);
            let image = i * features..(i + 1) * features;
            if let Some(products) = &mut products {
                products.add(simd, &saved.x[image.clone()], &norm.moved, &mut sums.weight);
                if !tangent.x.is_empty() {
                    products.add(simd, &tangent.x[image.clone()], &norm.plain, &mut sums.weight);
                }
                for z in norm.moved.chunks_exact(o) {
                    sums.rest[..o].iter_mut().zip(z).for_each(|(sum, z)| *sum += z);
                }
            }
            if let Some(adjoint) = &mut adjoint {
                adjoint.run(simd, &[&norm.plain, &norm.moved], &mut out);
                turned(!block.follows, &out, height * width, inputs, &mut x[image]);
            }
        }
        if let Some(products) = &mut products {
            products.finish(simd, &mut sums.weight);
        }
    }
}

/// The way back through pool, ReLU and norm, of one image at a time.
struct Norm {
    pooled: [Vec<f32>; 2],
    /// z̄ `[h, w, outputs]`.
    plain: Vec<f32>,
    /// z̄˙.
    moved: Vec<f32>,
    /// ⟨u⟩, ⟨u̇⟩, s and t.
    means: [Vec<f32>; 4],
}

impl Norm {
    fn new(outputs: usize, pixels: usize, pooled: usize) -> Self {
        let zeros = |count: usize| vec![0.0; count * outputs];
        Self {
            pooled: [zeros(pooled), zeros(pooled)],
            plain: zeros(pixels),
            moved: zeros(pixels),
            means: std::array::from_fn(|_| zeros(1)),
        }
    }

    /// Adds the derivatives of the gradients in scale and shift to `rest`.
    #[inline(always)]
    fn run(
        &mut self,
        block: &ConvBlock,
        moving: &Moving,
        (saved, tangent, i): (&BlockSaved, &BlockTangent, usize),
        grads: &[Vec<f32>; 2],
        rest: &mut [f32],
    ) {
        let ((h, w), o) = (block.sides(saved), block.outputs);
        let image = i * h * w * o..(i + 1) * h * w * o;
        let (normal, turning) = (&saved.normal[image.clone()], &tangent.normal[image]);
        let (inverse, slope) = (&saved.inverse[i * o..(i + 1) * o], &tangent.slope[i * o..(i + 1) * o]);
        let ([scale, scaling], [shift, _]) = (moving.scale(), moving.shift());
        let size = (h / 2) * (w / 2) * o;
        for (pooled, grads) in self.pooled.iter_mut().zip(grads) {
            turned(!block.leads, &grads[i * size..(i + 1) * size], o, (h / 2) * (w / 2), pooled);
        }
        self.means.iter_mut().for_each(|mean| mean.fill(0.0));
        let [mean, moved_mean, s, t] = &mut self.means;
        let (scale_sum, shift_sum) = rest.split_at_mut(o);
        for y in 0..h {
            for x in 0..w {
                let at = (y * w + x) * o;
                let (plain, moved) = (&mut self.plain[at..at + o], &mut self.moved[at..at + o]);
                if y / 2 >= h / 2 || x / 2 >= w / 2 {
                    plain.fill(0.0);
                    moved.fill(0.0);
                    continue;
                }
                let pool = (y / 2 * (w / 2) + x / 2) * o;
                let (grad, change) = (&self.pooled[0][pool..pool + o], &self.pooled[1][pool..pool + o]);
                let (normal, turning) = (&normal[at..at + o], &turning[at..at + o]);
                let (scale, shift, scaling) = (&scale[..o], &shift[..o], &scaling[..o]);
                let (mean, moved_mean, s, t) = (&mut mean[..o], &mut moved_mean[..o], &mut s[..o], &mut t[..o]);
                let (scale_sum, shift_sum) = (&mut scale_sum[..o], &mut shift_sum[..o]);
                for c in 0..o {
                    let open = if scale[c] * normal[c] + shift[c] > 0.0 { 0.25 } else { 0.0 };
                    let (p, dp) = (open * grad[c], open * change[c]);
                    let (u, du) = (scale[c] * p, scale[c] * dp + scaling[c] * p);
                    plain[c] = u;
                    moved[c] = du;
                    mean[c] += u;
                    moved_mean[c] += du;
                    s[c] += normal[c] * u;
                    t[c] += turning[c] * u + normal[c] * du;
                    scale_sum[c] += dp * normal[c] + p * turning[c];
                    shift_sum[c] += dp;
                }
            }
        }
        for mean in &mut self.means {
            block.means(h * w, mean);
        }
        let [mean, moved_mean, s, t] = &self.means;
        let pixels = self.plain.chunks_exact_mut(o).zip(self.moved.chunks_exact_mut(o));
        for ((plain, moved), (normal, turning)) in pixels.zip(normal.chunks_exact(o).zip(turning.chunks_exact(o))) {
            let (mean, moved_mean, s, t) = (&mean[..o], &moved_mean[..o], &s[..o], &t[..o]);
            let (inverse, slope) = (&inverse[..o], &slope[..o]);
            for c in 0..o {
                plain[c] = inverse[c] * (plain[c] - mean[c] - normal[c] * s[c]);
                let change = moved[c] - moved_mean[c] - turning[c] * s[c] - normal[c] * t[c];
                moved[c] = inverse[c] * (change - slope[c] * plain[c]);
            }
        }
    }
}

impl ConvBlock {
    /// Sums over `pixels` to means over groups.
    #[inline(always)]
    fn means(&self, pixels: usize, sums: &mut [f32]) {
        let share = 1.0 / pixels as f32;
        sums.iter_mut().for_each(|sum| *sum *= share);
        average(sums, self.group);
    }
}
