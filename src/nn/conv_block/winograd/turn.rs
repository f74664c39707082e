//! Images, gradients and weights turned into factors of the products, and the products back, channel by channel: rows of Bᵀ d B, A ȳ Aᵀ, G g Gᵀ,
//! Aᵀ m A and Gᵀ p G.

use super::Winograd;
use crate::nn::conv_block::lanes::{Each, each, get, put};
use pulp::{Simd, WithSimd};
use std::ops::Range;

/// Work on all channels as a function of its own.
pub(super) struct All<E>(pub(super) usize, pub(super) E);

impl<E: Each> WithSimd for All<E> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        each(simd, self.0, self.1);
    }
}

/// G applied to three vectors.
#[inline(always)]
fn to_four<S: Simd>(simd: S, [a, b, c]: [S::f32s; 3]) -> [S::f32s; 4] {
    let half = simd.splat_f32s(0.5);
    let (outer, inner) = (simd.mul_f32s(half, simd.add_f32s(a, c)), simd.mul_f32s(half, b));
    [a, simd.add_f32s(outer, inner), simd.sub_f32s(outer, inner), c]
}

/// Gᵀ applied to four vectors.
#[inline(always)]
fn to_three<S: Simd>(simd: S, [a, b, c, d]: [S::f32s; 4]) -> [S::f32s; 3] {
    let half = simd.splat_f32s(0.5);
    let (sum, difference) = (simd.mul_f32s(half, simd.add_f32s(b, c)), simd.mul_f32s(half, simd.sub_f32s(b, c)));
    [simd.add_f32s(a, sum), difference, simd.add_f32s(sum, d)]
}

/// See [`Winograd::pack`].
pub(super) struct Pack<'a> {
    pub(super) of: &'a Winograd,
    pub(super) weights: &'a [f32],
    pub(super) products: &'a mut [f32],
}

impl Each for Pack<'_> {
    #[inline(always)]
    fn run<S: Simd>(&mut self, simd: S, channels: Range<usize>, count: usize) {
        let Winograd { inputs, lanes, .. } = *self.of;
        let plane = self.of.plane();
        for i in 0..inputs {
            for o in channels.clone().step_by(S::F32_LANES) {
                let mut columns = [[simd.splat_f32s(0.0); 4]; 3];
                for (dx, column) in columns.iter_mut().enumerate() {
                    let at = (3 * i + dx) * count + o;
                    let step = 3 * inputs * count;
                    let taps = [get::<S>(self.weights, at), get::<S>(self.weights, at + step), get::<S>(self.weights, at + 2 * step)];
                    *column = to_four(simd, taps);
                }
                let at = (o / lanes * inputs + i) * lanes + o % lanes;
                let [a, b, c] = columns;
                for (k, taps) in [[a[0], b[0], c[0]], [a[1], b[1], c[1]], [a[2], b[2], c[2]], [a[3], b[3], c[3]]].into_iter().enumerate() {
                    let row = to_four(simd, taps);
                    for (l, value) in row.into_iter().enumerate() {
                        put::<S>(self.products, (4 * k + l) * plane + at, value);
                    }
                }
            }
        }
    }
}

/// See [`Winograd::unpack`].
pub(super) struct Unpack<'a> {
    pub(super) of: &'a Winograd,
    pub(super) products: &'a [f32],
    pub(super) weights: &'a mut [f32],
}

impl Each for Unpack<'_> {
    #[inline(always)]
    fn run<S: Simd>(&mut self, simd: S, channels: Range<usize>, count: usize) {
        let Winograd { inputs, lanes, .. } = *self.of;
        let plane = self.of.plane();
        for i in 0..inputs {
            for o in channels.clone().step_by(S::F32_LANES) {
                let at = (o / lanes * inputs + i) * lanes + o % lanes;
                let mut columns = [[simd.splat_f32s(0.0); 3]; 4];
                for (l, column) in columns.iter_mut().enumerate() {
                    let [a, b] = [get::<S>(self.products, l * plane + at), get::<S>(self.products, (4 + l) * plane + at)];
                    let [c, d] = [get::<S>(self.products, (8 + l) * plane + at), get::<S>(self.products, (12 + l) * plane + at)];
                    *column = to_three(simd, [a, b, c, d]);
                }
                let [a, b, c, d] = columns;
                for (dy, taps) in [[a[0], b[0], c[0], d[0]], [a[1], b[1], c[1], d[1]], [a[2], b[2], c[2], d[2]]].into_iter().enumerate() {
                    let row = to_three(simd, taps);
                    for (dx, value) in row.into_iter().enumerate() {
                        let at = ((dy * inputs + i) * 3 + dx) * count + o;
                        put::<S>(self.weights, at, simd.add_f32s(get::<S>(self.weights, at), value));
                    }
                }
            }
        }
    }
}

