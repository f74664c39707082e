//! The normal-inverse-gamma distribution of a record's mean and variance, and the predictive density that follows from it.

use super::Predictive;
use crate::stats::student::{student_log_pdf, student_log_survival};
use crate::stats::{mean, normal_log_cdf, normal_log_pdf};

/// The least variance.
pub(super) const SMALLEST: f64 = 1e-10;

/// A normal-inverse-gamma distribution: μ, κ, α and β, and the mean of the values it has seen.
#[derive(Debug, Clone, Copy)]
pub(super) struct Posterior {
    pub(super) location: f64,
    pub(super) own_mean: f64,
    pub(super) weight: f64,
    pub(super) shape: f64,
    pub(super) scale: f64,
}

impl Posterior {
    pub(super) fn after(self, values: &[f64]) -> Self {
        if values.is_empty() {
            return self;
        }
        let (n, own_mean) = (values.len() as f64, mean(values));
        let squares: f64 = values.iter().map(|value| (value - own_mean).powi(2)).sum();
        let weight = self.weight + n;
        let surprise = self.weight * n * (own_mean - self.location).powi(2) / weight;
        Self {
            location: (self.weight * self.location + n * own_mean) / weight,
            own_mean,
            weight,
            shape: self.shape + n / 2.0,
            scale: self.scale + 0.5 * (squares + surprise),
        }
    }

    /// What the next value is expected to be.
    pub(super) fn density(self, predictive: Predictive) -> Density {
        let Self { location, own_mean, weight, shape, scale } = self;
        match predictive {
            Predictive::StudentT => {
                let square = scale * (weight + 1.0) / (shape * weight);
                Density { location, deviation: square.max(SMALLEST).sqrt(), freedom: Some(2.0 * shape) }
            }
            Predictive::Gaussian => {
                let variance = if shape > 1.0 { scale / (shape - 1.0) } else { scale };
                Density { location: own_mean, deviation: variance.max(SMALLEST).sqrt(), freedom: None }
            }
        }
    }
}

/// Student's t with `freedom`, or the normal distribution.
pub(super) struct Density {
    location: f64,
    deviation: f64,
    freedom: Option<f64>,
}

impl Density {
    pub(super) fn log_density(&self, value: f64) -> f64 {
        match self.freedom {
            Some(freedom) => student_log_pdf((value - self.location) / self.deviation, freedom) - libm::log(self.deviation),
            None => normal_log_pdf(value, self.location, self.deviation),
        }
    }

    /// log Pr[T < value] − log Pr[T > value].
    pub(super) fn log_odds_below(&self, value: f64) -> f64 {
        let z = (value - self.location) / self.deviation;
        match self.freedom {
            Some(freedom) => student_log_survival(-z, freedom) - student_log_survival(z, freedom),
            None => normal_log_cdf(z) - normal_log_cdf(-z),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_posterior_is_that_of_one_update_by_hand() {
        // μ₀ = 1, κ₀ = 1, α₀ = 2, β₀ = 3 and the values 2, 4: κ = 3, μ = 7/3, α = 3, β = 3 + 1 + 1·2·(3 − 1)²/(2·3).
        let prior = Posterior { location: 1.0, own_mean: 1.0, weight: 1.0, shape: 2.0, scale: 3.0 };
        let both = prior.after(&[2.0, 4.0]);
        assert!((both.location - 7.0 / 3.0).abs() < 1e-15 && (both.scale - (4.0 + 4.0 / 3.0)).abs() < 1e-14);
        assert_eq!((both.weight, both.shape, both.own_mean), (3.0, 3.0, 3.0));
        // Updates one by one come to the same.
        let (first, second) = (prior.after(&[2.0]), prior.after(&[2.0]).after(&[4.0]));
        assert!(first.shape == 2.5 && (second.scale - both.scale).abs() < 1e-14 && (second.location - both.location).abs() < 1e-14);
    }
}
