//! How much noise, how many steps or how large a sample an ε allows.
//!
//! ε falls with σ and rises with steps and rate, so each is found by bisection. The result is the end of the last bracket where
//! ε ≤ the target was checked, never the other one.
//!
//! # Privacy
//! None of its own: no record is read. Choose ε before looking at results.
//!
//! # References
//! The same search as `get_noise_multiplier` of Opacus and `calibrate_dp_mechanism` of dp_accounting.
//!
//! # Example
//! ```
//! use freelunch::privacy::{AccountantKind, Calibrate};
//! let sigma = Calibrate::new(8.0, 1e-5).with_accountant(AccountantKind::Rdp).sigma(0.04, 2250)?;
//! assert_eq!(format!("{sigma:.3}"), "1.416");
//! # Ok::<(), freelunch::Error>(())
//! ```

use super::{Accountant, AccountantKind, Event, check_delta};
use crate::{Error, Result};
use serde::{Deserialize, Serialize};

/// σ and rate are found to this relative accuracy.
const TOLERANCE: f64 = 2e-5;
/// The noise multipliers tried.
const SIGMAS: (f64, f64) = (1e-2, 1e6);
/// More steps are not tried.
const MOST_STEPS: u64 = 1 << 40;

/// A target (ε, δ) for DP-SGD: `steps` Gaussian releases, each on a Poisson sample.
///
/// # Example
/// ```
/// use freelunch::privacy::{AccountantKind, Calibrate};
/// let target = Calibrate::new(3.0, 1e-5).with_accountant(AccountantKind::Rdp);
/// let sigma = target.sigma(0.01, 1000)?;
/// assert!(target.steps(sigma, 0.01)? >= 1000);
/// assert!((target.rate(sigma, 1000)? - 0.01).abs() < 1e-5);
/// # Ok::<(), freelunch::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Calibrate {
    /// ε that must not be exceeded, positive.
    pub epsilon: f64,
    /// δ in (0, 1).
    pub delta: f64,
    /// Who counts.
    pub accountant: AccountantKind,
}

impl Calibrate {
    /// A target for the recommended accountant.
    #[must_use]
    pub fn new(epsilon: f64, delta: f64) -> Self {
        Self { epsilon, delta, accountant: AccountantKind::Recommended }
    }

    /// Another accountant.
    #[must_use]
    pub fn with_accountant(mut self, accountant: AccountantKind) -> Self {
        self.accountant = accountant;
        self
    }

    /// The smallest noise multiplier for `steps` releases at `rate`, to 2e-5 of itself and on the safe side.
    ///
    /// # Errors
    /// [`Error::Config`] for a value out of its range, or when no noise multiplier up to 10⁶ is enough.
    pub fn sigma(&self, rate: f64, steps: u64) -> Result<f64> {
        smallest_sigma(self.epsilon, self.delta, self.accountant.build().as_ref(), |sigma| step(sigma, rate, steps))
    }

    /// The most steps with noise multiplier `sigma` at `rate`, at most 2⁴⁰.
    ///
    /// # Errors
    /// [`Error::Config`] for a value out of its range, or when one step is too much already.
    pub fn steps(&self, sigma: f64, rate: f64) -> Result<u64> {
        let accountant = self.check()?;
        let one = accountant.epsilon(&step(sigma, rate, 1)?, self.delta)?.value;
        if one > self.epsilon {
            return Err(self.unreachable(format!("one step with sigma {sigma} at rate {rate}"), one, "more noise or a smaller rate"));
        }
        let fits = |steps: u64| self.fits(accountant.as_ref(), step(sigma, rate, steps));
        let mut low = 1;
        while low < MOST_STEPS && fits(2 * low) {
            low *= 2;
        }
        let mut high = 2 * low;
        while low < MOST_STEPS && high - low > 1 {
            let middle = low + (high - low) / 2;
            if fits(middle) { low = middle } else { high = middle }
        }
        Ok(low)
    }

