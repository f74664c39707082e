//! Principal components of public records, by orthogonal iteration in double precision.
//!
//! With C the covariance of the normalised records: Q ← orthonormal basis of C Q, by Gram and Schmidt, until the variances
//! qᵢᵀ C qᵢ stand still. A few vectors more than asked for make the last ones converge faster.

use crate::data::{Normalization, Origin};
use crate::device::guarded;
use crate::generate::private_autoencoder::encoder::codes_of;
use crate::privacy::Event;
use crate::{Dataset, Device, Error, Lab, Result};
use burn::tensor::{DType, Tensor, TensorData};
use rand::RngExt;
use rayon::prelude::*;

/// The directions of largest variance.
pub(crate) struct Principal {
    normalization: Normalization,
    shape: [usize; 3],
    mean: Vec<f64>,
    /// Orthonormal, the one of largest variance first.
    axes: Vec<Vec<f64>>,
    event: Event,
}

impl Principal {
    const SPARE: usize = 8;
    const MOST_ITERATIONS: usize = 500;
    /// Relative change of a variance below which it stands still.
    const STILL: f64 = 1e-10;
    const CHUNK: usize = 2048;

    /// The first `count` components of `data`.
    pub(crate) fn fit(data: &Dataset, count: usize, lab: &Lab) -> Result<Self> {
        let d = data.features();
        let (mean, covariance) = guarded(&Device::Cpu, || mean_and_covariance(&data.normalized(), d))?;
        let axes = largest(&covariance, d, count.min(d), lab)?;
        Ok(Self { normalization: data.normalization().clone(), shape: data.shape(), mean, axes, event: data.event().clone() })
    }

    /// Orthonormal, the one of largest variance first.
    pub(crate) fn axes(&self) -> &[Vec<f64>] {
        &self.axes
    }

    /// The components of records of the same kind, as a table.
    pub(crate) fn apply(&self, data: &Dataset) -> Result<Dataset> {
        let x = self.normalization.apply(data.x(), self.shape);
        let along =
            |row: &[f32], axis: &Vec<f64>| axis.iter().zip(row).zip(&self.mean).map(|((a, &v), m)| a * (f64::from(v) - m)).sum::<f64>();
        let rows: Vec<f32> =
            x.par_chunks(self.mean.len()).flat_map_iter(|row| self.axes.iter().map(move |axis| along(row, axis) as f32)).collect();
        let event = data.event().clone().and(self.event.clone());
        let config = serde_json::json!({ "components": self.axes.len() });
        codes_of(data, rows, self.axes.len(), Origin { event, config, ..Origin::real("principal components") })
    }
}

/// Mean and covariance, row-major, of rows of `d` values, in double precision.
fn mean_and_covariance(x: &[f32], d: usize) -> Result<(Vec<f64>, Vec<f64>)> {
    let device = Device::Cpu.open()?;
    let n = x.len() / d;
    let mut mean = vec![0.0; d];
    for row in x.chunks_exact(d) {
        mean.iter_mut().zip(row).for_each(|(m, &v)| *m += f64::from(v) / n as f64);
    }
    let mut sum: Tensor<2> = Tensor::from_data(TensorData::new(vec![0.0f64; d * d], [d, d]), (&device, DType::F64));
    for part in x.chunks(Principal::CHUNK * d) {
        let centred: Vec<f64> = part.chunks_exact(d).flat_map(|row| row.iter().zip(&mean).map(|(&v, m)| f64::from(v) - m)).collect();
        let rows: Tensor<2> = Tensor::from_data(TensorData::new(centred, [part.len() / d, d]), (&device, DType::F64));
        sum = sum + rows.clone().transpose().matmul(rows); // [d, d]
    }
    let unreadable = |e| Error::device(Device::Cpu, format!("could not read a tensor back: {e:?}"), "use smaller records");
    Ok((mean, (sum / (n - 1) as f64).try_into_vec_as::<f64>().map_err(unreadable)?))
}

