//! The event against what was released and against the table of noise, the two gradients, and what a run must not depend on.

use super::*;
use crate::nn::{AvgPool, Conv2d, Layer, Linear};
use crate::privacy::Noisy as _;

fn lab() -> Lab {
    Lab::on(crate::Device::Cpu).unwrap().seed(6).quiet()
}

fn toy() -> Dataset {
    Dataset::toy().publicly_normalized().unwrap()
}

/// Two iterations of 2 · 3 releases with a small network.
fn quick() -> PrivateGradientMatching {
    let small = PrivateGradientMatching::small(2, 1.0).with_arch(Arch::Mlp { hidden: vec![16] }).with_batch(30);
    small.with_steps(2).with_batches(3).with_loops(Loops { outer: 2, inner: 2 })
}

/// What an iteration works with.
struct Bench {
    method: PrivateGradientMatching,
    real: Dataset,
    values: Vec<f32>,
    lab: Lab,
    device: burn::tensor::Device,
}

impl Bench {
    fn new(method: PrivateGradientMatching) -> Self {
        let real = toy();
        Self { method, values: real.normalized(), real, lab: lab(), device: lab().open().unwrap() }
    }

    fn iteration(&self) -> Iteration<'_> {
        Iteration { method: &self.method, real: &self.real, values: &self.values, lab: &self.lab, device: &self.device }
    }

    fn net(&self) -> Net {
        let layers = self.method.arch.layers(self.real.shape(), self.real.classes()).unwrap();
        Net::new(layers, &mut self.lab.rng("network", 0), &self.device)
    }

    fn mechanism(&self) -> Mechanism {
        let settings = self.method.mechanism_settings();
        Mechanism::new(&settings, self.real.len(), self.method.batch, &self.lab, "test").unwrap()
    }

    fn state(&self, per_class: usize) -> State {
        let Start { x, labels, started_from } = Init::Noise.start(&self.real, per_class, &self.lab).unwrap();
        State { x, labels, started_from, ..State::default() }
    }
}

fn flat(parts: Vec<Tensor<1>>) -> Vec<f64> {
    parts.into_iter().flat_map(|part| to_host(part).unwrap()).map(f64::from).collect()
}

fn length(v: impl IntoIterator<Item = f64>) -> f64 {
    v.into_iter().map(|v| v * v).sum::<f64>().sqrt()
}

#[test]
fn an_iteration_releases_what_its_event_says() {
    let bench = Bench::new(quick());
    let mut mechanism = bench.mechanism();
    bench.iteration().run(&mut bench.net(), &mut mechanism, &mut bench.state(2)).unwrap();
    let event = mechanism.event().unwrap();
    assert_eq!(event.releases(), 6);
    assert_eq!(event, bench.method.step_event(bench.real.len()).unwrap());
    let made = bench.method.synthesize(&bench.real, &lab()).unwrap();
    assert_eq!(*made.event(), event.repeat(2));
    assert_eq!(*made.event(), bench.method.event(&bench.real).unwrap());
}

#[test]
fn a_budget_that_ends_a_run_is_in_its_event() {
    let made = quick().with_steps(100_000).synthesize(&toy(), &lab().budget_s(0.05).unwrap()).unwrap();
    let releases = made.event().releases();
    let last = made.origin().trace.last().unwrap().0 as u64;
    assert!(releases < 600_000);
    assert_eq!(releases, 6 * (last + 1));
}

#[test]
fn more_records_per_class_are_more_releases_and_need_more_noise_for_the_same_epsilon() {
    // The calibration of an independent accountant to ε = 1 for MNIST, B = 256.
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/calibration.csv");
    let golden = std::fs::read_to_string(path).unwrap();
    let mut before = 0.0;
    for per_class in [1, 10, 20, 50] {
        let row = golden.lines().find(|line| line.starts_with(&format!("PSG spc={per_class},"))).unwrap();
        let cells: Vec<f64> = row.split(',').skip(1).map(|cell| cell.parse().unwrap()).collect();
        let method = PrivateGradientMatching::new(per_class, cells[4]);
        let planned = method.step_event(60_000).unwrap().repeat(method.steps as u64);
        let expected = Event::gaussian(cells[4]).unwrap().poisson(cells[0]).unwrap().repeat(cells[1] as u64);
        assert_eq!(planned, expected, "{per_class} per class");
        assert!(cells[4] > before, "the noise for ε = 1 grows: {before} to {}", cells[4]);
        before = cells[4];
    }
}

