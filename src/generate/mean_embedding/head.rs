//! From what the generator's last layer says to a record as the features see it: pixels, numbers and probabilities of levels.

use super::generator::Kind;
use crate::data::Column;
use burn::tensor::Tensor;
use burn::tensor::activation::{sigmoid, softmax};
use std::ops::Range;

/// What becomes of the columns of a row.
pub(super) struct Head {
    parts: Vec<Part>,
}

struct Part {
    columns: Range<usize>,
    output: Output,
}

enum Output {
    /// Sigmoid: 0 .. 1.
    Pixels,
    /// As it is, in the normalised space.
    Number,
    /// Softmax, then the normalisation of its columns, if that is not the identity.
    Category { mean: Vec<f32>, std: Vec<f32> },
}

impl Head {
    pub(super) fn new(kind: &Kind) -> Self {
        let Some(schema) = &kind.schema else {
            return Self { parts: vec![Part { columns: 0..kind.shape.iter().product(), output: Output::Pixels }] };
        };
        let mut at = 0;
        let parts = schema.columns.iter().map(|column| {
            let columns = at..at + column.width();
            at = columns.end;
            let output = match column {
                Column::Numeric { .. } => Output::Number,
                Column::Categorical { .. } => Output::Category {
                    mean: kind.normalization.mean[columns.clone()].to_vec(),
                    std: kind.normalization.std[columns.clone()].to_vec(),
                },
            };
            Part { columns, output }
        });
        Self { parts: parts.collect() }
    }

    /// `[n, d, 1, 1]` to rows `[n, d]`.
    pub(super) fn forward(&self, raw: Tensor<4>) -> Tensor<2> {
        let [n, d, ..] = raw.dims();
        let raw: Tensor<2> = raw.reshape([n, d]);
        self.each(|part| {
            let z = raw.clone().slice([0..n, part.columns.clone()]);
            match &part.output {
                Output::Pixels => sigmoid(z),
                Output::Number => z,
                Output::Category { mean, std } => (softmax(z, 1) - row(mean, &raw)) / row(std, &raw),
            }
        })
    }

    /// The gradient in the raw values, from the rows of [`Head::forward`] and the gradient in them.
    pub(super) fn input_gradient(&self, made: Tensor<2>, grad: Tensor<2>) -> Tensor<4> {
        let [n, d] = made.dims();
        let gradient = self.each(|part| {
            let y = made.clone().slice([0..n, part.columns.clone()]);
            let g = grad.clone().slice([0..n, part.columns.clone()]);
            match &part.output {
                Output::Pixels => g * y.clone() * (-y + 1.0),
                Output::Number => g,
                Output::Category { mean, std } => {
                    let p = y * row(std, &made) + row(mean, &made);
                    let g = g / row(std, &made);
                    let across = (p.clone() * g.clone()).sum_dim(1);
                    p * (g - across)
                }
            }
        });
        gradient.reshape([n, d, 1, 1])
    }

    /// Every category becomes its most probable level; rows as [`Head::forward`] gives them.
    pub(super) fn round(&self, rows: &mut [f32], d: usize) {
        for record in rows.chunks_exact_mut(d) {
            for part in &self.parts {
                let Output::Category { mean, std } = &part.output else { continue };
                let values = &mut record[part.columns.clone()];
                let p: Vec<f32> = values.iter().zip(mean).zip(std).map(|((y, mean), std)| y * std + mean).collect();
                let best = p.iter().enumerate().fold(0, |best, (level, value)| if *value > p[best] { level } else { best });
                for (level, value) in values.iter_mut().enumerate() {
                    *value = (f32::from(u8::from(level == best)) - mean[level]) / std[level];
                }
            }
        }
    }

    fn each(&self, of: impl Fn(&Part) -> Tensor<2>) -> Tensor<2> {
        Tensor::cat(self.parts.iter().map(of).collect(), 1)
    }
}

/// `[1, width]` beside a tensor.
fn row(values: &[f32], beside: &Tensor<2>) -> Tensor<2> {
    Tensor::<1>::from_floats(values, &beside.device()).reshape([1, values.len()])
}
