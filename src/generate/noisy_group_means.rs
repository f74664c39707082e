//! Noisy group means (LDPDC done right): every synthetic record is the noisy mean of a random group of real ones.
//!
//! s = ( Σ_{i ∈ G} min(1, C / |x_i|) x_i + σ C N(0, I) ) / L, with G a Poisson group of one class and L its expected size.
//!
//! 1. Records are normalised with public constants, x in the normalised space.
//! 2. For every synthetic record of class c a new group is drawn: each record of the class joins with probability `q_c` = L / `N_c`.
//! 3. Every record of the group is clipped to length C. The authors' code leaves this step out, and then one record that is longer than the
//!    noise was scaled for breaks the promise; the tests show the sum.
//! 4. The sum gets its noise and is divided by L, whatever the group's true size.
//!
//! There is nothing to train; with no noise the result is a set of class means, of which linear models need no more. A run takes moments,
//! so the lab's time budget is not asked.
//!
//! # Privacy
//! `per_class × parallel over the classes (Poisson(L / N_c, Gaussian(σ)))`: every record per class costs another release. The class sizes
//! count as public.
//!
//! # References
//! The linear baseline (`linear_dpdc.py`) of the code at SecMLSys/NDPDC, with clipping added.
//!
//! # Example
//! ```
//! use freelunch::{Dataset, Lab, generate::NoisyGroupMeans, synthesize::Synthesize};
//! let means = NoisyGroupMeans::new(2, 1.0).with_batch(15);
//! let made = means.synthesize(&Dataset::toy(), &Lab::new()?.quiet())?;
//! assert_eq!(made.event().releases(), 2);
//! # Ok::<(), freelunch::Error>(())
//! ```

use super::class_sums::ClassSums;
use crate::data::rows_at;
use crate::privacy::{Event, Randomness, Reserved};
use crate::synthesize::{Synthesize, origin};
use crate::{Dataset, Error, Lab, Result};
use serde::{Deserialize, Serialize};
use std::time::Instant;

/// `per_class` noisy means of random groups for each class.
///
/// # Example
/// ```
/// use freelunch::generate::NoisyGroupMeans;
/// let means = NoisyGroupMeans::new(10, 2.0).with_clip(9.0);
/// assert_eq!((means.batch, means.clip), (50, Some(9.0)));
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[doc(alias = "LDPDC")]
pub struct NoisyGroupMeans {
    /// Records per class (ipc, M), at least 1: as many releases.
    pub per_class: usize,
    /// σ, positive: the noise's deviation in units of the clipping norm.
    pub noise: f64,
    /// L, at least 1: expected records in a group; about 50 in the authors' code.
    pub batch: usize,
    /// C, positive: the length to which records are clipped in the normalised space. None: √d for d values, which no record between −1 and
    /// 1 exceeds, and which the noise of the authors' code assumes.
    #[serde(default)]
    pub clip: Option<f64>,
    /// Where groups and noise come from.
    #[serde(default)]
    pub randomness: Randomness,
}

impl NoisyGroupMeans {
    /// Groups of 50 on average, clipped to √d.
    #[must_use]
    pub fn new(per_class: usize, noise: f64) -> Self {
        Self { per_class, noise, batch: 50, clip: None, randomness: Randomness::default() }
    }

    /// The same with another expected size of the groups.
    #[must_use]
    pub fn with_batch(mut self, batch: usize) -> Self {
        self.batch = batch;
        self
    }

    /// The same with records clipped to another length.
    #[must_use]
    pub fn with_clip(mut self, clip: f64) -> Self {
        self.clip = Some(clip);
        self
    }

    /// The same with another source of randomness.
    #[must_use]
    pub fn with_randomness(mut self, randomness: Randomness) -> Self {
        self.randomness = randomness;
        self
    }

    fn sums(&self, real: &Dataset) -> Result<ClassSums> {
        if self.per_class == 0 {
            return Err(Error::config("per_class is 0", "expected at least 1 record per class"));
        }
        let clip = self.clip.unwrap_or_else(|| (real.features() as f64).sqrt());
        ClassSums::new(real, self.batch, self.noise, clip, self.randomness, format!("LDPDC {}", self.config()))
    }
}

impl Synthesize for NoisyGroupMeans {
    fn name(&self) -> String {
        "LDPDC".into()
    }

    fn config(&self) -> serde_json::Value {
        serde_json::json!(self)
    }

    fn event(&self, real: &Dataset) -> Result<Event> {
        Ok(real.event_after(self.sums(real)?.event()?.repeat(self.per_class as u64)))
    }

