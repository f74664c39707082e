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
    /// A line of pixels beyond the edge.
    pub(super) zeros: &'a [f32],
    pub(super) out: &'a mut [f32],
    pub(super) first: usize,
}

// Here and below, slices that are read or written at one place are cut to one length before the loop: it then checks one place, not all of them.
impl<const K: usize> Each for Spread<'_, K> {
    #[inline(always)]
    fn run<S: Simd>(&mut self, simd: S, channels: Range<usize>, count: usize) {
        let Winograd { height, width, inputs, .. } = *self.of;
        let ([step, _], zero) = (self.of.steps(), simd.splat_f32s(0.0));
        let mut planes = four(self.out, step);
        let (line_len, plane_len) = ((width - 1) * count + S::F32_LANES, (self.of.squares() - 1) * inputs + S::F32_LANES);
        for c in channels.step_by(S::F32_LANES) {
            let mut row = cut(&mut planes, self.first + c, plane_len);
            let mut to = 0;
            for y in 0..self.of.rows() {
                // Row K of Bᵀ: a line of pixels and, added or taken away, another.
                let mut lines = [self.zeros; 2];
                for (line, k) in lines.iter_mut().zip([[0, 2], [1, 2], [2, 1], [1, 3]][K]) {
                    let at = 2 * y + k;
                    if at > 0 && at <= height {
                        *line = &self.image[(at - 1) * width * count..];
                    }
                }
                let lines = [&lines[0][c..][..line_len], &lines[1][c..][..line_len]];
                let (mut before, mut here) = (zero, column::<S, K>(simd, lines, 0));
                for x in 0..(width - 1) / 2 {
                    let at = (2 * x + 1) * count;
                    let (next, last) = (column::<S, K>(simd, lines, at), column::<S, K>(simd, lines, at + count));
                    columns(simd, &mut row, to, [before, here, next, last]);
                    (before, here) = (next, last);
                    to += inputs;
                }
                // The last square reaches over the edge.
                let next = if width.is_multiple_of(2) { column::<S, K>(simd, lines, (width - 1) * count) } else { zero };
                columns(simd, &mut row, to, [before, here, next, zero]);
                to += inputs;
            }
        }
    }
}

/// The four planes of a row of products, `step` numbers apart.
#[inline(always)]
fn four(planes: &mut [f32], step: usize) -> [&mut [f32]; 4] {
    let (a, rest) = planes.split_at_mut(step);
    let (b, rest) = rest.split_at_mut(step);
    let (c, d) = rest.split_at_mut(step);
    [a, b, c, d]
}

/// `len` numbers of each plane.
#[inline(always)]
fn cut<'a>([a, b, c, d]: &'a mut [&mut [f32]; 4], from: usize, len: usize) -> [&'a mut [f32]; 4] {
    [&mut a[from..][..len], &mut b[from..][..len], &mut c[from..][..len], &mut d[from..][..len]]
}

/// The columns of B.
#[inline(always)]
fn columns<S: Simd>(simd: S, [e, f, g, h]: &mut [&mut [f32]; 4], at: usize, [a, b, c, d]: [S::f32s; 4]) {
    put::<S>(e, at, simd.sub_f32s(a, c));
    put::<S>(f, at, simd.add_f32s(b, c));
    put::<S>(g, at, simd.sub_f32s(c, b));
    put::<S>(h, at, simd.sub_f32s(b, d));
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
        let (line_len, plane_len) = ((width - 1) * count + S::F32_LANES, (self.of.squares() - 1) * stride + S::F32_LANES);
        for c in channels.step_by(S::F32_LANES) {
            let plane = |k: usize| &self.products[k * step + c..][..plane_len];
            let products = [plane(0), plane(1), plane(2), plane(3)];
            let bias = get::<S>(self.bias, c);
            for y in 0..self.of.rows() {
                let squares = y * columns * stride;
                let lines = &mut self.out[2 * y * width * count..];
                if 2 * y + 1 < height {
                    let (above, below) = lines.split_at_mut(width * count);
                    let lines = [&mut above[c..][..line_len], &mut below[c..][..line_len]];
                    gather::<S, K>(simd, products, [squares, stride], lines, [width, count], bias);
                } else if K < 3 {
                    gather_last::<S, K>(simd, products, [squares, stride], &mut lines[c..][..line_len], [width, count], bias);
                }
            }
        }
    }
}

