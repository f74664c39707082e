//! What the eye can see: for every synthetic record the nearest real ones, and whether they are those it began as.
//!
//! With d a distance between records, DCR(s) = min over real x of d(s, x), the distance to the closest record. Measured are:
//!
//! 1. the `neighbours` nearest real records of every synthetic one, with the quantiles and the mean of DCR (the mean of the minimum
//!    distances is the metric of visual privacy in the literature on condensation);
//! 2. with a hold-out of m records from the same population, the share of synthetic records that are nearer to one of the n training
//!    records than to any hold-out record. If the synthetic set knows no more of the one than of the other, each of the n + m is
//!    equally likely to be the nearest, and n/(n + m) is expected. The same at equal sizes, where 50 % is expected: the larger set is
//!    cut at random, with the lab's seed. A training set that was cut may have lost the very records that leak, so copies of 100 of
//!    5,000 records can pass that test with a hold-out of 1,000: read the first share, too. Ties are not counted;
//! 3. the rate of re-identification: of the synthetic records that began as exactly one real record, the share whose nearest real
//!    record is that one (or an exact copy of it). Guessing finds 1 in n, or 1 in the class's size for those who know the class.
//!
//! Intervals are Clopper-Pearson and take the synthetic records as independent.
//!
//! # Privacy
//! None: a report holds real records. A large distance proves nothing. Low membership leakage can coexist with images that visibly
//! are the private ones, and the reverse; a record can be hidden from one distance and plain in another. In the noise that
//! [`linear_matching`](crate::condense::linear_matching) releases, a search by L2 found nothing (notebook 03), and any record can be computed
//! from it.
//!
//! # References
//! Zhao, Zhang, arXiv 2502.12976 (images that are visibly private at low membership leakage); distances: [`Metric`].
//!
//! # Example
//! ```
//! use freelunch::leakage::{Leakage, Metric};
//! use freelunch::prelude::*;
//! let lab = Lab::new()?.quiet();
//! let real = Dataset::toy();
//! let released = RandomSubset::new(2).synthesize(&real, &lab)?;
//! let report = Leakage::new(Metric::L2).measure(&released, &real, &lab)?;
//! assert_eq!(report.reidentified().map(|rate| rate.value()), Some(1.0)); // copies are at distance 0 of themselves
//! # Ok::<(), Error>(())
//! ```

mod figure;
mod lpips;
pub(crate) mod nearest;
mod report;
pub(crate) mod structural_similarity;
mod summary;

pub use lpips::Lpips;
pub use report::{HoldOut, LeakageReport, Outside, Quantiles, RecordLeakage};
pub use summary::LeakageSummary;

use crate::train::Model;
use crate::{Dataset, Error, Lab, Result};
use nearest::{Shortlist, nearest_rows};
use rand::seq::index;
use serde::{Deserialize, Serialize};

/// How far two records are apart.
#[derive(Debug, Clone)]
#[non_exhaustive]
// One is made per measurement, so its size does not matter, and a box would only be typing.
#[allow(clippy::large_enum_variant)]
pub enum Metric {
    /// Root mean square difference per value. Images: in natural units, pixels 0..1, as they were released (not clipped), so 0.1 is
    /// a tenth of the way from black to white. Tables: in standard deviations of the real set's columns.
    L2,
    /// 1 − structural similarity of images of at least 11×11 pixels, clipped to 0..1: 0 for equal images, about 1 for unrelated ones.
    Ssim,
    /// Euclidean distance in the space of a trained network, before its last layer.
    Features {
        /// The network.
        model: Model,
    },
    /// Learned perceptual image patch similarity, for images with one or three channels, clipped to 0..1. Some 10 ms an image on two
    /// cores.
    Lpips {
        /// The network's weights, from [`Lpips::load`].
        weights: Lpips,
    },
}

