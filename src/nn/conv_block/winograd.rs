//! The arithmetic of a fused block's 3×3 convolution for one image, with fewer products: a square of 2×2 outputs takes 16 of them, where the sums of
//! [`kernel`](super::kernel) take 36.
//!
//! With d the 4×4 inputs of a square and g the 3×3 weights, Winograd's F(2×2, 3×3) is
//!
//! ```text
//! y = Aᵀ (G g Gᵀ ⊙ Bᵀ d B) A        ḡ = Gᵀ (A ȳ Aᵀ ⊙ Bᵀ d B) G
//!
//!      1  0 −1  0          1   0   0         1  0
//! Bᵀ = 0  1  1  0     G =  ½   ½   ½     A = 1  1
//!      0 −1  1  0          ½  −½   ½         1 −1
//!      0  1  0 −1          0   0   1         0 −1
//! ```
//!
//! where ⊙, over all squares and channels, is 16 matrix products. They are computed in four rows of four, so that what a row needs stays near the
//! core. All images are channels last, `[height, width, channels]`, with zeros around them; of an odd side the last squares reach over the edge.
//!
//! # References
//! Lavin and Gray, arXiv 1509.09308.

use super::buffer::Buffer;
use super::kernel::next_tile;
use super::lanes::{Each, each, get, put};
use pulp::{Simd, WithSimd};
use std::ops::Range;

/// Numbers between one of four planes and the next: else the same place of all four would fall into one set of the cache.
const GAP: usize = 16;

/// 3×3 correlations, with a border of one zero, of images of one size.
#[derive(Clone, Copy)]
pub(super) struct Winograd {
    pub(super) height: usize,
    pub(super) width: usize,
    pub(super) inputs: usize,
    pub(super) outputs: usize,
    /// Outputs that a register tile takes, one vector or two.
    lanes: usize,
}

/// Memory for a row of four products.
pub(super) struct Planes {
    /// `[4][squares, inputs]`.
    inputs: Buffer,
    /// `[4][squares, outputs]`.
    outputs: Buffer,
    /// A line of pixels beyond the edge.
    zeros: Vec<f32>,
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

impl Winograd {
    #[inline(always)]
    pub(super) fn new<S: Simd>([height, width]: [usize; 2], inputs: usize, outputs: usize) -> Self {
        let lanes = if outputs <= S::F32_LANES { S::F32_LANES } else { 2 * S::F32_LANES };
        Self { height, width, inputs, outputs, lanes }
    }

    fn rows(&self) -> usize {
        self.height.div_ceil(2)
    }

    fn columns(&self) -> usize {
        self.width.div_ceil(2)
    }

    fn squares(&self) -> usize {
        self.rows() * self.columns()
    }

    /// Outputs rounded up to whole tiles.
    fn padded(&self) -> usize {
        self.outputs.next_multiple_of(self.lanes)
    }

    /// Numbers in one of the 16 products' weights.
    fn plane(&self) -> usize {
        self.inputs * self.padded()
    }

    /// From one plane of inputs to the next, and of outputs.
    fn steps(&self) -> [usize; 2] {
        [self.squares() * self.inputs + GAP, self.squares() * self.padded() + GAP]
    }

    pub(super) fn planes(&self) -> Planes {
        let [inputs, outputs] = self.steps();
        // Zeros, since nothing is written beyond the last output.
        Planes { inputs: Buffer::of(4 * inputs), outputs: Buffer::zeros(4 * outputs), zeros: vec![0.0; self.width * self.inputs] }
    }

    /// Zeros to which [`Winograd::gradient`] adds.
    pub(super) fn products(&self) -> Buffer {
        Buffer::zeros(16 * self.plane())
    }

    /// G g Gᵀ of the weights `[3, inputs, 3, outputs]`, as `[4, 4][tile of outputs][inputs][vectors]`, zero beyond the last output.
    #[inline(always)]
    pub(super) fn pack<S: Simd>(&self, simd: S, weights: &[f32]) -> Buffer {
        let mut products = self.products();
        simd.vectorize(All(self.outputs, Pack { of: self, weights, products: &mut products }));
        products
    }

