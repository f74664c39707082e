//! Gradients of gradients against an independent program and central differences; gradients per sample against an independent
//! program and micro-batches.

use super::*;
use crate::nn::{
    AvgPool, Conv2d, ConvTranspose2d, Dropout, GroupNorm, InstanceNorm, Layer, LayerNorm, Linear, MaxPool, PerSample, to_host, to_tensor,
};
use crate::{Device as Kind, Lab};
use burn::tensor::{DType, Device, TensorData};
use rand::RngExt;
use serde_json::Value;

fn device() -> Device {
    Lab::on(Kind::Cpu).unwrap().open().unwrap()
}

fn golden(path: &str) -> Value {
    let path = format!("{}/tests/golden/{path}", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn numbers(value: &Value) -> Vec<f32> {
    value["data"].as_array().unwrap().iter().map(|v| v.as_f64().unwrap() as f32).collect()
}

fn shape(value: &Value) -> [usize; 4] {
    let sides: Vec<usize> = value["shape"].as_array().unwrap().iter().map(|v| v.as_u64().unwrap() as usize).collect();
    sides.try_into().unwrap()
}

fn one_hot(labels: &[usize], classes: usize) -> Tensor<2> {
    let values: Vec<f32> = labels.iter().flat_map(|&l| (0..classes).map(move |c| f32::from(u8::from(c == l)))).collect();
    Tensor::from_data(TensorData::new(values, [labels.len(), classes]), &device())
}

fn assert_near(ours: &[f32], theirs: &[f32], tolerance: f32, what: &str) {
    assert_eq!(ours.len(), theirs.len(), "{what}");
    for (i, (a, b)) in ours.iter().zip(theirs).enumerate() {
        assert!((a - b).abs() <= tolerance, "{what} entry {i}: {a} against {b}");
    }
}

fn conv_norm_pool(inputs: usize, outputs: usize, norm: Layer) -> Vec<Layer> {
    let conv = Layer::Conv2d(Conv2d { inputs, outputs, kernel: 3, stride: 1, padding: 1 });
    vec![conv, norm, Layer::Relu, Layer::AvgPool(AvgPool { size: 2 })]
}

#[test]
fn the_gradient_of_a_distance_of_gradients_agrees_with_an_independent_program() {
    let golden = golden("gradient_matching/convnet.json");
    let norm = || Layer::InstanceNorm(InstanceNorm { channels: 4, epsilon: 1e-5 });
    let mut layers = conv_norm_pool(1, 4, norm());
    layers.extend(conv_norm_pool(4, 4, norm()));
    layers.extend([Layer::Flatten, Layer::Linear(Linear { inputs: 16, outputs: 3 })]);
    let weights: Vec<Vec<f32>> = golden["parameters"].as_array().unwrap().iter().map(numbers).collect();
    let net = Net::with_weights(layers, &weights, &device()).unwrap();
    for case in golden["cases"].as_array().unwrap() {
        let label = case["label"].as_u64().unwrap() as usize;
        let real: Vec<Tensor<1>> = case["real_weight_gradients"]
            .as_array()
            .unwrap()
            .iter()
            .map(|g| {
                let values = numbers(g);
                let len = values.len();
                Tensor::from_data(TensorData::new(values, [len]), &device())
            })
            .collect();
        let images = &case["synthetic_images"];
        let n = shape(images)[0];
        let x = to_tensor(numbers(images), shape(images), &device());
        let mut distance = 0.0;
        let product = gradient_product(&net, Loss::CrossEntropy, x, one_hot(&vec![label; n], 3), Wanted::Input, |own| {
            let (total, direction) = crate::condense::gradient_matching::distance::cosine(net.layers(), &real, own);
            distance = to_host(total.unwrap()).unwrap()[0];
            Ok::<_, ()>(direction)
        })
        .unwrap();
        // The reference is in f64; f32 sums over a few thousand terms leave about 1e-5.
        assert!((distance - case["distance"].as_f64().unwrap() as f32).abs() < 1e-4, "{distance}");
        let expected = numbers(&case["image_gradient"]);
        let scale = expected.iter().fold(0.0f32, |m, v| m.max(v.abs()));
        assert_near(&to_host(product.in_input).unwrap(), &expected, 1e-4 * scale, "image gradient");
        for (ours, theirs) in product.gradients.into_iter().zip(case["synthetic_weight_gradients"].as_array().unwrap()) {
            assert_near(&to_host(ours).unwrap(), &numbers(theirs), 1e-5, "weight gradient");
        }
    }
}

#[test]
fn gradients_of_each_sample_agree_with_an_independent_program() {
    let golden = golden("per_sample_gradients/conv_group_norm.json");
    let mut layers = conv_norm_pool(2, 4, Layer::GroupNorm(GroupNorm { groups: 2, channels: 4, epsilon: 1e-5 }));
    layers.extend([Layer::Flatten, Layer::Linear(Linear { inputs: 36, outputs: 3 })]);
    let weights: Vec<Vec<f32>> = golden["parameters"].as_array().unwrap().iter().map(numbers).collect();
    let net = Net::with_weights(layers, &weights, &device()).unwrap();
    let labels: Vec<usize> = golden["labels"].as_array().unwrap().iter().map(|v| v.as_u64().unwrap() as usize).collect();
    let images = &golden["images"];
    let (logits, tape) = net.forward_saving(to_tensor(numbers(images), shape(images), &device()));
    let (_, grad) = Loss::CrossEntropy.of(logits, one_hot(&labels, 3));
    // The loss of a sample is its own, not divided by the batch.
    let each = |how| net.per_sample(&tape, grad.clone() * labels.len() as f64, how, false).0;
    let samples = golden["samples"].as_array().unwrap();
    for how in [PerSample::Flat, PerSample::Ghost] {
        let lengths: Vec<f32> = samples.iter().map(|sample| sample["norm"].as_f64().unwrap() as f32).collect();
        assert_near(&to_host(each(how).squared_lengths(&device()).sqrt()).unwrap(), &lengths, 1e-5, "lengths");
        for (i, sample) in samples.iter().enumerate() {
            let alone = one_hot(&[i], labels.len()).reshape([-1]);
            for (p, ours) in each(how).weighted_sum(alone).into_iter().enumerate() {
                assert_near(&to_host(ours).unwrap(), &numbers(&sample["gradients"][p]), 1e-5, &format!("sample {i}, parameter {p}"));
            }
        }
    }
}

/// Every kind of layer, in networks small enough for central differences: name, layers, input shape, and whether it is smooth.
fn zoo() -> Vec<(&'static str, Vec<Layer>, [usize; 4])> {
    let linear = |inputs| vec![Layer::Flatten, Layer::Linear(Linear { inputs, outputs: 3 })];
    let with = |mut layers: Vec<Layer>, inputs| {
        layers.extend(linear(inputs));
        layers
    };
    let conv = |kernel, stride, padding| Layer::Conv2d(Conv2d { inputs: 2, outputs: 3, kernel, stride, padding });
    let up = |kernel, stride, padding| Layer::ConvTranspose2d(ConvTranspose2d { inputs: 2, outputs: 3, kernel, stride, padding });
    vec![
        ("convolution", with(vec![conv(3, 1, 1), Layer::Tanh], 3 * 5 * 4), [2, 2, 5, 4]),
        ("wide padding", with(vec![conv(3, 1, 3), Layer::Tanh], 3 * 9 * 8), [2, 2, 5, 4]),
        ("strided convolution", with(vec![conv(3, 2, 1), Layer::Sigmoid], 3 * 3 * 2), [2, 2, 5, 4]),
        ("transposed convolution", with(vec![up(3, 1, 1), Layer::Tanh], 3 * 4 * 3), [2, 2, 4, 3]),
        ("strided transposed convolution", with(vec![up(4, 2, 1), Layer::Sigmoid], 3 * 6 * 4), [2, 2, 3, 2]),
        ("instance norm", with(vec![Layer::InstanceNorm(InstanceNorm { channels: 2, epsilon: 1e-5 }), Layer::Tanh], 24), [2, 2, 4, 3]),
        ("group norm", with(vec![Layer::GroupNorm(GroupNorm { groups: 2, channels: 4, epsilon: 1e-5 }), Layer::Tanh], 24), [2, 4, 3, 2]),
        ("layer norm", with(vec![Layer::LayerNorm(LayerNorm { values: 24, epsilon: 1e-5 }), Layer::Tanh], 24), [2, 2, 4, 3]),
        ("leaky ReLU", with(vec![conv(3, 1, 1), Layer::LeakyRelu { slope: 0.2 }], 3 * 5 * 4), [2, 2, 5, 4]),
        ("ReLU", with(vec![conv(3, 1, 1), Layer::Relu], 3 * 5 * 4), [2, 2, 5, 4]),
        ("average pool with a border", with(vec![Layer::Tanh, Layer::AvgPool(AvgPool { size: 2 })], 2 * 2 * 2), [2, 2, 5, 4]),
        ("maximum pool with a border", with(vec![Layer::Tanh, Layer::MaxPool(MaxPool { size: 2 })], 2 * 2 * 2), [2, 2, 5, 4]),
        ("dropout outside training", with(vec![Layer::Dropout(Dropout { rate: 0.5 }), Layer::Tanh], 12), [2, 1, 4, 3]),
        ("unflatten", with(vec![Layer::Flatten, Layer::Unflatten { shape: [2, 3, 2] }, conv(3, 1, 1), Layer::Tanh], 3 * 6), [2, 1, 4, 3]),
    ]
}

fn random(rng: &mut crate::lab::Rng, count: usize) -> Vec<f64> {
    (0..count).map(|_| rng.random_range(-1.0..1.0)).collect()
}

fn double<const D: usize>(values: &[f64], shape: [usize; D]) -> Tensor<D> {
    Tensor::from_data(TensorData::new(values.to_vec(), shape), (&device(), DType::F64))
}

fn host64<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
    tensor.into_data().try_to_vec::<f64>().unwrap()
}

struct Case {
    layers: Vec<Layer>,
    shape: [usize; 4],
    x: Vec<f64>,
    weights: Vec<Vec<f64>>,
    direction: Vec<Vec<f64>>,
    loss: Loss,
}

impl Case {
    fn new(layers: Vec<Layer>, shape: [usize; 4], loss: Loss) -> Self {
        let mut rng = Lab::on(Kind::Cpu).unwrap().seed(5).rng("zoo", 0);
        let lengths: Vec<usize> = layers.iter().flat_map(Layer::parameters).collect();
        let weights = lengths.iter().map(|&len| random(&mut rng, len).iter().map(|v| 0.6 * v).collect()).collect();
        let direction = lengths.iter().map(|&len| random(&mut rng, len)).collect();
        Self { x: random(&mut rng, shape.iter().product()), layers, shape, weights, direction, loss }
    }

    fn targets(&self) -> Tensor<2> {
        one_hot(&(0..self.shape[0]).map(|i| i % 3).collect::<Vec<_>>(), 3).cast(DType::F64)
    }

    fn net(&self, weights: &[Vec<f64>]) -> Net {
        Net::on(self.layers.clone(), weights.iter().map(|w| double(w, [w.len()])).collect(), false)
    }

    fn product(&self) -> Product {
        let direction = |_: &[Tensor<1>]| Ok::<_, ()>(self.direction.iter().map(|v| Some(double(v, [v.len()]))).collect());
        let x = double(&self.x, self.shape);
        gradient_product(&self.net(&self.weights), self.loss, x, self.targets(), Wanted::InputAndWeights, direction).unwrap()
    }

    /// Loss, gradient in the weights, gradient in the input.
    fn first_order(&self, weights: &[Vec<f64>], x: &[f64]) -> (f64, Vec<Vec<f64>>, Vec<f64>) {
        let net = self.net(weights);
        let (logits, tape) = net.forward_saving(double(x, self.shape));
        let (loss, grad) = self.loss.of(logits, self.targets());
        let gradients = net.weight_gradients(&tape, grad.clone()).into_iter().map(host64).collect();
        (host64(loss)[0], gradients, host64(net.input_gradient(&tape, grad)))
    }

    /// ⟨∇θ loss, v⟩ by first-order passes alone.
    fn slope(&self, weights: &[Vec<f64>], x: &[f64]) -> f64 {
        let (_, gradients, _) = self.first_order(weights, x);
        gradients.iter().flatten().zip(self.direction.iter().flatten()).map(|(g, v)| g * v).sum()
    }

    fn moved(&self, step: f64) -> Vec<Vec<f64>> {
        self.weights.iter().zip(&self.direction).map(|(w, v)| w.iter().zip(v).map(|(w, v)| w + step * v).collect()).collect()
    }
}

/// Central differences in f64 with step 1e-5 of a smooth function leave about 1e-9; kinks are far from these random points.
const STEP: f64 = 1e-5;

fn assert_difference(ours: f64, difference: f64, what: &str) {
    assert!((ours - difference).abs() < 1e-7 * (1.0 + difference.abs()), "{what}: {ours} against {difference}");
}

#[test]
fn first_order_agrees_with_central_differences_in_f64_for_every_layer_and_loss() {
    for (name, layers, shape) in zoo() {
        for loss in [Loss::CrossEntropy, Loss::SquaredError, Loss::BinaryCrossEntropy] {
            let case = Case::new(layers.clone(), shape, loss);
            let slope = case.slope(&case.weights, &case.x);
            let at = |step: f64| case.first_order(&case.moved(step), &case.x).0;
            assert_difference(slope, (at(STEP) - at(-STEP)) / (2.0 * STEP), &format!("{name}, {loss:?}, weights"));
            let (_, _, in_input) = case.first_order(&case.weights, &case.x);
            for i in (0..case.x.len()).step_by(5) {
                let at = |step: f64| {
                    let mut x = case.x.clone();
                    x[i] += step;
                    case.first_order(&case.weights, &x).0
                };
                assert_difference(in_input[i], (at(STEP) - at(-STEP)) / (2.0 * STEP), &format!("{name}, {loss:?}, input {i}"));
            }
        }
    }
}

#[test]
fn second_order_agrees_with_central_differences_in_f64_for_every_layer() {
    for (name, layers, shape) in zoo() {
        let case = Case::new(layers, shape, Loss::CrossEntropy);
        let product = case.product();
        let in_input = host64(product.in_input);
        // ∇x ⟨∇θ loss, v⟩ is the change of ∇x loss along v: all entries from two passes.
        let along = |step: f64| case.first_order(&case.moved(step), &case.x);
        let (up, down) = (along(STEP), along(-STEP));
        for (i, ours) in in_input.into_iter().enumerate() {
            assert_difference(ours, (up.2[i] - down.2[i]) / (2.0 * STEP), &format!("{name}, input {i}"));
        }
        // And ∇θ ⟨∇θ loss, v⟩ that of ∇θ loss.
        for (p, ours) in product.in_weights.into_iter().enumerate() {
            for (i, ours) in host64(ours).into_iter().enumerate() {
                assert_difference(ours, (up.1[p][i] - down.1[p][i]) / (2.0 * STEP), &format!("{name}, weight {p} entry {i}"));
            }
        }
    }
}

#[test]
fn moved_blocks_agree_with_autodiff_over_the_layers() {
    let instance = |channels| Layer::InstanceNorm(InstanceNorm { channels, epsilon: 1e-5 });
    let group = |channels| Layer::GroupNorm(GroupNorm { groups: 2, channels, epsilon: 1e-5 });
    let wide = |norm: Layer| {
        let conv = Layer::Conv2d(Conv2d { inputs: 2, outputs: 6, kernel: 3, stride: 1, padding: 3 });
        vec![conv, norm, Layer::Relu, Layer::AvgPool(AvgPool { size: 2 })]
    };
    // An odd side, so that the pool leaves a border; a wide padding; an image of two channels before and more after: few, and as many as pay for
    // products by squares, with sides even and odd.
    for (name, first, channels, [h, w], inner) in [
        ("instance norm", conv_norm_pool(2, 6, instance(6)), 6, [9, 10], 2 * 2),
        ("group norm", conv_norm_pool(2, 6, group(6)), 6, [9, 10], 2 * 2),
        ("wide padding", wide(instance(6)), 6, [5, 4], 2 * 2),
        ("squares", conv_norm_pool(2, 18, instance(18)), 18, [9, 11], 2 * 2),
        ("squares, group norm", conv_norm_pool(2, 18, group(18)), 18, [12, 8], 3 * 2),
    ] {
        let mut layers = first;
        layers.extend(conv_norm_pool(channels, channels, if name.ends_with("group norm") { group(channels) } else { instance(channels) }));
        layers.extend([Layer::Flatten, Layer::Linear(Linear { inputs: channels * inner, outputs: 3 })]);
        let mut rng = Lab::on(Kind::Cpu).unwrap().seed(8).rng("blocks", 0);
        let mut vectors = |scale: f64| -> Vec<Vec<f32>> {
            let lengths = layers.iter().flat_map(Layer::parameters);
            lengths.map(|len| random(&mut rng, len).iter().map(|v| (scale * v) as f32).collect()).collect()
        };
        let (weights, direction) = (vectors(0.5), vectors(1.0));
        let x: Vec<f32> = random(&mut rng, 3 * 2 * h * w).iter().map(|v| *v as f32).collect();
        let along = |_: &[Tensor<1>]| {
            let tensor = |v: &Vec<f32>| Some(Tensor::from_data(TensorData::new(v.clone(), [v.len()]), &device()));
            Ok::<_, ()>(direction.iter().map(tensor).collect())
        };
        let net = Net::with_weights(layers.clone(), &weights, &device()).unwrap();
        let input = to_tensor(x, [3, 2, h, w], &device());
        let (targets, both) = (one_hot(&[0, 2, 1], 3), Wanted::InputAndWeights);
        let ours = gradient_product(&net, Loss::CrossEntropy, input.clone(), targets.clone(), both, along).unwrap();
        let theirs = by_autodiff(&net, Loss::CrossEntropy, input, targets, both, along).unwrap();
        let mut pairs = vec![(ours.in_input.reshape([-1]), theirs.in_input.reshape([-1]))];
        pairs.extend(ours.gradients.into_iter().zip(theirs.gradients));
        pairs.extend(ours.in_weights.into_iter().zip(theirs.in_weights));
        assert_eq!(pairs.len(), 21);
        for (at, (ours, theirs)) in pairs.into_iter().enumerate() {
            let (ours, theirs) = (to_host::<1>(ours).unwrap(), to_host::<1>(theirs).unwrap());
            let scale = theirs.iter().fold(0.01f32, |m, v| m.max(v.abs()));
            // Two orders of summation in f32, through two norms.
            assert_near(&ours, &theirs, 3e-5 * scale, &format!("{name}, vector {at}"));
        }
    }
}

#[test]
fn gradients_of_each_sample_agree_with_micro_batches_for_every_layer() {
    for (name, layers, shape) in zoo() {
        let case = Case::new(layers, shape, Loss::CrossEntropy);
        let net = case.net(&case.weights);
        let (logits, tape) = net.forward_saving(double(&case.x, shape));
        let (_, grad) = case.loss.of(logits, case.targets());
        let each = |how| net.per_sample(&tape, grad.clone() * shape[0] as f64, how, false).0;
        let d = case.x.len() / shape[0];
        for (i, how) in (0..shape[0]).flat_map(|i| [(i, PerSample::Flat), (i, PerSample::Ghost)]) {
            let [_, c, h, w] = shape;
            let (logits, tape) = net.forward_saving(double(&case.x[i * d..(i + 1) * d], [1, c, h, w]));
            let (_, grad) = case.loss.of(logits, one_hot(&[i % 3], 3).cast(DType::F64));
            let alone: Vec<Vec<f64>> = net.weight_gradients(&tape, grad).into_iter().map(host64).collect();
            let factors = one_hot(&[i], shape[0]).cast(DType::F64).reshape([-1]);
            for (p, ours) in each(how).weighted_sum(factors).into_iter().map(host64).enumerate() {
                for (at, (ours, alone)) in ours.iter().zip(&alone[p]).enumerate() {
                    assert!((ours - alone).abs() < 1e-10, "{name}, sample {i}, parameter {p} entry {at}: {ours} against {alone}");
                }
            }
            let squared: f64 = alone.iter().flatten().map(|v| v * v).sum();
            let ours = host64(each(how).squared_lengths(&device()))[i];
            assert!((ours - squared).abs() < 1e-10, "{name}, {how:?}, sample {i}: squared length {ours} against {squared}");
        }
    }
}

#[test]
fn dropout_follows_its_seed_keeps_the_mean_and_passes_gradients_where_it_passed_values() {
    let layers = vec![Layer::Dropout(Dropout { rate: 0.25 })];
    let net = Net::on(layers, vec![], false);
    let ones = to_tensor(vec![1.0; 10_000], [1, 1, 100, 100], &device());
    let run = |seed| {
        let (y, tape) = net.forward_training(ones.clone(), seed);
        let back = net.input_gradient(&tape, ones.clone());
        (to_host(y).unwrap(), to_host(back).unwrap())
    };
    let (y, back) = run(Some(3));
    assert_eq!(y, run(Some(3)).0);
    assert_ne!(y, run(Some(4)).0);
    assert_eq!(y, back);
    assert_eq!(run(None).0, vec![1.0; 10_000]);
    let zeros = y.iter().filter(|&&v| v == 0.0).count() as f64 / 1e4;
    // Four standard deviations of a share of 10,000 are 0.017.
    assert!((zeros - 0.25).abs() < 0.018, "{zeros}");
    assert!(y.iter().all(|&v| v == 0.0 || (v - 4.0 / 3.0).abs() < 1e-6));
}
