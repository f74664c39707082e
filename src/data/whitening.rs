//! ZCA whitening: records turned so that their values are uncorrelated with variance 1, as near to the original as that allows.
//!
//! y = W (x − μ) with W = (C + ε I)^{−1/2}, where μ and C are mean and covariance of the normalised records; back with
//! x = W⁻¹ y + μ.
//!
//! 1. μ and C in double precision, C divided by n − 1.
//! 2. Both roots of A = (C + ε I) / s, s its Frobenius norm, by the coupled Newton-Schulz iteration from Y = A, Z = I:
//!    T = (3 I − Z Y) / 2, Y ← Y T → A^{1/2}, Z ← T Z → A^{−1/2}. It needs matrix products only.
//!
//! Time grows with the cube of the values of a record: 28×28 take seconds, 3×32×32 about sixty times as long.
//!
//! # Privacy
//! None: μ and W are statistics of the records. Whoever releases whitened records or shows them inverted releases something of them.
//!
//! # References
//! Bell and Sejnowski, "The independent components of natural scenes are edge filters" (Vision Research 1997); ε = 0.1 as in the
//! code of "Dataset Distillation by Matching Training Trajectories", arXiv 2203.11932; Higham, "Functions of Matrices" (2008), chapter 6.
//!
//! # Example
//! ```
//! use freelunch::{Dataset, data::Whitening};
//! let toy = Dataset::toy();
//! let whitening = Whitening::fit(&toy)?;
//! let whitened = whitening.apply(&toy)?;
//! let back = whitening.invert(&whitened)?;
//! assert!(back.x().iter().zip(toy.x()).all(|(a, b)| (a - b).abs() < 1e-3));
//! # Ok::<(), freelunch::Error>(())
//! ```

use super::{Column, Normalization};
use crate::device::guarded;
use crate::{Dataset, Device, Error, Result};
use burn::tensor::{DType, Device as Place, Tensor, TensorData};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;

/// A fitted whitening: fit it on training records, then apply it to training and test records alike.
///
/// # Example
/// ```
/// use freelunch::{Dataset, data::Whitening};
/// let whitening = Whitening::fit_with_epsilon(&Dataset::toy(), 0.01)?;
/// assert_eq!(whitening.epsilon(), 0.01);
/// # Ok::<(), freelunch::Error>(())
/// ```
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[doc(alias = "ZCA")]
pub struct Whitening {
    shape: [usize; 3],
    normalization: Normalization,
    epsilon: f64,
    mean: Arc<Vec<f32>>,
    /// W, symmetric.
    whiten: Arc<Vec<f32>>,
    /// W⁻¹, symmetric.
    unwhiten: Arc<Vec<f32>>,
}

impl Whitening {
    /// The ridge ε that the literature on condensation uses.
    pub const EPSILON: f64 = 0.1;
    /// Records that are multiplied at a time: bounds the copies in double precision.
    const CHUNK: usize = 2048;

    /// Mean and covariance of the normalised records, with the ridge ε = 0.1.
    ///
    /// # Errors
    /// [`Error::Config`] for fewer than two records or a table with categories, [`Error::Device`] without the processor's backend.
    pub fn fit(data: &Dataset) -> Result<Self> {
        Self::fit_with_epsilon(data, Self::EPSILON)
    }

