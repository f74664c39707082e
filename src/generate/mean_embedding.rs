//! Private mean embedding (DP-MERF): one noisy mean of random features per class, and a generator that is trained to have the same.
//!
//! With frequencies `w_k` ~ N(0, I / ℓ²), φ(x) = (cos `w_1`·x, .., sin `w_1`·x, ..) / √D has length 1, and φ(x)·φ(y) ≈ exp(−|x − y|² /
//! 2ℓ²). Released is, for each class c, the sum of φ(x) over its `N_c` records plus σ N(0, I); the generator g lowers
//! Σ_c ‖ μ̃_c − E_z φ(g(z, c)) ‖², where μ̃_c is the released sum over `N_c`.
//!
//! 1. The frequencies are drawn; they and ℓ do not depend on the records. The features of images are those of pixels in 0 .. 1, those of
//!    tables of publicly normalised columns.
//! 2. All sums are released once. Everything after works on the release alone.
//! 3. The generator turns random numbers and a one-hot class into a record: pixels through a sigmoid, categories through a softmax (and
//!    rounded to one level in [`MeanEmbeddingGenerator::sample`]), numbers as they are.
//! 4. Every step draws a batch for each class, and takes the gradient of the squared distance by hand. A batch of m is corrected for
//!    comparing records with themselves: m / (m − 1) times its mean takes the place of the mean, or small batches would push the records
//!    together.
//!
//! The authors' generator has batch norm and upsampling; ours has layer norm and transposed convolutions.
//!
//! # Privacy
//! `Gaussian(σ)`, once, whatever is sampled later. Adding or removing one record changes the sums by the one vector φ(x) in the column of
//! its class, whose length is 1: the sensitivity under [`Adjacency::AddOrRemoveOne`](crate::privacy::Adjacency). The authors' code has
//! noise for a replaced record, whose sensitivity is 2. The class sizes, by which the sums are divided, and the levels of a table's
//! categories count as public.
//!
//! # References
//! arXiv 2002.11603, ParkLabML/DP-MERF.
//!
//! # Example
//! ```
//! use freelunch::{Dataset, Lab, generate::MeanEmbedding};
//! let lab = Lab::new()?.quiet();
//! let generator = MeanEmbedding::small(10, 1.0).with_steps(5).fit(&Dataset::toy(), &lab)?;
//! assert_eq!(generator.sample(25, &lab)?.len(), 100);
//! assert_eq!(generator.event().to_string(), "Gaussian(σ = 1)");
//! # Ok::<(), freelunch::Error>(())
//! ```

mod features;
mod generator;
mod head;
#[cfg(test)]
mod tests;

pub use generator::MeanEmbeddingGenerator;

use super::class_sums::positive;
use crate::device::guarded;
use crate::lab::Rng;
use crate::nn::{Net, Optimizer, to_tensor};
use crate::privacy::{Event, Randomness, Reserved};
use crate::synthesize::Synthesize;
use crate::{Dataset, Error, Lab, Result};
use features::{Features, Target};
use head::Head;
use rand_distr::{Distribution, StandardNormal};
use serde::{Deserialize, Serialize};
use std::time::Instant;

/// A generator that learns from one noisy mean embedding.
///
/// # Example
/// ```
/// use freelunch::generate::MeanEmbedding;
/// let embedding = MeanEmbedding::new(100, 5.0).with_length(105f64.sqrt());
/// assert_eq!(embedding.features, 10_000);
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[doc(alias = "DP-MERF")]
pub struct MeanEmbedding {
    /// Records per class that [`Synthesize::synthesize`] samples, at least 1; costs no privacy.
    pub per_class: usize,
    /// σ, positive: the noise's deviation on the sums, whose sensitivity is 1.
    pub noise: f64,
    /// 2D: random features, an even number of at least 2; 10,000 in the authors' code.
    pub features: usize,
    /// ℓ, positive: the kernel's length in pixels of 0 .. 1 (or normalised columns). None: such that ℓ² is the mean squared distance of
    /// uniformly random records, d / 6 for images and 2 d / 3 for columns in −1 .. 1. The authors' code has ℓ² = 105 for digits and 127 for
    /// fashion.
    #[serde(default)]
    pub length: Option<f64>,
    /// Random numbers that a record is made of, at least 1; 5 in the authors' code.
    pub code: usize,
    /// Units of the generator's hidden layers, at least 1; 200 in the authors' code.
    pub hidden: usize,
    /// Steps of the generator's training; 3000 by default: five epochs over 60,000 records in batches of 100.
    pub steps: usize,
    /// Generated records per class and step, at least 2; 10 by default: a batch of 100 in ten classes.
    pub batch: usize,
    /// How the generator follows its gradient; Adam of rate 0.01 in the authors' code. The rate falls to 0.9⁵ of it.
    pub optimizer: Optimizer,
    /// Where the noise comes from.
    #[serde(default)]
    pub randomness: Randomness,
}

