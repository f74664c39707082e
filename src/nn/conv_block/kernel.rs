//! The arithmetic of a fused block for one chunk of images, in vector registers.
//!
//! Everything is channels-last inside: a 3×3 correlation then reads 3·c consecutive numbers per kernel row, and the output
//! channels fill vector registers. The inner loops hold a tile of `P` pixels × `V` vectors of channels in registers and only add
//! to it.

use pulp::{Simd, WithSimd};

/// How many of `left` pixels, or rows of a weight, the next register tile takes. 6 × 2 vectors, with a weight and a broadcast, fill the 16
/// registers of AVX2; of the 32 of AVX-512, 8 × 2 keep both multipliers busy, and more addresses than that do not fit the other registers.
/// Every sum has its own lane, so the numbers are the same whatever the tile.
#[inline(always)]
fn next_tile<S: Simd>(left: usize) -> usize {
    if S::F32_LANES >= 16 {
        return match left {
            ..=8 => left,
            _ if left.is_multiple_of(8) => 8,
            _ if left.is_multiple_of(7) => 7,
            9..16 => left.div_ceil(2),
            _ => 8,
        };
    }
    if left == 8 { 4 } else { left.min(6) }
}

/// `out[y][x][o] = bias[o] + Σ pad[y + dy][x + dx][i] · w[dy][dx][i][o]`, channels padded to whole tiles of vectors.
///
/// `pad` is `[height + 2, width + 2, inputs]`, `weights` `[9 · inputs, outputs]`, `out` `[height · width, outputs]`.
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

    /// The weights as `[tile of channels][9 · inputs][vectors]`, zero beyond the last channel.
    #[inline(always)]
    pub(super) fn pack<S: Simd>(&self) -> Vec<f32> {
        let lanes = if self.outputs <= S::F32_LANES { S::F32_LANES } else { 2 * S::F32_LANES };
        let taps = 9 * self.inputs;
        let mut packed = vec![0.0; self.outputs.div_ceil(lanes) * taps * lanes];
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
                    let mut tiles = 1;
                    while x + tiles * pixels < self.width && next_tile::<S>(self.width - x - tiles * pixels) == pixels {
                        tiles += 1;
                    }
                    let (from, out) = ([tile * lanes, y, x], &mut *out);
                    match pixels {
                        1 => simd.vectorize(Tiles::<V, 1> { of: self, weights, pad, out, from, tiles }),
                        2 => simd.vectorize(Tiles::<V, 2> { of: self, weights, pad, out, from, tiles }),
                        3 => simd.vectorize(Tiles::<V, 3> { of: self, weights, pad, out, from, tiles }),
                        4 => simd.vectorize(Tiles::<V, 4> { of: self, weights, pad, out, from, tiles }),
                        5 => simd.vectorize(Tiles::<V, 5> { of: self, weights, pad, out, from, tiles }),
                        7 if S::F32_LANES >= 16 => simd.vectorize(Tiles::<V, 7> { of: self, weights, pad, out, from, tiles }),
                        8 if S::F32_LANES >= 16 => simd.vectorize(Tiles::<V, 8> { of: self, weights, pad, out, from, tiles }),
                        _ => simd.vectorize(Tiles::<V, 6> { of: self, weights, pad, out, from, tiles }),
                    }
                    x += tiles * pixels;
                }
            }
        }
    }
}

/// Tiles of `P` pixels × `V` vectors of channels side by side. A function of its own: many of them in one body would share the registers.
struct Tiles<'a, const V: usize, const P: usize> {
    of: &'a Correlation<'a>,
    weights: &'a [f32],
    pad: &'a [f32],
    out: &'a mut [f32],
    /// Channel, row and column.
    from: [usize; 3],
    tiles: usize,
}

