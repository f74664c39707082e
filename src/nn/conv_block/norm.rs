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
            let out = &mut self.pooled[y * (w / 2) * o + c..];
            let [above, below] = two_rows(&mut self.z[2 * y * w * o..], w * o, c);
            for x in 0..w / 2 {
                let at = 2 * x * o;
                let square = [get::<S>(above, at), get::<S>(above, at + o), get::<S>(below, at), get::<S>(below, at + o)];
                let square = channel.normalise(square);
                if KEEP {
                    put::<S>(above, at, square[0]);
                    put::<S>(above, at + o, square[1]);
                    put::<S>(below, at, square[2]);
                    put::<S>(below, at + o, square[3]);
                }
                put::<S>(out, x * o, channel.mean(square));
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

impl<'a> Gate<'a> {
    /// The squares of the pool in rows 2y and 2y + 1, for the vector of channels at `c`.
    #[inline(always)]
    fn row<S: Simd>(&self, simd: S, y: usize, c: usize, o: usize) -> GateRow<'a, S> {
        let w = self.sides[1];
        // Slices of one length: the compiler then checks one place for all four.
        let len = ((w / 2).max(1) - 1) * 2 * o + S::F32_LANES;
        let pixel = |dy: usize, dx: usize| &self.normal[((2 * y + dy) * w + dx) * o + c..][..len];
        GateRow {
            simd,
            normal: [pixel(0, 0), pixel(0, 1), pixel(1, 0), pixel(1, 1)],
            grad: &self.grad[y * (w / 2) * o + c..],
            scale: get::<S>(self.scale, c),
            shift: get::<S>(self.shift, c),
            o,
        }
    }
}

/// Two rows of squares, on their way back through pool and ReLU.
struct GateRow<'a, S: Simd> {
    simd: S,
    /// From the first of each of the four pixels of a square on.
    normal: [&'a [f32]; 4],
    grad: &'a [f32],
    scale: S::f32s,
    shift: S::f32s,
    o: usize,
}

impl<S: Simd> GateRow<'_, S> {
    /// The normalised activations of square `x`, and the gradients before the ReLU.
    #[inline(always)]
    fn square(&self, x: usize) -> [[S::f32s; 4]; 2] {
        let grad = self.simd.mul_f32s(self.simd.splat_f32s(0.25), get::<S>(self.grad, x * self.o));
        let at = 2 * x * self.o;
        let [a, b, c, d] = self.normal;
        let normal = [get::<S>(a, at), get::<S>(b, at), get::<S>(c, at), get::<S>(d, at)];
        let [a, b, c, d] = normal;
        [normal, [self.passed(a, grad), self.passed(b, grad), self.passed(c, grad), self.passed(d, grad)]]
    }

    #[inline(always)]
    fn passed(&self, normal: S::f32s, grad: S::f32s) -> S::f32s {
        let (simd, zero) = (self.simd, self.simd.splat_f32s(0.0));
        let open = simd.greater_than_f32s(simd.add_f32s(simd.mul_f32s(self.scale, normal), self.shift), zero);
        simd.select_f32s(open, grad, zero)
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
        let [h, w] = self.gate.sides;
        for c in channels.step_by(S::F32_LANES) {
            let (mut means, mut slopes) = ([simd.splat_f32s(0.0); 4], [simd.splat_f32s(0.0); 4]);
            for y in 0..h / 2 {
                let row = self.gate.row(simd, y, c, o);
                for x in 0..w / 2 {
                    let [normal, passed] = row.square(x);
                    for k in 0..4 {
                        means[k] = simd.add_f32s(means[k], passed[k]);
                        slopes[k] = simd.add_f32s(slopes[k], simd.mul_f32s(passed[k], normal[k]));
                    }
                }
            }
            put::<S>(self.mean, c, total(simd, means));
            put::<S>(self.slope, c, total(simd, slopes));
        }
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
        for c in channels.step_by(S::F32_LANES) {
            let channel = CentredChannel {
                simd,
                inverse: get::<S>(self.inverse, c),
                scale: get::<S>(self.gate.scale, c),
                mean: get::<S>(self.mean, c),
                slope: get::<S>(self.slope, c),
            };
            let zero = simd.splat_f32s(0.0);
            let mut sums = [zero; 4];
            for y in 0..h / 2 {
                let row = self.gate.row(simd, y, c, o);
                let [above, below] = two_rows(&mut self.out[2 * y * w * o..], w * o, c);
                for x in 0..w / 2 {
                    let [normal, passed] = row.square(x);
                    let mut values = [zero; 4];
                    for k in 0..4 {
                        values[k] = channel.centred(normal[k], passed[k]);
                        sums[k] = simd.add_f32s(sums[k], values[k]);
                    }
                    let at = 2 * x * o;
                    put::<S>(above, at, values[0]);
                    put::<S>(above, at + o, values[1]);
                    put::<S>(below, at, values[2]);
                    put::<S>(below, at + o, values[3]);
                }
            }
            for (k, (y, x)) in border(h, w).enumerate() {
                let at = (y * w + x) * o + c;
                let value = channel.centred(get::<S>(self.gate.normal, at), zero);
                put::<S>(self.out, at, value);
                sums[k % 4] = simd.add_f32s(sums[k % 4], value);
            }
            put::<S>(self.sum, c, total(simd, sums));
        }
    }
}

struct CentredChannel<S: Simd> {
    simd: S,
    inverse: S::f32s,
    scale: S::f32s,
    mean: S::f32s,
    slope: S::f32s,
}

impl<S: Simd> CentredChannel<S> {
    #[inline(always)]
    fn centred(&self, normal: S::f32s, passed: S::f32s) -> S::f32s {
        let simd = self.simd;
        let centred = simd.sub_f32s(simd.mul_f32s(self.scale, passed), self.mean);
        simd.mul_f32s(self.inverse, simd.sub_f32s(centred, simd.mul_f32s(normal, self.slope)))
    }
}

/// The first two rows of `row` numbers, each from number `from` on.
#[inline(always)]
fn two_rows(rows: &mut [f32], row: usize, from: usize) -> [&mut [f32]; 2] {
    let (above, below) = rows[..2 * row].split_at_mut(row);
    [&mut above[from..], &mut below[from..]]
}

/// The sum of four sums that were kept apart so that none waits for itself.
#[inline(always)]
fn total<S: Simd>(simd: S, sums: [S::f32s; 4]) -> S::f32s {
    simd.add_f32s(simd.add_f32s(sums[0], sums[1]), simd.add_f32s(sums[2], sums[3]))
}
