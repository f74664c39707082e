//! Private distribution matching (NDPDC): distribution matching in which the real records enter through noisy sums of clipped embeddings
//! only.
//!
//! With ψ a freshly drawn network before its last layer, G a Poisson group of class c of expected size L, and S the synthetic records of
//! the class, one step lowers Σ_c ‖ t − (L / |S|) Σ_{s ∈ S} clip(ψ(s)) ‖², where t = Σ_{x ∈ G} clip(ψ(x)) + σ C N(0, I) and
//! clip(v) = min(1, C / |v|) v.
//!
//! 1. The synthetic records begin as noise, never as real records.
//! 2. In every step a network is drawn, and for every class a group: each record joins with probability `q_c` = L / `N_c`.
//! 3. With an augmentation, group and synthetic records go through the same random changes, which do not depend on the records.
//! 4. The embeddings of the group are clipped to C and summed; noise is added once to the sum of each class. This is all that leaves the
//!    records.
//! 5. The embeddings of the synthetic records are clipped alike, their factors taken as constants, and scaled by the expected sizes L /
//!    |S|, never by the true size of a group. The gradient goes back to the synthetic records: one step of descent with momentum.
//!
//! The number of steps is a parameter of privacy: for the same ε, σ grows with about its square root. How many records are made is not:
//! they all follow the same sums.
//!
//! # Privacy
//! `steps × parallel over the classes (Poisson(L / N_c, Gaussian(σ)))`, counted from the steps that were made. The loss that is shown is
//! that against the noisy sums. The class sizes count as public, and records are normalised with public constants.
//!
//! # References
//! Algorithm and values as in the code at SecMLSys/NDPDC; the loop is that of Zhao and Bilen, arXiv 2110.04181.
//!
//! # Example
//! ```
//! use freelunch::{Dataset, Lab, generate::PrivateDistributionMatching, nn::Arch, synthesize::Synthesize};
//! let matching = PrivateDistributionMatching::new(1, 2.0).with_arch(Arch::mlp()).with_batch(10).with_steps(3);
//! let small = matching.synthesize(&Dataset::toy(), &Lab::new()?.quiet())?;
//! assert_eq!(small.event().releases(), 3);
//! # Ok::<(), freelunch::Error>(())
//! ```

use super::class_sums::{ClassSums, factor, length, positive};
use crate::augment::Augment;
use crate::condense::descent::{Descent, State};
use crate::data::rows_at;
use crate::device::guarded;
use crate::nn::{Arch, Net, to_host, to_tensor};
use crate::privacy::mixing::refuse_mixing;
use crate::privacy::{Event, Randomness};
use crate::synthesize::Synthesize;
use crate::train::model::forward_rows;
use crate::{Dataset, Error, Lab, Result};
use rand_distr::{Distribution, StandardNormal};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// Distribution matching with differential privacy.
///
/// # Example
/// ```
/// use freelunch::generate::PrivateDistributionMatching;
/// let matching = PrivateDistributionMatching::new(10, 3.46);
/// assert_eq!((matching.batch, matching.clip, matching.steps), (50, 1.0, 10_000));
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[doc(alias = "NDPDC")]
pub struct PrivateDistributionMatching {
    /// Synthetic records per class (ipc), at least 1; costs no privacy.
    pub per_class: usize,
    /// σ, positive: the noise's deviation in units of the clipping norm.
    pub noise: f64,
    /// C, positive: the length to which embeddings are clipped; 1 in the authors' code.
    pub clip: f64,
    /// L, at least 1: expected real records per class and step; 50 in the authors' code.
    pub batch: usize,
    /// T: steps, and as many releases; 10,000 in the authors' code.
    pub steps: usize,
    /// Learning rate of the synthetic records; 1 in the authors' code.
    pub rate: f64,
    /// Momentum of the synthetic records; 0.5 in distribution matching.
    pub momentum: f64,
    /// The embedding network; ConvNet of width 128 in distribution matching.
    pub arch: Arch,
    /// One augmentation for both groups of a class, that of DSA in the authors' code; none by default, as for [`DistributionMatching`].
    ///
    /// [`DistributionMatching`]: crate::condense::DistributionMatching
    #[serde(default)]
    pub augment: Option<Augment>,
    /// Where groups and noise come from.
    #[serde(default)]
    pub randomness: Randomness,
}

