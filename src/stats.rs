//! Exact intervals for rates and means, and normal probabilities that stay accurate in the tails.
//!
//! A rate k/n gets the Clopper-Pearson interval: with B(q; a, b) the quantile function of the beta distribution,
//! low = B(α/2; k, n − k + 1) and high = B(1 − α/2; k + 1, n − k). A mean of r runs gets Student's interval
//! mean ± t(1 − α/2; r − 1) · s/√r. Everything is f64 and stays in logarithms where a value could underflow.
//!
//! # References
//! Clopper, Pearson, *Biometrika* 26 (1934).
//!
//! # Example
//! ```
//! use freelunch::stats::Rate;
//! assert_eq!(Rate::new(25, 300)?.to_string(), "0.083 [0.05, 0.12]");
//! # Ok::<(), freelunch::Error>(())
//! ```

mod beta;
pub(crate) mod student;

use crate::display::{Figure, Show, show_inline};
use crate::{Error, Result};
use beta::beta_quantile;
use serde::{Deserialize, Serialize};
use std::f64::consts::{LN_2, PI, SQRT_2};
use std::fmt;

/// The confidence of every interval that does not ask for another one.
pub const CONFIDENCE: f64 = 0.95;

/// The two ends of an interval.
///
/// # Example
/// ```
/// let ends = freelunch::stats::clopper_pearson(0, 10, 0.95)?;
/// assert!(ends.low == 0.0 && (ends.high - 0.3085).abs() < 1e-4);
/// # Ok::<(), freelunch::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// The exact (Clopper-Pearson) interval of a probability after `hits` successes in `of` independent trials.
///
/// Either end alone is a one-sided bound at 1 − (1 − `confidence`)/2: ask for 0.95 to get both sides at 2.5 %.
///
/// # Errors
/// [`Error::Config`] unless `of` ≥ 1, `hits` ≤ `of` and 0 < `confidence` < 1.
///
/// # Example
/// ```
/// let ends = freelunch::stats::clopper_pearson(50, 100, 0.95)?;
/// assert!((ends.low - 0.39832113).abs() < 1e-8);
/// # Ok::<(), freelunch::Error>(())
/// ```
pub fn clopper_pearson(hits: usize, of: usize, confidence: f64) -> Result<Interval> {
    if of == 0 || hits > of {
        return Err(Error::config(format!("{hits} hits in {of} trials"), "expected at least one trial and no more hits than trials"));
    }
    if !(confidence > 0.0 && confidence < 1.0) {
        return Err(Error::config(format!("confidence is {confidence}"), "expected a number between 0 and 1, such as 0.95"));
    }
    Ok(exact_interval(hits, of, confidence))
}

fn exact_interval(hits: usize, of: usize, confidence: f64) -> Interval {
    let tail = (1.0 - confidence) / 2.0;
    let (k, n) = (hits as f64, of as f64);
    // With 0 or n hits the quantiles have a closed form: 1 − tail^(1/n) and tail^(1/n).
    let low = match hits {
        0 => 0.0,
        _ if hits == of => libm::exp(libm::log(tail) / n),
        _ => beta_quantile(tail, k, n - k + 1.0),
    };
    let high = match hits {
        _ if hits == of => 1.0,
        0 => -libm::expm1(libm::log(tail) / n),
        _ => beta_quantile(1.0 - tail, k + 1.0, n - k),
    };
    Interval { low, high }
}

/// A rate with its 95 % Clopper-Pearson interval.
///
/// # Example
/// ```
/// use freelunch::stats::Rate;
/// let rate = Rate::new(3, 300)?;
/// assert_eq!(rate.value(), 0.01);
/// assert!(rate.low < 0.01 && rate.high > 0.01);
/// # Ok::<(), freelunch::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Rate {
    /// Successes.
    pub hits: usize,
    /// Trials.
    pub of: usize,
    /// Lower end of the interval.
    pub low: f64,
    /// Upper end of the interval.
    pub high: f64,
}

impl Rate {
    /// `hits` successes in `of` trials.
    ///
    /// # Errors
    /// [`Error::Config`] unless `of` ≥ 1 and `hits` ≤ `of`.
    pub fn new(hits: usize, of: usize) -> Result<Self> {
        clopper_pearson(hits, of, CONFIDENCE).map(|ends| Self { hits, of, low: ends.low, high: ends.high })
    }

    /// As [`Rate::new`] for counts that are known to be right.
    pub(crate) fn counted(hits: usize, of: usize) -> Self {
        let ends = exact_interval(hits.min(of), of.max(1), CONFIDENCE);
        Self { hits, of, low: ends.low, high: ends.high }
    }

    /// hits / of.
    #[must_use]
    pub fn value(&self) -> f64 {
        self.hits as f64 / self.of as f64
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_interval(f, self.value(), self.low, self.high)
    }
}

