use super::*;
use serde_json::Value;

/// A small problem in f64.
struct Problem {
    regression: Regression,
    support: Vec<f64>,
    y: Vec<f64>,
    targets: Vec<f64>,
    labels: Vec<u32>,
    width: usize,
}

impl Problem {
    fn gradient(&self) -> Gradient {
        let record = |t: usize, out: &mut [f64]| out.copy_from_slice(&self.targets[t * self.width..(t + 1) * self.width]);
        let targets = Targets { record: &record, labels: &self.labels };
        self.regression.gradient(&Records::new(self.support.iter().copied(), self.width), &self.y, &targets).unwrap()
    }

    fn with_centred_labels(mut self, labels: &[u32]) -> Self {
        self.y = labels.iter().flat_map(|&label| self.regression.centred(label)).collect();
        self
    }
}

fn assert_near(found: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(found.len(), expected.len());
    let scale = expected.iter().fold(0.0f64, |most, value| most.max(value.abs()));
    for (found, expected) in found.iter().zip(expected) {
        assert!((found - expected).abs() <= tolerance * scale, "{found} instead of {expected}");
    }
}

fn numbers(value: &Value) -> Vec<f64> {
    value["data"].as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
}

fn classes(value: &Value) -> Vec<u32> {
    value.as_array().unwrap().iter().map(|v| v.as_u64().unwrap() as u32).collect()
}

#[test]
fn golden_losses_and_gradients_are_reproduced() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/kip/fc_ntk.json");
    let golden: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    for case in golden["cases"].as_array().unwrap() {
        let depth = case["depth"].as_u64().unwrap() as usize;
        let kernel = TangentKernel { depth, weight_variance: 2.0, bias_variance: 0.01 };
        let problem = Problem {
            regression: Regression { kernel, ridge: 1e-6, classes: 3 },
            support: numbers(&golden["support"]),
            y: vec![],
            targets: numbers(&golden["targets"]),
            labels: classes(&golden["target_class"]),
            width: 5,
        };
        let found = problem.with_centred_labels(&classes(&golden["support_class"])).gradient();
        // f64 with a small linear system: eleven digits or more.
        assert_near(&[found.loss], &[case["loss"].as_f64().unwrap()], 1e-11);
        assert_near(&found.records, &numbers(&case["support_gradient"]), 1e-11);
    }
}

/// 9 synthetic records and 150 targets (several chunks and parts) with free targets and a large ridge, so that every term counts.
fn free_problem(depth: usize) -> Problem {
    let numbers = |count: usize, seed: usize| (0..count).map(|i| ((i * 7919 + seed) % 1009) as f64 / 400.0 - 1.2).collect();
    let kernel = TangentKernel { depth, weight_variance: 1.6, bias_variance: 0.1 };
    Problem {
        regression: Regression { kernel, ridge: 0.05, classes: 3 },
        support: numbers(9 * 11, 1),
        y: numbers(9 * 3, 2),
        targets: numbers(150 * 11, 3),
        labels: (0..150).map(|i| i % 3).collect(),
        width: 11,
    }
}

#[test]
fn gradients_are_central_differences_with_ridge_and_learned_labels() {
    let step = 1e-5;
    for depth in [0, 1, 2, 4] {
        let problem = free_problem(depth);
        let found = problem.gradient();
        let difference = |change: &dyn Fn(&mut Problem, f64)| {
            let at = |by: f64| {
                let mut moved = free_problem(depth);
                change(&mut moved, by);
                moved.gradient().loss
            };
            (at(step) - at(-step)) / (2.0 * step)
        };
        let records: Vec<f64> = (0..9 * 11).map(|i| difference(&|p, by| p.support[i] += by)).collect();
        let targets: Vec<f64> = (0..9 * 3).map(|i| difference(&|p, by| p.y[i] += by)).collect();
        // Rounding 1e-16 / step and truncation step² leave nine digits.
        assert_near(&found.records, &records, 1e-8);
        assert_near(&found.targets, &targets, 1e-8);
    }
}

#[test]
fn the_same_bytes_come_out_of_one_and_of_two_threads() {
    let on = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let mut problem = free_problem(2);
            problem.targets = problem.targets.repeat(8);
            problem.labels = problem.labels.repeat(8);
            let found = problem.gradient();
            (found.loss.to_bits(), found.records, found.targets)
        })
    };
    assert_eq!(on(1), on(2));
}

#[test]
fn targets_that_are_synthetic_records_themselves_leave_the_gradient_finite() {
    let mut problem = free_problem(2);
    problem.targets[..9 * 11].copy_from_slice(&problem.support);
    let found = problem.gradient();
    let most = found.records.iter().fold(0.0f64, |most, value| most.max(value.abs()));
    assert!(most.is_finite() && most < 10.0, "{most}");
}

#[test]
fn equal_records_without_ridge_are_refused() {
    let mut problem = free_problem(1);
    problem.regression.ridge = 0.0;
    let (first, rest) = problem.support.split_at_mut(11);
    rest[..11].copy_from_slice(first);
    let record = |t: usize, out: &mut [f64]| out.copy_from_slice(&problem.targets[t * 11..(t + 1) * 11]);
    let targets = Targets { record: &record, labels: &problem.labels };
    let records = Records::new(problem.support.iter().copied(), 11);
    let message = problem.regression.gradient(&records, &problem.y, &targets).unwrap_err().to_string();
    assert!(message.contains("ridge is 0 with 9 synthetic records"), "{message}");
}

/// Entry `i` of the SplitMix64 stream of `seed`, in [-1, 1).
fn uniform(seed: u64, i: u64) -> f64 {
    let mut z = seed.wrapping_add((i + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    2.0 * (((z ^ (z >> 31)) >> 11) as f64 * 2f64.powi(-53)) - 1.0
}

#[test]
fn one_step_does_the_work_of_the_reference() {
    // Workload 7 of `tests/bench/peers/WORKLOADS.md`.
    let (width, support, targets) = (784usize, 100usize, 2_000usize);
    let kernel = TangentKernel { depth: 1, weight_variance: 2.0, bias_variance: 0.01 };
    let shifted = |i: usize| if i % width == (i / width) % 10 { 3.0 } else { 0.0 };
    let problem = Problem {
        regression: Regression { kernel, ridge: 1e-6, classes: 10 },
        support: (0..support * width).map(|i| uniform(7001, i as u64)).collect(),
        y: vec![],
        targets: (0..targets * width).map(|i| uniform(7000, i as u64) + shifted(i)).collect(),
        labels: (0..targets as u32).map(|i| i % 10).collect(),
        width,
    };
    let labels: Vec<u32> = (0..support as u32).map(|i| i % 10).collect();
    let found = problem.with_centred_labels(&labels).gradient();
    let l1: f64 = found.records.iter().map(|g| g.abs()).sum();
    // The reference prints sixteen digits; f64 sums in another order keep eleven.
    assert!((found.loss / 0.046_989_512_506_864_096 - 1.0).abs() < 1e-11, "loss {}", found.loss);
    assert!((l1 / 0.086_311_163_952_820_57 - 1.0).abs() < 1e-11, "gradient {l1}");
}
