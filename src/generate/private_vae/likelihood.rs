//! p(x | z): how a decoder's outputs are read, value by value, and how records are made of them.

use crate::data::{Column, Normalization, Schema};
use crate::stats::{log_sum_exp, normal_log_pdf};
use crate::{Dataset, Error, Result};
use burn::tensor::Tensor;
use burn::tensor::activation::{sigmoid, softmax};
use std::ops::Range;

/// Values of a record that have one kind of distribution.
#[derive(Debug, Clone, PartialEq)]
enum Block {
    /// Bernoulli with these logits.
    Pixels(Range<usize>),
    /// Gaussian with these means, in normalised units.
    Numbers(Range<usize>),
    /// One level of a category, with these logits.
    Levels(Range<usize>),
}

/// The blocks of a record.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Likelihood {
    blocks: Vec<Block>,
    features: usize,
    deviation: f64,
}

impl Likelihood {
    /// For records of this kind; looks at the values only to refuse pixels that are none.
    pub(super) fn of(data: &Dataset, deviation: f64) -> Result<Self> {
        if data.schema().is_none() && data.x().iter().any(|value| !(0.0..=1.0).contains(value)) {
            let what = format!("a pixel of {} is not in 0 .. 1", data.name());
            return Err(Error::config(what, "expected images with values 0 .. 1, as they are before whitening"));
        }
        Ok(Self::new(data.schema(), data.features(), deviation))
    }

    pub(super) fn new(schema: Option<&Schema>, features: usize, deviation: f64) -> Self {
        let mut blocks = vec![];
        let mut at = 0;
        for column in schema.map_or(&[][..], |schema| &schema.columns) {
            let range = at..at + column.width();
            at = range.end;
            match (column, blocks.last_mut()) {
                (Column::Categorical { .. }, _) => blocks.push(Block::Levels(range)),
                // Neighbouring numbers are one block.
                (Column::Numeric { .. }, Some(Block::Numbers(last))) => last.end = range.end,
                (Column::Numeric { .. }, _) => blocks.push(Block::Numbers(range)),
            }
        }
        if schema.is_none() {
            blocks.push(Block::Pixels(0..features));
        }
        Self { blocks, features, deviation }
    }

    /// What the outputs are compared with, row-major: numbers normalised, pixels and levels as they are.
    pub(crate) fn targets(&self, data: &Dataset) -> Vec<f32> {
        let mut targets = data.x().to_vec();
        let normalized = data.normalized();
        for (row, normal) in targets.chunks_exact_mut(self.features).zip(normalized.chunks_exact(self.features)) {
            for block in &self.blocks {
                if let Block::Numbers(range) = block {
                    row[range.clone()].copy_from_slice(&normal[range.clone()]);
                }
            }
        }
        targets
    }

    /// The gradient of −log p(x | z) in the outputs, record by record. Both `[n, features]`.
    pub(super) fn gradient(&self, outputs: Tensor<2>, targets: Tensor<2>) -> Tensor<2> {
        let precision = 1.0 / (self.deviation * self.deviation);
        let parts = self.blocks.iter().map(|block| {
            let of = |t: &Tensor<2>, range: &Range<usize>| t.clone().slice([0..t.dims()[0], range.clone()]);
            match block {
                Block::Pixels(range) => sigmoid(of(&outputs, range)) - of(&targets, range),
                Block::Numbers(range) => (of(&outputs, range) - of(&targets, range)) * precision,
                Block::Levels(range) => softmax(of(&outputs, range), 1) - of(&targets, range),
            }
        });
        Tensor::cat(parts.collect(), 1)
    }

    /// a and b of log p(x | z) = ⟨x, a⟩ + b + c(x), from one row of outputs; c is [`Likelihood::offset`].
    pub(crate) fn linear(&self, outputs: &[f32]) -> (Vec<f64>, f64) {
        let precision = 1.0 / (self.deviation * self.deviation);
        let mut a: Vec<f64> = outputs.iter().map(|&o| f64::from(o)).collect();
        let mut b = 0.0;
        for block in &self.blocks {
            match block {
                // log(1 + exp o) without overflow.
                Block::Pixels(range) => b -= a[range.clone()].iter().map(|o| o.max(0.0) + libm::log1p(libm::exp(-o.abs()))).sum::<f64>(),
                Block::Numbers(range) => {
                    b -= a[range.clone()].iter().map(|o| 0.5 * precision * o * o).sum::<f64>();
                    a[range.clone()].iter_mut().for_each(|o| *o *= precision);
                }
                Block::Levels(range) => {
                    let total = log_sum_exp(&a[range.clone()]);
                    a[range.clone()].iter_mut().for_each(|o| *o -= total);
                }
            }
        }
        (a, b)
    }

