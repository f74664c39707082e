//! Average pooling over squares that do not overlap; what is left at the right and lower border is dropped.

use super::Saved;
use burn::tensor::Tensor;
use burn::tensor::module::{avg_pool2d, avg_pool2d_backward};
use burn::tensor::ops::AvgPoolOptions;
use serde::{Deserialize, Serialize};

/// Mean over squares: `[n, c, h, w]` to `[n, c, h / size, w / size]` (rounded down).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AvgPool {
    /// Side of the square, and the step.
    pub size: usize,
}

impl AvgPool {
    pub(crate) fn forward(&self, x: Tensor<4>) -> (Tensor<4>, Saved) {
        let y = avg_pool2d(x.clone(), AvgPoolOptions::new([self.size; 2]));
        (y, vec![x])
    }

    pub(crate) fn input_gradient(&self, saved: &Saved, grad: Tensor<4>) -> Tensor<4> {
        if !grad.is_autodiff() {
            return avg_pool2d_backward(saved[0].clone(), grad, [self.size; 2], [self.size; 2], [0, 0], true, false);
        }
        // The backend's backward cannot be differentiated again; this form can.
        let k = self.size;
        let [n, c, h, w] = grad.dims();
        let share: Tensor<6> = (grad / (k * k) as f64).reshape([n, c, h, 1, w, 1]);
        let spread = share.expand([n, c, h, k, w, k]).reshape([n, c, h * k, w * k]);
        with_border(spread, saved[0].dims())
    }
}

/// `[n, c, h, w]` as `[n, c, h / k, k, w / k, k]`, the border dropped.
pub(super) fn squares(x: Tensor<4>, k: usize) -> Tensor<6> {
    let [n, c, height, width] = x.dims();
    let (h, w) = (height / k, width / k);
    let inner = if h * k == height && w * k == width { x } else { x.slice([0..n, 0..c, 0..h * k, 0..w * k]) };
    inner.reshape([n, c, h, k, w, k])
}

/// Puts back the border that [`squares`] dropped, as zeros.
pub(super) fn with_border(inner: Tensor<4>, whole: [usize; 4]) -> Tensor<4> {
    let [n, c, h, w] = inner.dims();
    if [n, c, h, w] == whole {
        return inner;
    }
    Tensor::zeros(whole, (&inner.device(), inner.dtype())).slice_assign([0..n, 0..c, 0..h, 0..w], inner)
}
