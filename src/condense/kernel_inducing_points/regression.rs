//! Kernel ridge regression from the synthetic records to the real ones: the loss and its gradient, by hand.
//!
//! With K the kernel of the n synthetic records, A = K + ridge · trace(K) / n · I, W = A⁻¹ Y, and k the kernel of the m targets with
//! the synthetic records: L = ‖k W − Y_t‖² / (2 m C). Backwards, with G = (k W − Y_t) / (m C):
//!
//! ∂L/∂W = kᵀ G, ∂L/∂k = G Wᵀ, ∂L/∂Y = A⁻¹ ∂L/∂W = V, ∂L/∂A = −V Wᵀ, ∂L/∂K = ∂L/∂A + ridge / n · trace(∂L/∂A) · I.
//!
//! W does not depend on the targets, so one pass over them does everything: compare a chunk with the synthetic records, predict,
//! and carry the residual straight back.

use crate::kernel::{Block, CHUNK, Cholesky, Columns, Records, Symmetric, TangentKernel, TransposedProduct, add_ridge, axpy, dot, padded};
use crate::{Error, Result};
use rayon::prelude::*;
use std::ops::Range;

/// Parts of the targets that are summed on their own. Fixed, so that the sums do not depend on the number of threads; few, because
/// each has a copy of the gradient.
const PARTS: usize = 8;

/// Synthetic records per task when their gradient is put together: whole register tiles.
const TASK: usize = 24;

/// Regression with fixed parameters.
#[derive(Debug, Clone, Copy)]
pub(super) struct Regression {
    pub(super) kernel: TangentKernel,
    /// In units of the mean of the kernel's diagonal.
    pub(super) ridge: f64,
    pub(super) classes: usize,
}

/// The real records to predict.
pub(super) struct Targets<'a> {
    /// Writes the values of target `t`, normalised.
    pub(super) record: &'a (dyn Fn(usize, &mut [f64]) + Sync),
    pub(super) labels: &'a [u32],
}

/// The loss and its derivatives.
#[derive(Debug)]
pub(super) struct Gradient {
    pub(super) loss: f64,
    /// `[n, width]`.
    pub(super) records: Vec<f64>,
    /// `[n, classes]`.
    pub(super) targets: Vec<f64>,
}

/// What one part of the targets contributes.
struct Part {
    loss: f64,
    /// ∂L/∂W, `[classes, n]`.
    weights: Vec<f64>,
    /// ∂L/∂S₀(target, record) times the targets, `[n, stride]`.
    records: Vec<f64>,
    /// ∂L/∂S₀(record, record), `[n]`.
    norms: Vec<f64>,
}

impl Regression {
    /// One-hot of the label minus 1 / classes.
    pub(super) fn centred(&self, label: u32) -> impl Iterator<Item = f64> {
        let mean = 1.0 / self.classes as f64;
        (0..self.classes).map(move |class| f64::from(u8::from(class == label as usize)) - mean)
    }

    /// The loss and its gradient at `records` with the regression targets `y`, `[n, classes]`.
    pub(super) fn gradient(&self, records: &Records, y: &[f64], targets: &Targets<'_>) -> Result<Gradient> {
        let n = records.len();
        let columns = Columns::new(self.kernel, records);
        let own = Symmetric::of(&columns, records);
        let mut matrix = own.matrix();
        add_ridge(&mut matrix, n, self.ridge);
        let singular = || {
            let what = format!("ridge is {} with {n} synthetic records", self.ridge);
            Error::config(what, "expected more: their kernel matrix is singular")
        };
        let factor = Cholesky::of(matrix, n).ok_or_else(singular)?;
        let mut weights = transposed(y, self.classes);
        factor.solve(&mut weights);
        let mut sum = self.all_targets(&columns, &weights, targets);
        factor.solve(&mut sum.weights); // now ∂L/∂Y
        self.own_kernel(&own, records, &weights, &mut sum);
        let (width, stride) = (records.width, records.stride());
        let scale = self.kernel.weight_variance / width as f64;
        let mut gradient = Vec::with_capacity(n * width);
        for ((sum, norm), row) in sum.records.chunks_exact(stride).zip(&sum.norms).zip(records.values.chunks_exact(stride)) {
            gradient.extend(sum.iter().zip(row).take(width).map(|(sum, x)| scale * (sum + 2.0 * norm * x)));
        }
        Ok(Gradient { loss: sum.loss, records: gradient, targets: transposed(&sum.weights, n) })
    }

    fn all_targets(&self, columns: &Columns, weights: &[f64], targets: &Targets<'_>) -> Part {
        let m = targets.labels.len();
        let share = m.div_ceil(CHUNK).div_ceil(PARTS) * CHUNK;
        let starts: Vec<usize> = (0..m).step_by(share).collect();
        let mut parts: Vec<Part> =
            starts.into_par_iter().map(|start| self.some_targets(columns, weights, targets, start..(start + share).min(m))).collect();
        let mut sum = parts.pop().unwrap_or_else(|| self.nothing(columns));
        for part in &parts {
            sum.loss += part.loss;
            axpy(1.0, &part.weights, &mut sum.weights);
            axpy(1.0, &part.norms, &mut sum.norms);
        }
        let task = TASK * padded(columns.width());
        sum.records.par_chunks_mut(task).enumerate().for_each(|(at, sum)| {
            parts.iter().for_each(|part| axpy(1.0, &part.records[at * task..], sum));
        });
        sum
    }

