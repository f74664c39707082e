//! Gradient matching (DC): synthetic records that pull a network in training the way the real records do.
//!
//! min over S of E_θ Σ_t Σ_c D(∇θ L(B_c, θ_t), ∇θ L(S_c, θ_t)), with D the cosine distance layer by layer and output unit by output
//! unit, and θ_t a network that is trained on S while S changes. One iteration:
//!
//! 1. draw a fresh network θ;
//! 2. `outer` times: for every class the mean gradient on a batch of real records and on the synthetic ones, their distance D, and
//!    its gradient in the synthetic records (a gradient of a gradient); one step of gradient descent with momentum on all records;
//! 3. after each but the last, `inner` epochs of training θ on S.
//!
//! With [`GradientMatching::siamese`] (DSA) both batches of a class go through the same random augmentation at every step.
//!
//! # Privacy
//! None ([`Event::NonPrivate`]): real gradients steer every synthetic record.
//!
//! # References
//! Zhao, Mopuri and Bilen, "Dataset Condensation with Gradient Matching", arXiv 2006.05929; Zhao and Bilen, "Dataset Condensation
//! with Differentiable Siamese Augmentation", arXiv 2102.08259; parameters as in their code.
//!
//! # Example
//! ```
//! use freelunch::{Dataset, Lab, condense::GradientMatching, nn::Arch, synthesize::Synthesize};
//! let matching = GradientMatching::new(1).with_arch(Arch::mlp()).with_steps(2);
//! let small = matching.synthesize(&Dataset::toy(), &Lab::new()?.quiet())?;
//! assert_eq!(small.len(), small.classes());
//! # Ok::<(), freelunch::Error>(())
//! ```

pub(crate) mod distance;

use super::descent::{Descent, State};
use super::init::{Init, Start};
use crate::augment::{Augment, Pairing};
use crate::data::rows_at;
use crate::device::guarded;
use crate::nn::{Arch, Loss, Net, Optimizer, Wanted, gradient_product, to_host, to_tensor};
use crate::privacy::Event;
use crate::synthesize::Synthesize;
use crate::train::{Pass, Rows};
use crate::{Dataset, Error, Lab, Result};
use burn::tensor::{Tensor, TensorData};
use rand::Rng as _;
use rand::seq::{SliceRandom, index};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// Gradient matching, plain (DC) or with siamese augmentation (DSA).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[doc(alias = "DC")]
#[doc(alias = "DSA")]
pub struct GradientMatching {
    /// Synthetic records per class (ipc), at least 1.
    pub per_class: usize,
    /// Iterations, each with a fresh network; 1,000 in the paper.
    pub steps: usize,
    /// Matching steps in one iteration, and epochs of training on S between them.
    pub loops: Loops,
    /// Learning rate of the synthetic records; 0.1 in the paper.
    pub rate: f64,
    /// Momentum of the synthetic records; 0.5 in the paper.
    pub momentum: f64,
    /// Real records per class and matching step; 256 in the paper. Classes with fewer records give all they have.
    pub batch: usize,
    /// Learning rate of the network on S; 0.01 in the paper.
    pub network_rate: f64,
    /// The network; ConvNet of width 128 in the paper.
    pub arch: Arch,
    /// The first synthetic records; noise in DC, real in DSA.
    pub init: Init,
    /// One augmentation for both batches of a class; none in DC.
    pub augment: Option<Augment>,
}

/// How long one network is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Loops {
    /// Matching steps per network.
    pub outer: usize,
    /// Epochs of training the network on the synthetic set after each matching step but the last.
    pub inner: usize,
}

impl Loops {
    /// The table of the reference code: 1: (1, 1), 10: (10, 50), 20: (20, 25), 30: (30, 20), 40: (40, 15), 50: (50, 10). For sizes it
    /// does not list (it refuses them): as many matching steps as records per class, and the epochs of the next size that it lists.
    ///
    /// # Example
    /// ```
    /// use freelunch::condense::gradient_matching::Loops;
    /// assert_eq!(Loops::for_size(10), Loops { outer: 10, inner: 50 });
    /// assert_eq!(Loops::for_size(25), Loops { outer: 25, inner: 20 });
    /// ```
    #[must_use]
    pub fn for_size(per_class: usize) -> Self {
        let inner = match per_class {
            0 | 1 => 1,
            2..=10 => 50,
            11..=20 => 25,
            21..=30 => 20,
            31..=40 => 15,
            _ => 10,
        };
        Self { outer: per_class.max(1), inner }
    }
}

