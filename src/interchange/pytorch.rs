//! Layers as modules of a `torch.nn.Sequential`: their Python text, and the names and shapes of their parameters.
//!
//! Linear layers take `[n, d]` in PyTorch, images `[n, c, h, w]`: where a network relies on `[n, d, 1, 1]` being both, a `Flatten` or `Unflatten`
//! is put between. Parameters are named by the module's position, as `state_dict()` does: `0.weight`, `0.bias`, ..

use crate::nn::{AvgPool, Conv2d, ConvTranspose2d, GroupNorm, InstanceNorm, Layer, LayerNorm, Linear, MaxPool};
use crate::{Error, Result};

/// One module of a Sequential.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Module {
    /// Its constructor without `nn.`.
    pub(crate) python: String,
    /// The shape of its weight; none if it has no parameters.
    pub(crate) weight: Option<Vec<usize>>,
}

impl Module {
    fn plain(python: impl Into<String>) -> Self {
        Self { python: python.into(), weight: None }
    }

    fn with_weight(python: String, weight: Vec<usize>) -> Self {
        Self { python, weight: Some(weight) }
    }

    /// The length of the bias: every module with a weight has one.
    pub(crate) fn bias(&self) -> Option<Vec<usize>> {
        // A transposed convolution counts its inputs first; a layer norm has as many dimensions as what it norms.
        let weight = self.weight.as_ref()?;
        match self.python.split('(').next() {
            Some("ConvTranspose2d") => Some(weight[1..2].to_vec()),
            Some("LayerNorm") => Some(weight.clone()),
            _ => Some(weight[..1].to_vec()),
        }
    }
}

/// The modules that compute what these layers compute on records of shape `[c, h, w]`.
///
/// # Errors
/// [`Error::Config`] when the layers do not fit the shape.
pub(crate) fn modules(layers: &[Layer], shape: [usize; 3]) -> Result<Vec<Module>> {
    let (mut shape, mut flat) = (shape, false);
    let mut out = vec![];
    for (i, layer) in layers.iter().enumerate() {
        let [c, h, w] = shape;
        let wants_flat = match layer {
            Layer::Linear(_) | Layer::Unflatten { .. } => Some(true),
            Layer::Conv2d(_) | Layer::ConvTranspose2d(_) | Layer::AvgPool(_) | Layer::MaxPool(_) => Some(false),
            Layer::InstanceNorm(_) | Layer::GroupNorm(_) => Some(false),
            _ => None,
        };
        match (wants_flat, flat) {
            (Some(true), false) => out.push(Module::plain("Flatten()")),
            (Some(false), true) => out.push(Module::plain(format!("Unflatten(1, ({c}, {h}, {w}))"))),
            _ => {}
        }
        flat = wants_flat.unwrap_or(flat);
        out.push(module(layer, shape, flat));
        match layer {
            Layer::Flatten => flat = true,
            Layer::Unflatten { .. } => flat = false,
            _ => {}
        }
        shape = layer.output_shape(shape).map_err(|what| Error::config(format!("layer {i}: {what}"), "use layers that fit each other"))?;
    }
    Ok(out)
}

fn module(layer: &Layer, [c, h, w]: [usize; 3], flat: bool) -> Module {
    match layer {
        Layer::Conv2d(Conv2d { inputs, outputs, kernel, stride, padding }) => Module::with_weight(
            format!("Conv2d({inputs}, {outputs}, {kernel}, stride={stride}, padding={padding})"),
            vec![*outputs, *inputs, *kernel, *kernel],
        ),
        Layer::ConvTranspose2d(ConvTranspose2d { inputs, outputs, kernel, stride, padding }) => Module::with_weight(
            format!("ConvTranspose2d({inputs}, {outputs}, {kernel}, stride={stride}, padding={padding})"),
            vec![*inputs, *outputs, *kernel, *kernel],
        ),
        // One group per channel is instance normalisation, also on a single pixel, which InstanceNorm2d refuses.
        Layer::InstanceNorm(InstanceNorm { channels, epsilon }) => {
            Module::with_weight(format!("GroupNorm({channels}, {channels}, eps={epsilon:?})"), vec![*channels])
        }
        Layer::GroupNorm(GroupNorm { groups, channels, epsilon }) => {
            Module::with_weight(format!("GroupNorm({groups}, {channels}, eps={epsilon:?})"), vec![*channels])
        }
        Layer::LayerNorm(LayerNorm { epsilon, .. }) => {
            let sides = if flat { vec![c * h * w] } else { vec![c, h, w] };
            Module::with_weight(format!("LayerNorm({sides:?}, eps={epsilon:?})"), sides)
        }
        Layer::Linear(Linear { inputs, outputs }) => Module::with_weight(format!("Linear({inputs}, {outputs})"), vec![*outputs, *inputs]),
        Layer::Relu => Module::plain("ReLU()"),
        Layer::LeakyRelu { slope } => Module::plain(format!("LeakyReLU({slope:?})")),
        Layer::Tanh => Module::plain("Tanh()"),
        Layer::Sigmoid => Module::plain("Sigmoid()"),
        Layer::AvgPool(AvgPool { size }) => Module::plain(format!("AvgPool2d({size})")),
        Layer::MaxPool(MaxPool { size }) => Module::plain(format!("MaxPool2d({size})")),
        Layer::Dropout(dropout) => Module::plain(format!("Dropout({:?})", dropout.rate)),
        Layer::Flatten => Module::plain("Flatten()"),
        Layer::Unflatten { shape: [c, h, w] } => Module::plain(format!("Unflatten(1, ({c}, {h}, {w}))")),
    }
}

