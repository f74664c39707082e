//! The norm of a block, after the convolution: moments of every group, scale, shift, ReLU and pool, and the way back.

use super::lanes::{Each, each, get, put};
use super::{BlockSaved, ConvBlock, transpose};
use pulp::Simd;
use std::ops::Range;

impl ConvBlock {
    /// The gradient in the convolution's output `[h, w, outputs]` from the one in the pooled output of image `i`; adds to the
    /// sums of the norm's parameters.
    #[inline(always)]
    pub(super) fn through_norm<S: Simd>(
        &self,
        simd: S,
        [scale, shift]: [&[f32]; 2],
        (saved, i): (&BlockSaved, usize),
        grad: &[f32],
        out: &mut [f32],
        sums: &mut NormSums,
    ) {
        let (h, w) = self.sides(saved);
        let o = self.outputs;
        let normal = &saved.normal[i * h * w * o..(i + 1) * h * w * o];
        let inverse = &saved.inverse[i * o..(i + 1) * o];
        sums.pooled.resize(grad.len(), 0.0);
        transpose(grad, o, (h / 2) * (w / 2), &mut sums.pooled);
        if h % 2 + w % 2 > 0 {
            out.fill(0.0); // the pool leaves a border
        }
        let gate = Gate { normal, sides: [h, w], scale, shift, grad: &sums.pooled, out, mean: &mut sums.mean, slope: &mut sums.slope };
        each(simd, o, gate);
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
        each(simd, o, Centred { normal, inverse, scale, mean: &sums.group_mean, slope: &sums.group_slope, out });
    }
}

/// Sums of [`ConvBlock::through_norm`]: of the current image, and over all of them.
pub(super) struct NormSums {
    pooled: Vec<f32>,
    pub(super) mean: Vec<f32>,
    pub(super) slope: Vec<f32>,
    group_mean: Vec<f32>,
    group_slope: Vec<f32>,
    pub(super) scale: Vec<f32>,
    pub(super) shift: Vec<f32>,
}

impl NormSums {
    pub(super) fn new(outputs: usize) -> Self {
        let zeros = || vec![0.0; outputs];
        let (group_mean, group_slope) = (vec![], vec![]);
        Self { pooled: vec![], mean: zeros(), slope: zeros(), group_mean, group_slope, scale: zeros(), shift: zeros() }
    }
}

/// Mean and 1 / √(σ² + ε) of every channel of `z` `[pixels, channels]`, over groups of `group` channels.
#[inline(always)]
pub(super) fn moments<S: Simd>(simd: S, z: &[f32], epsilon: f32, group: usize, mean: &mut [f32], inverse: &mut [f32]) {
    let o = mean.len();
    let share = 1.0 / (z.len() / o) as f32;
    each(simd, o, Sums { z, into: mean });
    mean.iter_mut().for_each(|sum| *sum *= share);
    average(mean, group);
    each(simd, o, Squares { z, mean, into: inverse });
    average(inverse, group);
    inverse.iter_mut().for_each(|sum| *sum = 1.0 / (*sum * share + epsilon).sqrt());
}

/// Puts the mean of every group in the place of its members.
#[inline(always)]
pub(super) fn average(values: &mut [f32], group: usize) {
    if group > 1 {
        for members in values.chunks_exact_mut(group) {
            let mean = members.iter().sum::<f32>() / group as f32;
            members.fill(mean);
        }
    }
}

/// The sum of every channel over the pixels.
pub(super) struct Sums<'a> {
    pub(super) z: &'a [f32],
    pub(super) into: &'a mut [f32],
}

impl Each for Sums<'_> {
    #[inline(always)]
    fn run<S: Simd>(&mut self, simd: S, channels: Range<usize>, o: usize) {
        for c in channels.step_by(S::F32_LANES) {
            let total = sum_of(simd, self.z, o, |pixel| get::<S>(pixel, c));
            put::<S>(self.into, c, total);
        }
    }
}

/// The sum of (z − mean)² of every channel over the pixels.
struct Squares<'a> {
    z: &'a [f32],
    mean: &'a [f32],
    into: &'a mut [f32],
}

impl Each for Squares<'_> {
    #[inline(always)]
    fn run<S: Simd>(&mut self, simd: S, channels: Range<usize>, o: usize) {
        for c in channels.step_by(S::F32_LANES) {
            let mean = get::<S>(self.mean, c);
            let total = sum_of(simd, self.z, o, |pixel| {
                let difference = simd.sub_f32s(get::<S>(pixel, c), mean);
                simd.mul_f32s(difference, difference)
            });
            put::<S>(self.into, c, total);
        }
    }
}

/// Σ `of`(pixel) over the pixels of `z`, four sums at a time: one alone would wait for itself.
#[inline(always)]
fn sum_of<S: Simd>(simd: S, z: &[f32], o: usize, of: impl Fn(&[f32]) -> S::f32s) -> S::f32s {
    let mut sums = [simd.splat_f32s(0.0); 4];
    let quads = z.chunks_exact(4 * o);
    for pixel in quads.remainder().chunks_exact(o) {
        sums[0] = simd.add_f32s(sums[0], of(pixel));
    }
    for quad in quads {
        for (k, sum) in sums.iter_mut().enumerate() {
            *sum = simd.add_f32s(*sum, of(&quad[k * o..]));
        }
    }
    simd.add_f32s(simd.add_f32s(sums[0], sums[1]), simd.add_f32s(sums[2], sums[3]))
}

/// (z − mean) · inverse, in place.
pub(super) struct Normalised<'a> {
    pub(super) z: &'a mut [f32],
    pub(super) mean: &'a [f32],
    pub(super) inverse: &'a [f32],
}

