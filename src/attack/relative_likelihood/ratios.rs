//! The ratios of probabilities that the relative likelihood attack compares, in logarithms, and the shares that are its scores.

use super::super::Signals;
use super::super::likelihood_ratio::Mode;
use super::super::shadows::{Shadows, members_of_rows};
use super::{RelativeLikelihood, Ties};
use crate::Result;
use crate::simd::elementary::{exp, ln};
use crate::simd::{Loops, vectorized};
use rayon::prelude::*;
use std::borrow::Cow;

/// log p of every model, `[models][n, queries]`.
pub(super) struct Tables {
    pub(super) pool: Vec<Vec<f64>>,
    pub(super) population: Option<Vec<Vec<f64>>>,
}

/// The attacked records and the population, if there is one, under one target and its shadows.
pub(super) struct World<'a> {
    pub(super) pool: Shadows<'a>,
    pub(super) population: Option<Shadows<'a>>,
}

impl<'a> World<'a> {
    pub(super) fn new(tables: &'a Tables, signals: &'a Signals, target: usize) -> Result<Self> {
        let population = signals.population().zip(tables.population.as_ref());
        Ok(Self {
            pool: Shadows::new(signals, &tables.pool, target)?,
            population: population.map(|(of, values)| Shadows::new(of, values, target)).transpose()?,
        })
    }

    pub(super) fn against_shadow(&self, shadow: usize) -> Self {
        Self { pool: self.pool.of_shadow(shadow), population: self.population.as_ref().map(|of| of.of_shadow(shadow)) }
    }

    /// The share of the others with a smaller ratio, for every attacked record.
    pub(super) fn scores(&self, attack: &RelativeLikelihood, a: f64) -> Vec<f64> {
        let (n, queries) = (self.pool.signals.len(), self.pool.signals.queries());
        let own = ratios(&self.pool, attack.mode, a); // [n, queries]
        let of_others = ratios_outside(self.population.as_ref().unwrap_or(&self.pool), attack.mode, a); // [|Z|, queries]
        let sorted: Vec<Vec<f64>> = (0..queries).map(|query| sorted_column(&of_others, queries, query)).collect();
        let log_gamma = libm::log(attack.gamma);
        let others = if self.population.is_some() { of_others.len() / queries } else { n - 1 };
        let of_record = |record: usize| {
            let mut below = 0;
            for (query, sorted) in sorted.iter().enumerate() {
                let ratio = own[record * queries + query];
                below += sorted.partition_point(|&of_z| of_z + log_gamma < ratio);
                // Without a population the record is one of the z itself: it does not count.
                let itself = self.population.is_none() && of_others[record * queries + query] + log_gamma < ratio;
                below -= usize::from(itself);
            }
            let steps = (others * queries) as f64;
            let ranking = match attack.ties {
                Ties::Keep => 0.0,
                Ties::ByRatio => {
                    let ratio = own[record * queries..(record + 1) * queries].iter().sum::<f64>() / queries as f64;
                    0.49 * ratio / (1.0 + ratio.abs()) // between −0.49 and 0.49 of a step
                }
            };
            (below as f64 + ranking) / steps
        };
        (0..n).into_par_iter().map(of_record).collect()
    }
}

/// log ratio of the attacked records, `[n, queries]`.
pub(super) fn ratios(shadows: &Shadows, mode: Mode, a: f64) -> Vec<f64> {
    let outside = log_means(shadows, false);
    let expected = match mode {
        Mode::Online => mixed((&log_means(shadows, true), 0.5), (&outside, 0.5)),
        Mode::Offline => guessed_means(&outside, a),
    };
    against(shadows, &expected)
}

/// log ratio of the records they are compared with, as of records that no shadow saw, `[n, queries]`.
fn ratios_outside(shadows: &Shadows, mode: Mode, a: f64) -> Vec<f64> {
    let outside = log_means(shadows, false);
    match mode {
        Mode::Online => against(shadows, &outside),
        Mode::Offline => against(shadows, &guessed_means(&outside, a)),
    }
}

