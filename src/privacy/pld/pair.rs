//! The two distributions that are hardest to tell apart, and their privacy loss.
//!
//! One record leaves: P = (1 − q) N(0, σ²) + q N(1, σ²), Q = N(0, σ²). One is exchanged: the same P, Q = (1 − q) N(0, σ²) + q N(−1, σ²).
//! The loss L(x) = ln P(x)/Q(x) rises with x in both. One record that joins is the first pair with its roles exchanged.

use crate::stats::{log_sum_exp, normal_cdf, normal_log_pdf};

/// A pair for one release.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Pair {
    pub(super) sigma: f64,
    pub(super) rate: f64,
    pub(super) exchanged: bool,
}

impl Pair {
    /// Whether the pair with its roles exchanged has the same losses.
    pub(super) fn is_symmetric(&self) -> bool {
        self.exchanged || self.rate == 1.0
    }

    /// Outside these ends each of P and Q has at most Φ(−z), on either side.
    pub(super) fn ends(&self, z: f64) -> (f64, f64) {
        let reach = z * self.sigma;
        (if self.exchanged { -1.0 - reach } else { -reach }, 1.0 + reach)
    }

    /// P and Q below `low`, and P above `high`.
    pub(super) fn outside(&self, low: f64, high: f64) -> [f64; 3] {
        let tail = |distance: f64| normal_cdf(-distance / self.sigma);
        let mixture = |centre: f64, other: f64| (1.0 - self.rate) * tail(centre) + self.rate * tail(other);
        let q_low = if self.exchanged { mixture(-low, -low - 1.0) } else { tail(-low) };
        [mixture(-low, 1.0 - low), q_low, mixture(high, high - 1.0)]
    }

    /// ln(1 − q + q e^y) at y = (±2x − 1) / 2σ².
    fn log_mixture(&self, x: f64) -> f64 {
        let y = (2.0 * x - 1.0) / (2.0 * self.sigma * self.sigma);
        if self.rate == 1.0 {
            return y;
        }
        if y < 30.0 {
            libm::log1p(self.rate * libm::expm1(y))
        } else {
            y + self.rate.ln() + libm::log1p((1.0 / self.rate - 1.0) * libm::exp(-y))
        }
    }

    /// L(x).
    pub(super) fn loss(&self, x: f64) -> f64 {
        self.log_mixture(x) - if self.exchanged { self.log_mixture(-x) } else { 0.0 }
    }

    /// ln P(x).
    pub(super) fn log_density(&self, x: f64) -> f64 {
        normal_log_pdf(x, 0.0, self.sigma) + self.log_mixture(x)
    }

    /// The x with this loss, and dx/dL there; −∞ below the smallest loss.
    pub(super) fn position(&self, loss: f64) -> (f64, f64) {
        let variance = self.sigma * self.sigma;
        if self.exchanged {
            // x = σ² (L/2 + asinh(a sinh(L/2))) with a = e^(1/2σ²) (1 − q)/q, which may be huge.
            let log_a = 0.5 / variance + libm::log1p(-self.rate) - self.rate.ln();
            let half = 0.5 * loss.abs();
            let log_sinh = if half > 20.0 { half - std::f64::consts::LN_2 } else { libm::sinh(half).ln() };
            let log_z = log_a + log_sinh;
            // cosh(L/2) a / √(1 + z²)
            let (turn, slope) = if log_z > 20.0 {
                (log_z + std::f64::consts::LN_2, 1.0 / libm::tanh(half))
            } else {
                let z = libm::exp(log_z);
                (libm::asinh(z), libm::exp(log_a - 0.5 * libm::log1p(z * z)) * libm::cosh(half))
            };
            return (variance * (0.5 * loss + turn.copysign(loss)), 0.5 * variance * (1.0 + slope));
        }
        // 1 − (1 − q) e^-L, which is as small as q: a difference of numbers near 1 would lose it.
        let share = -libm::expm1(libm::log1p(-self.rate) - loss);
        if share <= 0.0 {
            return (f64::NEG_INFINITY, f64::INFINITY);
        }
        (0.5 + variance * (loss - self.rate.ln() + share.ln()), variance / share)
    }

