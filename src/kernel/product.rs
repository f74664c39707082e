//! Two f64 matrix products that keep a tile of the result in registers and only add to it.
//!
//! Rows are padded to [`padded`] values, so that no loop has a ragged end in the vector direction; the padding is zero.

use crate::simd::vectorize;
use pulp::{Simd, WithSimd};
use std::ops::Range;

/// Rows of the next register tile: 6 × 2 vectors, with two vectors to load and a broadcast, fill the 16 registers of AVX2; 8 × 2 keep the
/// multipliers of AVX-512 busy.
#[inline(always)]
fn next_tile<S: Simd>(left: usize) -> usize {
    left.min(if S::F64_LANES >= 8 { 8 } else { 6 })
}

/// Vectors per register tile.
const VECTORS: usize = 2;

/// The length, up to whole tiles for vectors of up to eight f64, the longest that [`vectorize`] chooses.
pub(crate) fn padded(length: usize) -> usize {
    length.next_multiple_of(8 * VECTORS)
}

/// The right-hand side `[n, d]` of many products, packed as `[n / lanes][d][lanes]`: a tile reads it front to back.
#[derive(Debug, Clone)]
pub(crate) struct Panels {
    values: Vec<f64>,
    /// Width of a row; the same for both sides of a product.
    depth: usize,
    /// Number of columns of a product, padded.
    columns: usize,
    lanes: usize,
}

impl Panels {
    /// Packs `n` rows of `depth` values.
    pub(crate) fn pack(rows: &[f64], depth: usize) -> Self {
        let lanes = vectorize(Lanes);
        let n = rows.len() / depth;
        let columns = padded(n);
        let mut values = vec![0.0; columns * depth];
        for (i, row) in rows.chunks_exact(depth).enumerate() {
            let panel = &mut values[i / lanes * lanes * depth..];
            for (k, value) in row.iter().enumerate() {
                panel[k * lanes + i % lanes] = *value;
            }
        }
        Self { values, depth, columns, lanes }
    }

    /// Columns of a product: the number of packed rows, padded.
    pub(crate) fn columns(&self) -> usize {
        self.columns
    }

    /// `out[r][i] = Σ_k rows[r][k] packed[i][k]`; `out` is `[rows, columns]`.
    pub(crate) fn times(&self, rows: &[f64], stride: usize, out: &mut [f64]) {
        vectorize(Times { panels: self, rows, stride, out });
    }
}

struct Lanes;

impl WithSimd for Lanes {
    type Output = usize;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> usize {
        VECTORS * S::F64_LANES
    }
}

struct Times<'a> {
    panels: &'a Panels,
    rows: &'a [f64],
    stride: usize,
    out: &'a mut [f64],
}

impl WithSimd for Times<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let Panels { values, depth, columns, lanes } = self.panels;
        let count = self.out.len() / columns;
        for (panel, packed) in values.chunks_exact(depth * lanes).enumerate() {
            let (packed, _) = S::as_simd_f64s(packed);
            let mut row = 0;
            while row < count {
                let size = next_tile::<S>(count - row);
                match size {
                    1 => self.tile::<S, 1>(simd, packed, row, panel),
                    2 => self.tile::<S, 2>(simd, packed, row, panel),
                    3 => self.tile::<S, 3>(simd, packed, row, panel),
                    4 => self.tile::<S, 4>(simd, packed, row, panel),
                    5 => self.tile::<S, 5>(simd, packed, row, panel),
                    7 if S::F64_LANES >= 8 => self.tile::<S, 7>(simd, packed, row, panel),
                    8 if S::F64_LANES >= 8 => self.tile::<S, 8>(simd, packed, row, panel),
                    _ => self.tile::<S, 6>(simd, packed, row, panel),
                }
                row += size;
            }
        }
    }
}

impl Times<'_> {
    #[inline(always)]
    fn tile<S: Simd, const R: usize>(&mut self, simd: S, packed: &[S::f64s], row: usize, panel: usize) {
        let Panels { depth, columns, lanes, .. } = *self.panels;
        let rows: [&[f64]; R] = std::array::from_fn(|r| &self.rows[(row + r) * self.stride..][..depth]);
        let mut sums = [[simd.splat_f64s(0.0); VECTORS]; R];
        for (k, b) in packed.chunks_exact(VECTORS).enumerate() {
            for r in 0..R {
                let a = simd.splat_f64s(rows[r][k]);
                for v in 0..VECTORS {
                    sums[r][v] = simd.mul_add_e_f64s(a, b[v], sums[r][v]);
                }
            }
        }
        // Moved out, not lent: a tile that is borrowed as a whole lives in memory, and the loop above would write it there each time round.
        for (r, values) in sums.into_iter().enumerate() {
            let values: &[f64] = pulp::bytemuck::cast_slice(&values);
            self.out[(row + r) * columns + panel * lanes..][..lanes].copy_from_slice(values);
        }
    }
}