/// A row of squares into two lines.
#[inline(always)]
fn gather<S: Simd, const K: usize>(
    simd: S,
    products: [&[f32]; 4],
    [mut from, stride]: [usize; 2],
    [above, below]: [&mut [f32]; 2],
    [width, count]: [usize; 2],
    bias: S::f32s,
) {
    for x in 0..width / 2 {
        let ([left, right], to) = (sides(simd, products, from), 2 * x * count);
        add_above::<S, K>(simd, above, to, left, bias);
        add_above::<S, K>(simd, above, to + count, right, bias);
        add_below::<S, K>(simd, below, to, left, bias);
        add_below::<S, K>(simd, below, to + count, right, bias);
        from += stride;
    }
    if !width.is_multiple_of(2) {
        let ([left, _], to) = (sides(simd, products, from), (width - 1) * count);
        add_above::<S, K>(simd, above, to, left, bias);
        add_below::<S, K>(simd, below, to, left, bias);
    }
}

/// [`gather`] where the lower line is beyond the edge.
#[inline(always)]
fn gather_last<S: Simd, const K: usize>(
    simd: S,
    products: [&[f32]; 4],
    [mut from, stride]: [usize; 2],
    line: &mut [f32],
    [width, count]: [usize; 2],
    bias: S::f32s,
) {
    for x in 0..width.div_ceil(2) {
        let ([left, right], to) = (sides(simd, products, from), 2 * x * count);
        add_above::<S, K>(simd, line, to, left, bias);
        if 2 * x + 1 < width {
            add_above::<S, K>(simd, line, to + count, right, bias);
        }
        from += stride;
    }
}

/// The columns of A: what four products give to the left and to the right of their square.
#[inline(always)]
fn sides<S: Simd>(simd: S, [p, q, r, s]: [&[f32]; 4], at: usize) -> [S::f32s; 2] {
    let [p, q, r, s] = [get::<S>(p, at), get::<S>(q, at), get::<S>(r, at), get::<S>(s, at)];
    [simd.add_f32s(simd.add_f32s(p, q), r), simd.sub_f32s(simd.sub_f32s(q, r), s)]
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
    /// A line of pixels beyond the edge.
    pub(super) zeros: &'a [f32],
    pub(super) out: &'a mut [f32],
}

impl<const K: usize> Each for SpreadGradient<'_, K> {
    #[inline(always)]
    fn run<S: Simd>(&mut self, simd: S, channels: Range<usize>, count: usize) {
        let Winograd { height, width, .. } = *self.of;
        let (stride, [_, step], zero) = (self.of.padded(), self.of.steps(), simd.splat_f32s(0.0));
        let mut planes = four(self.out, step);
        let (line_len, plane_len) = ((width - 1) * count + S::F32_LANES, (self.of.squares() - 1) * stride + S::F32_LANES);
        for c in channels.step_by(S::F32_LANES) {
            let mut row = cut(&mut planes, c, plane_len);
            let mut to = 0;
            for y in 0..self.of.rows() {
                let line = |y: usize| if y < height { &self.grad[y * width * count..] } else { self.zeros };
                let lines = [&line(2 * y)[c..][..line_len], &line(2 * y + 1)[c..][..line_len]];
                for x in 0..width / 2 {
                    let at = 2 * x * count;
                    rows_of_a(simd, &mut row, to, [pair::<S, K>(simd, lines, at), pair::<S, K>(simd, lines, at + count)]);
                    to += stride;
                }
                if !width.is_multiple_of(2) {
                    rows_of_a(simd, &mut row, to, [pair::<S, K>(simd, lines, (width - 1) * count), zero]);
                    to += stride;
                }
            }
        }
    }
}

/// The rows of A.
#[inline(always)]
fn rows_of_a<S: Simd>(simd: S, [e, f, g, h]: &mut [&mut [f32]; 4], at: usize, [left, right]: [S::f32s; 2]) {
    put::<S>(e, at, left);
    put::<S>(f, at, simd.add_f32s(left, right));
    put::<S>(g, at, simd.sub_f32s(left, right));
    put::<S>(h, at, simd.sub_f32s(simd.splat_f32s(0.0), right));
}

/// The two lines at a place, as row `K` of A takes them.
#[inline(always)]
fn pair<S: Simd, const K: usize>(simd: S, [above, below]: [&[f32]; 2], at: usize) -> S::f32s {
    match K {
        0 => get::<S>(above, at),
        1 => simd.add_f32s(get::<S>(above, at), get::<S>(below, at)),
        2 => simd.sub_f32s(get::<S>(above, at), get::<S>(below, at)),
        _ => simd.sub_f32s(simd.splat_f32s(0.0), get::<S>(below, at)),
    }
}