    /// The density of L under P at `first`, `first` + `step`, .., all of them losses that some x has.
    pub(super) fn loss_densities(&self, first: f64, step: f64, count: usize) -> Vec<f64> {
        let at = |i: usize| first + i as f64 * step;
        if self.exchanged {
            let density = |loss: f64| {
                let (x, slope) = self.position(loss);
                libm::exp(self.log_density(x)) * slope
            };
            return (0..count).map(|i| density(at(i))).collect();
        }
        // As `position`, without what does not depend on the loss and with a running e^-L: most of the time goes here.
        let (variance, keep) = (self.sigma * self.sigma, 1.0 - self.rate);
        let offset = 0.5 - variance * self.rate.ln();
        let log_peak = normal_log_pdf(0.0, 0.0, self.sigma) + variance.ln();
        let (half_precision, factor) = (0.5 / variance, libm::exp(-step));
        let log_keep = libm::log1p(-self.rate);
        let mut densities = Vec::with_capacity(count);
        let mut rest = 0.0;
        for i in 0..count {
            let loss = at(i);
            rest = if i % 64 == 0 { keep * libm::exp(-loss) } else { rest * factor };
            let share = if rest > 0.5 { -libm::expm1(log_keep - loss) } else { 1.0 - rest };
            let log_share = if rest > 0.5 { share.ln() } else { libm::log1p(-rest) };
            let x = offset + variance * (loss + log_share);
            densities.push(libm::exp(log_peak - x * x * half_precision + loss) / share);
        }
        densities
    }

    /// Nodes for the moments.
    pub(super) fn moments(&self, z: f64) -> Moments {
        let (low, high) = self.ends(z);
        let step = (self.sigma / 3.0).min(self.sigma * self.sigma).max((high - low) / 4000.0);
        let nodes = (0..=((high - low) / step) as usize).map(|i| low + i as f64 * step);
        let (losses, weights) = nodes.map(|x| (self.loss(x), self.log_density(x) + step.ln())).unzip();
        Moments { losses, weights }
    }
}

/// ln E_P[e^(tL)] by the trapezoidal rule: to plan with, no bound rests on it.
pub(super) struct Moments {
    losses: Vec<f64>,
    weights: Vec<f64>,
}

impl Moments {
    pub(super) fn log(&self, t: f64) -> f64 {
        let terms: Vec<f64> = self.losses.iter().zip(&self.weights).map(|(loss, weight)| weight + t * loss).collect();
        log_sum_exp(&terms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn position_inverts_the_loss_and_its_slope_is_the_derivative() {
        for exchanged in [false, true] {
            for (sigma, rate) in [(1.0, 0.01), (0.3, 0.1), (5.0, 0.5), (2.0, 1e-4)] {
                let pair = Pair { sigma, rate, exchanged };
                for x in [-1.0, 0.1, 0.7, 2.0, 4.0] {
                    let x = x * sigma;
                    let loss = pair.loss(x);
                    let (found, slope) = pair.position(loss);
                    // Far below, where the loss hardly depends on x, the rounding of the loss limits x.
                    assert!((found - x).abs() < 1e-9 + 1e-14 * slope, "{pair:?} {x} {found}");
                    let h = 1e-5 * sigma;
                    let derivative = (pair.loss(x + h) - pair.loss(x - h)) / (2.0 * h);
                    assert!((slope * derivative - 1.0).abs() < 1e-5, "{pair:?} {x} {slope} {derivative}");
                }
            }
        }
    }

    #[test]
    fn a_tiny_rate_loses_no_digits() {
        let pair = Pair { sigma: 1.0, rate: 1e-12, exchanged: false };
        for x in [-1.0, 0.1, 2.0, 6.0] {
            let loss = pair.loss(x);
            let (found, slope) = pair.position(loss);
            let density = pair.loss_densities(loss, 1e-15, 1)[0];
            // q e^y = e^L − (1 − q): the rounding of q e^y − q limits x where e^y is small.
            assert!((found - x).abs() < 1e-14 * (1.0 + libm::exp(0.5 - x)), "{x} {found}");
            assert!((density / (libm::exp(pair.log_density(x)) * slope) - 1.0).abs() < 1e-12, "{x} {density:e}");
        }
    }
}
