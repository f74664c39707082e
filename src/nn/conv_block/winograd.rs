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

mod product;
mod turn;

use super::buffer::Buffer;
use super::kernel::{by_tile, next_tile};
use product::{Product, Weigh};
use pulp::Simd;
use turn::{All, Gather, Pack, Spread, SpreadGradient, Unpack};

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
        Planes {
            inputs: Buffer::of(4 * inputs),
            outputs: Buffer::zeros(4 * outputs),
            zeros: vec![0.0; self.width * self.inputs.max(self.outputs)],
        }
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
            let (of, zeros, out) = (self, &planes.zeros[..], &mut planes.outputs[..]);
            match k {
                0 => simd.vectorize(All(self.outputs, SpreadGradient::<0> { of, grad, zeros, out })),
                1 => simd.vectorize(All(self.outputs, SpreadGradient::<1> { of, grad, zeros, out })),
                2 => simd.vectorize(All(self.outputs, SpreadGradient::<2> { of, grad, zeros, out })),
                _ => simd.vectorize(All(self.outputs, SpreadGradient::<3> { of, grad, zeros, out })),
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
                by_tile!(S, count, P => simd.vectorize(Product::<V, P> { weights, inputs, from, to, stride }));
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
                by_tile!(S, count, P => simd.vectorize(Weigh::<V, P> { values, grads, strides, from, sums }));
                input += count;
            }
        }
    }
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    use super::super::kernel::{Correlation, WeightGradient};
    use super::*;
    use crate::simd::{vectorize, vectorize_narrow};
    use pulp::WithSimd;

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
