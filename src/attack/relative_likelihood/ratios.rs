//! The ratios of probabilities that the relative likelihood attack compares, in logarithms, and the shares that are its scores.

use super::super::Signals;
use super::super::likelihood_ratio::Mode;
use super::super::shadows::Shadows;
use super::{RelativeLikelihood, Ties};
use crate::Result;
use crate::simd::elementary::{exp, ln};
use crate::simd::vectorized;
use crate::stats::log_sum_exp;
use rayon::prelude::*;
use std::f64::consts::LN_2;

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
    match mode {
        Mode::Online => {
            let inside = log_means(shadows, true);
            against(shadows, inside.iter().zip(&outside).map(|(&inside, &outside)| log_sum_exp(&[inside, outside]) - LN_2))
        }
        Mode::Offline => against(shadows, outside.iter().map(|&p_out| guessed_mean(p_out, a))),
    }
}

/// log ratio of the records they are compared with, as of records that no shadow saw, `[n, queries]`.
fn ratios_outside(shadows: &Shadows, mode: Mode, a: f64) -> Vec<f64> {
    let outside = log_means(shadows, false);
    match mode {
        Mode::Online => against(shadows, outside.into_iter()),
        Mode::Offline => against(shadows, outside.iter().map(|&p_out| guessed_mean(p_out, a))),
    }
}

/// log p − log P of every record and query; −∞ for a record without shadows.
fn against(shadows: &Shadows, log_expected: impl Iterator<Item = f64>) -> Vec<f64> {
    let ratio =
        |(log_p, log_expected): (&f64, f64)| Some(log_p - log_expected).filter(|ratio| ratio.is_finite()).unwrap_or(f64::NEG_INFINITY);
    shadows.values[shadows.target].iter().zip(log_expected).map(ratio).collect()
}

/// log of the mean of p over the shadows on one side, of every record and query; not finite where there is none. Block by block, so that a
/// block of all models stays in the cache and the compiler can use vectors.
fn log_means(shadows: &Shadows, side: bool) -> Vec<f64> {
    const BLOCK: usize = 512;
    let (n, queries) = (shadows.signals.len(), shadows.signals.queries());
    let of_block = |start: usize| {
        let len = BLOCK.min(n * queries - start);
        let rows: Vec<(&[f64], Vec<bool>)> = shadows
            .all_models()
            .iter()
            .map(|&model| {
                let members = &shadows.signals.membership()[model * n..(model + 1) * n];
                let on_side = (start..start + len).map(|at| members[at / queries] == side).collect();
                (&shadows.values[model][start..start + len], on_side)
            })
            .collect();
        vectorized(|| log_means_of(&rows, len))
    };
    let starts: Vec<usize> = (0..n * queries).step_by(BLOCK).collect();
    starts.into_par_iter().map(of_block).collect::<Vec<_>>().concat()
}

/// Each row has the log p of one model, and which of them count.
#[inline(always)]
fn log_means_of(rows: &[(&[f64], Vec<bool>)], len: usize) -> Vec<f64> {
    let (mut largest, mut sums, mut counts) = (vec![f64::NEG_INFINITY; len], vec![0.0; len], vec![0.0; len]);
    for (values, counted) in rows {
        let (values, counted) = (&values[..len], &counted[..len]);
        for at in 0..len {
            largest[at] = if counted[at] && values[at] > largest[at] { values[at] } else { largest[at] };
        }
    }
    for (values, counted) in rows {
        let (values, counted) = (&values[..len], &counted[..len]);
        for at in 0..len {
            let weight = if counted[at] { 1.0 } else { 0.0 };
            // What does not count is at most 1 here, so that weight 0 makes 0 of it.
            sums[at] += weight * exp(if counted[at] { values[at] - largest[at] } else { 0.0 });
            counts[at] += weight;
        }
    }
    for at in 0..len {
        sums[at] = largest[at] + ln(sums[at]) - ln(counts[at]);
    }
    sums
}

/// log ½ ((1 + a) p + 1 − a) of log p.
fn guessed_mean(log_p: f64, a: f64) -> f64 {
    log_sum_exp(&[log_p + libm::log((1.0 + a) / 2.0), libm::log((1.0 - a) / 2.0)])
}

fn sorted_column(rows: &[f64], columns: usize, column: usize) -> Vec<f64> {
    let mut values: Vec<f64> = rows.iter().skip(column).step_by(columns).copied().collect();
    values.par_sort_unstable_by(f64::total_cmp);
    values
}
