//! Differential privacy for whole clients: updates are clipped, summed, and made noisy by the server.
//!
//! With K clients, each in the round with probability C, survivors S, clipping norm c and noise multiplier σ,
//! w ← w + η_s ( Σ_{k ∈ S} min(1, c / |w_k − w|) (w_k − w) + σ c N(0, I) ) / (C K (1 − dropout)).
//!
//! 1. Every client counts the same: weights by number of records would let a large client move the sum by more than c.
//! 2. The sum is divided by the expected number of answers, never by the true one, which is private.
//! 3. A round that nobody answers is noise alone; skipping it would tell.
//!
//! # Privacy
//! `rounds × Poisson(C, Gaussian(σ))`, for **adding or removing one client** with everything it holds. Nothing follows for one record of a
//! client with the same ε: the client's whole update may change, by up to 2c. Clients that vanish make the rate smaller than C, which is not
//! counted on. The number of clients is public; who took part must stay secret, so no run lists it.
//!
//! # References
//! arXiv 1710.06963.

use crate::privacy::randomness::Source;
use crate::privacy::{Event, Randomness};
use crate::{Error, Lab, Result};
use serde::{Deserialize, Serialize};

/// Clipping and noise for the updates of clients.
///
/// # Example
/// ```
/// use freelunch::federated::ClientPrivacy;
/// let privacy = ClientPrivacy::new(0.5, 1.0);
/// assert_eq!(privacy.event(0.1, 100)?.to_string(), "100 × Poisson(0.1, Gaussian(σ = 1))");
/// # Ok::<(), freelunch::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ClientPrivacy {
    /// c, positive: the length to which the update of a client is clipped.
    pub clip: f64,
    /// σ, positive: the noise's standard deviation in units of the clipping norm.
    pub noise: f64,
    /// Where the drawing of clients and the noise come from.
    #[serde(default)]
    pub randomness: Randomness,
}

impl ClientPrivacy {
    /// Clipping norm c and noise multiplier σ, seeded randomness.
    #[must_use]
    pub fn new(clip: f64, noise: f64) -> Self {
        Self { clip, noise, randomness: Randomness::default() }
    }

    /// The same with another source of randomness.
    #[must_use]
    pub fn with_randomness(mut self, randomness: Randomness) -> Self {
        self.randomness = randomness;
        self
    }

    /// The event of so many rounds in which every client is with probability `fraction`. Neighbours differ by one client.
    ///
    /// # Errors
    /// [`Error::Config`] for a noise or a fraction that cannot work.
    pub fn event(&self, fraction: f64, rounds: usize) -> Result<Event> {
        Ok(Event::gaussian(self.noise)?.poisson(fraction)?.repeat(rounds as u64))
    }

    pub(super) fn check(&self) -> Result<()> {
        Event::gaussian(self.noise).map_err(|_| Error::config(format!("noise is {}", self.noise), "expected a positive number"))?;
        if self.clip > 0.0 && self.clip.is_finite() {
            return Ok(());
        }
        Err(Error::config(format!("clip is {}", self.clip), "expected a positive number"))
    }
}

/// The mechanism at work: draws the clients, adds the noise, counts what was released.
pub(super) struct Mechanism {
    privacy: ClientPrivacy,
    clients: usize,
    rate: f64,
    samples: Source,
    noise: Source,
    pub(super) released: usize,
}

impl Mechanism {
    /// `label` must name the federation with all its parameters: runs that differ in any draw their own noise.
    pub(super) fn new(privacy: ClientPrivacy, clients: usize, rate: f64, lab: &Lab, label: &str) -> Self {
        let source = |what: &str| privacy.randomness.source(lab, &format!("{label} {what}"), 0);
        Self { privacy, clients, rate, samples: source("clients"), noise: source("noise"), released: 0 }
    }

    /// The clients of the next round.
    pub(super) fn sample(&mut self) -> Vec<usize> {
        self.samples.poisson(self.clients, self.rate)
    }

    /// The noisy sum of the updates, each clipped.
    pub(super) fn release(&mut self, updates: &[Vec<f64>], length: usize) -> Vec<f64> {
        self.released += 1;
        let mut sum = vec![0.0; length];
        for update in updates {
            let factor = factor(update, self.privacy.clip);
            sum.iter_mut().zip(update).for_each(|(sum, value)| *sum += factor * value);
        }
        let noise = self.noise.normals(length, self.privacy.noise * self.privacy.clip);
        sum.into_iter().zip(noise).map(|(sum, noise)| sum + noise).collect()
    }
}

/// min(1, c / |update|), a little less so that rounding cannot make the product longer than c.
pub(super) fn factor(update: &[f64], clip: f64) -> f64 {
    const MARGIN: f64 = 1.0 - 1e-9;
    let length = update.iter().map(|v| v * v).sum::<f64>().sqrt();
    if length <= clip * MARGIN { 1.0 } else { clip * MARGIN / length }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Device;

    #[test]
    fn a_clipped_update_is_never_longer_than_the_norm_and_a_short_one_stays() {
        for scale in [1e-6, 0.3, 1.0, 7.0, 1e12] {
            let update: Vec<f64> = (0..1000).map(|i| scale * f64::from(i % 7 - 3)).collect();
            let factor = factor(&update, 0.5);
            let length = update.iter().map(|v| (factor * v).powi(2)).sum::<f64>().sqrt();
            assert!(length <= 0.5, "{scale}: {length}");
            assert!(scale > 1e-3 || factor == 1.0);
        }
    }

    #[test]
    fn a_release_is_the_clipped_sum_with_noise_of_sigma_times_the_norm() {
        let lab = Lab::on(Device::Cpu).unwrap().quiet();
        let mut mechanism = Mechanism::new(ClientPrivacy::new(2.0, 0.5), 4, 1.0, &lab, "test");
        // Each is clipped to length 2, so a sum of three equal ones has length 6: 6 / √n for every value.
        let n = 40_000;
        let noisy = mechanism.release(&vec![vec![1.0; n]; 3], n);
        let mean = noisy.iter().sum::<f64>() / n as f64;
        let variance = noisy.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n as f64;
        // Deviation of the mean 0.005, of the variance √(2 / n) = 0.0071: five of each.
        assert!((mean - 0.03).abs() < 0.025 && (variance - 1.0).abs() < 0.036, "{mean} {variance}");
        assert_eq!(mechanism.released, 1);
    }
}
