//! Two-dimensional convolution with stride and zero padding.

use super::Saved;
use burn::tensor::Tensor;
use burn::tensor::module::{conv_transpose2d, conv2d, conv2d_weight_backward, unfold4d};
use burn::tensor::ops::{ConvOptions, ConvTransposeOptions, PadMode, UnfoldOptions};
use serde::{Deserialize, Serialize};

/// Convolution: `[n, inputs, h, w]` to `[n, outputs, h', w']` with h' = (h + 2·padding − kernel) / stride + 1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Conv2d {
    /// Channels in.
    pub inputs: usize,
    /// Channels out (filters).
    pub outputs: usize,
    /// Side of the square kernel.
    pub kernel: usize,
    /// Step of the kernel.
    pub stride: usize,
    /// Zeros added on every side.
    pub padding: usize,
}

impl Conv2d {
    pub(crate) fn parameters(&self) -> Vec<usize> {
        vec![self.outputs * self.inputs * self.kernel * self.kernel, self.outputs]
    }

    /// The side after the layer, or `None` when the kernel does not fit.
    pub(crate) fn side(&self, side: usize) -> Option<usize> {
        (side + 2 * self.padding).checked_sub(self.kernel).map(|free| free / self.stride + 1)
    }

    pub(crate) fn forward(&self, w: &[Tensor<1>], x: Tensor<4>) -> (Tensor<4>, Saved) {
        let y = conv2d(x.clone(), self.weight(w), Some(w[1].clone()), self.options());
        (y, vec![x])
    }

    pub(crate) fn input_gradient(&self, w: &[Tensor<1>], saved: &Saved, grad: Tensor<4>) -> Tensor<4> {
        let [_, _, height, width] = saved[0].dims();
        if self.stride == 1 && self.padding < self.kernel {
            // The adjoint of a dense convolution is a convolution with the turned kernel, which is the backend's fast path.
            let turned = self.weight(w).flip([2, 3]).swap_dims(0, 1);
            let pad = self.kernel - 1 - self.padding;
            return conv2d(grad, turned, None, ConvOptions::new([1, 1], [pad, pad], [1, 1], 1));
        }
        let [_, _, out_height, out_width] = grad.dims();
        let missing = |side: usize, out: usize| side + 2 * self.padding - self.kernel - (out - 1) * self.stride;
        let options = ConvTransposeOptions::new(
            [self.stride; 2],
            [self.padding; 2],
            [missing(height, out_height), missing(width, out_width)],
            [1, 1],
            1,
        );
        conv_transpose2d(grad, self.weight(w), None, options)
    }

    pub(crate) fn weight_gradients(&self, saved: &Saved, grad: Tensor<4>) -> Vec<Tensor<1>> {
        let weight = kernel_gradient(saved[0].clone(), grad.clone(), self.kernel, self.stride, self.padding);
        vec![weight.reshape([-1]), grad.sum_dims(&[0, 2, 3]).reshape([-1])]
    }

    /// Per sample: `[n, outputs · inputs · kernel²]` and `[n, outputs]`.
    pub(crate) fn sample_gradients(&self, saved: &Saved, grad: Tensor<4>) -> Vec<Tensor<2>> {
        let [n, ..] = grad.dims();
        let weight = kernel_gradient_per_sample(saved[0].clone(), grad.clone(), self.kernel, self.stride, self.padding);
        vec![weight, grad.sum_dims(&[2, 3]).reshape([n, self.outputs])]
    }

    /// Whether the length of a sample's gradient costs less than the gradient: 2·(hw)²·(ik² + o) against hw·o·ik² multiplications, and
    /// the weighted sum another hw·o·ik².
    pub(super) fn lengths_are_cheap(&self, [_, o, h, w]: [usize; 4]) -> bool {
        let taps = self.inputs * self.kernel * self.kernel;
        h * w * (taps + o) < o * taps / 2
    }

    fn weight(&self, w: &[Tensor<1>]) -> Tensor<4> {
        w[0].clone().reshape([self.outputs, self.inputs, self.kernel, self.kernel])
    }

    fn options(&self) -> ConvOptions<2> {
        ConvOptions::new([self.stride; 2], [self.padding; 2], [1, 1], 1)
    }
}

/// dW[o, i, a, b] = Σ over samples and places of grad[o, y, x] · input[i, y·stride + a − padding, x·stride + b − padding], as
/// `[o, i, kernel, kernel]`.
pub(super) fn kernel_gradient(x: Tensor<4>, grad: Tensor<4>, kernel: usize, stride: usize, padding: usize) -> Tensor<4> {
    let ([_, i, ..], [n, o, h, w]) = (x.dims(), grad.dims());
    if !grad.is_autodiff() {
        let like = Tensor::<4>::empty([o, i, kernel, kernel], (&grad.device(), grad.dtype()));
        return conv2d_weight_backward(x, like, grad, ConvOptions::new([stride; 2], [padding; 2], [1, 1], 1));
    }
    // The backend's own backward cannot be differentiated again; a matrix product can.
    let columns = columns(x, kernel, stride, padding, [h, w]); // [n, i·k·k, h·w]
    let columns: Tensor<2> = columns.swap_dims(1, 2).reshape([n * h * w, i * kernel * kernel]);
    let grad: Tensor<2> = grad.swap_dims(0, 1).reshape([o, n * h * w]);
    grad.matmul(columns).reshape([o, i, kernel, kernel])
}

/// The same for every sample by itself, `[n, o·i·kernel²]`.
pub(super) fn kernel_gradient_per_sample(x: Tensor<4>, grad: Tensor<4>, kernel: usize, stride: usize, padding: usize) -> Tensor<2> {
    let ([_, i, ..], [n, o, h, w]) = (x.dims(), grad.dims());
    let columns = columns(x, kernel, stride, padding, [h, w]);
    let grad: Tensor<3> = grad.reshape([n, o, h * w]);
    grad.matmul(columns.swap_dims(1, 2)).reshape([n, o * i * kernel * kernel])
}

/// The patch under the kernel at every place: `[n, i·kernel², h·w]`, kernel positions fastest.
pub(super) fn columns(x: Tensor<4>, kernel: usize, stride: usize, padding: usize, [h, w]: [usize; 2]) -> Tensor<3> {
    if stride != 1 {
        return unfold4d(x, [kernel; 2], UnfoldOptions::new([stride; 2], [padding; 2], [1, 1]));
    }
    let [n, i, ..] = x.dims();
    let padded = if padding == 0 { x } else { x.pad((padding, padding, padding, padding), PadMode::Constant(0.0)) };
    let mut taps = Vec::with_capacity(kernel * kernel);
    for a in 0..kernel {
        for b in 0..kernel {
            let tap: Tensor<4> = padded.clone().slice([0..n, 0..i, a..a + h, b..b + w]);
            taps.push(tap.reshape([n, i, 1, h * w]));
        }
    }
    Tensor::cat(taps, 2).reshape([n, i * kernel * kernel, h * w])
}
