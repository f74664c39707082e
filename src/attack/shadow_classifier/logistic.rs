//! Logistic regression with a ridge, by Newton's method: the optimum of a convex function, without steps or epochs to choose.
//!
//! With z the columns standardised over the rows, f(z) = b + wᵀz and t = 1 for members, 0 for the others, it minimises
//! (1/n) Σᵢ [log(1 + exp f(zᵢ)) − tᵢ f(zᵢ)] + (λ/2)|w|². The ridge λ > 0 keeps w finite where the rows can be separated, and unique
//! where the columns are dependent, as probabilities are, which sum to 1; b is free.
//!
//! 1. Newton's step: (Zᵀ V Z/n + λ) δ = gradient, V = diag p(1 − p) (iteratively reweighted least squares).
//! 2. Half the step until the objective falls by at least 10⁻⁴ of what the gradient promises.
//! 3. Stop when the promise is below 10⁻¹⁴ in the objective, or nothing falls any more.

use crate::kernel::{Cholesky, axpy, dot};
use crate::{Error, Result};

/// More than a separable set with a ridge of 1e-12 takes.
const MOST_STEPS: usize = 200;

/// A fitted logistic regression.
#[derive(Debug, Clone)]
pub(super) struct Logistic {
    mean: Vec<f64>,
    scale: Vec<f64>,
    weights: Vec<f64>, // one for each column, then b
}

impl Logistic {
    /// The fit to row-major `[n, width]` values, at least one row; `members` has one mark for each row.
    pub(super) fn fit(rows: &[f64], width: usize, members: &[bool], ridge: f64) -> Result<Self> {
        let (mean, scale) = standard(rows, width);
        let mut model = Self { mean, scale, weights: vec![0.0; width + 1] };
        let z: Vec<f64> = rows.chunks_exact(width).flat_map(|row| model.standardised(row)).collect();
        let problem = Problem { z: &z, members, ridge };
        for _ in 0..MOST_STEPS {
            let (gradient, curvature) = problem.derivatives(&model.weights);
            let Some(factor) = Cholesky::of(curvature, width + 1) else {
                return Err(Error::config(format!("ridge is {ridge}"), "too small for these rows, choose a larger one"));
            };
            let mut step = gradient.clone();
            factor.solve(&mut step);
            let promise = dot(&gradient, &step);
            if promise.is_nan() || promise < 1e-14 || !problem.descend(&mut model.weights, &step, promise) {
                break;
            }
        }
        Ok(model)
    }

    /// f: the log-odds of "member".
    pub(super) fn log_odds(&self, row: &[f64]) -> f64 {
        dot(&self.weights, &self.standardised(row))
    }

    /// The standardised values and a 1 for b.
    fn standardised(&self, row: &[f64]) -> Vec<f64> {
        let standard = row.iter().zip(&self.mean).zip(&self.scale).map(|((value, mean), scale)| (value - mean) / scale);
        standard.chain([1.0]).collect()
    }
}

/// Mean and deviation of every column.
fn standard(rows: &[f64], width: usize) -> (Vec<f64>, Vec<f64>) {
    let n = (rows.len() / width) as f64;
    let mut mean = vec![0.0; width];
    rows.chunks_exact(width).for_each(|row| axpy(1.0 / n, row, &mut mean));
    let mut squares = vec![0.0; width];
    for row in rows.chunks_exact(width) {
        for ((square, value), mean) in squares.iter_mut().zip(row).zip(&mean) {
            *square += (value - mean).powi(2) / n;
        }
    }
    // A column that is constant but for rounding says nothing; its scale must not blow that rounding up.
    let scale = squares.into_iter().map(|square: f64| if square > 1e-24 { square.sqrt() } else { 1.0 }).collect();
    (mean, scale)
}

struct Problem<'a> {
    z: &'a [f64], // [n, columns and a 1]
    members: &'a [bool],
    ridge: f64,
}

impl Problem<'_> {
    fn objective(&self, weights: &[f64]) -> f64 {
        let w = of_columns(weights);
        let loss = |(row, &member): (&[f64], &bool)| {
            let f = dot(weights, row);
            let towards_wrong = if member { -f } else { f };
            towards_wrong.max(0.0) + libm::log1p(libm::exp(-towards_wrong.abs()))
        };
        let losses: f64 = self.z.chunks_exact(weights.len()).zip(self.members).map(loss).sum();
        losses / self.members.len() as f64 + 0.5 * self.ridge * dot(w, w)
    }

    /// The gradient, and the lower triangle of the matrix of second derivatives.
    fn derivatives(&self, weights: &[f64]) -> (Vec<f64>, Vec<f64>) {
        let (size, n) = (weights.len(), self.members.len() as f64);
        let (mut gradient, mut curvature) = (vec![0.0; size], vec![0.0; size * size]);
        for (row, &member) in self.z.chunks_exact(size).zip(self.members) {
            let f = dot(weights, row);
            let odds = libm::exp(-f.abs());
            let (far, near) = (1.0 / (1.0 + odds), odds / (1.0 + odds));
            let (p, q) = if f >= 0.0 { (far, near) } else { (near, far) };
            // 1 − p would round to 0 where q does not.
            axpy(if member { -q } else { p } / n, row, &mut gradient);
            for (i, value) in row.iter().enumerate() {
                axpy(p * q / n * value, &row[..=i], &mut curvature[i * size..=i * size + i]);
            }
        }
        let w = of_columns(weights);
        axpy(self.ridge, w, &mut gradient);
        (0..w.len()).for_each(|i| curvature[i * size + i] += self.ridge);
        (gradient, curvature)
    }

    /// Goes against `step` as far as it helps; says whether it did.
    fn descend(&self, weights: &mut Vec<f64>, step: &[f64], promise: f64) -> bool {
        let now = self.objective(weights);
        let mut length = 1.0;
        while length > 1e-10 {
            let mut next = weights.clone();
            axpy(-length, step, &mut next);
            if self.objective(&next) <= now - 1e-4 * length * promise {
                *weights = next;
                return true;
            }
            length *= 0.5;
        }
        false
    }
}

