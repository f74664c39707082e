//! The networks of autoencoders: what makes a short code of a record, and what makes a record of a code.

use crate::nn::{Conv2d, ConvTranspose2d, Layer, Linear, Net};
use crate::{Device, Error, Result};
use serde::{Deserialize, Serialize};

/// A pair of networks, mirror images of each other. No layer looks at more than one record, and the activations are tanh, which
/// keeps gradients short: clipping then costs less.
///
/// # Example
/// ```
/// use freelunch::generate::{Coder, PrivateAutoencoder};
/// let autoencoder = PrivateAutoencoder::new(8, 1.0).with_network(Coder::Convolutional { width: 8 });
/// assert_eq!(autoencoder.network, Coder::Convolutional { width: 8 });
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Coder {
    /// Fully connected.
    Dense {
        /// Units of the encoder's hidden layers, in the decoder in reverse; none makes both linear up to the code.
        hidden: Vec<usize>,
    },
    /// Two convolutions 4×4 of stride 2 and a linear layer, and back by transposed convolutions. For images whose sides are multiples of 4.
    Convolutional {
        /// Channels after the first convolution; twice as many after the second.
        width: usize,
    },
}

impl Coder {
    pub(crate) fn check(&self, [c, h, w]: [usize; 3]) -> Result<()> {
        match self {
            Self::Dense { hidden } if hidden.contains(&0) => {
                Err(Error::config(format!("hidden is {hidden:?}"), "expected at least 1 unit in each layer"))
            }
            Self::Convolutional { width: 0 } => Err(Error::config("width is 0", "expected at least 1 channel")),
            Self::Convolutional { .. } if h % 4 != 0 || w % 4 != 0 || h * w < 16 => Err(Error::config(
                format!("a convolutional coder for records of shape [{c}, {h}, {w}]"),
                "expected images whose sides are multiples of 4; otherwise use Coder::Dense { hidden: vec![128] }",
            )),
            _ => Ok(()),
        }
    }

    /// From records of shape `[c, h, w]` to `outputs` numbers, without a last activation.
    pub(crate) fn encoder(&self, shape: [usize; 3], outputs: usize) -> Vec<Layer> {
        let [c, h, w] = shape;
        match self {
            Self::Dense { hidden } => dense(c * h * w, hidden, outputs),
            Self::Convolutional { width } => {
                let conv = |inputs, outputs| Layer::Conv2d(Conv2d { inputs, outputs, kernel: 4, stride: 2, padding: 1 });
                let inputs = 2 * width * (h / 4) * (w / 4);
                vec![
                    conv(c, *width),
                    Layer::Tanh,
                    conv(*width, 2 * width),
                    Layer::Tanh,
                    Layer::Flatten,
                    Layer::Linear(Linear { inputs, outputs }),
                ]
            }
        }
    }

    /// From `inputs` numbers to records of shape `[c, h, w]`, without a last activation.
    pub(crate) fn decoder(&self, inputs: usize, shape: [usize; 3]) -> Vec<Layer> {
        let [c, h, w] = shape;
        match self {
            Self::Dense { hidden } => {
                let reversed: Vec<usize> = hidden.iter().rev().copied().collect();
                let mut layers = dense(inputs, &reversed, c * h * w);
                layers.push(Layer::Unflatten { shape });
                layers
            }
            Self::Convolutional { width } => {
                let small = [2 * width, h / 4, w / 4];
                let back = |inputs, outputs| Layer::ConvTranspose2d(ConvTranspose2d { inputs, outputs, kernel: 4, stride: 2, padding: 1 });
                vec![
                    Layer::Linear(Linear { inputs, outputs: small.iter().product() }),
                    Layer::Tanh,
                    Layer::Unflatten { shape: small },
                    back(2 * width, *width),
                    Layer::Tanh,
                    back(*width, c),
                ]
            }
        }
    }
}

fn dense(inputs: usize, hidden: &[usize], outputs: usize) -> Vec<Layer> {
    let mut layers = vec![Layer::Flatten];
    let mut inputs = inputs;
    for &units in hidden {
        layers.extend([Layer::Linear(Linear { inputs, outputs: units }), Layer::Tanh]);
        inputs = units;
    }
    layers.push(Layer::Linear(Linear { inputs, outputs }));
    layers
}

/// The shapes after each layer, or what does not fit.
pub(super) fn shapes(layers: &[Layer], shape: [usize; 3]) -> std::result::Result<Vec<[usize; 3]>, String> {
    let mut at = shape;
    let mut all = vec![];
    for layer in layers {
        at = layer.output_shape(at)?;
        all.push(at);
    }
    Ok(all)
}

/// A network from what was kept of it.
pub(super) fn network(layers: &[Layer], weights: &[Vec<f32>], device: &Device) -> Result<Net> {
    Net::with_weights(layers.to_vec(), weights, &device.open()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_decoder_returns_to_the_shape_that_the_encoder_left() {
        for (coder, shape) in [
            (Coder::Dense { hidden: vec![] }, [5, 1, 1]),
            (Coder::Dense { hidden: vec![20, 7] }, [3, 5, 6]),
            (Coder::Convolutional { width: 6 }, [1, 28, 28]),
            (Coder::Convolutional { width: 1 }, [3, 4, 32]),
        ] {
            coder.check(shape).unwrap();
            assert_eq!(shapes(&coder.encoder(shape, 9), shape).unwrap().last(), Some(&[9, 1, 1]), "{coder:?}");
            assert_eq!(shapes(&coder.decoder(9, shape), [9, 1, 1]).unwrap().last(), Some(&shape), "{coder:?}");
        }
    }

    #[test]
    fn what_does_not_fit_is_refused_with_a_remedy() {
        for (coder, shape, part) in [
            (Coder::Convolutional { width: 4 }, [30, 1, 1], "Coder::Dense"),
            (Coder::Convolutional { width: 4 }, [1, 10, 10], "[1, 10, 10]"),
            (Coder::Convolutional { width: 0 }, [1, 8, 8], "width is 0"),
            (Coder::Dense { hidden: vec![3, 0] }, [1, 8, 8], "hidden is [3, 0]"),
        ] {
            let message = coder.check(shape).unwrap_err().to_string();
            assert!(message.contains(part), "{message}");
        }
    }
}
