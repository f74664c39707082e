//! One iteration of distribution matching, timed as `peers/dm_step.py` times it: ten classes, 256 real and 10 synthetic images
//! each, a fresh random ConvNet. `cargo bench --bench dm_step [-- --case NAME] [--repeats N] [--json]`.
//!
//! The numbers that show that both do the same work are checked by the unit test `one_iteration_does_the_work_of_the_reference`.

use freelunch::condense::DistributionMatching;
use freelunch::data::Normalization;
use freelunch::nn::{Arch, AvgPool, Conv2d, InstanceNorm, Layer, Linear};
use freelunch::prelude::*;
use std::time::Instant;

const CLASSES: usize = 10;
const POOL: usize = 512;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().collect();
    let value = |flag: &str| arguments.iter().position(|a| a == flag).and_then(|at| arguments.get(at + 1));
    let repeats = value("--repeats").and_then(|n| n.parse().ok()).unwrap_or(6);
    let json = arguments.iter().any(|a| a == "--json");
    for (case, channels, side, width) in
        [("small-28x28x1-w32", 1, 28, 32), ("paper-32x32x1-w128", 1, 32, 128), ("paper-32x32x3-w128", 3, 32, 128)]
    {
        if value("--case").is_some_and(|wanted| wanted != case) {
            continue;
        }
        let mut times = measure([channels, side, side], width, repeats)?;
        times.sort_by(f64::total_cmp);
        let (median, min, max) = (times[times.len() / 2], times[0], times[times.len() - 1]);
        if json {
            println!(
                "{}",
                serde_json::json!({"workload": "dm_step", "case": case, "unit": "ms/iteration", "median": median, "min": min,
                    "max": max, "repeats": repeats})
            );
        } else {
            println!("dm_step {case:24} {median:10.1} ms/iteration (min {min:.1}, max {max:.1}, n = {repeats})");
        }
    }
    Ok(())
}

fn measure(shape: [usize; 3], width: usize, repeats: usize) -> Result<Vec<f64>> {
    let features: usize = shape.iter().product();
    let mut x = vec![];
    for class in 0..CLASSES as u64 {
        x.extend((0..POOL * features).map(|i| (2.0 * uniform(1000 + class, i as u64) - 1.0) as f32));
    }
    let labels = (0..CLASSES as u32).flat_map(|class| std::iter::repeat_n(class, POOL)).collect();
    let names = (0..CLASSES).map(|class| class.to_string()).collect();
    let data = Dataset::images("uniform", x, shape, labels, names)?.with_normalization(Normalization::none(shape[0]));
    let one_step = DistributionMatching::new(10).with_arch(conv_net(shape, width)).with_steps(1);
    let lab = Lab::new()?.quiet();
    let mut times = vec![];
    for repeat in 0..=repeats {
        let lab = lab.clone().seed(repeat as u64);
        let start = Instant::now();
        one_step.synthesize(&data, &lab)?;
        if repeat > 0 {
            times.push(start.elapsed().as_secs_f64() * 1000.0);
        }
    }
    Ok(times)
}

/// Every convolution pads by 1, so that 28x28 images stay 28x28.
fn conv_net([channels, height, side]: [usize; 3], width: usize) -> Arch {
    let mut layers = vec![];
    let (mut inputs, mut h, mut w) = (channels, height, side);
    for _ in 0..3 {
        layers.push(Layer::Conv2d(Conv2d { inputs, outputs: width, kernel: 3, stride: 1, padding: 1 }));
        layers.push(Layer::InstanceNorm(InstanceNorm { channels: width, epsilon: 1e-5 }));
        layers.push(Layer::Relu);
        layers.push(Layer::AvgPool(AvgPool { size: 2 }));
        (inputs, h, w) = (width, h / 2, w / 2);
    }
    layers.push(Layer::Flatten);
    layers.push(Layer::Linear(Linear { inputs: width * h * w, outputs: CLASSES }));
    Arch::Custom { layers }
}

/// Entry `i` of the SplitMix64 stream of `seed`, in [0, 1).
fn uniform(seed: u64, i: u64) -> f64 {
    let mut z = seed.wrapping_add((i + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    ((z ^ (z >> 31)) >> 11) as f64 * 2f64.powi(-53)
}
