//! The cheapest pairing of two sets of equal size: the Hungarian method with shortest augmenting paths, n³ steps.
//!
//! # References
//! Kuhn, *Naval Research Logistics Quarterly* 2 (1955); Jonker and Volgenant, *Computing* 38 (1987).

/// For every row its column, so that the sum of the costs is smallest. `cost(row, column)` must be finite.
pub(super) fn cheapest(n: usize, cost: impl Fn(usize, usize) -> f64) -> Vec<usize> {
    // Position 0 is a dummy row and column; prices make all reduced costs at least 0.
    let mut row_price = vec![0.0; n + 1];
    let mut column_price = vec![0.0; n + 1];
    let mut row_of = vec![0; n + 1];
    for row in 1..=n {
        row_of[0] = row;
        let mut least = vec![f64::INFINITY; n + 1];
        let mut came_from = vec![0; n + 1];
        let mut done = vec![false; n + 1];
        let mut at = 0;
        while row_of[at] != 0 {
            done[at] = true;
            let i = row_of[at];
            let (mut step, mut next) = (f64::INFINITY, 0);
            for j in (1..=n).filter(|&j| !done[j]) {
                let reduced = cost(i - 1, j - 1) - row_price[i] - column_price[j];
                if reduced < least[j] {
                    (least[j], came_from[j]) = (reduced, at);
                }
                if least[j] < step {
                    (step, next) = (least[j], j);
                }
            }
            for j in 0..=n {
                if done[j] {
                    row_price[row_of[j]] += step;
                    column_price[j] -= step;
                } else {
                    least[j] -= step;
                }
            }
            at = next;
        }
        while at != 0 {
            row_of[at] = row_of[came_from[at]];
            at = came_from[at];
        }
    }
    let mut columns = vec![0; n];
    for (j, &row) in row_of.iter().enumerate().skip(1) {
        columns[row - 1] = j - 1;
    }
    columns
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{RngExt, SeedableRng};

    /// The least sum over all permutations.
    fn by_trying_all(costs: &[Vec<f64>], free: &mut Vec<usize>) -> f64 {
        let row = costs.len() - free.len();
        if free.is_empty() {
            return 0.0;
        }
        let mut best = f64::INFINITY;
        for at in 0..free.len() {
            let column = free.remove(at);
            best = best.min(costs[row][column] + by_trying_all(costs, free));
            free.insert(at, column);
        }
        best
    }

    #[test]
    fn no_other_pairing_is_cheaper() {
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(4);
        for n in 1..=6 {
            let costs: Vec<Vec<f64>> = (0..n).map(|_| (0..n).map(|_| rng.random_range(-1.0..1.0)).collect()).collect();
            let columns = cheapest(n, |i, j| costs[i][j]);
            let total: f64 = columns.iter().enumerate().map(|(i, &j)| costs[i][j]).sum();
            assert!((total - by_trying_all(&costs, &mut (0..n).collect())).abs() < 1e-12, "{n}: {columns:?}");
            let mut sorted = columns.clone();
            sorted.sort_unstable();
            assert_eq!(sorted, (0..n).collect::<Vec<_>>());
        }
        assert!(cheapest(0, |_, _| 0.0).is_empty());
    }
}