/// Row `K` of Bᵀ d B for every square, into channels `first..` of `out` `[4][squares, inputs]`.
pub(super) struct Spread<'a, const K: usize> {
    pub(super) of: &'a Winograd,
    pub(super) image: &'a [f32],
    pub(super) zeros: &'a [f32],
    pub(super) out: &'a mut [f32],
    pub(super) first: usize,
}

impl<const K: usize> Each for Spread<'_, K> {
    #[inline(always)]
    fn run<S: Simd>(&mut self, simd: S, channels: Range<usize>, count: usize) {
        let Winograd { height, width, inputs, .. } = *self.of;
        let (columns, [step, _], zero) = (self.of.columns(), self.of.steps(), simd.splat_f32s(0.0));
        for c in channels.step_by(S::F32_LANES) {
            for y in 0..self.of.rows() {
                // Row K of Bᵀ: a line of pixels and, added or taken away, another.
                let mut lines = [self.zeros; 2];
                for (line, k) in lines.iter_mut().zip([[0, 2], [1, 2], [2, 1], [1, 3]][K]) {
                    let at = 2 * y + k;
                    if at > 0 && at <= height {
                        *line = &self.image[(at - 1) * width * count..][..width * count];
                    }
                }
                let row = y * columns * inputs + self.first + c;
                let mut before = zero;
                let mut here = column::<S, K>(simd, lines, c);
                for x in 0..width / 2 {
                    let at = (2 * x + 1) * count + c;
                    let next = column::<S, K>(simd, lines, at);
                    let last = if 2 * x + 2 < width { column::<S, K>(simd, lines, at + count) } else { zero };
                    self.put(simd, step, row + x * inputs, [before, here, next, last]);
                    (before, here) = (next, last);
                }
                if width / 2 < columns {
                    self.put(simd, step, row + (columns - 1) * inputs, [before, here, zero, zero]);
                }
            }
        }
    }
}

impl<const K: usize> Spread<'_, K> {
    /// The columns of B.
    #[inline(always)]
    fn put<S: Simd>(&mut self, simd: S, step: usize, at: usize, [a, b, c, d]: [S::f32s; 4]) {
        put::<S>(self.out, at, simd.sub_f32s(a, c));
        put::<S>(self.out, step + at, simd.add_f32s(b, c));
        put::<S>(self.out, 2 * step + at, simd.sub_f32s(c, b));
        put::<S>(self.out, 3 * step + at, simd.sub_f32s(b, d));
    }
}

/// The two lines at a place, as row `K` of Bᵀ takes them.
#[inline(always)]
fn column<S: Simd, const K: usize>(simd: S, [one, other]: [&[f32]; 2], at: usize) -> S::f32s {
    let (one, other) = (get::<S>(one, at), get::<S>(other, at));
    if K == 1 { simd.add_f32s(one, other) } else { simd.sub_f32s(one, other) }
}

/// What row `K` of the products gives to Aᵀ m A, and the bias.
pub(super) struct Gather<'a, const K: usize> {
    pub(super) of: &'a Winograd,
    pub(super) products: &'a [f32],
    pub(super) bias: &'a [f32],
    pub(super) out: &'a mut [f32],
}

