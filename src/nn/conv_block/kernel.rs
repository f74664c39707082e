//! The arithmetic of a fused block for one image, in vector registers.
//!
//! What goes in is padded and lies row by row, in each row channel by channel (`[h + 2, inputs, w + 2]`): the pixels that a kernel's row
//! meets are neighbours, at distances the compiler knows, so a tile needs one address. What comes out is channels-last: the output channels
//! fill vector registers. The inner loops hold a tile of sums in registers and only add to it.

use super::buffer::Buffer;
use pulp::{Simd, WithSimd};

/// How many of `left` pixels the next register tile takes: all are of nearly one length. With two vectors of channels 10 pixels, a weight and a
/// broadcast fill the 32 registers of AVX-512 (14 do not fit), 5 the 16 of AVX2. Every sum has its own lane, so the numbers are the same
/// whatever the tile.
#[inline(always)]
pub(super) fn next_tile<S: Simd>(left: usize) -> usize {
    let most = if S::F32_LANES >= 16 { 10 } else { 5 };
    left.div_ceil(left.div_ceil(most))
}

/// Runs something for the number that [`next_tile`] gave, as a constant: 1 to 10 with AVX-512, else 1 to 5.
macro_rules! by_tile {
    ($simd:ident, $count:expr, $P:ident => $run:expr) => {
        by_tile!(@ $simd, $count, $P => $run; 1 2 3 4, 6 7 8 9 10)
    };
    (@ $simd:ident, $count:expr, $P:ident => $run:expr; $($few:literal)*, $($many:literal)*) => {
        match $count {
            $($few => { const $P: usize = $few; $run })*
            $($many if $simd::F32_LANES >= 16 => { const $P: usize = $many; $run })*
            _ => { const $P: usize = 5; $run }
        }
    };
}
pub(super) use by_tile;

/// `out[y][x][o] = bias[o] + Σ pad[y + dy][i][x + dx] · w[dy][i][dx][o]`.
///
/// `pad` is `[height + 2, inputs, width + 2]`, `weights` `[3, inputs, 3, outputs]`, `out` `[height, width, outputs]`.
pub(super) struct Correlation<'a> {
    pub(super) height: usize,
    pub(super) width: usize,
    pub(super) inputs: usize,
    pub(super) outputs: usize,
    pub(super) weights: &'a [f32],
    pub(super) bias: &'a [f32],
}

impl Correlation<'_> {
    #[inline(always)]
    pub(super) fn run<S: Simd>(&self, simd: S, packed: &[f32], pad: &[f32], out: &mut [f32]) {
        if self.outputs <= S::F32_LANES {
            self.tiles::<S, 1>(simd, packed, pad, out);
        } else {
            self.tiles::<S, 2>(simd, packed, pad, out);
        }
    }

    /// The weights as `[tile of channels][3, inputs, 3][vectors]`, zero beyond the last channel.
    #[inline(always)]
    pub(super) fn pack<S: Simd>(&self) -> Buffer {
        let lanes = if self.outputs <= S::F32_LANES { S::F32_LANES } else { 2 * S::F32_LANES };
        let taps = 9 * self.inputs;
        let mut packed = Buffer::zeros(self.outputs.div_ceil(lanes) * taps * lanes);
        for (tile, block) in packed.chunks_exact_mut(taps * lanes).enumerate() {
            let from = tile * lanes;
            let count = lanes.min(self.outputs - from);
            for (row, weights) in block.chunks_exact_mut(lanes).zip(self.weights.chunks_exact(self.outputs)) {
                row[..count].copy_from_slice(&weights[from..from + count]);
            }
        }
        packed
    }

    #[inline(always)]
    fn tiles<S: Simd, const V: usize>(&self, simd: S, packed: &[f32], pad: &[f32], out: &mut [f32]) {
        let lanes = V * S::F32_LANES;
        for (tile, weights) in packed.chunks_exact(9 * self.inputs * lanes).enumerate() {
            for y in 0..self.height {
                let mut x = 0;
                while x < self.width {
                    let pixels = next_tile::<S>(self.width - x);
                    let (of, from, out) = (self, [tile * lanes, y, x], &mut *out);
                    by_tile!(S, pixels, P => simd.vectorize(Tile::<V, P> { of, weights, pad, out, from }));
                    x += pixels;
                }
            }
        }
    }
}

