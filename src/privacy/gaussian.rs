//! The exact ε of Gaussian releases without sampling.
//!
//! Releases with noise multipliers σᵢ on the same records are one release with μ² = Σ 1/σᵢ², for which
//! δ(ε) = Φ(μ/2 − ε/μ) − e^ε Φ(−μ/2 − ε/μ) holds with equality.
//!
//! 1. μ² is added along sequences, multiplied by repetitions, and of disjoint parts the largest counts.
//! 2. Under replace-one μ doubles in one part; across two parts it is √(μ₁² + μ₂²).
//! 3. The smallest ε with δ(ε) ≤ δ is found by bisection.
//!
//! # Privacy
//! None of its own: it reads an [`Event`], no record.
//!
//! # References
//! Balle, Wang, arXiv:1805.06530, Theorem 8; Dong, Roth, Su, arXiv:1905.02383.
//!
//! # Example
//! ```
//! use freelunch::privacy::{Accountant, Event, ExactGaussian};
//! let e = ExactGaussian::new().epsilon(&Event::gaussian(10.0)?.repeat(100), 1e-5)?;
//! assert_eq!(e.to_string(), "ε = 4.377 (δ = 1e-5, add-or-remove-one, exact Gaussian)");
//! # Ok::<(), freelunch::Error>(())
//! ```

use super::flat::{Shape, shape};
use super::{Accountant, Adjacency, Epsilon, Event, Kind, check_delta, trivial};
use crate::stats::normal_log_cdf;
use crate::{Error, Result};
use serde::{Deserialize, Serialize};

/// The accountant of events made of unsampled Gaussian releases only.
///
/// # Example
/// ```
/// use freelunch::privacy::{Accountant, Event, ExactGaussian};
/// let sampled = Event::gaussian(1.0)?.poisson(0.1)?;
/// assert!(ExactGaussian::new().epsilon(&sampled, 1e-5).unwrap_err().to_string().contains("Pld"));
/// # Ok::<(), freelunch::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ExactGaussian {
    /// The neighbouring relation.
    pub adjacency: Adjacency,
}

impl Default for ExactGaussian {
    fn default() -> Self {
        Self::new()
    }
}

impl ExactGaussian {
    /// For add-or-remove-one.
    #[must_use]
    pub fn new() -> Self {
        Self { adjacency: Adjacency::AddOrRemoveOne }
    }

    /// Another neighbouring relation.
    #[must_use]
    pub fn with_adjacency(mut self, adjacency: Adjacency) -> Self {
        self.adjacency = adjacency;
        self
    }

    /// μ of the one release that is as private as the whole event.
    ///
    /// # Errors
    /// [`Error::Config`] for an event with a sampled release.
    ///
    /// # Example
    /// ```
    /// use freelunch::privacy::{Event, ExactGaussian};
    /// assert_eq!(ExactGaussian::new().mu(&Event::gaussian(2.0)?.repeat(4))?, 1.0);
    /// # Ok::<(), freelunch::Error>(())
    /// ```
    pub fn mu(&self, event: &Event) -> Result<f64> {
        event.check()?;
        if event.is_non_private() {
            return Ok(f64::INFINITY);
        }
        let squares = squares(event)?;
        Ok(match self.adjacency {
            Adjacency::AddOrRemoveOne => squares.0.sqrt(),
            Adjacency::ReplaceOne => squares.1.sqrt(),
        })
    }

    /// The smallest δ for which the event is (`epsilon`, δ)-private.
    ///
    /// # Errors
    /// As [`ExactGaussian::mu`], and for a negative `epsilon`.
    ///
    /// # Example
    /// ```
    /// use freelunch::privacy::{Event, ExactGaussian};
    /// let delta = ExactGaussian::new().delta(&Event::gaussian(1.0)?, 1.0)?;
    /// assert!((delta - 0.126_936_737).abs() < 1e-8);
    /// # Ok::<(), freelunch::Error>(())
    /// ```
    pub fn delta(&self, event: &Event, epsilon: f64) -> Result<f64> {
        if epsilon.is_nan() || epsilon < 0.0 {
            return Err(Error::config(format!("epsilon is {epsilon}"), "expected a number that is not negative"));
        }
        Ok(gaussian_delta(self.mu(event)?, epsilon))
    }
}

impl Accountant for ExactGaussian {
    fn name(&self) -> String {
        "exact Gaussian".to_string()
    }

    fn adjacency(&self) -> Adjacency {
        self.adjacency
    }

    fn epsilon(&self, event: &Event, delta: f64) -> Result<Epsilon> {
        check_delta(delta)?;
        let value = if event.is_non_private() { trivial(event) } else { gaussian_epsilon(self.mu(event)?, delta) };
        Ok(Epsilon { value, delta, adjacency: self.adjacency, accountant: self.name(), kind: Kind::Exact })
    }
}

