//! The matrix products, by register tiles.

use pulp::{Simd, WithSimd};

/// `to[p][o] = Σ from[p][i] · weights[i][o]` for `P` squares × `V` vectors of outputs.
pub(super) struct Product<'a, const V: usize, const P: usize> {
    pub(super) weights: &'a [f32],
    pub(super) inputs: usize,
    pub(super) from: &'a [f32],
    pub(super) to: &'a mut [f32],
    pub(super) stride: usize,
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
pub(super) struct Weigh<'a, const V: usize, const P: usize> {
    pub(super) values: &'a [f32],
    pub(super) grads: &'a [f32],
    pub(super) strides: [usize; 2],
    /// Input and output.
    pub(super) from: [usize; 2],
    pub(super) sums: &'a mut [f32],
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
