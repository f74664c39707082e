//! DP-VaeGM: one variational autoencoder for each class learns private records with differential privacy; its decoder then makes as many
//! records as anyone wants.
//!
//! For a record x with the encoder's mean μ and log variance v, the loss is its negative evidence lower bound
//! L(x) = −log p(x | z) + ½ Σ (μ² + eᵛ − 1 − v), with z = μ + e^{v/2} ε, ε ~ N(0, I).
//!
//! 1. The records of each class are sampled by themselves (Poisson); every record draws one ε.
//! 2. The gradient of L in the weights of encoder and decoder together is clipped record by record, the sum is made noisy ([`DpSgd`]).
//! 3. The encoder is dropped. [`VaeGenerator::sample`] decodes z ~ N(0, I): the mean of p(x | z), for categories its most likely level.
//!
//! The encoder begins with N(0, I) for every record, and the decoder with large biases: what all records of a class share is then learned
//! without z. Few noisy steps make little more than that, so samples of a class vary less than its records do.
//!
//! p(x | z) is a product: Bernoulli for pixels in 0 .. 1 (binary cross-entropy), a Gaussian of fixed variance for numeric columns, one
//! categorical distribution for each category. v is kept within ±6 by a tanh, so that noise in the weights cannot make eᵛ overflow. The
//! paper prints no architecture that could be verified; networks, rates and batch sizes are chosen here.
//!
//! L is a sum over records in which each has its own term. Divergences of whole batches (maximum mean discrepancy, total correlation) are
//! not offered: there one record moves the terms of all others, and clipping its own gradient bounds nothing (arXiv 2006.11204).
//!
//! # Privacy
//! Adding or removing one record touches one class, so the events of the classes compose in parallel: the class with the largest ε counts.
//! Each is `steps × Poisson(B / N_c, Gaussian(σ))`, counted from the steps that were made. Replacing a record by one of another
//! class touches two. Class sizes N_c, the shape, and the columns of a table with their levels count as public. Sampling is
//! post-processing, without limit. No loss and no divergence is kept: they would be statistics of the records that no ε covers.
//!
//! # References
//! arXiv 1812.02274 (the method), 1312.6114 (variational autoencoders), 1607.00133 (DP-SGD).
//!
//! # Example
//! ```
//! use freelunch::{Dataset, Lab, generate::PrivateVae};
//! let lab = Lab::new()?.seed(1).quiet();
//! let generator = PrivateVae::new(10, 1.0).with_epochs(2).with_batch(15).fit(&Dataset::toy(), &lab)?;
//! assert_eq!(generator.sample(25, &lab)?.per_class(), vec![25; 4]);
//! assert_eq!(generator.event().releases(), 4); // of every class: 2 epochs of 2 steps
//! # Ok::<(), freelunch::Error>(())
//! ```

mod bound;
mod generator;
pub(crate) mod likelihood;

pub use generator::VaeGenerator;

use super::Coder;
use super::kept::Template;
use super::pair::{Pair, Recipe, Run};
use super::private_autoencoder::after;
use crate::device::guarded;
use crate::nn::Optimizer;
use crate::privacy::{DpSgd, Event, Reserved};
use crate::synthesize::Synthesize;
use crate::{Dataset, Error, Lab, Result};
use bound::Bound;
use burn::tensor::Tensor;
use likelihood::Likelihood;
use rand::RngExt;
use serde::{Deserialize, Serialize};
use std::time::Instant;

/// The recipe of DP-VaeGM.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[doc(alias = "DP-VaeGM")]
pub struct PrivateVae {
    /// Records of each class that [`Synthesize::synthesize`] makes (ipc), at least 1. [`VaeGenerator::sample`] makes any number.
    pub per_class: usize,
    /// Length of z, at least 1.
    pub latent: usize,
    /// The networks.
    pub network: Coder,
    /// Passes over the records of each class on average, at least 1: N_c / `batch` steps each.
    pub epochs: usize,
    /// B, the expected size of a Poisson sample of one class, at least 1 and at most the size of the smallest class.
    pub batch: usize,
    /// The optimiser with its learning rate.
    pub optimizer: Optimizer,
    /// Standard deviation of the Gaussian likelihood of numeric columns, in units of the public normalisation, positive.
    pub deviation: f64,
    /// Noise and clipping; `None` trains without privacy, for controls.
    pub privacy: Option<DpSgd>,
}

impl PrivateVae {
    /// `per_class` records of each class under the noise multiplier σ, clipping norm 1: latent 8, one hidden layer of 64 units, 40
    /// epochs with samples of 250 of each class, Adam at 0.005, deviation 0.2. Chosen here, on Fashion-MNIST: the paper's
    /// values could not be verified.
    #[must_use]
    pub fn new(per_class: usize, noise: f64) -> Self {
        Self {
            per_class,
            latent: 8,
            network: Coder::Dense { hidden: vec![64] },
            epochs: 40,
            batch: 250,
            optimizer: Optimizer::adam(0.005),
            deviation: 0.2,
            privacy: Some(DpSgd::new(noise)),
        }
    }

    /// The same with another length of z.
    #[must_use]
    pub fn with_latent(mut self, latent: usize) -> Self {
        self.latent = latent;
        self
    }

    /// The same with other networks.
    #[must_use]
    pub fn with_network(mut self, network: Coder) -> Self {
        self.network = network;
        self
    }

    /// The same with another number of epochs.
    #[must_use]
    pub fn with_epochs(mut self, epochs: usize) -> Self {
        self.epochs = epochs;
        self
    }

    /// The same with another expected sample.
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