/// The eigenvectors of a symmetric matrix, row-major, that belong to its largest eigenvalues.
fn largest(matrix: &[f64], d: usize, count: usize, lab: &Lab) -> Result<Vec<Vec<f64>>> {
    let mut rng = lab.rng("principal components", 0);
    let wide = (count + Principal::SPARE).min(d);
    let mut axes: Vec<Vec<f64>> = (0..wide).map(|_| (0..d).map(|_| rng.random_range(-1.0..1.0)).collect()).collect();
    orthonormalise(&mut axes);
    let mut before = vec![f64::INFINITY; wide];
    for _ in 0..Principal::MOST_ITERATIONS {
        let images: Vec<Vec<f64>> = axes.par_iter().map(|axis| matrix.chunks_exact(d).map(|row| dot(row, axis)).collect()).collect();
        let variances: Vec<f64> = axes.iter().zip(&images).map(|(axis, image)| dot(axis, image)).collect();
        axes = images;
        orthonormalise(&mut axes);
        let scale = variances.first().map_or(0.0, |v| v.abs());
        if !scale.is_finite() {
            return Err(Error::Diverged { what: "a variance".into(), step: 0, value: scale });
        }
        if variances.iter().zip(&before).take(count).all(|(now, then)| (now - then).abs() <= Principal::STILL * scale) {
            break;
        }
        before = variances;
    }
    axes.truncate(count);
    Ok(axes)
}

/// Gram and Schmidt, twice for accuracy. A direction in which there is nothing becomes zero.
fn orthonormalise(axes: &mut [Vec<f64>]) {
    for i in 0..axes.len() {
        let (done, rest) = axes.split_at_mut(i);
        let axis = &mut rest[0];
        let length = dot(axis, axis).sqrt();
        for _ in 0..2 {
            for other in done.iter() {
                let along = dot(axis, other);
                axis.iter_mut().zip(other).for_each(|(v, o)| *v -= along * o);
            }
        }
        let left = dot(axis, axis).sqrt();
        let factor = if left > 1e-12 * length && left > 0.0 { 1.0 / left } else { 0.0 };
        axis.iter_mut().for_each(|v| *v *= factor);
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lab() -> Lab {
        Lab::on(Device::Cpu).unwrap().quiet()
    }

    #[test]
    fn a_matrix_with_a_known_turn_gives_its_axes_in_order() {
        // R diag(5, 2, 1) Rᵀ with R a turn by 0.3 in the first two coordinates.
        let (c, s) = (0.3f64.cos(), 0.3f64.sin());
        let matrix = [5.0 * c * c + 2.0 * s * s, 3.0 * c * s, 0.0, 3.0 * c * s, 5.0 * s * s + 2.0 * c * c, 0.0, 0.0, 0.0, 1.0];
        let axes = largest(&matrix, 3, 2, &lab()).unwrap();
        for (axis, expected) in axes.iter().zip([[c, s, 0.0], [-s, c, 0.0]]) {
            assert!((dot(axis, &expected).abs() - 1.0).abs() < 1e-8, "{axis:?}"); // the sign is free
        }
    }

    #[test]
    fn components_are_uncorrelated_with_falling_variance_and_no_direction_has_more() {
        let toy = Dataset::toy().declared_public();
        let components = Principal::fit(&toy, 5, &lab()).unwrap();
        let codes = components.apply(&toy).unwrap();
        let column = |j: usize| -> Vec<f64> { codes.x().iter().skip(j).step_by(5).map(|&v| f64::from(v)).collect() };
        let product = |i: usize, j: usize| dot(&column(i), &column(j)) / 119.0;
        for i in 1..5 {
            assert!(product(i, i) <= product(i - 1, i - 1) && product(i, i) > 0.0);
            // Variances stand still to 1e-10, so axes to its root; codes are f32.
            assert!(product(i, i - 1).abs() < 1e-3 * product(0, 0));
        }
        // By Courant and Fischer the first axis has at least the variance of any single pixel or any difference of two.
        let (mean, covariance) = mean_and_covariance(&toy.normalized(), 64).unwrap();
        assert_eq!(mean.len(), 64);
        for i in 0..64 {
            assert!(covariance[i * 65] <= product(0, 0));
        }
        // As many components as values keep all the variance.
        let all = Principal::fit(&toy, 64, &lab()).unwrap().apply(&toy).unwrap();
        let kept = all.x().iter().map(|&v| f64::from(v).powi(2)).sum::<f64>() / 119.0;
        let trace: f64 = (0..64).map(|i| covariance[i * 65]).sum();
        assert!((kept / trace - 1.0).abs() < 1e-5, "{kept} of {trace}");
        assert_eq!(*all.event(), Event::NoOp);
    }
}
