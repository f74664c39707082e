//! The student: gradient descent on synthetic records, step by step, and its gradient in the records and in the step size.
//!
//! Forward θ_{i+1} = θ_i − α g_i with g_i = ∇θ loss(x_i, θ_i). Backward, with λ_i the gradient of a function of θ_N in θ_i:
//!
//! 1. dα −= ⟨λ_{i+1}, g_i⟩;
//! 2. dx_i = −α ∇x ⟨g_i, λ_{i+1}⟩;
//! 3. λ_i = λ_{i+1} − α ∇θ ⟨g_i, λ_{i+1}⟩.
//!
//! All θ_i are kept (N times the parameters, in f32); the g_i and what autodiff needs are computed again, one step at a time.

use crate::augment::Draws;
use crate::device::is_cpu;
use crate::nn::{Loss, Net, Wanted, added, gradient_product, to_host, to_tensor};
use crate::train::Rows;
use crate::{Error, Result};
use burn::tensor::{Device, Tensor, TensorData};
use rayon::prelude::*;

/// One value for every parameter, in the order of [`Net::weights`].
pub(super) type Weights = Vec<Tensor<1>>;

/// A network that learns batches of labelled records; its own weights do not matter.
pub(super) struct Student<'a> {
    pub(super) net: Net,
    pub(super) loss: Loss,
    pub(super) labels: &'a [u32],
    pub(super) shape: [usize; 3],
    pub(super) classes: usize,
    pub(super) device: &'a Device,
}

/// What one step sees.
pub(super) struct Batch {
    /// Of the records in the synthetic set.
    pub(super) positions: Vec<usize>,
    /// The records, augmented, row-major.
    pub(super) x: Vec<f32>,
    /// How they were augmented.
    pub(super) draws: Option<Draws>,
}

/// The gradient of a function of the last weights.
pub(super) struct Gradient {
    /// In all synthetic records, row-major.
    pub(super) in_x: Vec<f32>,
    pub(super) in_step_size: f64,
}

