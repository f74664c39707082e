//! Softmax statistics of many rows of logits at once: a block of rows is turned so that the rows lie side by side, and every step runs over
//! all of them with vector instructions.

use super::Signals;
use super::logits::Logits;
use crate::Result;
use crate::simd::elementary::{exp, ln, ln_1p};
use crate::simd::vectorized;
use rayon::prelude::*;

/// Rows of a block: with ten classes its numbers stay in the first cache.
const ROWS: usize = 256;

/// A block of rows, turned.
struct Turned {
    /// `[classes][rows]`.
    values: Vec<f64>,
    rows: usize,
    /// The label of each row.
    labels: Vec<usize>,
}

impl Turned {
    fn classes(&self) -> std::slice::ChunksExact<'_, f64> {
        self.values.chunks_exact(self.rows)
    }

    /// The label's value of every row, leaving −∞ in its place: a row is then that of the other classes.
    #[inline(always)]
    fn take_labels(&mut self) -> Vec<f64> {
        let take = |(row, &label): (usize, &usize)| std::mem::replace(&mut self.values[label * self.rows + row], f64::NEG_INFINITY);
        self.labels.iter().enumerate().map(take).collect()
    }

    #[inline(always)]
    fn largest(&self) -> Vec<f64> {
        let mut largest = vec![f64::NEG_INFINITY; self.rows];
        for class in self.classes() {
            largest.iter_mut().zip(class).for_each(|(largest, &z)| *largest = if z > *largest { z } else { *largest });
        }
        largest
    }

    /// log Σ exp z of every row.
    #[inline(always)]
    fn log_sums(&self) -> Vec<f64> {
        let largest = self.largest();
        let mut sums = vec![0.0; self.rows];
        for class in self.classes() {
            for row in 0..self.rows {
                sums[row] += exp(class[row] - largest[row]);
            }
        }
        sums.iter_mut().zip(&largest).for_each(|(sum, largest)| *sum = largest + ln(*sum));
        sums
    }

    /// z_y − log Σ_{j≠y} exp z_j.
    #[inline(always)]
    fn phi(&mut self) -> Vec<f64> {
        let mut own = self.take_labels();
        own.iter_mut().zip(self.log_sums()).for_each(|(own, others)| *own -= others);
        own
    }
}

impl Signals {
    pub(super) fn phis(&self, model: usize) -> Result<Vec<f64>> {
        self.blocks(model, Turned::phi)
    }

    pub(super) fn hinges(&self, model: usize) -> Result<Vec<f64>> {
        self.blocks(model, |block| {
            let mut own = block.take_labels();
            own.iter_mut().zip(block.largest()).for_each(|(own, other)| *own -= other);
            own
        })
    }

    pub(super) fn losses(&self, model: usize) -> Result<Vec<f64>> {
        self.blocks(model, |block| {
            let mut phi = block.phi();
            phi.iter_mut().for_each(|phi| *phi = f64::max(-*phi, 0.0) + ln_1p(exp(-phi.abs())));
            phi
        })
    }

    pub(super) fn log_softmax(&self, model: usize) -> Result<Vec<f64>> {
        self.blocks(model, |block| {
            let totals = block.log_sums();
            let classes = block.values.len() / block.rows;
            let mut rows = vec![0.0; block.values.len()];
            for (c, class) in block.classes().enumerate() {
                for row in 0..block.rows {
                    rows[row * classes + c] = class[row] - totals[row];
                }
            }
            rows
        })
    }

    /// What `statistic` makes of the rows of one model, block by block.
    fn blocks(&self, model: usize, statistic: impl Fn(&mut Turned) -> Vec<f64> + Sync) -> Result<Vec<f64>> {
        self.check_model(model)?;
        let (rows, classes) = (self.len() * self.queries, self.classes);
        let of_block = |start: usize| {
            let count = ROWS.min(rows - start);
            let labels = (start..start + count).map(|i| self.labels[i / self.queries] as usize).collect();
            let first = (model * rows + start) * classes;
            vectorized(|| {
                let values = match &self.logits {
                    Logits::F32(values) => turned(&values[first..first + count * classes], classes, |&z| f64::from(z)),
                    Logits::F64(values) => turned(&values[first..first + count * classes], classes, |&z| z),
                };
                statistic(&mut Turned { values, rows: count, labels })
            })
        };
        let starts: Vec<usize> = (0..rows).step_by(ROWS).collect();
        let parts: Vec<Vec<f64>> = starts.into_par_iter().map(of_block).collect();
        Ok(parts.concat())
    }
}

#[inline(always)]
fn turned<T>(values: &[T], classes: usize, wide: impl Fn(&T) -> f64) -> Vec<f64> {
    let rows = values.len() / classes;
    let mut turned = vec![0.0; values.len()];
    for (row, values) in values.chunks_exact(classes).enumerate() {
        for (class, value) in values.iter().enumerate() {
            turned[class * rows + row] = wide(value);
        }
    }
    turned
}
