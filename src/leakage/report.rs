//! The numbers of one search: distances to the closest record, nearness to the training set, re-identification.

use super::Neighbour;
use crate::stats::{Rate, mean};
use crate::{Dataset, Error, Lab, Result};
use polars::prelude::{Column, DataFrame};
use serde::{Deserialize, Serialize};
use std::fmt;

/// What was found behind every synthetic record. Holds the real records that were found: as private as they are.
#[derive(Clone, Serialize, Deserialize)]
pub struct LeakageReport {
    pub(super) metric: String,
    pub(super) seed: u64,
    pub(super) released: Dataset,
    /// The nearest real record of every synthetic one.
    pub(super) twins: Dataset,
    /// The first real record that each began as; empty where it began as none.
    pub(super) starts: Vec<Vec<f32>>,
    pub(super) real_name: String,
    pub(super) real_per_class: Vec<usize>,
    pub(super) holdout: Option<HoldOut>,
    pub(super) records: Vec<RecordLeakage>,
}

/// What was found behind one synthetic record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RecordLeakage {
    /// The nearest real records, nearest first.
    pub nearest: Vec<Neighbour>,
    /// What was found in the hold-out, if there was one.
    pub outside: Option<Outside>,
    /// The real records it began as: none for noise, several for a mixture.
    pub started_from: Vec<usize>,
    /// The place, from 1, among the nearest of the first that it began as (or of an exact copy); none if it is not among them.
    pub start_rank: Option<usize>,
}

/// Distances to records that a synthetic one was not made from.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Outside {
    /// To the nearest record of the hold-out.
    pub holdout: f64,
    /// To the nearest of equally many training and hold-out records, in this order.
    pub equal_sizes: [f64; 2],
}

/// The set that served as hold-out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HoldOut {
    /// Its name.
    pub name: String,
    /// Its records.
    pub records: usize,
    /// Records of each set in the comparison at equal sizes: the smaller of the two sizes.
    pub each: usize,
}

/// Quantiles of a sample, between its values by linear interpolation, and its mean.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Quantiles {
    /// The least value.
    pub min: f64,
    /// 5 % are below.
    pub p5: f64,
    /// A quarter is below.
    pub p25: f64,
    /// Half are below.
    pub median: f64,
    /// A quarter is above.
    pub p75: f64,
    /// 5 % are above.
    pub p95: f64,
    /// The largest value.
    pub max: f64,
    /// The mean.
    pub mean: f64,
}

impl Quantiles {
    fn of(values: &[f64]) -> Self {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let at = |share: f64| {
            let place = share * (sorted.len() - 1) as f64;
            let below = sorted[place as usize];
            below + place.fract() * (sorted[(place as usize + 1).min(sorted.len() - 1)] - below)
        };
        let [min, p5, p25, median, p75, p95, max] = [0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0].map(at);
        Self { min, p5, p25, median, p75, p95, max, mean: mean(values) }
    }
}

impl LeakageReport {
    pub(super) fn new(
        metric: String,
        released: &Dataset,
        real: &Dataset,
        nearest: Vec<Vec<Neighbour>>,
        comparison: Option<(HoldOut, Vec<Outside>)>,
        lab: &Lab,
    ) -> Result<Self> {
        let first: Vec<usize> = nearest.iter().filter_map(|list| list.first().map(|neighbour| neighbour.record)).collect();
        let twins = real.subset(&first)?;
        let (holdout, found_outside) = comparison.unzip();
        let started = &released.origin().started_from;
        let records: Vec<RecordLeakage> = nearest
            .into_iter()
            .enumerate()
            .map(|(i, nearest)| {
                let started_from = started.get(i).cloned().unwrap_or_default();
                let is_start = |found: &Neighbour| started_from.iter().any(|&start| real.record(start) == real.record(found.record));
                let start_rank = nearest.iter().position(is_start).map(|place| place + 1);
                let outside = found_outside.as_ref().and_then(|found| found.get(i).copied());
                RecordLeakage { nearest, outside, started_from, start_rank }
            })
            .collect();
        let starts = records.iter().map(|record| record.started_from.first().map_or(vec![], |&start| real.record(start).to_vec()));
        Ok(Self {
            metric,
            seed: lab.seed_value(),
            released: released.clone(),
            twins,
            starts: starts.collect(),
            real_name: real.name().to_string(),
            real_per_class: real.per_class(),
            holdout,
            records,
        })
    }