impl Student<'_> {
    /// Records that are handled together on the processor: few, so that the ten of one record per class keep two cores busy. Fixed,
    /// so that results do not depend on the number of threads.
    const PIECE: usize = 5;

    /// ‖ θ_N − target ‖² / ‖ from − target ‖² of a student that begins at `from`, and its gradient; `length` is that of the synthetic
    /// set.
    pub(super) fn miss(
        &self,
        batches: &[Batch],
        length: usize,
        step_size: f64,
        from: &[Vec<f32>],
        target: &[Vec<f32>],
    ) -> Result<(f64, Gradient)> {
        let square = |(a, b): (&f32, &f32)| (f64::from(*a) - f64::from(*b)).powi(2);
        let path = self.learn(self.tensors(from), batches, step_size);
        let scale: f64 = from.iter().flatten().zip(target.iter().flatten()).map(square).sum();
        let (mut loss, mut lambda) = (0.0, vec![]);
        for (end, target) in path[path.len() - 1].iter().zip(target) {
            let end = to_host(end.clone())?;
            loss += end.iter().zip(target).map(square).sum::<f64>() / scale;
            lambda.push(end.iter().zip(target).map(|(a, b)| (2.0 * f64::from(a - b) / scale) as f32).collect());
        }
        Ok((loss, self.pull_back(&path, batches, length, step_size, self.tensors(&lambda))?))
    }

    /// θ_0, .., θ_N for the batches of N steps. Nothing in the network is random: dropout is off, as in the way back.
    fn learn(&self, start: Weights, batches: &[Batch], step_size: f64) -> Vec<Weights> {
        let mut path = vec![start];
        for batch in batches {
            let now = &path[path.len() - 1];
            let net = self.with(now);
            let parts = self.pieces(batch, |x, targets, share| {
                let (logits, tape) = net.forward_saving(x);
                let (_, grad) = self.loss.of(logits, targets);
                net.weight_gradients(&tape, grad * share)
            });
            let gradient = parts.into_iter().reduce(added).unwrap_or_default();
            path.push(moved(now, &gradient, step_size));
        }
        path
    }

    /// The gradient of a function of θ_N from its gradient `lambda` in θ_N; `path` comes from [`Student::learn`].
    fn pull_back(&self, path: &[Weights], batches: &[Batch], length: usize, step_size: f64, mut lambda: Weights) -> Result<Gradient> {
        let d: usize = self.shape.iter().product();
        let mut in_x = vec![0.0; length];
        let mut slopes = vec![];
        for (i, (weights, batch)) in path.iter().zip(batches).enumerate().rev() {
            let net = self.with(weights);
            let wanted = if i == 0 { Wanted::Input } else { Wanted::InputAndWeights };
            let parts = self.pieces(batch, |x, targets, share| {
                let direction = |_: &[Tensor<1>]| Ok::<_, Error>(lambda.iter().cloned().map(Some).collect());
                let product = gradient_product(&net, self.loss, x, targets, wanted, direction)?;
                let slope = product.gradients.into_iter().zip(&lambda).map(|(g, v)| (g * v.clone()).sum() * share);
                let in_weights: Weights = product.in_weights.into_iter().map(|h| h * share).collect();
                Ok((slope.reduce(|a, b| a + b), to_host(product.in_input * (-step_size * share))?, in_weights))
            });
            let (mut in_batch, mut in_weights) = (vec![], vec![]);
            for part in parts {
                let (slope, part_x, part_weights) = part?;
                slopes.extend(slope);
                in_batch.extend(part_x);
                in_weights.push(part_weights);
            }
            if let Some(draws) = &batch.draws {
                in_batch = draws.adjoint(&in_batch);
            }
            for (&at, row) in batch.positions.iter().zip(in_batch.chunks_exact(d)) {
                in_x[at * d..(at + 1) * d].iter_mut().zip(row).for_each(|(sum, g)| *sum += g);
            }
            lambda = moved(&lambda, &in_weights.into_iter().reduce(added).unwrap_or_default(), step_size);
        }
        let slopes = if slopes.is_empty() { vec![] } else { to_host(Tensor::cat(slopes, 0))? };
        Ok(Gradient { in_x, in_step_size: -slopes.into_iter().map(f64::from).sum::<f64>() })
    }

    fn tensors(&self, vectors: &[Vec<f32>]) -> Weights {
        vectors.iter().map(|vector| Tensor::from_data(TensorData::new(vector.clone(), [vector.len()]), self.device)).collect()
    }

    fn with(&self, weights: &Weights) -> Net {
        let mut net = self.net.clone();
        net.weights.clone_from(weights);
        net
    }

    /// Some work on all pieces of a batch: records, targets, and the piece's share of the mean over the batch.
    fn pieces<T: Send>(&self, batch: &Batch, work: impl Fn(Tensor<4>, Tensor<2>, f64) -> T + Sync) -> Vec<T> {
        let [c, h, w] = self.shape;
        let n = batch.positions.len();
        let piece = if is_cpu(self.device) { Self::PIECE.min(n) } else { n };
        let rows = Rows { x: &[], labels: self.labels, soft: None, shape: self.shape, classes: self.classes };
        let parts = batch.positions.par_chunks(piece).zip(batch.x.par_chunks(piece * c * h * w));
        parts
            .map(|(positions, x)| {
                let x = to_tensor(x.to_vec(), [positions.len(), c, h, w], self.device);
                work(x, rows.targets(positions, self.device), positions.len() as f64 / n as f64)
            })
            .collect()
    }
}

/// weights − step · direction
fn moved(weights: &Weights, direction: &Weights, step: f64) -> Weights {
    weights.iter().zip(direction).map(|(w, d)| w.clone() - d.clone() * step).collect()
}