/// A number with the ends of its 95 % interval.
///
/// # Example
/// ```
/// use freelunch::stats::Estimate;
/// assert_eq!(Estimate { value: 0.7126, low: 0.69, high: 0.734 }.to_string(), "0.713 [0.69, 0.73]");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// The estimate.
    pub value: f64,
    /// Lower end of the interval.
    pub low: f64,
    /// Upper end of the interval.
    pub high: f64,
}

impl fmt::Display for Estimate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_interval(f, self.value, self.low, self.high)
    }
}

/// The mean of independent runs with its 95 % Student-t interval.
///
/// # Example
/// ```
/// let mean = freelunch::stats::MeanInterval::new(&[0.52, 0.55, 0.49])?;
/// assert_eq!(mean.to_string(), "0.520 [0.45, 0.59]");
/// # Ok::<(), freelunch::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct MeanInterval {
    /// The mean.
    pub mean: f64,
    /// Lower end of the interval.
    pub low: f64,
    /// Upper end of the interval.
    pub high: f64,
    /// Number of runs.
    pub n: usize,
}

impl MeanInterval {
    /// Mean and interval of one value per run.
    ///
    /// # Errors
    /// [`Error::Config`] for fewer than two values or one that is not finite.
    pub fn new(values: &[f64]) -> Result<Self> {
        let n = values.len();
        if n < 2 {
            return Err(Error::config(format!("{n} runs"), "an interval of a mean needs at least 2 runs"));
        }
        if let Some(bad) = values.iter().find(|value| !value.is_finite()) {
            return Err(Error::config(format!("a run gave {bad}"), "expected finite values"));
        }
        let freedom = (n - 1) as f64;
        let mean = mean(values);
        let error = deviation(values) / freedom.sqrt(); // s/√n with s² = Σ(x − mean)²/(n − 1)
        // With T Student's t of ν degrees of freedom, ν/(ν + T²) has the distribution Beta(ν/2, 1/2).
        let y = beta_quantile(1.0 - CONFIDENCE, freedom / 2.0, 0.5);
        let reach = (freedom * (1.0 - y) / y).sqrt() * error;
        Ok(Self { mean, low: mean - reach, high: mean + reach, n })
    }
}

impl fmt::Display for MeanInterval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_interval(f, self.mean, self.low, self.high)
    }
}

/// Digits that the interval's width supports: "0.083 [0.06, 0.11]", "0.0021 [0.001, 0.003]"; of its ends no more than five significant ones.
fn write_interval(f: &mut fmt::Formatter<'_>, value: f64, low: f64, high: f64) -> fmt::Result {
    let (width, largest) = (high - low, low.abs().max(high.abs()));
    let most = (4.0 - largest.log10().floor()).clamp(2.0, 9.0);
    let digits = if width > 0.0 && width.is_finite() { (-width.log10().floor()).clamp(2.0, most) as usize } else { 2 };
    write!(f, "{value:.more$} [{low:.digits$}, {high:.digits$}]", more = digits + 1)
}

/// The arithmetic mean; NaN of nothing.
pub(crate) fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// The standard deviation that divides by the count; NaN of nothing.
pub(crate) fn deviation(values: &[f64]) -> f64 {
    let centre = mean(values);
    (values.iter().map(|value| (value - centre).powi(2)).sum::<f64>() / values.len() as f64).sqrt()
}

/// log Σ exp(v), without overflow; −∞ of nothing.
///
/// # Example
/// ```
/// let sum = freelunch::stats::log_sum_exp(&[1000.0, 1000.0]);
/// assert!((sum - 1000.0 - 2f64.ln()).abs() < 1e-12);
/// ```
#[must_use]
pub fn log_sum_exp(values: &[f64]) -> f64 {
    let largest = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if !largest.is_finite() {
        return largest;
    }
    largest + libm::log(values.iter().map(|value| libm::exp(value - largest)).sum())
}

/// Logarithm of the normal density: −½ log 2π − log `std` − ½ ((x − `mean`)/`std`)².
///
/// # Example
/// ```
/// assert!((freelunch::stats::normal_log_pdf(40.0, 0.0, 1.0) + 800.918938533).abs() < 1e-8);
/// ```
#[must_use]
pub fn normal_log_pdf(x: f64, mean: f64, std: f64) -> f64 {
    let z = (x - mean) / std;
    -0.5 * libm::log(2.0 * PI) - libm::log(std) - 0.5 * z * z
}

/// Φ(x), the standard normal distribution function, with full relative accuracy in the lower tail.
///
/// # Example
/// ```
/// assert!((freelunch::stats::normal_cdf(-1.959963984540054) - 0.025).abs() < 1e-15);
/// ```
#[must_use]
pub fn normal_cdf(x: f64) -> f64 {
    0.5 * libm::erfc(-x / SQRT_2)
}