impl Each for Normalised<'_> {
    #[inline(always)]
    fn run<S: Simd>(&mut self, simd: S, channels: Range<usize>, o: usize) {
        for c in channels.step_by(S::F32_LANES) {
            let (mean, inverse) = (get::<S>(self.mean, c), get::<S>(self.inverse, c));
            for pixel in self.z.chunks_exact_mut(o) {
                let value = simd.mul_f32s(simd.sub_f32s(get::<S>(pixel, c), mean), inverse);
                put::<S>(pixel, c, value);
            }
        }
    }
}

/// Scale, shift, ReLU and the mean of 2×2 squares: `[h, w, channels]` to `[h / 2, w / 2, channels]`.
pub(super) struct Pooled<'a> {
    pub(super) normal: &'a [f32],
    pub(super) sides: [usize; 2],
    pub(super) scale: &'a [f32],
    pub(super) shift: &'a [f32],
    pub(super) pooled: &'a mut [f32],
}

impl Each for Pooled<'_> {
    #[inline(always)]
    fn run<S: Simd>(&mut self, simd: S, channels: Range<usize>, o: usize) {
        let [h, w] = self.sides;
        let (quarter, zero) = (simd.splat_f32s(0.25), simd.splat_f32s(0.0));
        for c in channels.step_by(S::F32_LANES) {
            let (scale, shift) = (get::<S>(self.scale, c), get::<S>(self.shift, c));
            for y in 0..h / 2 {
                let rows: [&[f32]; 2] = std::array::from_fn(|dy| &self.normal[(2 * y + dy) * w * o..][..w * o]);
                let out = &mut self.pooled[y * (w / 2) * o..][..(w / 2) * o];
                for x in 0..w / 2 {
                    let relu = |row: &[f32], dx: usize| {
                        let value = simd.add_f32s(simd.mul_f32s(scale, get::<S>(row, (2 * x + dx) * o + c)), shift);
                        simd.max_f32s(value, zero)
                    };
                    let above = simd.add_f32s(relu(rows[0], 0), relu(rows[0], 1));
                    let below = simd.add_f32s(relu(rows[1], 0), relu(rows[1], 1));
                    put::<S>(out, x * o + c, simd.mul_f32s(quarter, simd.add_f32s(above, below)));
                }
            }
        }
    }
}

/// The gradient behind the pool into that before the ReLU, with its sum and its sum against the normalised activations.
struct Gate<'a> {
    normal: &'a [f32],
    sides: [usize; 2],
    scale: &'a [f32],
    shift: &'a [f32],
    grad: &'a [f32],
    out: &'a mut [f32],
    mean: &'a mut [f32],
    slope: &'a mut [f32],
}

impl Each for Gate<'_> {
    #[inline(always)]
    fn run<S: Simd>(&mut self, simd: S, channels: Range<usize>, o: usize) {
        let [h, w] = self.sides;
        let (quarter, zero) = (simd.splat_f32s(0.25), simd.splat_f32s(0.0));
        for c in channels.step_by(S::F32_LANES) {
            let (scale, shift) = (get::<S>(self.scale, c), get::<S>(self.shift, c));
            let (mut means, mut slopes) = ([zero; 4], [zero; 4]);
            for y in 0..h / 2 {
                let grads = &self.grad[y * (w / 2) * o..][..(w / 2) * o];
                for x in 0..w / 2 {
                    let grad = simd.mul_f32s(quarter, get::<S>(grads, x * o + c));
                    for (k, (dy, dx)) in [(0, 0), (0, 1), (1, 0), (1, 1)].into_iter().enumerate() {
                        let at = ((2 * y + dy) * w + 2 * x + dx) * o + c;
                        let normal = get::<S>(self.normal, at);
                        let open = simd.greater_than_f32s(simd.add_f32s(simd.mul_f32s(scale, normal), shift), zero);
                        let passed = simd.select_f32s(open, grad, zero);
                        put::<S>(self.out, at, passed);
                        means[k] = simd.add_f32s(means[k], passed);
                        slopes[k] = simd.add_f32s(slopes[k], simd.mul_f32s(passed, normal));
                    }
                }
            }
            let total = |sums: [S::f32s; 4]| simd.add_f32s(simd.add_f32s(sums[0], sums[1]), simd.add_f32s(sums[2], sums[3]));
            put::<S>(self.mean, c, total(means));
            put::<S>(self.slope, c, total(slopes));
        }
    }
}

/// inverse · (scale · out − mean − normal · slope), in place.
struct Centred<'a> {
    normal: &'a [f32],
    inverse: &'a [f32],
    scale: &'a [f32],
    mean: &'a [f32],
    slope: &'a [f32],
    out: &'a mut [f32],
}

impl Each for Centred<'_> {
    #[inline(always)]
    fn run<S: Simd>(&mut self, simd: S, channels: Range<usize>, o: usize) {
        for c in channels.step_by(S::F32_LANES) {
            let (inverse, scale) = (get::<S>(self.inverse, c), get::<S>(self.scale, c));
            let (mean, slope) = (get::<S>(self.mean, c), get::<S>(self.slope, c));
            for (normal, out) in self.normal.chunks_exact(o).zip(self.out.chunks_exact_mut(o)) {
                let centred = simd.sub_f32s(simd.mul_f32s(scale, get::<S>(out, c)), mean);
                let value = simd.sub_f32s(centred, simd.mul_f32s(get::<S>(normal, c), slope));
                put::<S>(out, c, simd.mul_f32s(inverse, value));
            }
        }
    }
}