impl Metric {
    /// The name used in tables and captions.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::L2 => "L2 per value".into(),
            Self::Ssim => "1 − SSIM".into(),
            Self::Features { model } => format!("features of {}", model.train().arch.name()),
            Self::Lpips { weights } => format!("LPIPS (AlexNet, side {})", weights.side()),
        }
    }

    pub(crate) fn check(&self, data: &Dataset) -> Result<()> {
        let visual = matches!(self, Self::Ssim | Self::Lpips { .. });
        if visual && data.schema().is_some() {
            let what = format!("{} of the table {}", self.name(), data.name());
            return Err(Error::config(what, "it compares images; use Metric::L2 or Metric::Features"));
        }
        if matches!(self, Self::Lpips { .. }) && !matches!(data.shape()[0], 1 | 3) {
            return Err(Error::config(format!("LPIPS of images with {} channels", data.shape()[0]), "expected 1 or 3; use Metric::L2"));
        }
        Ok(())
    }

    /// For every query the `most` nearest of `rows`, nearest first.
    pub(crate) fn nearest(&self, queries: &Dataset, rows: &Dataset, most: usize, lab: &Lab) -> Result<Vec<Vec<Neighbour>>> {
        let most = most.min(rows.len());
        let d = rows.features();
        let lists = match self {
            Self::L2 if rows.schema().is_some() => nearest_rows(&queries.normalized(), &rows.normalized(), d, most, 0),
            Self::L2 => nearest_rows(queries.x(), rows.x(), d, most, 0),
            Self::Ssim => structural_similarity::nearest_images(queries, rows, most)?,
            Self::Features { model } => {
                let embedded = model.embeddings(rows)?;
                nearest_rows(&model.embeddings(queries)?, &embedded, embedded.len() / rows.len(), most, 0)
            }
            Self::Lpips { weights } => weights.nearest(queries, rows, most, lab)?,
        };
        let scaled = |square: f64| match self {
            Self::L2 => (square / d as f64).sqrt(),
            Self::Features { .. } => square.sqrt(),
            Self::Ssim | Self::Lpips { .. } => square,
        };
        let of_list = |list: Shortlist| list.found.into_iter().map(|n| Neighbour { distance: scaled(n.distance), ..n }).collect();
        Ok(lists.into_iter().map(of_list).collect())
    }
}

/// A real record and how far it is.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Neighbour {
    /// Its position in the real set.
    pub record: usize,
    /// The distance, in the units of the [`Metric`].
    pub distance: f64,
}

/// The search for real records behind synthetic ones.
///
/// # Example
/// ```
/// use freelunch::leakage::{Leakage, Metric};
/// use freelunch::prelude::*;
/// let lab = Lab::new()?.seed(1).quiet();
/// let halves = Dataset::toy().members(40, &lab)?;
/// let released = Herding::new(2).synthesize(&halves.members, &lab)?;
/// let leakage = Leakage::new(Metric::L2).with_neighbours(3).with_holdout(&halves.non_members);
/// let report = leakage.measure(&released, &halves.members, &lab)?;
/// assert_eq!(report.closer_to_training().map(|rate| rate.hits), Some(8)); // all eight
/// # Ok::<(), Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Leakage {
    /// The distance.
    pub metric: Metric,
    /// Real records that are kept for every synthetic one (k), at least 1; 5 unless told.
    pub neighbours: usize,
    /// Real records that the synthetic set was not made from.
    pub holdout: Option<Dataset>,
}

impl Leakage {
    /// The five nearest real records, without a hold-out.
    #[must_use]
    pub fn new(metric: Metric) -> Self {
        Self { metric, neighbours: 5, holdout: None }
    }

    /// The same with another number of nearest records.
    #[must_use]
    pub fn with_neighbours(mut self, neighbours: usize) -> Self {
        self.neighbours = neighbours;
        self
    }

    /// The same comparing with real records of the same population that the synthetic set was not made from.
    #[must_use]
    pub fn with_holdout(mut self, holdout: &Dataset) -> Self {
        self.holdout = Some(holdout.clone());
        self
    }

    fn check(&self, synthetic: &Dataset, real: &Dataset) -> Result<()> {
        if self.neighbours == 0 {
            return Err(Error::config("neighbours is 0", "expected at least 1"));
        }
        self.metric.check(real)?;
        for other in [Some(synthetic), self.holdout.as_ref()].into_iter().flatten() {
            real.same_kind(other)?;
        }
        let starts = synthetic.origin().started_from.iter().flatten();
        if let Some(beyond) = starts.copied().find(|&start| start >= real.len()) {
            let what = format!("a record of {} began as record {beyond}, {} has {}", synthetic.name(), real.name(), real.len());
            return Err(Error::mismatch(what, "measure against the set it was made from"));
        }
        Ok(())
    }

    /// Searches for the records of `synthetic` in `real`, the set it was made from.
    ///
    /// # Errors
    /// [`Error::Config`] for a metric that does not fit the records, [`Error::Mismatch`] for sets of different kinds or a real set that
    /// is not the one the synthetic set began as, [`Error::Device`] from a network.
    pub fn measure(&self, synthetic: &Dataset, real: &Dataset, lab: &Lab) -> Result<LeakageReport> {
        self.check(synthetic, real)?;
        // One scale for all sets: the real one's.
        let scaled = |set: &Dataset| set.clone().with_normalization(real.normalization().clone());
        let synthetic = scaled(synthetic);
        let nearest = self.metric.nearest(&synthetic, real, self.neighbours, lab)?;
        let comparison = match &self.holdout {
            Some(holdout) => Some(self.compare(&synthetic, real, &scaled(holdout), &nearest, lab)?),
            None => None,
        };
        LeakageReport::new(self.metric.name(), &synthetic, real, nearest, comparison, lab)
    }