/// log p − log P of every record and query; −∞ for a record without shadows.
fn against(shadows: &Shadows, log_expected: &[f64]) -> Vec<f64> {
    let ratio = |(log_p, log_expected): (&f64, &f64)| {
        let ratio = log_p - log_expected;
        if ratio.is_finite() { ratio } else { f64::NEG_INFINITY }
    };
    shadows.values[shadows.target].iter().zip(log_expected).map(ratio).collect()
}

/// log ½ ((1 + a) p + 1 − a) of log p.
fn guessed_means(log_p: &[f64], a: f64) -> Vec<f64> {
    mixed((log_p, 0.5 * (1.0 + a)), (&vec![0.0; log_p.len()], 0.5 * (1.0 - a)))
}

/// log (u eˣ + v eʸ) of x with its weight u and y with its weight v.
fn mixed((x, u): (&[f64], f64), (y, v): (&[f64], f64)) -> Vec<f64> {
    let mut sums = x.to_vec();
    let blocks = sums.par_chunks_mut(BLOCK).zip(y.par_chunks(BLOCK));
    blocks.for_each(|(x, y)| vectorized(Mix { x, y, logs: [libm::log(u), libm::log(v)] }));
    sums
}

/// Replaces x by log (exp(x + logs₀) + exp(y + logs₁)).
struct Mix<'a> {
    x: &'a mut [f64],
    y: &'a [f64],
    logs: [f64; 2],
}

impl Loops for Mix<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        for (x, y) in self.x.iter_mut().zip(self.y) {
            let (first, second) = (*x + self.logs[0], y + self.logs[1]);
            let largest = if first > second { first } else { second };
            *x = largest + ln(exp(first - largest) + exp(second - largest));
        }
    }
}

/// Values of one block: few enough that a block of all models stays in the cache.
const BLOCK: usize = 256;

/// log of the mean of p over the shadows on one side, of every record and query; not finite where there is none.
fn log_means(shadows: &Shadows, side: bool) -> Vec<f64> {
    let queries = shadows.signals.queries();
    let row = |&model: &usize| {
        let inside = members_of_rows(shadows.signals, model, queries);
        (shadows.values[model].as_slice(), inside)
    };
    let rows: Vec<(&[f64], Cow<[bool]>)> = shadows.all_models().iter().map(row).collect();
    let mut means = vec![0.0; shadows.signals.len() * queries];
    let blocks = means.par_chunks_mut(BLOCK).enumerate();
    blocks.for_each(|(block, means)| vectorized(LogMeans { rows: &rows, side, start: block * BLOCK, means }));
    means
}

/// Writes the logarithms of the mean p over the rows on one side, for the values from `start` on. A row has the log p of one model and its members.
struct LogMeans<'a> {
    rows: &'a [(&'a [f64], Cow<'a, [bool]>)],
    side: bool,
    start: usize,
    means: &'a mut [f64],
}

impl Loops for LogMeans<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let Self { rows, side, start, means } = self;
        let len = means.len();
        let (mut largest, mut sums, mut counts) = ([f64::NEG_INFINITY; BLOCK], [0.0; BLOCK], [0.0; BLOCK]);
        for (values, inside) in rows {
            for ((largest, &value), &inside) in largest.iter_mut().zip(&values[start..start + len]).zip(&inside[start..start + len]) {
                *largest = if inside == side && value > *largest { value } else { *largest };
            }
        }
        for (values, inside) in rows {
            let of_model = largest.iter().zip(&values[start..start + len]).zip(&inside[start..start + len]);
            for ((sum, count), ((&largest, &value), &inside)) in sums.iter_mut().zip(&mut counts).zip(of_model) {
                let counted = inside == side;
                let weight = if counted { 1.0 } else { 0.0 };
                // What does not count is at most 1 here, so that weight 0 makes 0 of it.
                *sum += weight * exp(if counted { value - largest } else { 0.0 });
                *count += weight;
            }
        }
        for (mean, ((&largest, &sum), &count)) in means.iter_mut().zip(largest.iter().zip(&sums).zip(&counts)) {
            *mean = largest + ln(sum) - ln(count);
        }
    }
}

fn sorted_column(rows: &[f64], columns: usize, column: usize) -> Vec<f64> {
    let mut values: Vec<f64> = rows.iter().skip(column).step_by(columns).copied().collect();
    values.par_sort_unstable_by(f64::total_cmp);
    values
}
