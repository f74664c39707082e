//! Gaussian differential privacy by the central limit theorem: an estimate of ε, not a bound.
//!
//! T releases on Poisson samples at rate q are, for many steps and little noise each, about as private as one Gaussian release with
//! μ² = q² T (e^(1/σ²) − 1).
//!
//! 1. μ² is added along sequences, multiplied by repetitions, and of disjoint parts the largest counts; unsampled releases add 1/σ².
//! 2. ε is that of the Gaussian release: δ(ε) = Φ(μ/2 − ε/μ) − e^ε Φ(−μ/2 − ε/μ).
//!
//! # Privacy
//! The estimate can be far *below* the true ε: for q = 0.01, σ = 1, 50 steps and δ = 1e-5 the true ε lies between 0.573 and 0.593,
//! the estimate is 0.314. Never promise it; it is here because papers report it.
//!
//! # References
//! Bu, Dong, Long, Su, arXiv:1911.11607. On its bias: Gopi, Lee, Wutschitz, arXiv:2106.02848.
//!
//! # Example
//! ```
//! use freelunch::privacy::{Accountant, CentralLimit, Event};
//! let training = Event::gaussian(1.5)?.poisson(0.04)?.repeat(2250);
//! assert_eq!(CentralLimit::new().epsilon(&training, 1e-5)?.to_string(), "ε ≈ 6.602 (δ = 1e-5, add-or-remove-one, GDP central limit)");
//! # Ok::<(), freelunch::Error>(())
//! ```

use super::flat::{Shape, shape};
use super::gaussian::gaussian_epsilon;
use super::{Accountant, Adjacency, Epsilon, Event, Kind, check_delta, trivial};
use crate::Result;
use serde::{Deserialize, Serialize};

/// The accountant by the central limit theorem, for add-or-remove-one only.
///
/// # Example
/// ```
/// use freelunch::privacy::{Accountant, CentralLimit, Event, Kind, Pld};
/// let few_steps = Event::gaussian(1.0)?.poisson(0.01)?.repeat(50);
/// let (estimate, bound) = (CentralLimit::new().epsilon(&few_steps, 1e-5)?, Pld::new().epsilon(&few_steps, 1e-5)?);
/// assert!(estimate.kind == Kind::Approximation && estimate.value < 0.6 * bound.value);
/// # Ok::<(), freelunch::Error>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct CentralLimit {}

impl CentralLimit {
    /// It has nothing to choose.
    #[must_use]
    pub fn new() -> Self {
        Self {}
    }

    /// μ of the Gaussian release that the event is compared with.
    ///
    /// # Errors
    /// [`Error::Config`](crate::Error::Config) for an event that no accountant counts.
    ///
    /// # Example
    /// ```
    /// use freelunch::privacy::{CentralLimit, Event};
    /// let mu = CentralLimit::new().mu(&Event::gaussian(1.0)?.poisson(0.05)?.repeat(400))?;
    /// assert!((mu - 1.310_832_5).abs() < 1e-7);
    /// # Ok::<(), freelunch::Error>(())
    /// ```
    pub fn mu(&self, event: &Event) -> Result<f64> {
        event.check()?;
        if event.is_non_private() { Ok(f64::INFINITY) } else { square(event).map(f64::sqrt) }
    }
}

impl Accountant for CentralLimit {
    fn name(&self) -> String {
        "GDP central limit".to_string()
    }

    fn adjacency(&self) -> Adjacency {
        Adjacency::AddOrRemoveOne
    }

    fn epsilon(&self, event: &Event, delta: f64) -> Result<Epsilon> {
        check_delta(delta)?;
        let value = if event.is_non_private() { trivial(event) } else { gaussian_epsilon(self.mu(event)?, delta) };
        Ok(Epsilon { value, delta, adjacency: self.adjacency(), accountant: self.name(), kind: Kind::Approximation })
    }
}

fn square(event: &Event) -> Result<f64> {
    Ok(match shape(event)? {
        Shape::Nothing => 0.0,
        Shape::Release { sigma, rate: 1.0, .. } => 1.0 / (sigma * sigma),
        Shape::Release { sigma, rate, .. } => {
            let square = rate * rate * libm::expm1(1.0 / (sigma * sigma));
            if square.is_nan() { f64::INFINITY } else { square }
        }
        Shape::Repeat { times, of } => times as f64 * square(&of)?,
        Shape::Sequence(parts) => parts.iter().map(square).sum::<Result<f64>>()?,
        Shape::Parallel(parts) => parts.iter().map(square).try_fold(0.0, |most: f64, part| part.map(|part| most.max(part)))?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::privacy::golden;

    #[test]
    fn the_central_limit_reproduces_the_golden_values() {
        let mut checked = 0;
        for row in golden::accounting() {
            if let (Some(mu), Some(epsilon)) = (row.number("mu_gdp_clt"), row.number("eps_gdp_clt")) {
                let event = golden::event(&row);
                // The file has eight decimals.
                assert!((CentralLimit::new().mu(&event).unwrap() / mu - 1.0).abs() < 1e-6, "{}", row.text("id"));
                let found = CentralLimit::new().epsilon(&event, row.number("delta").unwrap()).unwrap().value;
                assert!((found - epsilon).abs() < 1e-6, "{}: {found} for {epsilon}", row.text("id"));
                checked += 1;
            }
        }
        assert!(checked > 10);
    }

    #[test]
    fn the_central_limit_is_no_bound() {
        // (q, σ, steps, the estimate, a value that the true ε exceeds minus 0.01 of accounting error), δ = 1e-5.
        for (rate, sigma, steps, estimate, truth) in [(50.0 / 5421.0, 1.0, 50, 0.287, 0.537), (0.1, 1.0, 1, 0.458, 1.685)] {
            let event = Event::gaussian(sigma).unwrap().poisson(rate).unwrap().repeat(steps);
            let found = CentralLimit::new().epsilon(&event, 1e-5).unwrap();
            assert!((found.value - estimate).abs() < 5e-4 && found.kind == Kind::Approximation, "{found}");
            let bound = super::super::Pld::new().epsilon(&event, 1e-5).unwrap().value;
            assert!((bound - truth).abs() < 1e-3 && found.value < 0.6 * bound, "{bound}");
        }
    }
}
