//! The Rényi divergence of the Poisson-sampled Gaussian mechanism.
//!
//! A(α) = E[(1 − q + q e^Y)^α] with Y = (2z − 1)/2σ² and z ~ N(0, σ²), and R(α) = ln A(α) / (α − 1); the other direction is never
//! larger (arXiv:1908.10530, Theorem 5). As E[e^Y] = 1, the first two terms of A in q cancel against 1 + αq E[e^Y − 1], and what is left
//! is a sum of positive terms: no digits are lost for small q, and no alternating series has to converge for small σ.

use crate::stats::{log_sum_exp, normal_log_pdf};

/// Nodes z, each with ln(1 + q(e^Y − 1)) and ln(density · step).
pub(super) struct SampledGaussian {
    sigma: f64,
    rate: f64,
    nodes: Vec<(f64, f64)>,
}

impl SampledGaussian {
    pub(super) fn new(sigma: f64, rate: f64) -> Self {
        Self { sigma, rate, nodes: vec![] }
    }

    /// R at every order.
    pub(super) fn curve(mut self, orders: &[f64]) -> Vec<f64> {
        let whole = |order: f64| order.fract() == 0.0 && order <= 1e6;
        let largest = orders.iter().copied().filter(|order| !whole(*order)).fold(1.0, f64::max);
        if largest > 1.0 {
            self.place(largest);
        }
        orders.iter().map(|&order| (if whole(order) { self.sum(order as u32) } else { self.integral(order) }) / (order - 1.0)).collect()
    }

    /// ln A by the trapezoidal rule, whose error falls exponentially: with a step h it is below e^-36, limited by the width of the
    /// Gaussian where σ is large and by the zeros of 1 − q + q e^Y at height πσ² over the real line where it is small.
    fn place(&mut self, order: f64) {
        let variance = self.sigma * self.sigma;
        let step = if 0.74 * self.sigma >= 2.0 { 0.74 * self.sigma } else { 1.0 / (0.25 + 1.82 / variance) };
        // The integrand is the mechanism's densities, the last one around α, so 9 σ beyond both is e^-40 of it.
        let (low, high) = (-9.0 * self.sigma, order + 9.0 * self.sigma);
        // Orders in the millions over little noise: nothing finite would come out of it.
        if (high - low) / step > 1e6 {
            return;
        }
        for i in 0..=((high - low) / step) as usize {
            let z = low + i as f64 * step;
            let y = (2.0 * z - 1.0) / (2.0 * variance);
            let ratio = if y < 30.0 {
                libm::log1p(self.rate * libm::expm1(y))
            } else {
                y + self.rate.ln() + libm::log1p((1.0 / self.rate - 1.0) * libm::exp(-y))
            };
            self.nodes.push((ratio, normal_log_pdf(z, 0.0, self.sigma) + step.ln()));
        }
    }

    /// ln A for any order: 1 + E[(1 + x)^α − 1 − αx] with x = q(e^Y − 1), by convexity never negative.
    fn integral(&self, order: f64) -> f64 {
        if self.nodes.is_empty() {
            return f64::INFINITY;
        }
        let terms: Vec<f64> = self.nodes.iter().map(|&(ratio, weight)| weight + log_excess(order, ratio)).collect();
        log_one_and(&terms)
    }

    /// ln A for a whole order: 1 + Σ_{i≥2} C(α, i) qⁱ (1 − q)^(α−i) (e^{(i² − i)/2σ²} − 1).
    fn sum(&self, order: u32) -> f64 {
        let (alpha, log_odds) = (f64::from(order), self.rate.ln() - libm::log1p(-self.rate));
        let mut log_binomial = alpha * libm::log1p(-self.rate);
        let mut terms = Vec::with_capacity(order as usize);
        for i in 1..=order {
            let i = f64::from(i);
            log_binomial += ((alpha - i + 1.0) / i).ln() + log_odds;
            let exponent = (i * i - i) / (2.0 * self.sigma * self.sigma);
            let growth = if exponent > 36.0 { exponent } else { libm::expm1(exponent).ln() };
            terms.push(log_binomial + growth);
        }
        log_one_and(&terms)
    }
}

/// ln((1 + x)^α − 1 − αx) where `ratio` = ln(1 + x).
fn log_excess(order: f64, ratio: f64) -> f64 {
    if ratio * order < 30.0 {
        let excess = libm::expm1(order * ratio) - order * libm::expm1(ratio);
        return if excess < 0.0 { f64::NEG_INFINITY } else { excess.ln() };
    }
    let rest = order * libm::exp(-(order - 1.0) * ratio) - (order - 1.0) * libm::exp(-order * ratio);
    order * ratio + libm::log1p(-rest)
}

/// ln(1 + Σ eˣ); infinite where a term is not a number.
pub(super) fn log_one_and(terms: &[f64]) -> f64 {
    if terms.iter().any(|term| term.is_nan()) {
        return f64::INFINITY;
    }
    let x = log_sum_exp(terms);
    if x > 36.0 { x } else { libm::log1p(libm::exp(x)) }
}