impl GradientMatching {
    /// DC with the paper's parameters.
    #[must_use]
    pub fn new(per_class: usize) -> Self {
        Self {
            per_class,
            steps: 1_000,
            loops: Loops::for_size(per_class),
            rate: 0.1,
            momentum: 0.5,
            batch: 256,
            network_rate: 0.01,
            arch: Arch::conv_net(),
            init: Init::Noise,
            augment: None,
        }
    }

    /// DSA with the paper's parameters: from real records, all six operations (give [`Augment::digits`] for digits).
    #[must_use]
    pub fn siamese(per_class: usize) -> Self {
        Self { init: Init::Real, augment: Some(Augment::dsa()), ..Self::new(per_class) }
    }

    /// DC for a laptop's processor: 32 filters instead of 128, 64 real records per class instead of 256, a tenth of the iterations
    /// with a rate ten times as high, and at most 10 matching steps and 10 epochs per network.
    #[must_use]
    pub fn small(per_class: usize) -> Self {
        Self::new(per_class).shrunk()
    }

    /// DSA for a laptop's processor, shrunk as [`GradientMatching::small`] is.
    #[must_use]
    pub fn siamese_small(per_class: usize) -> Self {
        Self::siamese(per_class).shrunk()
    }

    fn shrunk(self) -> Self {
        let loops = Loops { outer: self.loops.outer.min(10), inner: self.loops.inner.min(10) };
        Self { steps: 100, rate: 1.0, batch: 64, arch: Arch::conv_net().with_width(32), loops, ..self }
    }

    /// The same with another number of iterations.
    #[must_use]
    pub fn with_steps(mut self, steps: usize) -> Self {
        self.steps = steps;
        self
    }

    /// The same with other loops.
    #[must_use]
    pub fn with_loops(mut self, loops: Loops) -> Self {
        self.loops = loops;
        self
    }

    /// The same with another learning rate of the records.
    #[must_use]
    pub fn with_rate(mut self, rate: f64) -> Self {
        self.rate = rate;
        self
    }

    /// The same with another real batch size per class.
    #[must_use]
    pub fn with_batch(mut self, batch: usize) -> Self {
        self.batch = batch;
        self
    }

    /// The same with another network.
    #[must_use]
    pub fn with_arch(mut self, arch: Arch) -> Self {
        self.arch = arch;
        self
    }

    /// The same from another start.
    #[must_use]
    pub fn with_init(mut self, init: Init) -> Self {
        self.init = init;
        self
    }

    /// The same with an augmentation of both batches.
    #[must_use]
    pub fn with_augment(mut self, augment: Augment) -> Self {
        self.augment = Some(augment);
        self
    }

    fn check(&self, shape: [usize; 3]) -> Result<()> {
        for (name, value) in [("steps", self.steps), ("batch", self.batch), ("loops.outer", self.loops.outer)] {
            if value == 0 {
                return Err(Error::config(format!("{name} is 0"), "expected at least 1"));
            }
        }
        for (name, value) in [("rate", self.rate), ("network_rate", self.network_rate)] {
            if !(value.is_finite() && value > 0.0) {
                return Err(Error::config(format!("{name} is {value}"), "expected a positive number"));
            }
        }
        if !(0.0..1.0).contains(&self.momentum) {
            return Err(Error::config(format!("momentum is {}", self.momentum), "expected 0 up to, not including, 1"));
        }
        self.augment.as_ref().map_or(Ok(()), |augment| augment.check(shape))
    }