    /// Adds Gᵀ p G of the products, laid out as by [`Winograd::pack`], to `weights` `[3, inputs, 3, outputs]`, and sets them to zero.
    #[inline(always)]
    pub(super) fn unpack<S: Simd>(&self, simd: S, products: &mut [f32], weights: &mut [f32]) {
        simd.vectorize(All(self.outputs, Unpack { of: self, products, weights }));
        products.fill(0.0);
    }

    /// `out[y][x][o] = bias[o] + Σ image[y + dy − 1][x + dx − 1][i] · w[dy][i][dx][o]`, where the channels of the `images` follow each other.
    #[inline(always)]
    pub(super) fn run<S: Simd>(&self, simd: S, packed: &[f32], images: &[&[f32]], bias: &[f32], planes: &mut Planes, out: &mut [f32]) {
        let [inputs, outputs] = self.steps();
        let count = self.inputs / images.len();
        for (k, packed) in packed.chunks_exact(4 * self.plane()).enumerate() {
            for (n, image) in images.iter().enumerate() {
                self.spread(simd, k, image, [count, n * count], planes);
            }
            let planes_of_row = planes.inputs.chunks_exact(inputs).zip(planes.outputs.chunks_exact_mut(outputs));
            for (packed, (from, to)) in packed.chunks_exact(self.plane()).zip(planes_of_row) {
                if self.lanes == S::F32_LANES {
                    self.multiply::<S, 1>(simd, packed, from, to);
                } else {
                    self.multiply::<S, 2>(simd, packed, from, to);
                }
            }
            let (of, products, out) = (self, &planes.outputs[..], &mut *out);
            match k {
                0 => simd.vectorize(All(self.outputs, Gather::<0> { of, products, bias, out })),
                1 => simd.vectorize(All(self.outputs, Gather::<1> { of, products, bias, out })),
                2 => simd.vectorize(All(self.outputs, Gather::<2> { of, products, bias, out })),
                _ => simd.vectorize(All(self.outputs, Gather::<3> { of, products, bias, out })),
            }
        }
    }

    /// Adds the products of one image's weight gradient, A ȳ Aᵀ ⊙ Bᵀ d B, to `products`.
    #[inline(always)]
    pub(super) fn gradient<S: Simd>(&self, simd: S, image: &[f32], grad: &[f32], planes: &mut Planes, products: &mut [f32]) {
        let [inputs, outputs] = self.steps();
        for (k, products) in products.chunks_exact_mut(4 * self.plane()).enumerate() {
            self.spread(simd, k, image, [self.inputs, 0], planes);
            let (of, out) = (self, &mut planes.outputs[..]);
            match k {
                0 => simd.vectorize(All(self.outputs, SpreadGradient::<0> { of, grad, out })),
                1 => simd.vectorize(All(self.outputs, SpreadGradient::<1> { of, grad, out })),
                2 => simd.vectorize(All(self.outputs, SpreadGradient::<2> { of, grad, out })),
                _ => simd.vectorize(All(self.outputs, SpreadGradient::<3> { of, grad, out })),
            }
            let planes_of_row = planes.inputs.chunks_exact(inputs).zip(planes.outputs.chunks_exact(outputs));
            for (products, (values, grads)) in products.chunks_exact_mut(self.plane()).zip(planes_of_row) {
                if self.lanes == S::F32_LANES {
                    self.weigh::<S, 1>(simd, values, grads, products);
                } else {
                    self.weigh::<S, 2>(simd, values, grads, products);
                }
            }
        }
    }

    #[inline(always)]
    fn spread<S: Simd>(&self, simd: S, k: usize, image: &[f32], [count, first]: [usize; 2], planes: &mut Planes) {
        let (of, out, zeros) = (self, &mut planes.inputs[..], &planes.zeros[..]);
        match k {
            0 => simd.vectorize(All(count, Spread::<0> { of, image, zeros, out, first })),
            1 => simd.vectorize(All(count, Spread::<1> { of, image, zeros, out, first })),
            2 => simd.vectorize(All(count, Spread::<2> { of, image, zeros, out, first })),
            _ => simd.vectorize(All(count, Spread::<3> { of, image, zeros, out, first })),
        }
    }

