//! Private gradient matching (PSG): gradient matching in which the real gradient is one of DP-SGD.
//!
//! min over S of E_θ Σ_t D(g(θ_t), ∇θ L(S, θ_t)), with D the cosine distance of [`GradientMatching`](crate::condense::GradientMatching)
//! and, on a Poisson sample B of all records (every one with probability q = `batch` / n),
//! g = ( Σ_{i ∈ B} min(1, C / |g_i|) g_i + σ C N(0, I) ) / `batch`. S begins as noise. One iteration:
//!
//! 1. draw a fresh network θ;
//! 2. `outer` times: `batches` times release g, and move S one step down its distance from ∇θ L(S, θ);
//! 3. after each but the last, `inner` epochs of training θ on S, which costs nothing.
//!
//! # Privacy
//! `steps · outer · batches × Poisson(q, Gaussian(σ))`, counted from the iterations that were made. The number of records counts as public,
//! and so do the classes; pixels are normalised by their range. **The count grows with `per_class`** through
//! [`Loops::for_size`]: at 20 records per class there are 20 times as many releases as at one, so that the same ε needs more
//! noise, unlike methods whose releases do not depend on the size of the synthetic set; [`PrivateGradientMatching::with_loops`]
//! unties the two.
//!
//! The reference code, as it reads, runs one iteration more than it accounts for; this one counts what it runs.
//!
//! # References
//! Chen, Kerkouche and Fritz, "Private Set Generation with Discriminative Information", arXiv 2211.04446; parameters as in the code
//! (DingfanChen/Private-Set); the loops are those of arXiv 2006.05929.
//!
//! # Example
//! ```
//! use freelunch::{Dataset, Lab, generate::PrivateGradientMatching, nn::Arch, synthesize::Synthesize};
//! let matching = PrivateGradientMatching::small(1, 1.0).with_arch(Arch::mlp()).with_steps(2).with_batch(30);
//! let small = matching.synthesize(&Dataset::toy(), &Lab::new()?.quiet())?;
//! assert_eq!(small.event().to_string(), "20 × Poisson(0.25, Gaussian(σ = 1))");
//! # Ok::<(), freelunch::Error>(())
//! ```

#[cfg(test)]
mod tests;

use crate::condense::Init;
use crate::condense::descent::{Descent, State};
use crate::condense::gradient_matching::{Loops, distance};
use crate::condense::init::Start;
use crate::data::rows_at;
use crate::device::guarded;
use crate::nn::{Arch, Loss, Net, Optimizer, PerSample, SampleGradients, Wanted, gradient_product, to_host, to_tensor};
use crate::privacy::mixing::refuse_mixing;
use crate::privacy::{DpSgd, Event, Mechanism, Randomness};
use crate::synthesize::Synthesize;
use crate::train::{Pass, Rows, chunk_of};
use crate::{Dataset, Error, Lab, Result};
use burn::tensor::Tensor;
use rand::Rng as _;
use rand::seq::SliceRandom;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// Gradient matching against the noisy gradients of DP-SGD.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[doc(alias = "PSG")]
pub struct PrivateGradientMatching {
    /// Synthetic records per class (ipc, spc), at least 1.
    pub per_class: usize,
    /// σ, positive: the noise's standard deviation in units of the clipping norm.
    pub noise: f64,
    /// C, positive: the length to which the gradient of each record is clipped; 0.1 in the reference code.
    pub clip: f64,
    /// B, at least 1: real records in a sample on average, of all classes together; 256 in the reference code.
    pub batch: usize,
    /// Iterations, each with a fresh network; 1,000 in the reference code.
    pub steps: usize,
    /// States of a network that are matched, and epochs of training on S between them; the table of gradient matching.
    pub loops: Loops,
    /// Samples, each one release and one step of the records, for each state of a network (batch loop); 10 in the reference code.
    pub batches: usize,
    /// Learning rate of the synthetic records; 0.1 in the reference code.
    pub rate: f64,
    /// Momentum of the synthetic records; 0.5 in the reference code.
    pub momentum: f64,
    /// Learning rate of the network on S; 0.01 in the reference code.
    pub network_rate: f64,
    /// The network; ConvNet of width 128 in the reference code.
    pub arch: Arch,
    /// Where samples and noise come from.
    #[serde(default)]
    pub randomness: Randomness,
}

impl PrivateGradientMatching {
    /// Records in one batch of the network's training on S, as in the reference code.
    const NETWORK_BATCH: usize = 256;

    /// The parameters of the reference code with noise multiplier σ.
    #[must_use]
    pub fn new(per_class: usize, noise: f64) -> Self {
        Self {
            per_class,
            noise,
            clip: 0.1,
            batch: 256,
            steps: 1_000,
            loops: Loops::for_size(per_class),
            batches: 10,
            rate: 0.1,
            momentum: 0.5,
            network_rate: 0.01,
            arch: Arch::conv_net(),
            randomness: Randomness::default(),
        }
    }

