//! The two tails of a binomial distribution that a one-run audit needs, for up to millions of guesses.

/// P[Bin(n, q) = k] with q = e^ε/(1 + e^ε), for those k around the mode where it is a normal f64.
pub(super) struct Binomial {
    first: usize,
    terms: Vec<f64>,
}

impl Binomial {
    pub(super) fn new(n: usize, epsilon: f64) -> Self {
        let trials = n as f64;
        // log q and log(1 − q) = log q − ε without cancellation.
        let log_q = -libm::log1p(libm::exp(-epsilon));
        let mode = ((trials + 1.0) * libm::exp(log_q)).floor().min(trials);
        let log_choose = libm::lgamma(trials + 1.0) - libm::lgamma(mode + 1.0) - libm::lgamma(trials - mode + 1.0);
        let peak = libm::exp(log_choose + trials * log_q - (trials - mode) * epsilon);
        let odds = libm::exp(epsilon);
        let (mut below, mut above) = (vec![], vec![peak]);
        let (mut k, mut term) = (mode, peak);
        while k > 0.0 && term > f64::MIN_POSITIVE {
            term *= k / (trials - k + 1.0) / odds;
            k -= 1.0;
            below.push(term);
        }
        (k, term) = (mode, peak);
        while k < trials && term > f64::MIN_POSITIVE {
            term *= (trials - k) / (k + 1.0) * odds;
            k += 1.0;
            above.push(term);
        }
        // Below MIN_POSITIVE a term may round to itself for ever, and is slow.
        let first = mode as usize - below.len();
        below.reverse();
        below.append(&mut above);
        Self { first, terms: below }
    }

    /// P[Bin ≥ v], summed from the far end, where terms are small.
    pub(super) fn at_least(&self, v: usize) -> f64 {
        let from = v.saturating_sub(self.first).min(self.terms.len());
        self.terms[from..].iter().rev().sum::<f64>().min(1.0)
    }

    /// max over 1 ≤ i ≤ v of P[v > Bin ≥ v − i]/i: the largest mean of neighbouring probabilities that ends just below v.
    pub(super) fn largest_mean_below(&self, v: usize) -> f64 {
        let until = v.saturating_sub(self.first).min(self.terms.len());
        let (mut sum, mut largest) = (0.0f64, 0.0f64);
        for (at, term) in self.terms[..until].iter().enumerate().rev() {
            sum += term;
            largest = largest.max(sum / (v - self.first - at) as f64);
        }
        largest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tails_match_binomial_coefficients() {
        // Bin(4, 1/2): 1, 4, 6, 4, 1 sixteenths.
        let fair = Binomial::new(4, 0.0);
        for (v, sixteenths) in [(0, 16.0), (1, 15.0), (2, 11.0), (3, 5.0), (4, 1.0), (5, 0.0)] {
            assert!((fair.at_least(v) - sixteenths / 16.0).abs() < 1e-14, "{v}");
        }
        // Below 4: means of 4; 4, 6; 4, 6, 4; 4, 6, 4, 1.
        assert!((fair.largest_mean_below(4) - 5.0 / 16.0).abs() < 1e-14);
        assert_eq!(fair.largest_mean_below(0), 0.0);
    }

    #[test]
    fn probabilities_sum_to_one_however_many_guesses() {
        for (n, epsilon) in [(1, 0.0), (10, 3.0), (1_000, 20.0), (100_000, 0.5), (3_000_000, 2.0)] {
            let sum: f64 = Binomial::new(n, epsilon).terms.iter().sum();
            // Logarithms of the gamma function of n carry 1e-16 of n log n.
            assert!((sum - 1.0).abs() < 1e-7, "{n}, {epsilon}: {sum}");
        }
    }

    #[test]
    fn only_terms_that_count_are_kept() {
        // Some √n of them, so that a search for ε over 100,000 guesses takes milliseconds.
        assert!(Binomial::new(100_000, 0.5).terms.len() < 15_000);
    }

    #[test]
    fn far_tails_keep_their_relative_accuracy() {
        // All 60 of 60 right with a fair coin.
        assert!((Binomial::new(60, 0.0).at_least(60) * 2f64.powi(60) - 1.0).abs() < 1e-12);
        assert_eq!(Binomial::new(100_000, 0.0).at_least(99_000), 0.0);
    }
}