    #[inline(always)]
    fn multiply<S: Simd, const V: usize>(&self, simd: S, packed: &[f32], from: &[f32], to: &mut [f32]) {
        let (stride, inputs) = (self.padded(), self.inputs);
        for (tile, weights) in packed.chunks_exact(inputs * self.lanes).enumerate() {
            let mut square = 0;
            while square < self.squares() {
                let count = next_tile::<S>(self.squares() - square);
                let (from, to) = (&from[square * inputs..(square + count) * inputs], &mut to[square * stride + tile * self.lanes..]);
                match count {
                    1 => simd.vectorize(Product::<V, 1> { weights, inputs, from, to, stride }),
                    2 => simd.vectorize(Product::<V, 2> { weights, inputs, from, to, stride }),
                    3 => simd.vectorize(Product::<V, 3> { weights, inputs, from, to, stride }),
                    4 => simd.vectorize(Product::<V, 4> { weights, inputs, from, to, stride }),
                    6 if S::F32_LANES >= 16 => simd.vectorize(Product::<V, 6> { weights, inputs, from, to, stride }),
                    7 if S::F32_LANES >= 16 => simd.vectorize(Product::<V, 7> { weights, inputs, from, to, stride }),
                    8 if S::F32_LANES >= 16 => simd.vectorize(Product::<V, 8> { weights, inputs, from, to, stride }),
                    9 if S::F32_LANES >= 16 => simd.vectorize(Product::<V, 9> { weights, inputs, from, to, stride }),
                    10 if S::F32_LANES >= 16 => simd.vectorize(Product::<V, 10> { weights, inputs, from, to, stride }),
                    _ => simd.vectorize(Product::<V, 5> { weights, inputs, from, to, stride }),
                }
                square += count;
            }
        }
    }

    #[inline(always)]
    fn weigh<S: Simd, const V: usize>(&self, simd: S, values: &[f32], grads: &[f32], products: &mut [f32]) {
        let (inputs, strides) = (self.inputs, [self.inputs, self.padded()]);
        let (values, grads) = (&values[..self.squares() * inputs], &grads[..self.squares() * self.padded()]);
        for (tile, products) in products.chunks_exact_mut(inputs * self.lanes).enumerate() {
            let mut input = 0;
            while input < inputs {
                let count = next_tile::<S>(inputs - input);
                let (sums, from) = (&mut products[input * self.lanes..(input + count) * self.lanes], [input, tile * self.lanes]);
                match count {
                    1 => simd.vectorize(Weigh::<V, 1> { values, grads, strides, from, sums }),
                    2 => simd.vectorize(Weigh::<V, 2> { values, grads, strides, from, sums }),
                    3 => simd.vectorize(Weigh::<V, 3> { values, grads, strides, from, sums }),
                    4 => simd.vectorize(Weigh::<V, 4> { values, grads, strides, from, sums }),
                    6 if S::F32_LANES >= 16 => simd.vectorize(Weigh::<V, 6> { values, grads, strides, from, sums }),
                    7 if S::F32_LANES >= 16 => simd.vectorize(Weigh::<V, 7> { values, grads, strides, from, sums }),
                    8 if S::F32_LANES >= 16 => simd.vectorize(Weigh::<V, 8> { values, grads, strides, from, sums }),
                    9 if S::F32_LANES >= 16 => simd.vectorize(Weigh::<V, 9> { values, grads, strides, from, sums }),
                    10 if S::F32_LANES >= 16 => simd.vectorize(Weigh::<V, 10> { values, grads, strides, from, sums }),
                    _ => simd.vectorize(Weigh::<V, 5> { values, grads, strides, from, sums }),
                }
                input += count;
            }
        }
    }
}

/// Work on all channels as a function of its own.
struct All<E>(usize, E);

impl<E: Each> WithSimd for All<E> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        each(simd, self.0, self.1);
    }
}

/// `to[p][o] = Σ from[p][i] · weights[i][o]` for `P` squares × `V` vectors of outputs.
struct Product<'a, const V: usize, const P: usize> {
    weights: &'a [f32],
    inputs: usize,
    from: &'a [f32],
    to: &'a mut [f32],
    stride: usize,
}

