//! One number of each model for each query of each record, and its location and spread over the shadows on one side.

use super::{Convention, Statistic};
use crate::Result;
use crate::attack::Signals;
use crate::attack::shadows::every_model;
use crate::simd::vectorized;
use rayon::prelude::*;

/// Values of all models with who was a member.
pub(in crate::attack) struct Values {
    rows: Vec<Vec<f64>>,    // [models][n, queries]
    inside: Vec<Vec<bool>>, // [models][n, queries]
    queries: usize,
}

/// Location and deviation of every value of a block on one side, and the number of shadows there.
pub(super) struct Side {
    pub(super) location: Vec<f64>,
    pub(super) deviation: Vec<f64>,
    pub(super) count: Vec<f64>,
}

impl Values {
    /// Values of one block: few enough that a block of all models stays in the cache.
    pub(super) const BLOCK: usize = 512;

    /// The statistic of every model.
    pub(super) fn of(signals: &Signals, statistic: Statistic) -> Result<Self> {
        let of_model = |model| match statistic {
            Statistic::Logit => signals.phi(model),
            Statistic::Hinge => signals.hinge(model),
        };
        let rows = every_model(signals, of_model)?;
        Ok(Self::with_rows(rows, signals, signals.queries()))
    }

    /// Any finite values, `[models][n, queries]`.
    pub(in crate::attack) fn with_rows(rows: Vec<Vec<f64>>, signals: &Signals, queries: usize) -> Self {
        let inside = signals.membership().chunks(signals.len());
        let inside = inside.map(|run| run.iter().flat_map(|&member| std::iter::repeat_n(member, queries)).collect()).collect();
        Self { rows, inside, queries }
    }

    pub(super) fn models(&self) -> usize {
        self.rows.len()
    }

    pub(super) fn queries(&self) -> usize {
        self.queries
    }

    /// Values of a model, `[n, queries]`.
    pub(super) fn row(&self, model: usize) -> &[f64] {
        &self.rows[model]
    }

    fn shadows(&self, target: usize) -> impl Iterator<Item = (&[f64], &[bool])> {
        let rows = self.rows.iter().zip(&self.inside).enumerate().filter(move |row| row.0 != target);
        rows.map(|(_, (values, inside))| (values.as_slice(), inside.as_slice()))
    }

    /// How many shadows have each record on a side, `[n]`.
    pub(super) fn counts(&self, target: usize, side: bool) -> Vec<usize> {
        let mut counts = vec![0; self.rows[target].len() / self.queries];
        for (_, inside) in self.shadows(target) {
            counts.iter_mut().zip(inside.iter().step_by(self.queries)).for_each(|(count, &inside)| *count += usize::from(inside == side));
        }
        counts
    }

    /// The values `start .. start + len` of the shadows on one side.
    pub(super) fn side(&self, target: usize, side: bool, start: usize, len: usize, convention: Convention) -> Side {
        let mut moments = vectorized(|| self.moments(target, side, start, len));
        if convention == Convention::Script {
            for at in 0..len {
                let on_side = self.shadows(target).filter(|shadow| shadow.1[start + at] == side);
                moments.location[at] = median(&mut on_side.map(|shadow| shadow.0[start + at]).collect::<Vec<f64>>());
            }
        }
        moments
    }

    /// Sums in the order of the models, whole blocks at a time, so that the compiler can use vectors.
    #[inline(always)]
    fn moments(&self, target: usize, side: bool, start: usize, len: usize) -> Side {
        let (mut count, mut location, mut squares) = (vec![0.0; len], vec![0.0; len], vec![0.0; len]);
        let weight = |inside: bool| if inside == side { 1.0 } else { 0.0 };
        for (values, inside) in self.shadows(target) {
            let (values, inside) = (&values[start..start + len], &inside[start..start + len]);
            for at in 0..len {
                count[at] += weight(inside[at]);
                location[at] += weight(inside[at]) * values[at];
            }
        }
        location.iter_mut().zip(&count).for_each(|(sum, count)| *sum /= count);
        for (values, inside) in self.shadows(target) {
            let (values, inside) = (&values[start..start + len], &inside[start..start + len]);
            for at in 0..len {
                let difference = values[at] - location[at];
                squares[at] += weight(inside[at]) * (difference * difference);
            }
        }
        squares.iter_mut().zip(&count).for_each(|(sum, count)| *sum = (*sum / count).sqrt());
        Side { location, deviation: squares, count }
    }

