//! A lower bound on ε through μ of a Gaussian trade-off curve.
//!
//! With the ends TPR⁻ and FPR⁺ of [`ClopperPearson`] and Φ the normal distribution function,
//!
//! μ ≥ Φ⁻¹(TPR⁻) − Φ⁻¹(FPR⁺),
//!
//! and ε is that of the Gaussian mechanism with this μ at δ, Φ(μ/2 − ε/μ) − e^ε Φ(−μ/2 − ε/μ) = δ.
//!
//! One point of the curve fixes all of it, so few trials prove what Clopper-Pearson alone cannot: 1000 runs, 950 found, 10 false
//! alarms, and ε at δ = 1e-5 is far above ln(TPR/FPR). **It is a bound only for mechanisms whose trade-off curve is Gaussian**
//! (Gaussian noise, once or many times, without sampling); for any other it is an estimate that may lie above the true ε. The result
//! says so ([`Premise::GaussianTradeOff`]).
//!
//! # Privacy
//! None: this is an attack.
//!
//! # References
//! Dong, Roth, Su, arXiv 1905.02383 (Gaussian differential privacy); Nasr et al., arXiv 2302.07956 (its use in audits).
//!
//! # Example
//! ```
//! use freelunch::audit::{ClopperPearson, GaussianBound};
//! let (mu, epsilon) = GaussianBound::bound((950, 1000), (10, 1000), 1e-5, 0.95)?;
//! assert!(mu > 3.4 && epsilon > 3.0 * ClopperPearson::bound((950, 1000), (10, 1000), 1e-5, 0.95)?);
//! # Ok::<(), freelunch::Error>(())
//! ```

use super::selection::Ends;
use super::{ClopperPearson, LowerBound, Premise, check_delta_and_confidence, pooled, worlds};
use crate::attack::{Attack, Signals};
use crate::privacy::{Accountant, Event, ExactGaussian, check_delta};
use crate::stats::{clopper_pearson, normal_cdf};
use crate::{Lab, Result};
use serde::{Deserialize, Serialize};

/// The audit of mechanisms with a Gaussian trade-off curve.
///
/// # Example
/// ```
/// use freelunch::Lab;
/// use freelunch::audit::{ClopperPearson, GaussianBound, Selection};
/// let (scores, members): (Vec<f64>, Vec<bool>) = (0..400).map(|i| (f64::from(i % 100), i % 100 >= 50)).unzip();
/// let audit = GaussianBound::new(ClopperPearson::new(Selection::Fixed(50.0)));
/// let bound = audit.audit(&scores, &members, &Lab::new()?.quiet())?;
/// assert!(bound.to_string().ends_with("if the trade-off is Gaussian)"));
/// # Ok::<(), freelunch::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct GaussianBound {
    /// How the two rates are measured; its δ must be above 0.
    pub rates: ClopperPearson,
}

impl GaussianBound {
    /// The bound from rates measured like this.
    #[must_use]
    pub fn new(rates: ClopperPearson) -> Self {
        Self { rates }
    }

    /// μ and ε of one test that was fixed in advance: (true positives, members) and (false positives, non-members).
    ///
    /// # Errors
    /// As [`ClopperPearson::bound`], and for a δ of 0: no μ above 0 has a finite ε there.
    pub fn bound(found: (usize, usize), falsely: (usize, usize), delta: f64, confidence: f64) -> Result<(f64, f64)> {
        check_delta(delta)?;
        check_delta_and_confidence(delta, confidence)?;
        let tpr_low = clopper_pearson(found.0, found.1, confidence)?.low;
        let fpr_high = clopper_pearson(falsely.0, falsely.1, confidence)?.high;
        let mu = mu(Ends { tpr_low, fpr_high });
        Ok((mu, epsilon(mu, delta)?))
    }

    /// The bound from independent trials: a score each, and whether the record was in.
    ///
    /// # Errors
    /// As [`ClopperPearson::audit`], and for a δ of 0.
    pub fn audit(&self, scores: &[f64], membership: &[bool], lab: &Lab) -> Result<LowerBound> {
        let (with, without) = worlds(scores, membership)?;
        self.audit_worlds(&with, &without, lab)
    }

    /// As [`GaussianBound::audit`], with the scores of members and non-members apart.
    ///
    /// # Errors
    /// As [`GaussianBound::audit`].
    pub fn audit_worlds(&self, with: &[f64], without: &[f64], lab: &Lab) -> Result<LowerBound> {
        check_delta(self.rates.delta)?;
        let found = self.rates.best(with, without, lab, mu)?;
        let bound = self.rates.lower_bound(epsilon(found.value, self.rates.delta)?, &found);
        let direction = found.test.as_ref().map(|test| test.direction(true));
        let evidence = format!("μ ≥ {}: {}", crate::display::number::significant(found.value, 3), bound.evidence);
        Ok(LowerBound { method: "Gaussian trade-off".to_string(), evidence, direction, premise: Some(Premise::GaussianTradeOff), ..bound })
    }

    /// The bound from a game, as [`ClopperPearson::pooled`]: its trials are not independent, and its trade-off is hardly Gaussian.
    ///
    /// # Errors
    /// As [`GaussianBound::audit`], and what the attack answers.
    pub fn pooled(&self, signals: &Signals, attack: &dyn Attack, lab: &Lab) -> Result<LowerBound> {
        let (scores, membership) = pooled(signals, attack)?;
        self.audit(&scores, &membership, lab)
    }
}

/// Φ⁻¹(TPR) − Φ⁻¹(FPR), at least 0.
fn mu(ends: Ends) -> f64 {
    let mu = quantile(ends.tpr_low) - quantile(ends.fpr_high);
    // Both infinite with the same sign: the rates are equal, and the difference is not a number.
    if mu.is_nan() { 0.0 } else { mu.max(0.0) }
}

fn epsilon(mu: f64, delta: f64) -> Result<f64> {
    if mu == 0.0 {
        return Ok(0.0);
    }
    // Sensitivity 1 and σ = 1/μ.
    Ok(ExactGaussian::new().epsilon(&Event::gaussian(1.0 / mu)?, delta)?.value)
}

/// Φ⁻¹, by bisection: Φ keeps its relative accuracy below 0, so the upper half is mirrored.
fn quantile(p: f64) -> f64 {
    if p <= 0.0 || p >= 1.0 {
        return if p <= 0.0 { f64::NEG_INFINITY } else { f64::INFINITY };
    }
    if p > 0.5 {
        return -quantile(1.0 - p);
    }
    let (mut low, mut high) = (-40.0, 0.0);
    for _ in 0..70 {
        let middle = 0.5 * (low + high);
        if normal_cdf(middle) > p { high = middle } else { low = middle }
    }
    low
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_match_the_table_of_the_normal_distribution() {
        for (p, z) in [(0.5, 0.0), (0.025, -1.959_963_984_540_054), (0.975, 1.959_963_984_540_054), (1e-9, -5.997_807_015_007_687)] {
            assert!((quantile(p) - z).abs() < 1e-12, "{p}: {}", quantile(p));
        }
        assert_eq!(mu(Ends { tpr_low: 0.0, fpr_high: 0.0 }), 0.0);
    }
}