/// `sum[i][k] += Σ_r g[r][columns.start + i] x[r][k]`: `g` is `[rows, g_stride]`, `x` is `[rows, stride]`, `sum` is
/// `[columns, stride]`, and `stride` is [`padded`].
pub(crate) struct TransposedProduct<'a> {
    pub(crate) g: &'a [f64],
    pub(crate) g_stride: usize,
    pub(crate) columns: Range<usize>,
    pub(crate) x: &'a [f64],
    pub(crate) stride: usize,
    pub(crate) sum: &'a mut [f64],
}

impl TransposedProduct<'_> {
    /// Adds the product.
    pub(crate) fn add(self) {
        vectorize(self);
    }

    #[inline(always)]
    fn tile<S: Simd, const C: usize>(&mut self, simd: S, panel: &[f64], column: usize, k: usize) {
        let width = VECTORS * S::F64_LANES;
        let (panel, _) = S::as_simd_f64s(panel);
        let mut sums = [[simd.splat_f64s(0.0); VECTORS]; C];
        for (g, x) in self.g.chunks_exact(self.g_stride).zip(panel.chunks_exact(VECTORS)) {
            let g = &g[self.columns.start + column..][..C];
            for c in 0..C {
                let g = simd.splat_f64s(g[c]);
                for v in 0..VECTORS {
                    sums[c][v] = simd.mul_add_e_f64s(g, x[v], sums[c][v]);
                }
            }
        }
        for (c, values) in sums.into_iter().enumerate() {
            let values: &[f64] = pulp::bytemuck::cast_slice(&values);
            let to = &mut self.sum[(column + c) * self.stride + k..][..width];
            to.iter_mut().zip(values).for_each(|(to, value)| *to += value);
        }
    }
}

impl WithSimd for TransposedProduct<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let width = VECTORS * S::F64_LANES;
        let mut panel = vec![0.0; self.x.len() / self.stride * width];
        for k in (0..self.stride).step_by(width) {
            // One panel of columns, contiguous: its rows lie on as many pages of memory as there are rows.
            for (to, from) in panel.chunks_exact_mut(width).zip(self.x.chunks_exact(self.stride)) {
                to.copy_from_slice(&from[k..k + width]);
            }
            let mut column = 0;
            while column < self.columns.len() {
                let size = next_tile::<S>(self.columns.len() - column);
                match size {
                    1 => self.tile::<S, 1>(simd, &panel, column, k),
                    2 => self.tile::<S, 2>(simd, &panel, column, k),
                    3 => self.tile::<S, 3>(simd, &panel, column, k),
                    4 => self.tile::<S, 4>(simd, &panel, column, k),
                    5 => self.tile::<S, 5>(simd, &panel, column, k),
                    7 if S::F64_LANES >= 8 => self.tile::<S, 7>(simd, &panel, column, k),
                    8 if S::F64_LANES >= 8 => self.tile::<S, 8>(simd, &panel, column, k),
                    _ => self.tile::<S, 6>(simd, &panel, column, k),
                }
                column += size;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(count: usize, seed: usize) -> Vec<f64> {
        (0..count).map(|i| ((i * 7919 + seed) % 1009) as f64 / 500.0 - 1.0).collect()
    }

    /// `rows` of `width` values with zeros up to the padded width.
    fn widened(values: &[f64], width: usize) -> Vec<f64> {
        values.chunks(width).flat_map(|row| row.iter().copied().chain(std::iter::repeat_n(0.0, padded(width) - width))).collect()
    }

    #[test]
    fn products_agree_with_their_definition_at_every_size() {
        for (m, n, d) in [(1, 1, 1), (5, 7, 3), (6, 8, 16), (13, 23, 41), (64, 9, 100)] {
            let (rows, few) = (numbers(m * d, 1), numbers(n * d, 2));
            let panels = Panels::pack(&few, d);
            let mut out = vec![f64::NAN; m * panels.columns()];
            panels.times(&rows, d, &mut out);
            for r in 0..m {
                for i in 0..n {
                    let expected: f64 = (0..d).map(|k| rows[r * d + k] * few[i * d + k]).sum();
                    // Sums of at most 100 products below 1 in another order.
                    assert!((out[r * panels.columns() + i] - expected).abs() < 1e-13, "{m} {n} {d}");
                }
            }
        }
    }

    #[test]
    fn transposed_products_are_added_for_the_columns_asked_for() {
        for (m, n, d, columns) in [(1, 1, 1, 0..1), (5, 7, 3, 2..7), (64, 20, 41, 0..20), (9, 30, 16, 11..24)] {
            let (g, x) = (numbers(m * n, 3), numbers(m * d, 4));
            let stride = padded(d);
            let mut sum = vec![1.0; columns.len() * stride];
            TransposedProduct { g: &g, g_stride: n, columns: columns.clone(), x: &widened(&x, d), stride, sum: &mut sum }.add();
            for (row, i) in sum.chunks(stride).zip(columns) {
                for k in 0..d {
                    let expected = 1.0 + (0..m).map(|r| g[r * n + i] * x[r * d + k]).sum::<f64>();
                    assert!((row[k] - expected).abs() < 1e-13, "{m} {n} {d}");
                }
            }
        }
    }
}
