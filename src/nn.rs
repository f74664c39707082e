//! Networks: a serialisable list of layers, each with a hand-written forward and backward pass made of ordinary tensor
//! operations.
//!
//! The only place where burn tensors live. Activations are always `[n, c, h, w]` (`[n, d, 1, 1]` after
//! [`Layer::Flatten`]); parameters are flat vectors on the device, one per weight or bias, so that optimisers, clipping and
//! federated averaging need not know their shapes.
//!
//! Written with ordinary tensor operations, a backward pass can be differentiated once more by burn's autodiff: that is how gradient
//! and trajectory matching get gradients of gradients. Every parametric layer also gives its gradients for each sample by itself.

mod activation;
mod arch;
mod avg_pool;
mod conv2d;
mod conv_block;
mod conv_transpose2d;
mod dropout;
mod flatten;
mod group_norm;
mod instance_norm;
mod layer_norm;
mod linear;
mod loss;
mod max_pool;
mod net;
mod optim;
mod per_sample;
mod second_order;

pub use arch::Arch;
pub use avg_pool::AvgPool;
pub use conv_transpose2d::ConvTranspose2d;
pub use conv2d::Conv2d;
pub use dropout::Dropout;
pub use group_norm::GroupNorm;
pub use instance_norm::InstanceNorm;
pub use layer_norm::LayerNorm;
pub use linear::Linear;
pub use loss::Loss;
pub use max_pool::MaxPool;
pub use optim::Optimizer;
pub use per_sample::PerSample;