    fn nothing(&self, columns: &Columns) -> Part {
        let n = columns.count();
        Part { loss: 0.0, weights: vec![0.0; self.classes * n], records: vec![0.0; n * padded(columns.width())], norms: vec![0.0; n] }
    }

    fn some_targets(&self, columns: &Columns, weights: &[f64], targets: &Targets<'_>, range: Range<usize>) -> Part {
        let (n, width) = (columns.count(), columns.width());
        let stride = padded(width);
        let mut part = self.nothing(columns);
        let mut rows = vec![0.0; CHUNK * stride];
        let mut block = Block::default();
        for start in range.clone().step_by(CHUNK) {
            let chunk = start..(start + CHUNK).min(range.end);
            let rows = &mut rows[..chunk.len() * stride];
            for (t, row) in chunk.clone().zip(rows.chunks_exact_mut(stride)) {
                (targets.record)(t, &mut row[..width]);
            }
            columns.compare(rows, &mut block);
            self.carry_back(weights, &targets.labels[chunk], 1.0 / targets.labels.len() as f64, &mut block, &mut part);
            let (g, g_stride) = (&block.slope[..], block.stride);
            TransposedProduct { g, g_stride, columns: 0..n, x: rows, stride, sum: &mut part.records }.add();
        }
        part
    }

    /// Predicts the targets of a block and turns its slopes into ∂L/∂S₀(target, record).
    fn carry_back(&self, weights: &[f64], labels: &[u32], share: f64, block: &mut Block, part: &mut Part) {
        let n = part.norms.len();
        let scale = share / self.classes as f64;
        let mut gradient = vec![0.0; n]; // ∂L/∂k, one row
        for (r, label) in labels.iter().enumerate() {
            let at = r * block.stride..r * block.stride + n;
            let value = &block.value[at.clone()];
            gradient.fill(0.0);
            for ((weights, sums), y) in weights.chunks_exact(n).zip(part.weights.chunks_exact_mut(n)).zip(self.centred(*label)) {
                let residual = dot(value, weights) - y;
                part.loss += 0.5 * scale * residual * residual;
                axpy(scale * residual, value, sums);
                axpy(scale * residual, weights, &mut gradient);
            }
            let slopes = block.slope[at.clone()].iter_mut().zip(&block.norm_slope[at]);
            for ((gradient, (slope, norm_slope)), norm) in gradient.iter().zip(slopes).zip(&mut part.norms) {
                *slope *= gradient;
                *norm += gradient * norm_slope;
            }
        }
    }

    /// Adds what comes through the synthetic records' own kernel; `sum.weights` is ∂L/∂Y.
    fn own_kernel(&self, own: &Symmetric, records: &Records, weights: &[f64], sum: &mut Part) {
        let (n, cols, stride) = (records.len(), own.block.stride, records.stride());
        let mut matrix = vec![0.0; n * n]; // ∂L/∂A, then what is multiplied with the records
        for (v, w) in sum.weights.chunks_exact(n).zip(weights.chunks_exact(n)) {
            for (row, v) in matrix.chunks_exact_mut(n).zip(v) {
                axpy(-v, w, row);
            }
        }
        let ridge = self.ridge / n as f64 * matrix.iter().step_by(n + 1).sum::<f64>();
        for i in 0..n {
            sum.norms[i] += (matrix[i * n + i] + ridge) * own.diagonal_slope[i];
            for j in 0..i {
                let both = matrix[i * n + j] + matrix[j * n + i];
                // Row i as the column of the kernel, and row j: the slope in S₀ is the same, those in the norms are not.
                sum.norms[i] += both * own.block.norm_slope[j * cols + i];
                sum.norms[j] += both * own.block.norm_slope[i * cols + j];
                matrix[i * n + j] = both * own.block.slope[i * cols + j];
                matrix[j * n + i] = matrix[i * n + j];
            }
            matrix[i * n + i] = 0.0;
        }
        sum.records.par_chunks_mut(TASK * stride).enumerate().for_each(|(task, sum)| {
            let columns = task * TASK..task * TASK + sum.len() / stride;
            TransposedProduct { g: &matrix, g_stride: n, columns, x: &records.values, stride, sum }.add();
        });
    }
}

/// `[rows, columns]` as `[columns, rows]`.
fn transposed(values: &[f64], columns: usize) -> Vec<f64> {
    (0..columns).flat_map(|column| values.iter().skip(column).step_by(columns).copied()).collect()
}

#[cfg(test)]
mod tests;
