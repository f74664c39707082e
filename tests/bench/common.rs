//! What the workloads share: numbers that any language can regenerate, the ConvNet, the command line and the output.

use freelunch::data::Normalization;
use freelunch::nn::{Arch, AvgPool, Conv2d, InstanceNorm, Layer, Linear};
use freelunch::prelude::*;

const WORKLOADS: [&str; 9] =
    ["accounting", "dm_step", "dpsgd_epoch", "gradient_matching_step", "kip_step", "lira_score", "scaling", "service", "shadow_models"];
pub(crate) const CLASSES: usize = 10;

/// Every convolution pads by 1, so that 28x28 images stay 28x28.
pub(crate) fn conv_net([channels, height, side]: [usize; 3], width: usize) -> Arch {
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
    layers.push(Layer::Linear(Linear { inputs: width * h * w, outputs: 10 }));
    Arch::Custom { layers }
}

/// Entry `i` of the SplitMix64 stream of `seed`, in [0, 1).
pub(crate) fn uniform(seed: u64, i: u64) -> f64 {
    let mut z = seed.wrapping_add((i + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    ((z ^ (z >> 31)) >> 11) as f64 * 2f64.powi(-53)
}

/// A workload's name (all without one), and the flags `--case NAME`, `--repeats N` and `--json`.
pub(crate) struct Options {
    arguments: Vec<String>,
}

impl Options {
    pub(crate) fn read() -> Self {
        Self { arguments: std::env::args().skip(1).collect() }
    }

    fn value(&self, flag: &str) -> Option<&String> {
        self.arguments.iter().position(|a| a == flag).and_then(|at| self.arguments.get(at + 1))
    }

    pub(crate) fn names(&self, workload: &str) -> bool {
        let named: Vec<&String> = self.arguments.iter().filter(|a| WORKLOADS.contains(&a.as_str())).collect();
        named.is_empty() || named.iter().any(|name| *name == workload)
    }

    /// Whether the workload was named, for those that a run of everything leaves out.
    pub(crate) fn asks_for(&self, workload: &str) -> bool {
        self.arguments.iter().any(|argument| argument == workload)
    }

    pub(crate) fn wants(&self, case: &str) -> bool {
        self.value("--case").is_none_or(|wanted| wanted == case)
    }

    /// Whether this very case was asked for.
    pub(crate) fn named(&self, case: &str) -> bool {
        self.value("--case").is_some_and(|wanted| wanted == case)
    }

    pub(crate) fn repeats(&self, otherwise: usize) -> usize {
        self.value("--repeats").and_then(|n| n.parse().ok()).unwrap_or(otherwise)
    }

    /// One line: median, smallest and largest of `times`.
    pub(crate) fn report(&self, workload: &str, case: &str, unit: &str, mut times: Vec<f64>) {
        times.sort_by(f64::total_cmp);
        let (median, min, max, n) = (times[times.len() / 2], times[0], times[times.len() - 1], times.len());
        if self.arguments.iter().any(|a| a == "--json") {
            let line = serde_json::json!({"workload": workload, "case": case, "unit": unit, "median": median, "min": min, "max": max,
                "repeats": n});
            println!("{line}");
        } else {
            println!("{workload} {case:28} {median:10.1} {unit} (min {min:.1}, max {max:.1}, n = {n})");
        }
    }
}

/// 512 records of each of ten classes.
pub(crate) fn records(shape: [usize; 3]) -> Result<Dataset> {
    let features: usize = shape.iter().product();
    let mut x = vec![];
    for class in 0..CLASSES as u64 {
        x.extend((0..512 * features).map(|i| (2.0 * uniform(1000 + class, i as u64) - 1.0) as f32));
    }
    let labels = (0..CLASSES as u32).flat_map(|class| std::iter::repeat_n(class, 512)).collect();
    let names = (0..CLASSES).map(|class| class.to_string()).collect();
    Ok(Dataset::images("uniform", x, shape, labels, names)?.with_normalization(Normalization::none(shape[0])))
}
