//! Kernel ridge regression with the neural tangent kernel of a fully connected ReLU network: a classifier without training steps.
//!
//! With S the training set, n records, and Y its targets (one-hot − 1 / classes, or the learned labels of a condensed set):
//! f(x) = K(x, S) (K(S, S) + λ trace(K(S, S)) / n · I)⁻¹ Y, and the predicted class is the largest of f(x).
//!
//! That is how condensed sets of [`KernelInducingPoints`](crate::condense::KernelInducingPoints) are meant to be used. In one
//! trial with ten records per class of Fashion-MNIST mini a ConvNet gained little from such a set over as many random records (74.4 %
//! against 71.3 %), and k-means centres served this regression as well (84.0 % against 83.8 %): a table that compares condensers by
//! one network shows that network's taste as much as the sets' quality.
//!
//! # Privacy
//! None: the model carries the event of the data it was fitted to, and its support *is* that data.
//!
//! # References
//! Jacot, Gabriel and Hongler, arXiv 1806.07572; Nguyen, Chen and Lee, arXiv 2011.00050.
//!
//! # Example
//! ```
//! use freelunch::{Dataset, Lab, train::KernelRidge};
//! let toy = Dataset::toy();
//! let model = KernelRidge::new().fit(&toy, &Lab::new()?.quiet())?;
//! assert!(model.accuracy(&toy)?.value() > 0.95);
//! # Ok::<(), freelunch::Error>(())
//! ```

use super::{Evaluation, evaluation};
use crate::data::Normalization;
use crate::kernel::{Cholesky, Columns, Records, TangentKernel, add_ridge, dot};
use crate::privacy::{Event, guard};
use crate::stats::Rate;
use crate::{Dataset, Error, Lab, Result};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The regression's parameters.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[doc(alias = "KRR")]
#[doc(alias = "NTK")]
pub struct KernelRidge {
    /// Hidden layers of the network behind the kernel; 0 is linear regression.
    pub depth: usize,
    /// Variance of the network's weights, positive.
    pub weight_variance: f64,
    /// Variance of the network's biases, at least 0.
    pub bias_variance: f64,
    /// λ ≥ 0, in units of the mean of the kernel's diagonal.
    pub ridge: f64,
}

impl Default for KernelRidge {
    fn default() -> Self {
        Self::new()
    }
}

impl KernelRidge {
    /// Larger sets are refused: their kernel matrix has more than 3.2 GB.
    const MOST_RECORDS: usize = 20_000;

    /// As in the notebook of arXiv 2011.00050: depth 1, variances 2 and 0.01, ridge 1e-6.
    #[must_use]
    pub fn new() -> Self {
        Self { depth: 1, weight_variance: 2.0, bias_variance: 0.01, ridge: 1e-6 }
    }

    /// The same with another number of hidden layers.
    #[must_use]
    pub fn with_depth(mut self, depth: usize) -> Self {
        self.depth = depth;
        self
    }

    /// The same with another variance of the weights.
    #[must_use]
    pub fn with_weight_variance(mut self, weight_variance: f64) -> Self {
        self.weight_variance = weight_variance;
        self
    }

    /// The same with another variance of the biases.
    #[must_use]
    pub fn with_bias_variance(mut self, bias_variance: f64) -> Self {
        self.bias_variance = bias_variance;
        self
    }

    /// The same with another ridge. Real sets with noisy labels want more than condensed ones: 1e-3 up to 1.
    #[must_use]
    pub fn with_ridge(mut self, ridge: f64) -> Self {
        self.ridge = ridge;
        self
    }

    pub(crate) fn check(&self) -> Result<()> {
        if !(self.ridge.is_finite() && self.ridge >= 0.0) {
            return Err(Error::config(format!("ridge is {}", self.ridge), "expected a number of at least 0"));
        }
        self.kernel().check()
    }

    pub(crate) fn kernel(&self) -> TangentKernel {
        TangentKernel { depth: self.depth, weight_variance: self.weight_variance, bias_variance: self.bias_variance }
    }

    /// Solves the regression on `data`. Nothing is random and all work is on the processor; time grows as the cube of the number
    /// of records, memory as its square.
    ///
    /// # Errors
    /// [`Error::Config`] for a parameter out of range, more than 20,000 records, or a ridge that is too small for records that are
    /// nearly equal.
    pub fn fit(&self, data: &Dataset, lab: &Lab) -> Result<KernelModel> {
        self.check()?;
        let n = data.len();
        if n > Self::MOST_RECORDS {
            let what = format!("{n} records in {}", data.name());
            return Err(Error::config(what, format!("expected at most {}: fit to a part of them", Self::MOST_RECORDS)));
        }
        guard(lab, "kernel ridge regression", data)?;
        let mut progress = lab.progress("kernel ridge", 3);
        let support = normalised(data);
        let mut matrix = Columns::new(self.kernel(), &support).own_values(&support);
        add_ridge(&mut matrix, n, self.ridge);
        progress.step(1, "kernel");
        let singular = || Error::config(format!("ridge is {}", self.ridge), "expected more: the records' kernel matrix is singular");
        let factor = Cholesky::of(matrix, n).ok_or_else(singular)?;
        progress.step(2, "factorisation");
        let mut weights = targets(data);
        factor.solve(&mut weights);
        Ok(KernelModel {
            ridge: *self,
            support,
            weights,
            shape: data.shape(),
            classes: data.classes(),
            normalization: data.normalization().clone(),
            event: data.event().clone(),
            fitted_to: data.name().to_string(),
        })
    }
}