/// The weights without b.
fn of_columns(weights: &[f64]) -> &[f64] {
    weights.split_last().map_or(&[], |(_, columns)| columns)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 60 probability vectors of 3 classes, 31 of them members.
    fn rows() -> (Vec<f64>, Vec<bool>) {
        let part = |i: usize, factor: usize, shift: usize, of: usize| ((i * factor + shift) % of) as f64 / of as f64;
        let first = |i| part(i, 37, 5, 61);
        let row = |i| {
            let second = part(i, 53, 11, 59) * (1.0 - first(i));
            [first(i), second, 1.0 - first(i) - second]
        };
        ((0..60).flat_map(row).collect(), (0..60).map(|i| first(i) + 0.6 * part(i, 29, 3, 47) > 0.8).collect())
    }

    #[test]
    fn log_odds_agree_with_scikit_learn() {
        // scikit-learn 1.9.1 on (x - x.mean(0)) / x.std(0): LogisticRegression(C=1 / (ridge * 60), solver="newton-cg", tol=1e-14,
        // max_iter=10000), decision_function of records 0, 1, 2 and 59.
        let expected = [
            (1e-2, [-3.56189915047105, 1.906095711230917, -1.5893173249667947, 3.535403637306704]),
            (1e-5, [-4.105066392157706, 2.1740535351446404, -1.8061502485357572, 4.047473439805017]),
        ];
        let (x, members) = rows();
        for (ridge, expected) in expected {
            let model = Logistic::fit(&x, 3, &members, ridge).unwrap();
            for (i, expected) in [0, 1, 2, 59].into_iter().zip(expected) {
                let found = model.log_odds(&x[3 * i..3 * i + 3]);
                // Both stop within 1e-14 of the lowest objective, so within about 1e-7 of its place.
                assert!((found - expected).abs() < 1e-6, "{found} instead of {expected} at ridge {ridge}");
            }
        }
    }

    #[test]
    fn one_binary_column_gives_the_log_odds_of_its_cells() {
        // 7 of 10 members where the column is 1, 1 of 5 where it is 0.
        let x: Vec<f64> = (0..15).map(|i| if i < 10 { 1.0 } else { 0.0 }).collect();
        let members: Vec<bool> = (0..15).map(|i| i < 7 || i == 10).collect();
        let model = Logistic::fit(&x, 1, &members, 1e-12).unwrap();
        assert!((model.log_odds(&[1.0]) - (7.0f64 / 3.0).ln()).abs() < 1e-6);
        assert!((model.log_odds(&[0.0]) - (1.0f64 / 4.0).ln()).abs() < 1e-6);
    }

    #[test]
    fn the_gradient_is_the_slope_of_the_objective_and_0_at_the_fit() {
        let (x, members) = rows();
        let model = Logistic::fit(&x, 3, &members, 1e-3).unwrap();
        let z: Vec<f64> = x.chunks(3).flat_map(|row| model.standardised(row)).collect();
        let problem = Problem { z: &z, members: &members, ridge: 1e-3 };
        assert!(problem.derivatives(&model.weights).0.iter().all(|slope| slope.abs() < 1e-8));
        let at = [0.3, -0.2, 0.5, 0.1];
        for (i, slope) in problem.derivatives(&at).0.into_iter().enumerate() {
            let moved = |by: f64| problem.objective(&std::array::from_fn::<f64, 4, _>(|j| at[j] + if i == j { by } else { 0.0 }));
            // The error of central differences is of the order of the square of the step.
            assert!((slope - (moved(1e-5) - moved(-1e-5)) / 2e-5).abs() < 1e-9, "{i}");
        }
    }

    #[test]
    fn rows_that_can_be_separated_or_are_all_equal_have_a_finite_fit() {
        let x = [1.0, 0.0, 0.999_999_999, 1e-9, 0.5, 0.5, 0.4, 0.6];
        for ridge in [1e-12, 1e-4] {
            let model = Logistic::fit(&x, 2, &[true, true, false, false], ridge).unwrap();
            let log_odds: Vec<f64> = x.chunks(2).map(|row| model.log_odds(row)).collect();
            assert!(log_odds.iter().all(|f| f.is_finite()) && log_odds[1] > 0.0 && log_odds[2] < 0.0, "{log_odds:?}");
            let equal = Logistic::fit(&[0.5; 8], 2, &[true, true, true, false], ridge).unwrap();
            assert!((equal.log_odds(&[0.5, 0.5]) - 3f64.ln()).abs() < 1e-6);
        }
        let dependent = [1.0, 0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 1.0];
        let text = Logistic::fit(&dependent, 2, &[true, true, false, false], 1e-30).unwrap_err().to_string();
        assert!(text.starts_with("ridge is 0.000000") || text.starts_with("ridge is 1e-30"), "{text}");
    }
}
