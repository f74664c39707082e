//! Two-dimensional convolution with stride and zero padding.

use super::Saved;
use burn::tensor::Tensor;
use burn::tensor::module::{conv_transpose2d, conv2d, conv2d_weight_backward};
use burn::tensor::ops::{ConvOptions, ConvTransposeOptions};
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
        let shape = [self.outputs, self.inputs, self.kernel, self.kernel];
        let like = Tensor::<4>::empty(shape, &grad.device());
        let weight = conv2d_weight_backward(saved[0].clone(), like, grad.clone(), self.options());
        let bias = grad.sum_dims(&[0, 2, 3]);
        vec![weight.reshape([-1]), bias.reshape([-1])]
    }

    fn weight(&self, w: &[Tensor<1>]) -> Tensor<4> {
        w[0].clone().reshape([self.outputs, self.inputs, self.kernel, self.kernel])
    }

    fn options(&self) -> ConvOptions<2> {
        ConvOptions::new([self.stride; 2], [self.padding; 2], [1, 1], 1)
    }
}