    /// The same with another ridge ε > 0, in units of normalised variance: directions with less variance than ε are whitened only
    /// in part, which keeps their noise down.
    ///
    /// # Errors
    /// As [`Whitening::fit`]; [`Error::Config`] also for an ε that is not positive, or too small beside the largest variance.
    pub fn fit_with_epsilon(data: &Dataset, epsilon: f64) -> Result<Self> {
        if !(epsilon.is_finite() && epsilon > 0.0) {
            return Err(Error::config(format!("epsilon is {epsilon}"), "expected a positive number; 0.1 is usual"));
        }
        if data.len() < 2 {
            return Err(Error::config("whitening of 1 record", "expected at least two records"));
        }
        if data.schema().is_some_and(|schema| schema.columns.iter().any(|column| matches!(column, Column::Categorical { .. }))) {
            let what = format!("whitening of {}, which has categories", data.name());
            return Err(Error::config(what, "whiten images, or tables with numeric columns only"));
        }
        guarded(&Device::Cpu, || {
            let device = Device::Cpu.open()?;
            let (mean, mut matrix) = mean_and_covariance(&data.normalized(), data.features(), Self::CHUNK, &device)?;
            matrix.iter_mut().step_by(data.features() + 1).for_each(|diagonal| *diagonal += epsilon);
            let roots = Roots::of(matrix, data.features(), &device)?;
            let single = |values: Vec<f64>| Arc::new(values.into_iter().map(|v| v as f32).collect::<Vec<f32>>());
            Ok(Self {
                shape: data.shape(),
                normalization: data.normalization().clone(),
                epsilon,
                mean: single(mean),
                whiten: single(roots.inverse_root),
                unwhiten: single(roots.root),
            })
        })
    }

    /// The whitened records, under no further normalisation: networks see them as they are. They are not pixels: invert them
    /// before you look at them.
    ///
    /// # Errors
    /// [`Error::Mismatch`] for records of another shape.
    pub fn apply(&self, data: &Dataset) -> Result<Dataset> {
        self.same_shape(data)?;
        let mut x = self.normalization.apply(data.x(), self.shape);
        x.chunks_exact_mut(self.mean.len()).for_each(|row| row.iter_mut().zip(self.mean.iter()).for_each(|(v, m)| *v -= m));
        let y = self.times(x, &self.whiten)?;
        let mut white = with_values(data, y)?.with_normalization(Normalization::none(self.shape[0]));
        if white.origin.is_real() {
            // Every value now depends on all records that were fitted.
            white.origin.config = serde_json::json!({ "whitening": self.epsilon });
        }
        Ok(white)
    }

    /// Whitened records (or synthetic ones made from them) in natural units, under the normalisation of the records that were
    /// fitted.
    ///
    /// # Errors
    /// [`Error::Mismatch`] for records of another shape, or under a normalisation, which whitened ones do not have.
    pub fn invert(&self, data: &Dataset) -> Result<Dataset> {
        self.same_shape(data)?;
        if *data.normalization() != Normalization::none(self.shape[0]) {
            let what = format!("{} is normalised, so it is not whitened", data.name());
            return Err(Error::mismatch(what, "invert what `apply` returned, or what was made from it"));
        }
        let mut x = self.times(data.x().to_vec(), &self.unwhiten)?;
        x.chunks_exact_mut(self.mean.len()).for_each(|row| row.iter_mut().zip(self.mean.iter()).for_each(|(v, m)| *v += m));
        Ok(with_values(data, self.normalization.undo(&x, self.shape))?.with_normalization(self.normalization.clone()))
    }

    /// The ridge ε.
    #[must_use]
    pub fn epsilon(&self) -> f64 {
        self.epsilon
    }

    fn same_shape(&self, data: &Dataset) -> Result<()> {
        if data.shape() == self.shape {
            return Ok(());
        }
        let what = format!("whitening of shape {:?} for {} of shape {:?}", self.shape, data.name(), data.shape());
        Err(Error::mismatch(what, "fit the whitening on records of the same shape"))
    }

    /// Every row times a symmetric matrix.
    fn times(&self, rows: Vec<f32>, matrix: &[f32]) -> Result<Vec<f32>> {
        let d = self.mean.len();
        guarded(&Device::Cpu, || {
            let device = Device::Cpu.open()?;
            let n = rows.len() / d;
            let rows: Tensor<2> = Tensor::from_data(TensorData::new(rows, [n, d]), &device);
            let matrix: Tensor<2> = Tensor::from_data(TensorData::new(matrix.to_vec(), [d, d]), &device);
            crate::nn::to_host(rows.matmul(matrix)) // [n, d]
        })
    }
}

impl fmt::Debug for Whitening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Whitening(records of {:?}, epsilon {})", self.shape, self.epsilon)
    }
}

