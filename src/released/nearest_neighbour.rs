//! The simplest attack on records: a candidate that lies close to a released one was a member.
//!
//! With S the released records (for a generator, `samples` of each class), score(x) = −min over s in S of d(x, s).
//!
//! 1. [`Metric`] is the distance d: pixels in natural units (columns of tables in standard deviations), or another space.
//! 2. [`NearestNeighbour::of_class`] looks only at released records with the candidate's label, which helps where labels tell much.
//!
//! Every candidate is held to the same threshold, so one that lies in a crowded place looks like a member:
//! [`DensityRatio`](super::DensityRatio) corrects for that with public records.
//!
//! # Privacy
//! None: this is an attack.
//!
//! # References
//! Chen, Yu, Zhang, Fritz, arXiv 1909.03935 (GAN-Leaks, full black-box attack).
//!
//! # Example
//! ```
//! use freelunch::released::{NearestNeighbour, ReleaseAttack, Released};
//! use freelunch::{Dataset, Lab};
//! let toy = Dataset::toy();
//! let released = Released::from(toy.subset(&[0, 1, 2])?);
//! let scores = NearestNeighbour::pixels().score(&released, &toy, &Lab::new()?.quiet())?;
//! assert!(scores[..3].iter().all(|score| *score == 0.0) && scores[3..].iter().all(|score| *score < 0.0));
//! # Ok::<(), freelunch::Error>(())
//! ```

use super::{ReleaseAttack, Released, SAMPLES, finite, records_for};
use crate::leakage::Metric;
use crate::train::Model;
use crate::{Dataset, Lab, Result};
use serde::{Deserialize, Serialize};

/// Ranks candidates by the distance to the nearest released record.
///
/// # Example
/// ```
/// use freelunch::released::{NearestNeighbour, ReleaseAttack};
/// assert_eq!(NearestNeighbour::pixels().of_class().name(), "nearest neighbour of the class, L2 per value");
/// ```
#[derive(Debug, Clone)]
#[doc(alias = "GAN-Leaks")]
pub struct NearestNeighbour {
    /// The distance.
    pub metric: Metric,
    /// Which released records count.
    pub among: Among,
    /// Records of each class that are sampled from a generator, at least 1.
    pub samples: usize,
}

/// Which released records a candidate is compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Among {
    /// All.
    All,
    /// Those with the candidate's label.
    OfClass,
}

impl NearestNeighbour {
    /// Below any distance: for candidates of a class of which nothing was released.
    const NOTHING_NEAR: f64 = -f64::MAX;

    /// Among all released records, under any distance.
    #[must_use]
    pub fn new(metric: Metric) -> Self {
        Self { metric, among: Among::All, samples: SAMPLES }
    }

    /// By pixels in natural units, or by columns in standard deviations.
    #[must_use]
    pub fn pixels() -> Self {
        Self::new(Metric::L2)
    }

    /// In the space of a network that was trained on public records, before its last layer.
    #[must_use]
    pub fn features(model: &Model) -> Self {
        Self::new(Metric::Features { model: model.clone() })
    }

    /// The same among released records with the candidate's label. Candidates whose class was not released come last.
    #[must_use]
    pub fn of_class(mut self) -> Self {
        self.among = Among::OfClass;
        self
    }

    /// The same with another number of samples from generators.
    #[must_use]
    pub fn with_samples(mut self, samples: usize) -> Self {
        self.samples = samples;
        self
    }

    fn distances(&self, candidates: &Dataset, records: &Dataset, lab: &Lab) -> Result<Vec<f64>> {
        let lists = self.metric.nearest(candidates, records, 1, lab)?;
        Ok(lists.iter().map(|list| list.first().map_or(f64::NAN, |nearest| nearest.distance)).collect())
    }
}

impl ReleaseAttack for NearestNeighbour {
    fn name(&self) -> String {
        let class = if self.among == Among::OfClass { " of the class" } else { "" };
        format!("nearest neighbour{class}, {}", self.metric.name())
    }

    fn config(&self) -> serde_json::Value {
        serde_json::json!({ "metric": self.metric.name(), "among": self.among, "samples": self.samples })
    }

    fn applies(&self, released: &Released) -> Result<(), String> {
        released.has_records()
    }

