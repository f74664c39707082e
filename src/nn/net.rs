//! A network at work: layers and their parameters on a device.

mod tangent;

use super::conv_block::{BlockSaved, ConvBlock, Wanted};
use super::per_sample::{Part, PerSample, SampleGradients};
use super::{Layer, Saved};
use crate::lab::Rng;
use crate::{Error, Result};
use burn::tensor::{Device, FloatDType, Tensor, TensorData};

/// Layers with their parameters. Cloning shares the tensors.
#[derive(Clone)]
pub(crate) struct Net {
    layers: Vec<Layer>,
    stages: Vec<Stage>,
    /// All parameters, flat, in layer order.
    pub(crate) weights: Vec<Tensor<1>>,
}

/// What runs as one step: a layer, or on the processor a whole block.
#[derive(Clone)]
enum Stage {
    Layer(Layer),
    /// A layer of products whose factors are rounded to bfloat16. The weights themselves, the bias's gradient and all other layers stay in 32 bits.
    Mixed(Layer),
    Block(ConvBlock),
}

/// What a stage's forward pass keeps.
pub(crate) enum Kept {
    Layer(Saved),
    Block(BlockSaved),
}

impl Stage {
    fn all(layers: &[Layer], fuse: bool) -> Vec<Self> {
        let mut stages: Vec<Self> = vec![];
        let mut rest = layers;
        while let Some(first) = rest.first() {
            let block = if fuse { ConvBlock::of(rest) } else { None };
            let (stage, length) = match block {
                Some(mut block) => {
                    if let Some(Self::Block(before)) = stages.last_mut() {
                        block.follow(before);
                    }
                    (Self::Block(block), ConvBlock::LAYERS)
                }
                None => (Self::Layer(first.clone()), 1),
            };
            stages.push(stage);
            rest = &rest[length..];
        }
        stages
    }

    fn parameters(&self) -> usize {
        match self {
            Self::Layer(layer) | Self::Mixed(layer) => layer.parameters().len(),
            Self::Block(_) => ConvBlock::PARAMETERS,
        }
    }

    fn forward(&self, w: &[Tensor<1>], x: Tensor<4>, saving: bool, seed: Option<u64>) -> (Tensor<4>, Kept) {
        match self {
            Self::Layer(layer) => {
                let (y, saved) = layer.forward(w, x, seed);
                (y, Kept::Layer(saved))
            }
            Self::Mixed(layer) => {
                let (y, saved) = layer.forward(&w.iter().cloned().map(narrow).collect::<Vec<_>>(), narrow(x), seed);
                (wide(y), Kept::Layer(saved))
            }
            Self::Block(block) => {
                let (y, saved) = block.forward(w, x, saving);
                (y, Kept::Block(saved))
            }
        }
    }

    /// The gradients in the parameters, and the one in the input, as far as they are wanted.
    fn gradients(&self, w: &[Tensor<1>], kept: &Kept, grad: Tensor<4>, wanted: Wanted) -> (Vec<Tensor<1>>, Option<Tensor<4>>) {
        match (self, kept) {
            (Self::Layer(layer), Kept::Layer(saved)) => {
                let weights = if wanted.weights { layer.weight_gradients(saved, grad.clone()) } else { vec![] };
                let input = if wanted.input { Some(layer.input_gradient(w, saved, grad)) } else { None };
                (weights, input)
            }
            (Self::Mixed(layer), Kept::Layer(saved)) => {
                let factor = narrow(grad.clone());
                let mut weights = vec![];
                if wanted.weights {
                    weights.extend(layer.weight_gradients(saved, factor.clone()).into_iter().map(wide));
                    // The bias's is a sum, not a product.
                    if let Some(bias) = weights.last_mut() {
                        *bias = grad.sum_dims(&[0, 2, 3]).reshape([-1]);
                    }
                }
                let narrowed = || w.iter().cloned().map(narrow).collect::<Vec<_>>();
                (weights, wanted.input.then(|| wide(layer.input_gradient(&narrowed(), saved, factor))))
            }
            (Self::Block(block), Kept::Block(saved)) => block.gradients(w, saved, grad, wanted),
            _ => (vec![], Some(grad)), // a tape of another network: cannot happen inside Net
        }
    }
}

