//! The norm of a block, after the convolution: moments of every group, scale, shift, ReLU and pool, and the way back.

use super::lanes::{Each, each, get, put};
use super::{BlockSaved, ConvBlock, transpose};
use pulp::Simd;
use std::ops::Range;

impl ConvBlock {
    /// The gradient in the convolution's output `[h, w, outputs]` from the one in the pooled output of image `i`; adds to the
    /// sums of the norm's parameters, and leaves that of the convolution's bias.
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
        let grad = if self.leads {
            grad
        } else {
            sums.pooled.resize(grad.len(), 0.0);
            transpose(grad, o, (h / 2) * (w / 2), &mut sums.pooled);
            &sums.pooled
        };
        let gate = Gate { normal, sides: [h, w], scale, shift, grad };
        each(simd, o, GateSums { gate, mean: &mut sums.mean, slope: &mut sums.slope });
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
        each(simd, o, Centred { gate, inverse, mean: &sums.group_mean, slope: &sums.group_slope, out, sum: &mut sums.bias });
    }
}

/// Sums of [`ConvBlock::through_norm`]: of the current image, and over all of them.
pub(super) struct NormSums {
    pooled: Vec<f32>,
    pub(super) mean: Vec<f32>,
    pub(super) slope: Vec<f32>,
    pub(super) bias: Vec<f32>,
    group_mean: Vec<f32>,
    group_slope: Vec<f32>,
    pub(super) scale: Vec<f32>,
    pub(super) shift: Vec<f32>,
}

impl NormSums {
    pub(super) fn new(outputs: usize) -> Self {
        let zeros = || vec![0.0; outputs];
        let (group_mean, group_slope) = (vec![], vec![]);
        Self { pooled: vec![], mean: zeros(), slope: zeros(), bias: zeros(), group_mean, group_slope, scale: zeros(), shift: zeros() }
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
struct Sums<'a> {
    z: &'a [f32],
    into: &'a mut [f32],
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
    total(simd, sums)
}

/// (z − mean) · inverse, then scale, shift, ReLU and the mean of 2×2 squares: `[h, w, channels]` to `[h / 2, w / 2, channels]`.
pub(super) struct Pooled<'a> {
    pub(super) z: &'a mut [f32],
    pub(super) sides: [usize; 2],
    pub(super) mean: &'a [f32],
    pub(super) inverse: &'a [f32],
    pub(super) scale: &'a [f32],
    pub(super) shift: &'a [f32],
    /// Whether the normalised activations, which the backward pass needs, take the place of z.
    pub(super) keep: bool,
    pub(super) pooled: &'a mut [f32],
}

impl Each for Pooled<'_> {
    #[inline(always)]
    fn run<S: Simd>(&mut self, simd: S, channels: Range<usize>, o: usize) {
        for c in channels.step_by(S::F32_LANES) {
            let channel = Channel {
                simd,
                mean: get::<S>(self.mean, c),
                inverse: get::<S>(self.inverse, c),
                scale: get::<S>(self.scale, c),
                shift: get::<S>(self.shift, c),
            };
            if self.keep {
                self.pool::<S, true>(&channel, c, o);
            } else {
                self.pool::<S, false>(&channel, c, o);
            }
        }
    }
}

impl Pooled<'_> {
    /// The vector of channels at `c`.
    #[inline(always)]
    fn pool<S: Simd, const KEEP: bool>(&mut self, channel: &Channel<S>, c: usize, o: usize) {
        let [h, w] = self.sides;
        for y in 0..h / 2 {
            let (above, below) = self.z[2 * y * w * o..][..2 * w * o].split_at_mut(w * o);
            let out = self.pooled[y * (w / 2) * o..][..(w / 2) * o].chunks_exact_mut(o);
            for ((above, below), out) in above.chunks_exact_mut(2 * o).zip(below.chunks_exact_mut(2 * o)).zip(out) {
                let square = [get::<S>(above, c), get::<S>(above, o + c), get::<S>(below, c), get::<S>(below, o + c)];
                let square = channel.normalise(square);
                if KEEP {
                    put::<S>(above, c, square[0]);
                    put::<S>(above, o + c, square[1]);
                    put::<S>(below, c, square[2]);
                    put::<S>(below, o + c, square[3]);
                }
                put::<S>(out, c, channel.mean(square));
            }
        }
        if KEEP {
            for (y, x) in border(h, w) {
                let at = (y * w + x) * o + c;
                let [value, ..] = channel.normalise([get::<S>(self.z, at); 4]);
                put::<S>(self.z, at, value);
            }
        }
    }
}

