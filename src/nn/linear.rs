//! Fully connected layer: y = W x + b.

use super::Saved;
use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

/// Matrix product with bias: `[n, inputs, 1, 1]` to `[n, outputs, 1, 1]`; the weight is `[outputs, inputs]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Linear {
    /// Values in.
    pub inputs: usize,
    /// Values out.
    pub outputs: usize,
}

impl Linear {
    pub(crate) fn parameters(&self) -> Vec<usize> {
        vec![self.outputs * self.inputs, self.outputs]
    }

    pub(crate) fn forward(&self, w: &[Tensor<1>], x: Tensor<4>) -> (Tensor<4>, Saved) {
        let [n, ..] = x.dims();
        let rows: Tensor<2> = x.clone().reshape([n, self.inputs]);
        let y = rows.matmul(self.weight(w).transpose()) + w[1].clone().reshape([1, self.outputs]);
        (y.reshape([n, self.outputs, 1, 1]), vec![x])
    }

    pub(crate) fn input_gradient(&self, w: &[Tensor<1>], grad: Tensor<4>) -> Tensor<4> {
        let [n, ..] = grad.dims();
        let rows: Tensor<2> = grad.reshape([n, self.outputs]);
        rows.matmul(self.weight(w)).reshape([n, self.inputs, 1, 1])
    }

    pub(crate) fn weight_gradients(&self, saved: &Saved, grad: Tensor<4>) -> Vec<Tensor<1>> {
        let [n, ..] = grad.dims();
        let rows: Tensor<2> = grad.reshape([n, self.outputs]);
        let x: Tensor<2> = saved[0].clone().reshape([n, self.inputs]);
        let weight = rows.clone().transpose().matmul(x);
        vec![weight.reshape([-1]), rows.sum_dim(0).reshape([-1])]
    }

    /// Per sample: `[n, outputs · inputs]` and `[n, outputs]`.
    pub(crate) fn sample_gradients(&self, saved: &Saved, grad: Tensor<4>) -> Vec<Tensor<2>> {
        let [n, ..] = grad.dims();
        let column: Tensor<3> = grad.reshape([n, self.outputs, 1]);
        let row: Tensor<3> = saved[0].clone().reshape([n, 1, self.inputs]);
        vec![column.clone().matmul(row).reshape([n, self.outputs * self.inputs]), column.reshape([n, self.outputs])]
    }

    fn weight(&self, w: &[Tensor<1>]) -> Tensor<2> {
        w[0].clone().reshape([self.outputs, self.inputs])
    }
}