/// The names and shapes of all parameters, weight and bias of each module in turn.
pub(crate) fn parameters(modules: &[Module]) -> Vec<(String, Vec<usize>)> {
    let mut out = vec![];
    for (i, module) in modules.iter().enumerate() {
        if let (Some(weight), Some(bias)) = (module.weight.clone(), module.bias()) {
            out.extend([(format!("{i}.weight"), weight), (format!("{i}.bias"), bias)]);
        }
    }
    out
}

/// Python that builds the network and says how to feed it.
pub(crate) fn python(modules: &[Module], mean: &[f32], std: &[f32]) -> String {
    let lines: String = modules.iter().enumerate().map(|(i, module)| format!("    nn.{},  # {i}\n", module.python)).collect();
    format!(
        "import torch\nfrom torch import nn\n\n\
         # Records [n, c, h, w] in natural units (pixels 0..1) are normalised first: net((x - mean) / std).\n\
         mean = torch.tensor({mean:?}).reshape(1, -1, 1, 1)\nstd = torch.tensor({std:?}).reshape(1, -1, 1, 1)\n\
         net = nn.Sequential(\n{lines})\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::Arch;

    #[test]
    fn parameters_have_as_many_values_as_the_layers_need() {
        let own = Arch::Custom {
            layers: vec![
                Layer::Linear(Linear { inputs: 12, outputs: 8 }),
                Layer::LayerNorm(LayerNorm { values: 8, epsilon: 1e-5 }),
                Layer::ConvTranspose2d(ConvTranspose2d { inputs: 8, outputs: 4, kernel: 3, stride: 2, padding: 0 }),
                Layer::GroupNorm(GroupNorm { groups: 2, channels: 4, epsilon: 1e-5 }),
                Layer::LayerNorm(LayerNorm { values: 36, epsilon: 1e-5 }),
                Layer::Linear(Linear { inputs: 36, outputs: 3 }),
            ],
        };
        for (arch, shape) in [(own, [3, 2, 2]), (Arch::LeNet, [1, 28, 28]), (Arch::conv_net(), [3, 32, 32]), (Arch::mlp(), [7, 1, 1])] {
            let layers = arch.layers(shape, 3).unwrap();
            let lengths: Vec<usize> =
                parameters(&modules(&layers, shape).unwrap()).iter().map(|(_, sides)| sides.iter().product()).collect();
            assert_eq!(lengths, layers.iter().flat_map(Layer::parameters).collect::<Vec<_>>(), "{}", arch.name());
        }
    }

    #[test]
    fn flat_records_are_folded_and_unfolded_where_pytorch_needs_it() {
        let layers = [
            Layer::Linear(Linear { inputs: 12, outputs: 8 }),
            Layer::Relu,
            Layer::ConvTranspose2d(ConvTranspose2d { inputs: 8, outputs: 4, kernel: 3, stride: 2, padding: 0 }),
        ];
        let modules = modules(&layers, [3, 2, 2]).unwrap();
        let python: Vec<&str> = modules.iter().map(|module| module.python.as_str()).collect();
        let expected = ["Flatten()", "Linear(12, 8)", "ReLU()", "Unflatten(1, (8, 1, 1))", "ConvTranspose2d(8, 4, 3, stride=2, padding=0)"];
        assert_eq!(python, expected);
        let named = parameters(&modules);
        assert_eq!(named[2], ("4.weight".to_string(), vec![8, 4, 3, 3]));
        assert_eq!(named[3], ("4.bias".to_string(), vec![4]));
    }
}