/// A vector of channels on its way through norm, ReLU and pool.
struct Channel<S: Simd> {
    simd: S,
    mean: S::f32s,
    inverse: S::f32s,
    scale: S::f32s,
    shift: S::f32s,
}

// Not closures, here and below: one that the compiler does not inline would be compiled without vector instructions.
impl<S: Simd> Channel<S> {
    #[inline(always)]
    fn normalise(&self, square: [S::f32s; 4]) -> [S::f32s; 4] {
        let [a, b, c, d] = square;
        [self.normal(a), self.normal(b), self.normal(c), self.normal(d)]
    }

    #[inline(always)]
    fn normal(&self, value: S::f32s) -> S::f32s {
        self.simd.mul_f32s(self.simd.sub_f32s(value, self.mean), self.inverse)
    }

    #[inline(always)]
    fn mean(&self, [a, b, c, d]: [S::f32s; 4]) -> S::f32s {
        let simd = self.simd;
        let above = simd.add_f32s(self.relu(a), self.relu(b));
        let below = simd.add_f32s(self.relu(c), self.relu(d));
        simd.mul_f32s(simd.splat_f32s(0.25), simd.add_f32s(above, below))
    }

    #[inline(always)]
    fn relu(&self, normal: S::f32s) -> S::f32s {
        let scaled = self.simd.mul_f32s(self.scale, normal);
        self.simd.max_f32s(self.simd.add_f32s(scaled, self.shift), self.simd.splat_f32s(0.0))
    }
}

/// The pixels that the pool leaves out: of an odd height the last row, of an odd width the last column.
#[inline(always)]
fn border(h: usize, w: usize) -> impl Iterator<Item = (usize, usize)> {
    let column = (0..if w.is_multiple_of(2) { 0 } else { h / 2 * 2 }).map(move |y| (y, w - 1));
    column.chain((h / 2 * 2..h).flat_map(move |y| (0..w).map(move |x| (y, x))))
}

/// Where the gradient behind the pool passes the ReLU: a quarter of it goes to each pixel that is open.
#[derive(Clone, Copy)]
struct Gate<'a> {
    normal: &'a [f32],
    sides: [usize; 2],
    scale: &'a [f32],
    shift: &'a [f32],
    /// `[h / 2, w / 2, channels]`.
    grad: &'a [f32],
}

/// What is done with the gradient before the ReLU.
trait Passed<S: Simd> {
    /// Takes the gradient and the normalised activation at a place; `k` says which pixel of a square it is.
    fn take(&mut self, simd: S, k: usize, at: usize, normal: S::f32s, passed: S::f32s);
}

impl Gate<'_> {
    /// Goes through the squares of the pool, for the vector of channels at `c`. What is summed is moved in and out: lent, it would be written to
    /// memory at every pixel.
    #[inline(always)]
    fn each<S: Simd, P: Passed<S>>(&self, simd: S, c: usize, o: usize, mut to: P) -> P {
        let [h, w] = self.sides;
        let (quarter, zero) = (simd.splat_f32s(0.25), simd.splat_f32s(0.0));
        let (scale, shift) = (get::<S>(self.scale, c), get::<S>(self.shift, c));
        for y in 0..h / 2 {
            let grads = &self.grad[y * (w / 2) * o..][..(w / 2) * o];
            for x in 0..w / 2 {
                let grad = simd.mul_f32s(quarter, get::<S>(grads, x * o + c));
                for (k, (dy, dx)) in [(0, 0), (0, 1), (1, 0), (1, 1)].into_iter().enumerate() {
                    let at = ((2 * y + dy) * w + 2 * x + dx) * o + c;
                    let normal = get::<S>(self.normal, at);
                    let open = simd.greater_than_f32s(simd.add_f32s(simd.mul_f32s(scale, normal), shift), zero);
                    to.take(simd, k, at, normal, simd.select_f32s(open, grad, zero));
                }
            }
        }
        to
    }
}