    fn run(&self, real: &Dataset, lab: &Lab) -> Result<Dataset> {
        let layers = self.arch.layers(real.shape(), real.classes())?;
        let device = lab.open()?;
        let pools: Vec<Vec<usize>> = (0..real.classes()).map(|class| real.of_class(class)).collect();
        let values = real.normalized();
        let start = || {
            let Start { x, labels, started_from } = self.init.start(real, self.per_class, lab)?;
            Ok(State { x, labels, started_from, ..State::default() })
        };
        let step = |step: usize, state: &mut State| {
            let mut net = Net::new(layers.clone(), &mut lab.rng("network", step as u64), &device);
            let mut rng = lab.rng("matching", step as u64);
            let mut loss = 0.0;
            for outer in 0..self.loops.outer {
                let matching = Matching { real, values: &values, lab, device: &device, augment: self.augment.as_ref() };
                let batches: Vec<Vec<usize>> = pools
                    .iter()
                    .map(|pool| index::sample(&mut rng, pool.len(), self.batch.min(pool.len())).iter().map(|i| pool[i]).collect())
                    .collect();
                let (distance, gradient) = matching.gradient(&net, &batches, &state.x, rng.next_u64())?;
                state.descend(&gradient, self.rate, self.momentum);
                loss += distance / self.loops.outer as f64;
                if !distance.is_finite() {
                    return Ok(distance);
                }
                if outer + 1 < self.loops.outer {
                    self.train(&mut net, real, state, &mut rng, lab)?;
                }
            }
            Ok(loss)
        };
        Descent { method: self, real, lab, steps: self.steps, step_event: Event::NonPrivate }.run(start, step)
    }

    /// `inner` epochs of plain gradient descent on the synthetic set.
    fn train(&self, net: &mut Net, real: &Dataset, state: &State, rng: &mut crate::lab::Rng, lab: &Lab) -> Result<()> {
        let mut steps = Optimizer::Sgd { rate: self.network_rate, momentum: 0.0, weight_decay: 0.0 }.start();
        let mut order: Vec<usize> = (0..state.labels.len()).collect();
        let rows = Rows { x: &state.x, labels: &state.labels, soft: None, shape: real.shape(), classes: real.classes() };
        let augment = self.augment.clone().map(|augment| augment.with_pairing(Pairing::Independent));
        for _ in 0..self.loops.inner {
            order.shuffle(rng);
            for batch in order.chunks(self.batch.max(1)) {
                let pass = Pass { loss: Loss::CrossEntropy, augment: augment.as_ref(), rng: lab.rng("training", rng.next_u64()) };
                let (_, gradients) = rows.gradients(net, batch, pass, lab.device())?;
                steps.step(&mut net.weights, gradients, 1.0);
            }
        }
        Ok(())
    }
}

impl Synthesize for GradientMatching {
    fn name(&self) -> String {
        format!("{}, {} init", if self.augment.is_some() { "DSA" } else { "DC" }, self.init.name())
    }

    fn config(&self) -> serde_json::Value {
        serde_json::json!(self)
    }

    fn synthesize(&self, real: &Dataset, lab: &Lab) -> Result<Dataset> {
        self.check(real.shape())?;
        guarded(lab.device(), || self.run(real, lab))
    }
}

/// The parts of a matching step that do not change.
struct Matching<'a> {
    real: &'a Dataset,
    /// All real records, normalised, row-major.
    values: &'a [f32],
    lab: &'a Lab,
    device: &'a burn::tensor::Device,
    augment: Option<&'a Augment>,
}

