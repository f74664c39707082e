//! Softmax statistics of many rows of logits at once: a block of rows is turned so that the rows lie side by side, and every step runs over
//! all of them with vector instructions.

use super::Signals;
use super::logits::Logits;
use crate::Result;
use crate::simd::elementary::{exp, ln, ln_1p};
use crate::simd::{Loops, vectorized};
use rayon::prelude::*;
use std::marker::PhantomData;

/// Rows of a block: with ten classes its numbers stay in the first cache. A fixed length, so that no loop over a column checks its bounds.
const ROWS: usize = 64;

/// One number for each row of a block.
type Column = [f64; ROWS];

/// A block of rows, turned: one column for each class.
struct Turned<'a> {
    classes: &'a mut [Column],
    /// The label of each row; 0 behind the last row.
    labels: &'a [usize; ROWS],
}

impl Turned<'_> {
    /// The label's value of every row, leaving −∞ in its place: a row is then that of the other classes.
    #[inline(always)]
    fn take_labels(&mut self) -> Column {
        let mut own = [0.0; ROWS];
        for (row, (own, &label)) in own.iter_mut().zip(self.labels).enumerate() {
            *own = std::mem::replace(&mut self.classes[label][row], f64::NEG_INFINITY);
        }
        own
    }

    #[inline(always)]
    fn largest(&self) -> Column {
        let mut largest = [f64::NEG_INFINITY; ROWS];
        for class in &*self.classes {
            for row in 0..ROWS {
                largest[row] = if class[row] > largest[row] { class[row] } else { largest[row] };
            }
        }
        largest
    }

    /// log Σ exp z of every row.
    #[inline(always)]
    fn log_sums(&self) -> Column {
        let largest = self.largest();
        let mut sums = [0.0; ROWS];
        for class in &*self.classes {
            for row in 0..ROWS {
                sums[row] += exp(class[row] - largest[row]);
            }
        }
        for row in 0..ROWS {
            sums[row] = largest[row] + ln(sums[row]);
        }
        sums
    }

    /// z_y − log Σ_{j≠y} exp z_j.
    #[inline(always)]
    fn phi(&mut self) -> Column {
        let (mut own, others) = (self.take_labels(), self.log_sums());
        for row in 0..ROWS {
            own[row] -= others[row];
        }
        own
    }
}

/// What is made of a block of rows.
trait Statistic: Sync {
    /// Writes the same number of values for each row; there may be fewer rows than a block has.
    fn write(block: &mut Turned, results: &mut [f64]);
}

struct Phi;
struct Hinge;
struct Loss;
struct LogSoftmax;

impl Statistic for Phi {
    #[inline(always)]
    fn write(block: &mut Turned, results: &mut [f64]) {
        results.copy_from_slice(&block.phi()[..results.len()]);
    }
}

impl Statistic for Hinge {
    #[inline(always)]
    fn write(block: &mut Turned, results: &mut [f64]) {
        let (own, others) = (block.take_labels(), block.largest());
        results.iter_mut().zip(own).zip(others).for_each(|((result, own), other)| *result = own - other);
    }
}

impl Statistic for Loss {
    #[inline(always)]
    fn write(block: &mut Turned, results: &mut [f64]) {
        let mut losses = block.phi();
        for loss in &mut losses {
            let phi = *loss;
            *loss = if phi < 0.0 { -phi } else { 0.0 } + ln_1p(exp(-phi.abs()));
        }
        results.copy_from_slice(&losses[..results.len()]);
    }
}

impl Statistic for LogSoftmax {
    #[inline(always)]
    fn write(block: &mut Turned, results: &mut [f64]) {
        let (totals, classes) = (block.log_sums(), block.classes.len());
        for (row, of_row) in results.chunks_exact_mut(classes).enumerate() {
            of_row.iter_mut().zip(&*block.classes).for_each(|(value, class)| *value = class[row] - totals[row]);
        }
    }
}

impl Signals {
    pub(super) fn phis(&self, model: usize) -> Result<Vec<f64>> {
        self.blocks::<Phi>(model, 1)
    }

    pub(super) fn hinges(&self, model: usize) -> Result<Vec<f64>> {
        self.blocks::<Hinge>(model, 1)
    }

    pub(super) fn losses(&self, model: usize) -> Result<Vec<f64>> {
        self.blocks::<Loss>(model, 1)
    }

    pub(super) fn log_softmax(&self, model: usize) -> Result<Vec<f64>> {
        self.blocks::<LogSoftmax>(model, self.classes)
    }

    /// A statistic of the rows of one model, `width` numbers for each, block by block.
    fn blocks<S: Statistic>(&self, model: usize, width: usize) -> Result<Vec<f64>> {
        self.check_model(model)?;
        let (rows, classes) = (self.len() * self.queries, self.classes);
        let mut results = vec![0.0; rows * width];
        let of_block = |turned: &mut Vec<Column>, (block, results): (usize, &mut [f64])| {
            let (start, count) = (block * ROWS, results.len() / width);
            let labels = &self.labels_of(start, count);
            let logits = (model * rows + start) * classes..(model * rows + start + count) * classes;
            match &self.logits {
                Logits::F32(values) => vectorized(OfBlock::<S, f32>::new(&values[logits], turned, labels, results)),
                Logits::F64(values) => vectorized(OfBlock::<S, f64>::new(&values[logits], turned, labels, results)),
            }
        };
        // Numbers behind the last row of the last block are left from another block, or 0: finite, and nobody reads what comes of them.
        let blocks = results.par_chunks_mut(ROWS * width).enumerate().with_min_len(32);
        blocks.for_each_init(|| vec![[0.0; ROWS]; classes], of_block);
        Ok(results)
    }

    /// The labels of `count` rows from `start` on; those of a record's queries are its own.
    fn labels_of(&self, start: usize, count: usize) -> [usize; ROWS] {
        let (mut record, mut query) = (start / self.queries, start % self.queries);
        let mut labels = [0; ROWS];
        for label in &mut labels[..count] {
            *label = self.labels[record] as usize;
            query += 1;
            if query == self.queries {
                (record, query) = (record + 1, 0);
            }
        }
        labels
    }
}

/// A statistic of one block of logits.
struct OfBlock<'a, S, T> {
    logits: &'a [T],
    block: Turned<'a>,
    results: &'a mut [f64],
    statistic: PhantomData<S>,
}

impl<'a, S, T> OfBlock<'a, S, T> {
    fn new(logits: &'a [T], classes: &'a mut [Column], labels: &'a [usize; ROWS], results: &'a mut [f64]) -> Self {
        Self { logits, block: Turned { classes, labels }, results, statistic: PhantomData }
    }
}

impl<S: Statistic, T: Copy + Into<f64>> Loops for OfBlock<'_, S, T> {
    type Output = ();

    #[inline(always)]
    fn run(mut self) {
        let classes = self.block.classes.len();
        for (class, column) in self.block.classes.iter_mut().enumerate() {
            for (value, &logit) in column.iter_mut().zip(self.logits[class..].iter().step_by(classes)) {
                *value = logit.into();
            }
        }
        S::write(&mut self.block, self.results);
    }
}