#[test]
fn one_record_moves_the_sum_by_the_clipping_norm_at_most() {
    let bench = Bench::new(quick());
    let (net, mechanism) = (bench.net(), bench.mechanism());
    let labels = bench.real.labels();
    let rows = Rows { x: &bench.values, labels, soft: None, shape: bench.real.shape(), classes: bench.real.classes() };
    let sum = |positions: &[usize]| {
        let gradients = |_: usize, part: &[usize]| bench.iteration().own_gradients(&net, &rows, part);
        flat(mechanism.clipped_sum(positions, &[&net], &crate::Device::Cpu, gradients).unwrap())
    };
    let sample = [3, 40, 77];
    let without = sum(&sample);
    for record in [0, 31, 64, 119] {
        let with = sum(&[&sample[..], &[record]].concat());
        let moved = length(with.iter().zip(&without).map(|(a, b)| a - b));
        // Sums of four gradients in f32. The gradients of a fresh network are longer than 0.1, so that the norm is reached.
        assert!(moved <= 0.1 + 1e-6 && moved > 0.0999, "record {record}: {moved}");
    }
}

#[test]
fn without_noise_and_clipping_the_private_gradient_is_that_of_the_mean_loss() {
    let bench = Bench::new(quick().with_noise(1e-9).with_clip(1e3).with_batch(120));
    let net = bench.net();
    let ours = flat(bench.iteration().private_gradient(&net, &mut bench.mechanism()).unwrap());
    let all: Vec<usize> = (0..bench.real.len()).collect();
    let labels = bench.real.labels();
    let rows = Rows { x: &bench.values, labels, soft: None, shape: bench.real.shape(), classes: bench.real.classes() };
    let pass = Pass { loss: Loss::CrossEntropy, augment: None, rng: lab().rng("unused", 0) };
    let expected = flat(rows.gradients(&net, &all, pass, &crate::Device::Cpu).unwrap().1);
    assert_eq!(ours.len(), expected.len());
    for (a, b) in ours.iter().zip(&expected) {
        // f32, and noise of 1e-6 / 120.
        assert!((a - b).abs() < 1e-5, "{a} against {b}");
    }
}

#[test]
fn the_noise_of_a_release_is_sigma_times_clip_over_the_expected_batch() {
    // Nothing but noise is left when the clipping norm is small beside it.
    let bench = Bench::new(quick().with_arch(Arch::Mlp { hidden: vec![128] }).with_noise(50.0));
    let noise = flat(bench.iteration().private_gradient(&bench.net(), &mut bench.mechanism()).unwrap());
    let variance = noise.iter().map(|v| v * v).sum::<f64>() / noise.len() as f64;
    let expected = (50.0 * 0.1 / 30.0f64).powi(2);
    // 8,836 numbers: one deviation is 1.5 %; five of them. What the records add is (n C / σ C)² / 8836, 0.004 %.
    assert!((variance / expected - 1.0).abs() < 0.075, "{variance} against {expected}");
}

#[test]
fn the_gradient_in_the_records_is_a_finite_difference_of_the_distance() {
    let bench = Bench::new(quick());
    // Smooth and without a norm, so that the difference is one of a smooth function; 40 records are two chunks.
    let conv = Conv2d { inputs: 1, outputs: 3, kernel: 3, stride: 1, padding: 1 };
    let last = Linear { inputs: 3 * 16, outputs: 4 };
    let layers = vec![Layer::Conv2d(conv), Layer::Tanh, Layer::AvgPool(AvgPool { size: 2 }), Layer::Flatten, Layer::Linear(last)];
    let net = Net::new(layers, &mut lab().rng("network", 0), &bench.device);
    let real = bench.iteration().private_gradient(&net, &mut bench.mechanism()).unwrap();
    let state = bench.state(10);
    assert!(state.labels.len() > chunk_of(&crate::Device::Cpu));
    let (_, gradient) = bench.iteration().matching(&net, &real, &state).unwrap();
    let along: Vec<f32> = (0..gradient.len()).map(|i| ((i * 7919) % 13) as f32 / 6.0 - 1.0).collect();
    let at = |step: f32| {
        let x = state.x.iter().zip(&along).map(|(x, a)| x + step * a).collect();
        bench.iteration().matching(&net, &real, &State { x, ..state.clone() }).unwrap().0
    };
    let slope: f64 = gradient.iter().zip(&along).map(|(g, a)| f64::from(g * a)).sum();
    let difference = (at(2e-3) - at(-2e-3)) / 4e-3;
    // f32 leaves about 1e-6 of a distance of about 7, divided by the step.
    assert!((slope - difference).abs() < 0.01 * (1.0 + slope.abs()), "{slope} against {difference}");
}

