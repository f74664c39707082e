//! What an image should look like besides being of its class: smooth, or near to public records.
//!
//! Total variation: Σ √((x_{i,j+1} − x_{i,j})² + (x_{i+1,j} − x_{i,j})² + ε), ε = 10⁻⁴, over pixels and channels; a difference across the
//! edge counts as 0. The prior is that of probabilistic principal components: with mean μ, axes aⱼ of variance σⱼ² and the mean variance
//! σ² of all other directions, R = ½ Σ (aⱼ·(x − μ))²/σⱼ² + ½ |rest|²/σ². It is quadratic and stiff, so it is followed by its proximal map
//! instead of its gradient: along an axis, t ← t/(1 + η λ/σⱼ²).

use super::ModelInversion;
use super::target::InversionTarget;
use crate::data::Normalization;
use crate::generate::private_autoencoder::controls::principal::Principal;
use crate::{Dataset, Error, Lab, Result};

/// Both parts of R; each may be missing.
pub(super) struct Regularizer {
    total_variation: f64,
    shape: [usize; 3],
    prior: Option<Gaussian>,
}

/// A normal distribution with a few axes of their own variance.
pub(super) struct Gaussian {
    weight: f64,
    mean: Vec<f64>,
    axes: Vec<Vec<f64>>,
    variances: Vec<f64>,
    rest: f64,
}

impl Regularizer {
    /// Under the square root, so that total variation has a gradient where neighbours are equal.
    const SMOOTH: f64 = 1e-4;

    pub(super) fn new(attack: &ModelInversion, target: &InversionTarget, lab: &Lab) -> Result<Self> {
        let public = attack.prior.as_ref().map(|prior| target.searched(&prior.public)).transpose()?;
        Self::with(attack, public.as_ref(), target.searched_shape(), lab)
    }

    /// For a search of pixels.
    pub(super) fn of_pixels(attack: &ModelInversion, shape: [usize; 3], lab: &Lab) -> Result<Self> {
        let public = attack.prior.as_ref().map(|prior| &prior.public);
        if let Some(public) = public.filter(|public| public.shape() != shape) {
            let what = format!("a prior of records {:?} for a search of {shape:?}", public.shape());
            return Err(Error::mismatch(what, "give public records of the shape that the target takes"));
        }
        Self::with(attack, public, shape, lab)
    }

    fn with(attack: &ModelInversion, public: Option<&Dataset>, shape: [usize; 3], lab: &Lab) -> Result<Self> {
        let prior = match (&attack.prior, public) {
            (Some(prior), Some(public)) => Some(Gaussian::fit(public, prior.components, prior.weight, lab)?),
            _ => None,
        };
        Ok(Self { total_variation: attack.total_variation, shape, prior })
    }

    pub(super) fn mean(&self) -> Option<Vec<f32>> {
        self.prior.as_ref().map(|prior| prior.mean.iter().map(|&v| v as f32).collect())
    }

    /// R, and the gradient of its smooth part is added to `gradient`.
    pub(super) fn add(&self, x: &[f32], gradient: &mut [f32]) -> f64 {
        let prior = self.prior.as_ref().map_or(0.0, |prior| prior.weight * prior.half_distance(x));
        if self.total_variation == 0.0 {
            return prior;
        }
        let (variation, slope) = total_variation(x, self.shape);
        gradient.iter_mut().zip(slope).for_each(|(g, s)| *g += (self.total_variation * s) as f32);
        prior + self.total_variation * variation
    }

    /// The proximal map of the prior.
    pub(super) fn shrink(&self, x: Vec<f32>, rate: f64) -> Vec<f32> {
        self.prior.as_ref().map_or(x.clone(), |prior| prior.shrink(&x, rate))
    }
}

/// The value and its gradient.
pub(super) fn total_variation(x: &[f32], [_, h, w]: [usize; 3]) -> (f64, Vec<f64>) {
    let (mut value, mut gradient) = (0.0, vec![0.0; x.len()]);
    for (plane, slope) in x.chunks_exact(h * w).zip(gradient.chunks_exact_mut(h * w)) {
        for at in 0..h * w {
            let right = (at % w + 1 < w).then_some(at + 1);
            let below = (at / w + 1 < h).then_some(at + w);
            let difference = |other: Option<usize>| other.map_or(0.0, |other| f64::from(plane[other]) - f64::from(plane[at]));
            let length = (difference(right).powi(2) + difference(below).powi(2) + Regularizer::SMOOTH).sqrt();
            value += length;
            for other in [right, below] {
                let share = difference(other) / length;
                slope[at] -= share;
                if let Some(other) = other {
                    slope[other] += share;
                }
            }
        }
    }
    (value, gradient)
}

impl Gaussian {
    /// Directions are never taken for flatter than this share of the first one's variance.
    const FLOOR: f64 = 1e-4;

