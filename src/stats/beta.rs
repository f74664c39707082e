//! The beta distribution's quantiles, which give the exact intervals of rates and Student's intervals of means.
//!
//! Our own, because the inverse in statrs 0.18 never returns for some arguments (tail 0.025, a = 5, b = 9,999,996), and its
//! distribution function stops after 140 terms, too few beyond some millions of trials.

/// The x with I_x(a, b) = p for 0 < p < 1 and positive a and b, by Halley's steps kept inside a shrinking bracket.
pub(super) fn beta_quantile(p: f64, a: f64, b: f64) -> f64 {
    let log_beta = log_beta(a, b);
    let spread = (a * b / (a + b + 1.0)).sqrt() / (a + b);
    let (mut low, mut high) = (0.0, 1.0);
    let mut x = beginning(p, a, b);
    for _ in 0..200 {
        let (rest, error) = (1.0 - x, beta_cdf_with(log_beta, x, a, b) - p);
        if error > 0.0 {
            high = x;
        } else {
            low = x;
        }
        let newton = error / libm::exp((a - 1.0) * libm::log(x) + (b - 1.0) * libm::log1p(-x) - log_beta);
        let bend = (newton * ((a - 1.0) / x - (b - 1.0) / rest)).clamp(-1.0, 1.0);
        let step = newton / (1.0 - 0.5 * bend);
        let inside = x - step > low && x - step < high;
        let next = if inside { x - step } else { 0.5 * (low + high) };
        // Halley's steps triple the digits: what is left after one of 1e-5 is about the cube of that.
        if inside && step.abs() <= 1e-5 * spread.min(x).min(rest) || (next - x).abs() <= 1e-15 * x || next <= low || next >= high {
            return next;
        }
        x = next;
    }
    x
}

/// About the quantile: Abramowitz and Stegun's 26.5.22, from the normal distribution's by 26.2.22; the mean where they do not hold.
fn beginning(p: f64, a: f64, b: f64) -> f64 {
    if a.min(b) < 1.0 {
        return a / (a + b);
    }
    let t = (-2.0 * libm::log(p.min(1.0 - p))).sqrt();
    let upper = t - (2.307_53 + 0.270_61 * t) / (1.0 + t * (0.992_29 + 0.044_81 * t));
    let z = if p < 0.5 { upper } else { -upper };
    let (of_a, of_b) = (1.0 / (2.0 * a - 1.0), 1.0 / (2.0 * b - 1.0));
    let h = 2.0 / (of_a + of_b);
    let lambda = (z * z - 3.0) / 6.0;
    let w = z * (h + lambda).max(0.0).sqrt() / h - (of_b - of_a) * (lambda + 5.0 / 6.0 - 2.0 / (3.0 * h));
    let x = a / (a + b * libm::exp(2.0 * w));
    if x > 0.0 && x < 1.0 { x } else { a / (a + b) }
}

/// I_x(a, b), the regularised incomplete beta function, by its continued fraction on the side where that converges fast.
pub(super) fn beta_cdf(x: f64, a: f64, b: f64) -> f64 {
    beta_cdf_with(log_beta(a, b), x, a, b)
}

fn beta_cdf_with(log_beta: f64, x: f64, a: f64, b: f64) -> f64 {
    if x <= 0.0 || x >= 1.0 {
        return x.clamp(0.0, 1.0);
    }
    let factor = libm::exp(a * libm::log(x) + b * libm::log1p(-x) - log_beta);
    if x < (a + 1.0) / (a + b + 2.0) {
        factor * continued_fraction(x, a, b) / a
    } else {
        1.0 - factor * continued_fraction(1.0 - x, b, a) / b
    }
}

/// 1/(1 + d₁/(1 + d₂/(1 + ..))) with d of NIST's handbook, 8.17.22, by the modified Lentz method.
fn continued_fraction(x: f64, a: f64, b: f64) -> f64 {
    const TINY: f64 = 1e-300;
    const MOST: u32 = 100_000; // it takes about the root of a + b terms
    let away_from_zero = |value: f64| if value.abs() < TINY { TINY } else { value };
    let mut c = 1.0;
    let mut d = 1.0 / away_from_zero(1.0 - (a + b) * x / (a + 1.0));
    let mut fraction = d;
    for m in 1..MOST {
        let m = f64::from(m);
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        let mut change = 1.0;
        for term in [even, odd] {
            d = 1.0 / away_from_zero(1.0 + term * d);
            c = away_from_zero(1.0 + term / c);
            change = c * d;
            fraction *= change;
        }
        if (change - 1.0).abs() < 1e-15 {
            break;
        }
    }
    fraction
}

fn log_beta(a: f64, b: f64) -> f64 {
    libm::lgamma(a) + libm::lgamma(b) - libm::lgamma(a + b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_values_of_the_distribution_function() {
        assert!((beta_cdf(0.3, 1.0, 1.0) - 0.3).abs() < 1e-15);
        assert!((beta_cdf(0.5, 2.0, 3.0) - 0.6875).abs() < 1e-15); // 6x² − 8x³ + 3x⁴
        assert!((beta_cdf(0.2, 0.5, 0.5) - 2.0 / std::f64::consts::PI * 0.2f64.sqrt().asin()).abs() < 1e-14);
    }

    #[test]
    fn quantiles_return_and_hit_their_tail_from_one_to_a_hundred_million_trials() {
        let pairs = [(1, 2), (5, 10_000_000), (30, 3_000_000), (1_500_000, 3_000_000), (999_999, 1_000_000), (31_435_317, 55_536_803)];
        for (hits, of) in pairs {
            let (k, n) = (f64::from(hits), f64::from(of));
            let (low, high) = (beta_quantile(0.025, k, n - k + 1.0), beta_quantile(0.975, k + 1.0, n - k));
            assert!(low < k / n && k / n < high);
            // The logarithms of the gamma function carry 1e-16 of up to 1e9.
            assert!((beta_cdf(low, k, n - k + 1.0) - 0.025).abs() < 1e-8 && (beta_cdf(high, k + 1.0, n - k) - 0.975).abs() < 1e-8);
            // Far from 0 and 1 the normal approximation is right to its order, 1/n.
            let reach = 1.959_964 * (k / n * (1.0 - k / n) / n).sqrt();
            assert!(k.min(n - k) < 1e4 || (high - low - 2.0 * reach).abs() < 3.0 / n, "{hits} of {of}: {low} to {high}");
        }
    }
    #[test]
    fn quantiles_agree_with_halving_for_small_and_uneven_shapes() {
        for (a, b) in [(0.5, 0.5), (0.5, 20.0), (1.0, 1.0), (1.0, 400.0), (4.0, 997.0), (24_999.0, 2.0), (2.0, 1e6), (600.0, 24_401.0)] {
            for p in [1e-9, 0.0005, 0.025, 0.4, 0.5, 0.975, 0.9995] {
                let (mut low, mut high) = (0.0, 1.0);
                for _ in 0..1100 {
                    let middle = 0.5 * (low + high);
                    if beta_cdf(middle, a, b) > p { high = middle } else { low = middle }
                }
                let x = beta_quantile(p, a, b);
                assert!((x - low).abs() < 1e-9 * low.min(1.0 - low).max(1e-7), "{p} of ({a}, {b}): {x}, halving {low}");
            }
        }
    }
}