impl PrivateDistributionMatching {
    /// The authors' parameters but for their augmentation, which tables cannot have and digits want without flips: give it with
    /// [`PrivateDistributionMatching::with_augment`].
    #[must_use]
    pub fn new(per_class: usize, noise: f64) -> Self {
        let (arch, randomness) = (Arch::conv_net(), Randomness::default());
        Self { per_class, noise, clip: 1.0, batch: 50, steps: 10_000, rate: 1.0, momentum: 0.5, arch, augment: None, randomness }
    }

    /// A preset for a laptop's processor: 100 steps of rate 0.2, ConvNet of width 32. Fewer steps need less noise for the same ε.
    #[must_use]
    pub fn small(per_class: usize, noise: f64) -> Self {
        Self { steps: 100, rate: 0.2, arch: Arch::conv_net().with_width(32), ..Self::new(per_class, noise) }
    }

    /// The same with another clipping norm.
    #[must_use]
    pub fn with_clip(mut self, clip: f64) -> Self {
        self.clip = clip;
        self
    }

    /// The same with another expected size of the groups.
    #[must_use]
    pub fn with_batch(mut self, batch: usize) -> Self {
        self.batch = batch;
        self
    }

    /// The same with another number of steps.
    #[must_use]
    pub fn with_steps(mut self, steps: usize) -> Self {
        self.steps = steps;
        self
    }

    /// The same with another learning rate.
    #[must_use]
    pub fn with_rate(mut self, rate: f64) -> Self {
        self.rate = rate;
        self
    }

    /// The same with another embedding network.
    #[must_use]
    pub fn with_arch(mut self, arch: Arch) -> Self {
        self.arch = arch;
        self
    }

    /// The same with an augmentation of both groups.
    #[must_use]
    pub fn with_augment(mut self, augment: Augment) -> Self {
        self.augment = Some(augment);
        self
    }

    /// The same with another source of randomness.
    #[must_use]
    pub fn with_randomness(mut self, randomness: Randomness) -> Self {
        self.randomness = randomness;
        self
    }

    /// Checks the parameters and makes the mechanism.
    fn sums(&self, real: &Dataset) -> Result<ClassSums> {
        for (name, value) in [("per_class", self.per_class), ("steps", self.steps)] {
            if value == 0 {
                return Err(Error::config(format!("{name} is 0"), "expected at least 1"));
            }
        }
        positive("rate", self.rate)?;
        if !(0.0..1.0).contains(&self.momentum) {
            return Err(Error::config(format!("momentum is {}", self.momentum), "expected 0 up to, not including, 1"));
        }
        self.augment.as_ref().map_or(Ok(()), |augment| augment.check(real.shape()))?;
        ClassSums::new(real, self.batch, self.noise, self.clip, self.randomness, format!("NDPDC {}", self.config()))
    }

    fn run(&self, real: &Dataset, sums: &ClassSums, lab: &Lab) -> Result<Dataset> {
        let layers = self.arch.layers(real.shape(), real.classes())?;
        let device = lab.open()?;
        let net = |step: usize| Net::new(layers.clone(), &mut lab.rng("network", step as u64), &device).features();
        let first = net(0);
        refuse_mixing(real.shape(), lab, |x| first.forward(x))?;
        let values = real.normalized();
        let matching = Matching { method: self, sums, values: &values, shape: real.shape(), lab };
        let step = |step: usize, state: &mut State| {
            let net = net(step);
            let parts: Result<Vec<(f64, Vec<f32>)>> = state
                .x
                .par_chunks(self.per_class * real.features())
                .enumerate()
                .map(|(class, x)| matching.class_gradient(&net, class, step, x))
                .collect();
            let (losses, gradients): (Vec<f64>, Vec<Vec<f32>>) = parts?.into_iter().unzip();
            state.descend(&gradients.concat(), self.rate, self.momentum);
            Ok(losses.iter().sum())
        };
        let descent = Descent { method: self, real, lab, steps: self.steps, step_event: sums.event()? };
        descent.run(|| Ok(self.start(real, lab)), step)
    }