impl MeanEmbedding {
    /// The authors' parameters, for data like theirs (60,000 images in ten classes).
    #[must_use]
    pub fn new(per_class: usize, noise: f64) -> Self {
        Self {
            per_class,
            noise,
            features: 10_000,
            length: None,
            code: 5,
            hidden: 200,
            steps: 3000,
            batch: 10,
            optimizer: Optimizer::adam(0.01),
            randomness: Randomness::default(),
        }
    }

    /// A preset for a laptop's processor: 2,000 features and 1,000 steps.
    #[must_use]
    pub fn small(per_class: usize, noise: f64) -> Self {
        Self { features: 2000, steps: 1000, ..Self::new(per_class, noise) }
    }

    /// The same with another number of features.
    #[must_use]
    pub fn with_features(mut self, features: usize) -> Self {
        self.features = features;
        self
    }

    /// The same with another length of the kernel.
    #[must_use]
    pub fn with_length(mut self, length: f64) -> Self {
        self.length = Some(length);
        self
    }

    /// The same with another number of random numbers for a record.
    #[must_use]
    pub fn with_code(mut self, code: usize) -> Self {
        self.code = code;
        self
    }

    /// The same with hidden layers of another width.
    #[must_use]
    pub fn with_hidden(mut self, hidden: usize) -> Self {
        self.hidden = hidden;
        self
    }

    /// The same with another number of steps.
    #[must_use]
    pub fn with_steps(mut self, steps: usize) -> Self {
        self.steps = steps;
        self
    }

    /// The same with another batch per class.
    #[must_use]
    pub fn with_batch(mut self, batch: usize) -> Self {
        self.batch = batch;
        self
    }

    /// The same with another optimiser.
    #[must_use]
    pub fn with_optimizer(mut self, optimizer: Optimizer) -> Self {
        self.optimizer = optimizer;
        self
    }

    /// The same with another source of randomness.
    #[must_use]
    pub fn with_randomness(mut self, randomness: Randomness) -> Self {
        self.randomness = randomness;
        self
    }

    fn check(&self) -> Result<()> {
        positive("noise", self.noise)?;
        self.length.map_or(Ok(()), |length| positive("length", length))?;
        if self.features < 2 || !self.features.is_multiple_of(2) {
            return Err(Error::config(format!("features is {}", self.features), "expected an even number of at least 2: half are cosines"));
        }
        let least = [("per_class", self.per_class, 1), ("code", self.code, 1), ("hidden", self.hidden, 1), ("steps", self.steps, 1)];
        for (name, value, least) in least.into_iter().chain([("batch", self.batch, 2)]) {
            if value < least {
                return Err(Error::config(format!("{name} is {value}"), format!("expected at least {least}")));
            }
        }
        self.optimizer.check()
    }

    /// Releases the mean embedding of `real` and trains a generator on the release. A time budget ends the training, not the release.
    ///
    /// # Errors
    /// [`Error::Config`] for a parameter that cannot work or a table without a public normalisation, [`Error::Data`] when a class is empty,
    /// [`Error::Diverged`] and [`Error::Device`] from the training.
    pub fn fit(&self, real: &Dataset, lab: &Lab) -> Result<MeanEmbeddingGenerator> {
        self.check()?;
        real.require_per_class(1)?;
        let real = real.publicly_normalized()?;
        guarded(lab.device(), || {
            let start = Instant::now();
            let features = self.frequencies(&real, lab)?;
            let event = self.event(&real)?;
            let reserved = Reserved::new(lab, "DP-MERF", &real, &event)?;
            let target = self.release(&real, &features, lab)?;
            reserved.settle(&event)?;
            let generator = MeanEmbeddingGenerator::untrained(self, &real)?;
            self.train(generator, &features, &target, lab, start)
        })
    }