    /// c(x): what no output changes.
    pub(crate) fn offset(&self, targets: &[f32]) -> f64 {
        let number = |&x: &f32| normal_log_pdf(f64::from(x), 0.0, self.deviation);
        let of = |block: &Block| match block {
            Block::Numbers(range) => targets[range.clone()].iter().map(number).sum(),
            Block::Pixels(_) | Block::Levels(_) => 0.0,
        };
        self.blocks.iter().map(of).sum()
    }

    /// Records in natural units from outputs, row-major, in place: means, and of categories the most likely level.
    pub(super) fn read(&self, outputs: &mut [f32], normalization: &Normalization) {
        for row in outputs.chunks_exact_mut(self.features) {
            for block in &self.blocks {
                match block {
                    Block::Pixels(range) => row[range.clone()].iter_mut().for_each(|v| *v = 1.0 / (1.0 + (-*v).exp())),
                    Block::Numbers(range) => range.clone().for_each(|i| row[i] = row[i] * normalization.std[i] + normalization.mean[i]),
                    Block::Levels(range) => {
                        let best = range.clone().fold(range.start, |best, i| if row[i] > row[best] { i } else { best });
                        range.clone().for_each(|i| row[i] = if i == best { 1.0 } else { 0.0 });
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_become_blocks_in_their_order() {
        let table = Dataset::toy_table();
        let likelihood = Likelihood::new(table.schema(), table.features(), 0.5);
        assert_eq!(likelihood.blocks, vec![Block::Numbers(0..2), Block::Levels(2..5)]);
        assert_eq!(Likelihood::new(None, 64, 0.5).blocks, vec![Block::Pixels(0..64)]);
    }

    #[test]
    fn outputs_become_one_level_and_numbers_in_their_own_unit() {
        let table = Dataset::toy_table();
        let likelihood = Likelihood::new(table.schema(), 5, 0.5);
        let normalization = Normalization { mean: vec![50.0, 10.0, 0.0, 0.0, 0.0], std: vec![30.0, 2.0, 1.0, 1.0, 1.0] };
        let mut row = [0.5, -1.0, -3.0, -1.0, -2.0];
        likelihood.read(&mut row, &normalization);
        assert_eq!(row, [65.0, 8.0, 0.0, 1.0, 0.0]);
        let mut pixels = [0.0, -200.0, 200.0];
        Likelihood::new(None, 3, 0.5).read(&mut pixels, &normalization);
        assert_eq!(pixels, [0.5, 0.0, 1.0]);
    }

    #[test]
    fn the_linear_form_is_the_likelihood_and_sums_to_one_where_values_can_be_counted() {
        let table = Dataset::toy_table();
        let likelihood = Likelihood::new(table.schema(), 5, 0.5);
        let outputs = [0.5f32, -1.0, -3.0, 400.0, 401.0];
        let log_p = |x: &[f32]| {
            let (a, b) = likelihood.linear(&outputs);
            a.iter().zip(x).map(|(a, &x)| a * f64::from(x)).sum::<f64>() + b + likelihood.offset(x)
        };
        let numbers = normal_log_pdf(2.0, 0.5, 0.5) + normal_log_pdf(0.25, -1.0, 0.5);
        let expected = numbers - (1.0 + 1f64.exp()).ln(); // level 1 of logits 400 and 401; exp(−403) is nothing
        assert!((log_p(&[2.0, 0.25, 0.0, 1.0, 0.0]) - expected).abs() < 1e-12);
        let levels = [[1.0f32, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]];
        let total: f64 = levels.iter().map(|level| (log_p(&[&[2.0, 0.25], &level[..]].concat()) - numbers).exp()).sum();
        assert!((total - 1.0).abs() < 1e-12);
        let pixels = Likelihood::new(None, 2, 0.5);
        let (a, b) = pixels.linear(&[3.0, -800.0]);
        let of = |x: [f64; 2]| (a[0] * x[0] + a[1] * x[1] + b).exp();
        assert!((of([0.0, 0.0]) + of([1.0, 0.0]) - 1.0).abs() < 1e-12 && of([0.0, 1.0]) == 0.0);
        assert!((of([1.0, 0.0]) - 1.0 / (1.0 + (-3f64).exp())).abs() < 1e-12);
    }
}
