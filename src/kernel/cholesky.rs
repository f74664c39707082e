//! Cholesky factorisation of a symmetric positive definite matrix, and the solution of linear systems with it.

use super::{CHUNK, Panels, axpy, dot};
use rayon::prelude::*;

/// A = L Lᵀ with L lower triangular.
#[derive(Debug, Clone)]
pub(crate) struct Cholesky {
    /// Row-major; what stands above the diagonal is not L's.
    lower: Vec<f64>,
    n: usize,
}

impl Cholesky {
    /// Factorises the row-major `[n, n]` matrix, or says with `None` that it is not positive definite beyond rounding.
    pub(crate) fn of(matrix: Vec<f64>, n: usize) -> Option<Self> {
        let mut lower = matrix;
        let least: Vec<f64> = lower.iter().step_by(n + 1).map(|diagonal| n as f64 * f64::EPSILON * diagonal).collect();
        for start in (0..n).step_by(CHUNK) {
            let end = (start + CHUNK).min(n);
            subtract_finished(&mut lower, n, start, end);
            for i in start..end {
                let (above, row) = lower.split_at_mut(i * n);
                finish_row(&above[start * n..], n, start, &mut row[..i]);
                let rest = row[i] - dot(&row[start..i], &row[start..i]);
                if rest.is_nan() || rest <= least[i] {
                    return None;
                }
                row[i] = rest.sqrt();
            }
            let (done, below) = lower.split_at_mut(end * n);
            below.par_chunks_mut(n).for_each(|row| finish_row(&done[start * n..], n, start, &mut row[..end]));
        }
        Some(Self { lower, n })
    }

    /// Solves A x = b for every `n` values of `b`, in place.
    pub(crate) fn solve(&self, b: &mut [f64]) {
        let n = self.n;
        let row = |i: usize| &self.lower[i * n..=i * n + i];
        b.par_chunks_mut(n).for_each(|x| {
            for i in 0..n {
                let row = row(i);
                x[i] = (x[i] - dot(&row[..i], &x[..i])) / row[i];
            }
            for i in (0..n).rev() {
                let row = row(i);
                x[i] /= row[i];
                let factor = -x[i];
                axpy(factor, &row[..i], &mut x[..i]);
            }
        });
    }
}

/// Subtracts from the columns `start..end` of all rows from `start` on what the finished columns before them explain.
fn subtract_finished(lower: &mut [f64], n: usize, start: usize, end: usize) {
    if start == 0 {
        return;
    }
    let rows: Vec<f64> = (start..end).flat_map(|i| lower[i * n..i * n + start].iter().copied()).collect();
    let panels = Panels::pack(&rows, start);
    lower[start * n..].par_chunks_mut(CHUNK * n).for_each(|rows| {
        let mut products = vec![0.0; rows.len() / n * panels.columns()];
        panels.times(rows, n, &mut products);
        for (row, products) in rows.chunks_exact_mut(n).zip(products.chunks_exact(panels.columns())) {
            axpy(-1.0, products, &mut row[start..end]);
        }
    });
}

/// Turns the entries of a row from column `start` on into those of L, given the rows of the block above it.
fn finish_row(block: &[f64], n: usize, start: usize, row: &mut [f64]) {
    for (k, above) in (start..row.len()).zip(block.chunks_exact(n)) {
        row[k] = (row[k] - dot(&row[start..k], &above[start..k])) / above[k];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// B Bᵀ + I / 2 with B of pseudo-random numbers, row-major.
    fn definite(n: usize) -> Vec<f64> {
        let b: Vec<f64> = (0..n * n).map(|i| ((i * 7919 + 13) % 1009) as f64 / 1009.0 - 0.5).collect();
        let entry = |i: usize, j: usize| dot(&b[i * n..(i + 1) * n], &b[j * n..(j + 1) * n]) + if i == j { 0.5 } else { 0.0 };
        (0..n * n).map(|at| entry(at / n, at % n)).collect()
    }

    #[test]
    fn solutions_solve_the_system_at_every_size() {
        // Smaller than a block, exactly one, one more, several with a rest.
        for n in [1, 2, 63, 64, 65, 200] {
            let a = definite(n);
            let wanted: Vec<f64> = (0..3 * n).map(|i| ((i * 31) % 17) as f64 - 8.0).collect();
            let mut x: Vec<f64> = wanted.chunks(n).flat_map(|x| a.chunks(n).map(|row| dot(row, x)).collect::<Vec<f64>>()).collect();
            Cholesky::of(a, n).unwrap().solve(&mut x);
            for (x, wanted) in x.iter().zip(&wanted) {
                // The condition number is below 1e3, the entries below 10.
                assert!((x - wanted).abs() < 1e-10, "{x} instead of {wanted} at n = {n}");
            }
        }
    }

    #[test]
    fn a_matrix_that_is_not_positive_definite_is_refused() {
        assert!(Cholesky::of(vec![1.0, 2.0, 2.0, 1.0], 2).is_none());
        assert!(Cholesky::of(vec![0.0], 1).is_none());
        assert!(Cholesky::of([0.3; 9].to_vec(), 3).is_none());
        assert!(Cholesky::of(vec![f64::NAN], 1).is_none());
    }
}
