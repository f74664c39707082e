//! Element-wise activations: ReLU, leaky ReLU, tanh, logistic sigmoid.

use super::Saved;
use burn::tensor::Tensor;
use burn::tensor::activation;

pub(super) fn relu(x: Tensor<4>) -> (Tensor<4>, Saved) {
    let y = activation::relu(x);
    (y.clone(), vec![y])
}

/// The derivative at 0 is 0.
pub(super) fn relu_input_gradient(saved: &Saved, grad: Tensor<4>) -> Tensor<4> {
    // While it is shared, the backend masks with vectors; one of its own it changes in place, with a branch for every number.
    let _shared = grad.clone();
    grad.mask_fill(saved[0].clone().equal_scalar(0.0), 0.0)
}

pub(super) fn leaky_relu(slope: f64, x: Tensor<4>) -> (Tensor<4>, Saved) {
    (activation::leaky_relu(x.clone(), slope), vec![x])
}

/// The derivative at 0 is 1, as in burn.
pub(super) fn leaky_relu_input_gradient(slope: f64, saved: &Saved, grad: Tensor<4>) -> Tensor<4> {
    let factor = saved[0].ones_like().mask_fill(saved[0].clone().lower_scalar(0.0), slope);
    grad * factor
}

pub(super) fn tanh(x: Tensor<4>) -> (Tensor<4>, Saved) {
    let y = activation::tanh(x);
    (y.clone(), vec![y])
}

pub(super) fn tanh_input_gradient(saved: &Saved, grad: Tensor<4>) -> Tensor<4> {
    let y = saved[0].clone();
    grad * (-(y.clone() * y) + 1.0)
}

pub(super) fn sigmoid(x: Tensor<4>) -> (Tensor<4>, Saved) {
    let y = activation::sigmoid(x);
    (y.clone(), vec![y])
}

pub(super) fn sigmoid_input_gradient(saved: &Saved, grad: Tensor<4>) -> Tensor<4> {
    let y = saved[0].clone();
    grad * y.clone() * (-y + 1.0)
}
