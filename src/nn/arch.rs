//! Architectures: what a network looks like, before it knows its data.

use super::{AvgPool, Conv2d, InstanceNorm, Layer, Linear, MaxPool};
use crate::{Error, Result};
use serde::{Deserialize, Serialize};

/// A family of networks; [`Arch::layers`] fits it to the shape of the records and the number of classes.
///
/// # Example
/// ```
/// use freelunch::nn::Arch;
/// assert_eq!(Arch::conv_net().parameters([3, 32, 32], 10)?, 320_010); // the published count on CIFAR-10
/// # Ok::<(), freelunch::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Arch {
    /// depth × [convolution 3×3, instance norm, ReLU, average pool 2×2], then linear (arXiv 2006.05929).
    ConvNet {
        /// Filters per convolution; 128 in the literature.
        width: usize,
        /// Blocks; 3 in the literature.
        depth: usize,
    },
    /// Fully connected with ReLU.
    Mlp {
        /// Units of each hidden layer; `[128, 128]` in the literature.
        hidden: Vec<usize>,
    },
    /// LeNet-5 with ReLU and maximum pooling.
    LeNet,
    /// One linear layer (multinomial logistic regression).
    Logistic,
    /// Your own layers; they must fit the data.
    Custom {
        /// The layers, ending in [`Layer::Linear`] with one output per class.
        layers: Vec<Layer>,
    },
}

impl Arch {
    /// The ConvNet of the condensation literature: width 128, depth 3.
    #[must_use]
    pub fn conv_net() -> Self {
        Self::ConvNet { width: 128, depth: 3 }
    }

    /// Two hidden layers of 128 units.
    #[must_use]
    pub fn mlp() -> Self {
        Self::Mlp { hidden: vec![128, 128] }
    }

    /// The same ConvNet with another number of filters; other families stay as they are.
    #[must_use]
    pub fn with_width(mut self, new: usize) -> Self {
        if let Self::ConvNet { width, .. } = &mut self {
            *width = new;
        }
        self
    }

    /// The same ConvNet with another number of blocks; other families stay as they are.
    #[must_use]
    pub fn with_depth(mut self, new: usize) -> Self {
        if let Self::ConvNet { depth, .. } = &mut self {
            *depth = new;
        }
        self
    }

    /// The family's name.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::ConvNet { width, depth } => format!("ConvNet {width}x{depth}"),
            Self::Mlp { hidden } => format!("MLP {hidden:?}"),
            Self::LeNet => "LeNet".into(),
            Self::Logistic => "logistic regression".into(),
            Self::Custom { layers } => format!("own network of {} layers", layers.len()),
        }
    }

    /// The layers for records of shape `[c, h, w]`.
    ///
    /// # Errors
    /// [`Error::Config`] when the architecture does not fit the shape (a table given to a ConvNet, an image too small).
    pub fn layers(&self, shape: [usize; 3], classes: usize) -> Result<Vec<Layer>> {
        let layers = match self {
            Self::ConvNet { width, depth } => conv_net(*width, *depth, shape, classes)?,
            Self::Mlp { hidden } => mlp(hidden, shape, classes)?,
            Self::LeNet => le_net(shape, classes)?,
            Self::Logistic => mlp(&[], shape, classes)?,
            Self::Custom { layers } => layers.clone(),
        };
        check(&layers, shape, classes).map_err(|what| Error::config(format!("{}: {what}", self.name()), fitting(shape)))?;
        Ok(layers)
    }

    /// Number of parameters for records of shape `[c, h, w]`.
    ///
    /// # Errors
    /// As [`Arch::layers`].
    pub fn parameters(&self, shape: [usize; 3], classes: usize) -> Result<usize> {
        Ok(self.layers(shape, classes)?.iter().flat_map(Layer::parameters).sum())
    }
}

fn fitting(shape: [usize; 3]) -> String {
    let [_, h, w] = shape;
    if h * w == 1 {
        "use Arch::mlp() for tables".into()
    } else {
        format!("records are {shape:?}: use fewer blocks or another architecture")
    }
}

