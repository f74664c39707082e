//! First order against burn's autodiff, layer by layer and fused.

use super::*;
use crate::nn::{Arch, AvgPool, Conv2d, GroupNorm, InstanceNorm, Linear, Loss, MaxPool, Optimizer};
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
    let (ours, grad) = Loss::CrossEntropy.of(logits, one_hot);
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
    // Two tiles of channels, and squares that reach over the edge of 7×7 and 3×3.
    let layers = Arch::conv_net().with_width(36).with_depth(3).layers([1, 14, 15], 3).unwrap();
    backward_agrees_with_autodiff(layers, [2, 1, 14, 15]);
}

#[test]
fn the_padded_first_convolution_agrees_with_autodiff() {
    let layers = Arch::conv_net().with_width(3).with_depth(2).layers([1, 28, 28], 3).unwrap();
    backward_agrees_with_autodiff(layers, [2, 1, 28, 28]);
}

#[test]
fn a_group_norm_net_backward_agrees_with_autodiff() {
    let block = |inputs| {
        vec![
            Layer::Conv2d(Conv2d { inputs, outputs: 6, kernel: 3, stride: 1, padding: 1 }),
            Layer::GroupNorm(GroupNorm { groups: 2, channels: 6, epsilon: 1e-5 }),
            Layer::Relu,
            Layer::AvgPool(AvgPool { size: 2 }),
        ]
    };
    let mut layers = [block(2), block(6)].concat();
    assert!(ConvBlock::of(&layers).is_some(), "the block is fused");
    layers.extend([Layer::Flatten, Layer::Linear(Linear { inputs: 6 * 2 * 2, outputs: 3 })]);
    backward_agrees_with_autodiff(layers, [4, 2, 9, 8]);
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
fn mixed_precision_rounds_products_and_nothing_else() {
    // bfloat16 keeps 8 bits: a factor is off by at most 2^-9 of itself. Behind norms and ReLUs, on random numbers, errors grow.
    let cases = [
        (Arch::Logistic.layers([30, 1, 1], 3).unwrap(), [6, 30, 1, 1], 5e-3),
        (Arch::Mlp { hidden: vec![20] }.layers([30, 1, 1], 3).unwrap(), [6, 30, 1, 1], 0.1),
        (Arch::conv_net().with_width(8).with_depth(2).layers([1, 16, 16], 3).unwrap(), [6, 1, 16, 16], 0.1),
    ];
    for (layers, shape, most) in cases {
        let (net, x, one_hot) = problem(layers, shape);
        let gradients = |net: &Net| -> Vec<f32> {
            let (logits, tape) = net.forward_saving(x.clone());
            let (_, grad) = Loss::CrossEntropy.of(logits, one_hot.clone());
            net.weight_gradients(&tape, grad).into_iter().flat_map(|w| to_host(w).unwrap()).collect()
        };
        let (single, mixed) = (gradients(&net), gradients(&net.mixed()));
        let length = |values: &mut dyn Iterator<Item = f32>| values.map(|v| v * v).sum::<f32>().sqrt();
        let error = length(&mut single.iter().zip(&mixed).map(|(a, b)| a - b)) / length(&mut single.iter().copied());
        assert!(error > 1e-4 && error < most, "{error}, expected less than {most}");
    }
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
