//! Maximum over squares that do not overlap; what is left at the right and lower border is dropped.

use super::Saved;
use super::avg_pool::{squares, with_border};
use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

/// Maximum over squares: `[n, c, h, w]` to `[n, c, h / size, w / size]` (rounded down).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MaxPool {
    /// Side of the square, and the step.
    pub size: usize,
}

impl MaxPool {
    pub(crate) fn forward(&self, x: Tensor<4>) -> (Tensor<4>, Saved) {
        let squares = squares(x.clone(), self.size);
        let [n, c, h, _, w, _] = squares.dims();
        let y: Tensor<4> = squares.max_dim(5).max_dim(3).reshape([n, c, h, w]);
        (y.clone(), vec![x, y])
    }

    /// Equal maxima of one square share the gradient.
    pub(crate) fn input_gradient(&self, saved: &Saved, grad: Tensor<4>) -> Tensor<4> {
        let k = self.size;
        let [n, c, h, w] = grad.dims();
        let spread = |t: Tensor<4>| -> Tensor<6> { t.reshape([n, c, h, 1, w, 1]).expand([n, c, h, k, w, k]) };
        let at = squares(saved[0].clone(), k);
        let is_max = at.zeros_like().mask_fill(at.equal(spread(saved[1].clone())), 1.0);
        let ties: Tensor<4> = is_max.clone().sum_dim(5).sum_dim(3).reshape([n, c, h, w]);
        let inner = (is_max * spread(grad / ties)).reshape([n, c, h * k, w * k]);
        with_border(inner, saved[0].dims())
    }
}