    /// The largest sampling rate for `steps` releases with noise multiplier `sigma`, to 2e-5 of itself and on the safe side.
    ///
    /// # Errors
    /// [`Error::Config`] for a value out of its range, or when not even a rate of 10⁻⁹ is private enough.
    pub fn rate(&self, sigma: f64, steps: u64) -> Result<f64> {
        let accountant = self.check()?;
        let fits = |rate: f64| self.fits(accountant.as_ref(), step(sigma, rate, steps));
        step(sigma, 1.0, steps)?;
        if fits(1.0) {
            return Ok(1.0);
        }
        let (mut low, mut high) = (0.1, 1.0);
        while !fits(low) {
            (low, high) = (0.1 * low, low);
            if low < 1e-9 {
                let least = accountant.epsilon(&step(sigma, 1e-9, steps)?, self.delta)?.value;
                return Err(self.unreachable(format!("{steps} steps with sigma {sigma} at rate 1e-9"), least, "more noise or fewer steps"));
            }
        }
        Ok(bisect(low, high, fits))
    }

    fn check(&self) -> Result<Box<dyn Accountant>> {
        check(self.epsilon, self.delta)?;
        Ok(self.accountant.build())
    }

    /// An event that cannot be counted does not fit.
    fn fits(&self, accountant: &dyn Accountant, event: Result<Event>) -> bool {
        event.and_then(|event| accountant.epsilon(&event, self.delta)).is_ok_and(|found| found.value <= self.epsilon)
    }

    fn unreachable(&self, what: String, least: f64, remedy: &str) -> Error {
        Error::config(format!("{what} has epsilon {least}, above {}", self.epsilon), format!("expected {remedy}, or a larger epsilon"))
    }
}

/// The smallest σ for which `event(σ)` stays within `epsilon`, to 2e-5 of itself and on the safe side.
pub(crate) fn smallest_sigma(epsilon: f64, delta: f64, accountant: &dyn Accountant, event: impl Fn(f64) -> Result<Event>) -> Result<f64> {
    check(epsilon, delta)?;
    event(1.0)?.check()?;
    let count = |sigma: f64| event(sigma).and_then(|event| accountant.epsilon(&event, delta)).map(|found| found.value);
    // With too little noise an event may be uncountable, so only errors at the largest σ count.
    let fits = |sigma: f64| count(sigma).is_ok_and(|value| value <= epsilon);
    let (mut low, mut high) = (1.0, 1.0);
    while !fits(high) {
        if high >= SIGMAS.1 {
            let least = count(SIGMAS.1)?;
            let what = format!("epsilon {epsilon} at delta {delta:e} cannot be reached: sigma {:e} still has {least}", SIGMAS.1);
            return Err(Error::config(what, "expected fewer releases, a smaller rate or a larger epsilon"));
        }
        (low, high) = (high, (4.0 * high).min(SIGMAS.1));
    }
    while low == high || fits(low) {
        if low <= SIGMAS.0 {
            return Ok(low);
        }
        (low, high) = ((low / 2.0).max(SIGMAS.0), low);
    }
    // The bracket's upper end is the one that fits: bisect downwards.
    Ok(1.0 / bisect(1.0 / high, 1.0 / low, |inverse| fits(1.0 / inverse)))
}

/// The largest number between `low`, which fits, and `high`, which does not.
fn bisect(mut low: f64, mut high: f64, fits: impl Fn(f64) -> bool) -> f64 {
    while high > low * (1.0 + TOLERANCE) {
        let middle = (low * high).sqrt();
        if fits(middle) { low = middle } else { high = middle }
    }
    low
}

fn step(sigma: f64, rate: f64, steps: u64) -> Result<Event> {
    if steps == 0 {
        return Err(Error::config("steps is 0", "expected at least one step"));
    }
    Ok(Event::gaussian(sigma)?.poisson(rate)?.repeat(steps))
}