/// All records after normalisation.
fn normalised(data: &Dataset) -> Records {
    Records::new(data.normalized().into_iter().map(f64::from), data.features())
}

/// The regression targets, `[classes, n]`: learned ones where there are any.
fn targets(data: &Dataset) -> Vec<f64> {
    let k = data.classes();
    let target = |class: usize, i: usize| match data.soft_labels() {
        Some(learned) => f64::from(learned[i * k + class]),
        None => f64::from(u8::from(data.labels()[i] as usize == class)) - 1.0 / k as f64,
    };
    (0..k).flat_map(|class| (0..data.len()).map(move |i| (class, i))).map(|(class, i)| target(class, i)).collect()
}

/// What [`KernelRidge::fit`] returns: the records it was fitted to, and what each adds to the scores.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct KernelModel {
    ridge: KernelRidge,
    support: Records,
    /// `[classes, n]`.
    weights: Vec<f64>,
    shape: [usize; 3],
    classes: usize,
    normalization: Normalization,
    event: Event,
    fitted_to: String,
}

impl KernelModel {
    /// Records that are compared at a time, so that their kernel values stay small.
    const CHUNK: usize = 512;

    /// The regression's parameters.
    #[must_use]
    pub fn parameters(&self) -> KernelRidge {
        self.ridge
    }

    /// The privacy event of the data it was fitted to.
    #[must_use]
    pub fn event(&self) -> &Event {
        &self.event
    }

    /// The predicted targets of every record, row-major `[n, classes]`. The records are normalised as the training set was.
    ///
    /// # Errors
    /// [`Error::Mismatch`] when the records have another shape or number of classes.
    pub fn scores(&self, data: &Dataset) -> Result<Vec<f32>> {
        if data.shape() != self.shape || data.classes() != self.classes {
            let what = format!("records {:?} in {} classes", data.shape(), data.classes());
            return Err(Error::mismatch(what, format!("the model was fitted to {:?} in {}", self.shape, self.classes)));
        }
        let (n, width) = (self.support.len(), data.features());
        let columns = Columns::new(self.ridge.kernel(), &self.support);
        let mut scores = Vec::with_capacity(data.len() * self.classes);
        for rows in data.x().chunks(Self::CHUNK * width) {
            let rows = self.normalization.apply(rows, self.shape);
            let kernel = columns.values(&Records::new(rows.into_iter().map(f64::from), width)); // [rows, n]
            let part: Vec<Vec<f32>> =
                kernel.par_chunks(n).map(|row| self.weights.chunks_exact(n).map(|weights| dot(row, weights) as f32).collect()).collect();
            scores.extend(part.into_iter().flatten());
        }
        Ok(scores)
    }

    /// Share of records whose largest score is at their label, with a 95 % Clopper-Pearson interval over the records.
    ///
    /// # Errors
    /// As [`KernelModel::scores`].
    pub fn accuracy(&self, data: &Dataset) -> Result<Rate> {
        Ok(Rate::counted(evaluation::hits(&self.scores(data)?, data), data.len()))
    }

    /// Accuracy, accuracy per class, and the confusion matrix.
    ///
    /// # Errors
    /// As [`KernelModel::scores`].
    pub fn evaluate(&self, data: &Dataset) -> Result<Evaluation> {
        Ok(Evaluation::new(&self.scores(data)?, data))
    }
}

