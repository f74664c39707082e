//! The fixed data and weights of `tests/bench/peers/WORKLOADS.md`, for tests that show that the library does the work it is timed at.

use crate::augment::Draws;
use crate::nn::{AvgPool, Conv2d, InstanceNorm, Layer, Linear};

/// Entry `i` of the SplitMix64 stream of `seed`, in [0, 1).
pub(super) fn uniform(seed: u64, i: u64) -> f64 {
    let mut z = seed.wrapping_add((i + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    ((z ^ (z >> 31)) >> 11) as f64 * 2f64.powi(-53)
}

/// `count` values in ±bound.
pub(super) fn stream(seed: u64, count: usize, bound: f64) -> Vec<f32> {
    (0..count).map(|i| (bound * (2.0 * uniform(seed, i as u64) - 1.0)) as f32).collect()
}

/// The ConvNet whose convolutions all pad by 1, and its weights; the last layer's come last.
pub(super) fn conv_net(channels: usize, side: usize, width: usize) -> (Vec<Layer>, Vec<Vec<f32>>) {
    let mut layers = vec![];
    let mut weights = vec![];
    let (mut inputs, mut s) = (channels, side);
    for k in 0..3u64 {
        let bound = (inputs as f64 * 9.0).powf(-0.5);
        weights.push(stream(3000 + 2 * k, width * inputs * 9, bound));
        weights.push(stream(3001 + 2 * k, width, bound));
        weights.push(vec![1.0; width]);
        weights.push(vec![0.0; width]);
        layers.push(Layer::Conv2d(Conv2d { inputs, outputs: width, kernel: 3, stride: 1, padding: 1 }));
        layers.push(Layer::InstanceNorm(InstanceNorm { channels: width, epsilon: 1e-5 }));
        layers.push(Layer::Relu);
        layers.push(Layer::AvgPool(AvgPool { size: 2 }));
        (inputs, s) = (width, s / 2);
    }
    let features = width * s * s;
    layers.extend([Layer::Flatten, Layer::Linear(Linear { inputs: features, outputs: 10 })]);
    let bound = (features as f64).powf(-0.5);
    weights.push(stream(3006, 10 * features, bound));
    weights.push(stream(3007, 10, bound));
    (layers, weights)
}

/// The augmentation of call number `call`: operations in turn, their parameters from the stream 4000 + call.
pub(super) fn augmentation(call: u64, [c, side, _]: [usize; 3]) -> Draws {
    let u = |i| uniform(4000 + call, i);
    let (shift, hole) = ((0.125 * side as f64 + 0.5) as i64, (0.5 * side as f64 + 0.5) as usize);
    let step = |i| (u(i) * (2 * shift + 1) as f64) as i64 - shift;
    let centre = |i| (u(i) * (side + 1 - hole % 2) as f64) as usize;
    let factor = |i| 1.0 / 1.2 + u(i) * (1.2 - 1.0 / 1.2);
    let (name, parameters) = match call % 6 {
        0 => ("color", serde_json::json!({"brightness": u(0) - 0.5, "saturation": 2.0 * u(1), "contrast": u(2) + 0.5})),
        1 => ("crop", serde_json::json!({"dy": step(0), "dx": step(1)})),
        2 => ("cutout", serde_json::json!({"side_y": hole, "side_x": hole, "cy": centre(0), "cx": centre(1)})),
        3 => ("flip", serde_json::json!({"flip": u(0) < 0.5})),
        4 => ("scale", serde_json::json!({"sx": factor(0), "sy": factor(1)})),
        _ => ("rotate", serde_json::json!({"degrees": (2.0 * u(0) - 1.0) * 15.0})),
    };
    Draws::known(&serde_json::json!({"operation": name, "parameters": parameters}), [c, side, side])
}
