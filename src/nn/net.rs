//! A network at work: layers and their parameters on a device.

use super::conv_block::{BlockSaved, ConvBlock};
use super::{Layer, Saved};
use crate::lab::Rng;
use crate::{Error, Result};
use burn::tensor::{Device, Tensor, TensorData};

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
    Block(ConvBlock),
}

/// What a stage's forward pass keeps.
pub(crate) enum Kept {
    Layer(Saved),
    Block(BlockSaved),
}

impl Stage {
    fn all(layers: &[Layer], fuse: bool) -> Vec<Self> {
        let mut stages = vec![];
        let mut rest = layers;
        while let Some(first) = rest.first() {
            let block = if fuse { ConvBlock::of(rest) } else { None };
            let (stage, length) = match block {
                Some(block) => (Self::Block(block), ConvBlock::LAYERS),
                None => (Self::Layer(first.clone()), 1),
            };
            stages.push(stage);
            rest = &rest[length..];
        }
        stages
    }

    fn parameters(&self) -> usize {
        match self {
            Self::Layer(layer) => layer.parameters().len(),
            Self::Block(_) => ConvBlock::PARAMETERS,
        }
    }

    fn forward(&self, w: &[Tensor<1>], x: Tensor<4>, saving: bool) -> (Tensor<4>, Kept) {
        match self {
            Self::Layer(layer) => {
                let (y, saved) = layer.forward(w, x);
                (y, Kept::Layer(saved))
            }
            Self::Block(block) => {
                let (y, saved) = block.forward(w, x, saving);
                (y, Kept::Block(saved))
            }
        }
    }

    fn input_gradient(&self, w: &[Tensor<1>], kept: &Kept, grad: Tensor<4>) -> Tensor<4> {
        match (self, kept) {
            (Self::Layer(layer), Kept::Layer(saved)) => layer.input_gradient(w, saved, grad),
            (Self::Block(block), Kept::Block(saved)) => block.input_gradient(w, saved, grad),
            _ => grad, // a tape of another network: cannot happen inside Net
        }
    }