    fn synthesize(&self, real: &Dataset, lab: &Lab) -> Result<Dataset> {
        let start = Instant::now();
        let real = &real.publicly_normalized()?;
        let sums = self.sums(real)?;
        let event = self.event(real)?;
        let reserved = Reserved::new(lab, "LDPDC", real, &event)?;
        let (values, d) = (real.normalized(), real.features());
        let (mut x, mut labels) = (vec![], vec![]);
        for class in 0..real.classes() {
            for round in 0..self.per_class {
                let group = sums.group(class, round, lab);
                let rows = rows_at(&values, d, &group);
                let noisy = sums.release(&sums.clipped_sum(&rows, d, round)?, class, round, lab);
                x.extend(noisy.into_iter().map(|sum| sum / self.batch as f32));
                labels.push(class as u32);
            }
        }
        let count = labels.len();
        reserved.settle(&event)?;
        let origin = origin(self, lab, event, start.elapsed().as_secs_f64());
        let origin = crate::data::Origin { started_from: vec![vec![]; count], ..origin };
        real.synthetic(real.normalization().undo(&x, real.shape()), labels, origin)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Normalization;
    use crate::generate::class_sums::length;

    fn lab() -> Lab {
        Lab::on(crate::Device::Cpu).unwrap().seed(5).quiet()
    }

    /// The toy set with record `at` replaced by its `times`-fold, all under a public normalisation that leaves values as they are.
    fn toy_with(at: usize, times: f32) -> Dataset {
        let toy = Dataset::toy();
        let d = toy.features();
        let mut x = toy.x().to_vec();
        x[at * d..(at + 1) * d].iter_mut().for_each(|v| *v *= times);
        let made = Dataset::images("toy", x, toy.shape(), toy.labels().to_vec(), toy.class_names().to_vec()).unwrap();
        made.with_public_normalization(Normalization::none(1)).unwrap()
    }

    #[test]
    fn with_next_to_no_noise_and_everyone_in_the_group_it_is_the_class_mean() {
        let toy = toy_with(0, 1.0);
        let made = NoisyGroupMeans::new(1, 1e-9).with_batch(30).synthesize(&toy, &lab()).unwrap();
        for class in 0..4 {
            let members = toy.of_class(class);
            for pixel in 0..64 {
                let mean = members.iter().map(|&i| toy.record(i)[pixel]).sum::<f32>() / 30.0;
                assert!((made.record(class)[pixel] - mean).abs() < 1e-6, "float32");
            }
        }
    }

    #[test]
    fn without_clipping_an_outlier_exceeds_the_sensitivity_that_the_noise_is_scaled_for() {
        // What the authors' code sums: the same group, no clipping, noise for a sensitivity of √d.
        let outlier = 8;
        let real = toy_with(outlier, 100.0);
        let clip = 8.0; // √64
        let sums = NoisyGroupMeans::new(1, 1.0).with_batch(30).sums(&real).unwrap();
        let group = sums.group(0, 0, &lab());
        assert!(group.contains(&outlier), "a rate of 1");
        let others: Vec<usize> = group.iter().copied().filter(|&i| i != outlier).collect();
        let unclipped = |positions: &[usize]| -> Vec<f64> {
            (0..64).map(|pixel| positions.iter().map(|&i| f64::from(real.record(i)[pixel])).sum()).collect()
        };
        let clipped = |positions: &[usize]| {
            let rows: Vec<f32> = positions.iter().flat_map(|&i| real.record(i)).copied().collect();
            sums.clipped_sum(&rows, 64, 0).unwrap()
        };
        let change = |with: Vec<f64>, without: Vec<f64>| with.iter().zip(without).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt();
        let broken = change(unclipped(&group), unclipped(&others));
        assert!(broken > 20.0 * clip, "{broken}");
        assert!((broken / length(real.record(outlier)) - 1.0).abs() < 1e-9);
        let held = change(clipped(&group), clipped(&others));
        assert!(held <= clip + 1e-9, "{held}");
    }

    #[test]
    fn the_event_has_one_release_for_each_record_of_a_class() {
        let means = NoisyGroupMeans::new(7, 2.0).with_batch(15);
        let made = means.synthesize(&Dataset::toy(), &lab()).unwrap();
        let class = Event::gaussian(2.0).unwrap().poisson(0.5).unwrap();
        assert_eq!(*made.event(), Event::parallel(vec![class; 4]).repeat(7));
        assert_eq!(*made.event(), means.event(&Dataset::toy()).unwrap());
        assert_eq!(made.per_class(), vec![7; 4]);
    }

    #[test]
    fn a_record_that_is_in_no_group_changes_nothing() {
        let means = NoisyGroupMeans::new(1, 1.0).with_batch(10);
        let sums = means.sums(&Dataset::toy()).unwrap();
        let absent = *Dataset::toy().of_class(1).iter().find(|i| !sums.group(1, 0, &lab()).contains(i)).unwrap();
        let made = |real: &Dataset| means.synthesize(real, &lab()).unwrap();
        assert_eq!(made(&toy_with(absent, 1.0)).digest(), made(&toy_with(absent, 50.0)).digest());
        let present = sums.group(1, 0, &lab())[0];
        assert_ne!(made(&toy_with(present, 1.0)).digest(), made(&toy_with(present, 50.0)).digest());
    }

    #[test]
    fn the_same_seed_gives_the_same_bytes_and_secure_randomness_does_not() {
        let made = |means: &NoisyGroupMeans| means.synthesize(&Dataset::toy(), &lab()).unwrap().digest();
        let seeded = NoisyGroupMeans::new(2, 1.0).with_batch(10);
        assert_eq!(made(&seeded), made(&seeded));
        let secure = seeded.with_randomness(Randomness::Secure);
        assert_ne!(made(&secure), made(&secure));
    }

    #[test]
    fn tables_need_public_constants_and_bad_settings_are_named() {
        let message = |means: NoisyGroupMeans, real: &Dataset| means.synthesize(real, &lab()).unwrap_err().to_string();
        assert!(message(NoisyGroupMeans::new(1, 1.0).with_batch(5), &Dataset::toy_table()).contains("with_public_normalization"));
        assert!(message(NoisyGroupMeans::new(0, 1.0), &Dataset::toy()).contains("per_class is 0"));
        assert!(message(NoisyGroupMeans::new(1, 0.0).with_batch(5), &Dataset::toy()).contains("noise is 0"));
        assert!(message(NoisyGroupMeans::new(1, 1.0).with_batch(5).with_clip(0.0), &Dataset::toy()).contains("clip is 0"));
        assert!(message(NoisyGroupMeans::new(1, 1.0), &Dataset::toy()).contains("a batch of 50 from the 30 records"));
    }
}
