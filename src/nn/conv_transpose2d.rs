//! Transposed convolution with stride and padding: the adjoint of a convolution, which makes images larger.

use super::Saved;
use super::conv2d::{kernel_gradient, kernel_gradient_per_sample};
use burn::tensor::Tensor;
use burn::tensor::module::{conv_transpose2d, conv2d};
use burn::tensor::ops::{ConvOptions, ConvTransposeOptions};
use serde::{Deserialize, Serialize};

/// Transposed convolution: `[n, inputs, h, w]` to `[n, outputs, h', w']` with h' = (h − 1)·stride − 2·padding + kernel; the weight
/// is `[inputs, outputs, kernel, kernel]`, as in PyTorch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ConvTranspose2d {
    /// Channels in.
    pub inputs: usize,
    /// Channels out.
    pub outputs: usize,
    /// Side of the square kernel.
    pub kernel: usize,
    /// Zeros put between the inputs, plus one.
    pub stride: usize,
    /// Border cut off on every side.
    pub padding: usize,
}

impl ConvTranspose2d {
    pub(crate) fn parameters(&self) -> Vec<usize> {
        vec![self.inputs * self.outputs * self.kernel * self.kernel, self.outputs]
    }

    /// The side after the layer, or `None` when nothing is left of it.
    pub(crate) fn side(&self, side: usize) -> Option<usize> {
        (side.checked_sub(1)? * self.stride + self.kernel).checked_sub(2 * self.padding).filter(|&side| side > 0)
    }

    pub(crate) fn forward(&self, w: &[Tensor<1>], x: Tensor<4>) -> (Tensor<4>, Saved) {
        let options = ConvTransposeOptions::new([self.stride; 2], [self.padding; 2], [0, 0], [1, 1], 1);
        let y = conv_transpose2d(x.clone(), self.weight(w), Some(w[1].clone()), options);
        (y, vec![x])
    }

    pub(crate) fn input_gradient(&self, w: &[Tensor<1>], grad: Tensor<4>) -> Tensor<4> {
        conv2d(grad, self.weight(w), None, ConvOptions::new([self.stride; 2], [self.padding; 2], [1, 1], 1))
    }

    /// The adjoint swaps the roles: input and gradient of the plain convolution whose adjoint this is.
    pub(crate) fn weight_gradients(&self, saved: &Saved, grad: Tensor<4>) -> Vec<Tensor<1>> {
        let weight = kernel_gradient(grad.clone(), saved[0].clone(), self.kernel, self.stride, self.padding);
        vec![weight.reshape([-1]), grad.sum_dims(&[0, 2, 3]).reshape([-1])]
    }

    pub(crate) fn sample_gradients(&self, saved: &Saved, grad: Tensor<4>) -> Vec<Tensor<2>> {
        let [n, ..] = grad.dims();
        let weight = kernel_gradient_per_sample(grad.clone(), saved[0].clone(), self.kernel, self.stride, self.padding);
        vec![weight, grad.sum_dims(&[2, 3]).reshape([n, self.outputs])]
    }

    fn weight(&self, w: &[Tensor<1>]) -> Tensor<4> {
        w[0].clone().reshape([self.inputs, self.outputs, self.kernel, self.kernel])
    }
}
