//! Differentially private stochastic gradient descent: gradients clipped record by record, summed, and made noisy.
//!
//! With q = B / n, clipping norm C and noise multiplier σ, one step on a Poisson sample S (every record with probability q) is
//! g = ( Σ_{i ∈ S} min(1, C / |g_i|) g_i + σ C N(0, I) ) / B.
//!
//! 1. The sample is drawn; it may be empty, and then the step is noise alone.
//! 2. The gradient of every record (with augmentation multiplicity K, the mean over K random variants of it) is clipped to C.
//! 3. Noise is added once, to the sum over the whole sample, however many chunks it was computed in.
//! 4. The sum is divided by the expected size B of the sample, never by its true size, which is private.
//! 5. Momentum, Adam, weight decay and averages of weights work on g and cost nothing (post-processing).
//!
//! # Privacy
//! `releases × Poisson(q, Gaussian(σ))`, counted from the noisy sums that were really released. It covers the weights. It does not cover what
//! else was computed from the records: that a run stopped because a gradient was not finite, say. No training loss is kept, and the records are normalised with public constants only
//! ([`Dataset::with_public_normalization`](crate::Dataset::with_public_normalization)). The number of records counts as public.
//!
//! # References
//! arXiv 1607.00133 (the algorithm), 1510.01799 and 2205.10683 (lengths without gradients), 2204.13650 (augmentation multiplicity).
//!
//! # Example
//! ```
//! use freelunch::{Dataset, Lab, nn::Arch, privacy::DpSgd, train::Train};
//! let lab = Lab::new()?.seed(1).quiet();
//! let private = Train::new(Arch::mlp()).with_epochs(2).with_batch(30).with_privacy(DpSgd::new(1.0));
//! let model = private.fit(&Dataset::toy(), &lab)?;
//! assert_eq!(model.event().to_string(), "8 × Poisson(0.25, Gaussian(σ = 1))");
//! # Ok::<(), freelunch::Error>(())
//! ```

use super::randomness::Source;
use super::{Event, Randomness};
use crate::lab::Rng;
use crate::nn::{Net, PerSample, SampleGradients, added, to_host};
use crate::train::{even_part, part_of};
use crate::{Device, Error, Lab, Result};
use burn::tensor::{Tensor, TensorData};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// What makes a training private: noise, clipping, and how they are computed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DpSgd {
    /// σ, positive: the noise's standard deviation in units of the clipping norm.
    pub noise: f64,
    /// C, positive: the length to which the gradient of each record is clipped.
    pub clip: f64,
    /// How lengths of gradients are found; the result is the same up to rounding.
    #[serde(default)]
    pub per_sample: PerSample,
    /// K, at least 1: random variants of every record whose gradients are averaged before clipping. More than 1 needs the recipe's
    /// `augment`, and keeps every gradient ([`PerSample::Flat`]).
    pub augmentations: usize,
    /// Most records in memory at once, at least 1; a larger sample is summed in parts ("virtual batches") before the one noise is added.
    pub physical_batch: usize,
    /// Where samples and noise come from.
    #[serde(default)]
    pub randomness: Randomness,
}

impl DpSgd {
    /// Noise multiplier σ, clipping norm 1, no augmentation multiplicity, at most 1024 records in memory at once, seeded randomness.
    #[must_use]
    pub fn new(noise: f64) -> Self {
        let (per_sample, randomness) = (PerSample::default(), Randomness::default());
        Self { noise, clip: 1.0, per_sample, augmentations: 1, physical_batch: 1024, randomness }
    }

    /// The same with another clipping norm.
    #[must_use]
    pub fn with_clip(mut self, clip: f64) -> Self {
        self.clip = clip;
        self
    }

    /// The same with another way to find lengths.
    #[must_use]
    pub fn with_per_sample(mut self, per_sample: PerSample) -> Self {
        self.per_sample = per_sample;
        self
    }

    /// The same with the gradients of `times` random variants of each record averaged before clipping.
    #[must_use]
    pub fn with_augmentations(mut self, times: usize) -> Self {
        self.augmentations = times;
        self
    }

    /// The same with at most `records` in memory at once.
    #[must_use]
    pub fn with_physical_batch(mut self, records: usize) -> Self {
        self.physical_batch = records;
        self
    }

    /// The same with another source of randomness.
    #[must_use]
    pub fn with_randomness(mut self, randomness: Randomness) -> Self {
        self.randomness = randomness;
        self
    }

    pub(crate) fn check(&self) -> Result<()> {
        Event::gaussian(self.noise).map_err(|_| Error::config(format!("noise is {}", self.noise), "expected a positive number"))?;
        if !(self.clip > 0.0 && self.clip.is_finite()) {
            return Err(Error::config(format!("clip is {}", self.clip), "expected a positive number"));
        }
        for (name, value) in [("augmentations", self.augmentations), ("physical_batch", self.physical_batch)] {
            if value == 0 {
                return Err(Error::config(format!("{name} is 0"), "expected at least 1"));
            }
        }
        Ok(())
    }

    /// The event of `steps` steps with samples of `batch` of `records` records on average.
    ///
    /// # Errors
    /// [`Error::Config`] for parameters that cannot work, such as a batch larger than the set.
    pub fn event(&self, records: usize, batch: usize, steps: usize) -> Result<Event> {
        self.check()?;
        if batch == 0 || batch > records {
            return Err(Error::config(
                format!("a batch of {batch} from {records} records"),
                "expected at least 1 and at most all of the records (of the class, where each class is sampled by itself)",
            ));
        }
        Ok(Event::gaussian(self.noise)?.poisson(batch as f64 / records as f64)?.repeat(steps as u64))
    }

