//! Rectified linear unit: max(x, 0).

use super::Saved;
use burn::tensor::Tensor;
use burn::tensor::activation::relu;

pub(crate) fn forward(x: Tensor<4>) -> (Tensor<4>, Saved) {
    let y = relu(x);
    (y.clone(), vec![y])
}

pub(crate) fn input_gradient(saved: &Saved, grad: Tensor<4>) -> Tensor<4> {
    grad.mask_fill(saved[0].clone().equal_scalar(0.0), 0.0)
}
