//! The ratios of probabilities that the relative likelihood attack compares, in logarithms, and the shares that are its scores.

use super::super::Signals;
use super::super::likelihood_ratio::Mode;
use super::super::shadows::Shadows;
use super::{RelativeLikelihood, Ties};
use crate::Result;
use crate::stats::log_sum_exp;
use rayon::prelude::*;

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
    each(shadows, |record, query| {
        let p_out = log_mean(&shadows.of(record, query, false));
        match mode {
            Mode::Online => log_mean(&[log_mean(&shadows.of(record, query, true)), p_out]),
            Mode::Offline => guessed_mean(p_out, a),
        }
    })
}

/// log ratio of the records they are compared with, as of records that no shadow saw, `[n, queries]`.
fn ratios_outside(shadows: &Shadows, mode: Mode, a: f64) -> Vec<f64> {
    each(shadows, |record, query| {
        let p_out = log_mean(&shadows.of(record, query, false));
        if mode == Mode::Online { p_out } else { guessed_mean(p_out, a) }
    })
}

/// log p − log P of every record and query; −∞ for a record without shadows.
fn each(shadows: &Shadows, log_expected: impl Fn(usize, usize) -> f64 + Sync) -> Vec<f64> {
    let queries = shadows.signals.queries();
    let ratio = |at: usize| {
        let (record, query) = (at / queries, at % queries);
        let ratio = shadows.value(shadows.target, record, query) - log_expected(record, query);
        if ratio.is_finite() { ratio } else { f64::NEG_INFINITY }
    };
    (0..shadows.signals.len() * queries).into_par_iter().map(ratio).collect()
}

/// log ½ ((1 + a) p + 1 − a) of log p.
fn guessed_mean(log_p: f64, a: f64) -> f64 {
    log_sum_exp(&[log_p + libm::log((1.0 + a) / 2.0), libm::log((1.0 - a) / 2.0)])
}

/// log of the mean of exp(v).
fn log_mean(values: &[f64]) -> f64 {
    log_sum_exp(values) - libm::log(values.len() as f64)
}

fn sorted_column(rows: &[f64], columns: usize, column: usize) -> Vec<f64> {
    let mut values: Vec<f64> = rows.iter().skip(column).step_by(columns).copied().collect();
    values.sort_unstable_by(f64::total_cmp);
    values
}