impl<const V: usize, const P: usize> WithSimd for Product<'_, V, P> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { weights, inputs, from, to, stride } = self;
        let (weights, _) = S::as_simd_f32s(weights);
        let mut sums = [[simd.splat_f32s(0.0); V]; P];
        let rows: [&[f32]; P] = std::array::from_fn(|p| &from[p * inputs..][..inputs]);
        // Four inputs at a time: computing addresses takes the places of products.
        let fours: [&[[f32; 4]]; P] = std::array::from_fn(|p| rows[p].as_chunks().0);
        let whole = inputs / 4;
        for (n, w) in weights.chunks_exact(4 * V).enumerate().take(whole) {
            for k in 0..4 {
                for p in 0..P {
                    let value = simd.splat_f32s(fours[p][n][k]);
                    for v in 0..V {
                        sums[p][v] = simd.mul_add_e_f32s(value, w[k * V + v], sums[p][v]);
                    }
                }
            }
        }
        for (i, w) in weights.chunks_exact(V).enumerate().skip(4 * whole) {
            for p in 0..P {
                let value = simd.splat_f32s(rows[p][i]);
                for v in 0..V {
                    sums[p][v] = simd.mul_add_e_f32s(value, w[v], sums[p][v]);
                }
            }
        }
        // Moved out, not lent, as in `kernel`.
        for (p, values) in sums.into_iter().enumerate() {
            let (to, _) = S::as_mut_simd_f32s(&mut to[p * stride..][..V * S::F32_LANES]);
            for (to, value) in to.iter_mut().zip(values) {
                *to = value;
            }
        }
    }
}

/// Adds `Σ values[square][i] · grads[square][o]` for `P` inputs × `V` vectors of outputs.
struct Weigh<'a, const V: usize, const P: usize> {
    values: &'a [f32],
    grads: &'a [f32],
    strides: [usize; 2],
    /// Input and output.
    from: [usize; 2],
    sums: &'a mut [f32],
}

impl<const V: usize, const P: usize> WithSimd for Weigh<'_, V, P> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { values, grads, strides: [inputs, outputs], from: [input, output], sums: into } = self;
        let mut sums = [[simd.splat_f32s(0.0); V]; P];
        for (values, g) in values.chunks_exact(inputs).zip(grads.chunks_exact(outputs)) {
            let (g, _) = S::as_simd_f32s(&g[output..][..V * S::F32_LANES]);
            let values = &values[input..][..P];
            for p in 0..P {
                let value = simd.splat_f32s(values[p]);
                for v in 0..V {
                    sums[p][v] = simd.mul_add_e_f32s(value, g[v], sums[p][v]);
                }
            }
        }
        let (into, _) = S::as_mut_simd_f32s(into);
        for (values, into) in sums.into_iter().zip(into.chunks_exact_mut(V)) {
            for v in 0..V {
                into[v] = simd.add_f32s(into[v], values[v]);
            }
        }
    }
}

