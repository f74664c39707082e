//! The k nearest rows by Euclidean distance, a block at a time on all cores.
//!
//! Distances are sums of squared differences, not ‖a‖² + ‖b‖² − 2 a·b: that form would lose exactly the small distances that
//! matter here to cancellation, and a copy would not be at distance 0. The search runs in f32 with sums of 1,024 values carried
//! over to f64; what it finds is measured again in f64.

use super::Neighbour;
use crate::simd::{Loops, vectorized};
use rayon::prelude::*;

/// Values of one sum in f32.
const SEGMENT: usize = 1024;
/// Independent sums, so that additions fill the vector registers; fixed, so that results do not depend on the machine.
const LANES: usize = 32;
/// Rows of one task.
const ROWS: usize = 64;
/// Rows whose parts stay in the first cache while all queries pass.
const TILE: usize = 8;

/// The k nearest found so far, nearest first; of equal distances the lower position.
#[derive(Debug, Clone)]
pub(crate) struct Shortlist {
    most: usize,
    pub(crate) found: Vec<Neighbour>,
}

impl Shortlist {
    pub(crate) fn new(most: usize) -> Self {
        Self { most, found: Vec::with_capacity(most + 1) }
    }

    pub(crate) fn offer(&mut self, record: usize, distance: f64) {
        let nearer = |other: &Neighbour| other.distance.total_cmp(&distance).then(other.record.cmp(&record)).is_lt();
        if self.found.len() == self.most && self.found.last().is_some_and(nearer) {
            return;
        }
        let at = self.found.partition_point(nearer);
        self.found.insert(at, Neighbour { record, distance });
        self.found.truncate(self.most);
    }

    /// Takes over what another list found; the order in which lists are merged does not matter.
    pub(crate) fn merge(mut self, other: Self) -> Self {
        other.found.into_iter().for_each(|neighbour| self.offer(neighbour.record, neighbour.distance));
        self
    }

    /// Merges lists of all queries.
    pub(crate) fn merge_all(lists: Vec<Self>, others: Vec<Self>) -> Vec<Self> {
        lists.into_iter().zip(others).map(|(list, other)| list.merge(other)).collect()
    }
}

/// For every query the `most` nearest of `rows` (row-major, `width` values each) with their squared distances; positions are
/// counted from `first`.
pub(crate) fn nearest_rows(queries: &[f32], rows: &[f32], width: usize, most: usize, first: usize) -> Vec<Shortlist> {
    let n = queries.len() / width;
    let empty = || vec![Shortlist::new(most); n];
    let mut lists = rows
        .par_chunks(ROWS * width)
        .enumerate()
        .map(|(block, rows)| {
            let mut lists = empty();
            let squares = vectorized(SquaredDistances { queries, rows, width });
            for (row, squares) in squares.chunks_exact(n).enumerate() {
                for (list, &square) in lists.iter_mut().zip(squares) {
                    list.offer(block * ROWS + row, square);
                }
            }
            lists
        })
        .reduce(empty, Shortlist::merge_all);
    for (list, query) in lists.iter_mut().zip(queries.chunks_exact(width)) {
        let rough = std::mem::take(&mut list.found);
        for Neighbour { record, .. } in rough {
            list.offer(first + record, exact_square(query, &rows[record * width..(record + 1) * width]));
        }
    }
    lists
}

/// Squared distances `[rows, queries]`, segment by segment.
struct SquaredDistances<'a> {
    queries: &'a [f32],
    rows: &'a [f32],
    width: usize,
}

impl Loops for SquaredDistances<'_> {
    type Output = Vec<f64>;

    #[inline(always)]
    fn run(self) -> Vec<f64> {
        let Self { queries, rows, width } = self;
        let n = queries.len() / width;
        let mut squares = vec![0.0; rows.len() / width * n];
        for from in (0..width).step_by(SEGMENT) {
            let part = from..(from + SEGMENT).min(width);
            for (rows, squares) in rows.chunks(TILE * width).zip(squares.chunks_mut(TILE * n)) {
                for (q, query) in queries.chunks_exact(width).enumerate() {
                    for (row, squares) in rows.chunks_exact(width).zip(squares.chunks_exact_mut(n)) {
                        squares[q] += short_square(&query[part.clone()], &row[part.clone()]);
                    }
                }
            }
        }
        squares
    }
}

#[inline(always)]
fn short_square(a: &[f32], b: &[f32]) -> f64 {
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
    let mut sums = [0f32; LANES];
    for (a, b) in a.iter().zip(b) {
        for lane in 0..LANES {
            let difference = a[lane] - b[lane];
            sums[lane] += difference * difference;
        }
    }
    let rest = a_rest.iter().zip(b_rest).map(|(a, b)| f64::from((a - b) * (a - b)));
    let eighths: [f32; LANES / 4] = std::array::from_fn(|i| sums[i] + sums[i + 8] + (sums[i + 16] + sums[i + 24]));
    eighths.iter().map(|&sum| f64::from(sum)).sum::<f64>() + rest.sum::<f64>()
}

fn exact_square(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(&a, &b)| (f64::from(a) - f64::from(b)).powi(2)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Device, Lab};
    use rand::RngExt;

    #[test]
    fn the_nearest_rows_are_those_of_the_definition() {
        // Widths around the lanes and around one segment; 150 rows are three tasks.
        for width in [1, 31, 33, 1_024, 1_300] {
            let mut rng = Lab::on(Device::Cpu).unwrap().rng("rows", width as u64);
            let mut draw = |count: usize| -> Vec<f32> { (0..count * width).map(|_| rng.random_range(-1.0..1.0)).collect() };
            let (queries, rows) = (draw(7), draw(150));
            let found = nearest_rows(&queries, &rows, width, 4, 1_000);
            for (query, list) in queries.chunks_exact(width).zip(&found) {
                let mut all: Vec<(f64, usize)> =
                    rows.chunks_exact(width).enumerate().map(|(i, row)| (exact_square(query, row), 1_000 + i)).collect();
                all.sort_by(|a, b| a.0.total_cmp(&b.0));
                let expected: Vec<Neighbour> = all[..4].iter().map(|&(distance, record)| Neighbour { record, distance }).collect();
                assert_eq!(list.found, expected);
            }
        }
    }

    #[test]
    fn a_copy_is_at_distance_zero_and_equal_rows_come_in_their_order() {
        let rows: Vec<f32> = [0.3f32, 0.1, 0.2, 0.1].iter().flat_map(|&v| vec![v + 1e3; 50]).collect();
        let found = nearest_rows(&rows[50..100], &rows, 50, 3, 0).remove(0).found;
        assert_eq!(found.iter().map(|n| n.record).collect::<Vec<_>>(), vec![1, 3, 2]);
        assert_eq!((found[0].distance, found[1].distance), (0.0, 0.0));
    }
}
