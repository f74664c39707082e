//! Noisy sums over random groups of each class: the mechanism of the methods that release class by class and train no network on records.
//!
//! For class c with `N_c` records and an expected group of L: every record joins with probability `q_c` = L / `N_c`, the vectors of those
//! that did are clipped to length C and summed, and the sum gets noise σ C N(0, I) once. Nothing is ever divided by the true size of a
//! group.
//!
//! # Privacy
//! One release of every class is `parallel over c (Poisson(q_c, Gaussian(σ)))`: adding or removing one record changes the sum of its class
//! by at most C and no other. The labels' counts `N_c` count as public.

use crate::lab::Rng;
use crate::privacy::randomness::Source;
use crate::privacy::{Event, Randomness};
use crate::{Dataset, Error, Lab, Result};

/// The mechanism for one data set. What it draws depends on the lab, the round and the class only, so that a run can be resumed.
#[derive(Debug)]
pub(crate) struct ClassSums {
    pools: Vec<Vec<usize>>,
    batch: usize,
    noise: f64,
    clip: f64,
    randomness: Randomness,
    /// The method with its parameters: runs that differ in any draw their own groups and noise, because noise that two releases share can be
    /// subtracted.
    label: String,
}

impl ClassSums {
    /// For groups of `batch` records of each class on average.
    ///
    /// # Errors
    /// [`Error::Config`] unless `noise` and `clip` are positive and every class has at least `batch` records.
    pub(crate) fn new(real: &Dataset, batch: usize, noise: f64, clip: f64, randomness: Randomness, label: String) -> Result<Self> {
        positive("noise", noise)?;
        positive("clip", clip)?;
        if batch == 0 {
            return Err(Error::config("batch is 0", "expected at least 1"));
        }
        let pools: Vec<Vec<usize>> = (0..real.classes()).map(|class| real.of_class(class)).collect();
        if let Some(class) = pools.iter().position(|pool| pool.len() < batch) {
            let what =
                format!("a batch of {batch} from the {} records of class {class} ({})", pools[class].len(), real.class_names()[class]);
            return Err(Error::config(what, "expected at most all records of the smallest class: lower batch, or leave the class out"));
        }
        Ok(Self { pools, batch, noise, clip, randomness, label })
    }

    /// What one release of every class does to the privacy of the records.
    pub(crate) fn event(&self) -> Result<Event> {
        let parts: Result<Vec<Event>> =
            self.pools.iter().map(|pool| Event::gaussian(self.noise)?.poisson(self.batch as f64 / pool.len() as f64)).collect();
        Ok(Event::parallel(parts?))
    }

    /// The records of a class that take part in a round, possibly none.
    pub(crate) fn group(&self, class: usize, round: usize, lab: &Lab) -> Vec<usize> {
        let pool = &self.pools[class];
        let mut source = self.source("samples", class, round, lab);
        source.poisson(pool.len(), self.batch as f64 / pool.len() as f64).into_iter().map(|i| pool[i]).collect()
    }

    /// Σ min(1, C / |v|) v over the rows `[n, width]`, in 64 bits.
    ///
    /// # Errors
    /// [`Error::Diverged`] when a row is not finite.
    pub(crate) fn clipped_sum(&self, rows: &[f32], width: usize, round: usize) -> Result<Vec<f64>> {
        let mut sum = vec![0.0; width];
        for row in rows.chunks_exact(width) {
            let length = length(row);
            if !length.is_finite() {
                return Err(Error::Diverged { what: "what one record adds".into(), step: round, value: f64::NAN });
            }
            let factor = factor(length, self.clip);
            sum.iter_mut().zip(row).for_each(|(sum, &v)| *sum += factor * f64::from(v));
        }
        Ok(sum)
    }

    /// The release: noise on every entry of a sum of [`ClassSums::clipped_sum`].
    pub(crate) fn release(&self, sum: &[f64], class: usize, round: usize, lab: &Lab) -> Vec<f32> {
        let mut source = self.source("noise", class, round, lab);
        let noise = source.normals(sum.len(), self.noise * self.clip);
        sum.iter().zip(noise).map(|(sum, noise)| (sum + noise) as f32).collect()
    }

    /// A stream for what else is random with the group of a class and is not to be known either (augmentations).
    pub(crate) fn other(&self, class: usize, round: usize, lab: &Lab) -> Rng {
        self.source("other", class, round, lab).other()
    }

    fn source(&self, what: &str, class: usize, round: usize, lab: &Lab) -> Source {
        self.randomness.source(lab, &format!("group {what} {}", self.label), (round * self.pools.len() + class) as u64)
    }
}

pub(crate) fn positive(name: &str, value: f64) -> Result<()> {
    if value > 0.0 && value.is_finite() {
        return Ok(());
    }
    Err(Error::config(format!("{name} is {value}"), "expected a positive number"))
}

/// Euclidean length in 64 bits.
pub(crate) fn length(row: &[f32]) -> f64 {
    row.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>().sqrt()
}