/// The sums over the pixels of the gradient before the ReLU, and of its product with the normalised activations.
struct GateSums<'a> {
    gate: Gate<'a>,
    mean: &'a mut [f32],
    slope: &'a mut [f32],
}

impl Each for GateSums<'_> {
    #[inline(always)]
    fn run<S: Simd>(&mut self, simd: S, channels: Range<usize>, o: usize) {
        for c in channels.step_by(S::F32_LANES) {
            let zeros = [simd.splat_f32s(0.0); 4];
            let sums = self.gate.each(simd, c, o, ChannelSums::<S> { mean: zeros, slope: zeros });
            put::<S>(self.mean, c, total(simd, sums.mean));
            put::<S>(self.slope, c, total(simd, sums.slope));
        }
    }
}

struct ChannelSums<S: Simd> {
    mean: [S::f32s; 4],
    slope: [S::f32s; 4],
}

impl<S: Simd> Passed<S> for ChannelSums<S> {
    #[inline(always)]
    fn take(&mut self, simd: S, k: usize, _: usize, normal: S::f32s, passed: S::f32s) {
        self.mean[k] = simd.add_f32s(self.mean[k], passed);
        self.slope[k] = simd.add_f32s(self.slope[k], simd.mul_f32s(passed, normal));
    }
}

/// inverse · (scale · g − mean − normal · slope), where g is what passes the gate, and its sum over the pixels.
struct Centred<'a> {
    gate: Gate<'a>,
    inverse: &'a [f32],
    mean: &'a [f32],
    slope: &'a [f32],
    out: &'a mut [f32],
    sum: &'a mut [f32],
}

impl Each for Centred<'_> {
    #[inline(always)]
    fn run<S: Simd>(&mut self, simd: S, channels: Range<usize>, o: usize) {
        let [h, w] = self.gate.sides;
        let zero = simd.splat_f32s(0.0);
        for c in channels.step_by(S::F32_LANES) {
            let channel = CentredChannel::<S> {
                inverse: get::<S>(self.inverse, c),
                scale: get::<S>(self.gate.scale, c),
                mean: get::<S>(self.mean, c),
                slope: get::<S>(self.slope, c),
                out: self.out,
                sums: [zero; 4],
            };
            let mut channel = self.gate.each(simd, c, o, channel);
            for (k, (y, x)) in border(h, w).enumerate() {
                let at = (y * w + x) * o + c;
                channel.take(simd, k % 4, at, get::<S>(self.gate.normal, at), zero);
            }
            put::<S>(self.sum, c, total(simd, channel.sums));
        }
    }
}

struct CentredChannel<'a, S: Simd> {
    inverse: S::f32s,
    scale: S::f32s,
    mean: S::f32s,
    slope: S::f32s,
    out: &'a mut [f32],
    sums: [S::f32s; 4],
}

impl<S: Simd> Passed<S> for CentredChannel<'_, S> {
    #[inline(always)]
    fn take(&mut self, simd: S, k: usize, at: usize, normal: S::f32s, passed: S::f32s) {
        let centred = simd.sub_f32s(simd.mul_f32s(self.scale, passed), self.mean);
        let value = simd.mul_f32s(self.inverse, simd.sub_f32s(centred, simd.mul_f32s(normal, self.slope)));
        put::<S>(self.out, at, value);
        self.sums[k] = simd.add_f32s(self.sums[k], value);
    }
}

/// The sum of four sums that were kept apart so that none waits for itself.
#[inline(always)]
fn total<S: Simd>(simd: S, sums: [S::f32s; 4]) -> S::f32s {
    simd.add_f32s(simd.add_f32s(sums[0], sums[1]), simd.add_f32s(sums[2], sums[3]))
}
