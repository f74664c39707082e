//! What a fused block knows of every image by itself.

use super::ConvBlock;

/// The gradients of every image of a chunk by itself.
pub(crate) struct BlockGradients {
    pub(super) block: ConvBlock,
    pub(super) weight: Vec<f32>, // [n, 3, inputs, 3, outputs]
    pub(super) rest: Vec<f32>,   // [n, bias, scale and shift]
}

impl BlockGradients {
    fn rows(&self) -> impl Iterator<Item = (&[f32], &[f32])> {
        let (inputs, outputs) = (self.block.inputs, self.block.outputs);
        self.weight.chunks_exact(9 * inputs * outputs).zip(self.rest.chunks_exact(3 * outputs))
    }

    /// |gradient|² of every image.
    pub(in crate::nn) fn squared_lengths(&self) -> Vec<f32> {
        // Sums of sixteen, so that the compiler can use vectors.
        let squares = |values: &[f32]| -> f32 {
            let mut sums = [0.0; 16];
            let chunks = values.chunks_exact(16);
            let rest: f32 = chunks.remainder().iter().map(|v| v * v).sum();
            for chunk in chunks {
                sums.iter_mut().zip(chunk).for_each(|(sum, v)| *sum += v * v);
            }
            sums.iter().sum::<f32>() + rest
        };
        self.rows().map(|(weight, rest)| squares(weight) + squares(rest)).collect()
    }

    /// Σ factor · gradient, as weight, bias, scale and shift.
    pub(in crate::nn) fn weighted_sum(&self, factors: &[f32]) -> Vec<Vec<f32>> {
        let (inputs, o) = (self.block.inputs, self.block.outputs);
        let (mut weight, mut rest) = (vec![0.0; 9 * inputs * o], vec![0.0; 3 * o]);
        for ((own_weight, own_rest), factor) in self.rows().zip(factors) {
            weight.iter_mut().zip(own_weight).for_each(|(sum, v)| *sum += factor * v);
            rest.iter_mut().zip(own_rest).for_each(|(sum, v)| *sum += factor * v);
        }
        vec![self.block.outputs_first(&weight), rest[..o].to_vec(), rest[o..2 * o].to_vec(), rest[2 * o..].to_vec()]
    }

    /// The mean over every `times` consecutive images, as one image each.
    pub(in crate::nn) fn averaged(self, times: usize) -> Self {
        let mean = |values: &[f32], length: usize| {
            let mut out = vec![0.0; values.len() / times];
            for (out, group) in out.chunks_exact_mut(length).zip(values.chunks_exact(length * times)) {
                for values in group.chunks_exact(length) {
                    out.iter_mut().zip(values).for_each(|(sum, v)| *sum += v / times as f32);
                }
            }
            out
        };
        let (inputs, o) = (self.block.inputs, self.block.outputs);
        Self { weight: mean(&self.weight, 9 * inputs * o), rest: mean(&self.rest, 3 * o), block: self.block }
    }
}