/// `P` pixels × `V` vectors of channels. A function of its own: many of them in one body would share the registers.
struct Tile<'a, const V: usize, const P: usize> {
    of: &'a Correlation<'a>,
    weights: &'a [f32],
    pad: &'a [f32],
    out: &'a mut [f32],
    /// Channel, row and column.
    from: [usize; 3],
}

impl<const V: usize, const P: usize> WithSimd for Tile<'_, V, P> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { of, weights, pad, out, from: [channel, y, x] } = self;
        let (weights, _) = S::as_simd_f32s(weights);
        let side = of.width + 2;
        let lanes = V * S::F32_LANES;
        let count = lanes.min(of.outputs - channel);
        let mut sums = [[simd.splat_f32s(0.0); V]; P];
        for (dy, weights) in weights.chunks_exact(3 * V * of.inputs).enumerate() {
            let rows = &pad[(y + dy) * side * of.inputs..][..side * of.inputs];
            for (row, w) in rows.chunks_exact(side).zip(weights.chunks_exact(3 * V)) {
                let row = &row[x..x + P + 2];
                for dx in 0..3 {
                    for p in 0..P {
                        let value = simd.splat_f32s(row[p + dx]);
                        for v in 0..V {
                            sums[p][v] = simd.mul_add_e_f32s(value, w[dx * V + v], sums[p][v]);
                        }
                    }
                }
            }
        }
        // Moved out, not lent: a tile that is borrowed as a whole lives in memory, and the loop above would write it there each time round.
        for (p, values) in sums.into_iter().enumerate() {
            let at = (y * of.width + x + p) * of.outputs + channel;
            if count == lanes {
                let (out, _) = S::as_mut_simd_f32s(&mut out[at..at + lanes]);
                let (bias, _) = S::as_simd_f32s(&of.bias[channel..channel + lanes]);
                for v in 0..V {
                    out[v] = simd.add_f32s(values[v], bias[v]);
                }
            } else {
                let values: &[f32] = pulp::bytemuck::cast_slice(&values);
                for ((out, value), bias) in out[at..at + count].iter_mut().zip(values).zip(&of.bias[channel..]) {
                    *out = value + bias;
                }
            }
        }
    }
}

/// Adds `Σ_{y,x} pad[y + dy][i][x + dx] · grad[y][x][o]` to `sum[dy][i][dx][o]`: the weight gradient of one image.
pub(super) struct WeightGradient {
    pub(super) height: usize,
    pub(super) width: usize,
    pub(super) inputs: usize,
    pub(super) outputs: usize,
}

impl WeightGradient {
    #[inline(always)]
    pub(super) fn run<S: Simd>(&self, simd: S, pad: &[f32], grad: &[f32], scratch: &mut Vec<f32>, sum: &mut [f32]) {
        // Nine taps × two vectors fill the registers of AVX-512; those of AVX2 hold nine × one.
        let wide = S::F32_LANES >= 16 && self.outputs > S::F32_LANES;
        let lanes = if wide { 2 * S::F32_LANES } else { S::F32_LANES };
        for channel in (0..self.outputs).step_by(lanes) {
            let count = lanes.min(self.outputs - channel);
            let (grad, stride) = if count == lanes {
                (grad, [self.outputs, channel])
            } else {
                // The last channels, with zeros after them.
                scratch.clear();
                scratch.resize(self.height * self.width * lanes, 0.0);
                for (to, from) in scratch.chunks_exact_mut(lanes).zip(grad.chunks_exact(self.outputs)) {
                    to[..count].copy_from_slice(&from[channel..]);
                }
                (&scratch[..], [lanes, 0])
            };
            for input in 0..self.inputs {
                let (of, sum, at) = (self, &mut *sum, [channel, input]);
                if wide {
                    simd.vectorize(Taps::<2> { of, pad, grad, stride, sum, at });
                } else {
                    simd.vectorize(Taps::<1> { of, pad, grad, stride, sum, at });
                }
            }
        }
    }
}