impl Matching<'_> {
    /// The distance and its gradient in the synthetic records `x` (row-major, class by class, equally many per class), summed over
    /// the classes. Classes run on all cores; each sums in a fixed order.
    fn gradient(&self, net: &Net, batches: &[Vec<usize>], x: &[f32], seed: u64) -> Result<(f64, Vec<f32>)> {
        let per_class = x.len() / batches.len();
        let classes: Result<Vec<(f64, Vec<f32>)>> = batches
            .par_iter()
            .zip(x.par_chunks(per_class))
            .enumerate()
            .map(|(class, (batch, x))| self.class_gradient(net, class, batch, x, seed))
            .collect();
        let mut total = 0.0;
        let mut gradient = Vec::with_capacity(x.len());
        for (distance, part) in classes? {
            total += distance;
            gradient.extend(part);
        }
        Ok((total, gradient))
    }

    fn class_gradient(&self, net: &Net, class: usize, batch: &[usize], x: &[f32], seed: u64) -> Result<(f64, Vec<f32>)> {
        let (d, k) = (self.real.features(), self.real.classes());
        let [c, h, w] = self.real.shape();
        let n = x.len() / d;
        let draws = self.augment.map(|augment| {
            let rng = &mut self.lab.rng("augment", seed.wrapping_add(class as u64));
            augment.pair([c, h, w], [batch.len(), n], rng)
        });
        let mut rows = rows_at(self.values, d, batch);
        let mut synthetic = x.to_vec();
        if let Some([of_real, of_synthetic]) = &draws {
            rows = of_real.apply(&rows);
            synthetic = of_synthetic.apply(&synthetic);
        }
        let labels = vec![class as u32; batch.len()];
        let all: Vec<usize> = (0..batch.len()).collect();
        let rows = Rows { x: &rows, labels: &labels, soft: None, shape: [c, h, w], classes: k };
        let pass = Pass { loss: Loss::CrossEntropy, augment: None, rng: self.lab.rng("unused", 0) };
        let (_, real) = rows.gradients(net, &all, pass, self.lab.device())?;
        let one_hot: Vec<f32> = (0..n * k).map(|at| f32::from(u8::from(at % k == class))).collect();
        let targets = Tensor::from_data(TensorData::new(one_hot, [n, k]), self.device);
        let synthetic = to_tensor(synthetic, [n, c, h, w], self.device);
        let mut distance = f64::NAN;
        let product = gradient_product(net, Loss::CrossEntropy, synthetic, targets, Wanted::Input, |own| {
            let (total, derivative) = distance::cosine(net.layers(), &real, own);
            distance = match total {
                Some(total) => f64::from(to_host(total)?.first().copied().unwrap_or(f32::NAN)),
                None => 0.0,
            };
            Ok::<_, Error>(derivative)
        })?;
        let gradient = to_host(product.in_input)?;
        let gradient = match &draws {
            Some([_, of_synthetic]) => of_synthetic.adjoint(&gradient),
            None => gradient,
        };
        Ok((distance, gradient))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::condense::reference::{conv_net, stream};
    use crate::nn::{AvgPool, Conv2d, Layer, Linear};

    /// Distance and L1 norm of the image gradient for one class with the fixed weights and data of
    /// `tests/bench/peers/WORKLOADS.md`, workload 2.
    fn fixed_step(channels: usize, side: usize, width: usize, per_class: usize) -> (f64, f64) {
        let (layers, weights) = conv_net(channels, side, width);
        let lab = Lab::on(crate::Device::Cpu).unwrap();
        let device = lab.open().unwrap();
        let net = Net::with_weights(layers, &weights, &device).unwrap();
        let features = channels * side * side;
        let values = stream(1000, 256 * features, 1.0);
        let names = (0..10).map(|class| class.to_string()).collect();
        let real = Dataset::images("uniform", values.clone(), [channels, side, side], vec![0; 256], names).unwrap();
        let matching = Matching { real: &real, values: &values, lab: &lab, device: &device, augment: None };
        let batch: Vec<usize> = (0..256).collect();
        let (distance, gradient) = matching.class_gradient(&net, 0, &batch, &stream(2000, per_class * features, 1.0), 0).unwrap();
        (distance, gradient.iter().map(|g| f64::from(g.abs())).sum())
    }

    fn assert_near((distance, l1): (f64, f64), (expected_distance, expected_l1): (f64, f64)) {
        // Two float32 implementations that sum in another order; the reference states 1e-3.
        assert!((distance / expected_distance - 1.0).abs() < 2e-4, "distance {distance} against {expected_distance}");
        assert!((l1 / expected_l1 - 1.0).abs() < 2e-4, "gradient {l1} against {expected_l1}");
    }

    #[test]
    fn one_step_does_the_work_of_the_reference() {
        assert_near(fixed_step(1, 28, 32, 1), (80.48595, 155.7691));
        assert_near(fixed_step(1, 28, 32, 10), (45.23613, 349.7118));
    }

    #[test]
    #[ignore = "seconds: the paper's width"]
    fn one_step_at_paper_size_does_the_work_of_the_reference() {
        assert_near(fixed_step(1, 32, 128, 10), (170.2493, 892.5405));
        assert_near(fixed_step(3, 32, 128, 1), (276.6258, 413.9232));
    }

    #[test]
    fn the_distance_falls_while_the_records_learn() {
        let lab = Lab::on(crate::Device::Cpu).unwrap().seed(1).quiet();
        let arch = Arch::Mlp { hidden: vec![32] };
        let matching = GradientMatching::new(2).with_arch(arch).with_steps(30).with_rate(1.0).with_loops(Loops { outer: 2, inner: 2 });
        let made = matching.synthesize(&Dataset::toy(), &lab).unwrap();
        let trace = &made.origin().trace;
        let mean = |part: &[(usize, f64)]| part.iter().map(|p| p.1).sum::<f64>() / part.len() as f64;
        let (early, late) = (mean(&trace[..5]), mean(&trace[trace.len() - 5..]));
        assert!(late < 0.8 * early, "{early} to {late}");
    }

    #[test]
    fn siamese_augmentation_changes_both_batches_and_the_adjoint_brings_the_gradient_back() {
        // The gradient of the distance of augmented batches, checked by a central difference through the whole step.
        let real = Dataset::toy();
        let lab = Lab::on(crate::Device::Cpu).unwrap().seed(4).quiet();
        let device = lab.open().unwrap();
        // Smooth and without a norm, so that the difference is one of a smooth function.
        let conv = Conv2d { inputs: 1, outputs: 3, kernel: 3, stride: 1, padding: 1 };
        let last = Linear { inputs: 3 * 16, outputs: real.classes() };
        let layers = vec![Layer::Conv2d(conv), Layer::Tanh, Layer::AvgPool(AvgPool { size: 2 }), Layer::Flatten, Layer::Linear(last)];
        let net = Net::new(layers, &mut lab.rng("network", 0), &device);
        let values = real.normalized();
        let augment = Augment::dsa();
        let matching = Matching { real: &real, values: &values, lab: &lab, device: &device, augment: Some(&augment) };
        let batch = real.of_class(1);
        let x = values[..2 * real.features()].to_vec();
        for seed in 0..6 {
            let (_, gradient) = matching.class_gradient(&net, 1, &batch, &x, seed).unwrap();
            let along: Vec<f32> = (0..x.len()).map(|i| ((i * 7919) % 13) as f32 / 6.0 - 1.0).collect();
            let at = |step: f32| {
                let moved: Vec<f32> = x.iter().zip(&along).map(|(x, a)| x + step * a).collect();
                matching.class_gradient(&net, 1, &batch, &moved, seed).unwrap().0
            };
            let slope: f64 = gradient.iter().zip(&along).map(|(g, a)| f64::from(g * a)).sum();
            let difference = (at(2e-3) - at(-2e-3)) / 4e-3;
            // f32 leaves about 1e-6 of a distance of about 5, divided by the step.
            assert!((slope - difference).abs() < 0.01 * (1.0 + slope.abs()), "draw {seed}: {slope} against {difference}");
        }
    }

    #[test]
    fn parameters_out_of_range_are_named() {
        let lab = Lab::on(crate::Device::Cpu).unwrap().quiet();
        let message = |matching: GradientMatching| matching.synthesize(&Dataset::toy(), &lab).unwrap_err().to_string();
        assert!(message(GradientMatching::new(1).with_rate(-1.0)).contains("rate is -1"));
        assert!(message(GradientMatching::new(1).with_loops(Loops { outer: 0, inner: 1 })).contains("loops.outer is 0"));
        let table = GradientMatching::siamese(1).with_arch(Arch::mlp()).synthesize(&Dataset::toy_table(), &lab).unwrap_err().to_string();
        assert!(table.contains("table"), "{table}");
    }
}