#[test]
fn the_distance_falls_while_the_records_learn() {
    // Little noise; the toy set is small.
    let method = quick().with_noise(0.3).with_steps(30).with_rate(2.0);
    let made = method.synthesize(&toy(), &lab()).unwrap();
    let trace = &made.origin().trace;
    let mean = |part: &[(usize, f64)]| part.iter().map(|p| p.1).sum::<f64>() / part.len() as f64;
    let (early, late) = (mean(&trace[..5]), mean(&trace[25..]));
    assert!(late < 0.9 * early, "{early} to {late}");
}

#[test]
fn a_seed_repeats_a_run_and_secure_randomness_does_not() {
    let make = |randomness: Randomness| quick().with_randomness(randomness).synthesize(&toy(), &lab()).unwrap();
    assert_eq!(make(Randomness::Seeded).x(), make(Randomness::Seeded).x());
    let (one, two) = (make(Randomness::Secure), make(Randomness::Secure));
    assert_ne!(one.x(), two.x());
    assert_eq!(one.event(), two.event());
}

#[test]
fn a_record_that_was_never_sampled_shows_nowhere() {
    let (real, method) = (Dataset::toy(), quick().with_batch(6));
    let mut seen = vec![];
    for step in 0..2 {
        let lab = lab().child("iteration", step);
        let mut replay = Mechanism::new(&method.mechanism_settings(), real.len(), 6, &lab, &format!("PSG {}", method.config())).unwrap();
        seen.extend((0..6).flat_map(|_| replay.sample()));
    }
    let with_white = |at: usize| {
        let mut x = real.x().to_vec();
        x[at * real.features()..(at + 1) * real.features()].fill(1.0);
        let set = Dataset::images(real.name(), x, real.shape(), real.labels().to_vec(), real.class_names().to_vec()).unwrap();
        method.synthesize(&set, &lab()).unwrap()
    };
    let made = method.synthesize(&real, &lab()).unwrap();
    let unseen = (0..real.len()).find(|i| !seen.contains(i)).unwrap();
    let other = with_white(unseen);
    assert_eq!(made.x(), other.x());
    assert_eq!(made.origin().trace, other.origin().trace);
    assert_ne!(made.x(), with_white(seen[0]).x(), "and one that was sampled shows");
}

#[test]
fn parameters_out_of_range_are_named() {
    let message = |method: PrivateGradientMatching| method.synthesize(&Dataset::toy(), &lab()).unwrap_err().to_string();
    assert!(message(quick().with_noise(0.0)).contains("noise is 0"));
    assert!(message(quick().with_clip(-1.0)).contains("clip is -1"));
    assert!(message(quick().with_batch(121)).contains("a batch of 121 from 120 records"));
    assert!(message(quick().with_rate(f64::NAN)).contains("rate is NaN"));
    assert!(message(quick().with_batches(0)).contains("batches is 0"));
    assert!(message(quick().with_loops(Loops { outer: 0, inner: 1 })).contains("loops.outer is 0"));
    assert!(quick().with_batch(121).event(&Dataset::toy()).is_err());
    let table = quick().synthesize(&Dataset::toy_table(), &lab()).unwrap_err().to_string();
    assert!(table.contains("with_public_normalization"), "{table}");
}

#[test]
fn the_settings_survive_a_file() {
    let method = quick().with_randomness(Randomness::Secure);
    let json = serde_json::to_string(&method).unwrap();
    assert_eq!(serde_json::from_str::<PrivateGradientMatching>(&json).unwrap(), method);
}