    /// A preset for a laptop's processor: ConvNet of width 16, 10 iterations with a rate a hundred times as high, and at most two states
    /// of each network with 10 epochs between them: 100 releases for one record per class, 200 for more.
    #[must_use]
    pub fn small(per_class: usize, noise: f64) -> Self {
        let plain = Self::new(per_class, noise);
        let loops = Loops { outer: plain.loops.outer.min(2), inner: plain.loops.inner.min(10) };
        Self { steps: 10, rate: 10.0, arch: Arch::conv_net().with_width(16), loops, ..plain }
    }

    /// The same with another clipping norm.
    #[must_use]
    pub fn with_clip(mut self, clip: f64) -> Self {
        self.clip = clip;
        self
    }

    /// The same with another expected size of a sample.
    #[must_use]
    pub fn with_batch(mut self, batch: usize) -> Self {
        self.batch = batch;
        self
    }

    /// The same with another number of iterations.
    #[must_use]
    pub fn with_steps(mut self, steps: usize) -> Self {
        self.steps = steps;
        self
    }

    /// The same with other loops; the number of releases is proportional to `loops.outer`.
    #[must_use]
    pub fn with_loops(mut self, loops: Loops) -> Self {
        self.loops = loops;
        self
    }

    /// The same with another number of samples for each state of a network.
    #[must_use]
    pub fn with_batches(mut self, batches: usize) -> Self {
        self.batches = batches;
        self
    }

    /// The same with another learning rate of the records.
    #[must_use]
    pub fn with_rate(mut self, rate: f64) -> Self {
        self.rate = rate;
        self
    }

    /// The same with another network.
    #[must_use]
    pub fn with_arch(mut self, arch: Arch) -> Self {
        self.arch = arch;
        self
    }

    /// The same with another source of randomness.
    #[must_use]
    pub fn with_randomness(mut self, randomness: Randomness) -> Self {
        self.randomness = randomness;
        self
    }

    fn check(&self) -> Result<()> {
        let counts = [("per_class", self.per_class), ("steps", self.steps), ("loops.outer", self.loops.outer), ("batches", self.batches)];
        for (name, value) in counts {
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
        self.mechanism_settings().check()
    }

    fn mechanism_settings(&self) -> DpSgd {
        DpSgd::new(self.noise).with_clip(self.clip).with_randomness(self.randomness)
    }

    /// What one iteration releases.
    fn step_event(&self, records: usize) -> Result<Event> {
        self.mechanism_settings().event(records, self.batch, self.loops.outer * self.batches)
    }

    fn run(&self, real: &Dataset, lab: &Lab) -> Result<Dataset> {
        let step_event = self.step_event(real.len())?;
        let layers = self.arch.layers(real.shape(), real.classes())?;
        let device = lab.open()?;
        let values = real.normalized();
        let start = || {
            let Start { x, labels, started_from } = Init::Noise.start(real, self.per_class, lab)?;
            Ok(State { x, labels, started_from, ..State::default() })
        };
        let step = |step: usize, state: &mut State| {
            let lab = lab.child("iteration", step as u64);
            let mut net = Net::new(layers.clone(), &mut lab.rng("network", 0), &device);
            if step == 0 {
                refuse_mixing(real.shape(), &lab, |x| net.forward(x))?;
            }
            let mut mechanism =
                Mechanism::new(&self.mechanism_settings(), real.len(), self.batch, &lab, &format!("PSG {}", self.config()))?;
            let iteration = Iteration { method: self, real, values: &values, lab: &lab, device: &device };
            iteration.run(&mut net, &mut mechanism, state)
        };
        Descent { method: self, real, lab, steps: self.steps, step_event }.run(start, step)
    }
}

impl Synthesize for PrivateGradientMatching {
    fn name(&self) -> String {
        "PSG".into()
    }

    fn config(&self) -> serde_json::Value {
        serde_json::json!(self)
    }

    fn event(&self, real: &Dataset) -> Result<Event> {
        self.check()?;
        Ok(real.event_after(self.step_event(real.len())?.repeat(self.steps as u64)))
    }

    fn synthesize(&self, real: &Dataset, lab: &Lab) -> Result<Dataset> {
        self.check()?;
        let real = real.publicly_normalized()?;
        guarded(lab.device(), || self.run(&real, lab))
    }
}

/// One network's life.
struct Iteration<'a> {
    method: &'a PrivateGradientMatching,
    real: &'a Dataset,
    /// All real records, publicly normalised, row-major.
    values: &'a [f32],
    lab: &'a Lab,
    device: &'a burn::tensor::Device,
}