/// The same records with other values: labels, learned targets, normalisation, name and history stay.
pub(crate) fn with_values(data: &Dataset, x: Vec<f32>) -> Result<Dataset> {
    let made = data.synthetic(x, data.labels().to_vec(), data.origin().clone())?.named(data.name());
    match data.soft_labels() {
        Some(targets) => made.with_soft_labels(targets.to_vec()),
        None => Ok(made),
    }
}

/// μ and C, row-major, of the rows of `x`.
fn mean_and_covariance(x: &[f32], d: usize, chunk: usize, device: &Place) -> Result<(Vec<f64>, Vec<f64>)> {
    let n = x.len() / d;
    let mut mean = vec![0.0; d];
    for row in x.chunks_exact(d) {
        mean.iter_mut().zip(row).for_each(|(m, &v)| *m += f64::from(v) / n as f64);
    }
    let mut sum = matrix(vec![0.0; d * d], d, device);
    for part in x.chunks(chunk * d) {
        let centred: Vec<f64> = part.chunks_exact(d).flat_map(|row| row.iter().zip(&mean).map(|(&v, m)| f64::from(v) - m)).collect();
        let rows = matrix(centred, d, device); // [chunk, d]
        sum = sum + rows.clone().transpose().matmul(rows); // [d, d]
    }
    Ok((mean, to_host(sum / (n - 1) as f64)?))
}

/// A^{1/2} and A^{−1/2} of a symmetric positive definite matrix, row-major.
struct Roots {
    root: Vec<f64>,
    inverse_root: Vec<f64>,
}

impl Roots {
    /// An eigenvalue grows by 9/4 an iteration until it is near 1: enough for a condition of 1e12, beyond which doubles are of no use.
    const MOST_ITERATIONS: usize = 40;
    /// The root mean square of the rows of I − Z Y below which both roots count as found.
    const FOUND: f64 = 1e-6;

    fn of(values: Vec<f64>, d: usize, device: &Place) -> Result<Self> {
        // All eigenvalues of A / s are in (0, 1], where the iteration converges.
        let scale = values.iter().map(|v| v * v).sum::<f64>().sqrt();
        let identity = matrix((0..d * d).map(|i| if i % (d + 1) == 0 { 1.0 } else { 0.0 }).collect(), d, device);
        let mut y = matrix(values, d, device) / scale;
        let mut z = identity.clone();
        let mut left = f64::INFINITY;
        for _ in 0..Self::MOST_ITERATIONS {
            let product = z.clone().matmul(y.clone());
            let before = left;
            left = residual(identity.clone() - product.clone(), d)?;
            // It converges quadratically: once close, a step that does not help has met the rounding error.
            if left < 1e-12 || (left < 1e-2 && left >= before) {
                break;
            }
            let t = identity.clone() * 1.5 - product * 0.5;
            y = y.matmul(t.clone());
            z = t.matmul(z);
        }
        if left.is_nan() || left > Self::FOUND {
            let what = format!("the square root of the covariance is known to {left:.1e} only");
            return Err(Error::config(what, "use a larger epsilon"));
        }
        Ok(Self { root: to_host(y * scale.sqrt())?, inverse_root: to_host(z / scale.sqrt())? })
    }
}

fn residual(difference: Tensor<2>, d: usize) -> Result<f64> {
    let sum = to_host((difference.clone() * difference).sum().reshape([1, 1]))?;
    Ok((sum.first().copied().unwrap_or(f64::NAN) / d as f64).sqrt())
}

/// Rows of `d` values, in double precision.
fn matrix(values: Vec<f64>, d: usize, device: &Place) -> Tensor<2> {
    let rows = values.len() / d;
    Tensor::from_data(TensorData::new(values, [rows, d]), (device, DType::F64))
}

fn to_host(tensor: Tensor<2>) -> Result<Vec<f64>> {
    let what = |e| Error::device(Device::Cpu, format!("could not read a tensor back: {e:?}"), "use smaller records");
    tensor.try_into_vec_as::<f64>().map_err(what)
}

#[cfg(test)]
mod tests;