impl<const K: usize> Each for Gather<'_, K> {
    #[inline(always)]
    fn run<S: Simd>(&mut self, simd: S, channels: Range<usize>, count: usize) {
        let Winograd { height, width, .. } = *self.of;
        let (columns, stride, [_, step]) = (self.of.columns(), self.of.padded(), self.of.steps());
        for c in channels.step_by(S::F32_LANES) {
            let bias = get::<S>(self.bias, c);
            for y in 0..self.of.rows() {
                let (above, below) = self.out[2 * y * width * count..].split_at_mut(width * count);
                let both = 2 * y + 1 < height;
                for x in 0..columns {
                    let at = (y * columns + x) * stride + c;
                    let [p, q] = [get::<S>(self.products, at), get::<S>(self.products, step + at)];
                    let [r, s] = [get::<S>(self.products, 2 * step + at), get::<S>(self.products, 3 * step + at)];
                    let left = simd.add_f32s(simd.add_f32s(p, q), r);
                    let right = simd.sub_f32s(simd.sub_f32s(q, r), s);
                    let to = 2 * x * count + c;
                    add_above::<S, K>(simd, above, to, left, bias);
                    if both {
                        add_below::<S, K>(simd, below, to, left, bias);
                    }
                    if 2 * x + 1 < width {
                        add_above::<S, K>(simd, above, to + count, right, bias);
                        if both {
                            add_below::<S, K>(simd, below, to + count, right, bias);
                        }
                    }
                }
            }
        }
    }
}

/// The upper line of a square: (1, 1, 1, 0) of Aᵀ. The first row that counts brings the bias.
#[inline(always)]
fn add_above<S: Simd, const K: usize>(simd: S, line: &mut [f32], at: usize, value: S::f32s, bias: S::f32s) {
    match K {
        0 => put::<S>(line, at, simd.add_f32s(bias, value)),
        1 | 2 => put::<S>(line, at, simd.add_f32s(get::<S>(line, at), value)),
        _ => {}
    }
}

/// The lower line: (0, 1, −1, −1).
#[inline(always)]
fn add_below<S: Simd, const K: usize>(simd: S, line: &mut [f32], at: usize, value: S::f32s, bias: S::f32s) {
    match K {
        0 => {}
        1 => put::<S>(line, at, simd.add_f32s(bias, value)),
        _ => put::<S>(line, at, simd.sub_f32s(get::<S>(line, at), value)),
    }
}

/// Row `K` of A ȳ Aᵀ for every square, into `out` `[4][squares, outputs]`.
pub(super) struct SpreadGradient<'a, const K: usize> {
    pub(super) of: &'a Winograd,
    pub(super) grad: &'a [f32],
    pub(super) out: &'a mut [f32],
}

impl<const K: usize> Each for SpreadGradient<'_, K> {
    #[inline(always)]
    fn run<S: Simd>(&mut self, simd: S, channels: Range<usize>, count: usize) {
        let Winograd { height, width, .. } = *self.of;
        let (columns, stride, [_, step], zero) = (self.of.columns(), self.of.padded(), self.of.steps(), simd.splat_f32s(0.0));
        for c in channels.step_by(S::F32_LANES) {
            for y in 0..self.of.rows() {
                let above = &self.grad[2 * y * width * count..][..width * count];
                let below = (2 * y + 1 < height).then(|| &self.grad[(2 * y + 1) * width * count..][..width * count]);
                for x in 0..columns {
                    let at = 2 * x * count + c;
                    let left = pair::<S, K>(simd, above, below, at);
                    let right = if 2 * x + 1 < width { pair::<S, K>(simd, above, below, at + count) } else { zero };
                    let to = (y * columns + x) * stride + c;
                    put::<S>(self.out, to, left);
                    put::<S>(self.out, step + to, simd.add_f32s(left, right));
                    put::<S>(self.out, 2 * step + to, simd.sub_f32s(left, right));
                    put::<S>(self.out, 3 * step + to, simd.sub_f32s(zero, right));
                }
            }
        }
    }
}

/// The two lines at a place, as row `K` of A takes them.
#[inline(always)]
fn pair<S: Simd, const K: usize>(simd: S, above: &[f32], below: Option<&[f32]>, at: usize) -> S::f32s {
    let zero = simd.splat_f32s(0.0);
    let below = if let Some(line) = below { get::<S>(line, at) } else { zero };
    match K {
        0 => get::<S>(above, at),
        1 => simd.add_f32s(get::<S>(above, at), below),
        2 => simd.sub_f32s(get::<S>(above, at), below),
        _ => simd.sub_f32s(zero, below),
    }
}