    /// How lengths are found, given that averages over augmentations need the gradients themselves.
    pub(crate) fn lengths(&self) -> PerSample {
        if self.augmentations > 1 { PerSample::Flat } else { self.per_sample }
    }
}

/// DP-SGD at work: draws the samples, adds the noise, counts what was released.
pub(crate) struct Mechanism {
    config: DpSgd,
    records: usize,
    batch: usize,
    samples: Source,
    noise: Source,
    released: usize,
}

impl Mechanism {
    /// For `records` records and samples of `batch` on average. `label` must name the method with all its parameters: runs that differ in any draw their
    /// own noise, because noise that two releases share can be subtracted.
    pub(crate) fn new(config: &DpSgd, records: usize, batch: usize, lab: &Lab, label: &str) -> Result<Self> {
        config.event(records, batch, 1)?;
        let source = |what: &str| config.randomness.source(lab, &format!("{label} {what}"), 0);
        Ok(Self { config: config.clone(), records, batch, samples: source("samples"), noise: source("noise"), released: 0 })
    }

    /// The positions of the next sample.
    pub(crate) fn sample(&mut self) -> Vec<usize> {
        self.samples.poisson(self.records, self.batch as f64 / self.records as f64)
    }

    /// A stream for the augmentations of the next sample.
    pub(crate) fn augmentation_rng(&mut self) -> Rng {
        self.samples.other()
    }

    /// Σ min(1, C / |g|) g over the records at `positions`, in all weights of `nets`. `gradients` computes those of one part of them.
    pub(crate) fn clipped_sum(
        &self,
        positions: &[usize],
        nets: &[&Net],
        kind: &Device,
        gradients: impl Fn(usize, &[usize]) -> Result<SampleGradients> + Sync,
    ) -> Result<Vec<Tensor<1>>> {
        let device = kind.open()?;
        let variants = self.config.augmentations;
        let chunk = even_part(positions.len(), part_of(nets, kind).min(self.config.physical_batch) / variants);
        let together = self.together(nets, kind).min(chunk);
        let parts: Result<Vec<Vec<Tensor<1>>>> = positions
            .par_chunks(chunk)
            .enumerate()
            .map(|(i, part)| {
                let few = part.chunks(together).enumerate();
                let sums = few.map(|(j, few)| self.clipped(gradients(i * chunk + j, few)?, &device));
                sums.reduce(|sum, next| Ok(added(sum?, next?))).unwrap_or_else(|| Ok(vec![]))
            })
            .collect();
        let zeros = nets.iter().flat_map(|net| net.lengths()).map(|length| Tensor::zeros([length], &device)).collect();
        Ok(parts?.into_iter().fold(zeros, added))
    }

    /// The most records at once: where all gradients are kept, on the processor, as many as its cache holds.
    fn together(&self, nets: &[&Net], kind: &Device) -> usize {
        const CACHED: usize = 1 << 19;
        let parameters: usize = nets.iter().flat_map(|net| net.lengths()).sum();
        match (self.config.lengths(), kind) {
            (PerSample::Flat, Device::Cpu) => (CACHED / (parameters * self.config.augmentations).max(1)).max(1),
            _ => usize::MAX,
        }
    }

    fn clipped(&self, mut each: SampleGradients, device: &burn::tensor::Device) -> Result<Vec<Tensor<1>>> {
        if self.config.augmentations > 1 {
            each = each.averaged(self.config.augmentations);
        }
        let squared = to_host(each.squared_lengths(device))?;
        if squared.iter().any(|length| !length.is_finite()) {
            // Which record it was is nobody's business.
            return Err(Error::Diverged { what: "the gradient of a record".into(), step: self.released, value: f64::NAN });
        }
        let factors: Vec<f32> = squared.iter().map(|&squared| self.factor(squared)).collect();
        let count = factors.len();
        Ok(each.weighted_sum(Tensor::from_data(TensorData::new(factors, [count]), device)))
    }

    /// min(1, C / |g|), with a margin for rounding in 32 bits: what is added for a record is never longer than C.
    fn factor(&self, squared: f32) -> f32 {
        const MARGIN: f64 = 1.0 - 1e-5;
        let length = f64::from(squared).sqrt();
        if length <= self.config.clip * MARGIN { 1.0 } else { (self.config.clip * MARGIN / length) as f32 }
    }

    /// The release: noise on the sum, over the expected size of the sample.
    pub(crate) fn release(&mut self, sum: Vec<Tensor<1>>) -> Result<Vec<Tensor<1>>> {
        self.released += 1;
        let deviation = self.config.noise * self.config.clip;
        let scale = 1.0 / self.batch as f64;
        let lengths: Vec<usize> = sum.iter().map(|part| part.dims()[0]).collect();
        let Some(device) = sum.first().map(Tensor::device) else { return Ok(sum) };
        // Read together: a device is waited for once, not for every weight.
        let values = to_host(Tensor::cat(sum, 0))?;
        let mut values = values.as_slice();
        let noisy = |count: usize| {
            let (part, rest) = values.split_at(count);
            values = rest;
            // Added in 64 bits and rounded once: noise that is rounded first leaves the low bits of the sum as they were.
            let noise = self.noise.normals(count, deviation);
            let part: Vec<f32> = part.iter().zip(noise).map(|(&v, z)| ((f64::from(v) + z) * scale) as f32).collect();
            Tensor::from_data(TensorData::new(part, [count]), &device)
        };
        Ok(lengths.into_iter().map(noisy).collect())
    }

    /// The event of what was released so far.
    pub(crate) fn event(&self) -> Result<Event> {
        self.config.event(self.records, self.batch, self.released)
    }
}

#[cfg(test)]
mod tests;
