//! `[n, c, h, w]` to `[n, c * h * w, 1, 1]` and back.

use super::Saved;
use burn::tensor::Tensor;

pub(super) fn forward(x: Tensor<4>) -> (Tensor<4>, Saved) {
    let [n, c, h, w] = x.dims();
    (x.clone().reshape([n, c * h * w, 1, 1]), vec![x])
}

pub(super) fn input_gradient(saved: &Saved, grad: Tensor<4>) -> Tensor<4> {
    grad.reshape(saved[0].dims())
}

pub(super) fn unflatten([c, h, w]: [usize; 3], x: Tensor<4>) -> (Tensor<4>, Saved) {
    let [n, ..] = x.dims();
    (x.clone().reshape([n, c, h, w]), vec![x])
}