    /// The deviation of all values of one side together; NaN of none.
    pub(super) fn global_deviation(&self, target: usize, side: bool) -> f64 {
        let of_side = |(values, inside): (&[f64], &[bool])| -> Vec<f64> {
            values.iter().zip(inside).filter(|value| *value.1 == side).map(|value| *value.0).collect()
        };
        let rows: Vec<Vec<f64>> = self.shadows(target).map(of_side).collect();
        let count: usize = rows.iter().map(Vec::len).sum();
        // Row by row, so that the sums do not depend on the number of threads.
        let total = |of: &(dyn Fn(&f64) -> f64 + Sync)| rows.par_iter().map(|row| row.iter().map(of).sum::<f64>()).collect::<Vec<_>>();
        let centre = total(&|value| *value).iter().sum::<f64>() / count as f64;
        (total(&|value| (value - centre).powi(2)).iter().sum::<f64>() / count as f64).sqrt()
    }

    /// The root of the mean squared distance from each value's own location, over one side.
    pub(super) fn pooled_deviation(&self, target: usize, side: bool) -> f64 {
        let blocks = self.rows[target].len().div_ceil(Self::BLOCK);
        let of_block = |block: usize| {
            let start = block * Self::BLOCK;
            let len = Self::BLOCK.min(self.rows[target].len() - start);
            let side = self.side(target, side, start, len, Convention::Paper);
            let squares =
                side.deviation.iter().zip(&side.count).filter(|group| *group.1 > 0.0).map(|(d, count)| d * d * count).sum::<f64>();
            (squares, side.count.iter().sum::<f64>())
        };
        // Collected first: a parallel sum would depend on the number of threads.
        let parts: Vec<(f64, f64)> = (0..blocks).into_par_iter().map(of_block).collect();
        (parts.iter().map(|part| part.0).sum::<f64>() / parts.iter().map(|part| part.1).sum::<f64>()).sqrt()
    }
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => f64::NAN,
        odd if odd % 2 == 1 => values[middle],
        _ => 0.5 * (values[middle - 1] + values[middle]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attack::signals::tests::made_up;
    use crate::stats::{deviation, mean};

    #[test]
    fn sides_are_the_means_and_deviations_of_their_shadows() {
        let signals = made_up(700); // more than one block
        let values = Values::of(&signals, Statistic::Logit).unwrap();
        for (start, len) in [(0, 512), (512, 188)] {
            let side = values.side(2, true, start, len, Convention::Paper);
            for at in [0, 17, len - 1] {
                let own: Vec<f64> = (0..6)
                    .filter(|&model| model != 2 && signals.members_of(model).unwrap()[start + at])
                    .map(|model| signals.phi(model).unwrap()[start + at])
                    .collect();
                assert!((side.location[at] - mean(&own)).abs() < 1e-12 && (side.deviation[at] - deviation(&own)).abs() < 1e-12);
                assert_eq!((side.count[at], values.counts(2, true)[start + at]), (own.len() as f64, own.len()));
            }
        }
    }

    #[test]
    fn a_side_without_shadows_has_no_location() {
        let signals = made_up(5);
        let nobody = Signals::new(signals.logits().clone(), [6, 5, 1, 3], vec![false; 30], vec![0; 5], signals.manifest().clone()).unwrap();
        let values = Values::of(&nobody, Statistic::Hinge).unwrap();
        assert!(values.side(0, true, 0, 5, Convention::Script).location.iter().all(|value| value.is_nan()));
        assert!(values.global_deviation(0, true).is_nan());
    }
}