fn conv_net(width: usize, depth: usize, [channels, height, side]: [usize; 3], classes: usize) -> Result<Vec<Layer>> {
    if width == 0 || depth == 0 {
        return Err(Error::config(format!("ConvNet of width {width} and depth {depth}"), "expected at least 1 of each"));
    }
    if height < 1 << depth || side < 1 << depth {
        let what = format!("ConvNet of depth {depth} halves {height}x{side} records {depth} times");
        return Err(Error::config(what, fitting([channels, height, side])));
    }
    let mut layers = vec![];
    let (mut inputs, mut h, mut w) = (channels, height, side);
    for block in 0..depth {
        // The reference code pads 28x28 greyscale images to 32x32 in its first convolution.
        let padding = if block == 0 && channels == 1 && height == 28 { 3 } else { 1 };
        let conv = Conv2d { inputs, outputs: width, kernel: 3, stride: 1, padding };
        (h, w) = (conv.side(h).unwrap_or(0) / 2, conv.side(w).unwrap_or(0) / 2);
        layers.push(Layer::Conv2d(conv));
        layers.push(Layer::InstanceNorm(InstanceNorm { channels: width, epsilon: 1e-5 }));
        layers.push(Layer::Relu);
        layers.push(Layer::AvgPool(AvgPool { size: 2 }));
        inputs = width;
    }
    layers.push(Layer::Flatten);
    layers.push(Layer::Linear(Linear { inputs: width * h * w, outputs: classes }));
    Ok(layers)
}

fn mlp(hidden: &[usize], shape: [usize; 3], classes: usize) -> Result<Vec<Layer>> {
    if hidden.contains(&0) {
        return Err(Error::config(format!("hidden layers {hidden:?}"), "expected at least 1 unit in each"));
    }
    let mut layers = vec![Layer::Flatten];
    let mut inputs = shape.iter().product();
    for &outputs in hidden {
        layers.push(Layer::Linear(Linear { inputs, outputs }));
        layers.push(Layer::Relu);
        inputs = outputs;
    }
    layers.push(Layer::Linear(Linear { inputs, outputs: classes }));
    Ok(layers)
}

fn le_net([channels, height, width]: [usize; 3], classes: usize) -> Result<Vec<Layer>> {
    let conv = |inputs, outputs, padding| Conv2d { inputs, outputs, kernel: 5, stride: 1, padding };
    let (first, second) = (conv(channels, 6, if channels == 1 { 2 } else { 0 }), conv(6, 16, 0));
    let after = |side: usize| second.side(first.side(side)? / 2).map(|s| s / 2).filter(|&s| s > 0);
    let (Some(h), Some(w)) = (after(height), after(width)) else {
        return Err(Error::config(format!("LeNet on {height}x{width} records"), "expected at least 16x16 pixels"));
    };
    let mut layers = vec![];
    for conv in [first, second] {
        layers.extend([Layer::Conv2d(conv), Layer::Relu, Layer::MaxPool(MaxPool { size: 2 })]);
    }
    layers.push(Layer::Flatten);
    for (inputs, outputs) in [(16 * h * w, 120), (120, 84)] {
        layers.extend([Layer::Linear(Linear { inputs, outputs }), Layer::Relu]);
    }
    layers.push(Layer::Linear(Linear { inputs: 84, outputs: classes }));
    Ok(layers)
}

/// Walks the shape through the layers.
fn check(layers: &[Layer], shape: [usize; 3], classes: usize) -> std::result::Result<(), String> {
    let mut shape = shape;
    for (i, layer) in layers.iter().enumerate() {
        shape = layer.output_shape(shape).map_err(|what| format!("layer {i}: {what}"))?;
    }
    match layers.last() {
        Some(Layer::Linear(last)) if last.outputs == classes => Ok(()),
        _ => Err(format!("the last layer must be linear with {classes} outputs, one per class")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameter_counts_are_the_published_ones() {
        assert_eq!(Arch::conv_net().parameters([3, 32, 32], 10).unwrap(), 320_010);
        assert_eq!(Arch::conv_net().parameters([1, 28, 28], 10).unwrap(), 317_706);
        assert_eq!(Arch::mlp().parameters([1, 28, 28], 10).unwrap(), 118_282);
        assert_eq!(Arch::LeNet.parameters([1, 28, 28], 10).unwrap(), 61_706);
    }

    #[test]
    fn what_does_not_fit_is_refused_with_a_remedy() {
        let message = Arch::conv_net().layers([30, 1, 1], 2).unwrap_err().to_string();
        assert!(message.contains("Arch::mlp()"), "{message}");
        assert!(Arch::LeNet.layers([1, 8, 8], 10).is_err());
        assert!(Arch::conv_net().with_width(0).layers([1, 28, 28], 10).is_err());
        let own = Arch::Custom { layers: vec![Layer::Flatten, Layer::Linear(Linear { inputs: 7, outputs: 2 })] };
        let message = own.layers([8, 1, 1], 2).unwrap_err().to_string();
        assert!(message.contains("expects 7 inputs and gets 8"), "{message}");
    }
}