    /// The metric's name.
    #[must_use]
    pub fn metric(&self) -> &str {
        &self.metric
    }

    /// What was found, synthetic record by synthetic record.
    #[must_use]
    pub fn records(&self) -> &[RecordLeakage] {
        &self.records
    }

    /// Real records that were searched (n).
    #[must_use]
    pub fn searched(&self) -> usize {
        self.real_per_class.iter().sum()
    }

    /// The hold-out, if there was one.
    #[must_use]
    pub fn holdout(&self) -> Option<&HoldOut> {
        self.holdout.as_ref()
    }

    /// The distance of every synthetic record to the closest real one.
    #[must_use]
    #[doc(alias = "DCR")]
    pub fn distances(&self) -> Vec<f64> {
        self.records.iter().map(|record| record.nearest.first().map_or(f64::NAN, |neighbour| neighbour.distance)).collect()
    }

    /// Quantiles and mean of [`LeakageReport::distances`].
    #[must_use]
    pub fn closest(&self) -> Quantiles {
        Quantiles::of(&self.distances())
    }

    /// The mean over the synthetic records of the distance to the closest real one.
    #[must_use]
    pub fn mean_of_minimum(&self) -> f64 {
        mean(&self.distances())
    }

    /// The share of synthetic records nearer to a training record than to any hold-out record. Compare it with
    /// [`LeakageReport::closer_by_chance`]. None without a hold-out, or when all are equally near.
    #[must_use]
    pub fn closer_to_training(&self) -> Option<Rate> {
        closer(self.records.iter().zip(self.distances()).filter_map(|(record, inside)| Some([inside, record.outside?.holdout])))
    }

    /// The share of [`LeakageReport::closer_to_training`] when nothing leaks: n/(n + m) for n training and m hold-out records.
    #[must_use]
    pub fn closer_by_chance(&self) -> Option<f64> {
        self.holdout.as_ref().map(|holdout| self.searched() as f64 / (self.searched() + holdout.records) as f64)
    }

    /// The same share among equally many training and hold-out records, where 50 % is expected when nothing leaks.
    #[must_use]
    pub fn closer_at_equal_sizes(&self) -> Option<Rate> {
        closer(self.records.iter().filter_map(|record| record.outside.map(|outside| outside.equal_sizes)))
    }

    /// Of the synthetic records that began as exactly one real record, the share whose nearest real record is that one. None when there
    /// are none of these.
    #[must_use]
    pub fn reidentified(&self) -> Option<Rate> {
        self.found_within(1)
    }

    /// As [`LeakageReport::reidentified`], counting a start among the `k` nearest.
    ///
    /// # Errors
    /// [`Error::Config`] when `k` is 0 or more than the neighbours that were kept.
    pub fn reidentified_within(&self, k: usize) -> Result<Option<Rate>> {
        let kept = self.neighbours();
        if k == 0 || k > kept {
            return Err(Error::config(format!("re-identification within {k}"), format!("expected 1 to {kept}, the neighbours kept")));
        }
        Ok(self.found_within(k))
    }

    pub(super) fn found_within(&self, k: usize) -> Option<Rate> {
        let single = || self.records.iter().filter(|record| record.started_from.len() == 1);
        let found = single().filter(|record| record.start_rank.is_some_and(|rank| rank <= k)).count();
        (single().count() > 0).then(|| Rate::counted(found, single().count()))
    }

    /// The rate of re-identification within `k` that guessing gives: k/n.
    #[must_use]
    pub fn chance(&self, k: usize) -> f64 {
        (k as f64 / self.searched() as f64).min(1.0)
    }