/// min(1, C / |v|).
pub(crate) fn factor(length: f64, clip: f64) -> f64 {
    if length > clip { clip / length } else { 1.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lab() -> Lab {
        Lab::on(crate::Device::Cpu).unwrap().quiet()
    }

    fn sums(noise: f64, clip: f64) -> ClassSums {
        ClassSums::new(&Dataset::toy(), 10, noise, clip, Randomness::Seeded, String::new()).unwrap()
    }

    fn apart(a: &[f64], b: &[f64]) -> f64 {
        a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt()
    }

    #[test]
    fn one_record_more_or_less_changes_the_sum_by_at_most_the_clipping_norm() {
        let toy = Dataset::toy();
        for clip in [0.5, 3.0, 100.0] {
            let sums = sums(1.0, clip);
            let group = sums.group(2, 0, &lab());
            let rows = |positions: &[usize]| -> Vec<f32> { positions.iter().flat_map(|&i| toy.record(i)).copied().collect() };
            let with = sums.clipped_sum(&rows(&group), 64, 0).unwrap();
            for left_out in &group {
                let others: Vec<usize> = group.iter().copied().filter(|i| i != left_out).collect();
                let without = sums.clipped_sum(&rows(&others), 64, 0).unwrap();
                // Rounding of sums of ten numbers in 64 bits.
                let change = apart(&with, &without);
                assert!(change <= clip + 1e-12, "{change} for {clip}");
                assert!((change - length(toy.record(*left_out)).min(clip)).abs() < 1e-12, "a shorter record changes it by its own length");
            }
        }
    }

    #[test]
    fn noise_is_sigma_times_clip_on_the_sum_also_of_an_empty_group() {
        let sums = sums(2.0, 0.5);
        let empty = sums.clipped_sum(&[], 20_000, 0).unwrap();
        let released = sums.release(&empty, 1, 0, &lab());
        let variance = released.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>() / 20_000.0;
        // The deviation of a variance from 20,000 numbers is 1 %; five of them.
        assert!((variance - 1.0).abs() < 0.05, "{variance}");
    }

    #[test]
    fn every_class_and_every_round_has_noise_and_a_group_of_its_own() {
        let sums = sums(1.0, 1.0);
        let draw = |class, round| sums.release(&[0.0; 4], class, round, &lab());
        assert_eq!(draw(1, 5), draw(1, 5));
        assert_ne!(draw(1, 5), draw(2, 5));
        assert_ne!(draw(0, 1), draw(1, 0));
        assert_ne!(sums.group(1, 0, &lab()), sums.group(1, 1, &lab()));
        assert!(sums.group(3, 0, &lab()).iter().all(|&i| Dataset::toy().labels()[i] == 3));
    }

    #[test]
    fn secure_groups_and_noise_do_not_repeat() {
        let secure = ClassSums { randomness: Randomness::Secure, ..sums(1.0, 1.0) };
        assert_ne!(secure.release(&[0.0; 4], 1, 5, &lab()), secure.release(&[0.0; 4], 1, 5, &lab()));
        let groups: Vec<Vec<usize>> = (0..4).map(|_| secure.group(0, 0, &lab())).collect();
        assert!(groups.iter().any(|group| *group != groups[0]), "four equal samples of 30 records by chance are next to impossible");
    }

    #[test]
    fn the_event_has_the_rate_of_every_class() {
        let uneven = Dataset::toy().subset(&(0..60).filter(|i| i % 4 != 1 || *i < 42).collect::<Vec<_>>()).unwrap();
        assert_eq!(uneven.per_class(), vec![15, 11, 15, 15]);
        let event = ClassSums::new(&uneven, 5, 1.5, 1.0, Randomness::Seeded, String::new()).unwrap().event().unwrap();
        let class = |n: f64| Event::gaussian(1.5).unwrap().poisson(5.0 / n).unwrap();
        assert_eq!(event, Event::parallel(vec![class(15.0), class(11.0), class(15.0), class(15.0)]));
        assert_eq!(event.releases(), 1);
    }

    #[test]
    fn what_is_not_finite_or_cannot_work_is_named() {
        let error = sums(1.0, 1.0).clipped_sum(&[1.0, f32::NAN], 2, 7).unwrap_err();
        assert!(matches!(error, Error::Diverged { step: 7, .. }), "{error}");
        let message = |batch, noise, clip| {
            ClassSums::new(&Dataset::toy(), batch, noise, clip, Randomness::Seeded, String::new()).unwrap_err().to_string()
        };
        assert!(message(31, 1.0, 1.0).contains("a batch of 31 from the 30 records of class 0 (lying bar)"));
        assert!(message(0, 1.0, 1.0).contains("batch is 0"));
        assert!(message(5, 0.0, 1.0).contains("noise is 0"));
        assert!(message(5, f64::NAN, 1.0).contains("noise is NaN"));
        assert!(message(5, 1.0, -2.0).contains("clip is -2"));
    }
}