impl Net {
    /// A fresh network; its weights come from `rng` alone, so they are the same on every device.
    pub(crate) fn new(layers: Vec<Layer>, rng: &mut Rng, device: &Device) -> Self {
        let host: Vec<Vec<f32>> = layers.iter().flat_map(|layer| layer.initialise(rng)).collect();
        Self::on(layers, host.into_iter().map(|w| vector(w, device)).collect(), crate::device::is_cpu(device))
    }

    /// A network with given weights, `host[i]` the i-th parameter vector.
    pub(crate) fn with_weights(layers: Vec<Layer>, host: &[Vec<f32>], device: &Device) -> Result<Self> {
        let lengths: Vec<usize> = layers.iter().flat_map(Layer::parameters).collect();
        let given: Vec<usize> = host.iter().map(Vec::len).collect();
        if lengths != given {
            let what = format!("weights of lengths {given:?} for a network that needs {lengths:?}");
            return Err(Error::mismatch(what, "use the architecture the weights were trained with"));
        }
        Ok(Self::on(layers, host.iter().map(|w| vector(w.clone(), device)).collect(), crate::device::is_cpu(device)))
    }

    /// `fuse` runs whole blocks where it can, which autodiff cannot look into.
    pub(crate) fn on(layers: Vec<Layer>, weights: Vec<Tensor<1>>, fuse: bool) -> Self {
        Self { stages: Stage::all(&layers, fuse), layers, weights }
    }

    /// The same network, whose convolutions and matrix products round their factors to bfloat16.
    pub(crate) fn mixed(&self) -> Self {
        let stage = |layer: &Layer| if layer.multiplies() { Stage::Mixed(layer.clone()) } else { Stage::Layer(layer.clone()) };
        Self { layers: self.layers.clone(), stages: self.layers.iter().map(stage).collect(), weights: self.weights.clone() }
    }

    /// How long each parameter vector is.
    pub(crate) fn lengths(&self) -> impl Iterator<Item = usize> {
        self.weights.iter().map(|w| w.dims()[0])
    }

    pub(crate) fn layers(&self) -> &[Layer] {
        &self.layers
    }

    /// Everything before the last linear layer: the embedding of distribution matching and herding.
    pub(crate) fn features(self) -> Self {
        let Self { mut layers, mut weights, stages } = self;
        if let Some(last) = layers.pop() {
            weights.truncate(weights.len() - last.parameters().len());
        }
        let fuse = stages.iter().any(|stage| matches!(stage, Stage::Block(_)));
        Self::on(layers, weights, fuse)
    }

