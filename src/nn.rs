//! Networks: a serialisable list of layers, each with a hand-written forward and backward pass made of ordinary tensor
//! operations.
//!
//! The only place where burn tensors live. Activations are always `[n, c, h, w]` (`[n, d, 1, 1]` after
//! [`Layer::Flatten`]); parameters are flat vectors on the device, one per weight or bias, so that optimisers, clipping and
//! federated averaging need not know their shapes.

mod arch;
mod avg_pool;
mod conv2d;
mod conv_block;
mod flatten;
mod instance_norm;
mod linear;
mod loss;
mod max_pool;
mod net;
mod optim;
mod relu;

pub use arch::Arch;
pub use avg_pool::AvgPool;
pub use conv2d::Conv2d;
pub use instance_norm::InstanceNorm;
pub use linear::Linear;
pub use max_pool::MaxPool;
pub use optim::Optimizer;

pub(crate) use loss::cross_entropy;
pub(crate) use net::{Net, to_host, to_tensor};

use crate::lab::Rng;
use burn::tensor::Tensor;
use rand::RngExt;
use serde::{Deserialize, Serialize};

/// One layer of a network, without its weights.
///
/// # Example
/// ```
/// use freelunch::nn::{Layer, Linear};
/// let layer = Layer::Linear(Linear { inputs: 64, outputs: 10 });
/// assert_eq!(layer.parameters(), vec![640, 10]);
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Layer {
    /// Convolution with bias.
    Conv2d(Conv2d),
    /// Normalisation of every channel of every image, with scale and shift.
    InstanceNorm(InstanceNorm),
    /// max(x, 0).
    Relu,
    /// Mean over squares.
    AvgPool(AvgPool),
    /// Maximum over squares.
    MaxPool(MaxPool),
    /// `[n, c, h, w]` to `[n, c * h * w, 1, 1]`.
    Flatten,
    /// Matrix product with bias.
    Linear(Linear),
}

/// What a layer's forward pass keeps for its backward pass.
pub(crate) type Saved = Vec<Tensor<4>>;

impl Layer {
    /// The lengths of the layer's parameter vectors.
    #[must_use]
    pub fn parameters(&self) -> Vec<usize> {
        match self {
            Self::Conv2d(layer) => layer.parameters(),
            Self::InstanceNorm(layer) => layer.parameters(),
            Self::Linear(layer) => layer.parameters(),
            Self::Relu | Self::AvgPool(_) | Self::MaxPool(_) | Self::Flatten => vec![],
        }
    }

    /// Fresh parameters: uniform in ±1/√fan_in for weights and biases, scale 1 and shift 0 for norms (PyTorch's default).
    pub(crate) fn initialise(&self, rng: &mut Rng) -> Vec<Vec<f32>> {
        let fan_in = match self {
            Self::Conv2d(layer) => layer.inputs * layer.kernel * layer.kernel,
            Self::Linear(layer) => layer.inputs,
            Self::InstanceNorm(layer) => return vec![vec![1.0; layer.channels], vec![0.0; layer.channels]],
            Self::Relu | Self::AvgPool(_) | Self::MaxPool(_) | Self::Flatten => return vec![],
        };
        let bound = 1.0 / (fan_in as f32).sqrt();
        self.parameters().into_iter().map(|len| (0..len).map(|_| rng.random_range(-bound..bound)).collect()).collect()
    }

    pub(crate) fn forward(&self, w: &[Tensor<1>], x: Tensor<4>) -> (Tensor<4>, Saved) {
        match self {
            Self::Conv2d(layer) => layer.forward(w, x),
            Self::InstanceNorm(layer) => layer.forward(w, x),
            Self::Relu => relu::forward(x),
            Self::AvgPool(layer) => layer.forward(x),
            Self::MaxPool(layer) => layer.forward(x),
            Self::Flatten => flatten::forward(x),
            Self::Linear(layer) => layer.forward(w, x),
        }
    }

    /// The gradient of the loss in the layer's input, from the one in its output.
    pub(crate) fn input_gradient(&self, w: &[Tensor<1>], saved: &Saved, grad: Tensor<4>) -> Tensor<4> {
        match self {
            Self::Conv2d(layer) => layer.input_gradient(w, saved, grad),
            Self::InstanceNorm(layer) => layer.input_gradient(w, saved, grad),
            Self::Relu => relu::input_gradient(saved, grad),
            Self::AvgPool(layer) => layer.input_gradient(saved, grad),
            Self::MaxPool(layer) => layer.input_gradient(saved, grad),
            Self::Flatten => flatten::input_gradient(saved, grad),
            Self::Linear(layer) => layer.input_gradient(w, grad),
        }
    }

    /// The gradients of the loss in the layer's parameters, summed over the batch.
    pub(crate) fn weight_gradients(&self, saved: &Saved, grad: Tensor<4>) -> Vec<Tensor<1>> {
        match self {
            Self::Conv2d(layer) => layer.weight_gradients(saved, grad),
            Self::InstanceNorm(layer) => layer.weight_gradients(saved, grad),
            Self::Linear(layer) => layer.weight_gradients(saved, grad),
            Self::Relu | Self::AvgPool(_) | Self::MaxPool(_) | Self::Flatten => vec![],
        }
    }
}