/// The nine taps of one input × `V` vectors of channels.
struct Taps<'a, const V: usize> {
    of: &'a WeightGradient,
    pad: &'a [f32],
    grad: &'a [f32],
    /// From one pixel of `grad` to the next, and to the first channel.
    stride: [usize; 2],
    sum: &'a mut [f32],
    /// Channel and input.
    at: [usize; 2],
}

impl<const V: usize> WithSimd for Taps<'_, V> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { of, pad, grad, stride: [stride, from], sum, at: [channel, input] } = self;
        let side = of.width + 2;
        let lanes = V * S::F32_LANES;
        let mut sums = [[simd.splat_f32s(0.0); V]; 9];
        for (y, grads) in grad.chunks_exact(of.width * stride).enumerate() {
            let row = |dy: usize| &pad[((y + dy) * of.inputs + input) * side..][..side];
            let windows = row(0).windows(3).zip(row(1).windows(3)).zip(row(2).windows(3));
            for (g, ((a, b), c)) in grads.chunks_exact(stride).zip(windows) {
                let (g, _) = S::as_simd_f32s(&g[from..from + lanes]);
                for (dy, values) in [a, b, c].into_iter().enumerate() {
                    for dx in 0..3 {
                        let value = simd.splat_f32s(values[dx]);
                        for v in 0..V {
                            sums[3 * dy + dx][v] = simd.mul_add_e_f32s(value, g[v], sums[3 * dy + dx][v]);
                        }
                    }
                }
            }
        }
        let count = lanes.min(of.outputs - channel);
        // Moved, as above.
        for (tap, values) in sums.into_iter().enumerate() {
            let at = ((tap / 3 * of.inputs + input) * 3 + tap % 3) * of.outputs + channel;
            let values: &[f32] = pulp::bytemuck::cast_slice(&values);
            sum[at..at + count].iter_mut().zip(values).for_each(|(sum, value)| *sum += value);
        }
    }
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    use super::*;
    use crate::simd::{vectorize, vectorize_narrow};

    struct Both<'a>(&'a [f32], &'a [f32], [usize; 4]);

    impl WithSimd for Both<'_> {
        type Output = (Vec<f32>, Vec<f32>);

        fn with_simd<S: Simd>(self, simd: S) -> (Vec<f32>, Vec<f32>) {
            let Self(pad, weights, [height, width, inputs, outputs]) = self;
            let bias = vec![0.25; outputs];
            let correlation = Correlation { height, width, inputs, outputs, weights, bias: &bias };
            let (mut out, mut sum) = (vec![0.0; height * width * outputs], vec![0.0; 9 * inputs * outputs]);
            correlation.run(simd, &correlation.pack::<S>(), pad, &mut out);
            WeightGradient { height, width, inputs, outputs }.run(simd, pad, &out, &mut vec![], &mut sum);
            (out, sum)
        }
    }

    #[test]
    fn the_numbers_do_not_depend_on_the_width_of_the_registers() {
        // Every tile of 1 to 10 pixels, and channels that do and do not fill the registers.
        let sizes = [
            (1, 1, 5),
            (2, 1, 3),
            (3, 2, 9),
            (4, 2, 16),
            (5, 2, 32),
            (6, 1, 17),
            (7, 3, 32),
            (8, 2, 64),
            (9, 5, 33),
            (10, 1, 20),
            (17, 1, 8),
            (30, 7, 3),
        ];
        for (width, inputs, outputs) in sizes {
            let pad: Vec<f32> = (0..5 * (width + 2) * inputs).map(|i| (i * 7919 % 101) as f32 / 101.0 - 0.5).collect();
            let weights: Vec<f32> = (0..9 * inputs * outputs).map(|i| (i * 6101 % 97) as f32 / 97.0 - 0.5).collect();
            let size = [3, width, inputs, outputs];
            assert_eq!(vectorize(Both(&pad, &weights, size)), vectorize_narrow(Both(&pad, &weights, size)), "{size:?}");
        }
    }
}