/// log Φ(x). Saturates neither to −∞ in the lower tail nor to 0 in the upper one, so it still ranks where Φ is 0 or 1.
///
/// # Example
/// ```
/// use freelunch::stats::normal_log_cdf;
/// assert!((normal_log_cdf(-100.0) + 5005.524208693).abs() < 1e-8);
/// assert!(normal_log_cdf(20.0) < normal_log_cdf(21.0));
/// ```
#[must_use]
pub fn normal_log_cdf(x: f64) -> f64 {
    if x > 0.0 {
        return libm::log1p(-0.5 * libm::erfc(x / SQRT_2));
    }
    if x >= -30.0 {
        return libm::log(libm::erfc(-x / SQRT_2)) - LN_2;
    }
    // Φ(x) = φ(x)/|x| · (1 − 1/x² + 3/x⁴ − 15/x⁶ + 105/x⁸ − ..); at −30 the first term left out is 2e-12.
    let y = 1.0 / (x * x);
    let series = -y * (1.0 - y * (3.0 - y * (15.0 - 105.0 * y)));
    normal_log_pdf(x, 0.0, 1.0) - libm::log(-x) + libm::log1p(series)
}

impl Show for Rate {
    fn figure(&self) -> Figure {
        Figure::text(format!("{self}  ({} of {}, 95 % Clopper-Pearson)", self.hits, self.of))
    }
}

impl Show for Estimate {
    fn figure(&self) -> Figure {
        Figure::text(format!("{self}  (95 %)"))
    }
}

impl Show for MeanInterval {
    fn figure(&self) -> Figure {
        Figure::text(format!("{self}  ({} runs, 95 % Student t)", self.n))
    }
}

show_inline!(Rate, Estimate, MeanInterval);

#[cfg(test)]
mod tests {
    use super::*;

    fn close(a: f64, b: f64, tolerance: f64) {
        assert!((a - b).abs() <= tolerance, "{a} is not {b}");
    }

    #[test]
    fn clopper_pearson_matches_exact_arithmetic() {
        // (hits, of, low, high): from the binomial tails in 60-digit arithmetic.
        let known = [
            (0, 10, 0.0, 0.308_497_107_819),
            (10, 10, 0.691_502_892_181, 1.0),
            (50, 100, 0.398_321_129_503, 0.601_678_870_497),
            (1, 100, 0.000_253_146_033, 0.054_459_385_392),
            (5, 500, 0.003_254_721_407, 0.023_181_388_070),
            (250, 500, 0.455_285_569_324, 0.544_714_430_676),
            (50, 500, 0.075_135_815_066, 0.129_709_085_662),
        ];
        for (hits, of, low, high) in known {
            let ends = clopper_pearson(hits, of, 0.95).unwrap();
            close(ends.low, low, 1e-12);
            close(ends.high, high, 1e-12);
        }
    }

    #[test]
    fn the_log_of_phi_does_not_saturate_and_is_smooth_where_formulas_meet() {
        close(normal_log_cdf(0.0), -LN_2, 1e-16);
        close(normal_log_cdf(-40.0), -804.608_442_013_754, 1e-9);
        close(normal_log_cdf(-30.0 - 1e-9) - normal_log_cdf(-30.0), -1e-9 * 30.033_259, 1e-11);
        close(normal_log_cdf(-3.0), normal_cdf(-3.0).ln(), 1e-14);
        assert!(normal_log_cdf(30.0) < 0.0 && normal_log_cdf(-1e8).is_finite());
    }

    #[test]
    fn log_sum_exp_of_nothing_and_of_infinities() {
        assert_eq!(log_sum_exp(&[]), f64::NEG_INFINITY);
        assert_eq!(log_sum_exp(&[f64::NEG_INFINITY, 0.0]), 0.0);
    }

    #[test]
    fn student_intervals_match_the_table() {
        // t(0.975; 1) = 12.7062, t(0.975; 4) = 2.77645, t(0.975; 99) = 1.98422.
        for (n, t) in [(2, 12.706_204_74), (5, 2.776_445_105), (100, 1.984_216_952)] {
            let values: Vec<f64> = (0..n).map(|i| i as f64).collect();
            let interval = MeanInterval::new(&values).unwrap();
            let s = deviation(&values) * (n as f64 / (n - 1) as f64).sqrt();
            close((interval.high - interval.mean) / (s / (n as f64).sqrt()), t, 1e-8);
        }
        assert!(MeanInterval::new(&[1.0]).is_err() && MeanInterval::new(&[1.0, f64::NAN]).is_err());
    }

    #[test]
    fn impossible_counts_are_refused() {
        assert!(Rate::new(0, 0).is_err() && Rate::new(3, 2).is_err() && clopper_pearson(1, 2, 1.0).is_err());
    }

    #[test]
    fn a_rate_shows_the_digits_its_interval_supports() {
        assert_eq!(Rate::counted(21, 10_000).to_string(), "0.0021 [0.001, 0.003]");
        assert_eq!(Estimate { value: 0.999_53, low: 0.999_51, high: 0.999_55 }.to_string(), "0.999530 [0.99951, 0.99955]");
        assert_eq!(Estimate { value: 1.0, low: 1.0 - 1e-9, high: 1.0 }.to_string(), "1.00000 [1.0000, 1.0000]");
    }
}