pub(crate) use net::{Net, to_host, to_tensor};
pub(crate) use optim::added;
pub(crate) use per_sample::SampleGradients;
pub(crate) use second_order::{Wanted, gradient_product};

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
    /// Transposed convolution with bias.
    ConvTranspose2d(ConvTranspose2d),
    /// Normalisation of every channel of every image, with scale and shift.
    InstanceNorm(InstanceNorm),
    /// Normalisation of groups of channels of every image, with scale and shift.
    GroupNorm(GroupNorm),
    /// Normalisation of every sample, with scale and shift.
    LayerNorm(LayerNorm),
    /// max(x, 0).
    Relu,
    /// x where it is positive, slope · x elsewhere.
    LeakyRelu {
        /// Slope below 0; 0.01 or 0.2 are usual.
        slope: f64,
    },
    /// Hyperbolic tangent.
    Tanh,
    /// 1 / (1 + e^−x).
    Sigmoid,
    /// Mean over squares.
    AvgPool(AvgPool),
    /// Maximum over squares.
    MaxPool(MaxPool),
    /// Random zeros in training.
    Dropout(Dropout),
    /// `[n, c, h, w]` to `[n, c * h * w, 1, 1]`.
    Flatten,
    /// `[n, c * h * w, 1, 1]` to `[n, c, h, w]`.
    Unflatten {
        /// `[c, h, w]`.
        shape: [usize; 3],
    },
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
            Self::ConvTranspose2d(layer) => layer.parameters(),
            Self::InstanceNorm(layer) => layer.parameters(),
            Self::GroupNorm(layer) => layer.parameters(),
            Self::LayerNorm(layer) => layer.parameters(),
            Self::Linear(layer) => layer.parameters(),
            _ => vec![],
        }
    }

    /// Whether the layer is a convolution or a matrix product, with a bias after its weight.
    pub(crate) fn multiplies(&self) -> bool {
        matches!(self, Self::Conv2d(_) | Self::ConvTranspose2d(_) | Self::Linear(_))
    }

    pub(crate) fn convolves(&self) -> bool {
        matches!(self, Self::Conv2d(_) | Self::ConvTranspose2d(_))
    }

    /// The shape `[c, h, w]` that comes out when `shape` goes in, or what does not fit, as a sentence.
    pub(crate) fn output_shape(&self, [c, h, w]: [usize; 3]) -> Result<[usize; 3], String> {
        let expect = |name: &str, wanted: usize, found: usize| {
            if wanted == found { Ok(()) } else { Err(format!("{name} expects {wanted} inputs and gets {found}")) }
        };
        let both = |name: &str, sides: [Option<usize>; 2]| match sides {
            [Some(h), Some(w)] => Ok([h, w]),
            _ => Err(format!("{name} does not fit {h}x{w}")),
        };
        match self {
            Self::Conv2d(layer) => {
                expect("convolution", layer.inputs, c)?;
                let side = |s| if layer.stride == 0 { None } else { layer.side(s) };
                let [h, w] = both(&format!("convolution {0}x{0}, stride {1}", layer.kernel, layer.stride), [side(h), side(w)])?;
                Ok([layer.outputs, h, w])
            }
            Self::ConvTranspose2d(layer) => {
                expect("transposed convolution", layer.inputs, c)?;
                let side = |s| if layer.stride == 0 { None } else { layer.side(s) };
                let name = format!("transposed convolution {0}x{0}, stride {1}", layer.kernel, layer.stride);
                let [h, w] = both(&name, [side(h), side(w)])?;
                Ok([layer.outputs, h, w])
            }
            Self::InstanceNorm(layer) => expect("instance norm", layer.channels, c).map(|()| [c, h, w]),
            Self::GroupNorm(layer) => {
                expect("group norm", layer.channels, c)?;
                if layer.groups == 0 || !c.is_multiple_of(layer.groups) {
                    return Err(format!("group norm of {} groups does not divide {c} channels", layer.groups));
                }
                Ok([c, h, w])
            }
            Self::LayerNorm(layer) => expect("layer norm", layer.values, c * h * w).map(|()| [c, h, w]),
            Self::AvgPool(AvgPool { size }) | Self::MaxPool(MaxPool { size }) => {
                if *size == 0 || h < *size || w < *size {
                    return Err(format!("pool {size}x{size} does not fit {h}x{w}"));
                }
                Ok([c, h / size, w / size])
            }
            Self::Dropout(layer) if !(0.0..1.0).contains(&layer.rate) => {
                Err(format!("dropout has rate {}, expected 0 up to, not including, 1", layer.rate))
            }
            Self::LeakyRelu { slope } if !slope.is_finite() => Err(format!("leaky ReLU has slope {slope}, expected a number")),
            Self::Dropout(_) | Self::Relu | Self::LeakyRelu { .. } | Self::Tanh | Self::Sigmoid => Ok([c, h, w]),
            Self::Flatten => Ok([c * h * w, 1, 1]),
            Self::Unflatten { shape } => expect("unflatten", shape.iter().product(), c * h * w).map(|()| *shape),
            Self::Linear(layer) => expect("linear", layer.inputs, c * h * w).map(|()| [layer.outputs, 1, 1]),
        }
    }

    /// Fresh parameters: uniform in ±1/√fan_in for weights and biases, scale 1 and shift 0 for norms (PyTorch's default).
    pub(crate) fn initialise(&self, rng: &mut Rng) -> Vec<Vec<f32>> {
        let fan_in = match self {
            Self::Conv2d(layer) => layer.inputs * layer.kernel * layer.kernel,
            // PyTorch takes the second dimension of the weight, which here counts the outputs.
            Self::ConvTranspose2d(layer) => layer.outputs * layer.kernel * layer.kernel,
            Self::Linear(layer) => layer.inputs,
            Self::InstanceNorm(InstanceNorm { channels: n, .. })
            | Self::GroupNorm(GroupNorm { channels: n, .. })
            | Self::LayerNorm(LayerNorm { values: n, .. }) => return vec![vec![1.0; *n], vec![0.0; *n]],
            _ => return vec![],
        };
        let bound = 1.0 / (fan_in as f32).sqrt();
        self.parameters().into_iter().map(|len| (0..len).map(|_| rng.random_range(-bound..bound)).collect()).collect()
    }

    /// The first dimension of the weight, of layers whose weight is a matrix or more: distances of gradients go row by row.
    pub(crate) fn rows(&self) -> Option<usize> {
        match self {
            Self::Conv2d(layer) => Some(layer.outputs),
            Self::ConvTranspose2d(layer) => Some(layer.inputs),
            Self::Linear(layer) => Some(layer.outputs),
            _ => None,
        }
    }

    /// `seed` makes the random numbers of a training pass; none outside training.
    pub(crate) fn forward(&self, w: &[Tensor<1>], x: Tensor<4>, seed: Option<u64>) -> (Tensor<4>, Saved) {
        match self {
            Self::Conv2d(layer) => layer.forward(w, x),
            Self::ConvTranspose2d(layer) => layer.forward(w, x),
            Self::InstanceNorm(layer) => layer.forward(w, x),
            Self::GroupNorm(layer) => layer.forward(w, x),
            Self::LayerNorm(layer) => layer.forward(w, x),
            Self::Relu => activation::relu(x),
            Self::LeakyRelu { slope } => activation::leaky_relu(*slope, x),
            Self::Tanh => activation::tanh(x),
            Self::Sigmoid => activation::sigmoid(x),
            Self::AvgPool(layer) => layer.forward(x),
            Self::MaxPool(layer) => layer.forward(x),
            Self::Dropout(layer) => layer.forward(x, seed),
            Self::Flatten => flatten::forward(x),
            Self::Unflatten { shape } => flatten::unflatten(*shape, x),
            Self::Linear(layer) => layer.forward(w, x),
        }
    }

    /// The gradient of the loss in the layer's input, from the one in its output.
    pub(crate) fn input_gradient(&self, w: &[Tensor<1>], saved: &Saved, grad: Tensor<4>) -> Tensor<4> {
        match self {
            Self::Conv2d(layer) => layer.input_gradient(w, saved, grad),
            Self::ConvTranspose2d(layer) => layer.input_gradient(w, grad),
            Self::InstanceNorm(layer) => layer.input_gradient(w, saved, grad),
            Self::GroupNorm(layer) => layer.input_gradient(w, saved, grad),
            Self::LayerNorm(layer) => layer.input_gradient(w, saved, grad),
            Self::Relu => activation::relu_input_gradient(saved, grad),
            Self::LeakyRelu { slope } => activation::leaky_relu_input_gradient(*slope, saved, grad),
            Self::Tanh => activation::tanh_input_gradient(saved, grad),
            Self::Sigmoid => activation::sigmoid_input_gradient(saved, grad),
            Self::AvgPool(layer) => layer.input_gradient(saved, grad),
            Self::MaxPool(layer) => layer.input_gradient(saved, grad),
            Self::Dropout(_) => Dropout::input_gradient(saved, grad),
            Self::Flatten | Self::Unflatten { .. } => flatten::input_gradient(saved, grad),
            Self::Linear(layer) => layer.input_gradient(w, grad),
        }
    }

    /// The gradients of the loss in the layer's parameters, summed over the batch.
    pub(crate) fn weight_gradients(&self, saved: &Saved, grad: Tensor<4>) -> Vec<Tensor<1>> {
        let summed = |parts: Vec<Tensor<2>>| parts.into_iter().map(|part| part.sum_dim(0).reshape([-1])).collect();
        match self {
            Self::Conv2d(layer) => layer.weight_gradients(saved, grad),
            Self::ConvTranspose2d(layer) => layer.weight_gradients(saved, grad),
            Self::InstanceNorm(layer) => layer.weight_gradients(saved, grad),
            Self::GroupNorm(_) => summed(GroupNorm::sample_gradients(saved, grad)),
            Self::LayerNorm(layer) => summed(layer.sample_gradients(saved, grad)),
            Self::Linear(layer) => layer.weight_gradients(saved, grad),
            _ => vec![],
        }
    }

    /// The gradients in the layer's parameters for every sample by itself, `[n, length]` each.
    pub(crate) fn sample_gradients(&self, saved: &Saved, grad: Tensor<4>) -> Vec<Tensor<2>> {
        match self {
            Self::Conv2d(layer) => layer.sample_gradients(saved, grad),
            Self::ConvTranspose2d(layer) => layer.sample_gradients(saved, grad),
            Self::InstanceNorm(_) => InstanceNorm::sample_gradients(saved, grad),
            Self::GroupNorm(_) => GroupNorm::sample_gradients(saved, grad),
            Self::LayerNorm(layer) => layer.sample_gradients(saved, grad),
            Self::Linear(layer) => layer.sample_gradients(saved, grad),
            _ => vec![],
        }
    }
}
