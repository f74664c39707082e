//! The neural tangent kernel of a fully connected ReLU network of any depth and infinite width, in f64, with its derivatives.
//!
//! With w and b the variances of weights and biases and d the number of values of a record: S(x, x') = w ⟨x, x'⟩ / d + b, T = S;
//! then for every hidden layer, with r = √(S(x, x) S(x', x')) and φ = arccos(S(x, x') / r),
//!
//! S ← w r (sin φ + (π − φ) cos φ) / 2π + b,  T ← S + w (π − φ) / 2π · T, where the second S is the new one.
//!
//! T is the kernel: a network that is trained to the end by gradient descent predicts as kernel regression with T does. Many
//! records (rows) are compared with few (columns); derivatives are those that a change of a *column* needs: in S₀ = w ⟨x, x'⟩ / d + b
//! and in the column's own S₀(x', x').
//!
//! # References
//! Jacot, Gabriel and Hongler, arXiv 1806.07572; the arc-cosine recursion: Cho and Saul, NIPS 2009; Lee et al., arXiv 1902.06720.

mod cholesky;
mod layers;
mod product;
mod records;

pub(crate) use cholesky::Cholesky;
pub(crate) use product::{Panels, TransposedProduct, padded};
pub(crate) use records::Records;

use crate::{Error, Result};
use layers::Layers;
use rayon::prelude::*;

/// Rows that are compared at a time: with columns of a few hundred records they stay in the cache. Fixed, so that results do not
/// depend on the number of threads.
pub(crate) const CHUNK: usize = 64;

/// The kernel's parameters.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct TangentKernel {
    pub(crate) depth: usize,
    pub(crate) weight_variance: f64,
    pub(crate) bias_variance: f64,
}

impl TangentKernel {
    pub(crate) fn check(&self) -> Result<()> {
        if !(self.weight_variance.is_finite() && self.weight_variance > 0.0) {
            return Err(Error::config(format!("weight_variance is {}", self.weight_variance), "expected a positive number"));
        }
        if !(self.bias_variance.is_finite() && self.bias_variance >= 0.0) {
            return Err(Error::config(format!("bias_variance is {}", self.bias_variance), "expected a number of at least 0"));
        }
        Ok(())
    }

    /// S₀(x, x) of a record of `width` values; `row` may be padded with zeros.
    fn norm(&self, row: &[f64], width: usize) -> f64 {
        self.weight_variance * dot(row, row) / width as f64 + self.bias_variance
    }

    /// S of a record with itself before every layer: there φ = 0, so that S ← w S / 2 + b.
    fn norms(&self, first: f64) -> impl Iterator<Item = f64> {
        let Self { depth, weight_variance, bias_variance } = *self;
        std::iter::successors(Some(first), move |s| Some(weight_variance * s / 2.0 + bias_variance)).take(depth)
    }

    /// T(x, x) from S₀(x, x), and its derivative. arccos has none at φ = 0, but the recursion there is linear.
    fn diagonal(&self, first: f64) -> (f64, f64) {
        let half = self.weight_variance / 2.0;
        let (mut s, mut t) = (first, first);
        let (mut s_slope, mut t_slope) = (1.0, 1.0);
        for _ in 0..self.depth {
            s = half * s + self.bias_variance;
            s_slope *= half;
            t = s + half * t;
            t_slope = s_slope + half * t_slope;
        }
        (t, t_slope)
    }
}

/// The few records that many rows are compared with.
pub(crate) struct Columns {
    kernel: TangentKernel,
    panels: Panels,
    width: usize,
    count: usize,
    /// S of every column with itself before every layer.
    norms: Vec<Vec<f64>>,
}

/// Kernel values of some rows with all columns, `[rows, stride]`.
#[derive(Debug, Default)]
pub(crate) struct Block {
    pub(crate) stride: usize,
    /// T.
    pub(crate) value: Vec<f64>,
    /// ∂T / ∂S₀(row, column).
    pub(crate) slope: Vec<f64>,
    /// ∂T / ∂S₀(column, column).
    pub(crate) norm_slope: Vec<f64>,
}

impl Columns {
    pub(crate) fn new(kernel: TangentKernel, records: &Records) -> Self {
        let panels = Panels::pack(&records.values, records.stride());
        // The padding has the norm 1, which divides safely.
        let mut norms = vec![vec![1.0; panels.columns()]; kernel.depth];
        for (i, row) in records.rows().enumerate() {
            for (layer, norm) in norms.iter_mut().zip(kernel.norms(kernel.norm(row, records.width))) {
                layer[i] = norm;
            }
        }
        Self { kernel, panels, width: records.width, count: records.len(), norms }
    }

    /// The number of columns.
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// Values of a record without padding.
    pub(crate) fn width(&self) -> usize {
        self.width
    }