    fn score(&self, released: &Released, candidates: &Dataset, lab: &Lab) -> Result<Vec<f64>> {
        let records = records_for(self, released, self.samples, candidates, lab)?;
        self.metric.check(&records)?;
        let candidates = &candidates.clone().with_normalization(records.normalization().clone());
        let mut scores = vec![Self::NOTHING_NEAR; candidates.len()];
        match self.among {
            Among::All => scores = self.distances(candidates, &records, lab)?.into_iter().map(|d| -d).collect(),
            Among::OfClass => {
                for class in 0..records.classes() {
                    let (ours, theirs) = (candidates.of_class(class), records.of_class(class));
                    if ours.is_empty() || theirs.is_empty() {
                        continue;
                    }
                    let distances = self.distances(&candidates.subset(&ours)?, &records.subset(&theirs)?, lab)?;
                    ours.into_iter().zip(distances).for_each(|(i, d)| scores[i] = -d);
                }
            }
        }
        finite(self, scores)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{halves, lab};
    use super::*;
    use crate::nn::Arch;
    use crate::train::Train;

    #[test]
    fn a_released_copy_of_half_the_members_is_found_exactly() {
        let truth = halves();
        let copied: Vec<usize> = (0..truth.members.len()).step_by(2).collect();
        let released = Released::from(truth.members.subset(&copied).unwrap());
        for attack in [NearestNeighbour::pixels(), NearestNeighbour::pixels().of_class()] {
            let found = released.attack(&attack, &truth, &lab()).unwrap().tpr_at(0.0);
            assert_eq!((found.rate.hits, found.rate.of, found.false_positives), (20, 40, 0));
        }
    }

    #[test]
    fn the_score_is_minus_the_root_mean_square_difference_to_the_nearest_record_that_counts() {
        let toy = Dataset::toy();
        let released = toy.subset(&[1, 6, 9]).unwrap(); // classes 1, 2, 1
        let distance = |a: usize, b: usize| {
            let squares = toy.record(a).iter().zip(toy.record(b)).map(|(&a, &b)| (f64::from(a) - f64::from(b)).powi(2));
            (squares.sum::<f64>() / 64.0).sqrt()
        };
        let score = |attack: NearestNeighbour| attack.score(&Released::from(released.clone()), &toy, &lab()).unwrap();
        let (all, of_class) = (score(NearestNeighbour::pixels()), score(NearestNeighbour::pixels().of_class()));
        for i in 0..toy.len() {
            let nearest = [1, 6, 9].map(|s| distance(i, s)).into_iter().fold(f64::MAX, f64::min);
            assert!((all[i] + nearest).abs() < 1e-12);
            let expected = match toy.labels()[i] {
                1 => distance(i, 1).min(distance(i, 9)),
                2 => distance(i, 6),
                _ => f64::MAX, // nothing of the class was released, and the score is finite
            };
            assert!(of_class[i] == -expected || (of_class[i] + expected).abs() < 1e-12);
        }
    }

    #[test]
    fn columns_of_tables_are_compared_in_standard_deviations_of_the_released() {
        let table = Dataset::toy_table();
        let released = table.subset(&[4]).unwrap();
        let scores = NearestNeighbour::pixels().score(&Released::from(released.clone()), &table, &lab()).unwrap();
        let n = released.normalization();
        let square = |j: usize| (f64::from(table.record(7)[j] - table.record(4)[j]) / f64::from(n.std[j])).powi(2);
        let expected = ((0..5).map(square).sum::<f64>() / 5.0).sqrt();
        assert!((scores[7] + expected).abs() < 1e-5, "{} against {expected}", scores[7]); // normalised in f32
    }

    #[test]
    fn copies_are_found_in_the_space_of_a_network_too() {
        let truth = halves();
        let model = Train::new(Arch::Mlp { hidden: vec![12] }).with_epochs(2).fit(&Dataset::toy(), &lab()).unwrap();
        let released = Released::from(truth.members.subset(&[0, 1, 2, 3]).unwrap());
        let roc = released.attack(&NearestNeighbour::features(&model), &truth, &lab()).unwrap();
        assert!(roc.tpr_at(0.0).rate.hits >= 4);
    }
}