fn check(epsilon: f64, delta: f64) -> Result<()> {
    if !(epsilon > 0.0 && epsilon.is_finite()) {
        return Err(Error::config(format!("epsilon is {epsilon}"), "expected a positive number"));
    }
    check_delta(delta)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::privacy::{Rdp, golden};

    /// The orders of Opacus, which has no 11.
    fn opacus() -> Rdp {
        Rdp::new().with_orders((1..100).map(|i| 1.0 + f64::from(i) / 10.0).chain((12..64).map(f64::from)).collect::<Vec<_>>())
    }

    #[test]
    fn noise_multipliers_match_the_golden_file() {
        for row in golden::rows("calibration.csv") {
            let number = |name: &str| row.number(name).unwrap();
            let steps = number("steps") as u64;
            let event = |sigma| step(sigma, number("q"), steps);
            let sigma = smallest_sigma(number("target_eps"), number("delta"), &opacus(), event).unwrap();
            // The search stops at 2e-5, the file has seven digits.
            let gold = number("sigma_rdp_opacus_orders");
            assert!((sigma / gold - 1.0).abs() < 1e-4, "{}: {sigma} for {gold}", row.text("case"));
            assert!(opacus().epsilon(&event(sigma).unwrap(), number("delta")).unwrap().value <= number("target_eps"));
        }
    }

    #[test]
    fn noise_multipliers_match_the_unit_tests_of_opacus() {
        // opacus accountants_test: ε 8, δ 1e-5, rate 0.04, with an accuracy of 0.01 in ε: about 0.002 in σ.
        for (kind, steps, sigma, tolerance) in [
            (AccountantKind::Rdp, 2250, 1.416, 2e-3),
            (AccountantKind::Rdp, 2000, 1.3562, 2e-3),
            (AccountantKind::Pld, 2250, 1.34766, 5e-3),
            (AccountantKind::Pld, 2000, 1.2915, 5e-3),
        ] {
            let found = Calibrate::new(8.0, 1e-5).with_accountant(kind).sigma(0.04, steps).unwrap();
            assert!((found - sigma).abs() < tolerance, "{kind:?} {steps}: {found} for {sigma}");
        }
    }

    #[test]
    fn the_result_is_within_the_target_and_the_next_value_is_not() {
        let target = Calibrate::new(2.0, 1e-5).with_accountant(AccountantKind::Rdp);
        let epsilon = |sigma: f64, rate: f64, steps: u64| Rdp::new().epsilon(&step(sigma, rate, steps).unwrap(), 1e-5).unwrap().value;
        let steps = target.steps(1.2, 0.01).unwrap();
        assert!(epsilon(1.2, 0.01, steps) <= 2.0 && epsilon(1.2, 0.01, steps + 1) > 2.0);
        let rate = target.rate(1.2, 1000).unwrap();
        assert!(epsilon(1.2, rate, 1000) <= 2.0 && epsilon(1.2, rate * 1.0001, 1000) > 2.0);
        let sigma = target.sigma(0.01, 1000).unwrap();
        assert!(epsilon(sigma, 0.01, 1000) <= 2.0 && epsilon(sigma * 0.9999, 0.01, 1000) > 2.0);
        assert_eq!(target.rate(100.0, 1).unwrap(), 1.0);
    }

    #[test]
    fn what_cannot_be_reached_is_named_with_its_value() {
        let error = Calibrate::new(1e-3, 1e-9).with_accountant(AccountantKind::Rdp).steps(0.5, 0.5).unwrap_err().to_string();
        assert!(error.contains("one step with sigma 0.5 at rate 0.5") && error.contains("above 0.001"), "{error}");
        let error = smallest_sigma(1.0, 1e-5, &Rdp::new(), |_| Ok(Event::NonPrivate)).unwrap_err().to_string();
        assert!(error.contains("epsilon 1 at delta 1e-5 cannot be reached"), "{error}");
        assert!(Calibrate::new(0.0, 1e-5).sigma(0.1, 1).unwrap_err().to_string().contains("epsilon is 0"));
        assert!(Calibrate::new(1.0, 0.0).sigma(0.1, 1).unwrap_err().to_string().contains("delta is 0"));
        assert!(Calibrate::new(1.0, 1e-5).sigma(0.1, 0).unwrap_err().to_string().contains("steps is 0"));
    }
}