impl Iteration<'_> {
    /// The mean distance, which is computed from what was released.
    fn run(&self, net: &mut Net, mechanism: &mut Mechanism, state: &mut State) -> Result<f64> {
        let Loops { outer, inner } = self.method.loops;
        let mut sum = 0.0;
        for at in 0..outer {
            for _ in 0..self.method.batches {
                let real = self.private_gradient(net, mechanism)?;
                let (distance, gradient) = self.matching(net, &real, state)?;
                state.descend(&gradient, self.method.rate, self.method.momentum);
                sum += distance;
                if !distance.is_finite() {
                    return Ok(distance);
                }
            }
            if at + 1 < outer {
                self.train(net, state, inner, at)?;
            }
        }
        Ok(sum / (outer * self.method.batches) as f64)
    }

    /// One release.
    fn private_gradient(&self, net: &Net, mechanism: &mut Mechanism) -> Result<Vec<Tensor<1>>> {
        let positions = mechanism.sample();
        let labels = self.real.labels();
        let rows = Rows { x: self.values, labels, soft: None, shape: self.real.shape(), classes: self.real.classes() };
        let sum = mechanism.clipped_sum(&positions, &[net], self.lab.device(), |_, part| self.own_gradients(net, &rows, part))?;
        mechanism.release(sum)
    }

    fn own_gradients(&self, net: &Net, rows: &Rows, positions: &[usize]) -> Result<SampleGradients> {
        let ([c, h, w], d, n) = (rows.shape, self.real.features(), positions.len());
        let values = rows_at(rows.x, d, positions);
        let (logits, tape) = net.forward_saving(to_tensor(values, [n, c, h, w], self.device));
        let (_, grad) = Loss::CrossEntropy.of(logits, rows.targets(positions, self.device));
        // The loss is a mean; each record's own is wanted.
        Ok(net.per_sample(&tape, grad * n as f64, PerSample::Ghost, false).0)
    }

    /// The distance of ∇θ L(S, θ) from the `real` gradient, and its gradient in the records of S. ∇θ L(S, θ) is a sum over the records, so
    /// once the derivative of the distance in it is known, the records are differentiated in chunks, on all cores.
    fn matching(&self, net: &Net, real: &[Tensor<1>], state: &State) -> Result<(f64, Vec<f32>)> {
        let rows = self.synthetic(state);
        let all: Vec<usize> = (0..state.labels.len()).collect();
        let pass = Pass { loss: Loss::CrossEntropy, augment: None, rng: self.lab.rng("unused", 0) };
        let (_, own) = rows.gradients(net, &all, pass, self.lab.device())?;
        let (total, direction) = distance::cosine(net.layers(), real, &own);
        let Some(total) = total else { return Ok((0.0, vec![0.0; state.x.len()])) };
        let distance = to_host(total)?.first().copied().unwrap_or(f32::NAN);
        let ([c, h, w], d) = (rows.shape, self.real.features());
        let parts: Result<Vec<Vec<f32>>> = all
            .par_chunks(chunk_of(self.lab.device()))
            .zip(state.x.par_chunks(chunk_of(self.lab.device()) * d))
            .map(|(part, x)| {
                let share = part.len() as f64 / all.len() as f64;
                let x = to_tensor(x.to_vec(), [part.len(), c, h, w], self.device);
                let targets = rows.targets(part, self.device);
                let direction = || direction.iter().map(|v| v.clone().map(|v| v * share)).collect();
                let product = gradient_product(net, Loss::CrossEntropy, x, targets, Wanted::Input, |_| Ok::<_, Error>(direction()))?;
                to_host(product.in_input)
            })
            .collect();
        Ok((f64::from(distance), parts?.concat()))
    }

    /// `inner` epochs of plain gradient descent on the synthetic set.
    fn train(&self, net: &mut Net, state: &State, inner: usize, at: usize) -> Result<()> {
        let mut steps = Optimizer::Sgd { rate: self.method.network_rate, momentum: 0.0, weight_decay: 0.0 }.start();
        let mut order: Vec<usize> = (0..state.labels.len()).collect();
        let rows = self.synthetic(state);
        let mut rng = self.lab.rng("training", at as u64);
        for _ in 0..inner {
            order.shuffle(&mut rng);
            for batch in order.chunks(PrivateGradientMatching::NETWORK_BATCH) {
                let pass = Pass { loss: Loss::CrossEntropy, augment: None, rng: self.lab.rng("pass", rng.next_u64()) };
                let (_, gradients) = rows.gradients(net, batch, pass, self.lab.device())?;
                steps.step(&mut net.weights, gradients, 1.0);
            }
        }
        Ok(())
    }

    fn synthetic<'s>(&self, state: &'s State) -> Rows<'s> {
        Rows { x: &state.x, labels: &state.labels, soft: None, shape: self.real.shape(), classes: self.real.classes() }
    }
}
