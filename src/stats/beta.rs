//! The beta distribution's quantiles, which give the exact intervals of rates and Student's intervals of means.
//!
//! Our own, because the inverse in statrs 0.18 never returns for some arguments (tail 0.025, a = 5, b = 9,999,996), and its
//! distribution function stops after 140 terms, too few beyond some millions of trials.

/// The x with I_x(a, b) = p for 0 < p < 1 and positive a and b, by Newton steps kept inside a shrinking bracket.
pub(super) fn beta_quantile(p: f64, a: f64, b: f64) -> f64 {
    let log_beta = log_beta(a, b);
    let (mut low, mut high) = (0.0, 1.0);
    let mut x = a / (a + b);
    for _ in 0..200 {
        let error = beta_cdf(x, a, b) - p;
        if error > 0.0 {
            high = x;
        } else {
            low = x;
        }
        let density = libm::exp((a - 1.0) * libm::log(x) + (b - 1.0) * libm::log1p(-x) - log_beta);
        let newton = x - error / density;
        let next = if newton > low && newton < high { newton } else { 0.5 * (low + high) };
        if (next - x).abs() <= 1e-15 * x || next <= low || next >= high {
            return next;
        }
        x = next;
    }
    x
}

/// I_x(a, b), the regularised incomplete beta function, by its continued fraction on the side where that converges fast.
pub(super) fn beta_cdf(x: f64, a: f64, b: f64) -> f64 {
    if x <= 0.0 || x >= 1.0 {
        return x.clamp(0.0, 1.0);
    }
    let factor = libm::exp(a * libm::log(x) + b * libm::log1p(-x) - log_beta(a, b));
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
}