    /// φ, before any record is read.
    fn frequencies(&self, real: &Dataset, lab: &Lab) -> Result<Features> {
        let d = real.features() as f64;
        let from_range = if real.schema().is_some() { (2.0 * d / 3.0).sqrt() } else { (d / 6.0).sqrt() };
        Features::new(real.features(), self.features / 2, self.length.unwrap_or(from_range), lab)
    }

    /// The one release: the noisy sum of each class, over its size.
    fn release(&self, real: &Dataset, features: &Features, lab: &Lab) -> Result<Target> {
        let sums = features.sums(&seen(real), real, lab)?;
        let noise = self.randomness.source(lab, &format!("mean embedding noise {}", self.config()), 0).normals(sums.len(), self.noise);
        let sizes = real.per_class();
        let means: Vec<f32> =
            sums.iter().zip(noise).enumerate().map(|(i, (sum, noise))| ((sum + noise) / sizes[i / self.features] as f64) as f32).collect();
        Target::new(means, real.classes(), lab)
    }

    fn train(
        &self,
        mut generator: MeanEmbeddingGenerator,
        features: &Features,
        target: &Target,
        lab: &Lab,
        start: Instant,
    ) -> Result<MeanEmbeddingGenerator> {
        let device = lab.open()?;
        let head = Head::new(&generator.kind);
        let classes = generator.kind.classes();
        let layers = generator.layers()?;
        let mut net = Net::new(layers, &mut lab.rng("generator", 0), &device);
        let mut optimizer = self.optimizer.start();
        let mut progress = lab.progress("DP-MERF", self.steps);
        let deadline = lab.deadline();
        for step in 0..self.steps {
            let input = self.codes(classes, self.batch, &mut lab.rng("codes", step as u64));
            let input = to_tensor(input, [classes * self.batch, self.code + classes, 1, 1], &device);
            let (raw, tape) = net.forward_saving(input);
            let made = head.forward(raw); // [n, d]
            let (loss, grad) = features.distance(made.clone(), target)?;
            if !loss.is_finite() {
                return Err(Error::Diverged { what: "loss of DP-MERF".into(), step, value: loss });
            }
            let gradients = net.weight_gradients(&tape, head.input_gradient(made, grad));
            optimizer.step(&mut net.weights, gradients, 0.9f64.powf(5.0 * step as f64 / self.steps as f64));
            let stop = step + 1 == self.steps || deadline.is_some_and(|deadline| Instant::now() > deadline);
            if step % (self.steps / 100).max(1) == 0 || stop {
                generator.history.push((step, loss));
            }
            progress.step(step + 1, &format!("loss {loss:.4}"));
            if stop {
                break;
            }
        }
        generator.weights = net.host_weights()?;
        generator.seconds = start.elapsed().as_secs_f64();
        Ok(generator)
    }

    /// Inputs of the generator, `each` per class, class by class: random numbers and the one-hot class.
    fn codes(&self, classes: usize, each: usize, rng: &mut Rng) -> Vec<f32> {
        let mut input = Vec::with_capacity(classes * each * (self.code + classes));
        for class in 0..classes {
            for _ in 0..each {
                input.extend((0..self.code).map(|_| -> f32 { StandardNormal.sample(&mut *rng) }));
                input.extend((0..classes).map(|c| f32::from(u8::from(c == class))));
            }
        }
        input
    }
}

/// The records as φ sees them.
fn seen(real: &Dataset) -> Vec<f32> {
    if real.schema().is_some() { real.normalized() } else { real.x().to_vec() }
}

impl Synthesize for MeanEmbedding {
    fn name(&self) -> String {
        "DP-MERF".into()
    }

    fn config(&self) -> serde_json::Value {
        serde_json::json!(self)
    }

    fn event(&self, real: &Dataset) -> Result<Event> {
        self.check()?;
        Ok(real.event_after(Event::gaussian(self.noise)?))
    }

    fn synthesize(&self, real: &Dataset, lab: &Lab) -> Result<Dataset> {
        self.fit(real, lab)?.sample(self.per_class, lab)
    }
}