    /// In the values that are searched, not normalised.
    pub(super) fn fit(public: &Dataset, components: usize, weight: f64, lab: &Lab) -> Result<Self> {
        let (n, d) = (public.len(), public.features());
        if n < 3 {
            return Err(Error::config(format!("a prior of {n} public records"), "expected at least 3"));
        }
        let plain = public.clone().with_normalization(Normalization::none(public.shape()[0]));
        let count = components.min(d).min(n - 1);
        let principal = Principal::fit(&plain, count, lab)?;
        let axes = principal.axes().to_vec();
        let mut mean = vec![0.0; d];
        let mut total = 0.0;
        for row in plain.x().chunks_exact(d) {
            mean.iter_mut().zip(row).for_each(|(m, &v)| *m += f64::from(v) / n as f64);
        }
        let mut variances = vec![0.0; count];
        for row in plain.x().chunks_exact(d) {
            let centred: Vec<f64> = row.iter().zip(&mean).map(|(&v, m)| f64::from(v) - m).collect();
            total += dot(&centred, &centred) / (n - 1) as f64;
            variances.iter_mut().zip(&axes).for_each(|(v, axis)| *v += dot(axis, &centred).powi(2) / (n - 1) as f64);
        }
        let least = Self::FLOOR * variances.first().copied().unwrap_or(0.0);
        if !(least > 0.0 && total.is_finite()) {
            return Err(Error::config("public records that are all equal", "give records that differ, or leave the prior out"));
        }
        let rest = (total - variances.iter().sum::<f64>()) / (d - count).max(1) as f64;
        variances.iter_mut().for_each(|v| *v = v.max(least));
        Ok(Self { weight, mean, axes, variances, rest: rest.max(least) })
    }

    /// The coordinates along the axes, and what is left.
    fn split(&self, x: &[f32]) -> (Vec<f64>, Vec<f64>) {
        let mut left: Vec<f64> = x.iter().zip(&self.mean).map(|(&v, m)| f64::from(v) - m).collect();
        let along: Vec<f64> = self.axes.iter().map(|axis| dot(axis, &left)).collect();
        for (t, axis) in along.iter().zip(&self.axes) {
            left.iter_mut().zip(axis).for_each(|(v, a)| *v -= t * a);
        }
        (along, left)
    }

    /// ½ the squared Mahalanobis distance.
    pub(super) fn half_distance(&self, x: &[f32]) -> f64 {
        let (along, left) = self.split(x);
        let axes: f64 = along.iter().zip(&self.variances).map(|(t, v)| t * t / v).sum();
        0.5 * (axes + dot(&left, &left) / self.rest)
    }

    /// arg min over y of ½ |y − x|² + rate · weight · R(y).
    pub(super) fn shrink(&self, x: &[f32], rate: f64) -> Vec<f32> {
        let (along, left) = self.split(x);
        let pull = rate * self.weight;
        let mut y: Vec<f64> = left.iter().zip(&self.mean).map(|(v, m)| m + v / (1.0 + pull / self.rest)).collect();
        for ((t, variance), axis) in along.iter().zip(&self.variances).zip(&self.axes) {
            let t = t / (1.0 + pull / variance);
            y.iter_mut().zip(axis).for_each(|(v, a)| *v += t * a);
        }
        y.into_iter().map(|v| v as f32).collect()
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Device;

    #[test]
    fn the_gradient_of_total_variation_is_that_of_central_differences() {
        let shape = [2, 4, 5];
        let x: Vec<f32> = (0..40).map(|i| ((i * i * 7) % 23) as f32 / 23.0).collect();
        let (_, gradient) = total_variation(&x, shape);
        for i in 0..40 {
            let at = |by: f32| {
                let mut moved = x.clone();
                moved[i] += by;
                (total_variation(&moved, shape).0, f64::from(moved[i]))
            };
            let ((up, high), (down, low)) = (at(1e-3), at(-1e-3));
            // Third derivatives are at most 1/ε, times the step squared.
            assert!(((up - down) / (high - low) - gradient[i]).abs() < 1e-3, "{i}");
        }
    }

    #[test]
    fn the_proximal_map_of_the_prior_minimises_what_it_should() {
        let lab = Lab::on(Device::Cpu).unwrap().quiet();
        let toy = Dataset::toy();
        let prior = Gaussian::fit(&toy, 5, 0.7, &lab).unwrap();
        let x: Vec<f32> = (0..64).map(|i| (i % 7) as f32 / 7.0).collect();
        let y = prior.shrink(&x, 0.1);
        let objective = |y: &[f32]| {
            let apart: f64 = y.iter().zip(&x).map(|(a, b)| f64::from(a - b).powi(2)).sum();
            0.5 * apart + 0.07 * prior.half_distance(y)
        };
        let least = objective(&y);
        for i in 0..64 {
            for by in [-0.02, 0.02] {
                let mut moved = y.clone();
                moved[i] += by;
                assert!(objective(&moved) > least, "{i}");
            }
        }
    }

    #[test]
    fn the_mean_distance_of_the_records_is_their_dimension() {
        // E of the squared Mahalanobis distance under the fitted covariance is its trace with its inverse: d, times (n − 1)/n.
        let lab = Lab::on(Device::Cpu).unwrap().quiet();
        let toy = Dataset::toy();
        let prior = Gaussian::fit(&toy, 6, 1.0, &lab).unwrap();
        let mean = toy.x().chunks_exact(64).map(|x| 2.0 * prior.half_distance(x)).sum::<f64>() / 120.0;
        assert!((mean - 64.0 * 119.0 / 120.0).abs() < 1e-3, "{mean}");
        assert!(Gaussian::fit(&toy.subset(&[3, 3, 3]).unwrap(), 2, 1.0, &lab).is_err_and(|e| e.to_string().contains("all equal")));
    }
}
