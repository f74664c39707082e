//! Random Fourier features: their sums over records, and the distance of a generated batch to released means with its gradient.

use crate::data::rows_at;
use crate::nn::to_host;
use crate::train::chunk_of;
use crate::{Dataset, Lab, Result};
use burn::tensor::{Tensor, TensorData};
use rand_distr::{Distribution, StandardNormal};
use rayon::prelude::*;

/// φ(x) = (cos W x, sin W x) / √D, of length 1.
pub(super) struct Features {
    /// `[D, d]`.
    frequencies: Tensor<2>,
}

/// Mean embeddings of the classes, cosines and sines apart, each `[classes, 1, D]`.
pub(super) struct Target {
    pub(super) cos: Tensor<3>,
    pub(super) sin: Tensor<3>,
}

impl Target {
    /// From means `[classes, 2 D]`, cosines first.
    pub(super) fn new(means: Vec<f32>, classes: usize, lab: &Lab) -> Result<Self> {
        let half = means.len() / classes / 2;
        let all = Tensor::<3>::from_data(TensorData::new(means, [classes, 2, half]), &lab.open()?);
        Ok(Self { cos: all.clone().slice([0..classes, 0..1, 0..half]), sin: all.slice([0..classes, 1..2, 0..half]) })
    }
}

impl Features {
    /// `half` frequencies for records of `d` values and a kernel of `length`.
    pub(super) fn new(d: usize, half: usize, length: f64, lab: &Lab) -> Result<Self> {
        let mut rng = lab.rng("frequencies", 0);
        let w = (0..half * d).map(|_| -> f64 { StandardNormal.sample(&mut rng) }).map(|z| (z / length) as f32).collect();
        Self::with_frequencies(w, d, lab)
    }

    pub(super) fn with_frequencies(w: Vec<f32>, d: usize, lab: &Lab) -> Result<Self> {
        let half = w.len() / d;
        Ok(Self { frequencies: Tensor::from_data(TensorData::new(w, [half, d]), &lab.open()?) })
    }

    /// W x of rows `[n, d]`: `[n, D]`.
    fn phases(&self, x: Tensor<2>) -> Tensor<2> {
        x.matmul(self.frequencies.clone().transpose())
    }

    /// Σ φ(x) over the records of each class, `[classes, 2 D]`. Phases are in 32 bits, their cosines and sines in 64: whatever the phase,
    /// the length of φ is then 1 to fifteen digits, which is what the noise is for.
    pub(super) fn sums(&self, x: &[f32], data: &Dataset, lab: &Lab) -> Result<Vec<f64>> {
        let [half, d] = self.frequencies.dims();
        let device = lab.open()?;
        let chunk = chunk_of(lab.device());
        let classes: Result<Vec<Vec<f64>>> = (0..data.classes())
            .into_par_iter()
            .map(|class| {
                let mut sum = vec![0.0; 2 * half];
                for part in data.of_class(class).chunks(chunk) {
                    let rows = rows_at(x, d, part);
                    let rows = Tensor::from_data(TensorData::new(rows, [part.len(), d]), &device);
                    for phases in to_host(self.phases(rows))?.chunks_exact(half) {
                        add(&mut sum, phases);
                    }
                }
                Ok(sum)
            })
            .collect();
        Ok(classes?.concat())
    }

    /// ‖target − mean φ‖² summed over the classes, and its gradient in the generated rows `[n, d]`, which come class by class, equally many
    /// of each. Estimated without the products of records with themselves, so that its expectation is that of an endless batch.
    pub(super) fn distance(&self, x: Tensor<2>, target: &Target) -> Result<(f64, Tensor<2>)> {
        let [classes, _, half] = target.cos.dims();
        let [n, _] = x.dims();
        let m = n / classes;
        let root = (half as f64).sqrt();
        let phases = self.phases(x).reshape([classes, m, half]);
        let (cos, sin) = (phases.clone().cos() / root, phases.sin() / root); // [classes, m, D]
        let (mean_cos, mean_sin) = (cos.clone().mean_dim(1), sin.clone().mean_dim(1)); // [classes, 1, D]
        let spread = m as f64 / (m as f64 - 1.0);
        let dot = |a: &Tensor<3>, b: &Tensor<3>| (a.clone() * b.clone()).sum();
        let of_target = dot(&target.cos, &target.cos) + dot(&target.sin, &target.sin);
        let across = dot(&target.cos, &mean_cos) + dot(&target.sin, &mean_sin);
        // Σ_{i ≠ j} φ_i·φ_j / m (m − 1), from the mean and from |φ| = 1.
        let of_made = (dot(&mean_cos, &mean_cos) + dot(&mean_sin, &mean_sin)) * spread - classes as f64 / (m as f64 - 1.0);
        let loss = to_host(of_target - across * 2.0 + of_made)?;
        let pull = |mean: Tensor<3>, target: &Tensor<3>| (mean * spread - target.clone()) * (2.0 / m as f64);
        let (grad_cos, grad_sin) = (pull(mean_cos, &target.cos), pull(mean_sin, &target.sin));
        let grad = cos * grad_sin - sin * grad_cos; // cos' = −sin, sin' = cos; both carry 1 / √D
        let grad = grad.reshape([n, half]).matmul(self.frequencies.clone());
        Ok((f64::from(loss.first().copied().unwrap_or(f32::NAN)), grad))
    }
}

/// Adds φ at these phases.
pub(super) fn add(sum: &mut [f64], phases: &[f32]) {
    let half = phases.len();
    let scale = 1.0 / (half as f64).sqrt();
    let (cosines, sines) = sum.split_at_mut(half);
    for ((cos, sin), &phase) in cosines.iter_mut().zip(sines).zip(phases) {
        let (s, c) = f64::from(phase).sin_cos();
        *cos += scale * c;
        *sin += scale * s;
    }
}
