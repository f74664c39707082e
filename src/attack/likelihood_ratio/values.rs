//! One number of each model for each query of each record, and its location and spread over the shadows on one side.

use super::{Convention, Statistic};
use crate::Result;
use crate::attack::Signals;
use crate::attack::shadows::{every_model, members_of_rows};
use crate::simd::{Loops, vectorized};
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
        let inside = (0..signals.models()).map(|model| members_of_rows(signals, model, queries).into_owned()).collect();
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
        let mut counts = vec![0_u32; self.rows[target].len()];
        for (_, inside) in self.shadows(target) {
            counts.iter_mut().zip(inside).for_each(|(count, &inside)| *count += u32::from(inside == side));
        }
        counts.iter().step_by(self.queries).map(|&count| count as usize).collect()
    }

    /// The values `start .. start + len` of the shadows on one side.
    pub(super) fn side(&self, target: usize, side: bool, start: usize, len: usize, convention: Convention) -> Side {
        let mut moments = vectorized(Moments { values: self, target, side, start, len });
        if convention == Convention::Script {
            for at in 0..len {
                let on_side = self.shadows(target).filter(|shadow| shadow.1[start + at] == side);
                moments.location[at] = median(&mut on_side.map(|shadow| shadow.0[start + at]).collect::<Vec<f64>>());
            }
        }
        moments
    }

    /// The deviation of all values of one side together; NaN of none.
    pub(super) fn global_deviation(&self, target: usize, side: bool) -> f64 {
        // Row by row, so that the sums do not depend on the number of threads.
        let rows: Vec<(&[f64], &[bool])> = self.shadows(target).collect();
        let powers = |centre: f64| -> [f64; 3] {
            let of_row = |&(values, inside): &(&[f64], &[bool])| vectorized(Powers { values, inside, side, centre });
            let parts: Vec<[f64; 3]> = rows.par_iter().map(of_row).collect();
            parts.into_iter().fold([0.0; 3], |sums, part| std::array::from_fn(|power| sums[power] + part[power]))
        };
        let [count, total, _] = powers(0.0);
        let [_, _, squares] = powers(total / count);
        (squares / count).sqrt()
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

/// Location, deviation and count of one side of a block.
struct Moments<'a> {
    values: &'a Values,
    target: usize,
    side: bool,
    start: usize,
    len: usize,
}

impl Loops for Moments<'_> {
    type Output = Side;

    /// Sums in the order of the models, whole blocks at a time.
    #[inline(always)]
    fn run(self) -> Side {
        let Self { values, target, side, start, len } = self;
        let (mut count, mut location, mut squares) = (vec![0.0; len], vec![0.0; len], vec![0.0; len]);
        for (values, inside) in values.shadows(target) {
            let (values, inside) = (&values[start..start + len], &inside[start..start + len]);
            for at in 0..len {
                count[at] += weight(inside[at], side);
                location[at] += weight(inside[at], side) * values[at];
            }
        }
        for at in 0..len {
            location[at] /= count[at];
        }
        for (values, inside) in values.shadows(target) {
            let (values, inside) = (&values[start..start + len], &inside[start..start + len]);
            for at in 0..len {
                let difference = values[at] - location[at];
                squares[at] += weight(inside[at], side) * (difference * difference);
            }
        }
        for at in 0..len {
            squares[at] = (squares[at] / count[at]).sqrt();
        }
        Side { location, deviation: squares, count }
    }
}

/// Σ (v − centre)⁰, Σ (v − centre)¹ and Σ (v − centre)² of the values on one side.
struct Powers<'a> {
    values: &'a [f64],
    inside: &'a [bool],
    side: bool,
    centre: f64,
}

impl Loops for Powers<'_> {
    type Output = [f64; 3];

    #[inline(always)]
    fn run(self) -> [f64; 3] {
        /// Independent sums; fixed, so that results do not depend on the machine.
        const LANES: usize = 16;
        let Self { values, inside, side, centre } = self;
        let mut sums = [[0.0; LANES]; 3];
        let mut add = |lane: usize, value: f64, inside: bool| {
            let (weight, difference) = (weight(inside, side), value - centre);
            sums[0][lane] += weight;
            sums[1][lane] += weight * difference;
            sums[2][lane] += weight * (difference * difference);
        };
        let ((values, rest), (inside, of_rest)) = (values.as_chunks::<LANES>(), inside.as_chunks::<LANES>());
        for (values, inside) in values.iter().zip(inside) {
            for lane in 0..LANES {
                add(lane, values[lane], inside[lane]);
            }
        }
        for (lane, (&value, &inside)) in rest.iter().zip(of_rest).enumerate() {
            add(lane, value, inside);
        }
        sums.map(|lanes| lanes.iter().sum())
    }
}

#[inline(always)]
fn weight(inside: bool, side: bool) -> f64 {
    if inside == side { 1.0 } else { 0.0 }
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