    /// The same with another deviation of numeric columns.
    #[must_use]
    pub fn with_deviation(mut self, deviation: f64) -> Self {
        self.deviation = deviation;
        self
    }

    /// The same with other noise and clipping.
    #[must_use]
    pub fn with_privacy(mut self, privacy: DpSgd) -> Self {
        self.privacy = Some(privacy);
        self
    }

    /// The same without noise and clipping: for public records, or to see what privacy costs.
    #[must_use]
    pub fn without_privacy(mut self) -> Self {
        self.privacy = None;
        self
    }

    fn check_parameters(&self, shape: [usize; 3]) -> Result<()> {
        for (name, value) in [("per_class", self.per_class), ("latent", self.latent)] {
            if value == 0 {
                return Err(Error::config(format!("{name} is 0"), "expected at least 1"));
            }
        }
        if !(self.deviation > 0.0 && self.deviation.is_finite()) {
            return Err(Error::config(format!("deviation is {}", self.deviation), "expected a positive number"));
        }
        self.network.check(shape)?;
        self.recipe().check()
    }

    fn check(&self, real: &Dataset) -> Result<()> {
        self.check_parameters(real.shape())?;
        for (class, size) in real.per_class().into_iter().enumerate() {
            if size < self.batch {
                let what = format!("{size} records, fewer than the batch of {}", self.batch);
                let class = format!("class {class} ({})", real.class_names()[class]);
                return Err(Error::data(real.name(), class, what, "use a smaller batch, or leave the class out with `only`"));
            }
        }
        Ok(())
    }

    fn recipe(&self) -> Recipe<'_> {
        Recipe { epochs: self.epochs, batch: self.batch, optimizer: self.optimizer, privacy: self.privacy.as_ref() }
    }

    /// Trains one pair of networks for each class; only the decoders come out. A time budget is shared by the classes.
    ///
    /// # Errors
    /// [`Error::Config`] for a parameter that cannot work, for a table without [`Dataset::with_public_normalization`], or for pixels
    /// outside 0 .. 1; [`Error::Data`] for a class with fewer records than the batch; [`Error::Diverged`] when a gradient is not finite;
    /// [`Error::Device`] when the device fails.
    pub fn fit(&self, private: &Dataset, lab: &Lab) -> Result<VaeGenerator> {
        self.check(private)?;
        let data = &private.publicly_normalized()?;
        let likelihood = Likelihood::of(data, self.deviation)?;
        let reserved = Reserved::new(lab, &self.name(), data, &self.event(data)?)?;
        let bound = Bound::new(self, data, &likelihood);
        let deadline = lab.deadline();
        guarded(lab.device(), || {
            let (mut decoders, mut events) = (vec![], vec![]);
            for class in 0..data.classes() {
                lab.proceed()?;
                let deadline = deadline.map(|deadline| deadline.of_first(data.classes() - class));
                let run = Run { lab, label: format!("vae of class {class}"), config: self.config().to_string(), deadline };
                let mut pair = self.pair(data.shape(), &run)?;
                let members = data.of_class(class);
                let made = pair.train(&self.recipe(), members.len(), &run, |pair, part, rng| {
                    let positions: Vec<usize> = part.iter().map(|&i| members[i]).collect();
                    bound.gradients(pair, &positions, part, rng, lab)
                })?;
                events.extend(made);
                decoders.push(pair.decoder.host_weights()?);
            }
            let made = self.privacy.is_some().then(|| Event::parallel(events));
            let event = after(data, made);
            reserved.settle(&event)?;
            Ok(VaeGenerator::new(self.clone(), Template::of(data), decoders, event, data, lab))
        })
    }
}

impl PrivateVae {
    /// Fresh networks, so that the decoder learns what all records of a class have in common without z: the encoder's last layer is zero,
    /// which makes N(0, I) of every record, and the decoder's hidden units begin with large biases, which makes most of them nearly
    /// constant. Otherwise z takes that place, and where no record is, the decoder, with its odd tanh, shows the negative of a record.
    fn pair(&self, shape: [usize; 3], run: &Run) -> Result<Pair> {
        let mut pair = Pair::new(self.network.encoder(shape, 2 * self.latent), self.network.decoder(self.latent, shape), run)?;
        pair.encoder.weights.iter_mut().rev().take(2).for_each(|w| *w = w.zeros_like()); // weight and bias
        if let [_, bias, _, ..] = pair.decoder.weights.as_mut_slice() {
            let mut rng = run.lab.rng(&format!("{} biases", run.label), 0);
            let values: Vec<f32> = (0..bias.dims()[0]).map(|_| rng.random_range(-Self::BIAS..Self::BIAS)).collect();
            *bias = Tensor::from_floats(values.as_slice(), &bias.device());
        }
        Ok(pair)
    }

    /// tanh is nearly flat here.
    const BIAS: f32 = 2.0;
}

impl Synthesize for PrivateVae {
    fn name(&self) -> String {
        if self.privacy.is_some() { "DP-VaeGM".into() } else { "VaeGM without privacy".into() }
    }

    fn config(&self) -> serde_json::Value {
        serde_json::json!(self)
    }

    fn event(&self, real: &Dataset) -> Result<Event> {
        self.check(real)?;
        let classes: Result<Vec<Option<Event>>> = real.per_class().into_iter().map(|size| self.recipe().event(size)).collect();
        let made = classes?.into_iter().collect::<Option<Vec<Event>>>().map(Event::parallel);
        Ok(after(real, made))
    }

    fn synthesize(&self, real: &Dataset, lab: &Lab) -> Result<Dataset> {
        let start = Instant::now();
        let generator = self.fit(real, lab)?;
        generator.drawn(self.per_class, lab, start)
    }
}

#[cfg(test)]
mod tests;