impl<const V: usize, const P: usize> WithSimd for Tiles<'_, V, P> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { of, weights, pad, out, from: [channel, y, start], tiles } = self;
        let (weights, _) = S::as_simd_f32s(weights);
        let row = 3 * of.inputs;
        let stride = (of.width + 2) * of.inputs;
        let lanes = V * S::F32_LANES;
        let count = lanes.min(of.outputs - channel);
        for x in (0..tiles).map(|tile| start + tile * P) {
            let mut sums = [[simd.splat_f32s(0.0); V]; P];
            for (dy, weights) in weights.chunks_exact(row * V).enumerate() {
                let start = (y + dy) * stride + x * of.inputs;
                let pixels: [&[f32]; P] = std::array::from_fn(|p| &pad[start + p * of.inputs..][..row]);
                for (j, w) in weights.chunks_exact(V).enumerate() {
                    for p in 0..P {
                        let value = simd.splat_f32s(pixels[p][j]);
                        for v in 0..V {
                            sums[p][v] = simd.mul_add_e_f32s(value, w[v], sums[p][v]);
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
}

/// Adds `Σ_{y,x} pad[y + dy][x + dx][i] · grad[y][x][o]` to `sum[dy][dx][i][o]`: the weight gradient of one image.
pub(super) struct WeightGradient {
    pub(super) height: usize,
    pub(super) width: usize,
    pub(super) inputs: usize,
    pub(super) outputs: usize,
}

impl WeightGradient {
    #[inline(always)]
    pub(super) fn run<S: Simd>(&self, simd: S, pad: &[f32], grad: &[f32], scratch: &mut Vec<f32>, sum: &mut [f32]) {
        let lanes = 2 * S::F32_LANES;
        for channel in (0..self.outputs).step_by(lanes) {
            // The gradient of one tile of channels, contiguous, so that the loops below stay in the cache.
            let count = lanes.min(self.outputs - channel);
            scratch.clear();
            scratch.resize(self.height * self.width * lanes, 0.0);
            for (to, from) in scratch.chunks_exact_mut(lanes).zip(grad.chunks_exact(self.outputs)) {
                to[..count].copy_from_slice(&from[channel..channel + count]);
            }
            for dy in 0..3 {
                let row = 3 * self.inputs;
                let mut j = 0;
                while j < row {
                    let count = next_tile::<S>(row - j);
                    let (of, grad, sum, at) = (self, &scratch[..], &mut *sum, [channel, dy, j]);
                    match count {
                        1 => simd.vectorize(Taps::<1> { of, pad, grad, sum, at }),
                        2 => simd.vectorize(Taps::<2> { of, pad, grad, sum, at }),
                        3 => simd.vectorize(Taps::<3> { of, pad, grad, sum, at }),
                        4 => simd.vectorize(Taps::<4> { of, pad, grad, sum, at }),
                        5 => simd.vectorize(Taps::<5> { of, pad, grad, sum, at }),
                        7 if S::F32_LANES >= 16 => simd.vectorize(Taps::<7> { of, pad, grad, sum, at }),
                        8 if S::F32_LANES >= 16 => simd.vectorize(Taps::<8> { of, pad, grad, sum, at }),
                        _ => simd.vectorize(Taps::<6> { of, pad, grad, sum, at }),
                    }
                    j += count;
                }
            }
        }
    }
}

/// `K` rows of a weight gradient × two vectors of channels.
struct Taps<'a, const K: usize> {
    of: &'a WeightGradient,
    pad: &'a [f32],
    grad: &'a [f32],
    sum: &'a mut [f32],
    /// Channel, row of the kernel, and which of its `3 · inputs` numbers.
    at: [usize; 3],
}

impl<const K: usize> WithSimd for Taps<'_, K> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { of, pad, grad, sum, at: [channel, dy, j] } = self;
        let (grad, _) = S::as_simd_f32s(grad);
        let stride = (of.width + 2) * of.inputs;
        let mut sums = [[simd.splat_f32s(0.0); 2]; K];
        for (y, grads) in grad.chunks_exact(2 * of.width).enumerate() {
            let row = &pad[(y + dy) * stride + j..];
            for (x, g) in grads.chunks_exact(2).enumerate() {
                let values = &row[x * of.inputs..][..K];
                for k in 0..K {
                    let value = simd.splat_f32s(values[k]);
                    for v in 0..2 {
                        sums[k][v] = simd.mul_add_e_f32s(value, g[v], sums[k][v]);
                    }
                }
            }
        }
        let count = (2 * S::F32_LANES).min(of.outputs - channel);
        // Moved, as above.
        for (k, values) in sums.into_iter().enumerate() {
            let at = (dy * 3 * of.inputs + j + k) * of.outputs + channel;
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
        // Every tile of 1 to 8 pixels, and channels that do and do not fill the registers.
        for (width, inputs, outputs) in [(1, 1, 5), (4, 2, 16), (7, 3, 32), (9, 5, 33), (14, 4, 40), (17, 1, 8), (30, 7, 3)] {
            let pad: Vec<f32> = (0..5 * (width + 2) * inputs).map(|i| (i * 7919 % 101) as f32 / 101.0 - 0.5).collect();
            let weights: Vec<f32> = (0..9 * inputs * outputs).map(|i| (i * 6101 % 97) as f32 / 97.0 - 0.5).collect();
            let size = [3, width, inputs, outputs];
            assert_eq!(vectorize(Both(&pad, &weights, size)), vectorize_narrow(Both(&pad, &weights, size)), "{size:?}");
        }
    }
}
