//! What is differentiated: from the values that are searched to the outputs of the target, through one network or two.

use super::InversionCost;
use super::descend::{Objective, Slope};
use crate::data::Normalization;
use crate::nn::{Net, to_host, to_tensor};
use crate::{Error, Result};
use burn::tensor::{Device, Tensor};

/// A network and the normalisation before it.
pub(super) struct Stage {
    pub(super) net: Net,
    mean: Tensor<4>,
    std: Tensor<4>,
}

/// Networks one after the other. All work on every record by itself.
pub(super) struct Chain {
    pub(super) stages: Vec<Stage>,
    pub(super) shape: [usize; 3],
    pub(super) range: [f32; 2],
    pub(super) device: Device,
}

impl Stage {
    pub(super) fn new(net: Net, normalization: &Normalization, device: &Device) -> Self {
        let channels = |values: &[f32]| to_tensor(values.to_vec(), [1, values.len(), 1, 1], device);
        Self { net, mean: channels(&normalization.mean), std: channels(&normalization.std) }
    }
}

impl Chain {
    pub(super) fn shape(&self) -> [usize; 3] {
        self.shape
    }

    /// The smallest and the largest value that is valid.
    pub(super) fn range(&self) -> [f32; 2] {
        self.range
    }
}

impl Objective for Chain {
    fn slope(&mut self, x: &[f32], rows: &[(usize, usize)], cost: InversionCost, step: usize) -> Result<Slope> {
        let [c, h, w] = self.shape;
        let n = rows.len();
        let mut value = to_tensor(x.to_vec(), [n, c, h, w], &self.device);
        let mut tapes = Vec::with_capacity(self.stages.len());
        for stage in &self.stages {
            let (out, tape) = stage.net.forward_saving((value - stage.mean.clone()) / stage.std.clone());
            tapes.push(tape);
            value = out;
        }
        let logits = to_host(value)?; // [n, k]
        let k = logits.len() / n;
        let mut slope = Slope { costs: vec![], confidences: vec![], gradient: vec![], queries: 1 };
        let mut outer = Vec::with_capacity(logits.len());
        for (z, &(_, class)) in logits.chunks_exact(k).zip(rows) {
            let log_p = log_softmax(z);
            let (value, gradient) = cost.of(&log_p, class);
            if !value.is_finite() {
                return Err(Error::Diverged { what: "the cost of a model inversion".into(), step, value });
            }
            slope.costs.push(value);
            slope.confidences.push(log_p[class].exp());
            outer.extend(gradient.iter().map(|&g| g as f32));
        }
        let mut gradient = to_tensor(outer, [n, k, 1, 1], &self.device);
        for (stage, tape) in self.stages.iter().zip(&tapes).rev() {
            gradient = stage.net.input_gradient(tape, gradient) / stage.std.clone();
        }
        slope.gradient = to_host(gradient)?;
        if let Some(bad) = slope.gradient.iter().find(|g| !g.is_finite()) {
            return Err(Error::Diverged { what: "the gradient of a model inversion".into(), step, value: f64::from(*bad) });
        }
        Ok(slope)
    }
}

impl InversionCost {
    /// The cost of one record and its gradient in the outputs, from the logarithms of the probabilities.
    pub(super) fn of(self, log_p: &[f64], class: usize) -> (f64, Vec<f64>) {
        let p = log_p[class].exp();
        let (value, factor) = match self {
            Self::Confidence => (-log_p[class].exp_m1(), p),
            Self::CrossEntropy => (-log_p[class], 1.0),
        };
        let hit = |j: usize| f64::from(u8::from(j == class));
        (value, log_p.iter().enumerate().map(|(j, q)| factor * (q.exp() - hit(j))).collect())
    }
}

/// Logarithms of the softmax.
pub(super) fn log_softmax(z: &[f32]) -> Vec<f64> {
    let z: Vec<f64> = z.iter().map(|&z| f64::from(z)).collect();
    let total = crate::stats::log_sum_exp(&z);
    z.iter().map(|z| z - total).collect()
}