impl fmt::Debug for KernelModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KernelModel(depth {}, {} records of {})", self.ridge.depth, self.support.len(), self.fitted_to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lab() -> Lab {
        Lab::on(crate::Device::Cpu).unwrap().quiet()
    }

    /// Every other record of each class, and the rest.
    fn halves(data: &Dataset) -> (Dataset, Dataset) {
        let (mut train, mut test) = (vec![], vec![]);
        for class in 0..data.classes() {
            for (at, i) in data.of_class(class).into_iter().enumerate() {
                if at % 2 == 0 { train.push(i) } else { test.push(i) }
            }
        }
        (data.subset(&train).unwrap(), data.subset(&test).unwrap())
    }

    #[test]
    fn it_fits_its_records_and_generalises() {
        let (train, test) = halves(&Dataset::toy());
        for depth in [1, 2, 4] {
            let model = KernelRidge::new().with_depth(depth).fit(&train, &lab()).unwrap();
            assert_eq!(model.accuracy(&train).unwrap().value(), 1.0, "depth {depth}");
            let test = model.accuracy(&test).unwrap().value();
            assert!(test > 0.85, "depth {depth}: {test}");
        }
        let (train, test) = halves(&Dataset::toy_table());
        let model = KernelRidge::new().with_ridge(0.1).fit(&train, &lab()).unwrap();
        assert!(model.accuracy(&test).unwrap().value() > 0.7, "{}", model.accuracy(&test).unwrap());
    }

    #[test]
    fn depth_zero_is_linear_ridge_regression() {
        // One column of values x, one regularised weight and bias: K = w x x' + b, so f(x) = u x + v, with (u / w, v / b) the
        // solution of ((w x, b)ᵀ (x, 1) + λ mean(diagonal)) = ... ; here by the normal equations in the two features.
        let x = [-2.0f32, -1.0, 1.0, 3.0];
        let labels = vec![0, 0, 1, 1];
        let names = vec!["low".to_string(), "high".to_string()];
        let data = Dataset::images("line", x.to_vec(), [1, 1, 1], labels, names).unwrap().with_normalization(Normalization::none(1));
        let (w, b, ridge) = (2.0f64, 0.5f64, 0.1);
        let fit = KernelRidge { depth: 0, weight_variance: w, bias_variance: b, ridge };
        let scores = fit.fit(&data, &lab()).unwrap().scores(&data).unwrap();
        // Features (√w x, √b) and weights a: minimise Σ (a·φ − y)² + λ m |a|², m the mean of K's diagonal.
        let x = x.map(f64::from);
        let m = ridge * x.iter().map(|x| w * x * x + b).sum::<f64>() / 4.0;
        let (xx, sx) = (x.iter().map(|x| x * x).sum::<f64>(), x.iter().sum::<f64>());
        let (p, q, r) = (w * xx + m, (w * b).sqrt() * sx, 4.0 * b + m);
        let y = [-0.5, -0.5, 0.5, 0.5]; // of the second class
        let (s, t) = (w.sqrt() * x.iter().zip(y).map(|(x, y)| x * y).sum::<f64>(), b.sqrt() * y.iter().sum::<f64>());
        let determinant = p * r - q * q;
        let (slope, offset) = ((r * s - q * t) / determinant, (p * t - q * s) / determinant);
        for (x, scores) in x.iter().zip(scores.chunks(2)) {
            let expected = slope * w.sqrt() * x + offset * b.sqrt();
            // Scores are f32.
            assert!((f64::from(scores[1]) - expected).abs() < 1e-6, "{} instead of {expected}", scores[1]);
            assert!((scores[0] + scores[1]).abs() < 1e-6, "centred targets give centred scores");
        }
    }

    #[test]
    fn learned_labels_are_its_targets_and_the_training_sets_normalisation_is_kept() {
        let (train, test) = halves(&Dataset::toy());
        let k = train.classes();
        let flipped: Vec<f32> =
            train.labels().iter().flat_map(|&l| (0..k).map(move |c| if c == l as usize { -0.75 } else { 0.25 })).collect();
        let plain = KernelRidge::new().fit(&train, &lab()).unwrap();
        let learned = KernelRidge::new().fit(&train.clone().with_soft_labels(flipped).unwrap(), &lab()).unwrap();
        let elsewhere = test.clone().with_normalization(Normalization { mean: vec![3.0], std: vec![7.0] });
        for (a, b) in plain.scores(&test).unwrap().iter().zip(learned.scores(&elsewhere).unwrap()) {
            assert_eq!(*a, -b);
        }
    }

    #[test]
    fn what_cannot_be_fitted_is_named() {
        let toy = Dataset::toy();
        let message = |ridge: KernelRidge, data: &Dataset| ridge.fit(data, &lab()).unwrap_err().to_string();
        assert!(message(KernelRidge::new().with_ridge(-1.0), &toy).contains("ridge is -1"));
        assert!(message(KernelRidge::new().with_weight_variance(0.0), &toy).contains("weight_variance is 0"));
        assert!(message(KernelRidge::new().with_bias_variance(f64::NAN), &toy).contains("bias_variance is NaN"));
        let twins = toy.subset(&[0, 0, 1]).unwrap();
        assert!(message(KernelRidge::new().with_ridge(0.0), &twins).contains("singular"));
        assert!(KernelRidge::new().fit(&twins, &lab()).is_ok());
        let model = KernelRidge::new().fit(&toy, &lab()).unwrap();
        assert!(model.scores(&Dataset::toy_table()).unwrap_err().to_string().contains("fitted to [1, 8, 8]"));
    }

    #[test]
    fn a_model_survives_serde() {
        let (train, test) = halves(&Dataset::toy());
        let model = KernelRidge::new().fit(&train, &lab()).unwrap();
        let back: KernelModel = serde_json::from_str(&serde_json::to_string(&model).unwrap()).unwrap();
        for (a, b) in back.scores(&test).unwrap().iter().zip(model.scores(&test).unwrap()) {
            assert!((a - b).abs() < 1e-5, "JSON may cost a rounding of every f64: {a} against {b}");
        }
        assert!(format!("{model:?}").len() < 100);
    }
}
