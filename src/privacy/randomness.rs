//! Where the randomness of a private mechanism comes from: reproducible streams for study, the system's entropy for release.

use crate::Lab;
use crate::lab::Rng;
use rand::{Rng as _, RngExt, SeedableRng};
use rand_chacha::ChaCha20Rng;
use rand_distr::StandardNormal;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// The source of a mechanism's samples and noise.
///
/// # Example
/// ```
/// use freelunch::privacy::{DpSgd, Randomness};
/// let for_release = DpSgd::new(1.0).with_randomness(Randomness::Secure);
/// assert_eq!(for_release.randomness, Randomness::Secure);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Randomness {
    /// From the lab's seed: the same run twice gives the same bytes. Whoever knows the seed can subtract the noise, so the stated ε holds
    /// only against those who do not, and the seed is kept with results: for study. The same run on records that were changed draws the same noise
    /// again; give it another seed, or the difference of the two results is noiseless.
    #[default]
    Seeded,
    /// ChaCha20 seeded by the operating system, not reproducible by anyone: for release. Each noise value is the scaled sum of four Gaussians and added in
    /// 64 bits before the sum is rounded once to 32, which makes attacks on the gaps between floating-point numbers harder (Holohan and
    /// Braghin, arXiv 2107.10138); the proof of ε itself is for real numbers.
    Secure,
}

impl Randomness {
    pub(crate) fn source(self, lab: &Lab, label: &str, index: u64) -> Source {
        match self {
            Self::Seeded => Source::Seeded(lab.rng(label, index)),
            Self::Secure => Source::Secure(rand::make_rng()),
        }
    }
}

/// A source at work.
pub(crate) enum Source {
    Seeded(Rng),
    Secure(ChaCha20Rng),
}

impl Source {
    /// Every one of `n` records with probability `rate`, independently; possibly none. In ascending order.
    pub(crate) fn poisson(&mut self, n: usize, rate: f64) -> Vec<usize> {
        let joins = |draw: f64| draw < rate;
        match self {
            Self::Seeded(rng) => (0..n).filter(|_| joins(rng.random())).collect(),
            Self::Secure(rng) => (0..n).filter(|_| joins(rng.random())).collect(),
        }
    }

    /// `count` independent normal numbers of mean 0 and the given deviation.
    pub(crate) fn normals(&mut self, count: usize, deviation: f64) -> Vec<f64> {
        const TOGETHER: usize = 4096;
        let mut values = vec![0.0; count];
        if count > TOGETHER {
            // Streams of one fresh seed: the same numbers whatever the number of threads.
            let base = self.fork();
            let parts = values.par_chunks_mut(TOGETHER).enumerate();
            parts.for_each(|(stream, part)| base.stream(stream as u64).fill(part, deviation));
        } else {
            self.fill(&mut values, deviation);
        }
        values
    }

    fn fill(&mut self, values: &mut [f64], deviation: f64) {
        match self {
            Self::Seeded(rng) => values.iter_mut().for_each(|value| *value = deviation * rng.sample::<f64, _>(StandardNormal)),
            Self::Secure(rng) => values.iter_mut().for_each(|value| {
                let sum: f64 = (0..4).map(|_| rng.sample::<f64, _>(StandardNormal)).sum();
                *value = deviation * (sum / 2.0);
            }),
        }
    }

    /// An independent source of the same kind.
    fn fork(&mut self) -> Self {
        let mut seed = [0; 32];
        match self {
            Self::Seeded(rng) => {
                rng.fill_bytes(&mut seed);
                Self::Seeded(Rng::from_seed(seed))
            }
            Self::Secure(rng) => {
                rng.fill_bytes(&mut seed);
                Self::Secure(ChaCha20Rng::from_seed(seed))
            }
        }
    }

    /// One of the many streams of its seed.
    fn stream(&self, stream: u64) -> Self {
        match self {
            Self::Seeded(rng) => {
                let mut rng = rng.clone();
                rng.set_stream(stream);
                Self::Seeded(rng)
            }
            Self::Secure(rng) => {
                let mut rng = rng.clone();
                rng.set_stream(stream);
                Self::Secure(rng)
            }
        }
    }

    /// A stream for what is no noise (augmentations).
    pub(crate) fn other(&mut self) -> Rng {
        let mut seed = [0; 32];
        match self {
            Self::Seeded(rng) => rng.fill_bytes(&mut seed),
            Self::Secure(rng) => rng.fill_bytes(&mut seed),
        }
        Rng::from_seed(seed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Device;

    fn lab() -> Lab {
        Lab::on(Device::Cpu).unwrap().quiet()
    }

    #[test]
    fn every_record_joins_at_the_rate_and_the_empty_sample_happens() {
        for kind in [Randomness::Seeded, Randomness::Secure] {
            let mut source = kind.source(&lab(), "sample", 0);
            let sizes: Vec<usize> = (0..4000).map(|_| source.poisson(20, 0.05).len()).collect();
            // Binomial(20, 0.05): mean 1 with deviation 0.975 / √4000 = 0.0154; P(0) = 0.358 with deviation 0.0076. Five deviations.
            let mean = sizes.iter().sum::<usize>() as f64 / 4000.0;
            assert!((mean - 1.0).abs() < 0.077, "{mean}");
            let empty = sizes.iter().filter(|&&size| size == 0).count() as f64 / 4000.0;
            assert!((empty - 0.3585).abs() < 0.038, "{empty}");
        }
    }

    #[test]
    fn noise_has_the_deviation_asked_for() {
        for kind in [Randomness::Seeded, Randomness::Secure] {
            let values = kind.source(&lab(), "noise", 0).normals(20_000, 3.0);
            let mean = values.iter().sum::<f64>() / 20_000.0;
            let variance = values.iter().map(|&v| (v - mean).powi(2)).sum::<f64>() / 20_000.0;
            // Deviations of the mean: 0.021, of the variance: 9 √(2 / 20000) = 0.09. Five of each.
            assert!(mean.abs() < 0.11 && (variance - 9.0).abs() < 0.45, "{mean} {variance}");
        }
    }

    #[test]
    fn seeded_noise_repeats_and_secure_noise_does_not() {
        let draw = |kind: Randomness| kind.source(&lab(), "noise", 0).normals(4, 1.0);
        assert_eq!(draw(Randomness::Seeded), draw(Randomness::Seeded));
        assert_ne!(draw(Randomness::Secure), draw(Randomness::Secure));
    }
}