/// See [`Winograd::pack`].
struct Pack<'a> {
    of: &'a Winograd,
    weights: &'a [f32],
    products: &'a mut [f32],
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
struct Unpack<'a> {
    of: &'a Winograd,
    products: &'a [f32],
    weights: &'a mut [f32],
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
struct Spread<'a, const K: usize> {
    of: &'a Winograd,
    image: &'a [f32],
    zeros: &'a [f32],
    out: &'a mut [f32],
    first: usize,
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
struct Gather<'a, const K: usize> {
    of: &'a Winograd,
    products: &'a [f32],
    bias: &'a [f32],
    out: &'a mut [f32],
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
struct SpreadGradient<'a, const K: usize> {
    of: &'a Winograd,
    grad: &'a [f32],
    out: &'a mut [f32],
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

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    use super::super::kernel::{Correlation, WeightGradient};
    use super::*;
    use crate::simd::{vectorize, vectorize_narrow};

    /// A correlation, of two images side by side where the inputs can be halved, and a weight gradient.
    struct Both<'a> {
        image: &'a [f32],
        weights: &'a [f32],
        size: [usize; 4],
    }

    impl WithSimd for Both<'_> {
        type Output = (Vec<f32>, Vec<f32>);

        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) -> (Vec<f32>, Vec<f32>) {
            let [height, width, inputs, outputs] = self.size;
            let winograd = Winograd::new::<S>([height, width], inputs, outputs);
            let (mut planes, mut products) = (winograd.planes(), winograd.products());
            let bias: Vec<f32> = (0..outputs).map(|o| o as f32 / 8.0).collect();
            let (mut out, mut sum) = (vec![f32::NAN; height * width * outputs], vec![0.5; 9 * inputs * outputs]);
            let half = |from: usize| -> Vec<f32> {
                self.image.chunks_exact(inputs).flat_map(|pixel| &pixel[from..from + inputs / 2]).copied().collect()
            };
            let halves = [half(0), half(inputs / 2)];
            let whole = [self.image];
            let images = [&halves[0][..], &halves[1]];
            let images = if inputs % 2 == 0 { &images[..] } else { &whole[..] };
            winograd.run(simd, &winograd.pack(simd, self.weights), images, &bias, &mut planes, &mut out);
            for _ in 0..2 {
                winograd.gradient(simd, self.image, &out, &mut planes, &mut products);
            }
            winograd.unpack(simd, &mut products, &mut sum);
            assert!(products.iter().all(|&product| product == 0.0));
            (out, sum)
        }
    }

    struct Sums<'a>(&'a Both<'a>);

    impl WithSimd for Sums<'_> {
        type Output = (Vec<f32>, Vec<f32>);

        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) -> (Vec<f32>, Vec<f32>) {
            let Both { image, weights, size: [height, width, inputs, outputs] } = *self.0;
            let mut pad = vec![0.0; (height + 2) * (width + 2) * inputs];
            for (at, value) in image.iter().enumerate() {
                let (y, x, i) = (at / inputs / width, at / inputs % width, at % inputs);
                pad[((y + 1) * inputs + i) * (width + 2) + x + 1] = *value;
            }
            let bias: Vec<f32> = (0..outputs).map(|o| o as f32 / 8.0).collect();
            let correlation = Correlation { height, width, inputs, outputs, weights, bias: &bias };
            let (mut out, mut sum) = (vec![0.0; height * width * outputs], vec![0.0; 9 * inputs * outputs]);
            correlation.run(simd, &correlation.pack::<S>(), &pad, &mut out);
            WeightGradient { height, width, inputs, outputs }.run(simd, &pad, &out, &mut vec![], &mut sum);
            sum.iter_mut().for_each(|sum| *sum = 0.5 + 2.0 * *sum);
            (out, sum)
        }
    }

    #[test]
    fn squares_give_the_sums_with_all_widths_of_registers() {
        // Every tile of 1 to 10 squares and inputs, sides even and odd, and channels that do and do not fill the registers.
        let sizes = [
            [1, 1, 1, 3],
            [2, 3, 2, 9],
            [1, 6, 3, 16],
            [2, 8, 4, 32],
            [3, 5, 5, 33],
            [4, 5, 7, 17],
            [3, 7, 8, 40],
            [6, 6, 9, 64],
            [2, 20, 10, 20],
            [7, 7, 20, 32],
            [8, 8, 32, 48],
            [16, 16, 32, 32],
        ];
        for size in sizes {
            let [height, width, inputs, outputs] = size;
            let image: Vec<f32> = (0..height * width * inputs).map(|i| (i * 7919 % 1009) as f32 / 1009.0 - 0.5).collect();
            let weights: Vec<f32> = (0..9 * inputs * outputs).map(|i| (i * 6101 % 997) as f32 / 997.0 - 0.5).collect();
            let both = || Both { image: &image, weights: &weights, size };
            let (out, sum) = vectorize(both());
            assert_eq!(vectorize_narrow(both()), (out.clone(), sum.clone()), "{size:?}");
            let (expected, expected_sum) = vectorize(Sums(&both()));
            for (ours, theirs) in [(out, expected), (sum, expected_sum)] {
                let scale = theirs.iter().fold(0.0f32, |most, v| most.max(v.abs()));
                // A few units in the last place of the largest: the products are of sums of up to sixteen numbers.
                let error = ours.iter().zip(&theirs).fold(0.0f32, |most, (a, b)| most.max((a - b).abs()));
                assert!(error <= 3e-6 * scale, "{size:?}: {error} of {scale}");
            }
        }
    }
}