    /// The nearest hold-out records, of all and of as many as there are training records.
    fn compare(
        &self,
        synthetic: &Dataset,
        real: &Dataset,
        holdout: &Dataset,
        nearest: &[Vec<Neighbour>],
        lab: &Lab,
    ) -> Result<(HoldOut, Vec<Outside>)> {
        let each = real.len().min(holdout.len());
        let first = |lists: &[Vec<Neighbour>]| -> Vec<f64> {
            lists.iter().map(|list| list.first().map_or(f64::NAN, |neighbour| neighbour.distance)).collect()
        };
        let of = |set: &Dataset| self.metric.nearest(synthetic, set, 1, lab).map(|lists| first(&lists));
        let of_some = |set: &Dataset, label: &str| {
            let mut kept = index::sample(&mut lab.rng(label, 0), set.len(), each).into_vec();
            kept.sort_unstable();
            of(&set.subset(&kept)?)
        };
        let (inside, outside) = (first(nearest), of(holdout)?);
        let some_inside = if each < real.len() { of_some(real, "leakage training")? } else { inside };
        let some_outside = if each < holdout.len() { of_some(holdout, "leakage hold-out")? } else { outside.clone() };
        let equal_sizes = some_inside.into_iter().zip(some_outside).map(|(inside, outside)| [inside, outside]);
        let pairs = outside.into_iter().zip(equal_sizes).map(|(holdout, equal_sizes)| Outside { holdout, equal_sizes });
        Ok((HoldOut { name: holdout.name().to_string(), records: holdout.len(), each }, pairs.collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Device;
    use crate::condense::RandomSubset;
    use crate::data::Origin;
    use crate::nn::Arch;
    use crate::synthesize::Synthesize;
    use crate::train::Train;

    fn lab() -> Lab {
        Lab::on(Device::Cpu).unwrap().seed(5).quiet()
    }

    fn released(real: &Dataset, x: Vec<f32>, started_from: Vec<Vec<usize>>) -> Dataset {
        real.synthetic(x, vec![0; started_from.len()], Origin { started_from, ..Origin::real("test") }).unwrap()
    }

    #[test]
    fn copies_are_at_distance_zero_and_found_even_among_duplicates() {
        let toy = Dataset::toy();
        let twice = toy.subset(&(0..2 * toy.len()).map(|i| i % toy.len()).collect::<Vec<_>>()).unwrap();
        for real in [toy, twice] {
            let made = RandomSubset::new(5).synthesize(&real, &lab()).unwrap();
            let report = Leakage::new(Metric::L2).measure(&made, &real, &lab()).unwrap();
            assert_eq!((report.closest().max, report.mean_of_minimum()), (0.0, 0.0));
            assert_eq!(report.reidentified().unwrap().hits, 20);
            assert!(report.records().iter().all(|record| record.start_rank == Some(1)));
        }
    }

    #[test]
    fn a_start_that_is_second_nearest_counts_within_two_only() {
        let shape = [1, 1, 2];
        let real = Dataset::images("line", vec![0.0, 0.0, 0.5, 0.5, 1.0, 1.0], shape, vec![0; 3], vec!["a".into()]).unwrap();
        // The first moved away from record 0 towards 1; the second is a mixture, the third began as noise.
        let made = released(&real, vec![0.4, 0.4, 0.9, 0.9, 0.1, 0.1], vec![vec![0], vec![1, 2], vec![]]);
        let report = Leakage::new(Metric::L2).with_neighbours(2).measure(&made, &real, &lab()).unwrap();
        let ranks: Vec<Option<usize>> = report.records().iter().map(|record| record.start_rank).collect();
        assert_eq!(ranks, vec![Some(2), Some(1), None]);
        let within = |k| report.reidentified_within(k).unwrap().map(|rate| (rate.hits, rate.of));
        assert_eq!((within(1), within(2)), (Some((0, 1)), Some((1, 1))));
        assert!(report.reidentified_within(3).unwrap_err().to_string().contains("expected 1 to 2"));
        assert!((report.distances()[0] - 0.1).abs() < 1e-7);
        assert!((report.chance(2) - 2.0 / 3.0).abs() < 1e-12);
    }

    #[test]
    fn independent_records_are_nearer_to_training_as_often_as_chance_says() {
        let toy = Dataset::toy();
        for (training, expected) in [(40, 0.5), (60, 0.75)] {
            let (mut whole, mut equal, mut of) = (0, 0, 0);
            for seed in 0..25 {
                let order = toy.sample(120, &lab().seed(seed)).unwrap();
                let part = |range: std::ops::Range<usize>| order.subset(&range.collect::<Vec<_>>()).unwrap();
                let (made, real, holdout) = (part(0..40), part(40..40 + training), part(40 + training..120));
                let report = Leakage::new(Metric::L2).with_holdout(&holdout).measure(&made, &real, &lab().seed(seed)).unwrap();
                assert!((report.closer_by_chance().unwrap() - expected).abs() < 1e-12);
                whole += report.closer_to_training().unwrap().hits;
                equal += report.closer_at_equal_sizes().unwrap().hits;
                of += made.len();
            }
            // 1,000 comparisons: a deviation of 0.016 if they were independent.
            let share = |hits: usize| hits as f64 / of as f64;
            assert!((share(whole) - expected).abs() < 0.05, "{}", share(whole));
            assert!((share(equal) - 0.5).abs() < 0.05, "{}", share(equal));
        }
    }

    #[test]
    fn distances_have_the_units_that_the_metric_promises() {
        let toy = Dataset::toy();
        let moved = released(&toy, toy.record(7).iter().map(|v| v + 0.25).collect(), vec![vec![7]]);
        let distance = |metric: Metric, made: &Dataset, real: &Dataset| {
            let report = Leakage::new(metric).measure(made, &real.subset(&[7]).unwrap(), &lab());
            report.unwrap().distances()[0]
        };
        let bare = moved.synthetic(moved.x().to_vec(), vec![0], Origin::real("test")).unwrap();
        assert!((distance(Metric::L2, &bare, &toy) - 0.25).abs() < 1e-6);
        // A table: one column of five away by two of the whole set's deviations.
        let table = Dataset::toy_table();
        let mut x = table.record(7).to_vec();
        x[1] += 2.0 * table.normalization().std[1];
        let made = table.synthetic(x, vec![0], Origin::real("test")).unwrap();
        assert!((distance(Metric::L2, &made, &table) - 2.0 / 5f64.sqrt()).abs() < 1e-6);
        // A network's space: Euclidean.
        let model = Train::new(Arch::Mlp { hidden: vec![6] }).with_epochs(1).fit(&toy, &lab()).unwrap();
        let [a, b] = [&bare, &toy.subset(&[7]).unwrap()].map(|set| model.embeddings(set).unwrap());
        let expected = a.iter().zip(&b).map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>().sqrt();
        assert!(expected > 0.0 && (distance(Metric::Features { model }, &bare, &toy) / expected - 1.0).abs() < 1e-6);
    }

    #[test]
    fn what_does_not_fit_is_refused_with_a_remedy() {
        let (toy, table) = (Dataset::toy(), Dataset::toy_table());
        let message = |leakage: Leakage, made: &Dataset, real: &Dataset| leakage.measure(made, real, &lab()).unwrap_err().to_string();
        assert!(message(Leakage::new(Metric::Ssim), &table, &table).contains("Metric::L2"));
        assert!(message(Leakage::new(Metric::L2), &toy, &table).contains("same shape"));
        assert!(message(Leakage::new(Metric::L2).with_holdout(&table), &toy, &toy).contains("same shape"));
        assert!(message(Leakage::new(Metric::L2).with_neighbours(0), &toy, &toy).contains("neighbours is 0"));
        let made = released(&toy, toy.record(0).to_vec(), vec![vec![100]]);
        let part = toy.subset(&[0, 1]).unwrap();
        assert!(message(Leakage::new(Metric::L2), &made, &part).contains("record 100"));
    }

    #[test]
    fn reports_do_not_depend_on_threads_and_survive_serde() {
        let x: Vec<f32> = (0..90 * 144).map(|i| ((i * i) % 251) as f32 / 250.0).collect();
        let images = Dataset::images("images", x, [1, 12, 12], (0..90).map(|i| i % 3).collect(), vec!["a".into(), "b".into(), "c".into()]);
        let images = images.unwrap();
        let made = RandomSubset::new(4).synthesize(&images, &lab()).unwrap();
        for metric in [Metric::L2, Metric::Ssim] {
            let on = |threads: usize| {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                pool.install(|| Leakage::new(metric.clone()).with_holdout(&images).measure(&made, &images, &lab()).unwrap())
            };
            let json = serde_json::to_string(&on(1)).unwrap();
            assert_eq!(json, serde_json::to_string(&on(2)).unwrap());
            let back: LeakageReport = serde_json::from_str(&json).unwrap();
            assert_eq!(back.frame(), on(1).frame());
            assert!(format!("{back:?}").len() < 100);
        }
    }
}