    /// The same for those who guess in the class of the synthetic record: the mean of k over the class's size.
    #[must_use]
    pub fn chance_in_class(&self, k: usize) -> f64 {
        let size = |label: &u32| self.real_per_class.get(*label as usize).copied().unwrap_or(0).max(1);
        mean(&self.released.labels().iter().map(|label| (k as f64 / size(label) as f64).min(1.0)).collect::<Vec<f64>>())
    }

    pub(super) fn neighbours(&self) -> usize {
        self.records.iter().map(|record| record.nearest.len()).min().unwrap_or(0)
    }

    /// One row per synthetic record: class, nearest real record and distance, the first it began as and its place among the nearest,
    /// distance to the hold-out, distances to equally many training and hold-out records.
    #[must_use]
    pub fn frame(&self) -> DataFrame {
        let whole = |name: &str, value: &dyn Fn(usize, &RecordLeakage) -> Option<usize>| -> Column {
            let values = self.records.iter().enumerate().map(|(i, record)| value(i, record).map(|v| v as u64));
            Column::new(name.into(), values.collect::<Vec<Option<u64>>>())
        };
        let number = |name: &str, value: &dyn Fn(&RecordLeakage) -> Option<f64>| -> Column {
            Column::new(name.into(), self.records.iter().map(value).collect::<Vec<Option<f64>>>())
        };
        let columns = vec![
            whole("record", &|i, _| Some(i)),
            whole("class", &|i, _| self.released.labels().get(i).map(|&label| label as usize)),
            whole("nearest", &|_, record| record.nearest.first().map(|neighbour| neighbour.record)),
            number("distance", &|record| record.nearest.first().map(|neighbour| neighbour.distance)),
            whole("started_from", &|_, record| record.started_from.first().copied()),
            whole("starts", &|_, record| Some(record.started_from.len())),
            whole("start_rank", &|_, record| record.start_rank),
            number("holdout_distance", &|record| record.outside.map(|outside| outside.holdout)),
            number("equal_size_distance", &|record| record.outside.map(|outside| outside.equal_sizes[0])),
            number("equal_size_holdout_distance", &|record| record.outside.map(|outside| outside.equal_sizes[1])),
        ];
        // All columns have one value per record, so this cannot fail.
        DataFrame::new(self.records.len(), columns).unwrap_or_default()
    }
}

/// Of pairs of distances (training, hold-out) that differ, the share where training is nearer.
fn closer(pairs: impl Iterator<Item = [f64; 2]>) -> Option<Rate> {
    let (mut nearer, mut decided) = (0, 0);
    for [training, holdout] in pairs {
        nearer += usize::from(training < holdout);
        decided += usize::from(training != holdout);
    }
    (decided > 0).then(|| Rate::counted(nearer, decided))
}

impl fmt::Debug for LeakageReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LeakageReport({}, {}, {} records)", self.released.name(), self.metric, self.records.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_lie_between_the_values() {
        let q = Quantiles::of(&[4.0, 0.0, 1.0, 3.0, 2.0]);
        assert_eq!([q.min, q.p25, q.median, q.p75, q.max, q.mean], [0.0, 1.0, 2.0, 3.0, 4.0, 2.0]);
        assert!((q.p5 - 0.2).abs() < 1e-12 && (q.p95 - 3.8).abs() < 1e-12);
        let one = Quantiles::of(&[7.0]);
        assert_eq!((one.min, one.p25, one.max), (7.0, 7.0, 7.0));
    }

    #[test]
    fn records_that_are_equally_near_do_not_count() {
        let rate = closer([[1.0, 2.0], [2.0, 1.0], [1.0, 1.0], [0.0, 0.5]].into_iter()).unwrap();
        assert_eq!((rate.hits, rate.of), (2, 3));
        assert!(closer([[1.0, 1.0]].into_iter()).is_none());
    }
}