    /// The output alone; intermediate activations are dropped as soon as they are used.
    pub(crate) fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let mut at = 0;
        let mut y = x;
        for stage in &self.stages {
            let count = stage.parameters();
            y = stage.forward(&self.weights[at..at + count], y, false, None).0;
            at += count;
        }
        y
    }

    /// The output and what the backward pass needs; nothing random.
    pub(crate) fn forward_saving(&self, x: Tensor<4>) -> (Tensor<4>, Vec<Kept>) {
        self.forward_training(x, None)
    }

    /// The same with the random numbers of a training pass, which follow from `seed`.
    pub(crate) fn forward_training(&self, x: Tensor<4>, seed: Option<u64>) -> (Tensor<4>, Vec<Kept>) {
        let mut at = 0;
        let mut y = x;
        let mut tape = Vec::with_capacity(self.stages.len());
        for (i, stage) in self.stages.iter().enumerate() {
            let count = stage.parameters();
            let seed = seed.map(|seed| seed.wrapping_add((i as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15)));
            let (out, kept) = stage.forward(&self.weights[at..at + count], y, true, seed);
            tape.push(kept);
            y = out;
            at += count;
        }
        (y, tape)
    }

    /// The gradients of all parameters, in their order, from the gradient in the output.
    pub(crate) fn weight_gradients(&self, tape: &[Kept], grad: Tensor<4>) -> Vec<Tensor<1>> {
        let mut gradients = vec![];
        let mut grad = grad;
        let mut at = self.weights.len();
        for (stage, kept) in self.stages.iter().zip(tape).rev() {
            let count = stage.parameters();
            at -= count;
            let w = &self.weights[at..at + count];
            // Nothing before stage 0 has parameters.
            let (mut own, input) = stage.gradients(w, kept, grad, Wanted { weights: true, input: at > 0 });
            own.reverse();
            gradients.extend(own);
            let Some(input) = input else { break };
            grad = input;
        }
        gradients.reverse();
        gradients
    }

    /// The gradients of every sample by itself, and the one in the input if `input`. `grad` holds for each sample the gradient of its own
    /// loss (not of a mean) in the output.
    pub(crate) fn per_sample(&self, tape: &[Kept], grad: Tensor<4>, how: PerSample, input: bool) -> (SampleGradients, Option<Tensor<4>>) {
        let [samples, ..] = grad.dims();
        let mut parts = vec![];
        let mut grad = Some(grad);
        let mut at = self.weights.len();
        for (stage, kept) in self.stages.iter().zip(tape).rev() {
            let Some(out) = grad.take() else { break };
            let count = stage.parameters();
            at -= count;
            let w = &self.weights[at..at + count];
            let wanted = input || at > 0;
            match (stage, kept) {
                (Stage::Layer(layer) | Stage::Mixed(layer), Kept::Layer(saved)) => {
                    if count > 0 {
                        parts.push(Part::of(layer, saved, out.clone(), how));
                    }
                    grad = wanted.then(|| layer.input_gradient(w, saved, out));
                }
                (Stage::Block(block), Kept::Block(saved)) => {
                    let device = out.device();
                    let (own, input) = block.sample_gradients(w, saved, out, wanted);
                    parts.push(Part::Block(own, device));
                    grad = input;
                }
                _ => grad = Some(out), // a tape of another network: cannot happen inside Net
            }
        }
        parts.reverse();
        (SampleGradients::new(parts, samples), grad.filter(|_| input))
    }

    /// The gradient in the input, from the gradient in the output.
    pub(crate) fn input_gradient(&self, tape: &[Kept], grad: Tensor<4>) -> Tensor<4> {
        let mut grad = grad;
        let mut at = self.weights.len();
        for (stage, kept) in self.stages.iter().zip(tape).rev() {
            let count = stage.parameters();
            at -= count;
            let wanted = Wanted { weights: false, input: true };
            if let (_, Some(input)) = stage.gradients(&self.weights[at..at + count], kept, grad.clone(), wanted) {
                grad = input;
            }
        }
        grad
    }

    /// The parameters on the host.
    pub(crate) fn host_weights(&self) -> Result<Vec<Vec<f32>>> {
        self.weights.iter().map(|w| to_host(w.clone())).collect()
    }
}

/// Rounded to bfloat16. The processor then multiplies and adds in 32 bits; elsewhere the backend does both, and answers in bfloat16.
fn narrow<const D: usize>(tensor: Tensor<D>) -> Tensor<D> {
    let on_cpu = crate::device::is_cpu(&tensor.device());
    let rounded = tensor.cast(FloatDType::BF16);
    if on_cpu { wide(rounded) } else { rounded }
}

fn wide<const D: usize>(tensor: Tensor<D>) -> Tensor<D> {
    tensor.cast(FloatDType::F32)
}

fn vector(values: Vec<f32>, device: &Device) -> Tensor<1> {
    let len = values.len();
    Tensor::from_data(TensorData::new(values, [len]), device)
}

/// Host values as a tensor `[n, c, h, w]`.
pub(crate) fn to_tensor(values: Vec<f32>, shape: [usize; 4], device: &Device) -> Tensor<4> {
    Tensor::from_data(TensorData::new(values, shape), device)
}

/// The values of a tensor on the host, row-major.
pub(crate) fn to_host<const D: usize>(tensor: Tensor<D>) -> Result<Vec<f32>> {
    #[cfg(test)]
    crate::device::elsewhere::read();
    let device = format!("{:?}", tensor.device());
    tensor
        .try_into_vec_as::<f32>()
        .map_err(|e| Error::device(device, format!("could not read a tensor back: {e:?}"), "try a smaller batch, or the CPU"))
}

#[cfg(test)]
mod tests;