    /// Standard normal values in the normalised space.
    fn start(&self, real: &Dataset, lab: &Lab) -> State {
        let count = self.per_class * real.classes();
        let mut rng = lab.rng("init noise", 0);
        let x = (0..count * real.features()).map(|_| StandardNormal.sample(&mut rng)).collect();
        let labels = (0..real.classes() as u32).flat_map(|class| std::iter::repeat_n(class, self.per_class)).collect();
        State { x, labels, started_from: vec![vec![]; count], ..State::default() }
    }
}

impl Synthesize for PrivateDistributionMatching {
    fn name(&self) -> String {
        "NDPDC".into()
    }

    fn config(&self) -> serde_json::Value {
        serde_json::json!(self)
    }

    fn event(&self, real: &Dataset) -> Result<Event> {
        Ok(real.event_after(self.sums(real)?.event()?.repeat(self.steps as u64)))
    }

    fn synthesize(&self, real: &Dataset, lab: &Lab) -> Result<Dataset> {
        let real = real.publicly_normalized()?;
        let sums = self.sums(&real)?;
        guarded(lab.device(), || self.run(&real, &sums, lab))
    }
}

/// The parts of a step that do not change.
struct Matching<'a> {
    method: &'a PrivateDistributionMatching,
    sums: &'a ClassSums,
    values: &'a [f32],
    shape: [usize; 3],
    lab: &'a Lab,
}

impl Matching<'_> {
    /// The loss of one class and its gradient in the synthetic records `x`.
    fn class_gradient(&self, net: &Net, class: usize, step: usize, x: &[f32]) -> Result<(f64, Vec<f32>)> {
        let [c, h, w] = self.shape;
        let d = c * h * w;
        let n = x.len() / d;
        let group = self.sums.group(class, step, self.lab);
        let draws = self
            .method
            .augment
            .as_ref()
            .map(|augment| augment.pair(self.shape, [group.len(), n], &mut self.sums.other(class, step, self.lab)));
        let rows = rows_at(self.values, d, &group);
        let (rows, synthetic) = match &draws {
            Some([of_real, of_synthetic]) => (of_real.apply(&rows), of_synthetic.apply(x)),
            None => (rows, x.to_vec()),
        };
        let (embedding, tape) = net.forward_saving(to_tensor(synthetic, [n, c, h, w], &self.lab.open()?));
        let dims = embedding.dims(); // [n, features, 1, 1]
        let embedded = to_host(embedding)?;
        let width = embedded.len() / n;

        let clean = self.sums.clipped_sum(&forward_rows(net, &rows, self.shape, self.lab.device())?, width, step)?;
        let target = self.sums.release(&clean, class, step, self.lab);

        let scale = self.method.batch as f64 / n as f64;
        let factors: Vec<f64> = embedded.chunks_exact(width).map(|row| scale * factor(length(row), self.method.clip)).collect();
        let mut difference: Vec<f64> = target.iter().map(|&t| -f64::from(t)).collect();
        for (row, factor) in embedded.chunks_exact(width).zip(&factors) {
            difference.iter_mut().zip(row).for_each(|(sum, &v)| *sum += factor * f64::from(v));
        }
        let loss = difference.iter().map(|v| v * v).sum();
        let grad = factors.iter().flat_map(|factor| difference.iter().map(move |v| (2.0 * factor * v) as f32)).collect();
        let gradient = to_host(net.input_gradient(&tape, to_tensor(grad, dims, &self.lab.open()?)))?;
        let gradient = match &draws {
            Some([_, of_synthetic]) => of_synthetic.adjoint(&gradient),
            None => gradient,
        };
        Ok((loss, gradient))
    }
}

#[cfg(test)]
mod tests;