    /// Compares `rows`, padded as the columns' records are, with all columns.
    pub(crate) fn compare(&self, rows: &[f64], block: &mut Block) {
        let stride = padded(self.width);
        block.stride = self.panels.columns();
        let size = rows.len() / stride * block.stride;
        block.value.resize(size, 0.0);
        block.slope.resize(size, 0.0);
        block.norm_slope.resize(size, 0.0);
        self.panels.times(rows, stride, &mut block.value);
        for (r, row) in rows.chunks_exact(stride).enumerate() {
            let at = r * block.stride..(r + 1) * block.stride;
            Layers {
                kernel: &self.kernel,
                width: self.width,
                row_norm: self.kernel.norm(row, self.width),
                column_norms: &self.norms,
                value: &mut block.value[at.clone()],
                slope: &mut block.slope[at.clone()],
                norm_slope: &mut block.norm_slope[at],
            }
            .run();
        }
    }

    /// Kernel values of the columns' own `records` with each other, `[n, n]`, without derivatives.
    pub(crate) fn own_values(&self, records: &Records) -> Vec<f64> {
        let mut matrix = self.values(records);
        for (i, row) in records.rows().enumerate() {
            matrix[i * self.count + i] = self.kernel.diagonal(self.kernel.norm(row, records.width)).0;
        }
        matrix
    }

    /// Kernel values of `records` with the columns, `[rows, columns]` without padding.
    pub(crate) fn values(&self, records: &Records) -> Vec<f64> {
        let mut out = vec![0.0; records.len() * self.count];
        out.par_chunks_mut(CHUNK * self.count).zip(records.values.par_chunks(CHUNK * records.stride())).for_each(|(out, rows)| {
            let mut block = Block::default();
            self.compare(rows, &mut block);
            for (out, row) in out.chunks_exact_mut(self.count).zip(block.value.chunks_exact(block.stride)) {
                out.copy_from_slice(&row[..self.count]);
            }
        });
        out
    }
}

/// The kernel of records with themselves.
pub(crate) struct Symmetric {
    pub(crate) block: Block,
    /// ∂T(x, x) / ∂S₀(x, x).
    pub(crate) diagonal_slope: Vec<f64>,
}

impl Symmetric {
    /// Rows per task: fewer than a chunk, for there are few.
    const ROWS: usize = 24;

    /// Compares the columns' own `records` with each other. On the diagonal φ is exactly 0, whatever rounding would make of it.
    pub(crate) fn of(columns: &Columns, records: &Records) -> Self {
        let (n, stride) = (records.len(), columns.panels.columns());
        let parts: Vec<Block> = records
            .values
            .par_chunks(Self::ROWS * records.stride())
            .map(|rows| {
                let mut block = Block::default();
                columns.compare(rows, &mut block);
                block
            })
            .collect();
        let mut block = Block { stride, ..Block::default() };
        for part in parts {
            block.value.extend(part.value);
            block.slope.extend(part.slope);
            block.norm_slope.extend(part.norm_slope);
        }
        let mut diagonal_slope = Vec::with_capacity(n);
        for (i, row) in records.rows().enumerate() {
            let (value, slope) = columns.kernel.diagonal(columns.kernel.norm(row, records.width));
            block.value[i * stride + i] = value;
            block.slope[i * stride + i] = 0.0;
            block.norm_slope[i * stride + i] = 0.0;
            diagonal_slope.push(slope);
        }
        Self { block, diagonal_slope }
    }

    /// The kernel matrix, row-major `[n, n]` without padding.
    pub(crate) fn matrix(&self) -> Vec<f64> {
        let n = self.diagonal_slope.len();
        self.block.value.chunks_exact(self.block.stride).flat_map(|row| row[..n].iter().copied()).collect()
    }
}

/// K + ridge · trace(K) / n · I.
pub(crate) fn add_ridge(matrix: &mut [f64], n: usize, ridge: f64) {
    let mean = matrix.iter().step_by(n + 1).sum::<f64>() / n as f64;
    matrix.iter_mut().step_by(n + 1).for_each(|diagonal| *diagonal += ridge * mean);
}

/// ⟨a, b⟩ in eight partial sums, which fill vector registers.
pub(crate) fn dot(a: &[f64], b: &[f64]) -> f64 {
    let (a, a_rest) = a.as_chunks::<8>();
    let (b, b_rest) = b.as_chunks::<8>();
    let mut sums = [0.0; 8];
    for (a, b) in a.iter().zip(b) {
        for lane in 0..8 {
            sums[lane] += a[lane] * b[lane];
        }
    }
    sums.iter().sum::<f64>() + a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum::<f64>()
}

/// `y += factor · x`.
pub(crate) fn axpy(factor: f64, x: &[f64], y: &mut [f64]) {
    y.iter_mut().zip(x).for_each(|(y, x)| *y += factor * x);
}

#[cfg(test)]
mod tests;