/// μ² for a record that comes or goes, and for one that is exchanged.
fn squares(event: &Event) -> Result<(f64, f64)> {
    Ok(match shape(event)? {
        Shape::Nothing => (0.0, 0.0),
        Shape::Release { sigma, rate: 1.0, .. } => (1.0 / (sigma * sigma), 4.0 / (sigma * sigma)),
        Shape::Release { sigma, rate, .. } => {
            return Err(Error::config(
                format!("the exact Gaussian accountant cannot count Poisson({rate}, Gaussian(σ = {sigma}))"),
                "use the Pld accountant for sampled releases",
            ));
        }
        Shape::Repeat { times, of } => {
            let (one, exchanged) = squares(&of)?;
            (times as f64 * one, times as f64 * exchanged)
        }
        Shape::Sequence(parts) => {
            let mut sum = (0.0, 0.0);
            for part in &parts {
                let (one, exchanged) = squares(part)?;
                sum = (sum.0 + one, sum.1 + exchanged);
            }
            sum
        }
        Shape::Parallel(parts) => {
            let (mut largest, mut second, mut most) = (0f64, 0f64, 0f64);
            for part in &parts {
                let (one, exchanged) = squares(part)?;
                second = second.max(one.min(largest));
                largest = largest.max(one);
                most = most.max(exchanged);
            }
            (largest, most.max(largest + second))
        }
    })
}

/// δ(ε) of the Gaussian mechanism with sensitivity / standard deviation μ.
pub(super) fn gaussian_delta(mu: f64, epsilon: f64) -> f64 {
    if mu == 0.0 || epsilon.is_infinite() {
        return 0.0;
    }
    if mu.is_infinite() || mu.is_nan() {
        return 1.0;
    }
    // Both terms underflow long before δ does: their logarithms do not.
    let first = normal_log_cdf(mu / 2.0 - epsilon / mu);
    let second = epsilon + normal_log_cdf(-mu / 2.0 - epsilon / mu);
    (-libm::exp(first) * libm::expm1((second - first).min(0.0))).clamp(0.0, 1.0)
}

/// The smallest ε ≥ 0 with δ(ε) ≤ `delta`, on the safe side.
pub(super) fn gaussian_epsilon(mu: f64, delta: f64) -> f64 {
    if mu.is_infinite() || mu.is_nan() {
        return f64::INFINITY;
    }
    if gaussian_delta(mu, 0.0) <= delta {
        return 0.0;
    }
    let (mut low, mut high) = (0.0, mu.max(1e-300));
    while gaussian_delta(mu, high) > delta {
        (low, high) = (high, 2.0 * high);
    }
    while high - low > 1e-14 * high {
        let middle = 0.5 * (low + high);
        if middle <= low || middle >= high {
            break;
        }
        if gaussian_delta(mu, middle) > delta { low = middle } else { high = middle }
    }
    high
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_release_has_the_published_epsilon() {
        // tests/golden/accounting.csv, G01, G03 and G05, to the last digit written there.
        for (sigma, times, epsilon) in [(1.0, 1, 4.377_178_10), (5.0, 1, 0.725_521_75), (10.0, 100, 4.377_178_10)] {
            let event = Event::gaussian(sigma).unwrap().repeat(times);
            let found = ExactGaussian::new().epsilon(&event, 1e-5).unwrap();
            assert!((found.value - epsilon).abs() < 1e-8 && found.kind == Kind::Exact, "{found}");
        }
    }

    #[test]
    fn replacing_a_record_doubles_mu_and_costs_less_across_parts() {
        let exact = ExactGaussian::new().with_adjacency(Adjacency::ReplaceOne);
        let (a, b) = (Event::gaussian(2.0).unwrap(), Event::gaussian(0.5).unwrap());
        assert_eq!(exact.mu(&a).unwrap(), 1.0);
        assert_eq!(exact.mu(&Event::parallel(vec![a.clone(), b.clone()])).unwrap(), 4.0);
        assert_eq!(ExactGaussian::new().mu(&Event::parallel(vec![a.clone(), b.clone()])).unwrap(), 2.0);
        assert_eq!(ExactGaussian::new().mu(&a.and(b)).unwrap(), 4.25f64.sqrt());
    }

    #[test]
    fn delta_stays_positive_and_falling_where_its_terms_underflow() {
        let deltas: Vec<f64> = (1..40).map(|i| gaussian_delta(1.0, f64::from(i))).collect();
        assert!(deltas.windows(2).all(|pair| pair[1] < pair[0]) && deltas[36] > 0.0);
        // 60-digit arithmetic. Terms of size e^-190 and e^-680 have logarithms that are known to 1e-13.
        for (epsilon, delta) in [(20.0, 2.664_706_705_365_5e-86), (37.0, 1.476_469_534_442_5e-293)] {
            assert!((gaussian_delta(1.0, epsilon) / delta - 1.0).abs() < 1e-10);
        }
    }
}