    fn weight_gradients(&self, w: &[Tensor<1>], kept: &Kept, grad: Tensor<4>) -> Vec<Tensor<1>> {
        match (self, kept) {
            (Self::Layer(layer), Kept::Layer(saved)) => layer.weight_gradients(saved, grad),
            (Self::Block(block), Kept::Block(saved)) => block.weight_gradients(w, saved, grad),
            _ => vec![],
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

    fn on(layers: Vec<Layer>, weights: Vec<Tensor<1>>, fuse: bool) -> Self {
        Self { stages: Stage::all(&layers, fuse), layers, weights }
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
            y = stage.forward(&self.weights[at..at + count], y, false).0;
            at += count;
        }
        y
    }

    /// The output and what the backward pass needs.
    pub(crate) fn forward_saving(&self, x: Tensor<4>) -> (Tensor<4>, Vec<Kept>) {
        let mut at = 0;
        let mut y = x;
        let mut tape = Vec::with_capacity(self.stages.len());
        for stage in &self.stages {
            let count = stage.parameters();
            let (out, kept) = stage.forward(&self.weights[at..at + count], y, true);
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
            let mut own = stage.weight_gradients(w, kept, grad.clone());
            own.reverse();
            gradients.extend(own);
            if at == 0 {
                break; // nothing before this stage has parameters
            }
            grad = stage.input_gradient(w, kept, grad);
        }
        gradients.reverse();
        gradients
    }

    /// The gradient in the input, from the gradient in the output.
    pub(crate) fn input_gradient(&self, tape: &[Kept], grad: Tensor<4>) -> Tensor<4> {
        let mut grad = grad;
        let mut at = self.weights.len();
        for (stage, kept) in self.stages.iter().zip(tape).rev() {
            let count = stage.parameters();
            at -= count;
            grad = stage.input_gradient(&self.weights[at..at + count], kept, grad);
        }
        grad
    }

    /// The parameters on the host.
    pub(crate) fn host_weights(&self) -> Result<Vec<Vec<f32>>> {
        self.weights.iter().map(|w| to_host(w.clone())).collect()
    }
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
    let device = format!("{:?}", tensor.device());
    tensor
        .try_into_vec_as::<f32>()
        .map_err(|e| Error::device(device, format!("could not read a tensor back: {e:?}"), "try a smaller batch, or the CPU"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::{Arch, AvgPool, Conv2d, InstanceNorm, Linear, MaxPool, Optimizer, cross_entropy};
    use crate::{Device as Kind, Lab};
    use burn::tensor::activation::log_softmax;
    use rand::RngExt;

    fn problem(layers: Vec<Layer>, shape: [usize; 4]) -> (Net, Tensor<4>, Tensor<2>) {
        let lab = Lab::on(Kind::Cpu).unwrap().seed(11);
        let device = lab.open().unwrap();
        let mut rng = lab.rng("test", 0);
        let mut net = Net::new(layers, &mut rng, &device);
        // Norm layers start at scale 1 and shift 0, which would hide mistakes: move everything a little.
        for w in &mut net.weights {
            let noise: Vec<f32> = (0..w.dims()[0]).map(|_| rng.random_range(-0.2..0.2)).collect();
            *w = w.clone() + vector(noise, &device);
        }
        let x: Vec<f32> = (0..shape.iter().product()).map(|_| rng.random_range(-1.0..1.0)).collect();
        let one_hot: Vec<f32> = (0..shape[0]).flat_map(|i| (0..3).map(move |c| f32::from(u8::from(i % 3 == c)))).collect();
        (net, to_tensor(x, shape, &device), Tensor::from_data(TensorData::new(one_hot, [shape[0], 3]), &device))
    }

    /// The same network through burn's autodiff.
    fn by_autodiff(net: &Net, x: &Tensor<4>, one_hot: &Tensor<2>) -> (Vec<Vec<f32>>, Vec<f32>, f32) {
        let weights: Vec<Tensor<1>> = net.weights.iter().map(|w| w.clone().autodiff().require_grad()).collect();
        let tracked = Net::on(net.layers.clone(), weights, false);
        let x = x.clone().autodiff().require_grad();
        let logits: Tensor<2> = tracked.forward(x.clone()).flatten(1, 3);
        let [n, _] = logits.dims();
        let loss = -(log_softmax(logits, 1) * one_hot.clone().autodiff()).sum() / n as f64;
        let gradients = loss.backward();
        let weights = tracked.weights.iter().map(|w| to_host(w.grad(&gradients).unwrap()).unwrap()).collect();
        (weights, to_host(x.grad(&gradients).unwrap()).unwrap(), to_host(loss.inner()).unwrap()[0])
    }

    /// `scale` is the largest entry of all gradients: some, such as a bias before a norm, are zero but for rounding.
    fn assert_close(ours: &[f32], theirs: &[f32], scale: f32, what: &str) {
        assert_eq!(ours.len(), theirs.len(), "{what}");
        for (i, (a, b)) in ours.iter().zip(theirs).enumerate() {
            // f32 sums in another order: a few units in the last place of the largest entry.
            assert!((a - b).abs() <= 2e-5 * scale, "{what} entry {i}: {a} against {b} (scale {scale})");
        }
    }

    /// Layer by layer, and with fused blocks.
    fn backward_agrees_with_autodiff(layers: Vec<Layer>, shape: [usize; 4]) {
        let (net, x, one_hot) = problem(layers, shape);
        agrees_with_autodiff(Net::on(net.layers.clone(), net.weights.clone(), false), x.clone(), one_hot.clone());
        agrees_with_autodiff(net, x, one_hot);
    }

    fn agrees_with_autodiff(net: Net, x: Tensor<4>, one_hot: Tensor<2>) {
        let (weights, input, loss) = by_autodiff(&net, &x, &one_hot);
        let (logits, tape) = net.forward_saving(x);
        let (ours, grad) = cross_entropy(logits, one_hot);
        assert_close(&to_host(ours).unwrap(), &[loss], loss, "loss");
        let scale = weights.iter().flatten().fold(0.0f32, |m, v| m.max(v.abs()));
        for (i, (a, b)) in net.weight_gradients(&tape, grad.clone()).into_iter().zip(&weights).enumerate() {
            assert_close(&to_host(a).unwrap(), b, scale, &format!("parameter {i}"));
        }
        assert_close(&to_host(net.input_gradient(&tape, grad)).unwrap(), &input, input.iter().fold(0.0f32, |m, v| m.max(v.abs())), "input");
    }

    #[test]
    fn conv_net_backward_agrees_with_autodiff() {
        let layers = Arch::conv_net().with_width(4).with_depth(2).layers([2, 10, 9], 3).unwrap();
        backward_agrees_with_autodiff(layers, [5, 2, 10, 9]);
        // Wider than one register tile, and with channels that do not fill the last one.
        let layers = Arch::conv_net().with_width(21).with_depth(2).layers([3, 16, 14], 3).unwrap();
        backward_agrees_with_autodiff(layers, [2, 3, 16, 14]);
    }

    #[test]
    fn the_padded_first_convolution_agrees_with_autodiff() {
        let layers = Arch::conv_net().with_width(3).with_depth(2).layers([1, 28, 28], 3).unwrap();
        backward_agrees_with_autodiff(layers, [2, 1, 28, 28]);
    }

    #[test]
    fn le_net_and_mlp_backward_agree_with_autodiff() {
        backward_agrees_with_autodiff(Arch::LeNet.layers([1, 17, 16], 3).unwrap(), [4, 1, 17, 16]);
        backward_agrees_with_autodiff(Arch::Mlp { hidden: vec![7, 5] }.layers([6, 1, 1], 3).unwrap(), [4, 6, 1, 1]);
    }

    #[test]
    fn strided_convolution_backward_agrees_with_autodiff() {
        let layers = vec![
            Layer::Conv2d(Conv2d { inputs: 2, outputs: 4, kernel: 3, stride: 2, padding: 1 }),
            Layer::InstanceNorm(InstanceNorm { channels: 4, epsilon: 1e-5 }),
            Layer::MaxPool(MaxPool { size: 2 }),
            Layer::AvgPool(AvgPool { size: 1 }),
            Layer::Flatten,
            Layer::Linear(Linear { inputs: 16, outputs: 3 }),
        ];
        backward_agrees_with_autodiff(layers, [3, 2, 8, 8]);
    }

    #[test]
    fn optimisers_follow_their_formulas() {
        let device = Lab::on(Kind::Cpu).unwrap().open().unwrap();
        let run = |optimizer: Optimizer| {
            let mut weights = vec![vector(vec![1.0], &device)];
            let mut steps = optimizer.start();
            for gradient in [0.5, -1.0] {
                steps.step(&mut weights, vec![vector(vec![gradient], &device)], 1.0);
            }
            to_host(weights.remove(0)).unwrap()[0]
        };
        // By hand: v1 = 0.5 + 0.1·1, w1 = 1 − 0.1·0.6; v2 = 0.9·0.6 − 1 + 0.1·w1, w2 = w1 − 0.1·v2.
        let sgd = run(Optimizer::Sgd { rate: 0.1, momentum: 0.9, weight_decay: 0.1 });
        assert!((sgd - 0.9766).abs() < 1e-6, "{sgd}");
        // Adam: first step moves by the rate; second: m = 0.9·0.05 − 0.1, v = 0.999·0.00025 + 0.001, corrected by step 2.
        let adam = run(Optimizer::adam(0.1));
        let (m, v): (f64, f64) = (0.9 * 0.05 - 0.1, 0.999 * 0.00025 + 0.001);
        let expected = 0.9 - 0.1 * (m / (1.0 - 0.81)) / ((v / (1.0 - 0.999f64.powi(2))).sqrt() + 1e-8);
        assert!((f64::from(adam) - expected).abs() < 1e-5, "{adam} against {expected}");
    }
}
