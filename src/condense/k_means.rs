//! K-means: the centres of each class's clusters, the simplest synthetic set that is not a subset.
//!
//! Per class, min over centres c₁ .. c_k and assignments of Σ_x ‖ x − c(x) ‖² in the normalised space, by Lloyd's algorithm:
//!
//! 1. k-means++: the first centre is a random record; each further one is drawn with probability proportional to the squared
//!    distance to the nearest centre so far;
//! 2. every record goes to its nearest centre; a centre without records takes the one that is farthest from its own;
//! 3. every centre becomes the mean of its records; again from 2 until nothing changes.
//!
//! With one record per class the centre is the class mean. [`Origin::started_from`](crate::data::Origin::started_from) lists *all*
//! records of a centre's cluster, for it is their mean and of nothing else.
//!
//! # Privacy
//! None ([`Event::NonPrivate`]): a cluster of one record publishes that record as it is, and
//! outliers tend to be alone.
//!
//! # References
//! Lloyd, "Least squares quantization in PCM" (1982); Arthur and Vassilvitskii, "k-means++" (SODA 2007).
//!
//! # Example
//! ```
//! use freelunch::{Dataset, Lab, condense::KMeans, synthesize::Synthesize};
//! let small = KMeans::new(2).synthesize(&Dataset::toy(), &Lab::new()?.quiet())?;
//! assert_eq!(small.len(), 2 * small.classes());
//! let from: usize = small.origin().started_from.iter().map(Vec::len).sum();
//! assert_eq!(from, Dataset::toy().len());
//! # Ok::<(), freelunch::Error>(())
//! ```

use crate::data::Origin;
use crate::kernel::{CHUNK, Panels, Records, axpy, dot};
use crate::lab::Rng;
use crate::privacy::{Event, guard};
use crate::synthesize::{Synthesize, origin};
use crate::{Dataset, Error, Lab, Result};
use rand::RngExt as _;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::time::Instant;

/// The centres of `per_class` clusters of each class.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KMeans {
    /// Centres per class (ipc), at least 1.
    pub per_class: usize,
    /// Rounds of Lloyd's algorithm at most; it stops as soon as nothing changes.
    pub iterations: usize,
}

impl KMeans {
    /// Centres of `per_class` clusters of each class, after at most 100 rounds.
    #[must_use]
    pub fn new(per_class: usize) -> Self {
        Self { per_class, iterations: 100 }
    }

    /// The same with another number of rounds.
    #[must_use]
    pub fn with_iterations(mut self, iterations: usize) -> Self {
        self.iterations = iterations;
        self
    }
}

impl Synthesize for KMeans {
    fn name(&self) -> String {
        "k-means".into()
    }

    fn config(&self) -> serde_json::Value {
        serde_json::json!(self)
    }

    fn synthesize(&self, real: &Dataset, lab: &Lab) -> Result<Dataset> {
        let start = Instant::now();
        if self.iterations == 0 {
            return Err(Error::config("iterations is 0", "expected at least 1"));
        }
        real.require_per_class(self.per_class)?;
        guard(lab, "k-means", real)?;
        let (values, width) = (real.normalized(), real.features());
        let classes: Vec<(Vec<usize>, Clusters)> = (0..real.classes())
            .into_par_iter()
            .map(|class| {
                let members = real.of_class(class);
                let rows = members.iter().flat_map(|&i| &values[i * width..(i + 1) * width]).map(|&v| f64::from(v));
                let clusters = cluster(&Records::new(rows, width), self.per_class, self.iterations, &mut lab.rng("k-means", class as u64));
                (members, clusters)
            })
            .collect();
        let (mut x, mut labels, mut started_from) = (vec![], vec![], vec![]);
        for (class, (members, clusters)) in (0..).zip(&classes) {
            for (k, centre) in clusters.centres.values.chunks_exact(clusters.centres.stride()).enumerate() {
                x.extend(centre[..width].iter().map(|&v| v as f32));
                labels.push(class);
                started_from.push(members.iter().zip(&clusters.nearest).filter(|(_, of)| **of == k).map(|(i, _)| *i).collect());
            }
        }
        let rounds = classes.iter().map(|(_, clusters)| clusters.inertia.len()).max().unwrap_or(0);
        // A class that has converged earlier keeps its last.
        let at = |round: usize| -> f64 { classes.iter().filter_map(|(_, c)| c.inertia.get(round).or(c.inertia.last())).sum() };
        let trace = (0..rounds).map(|round| (round, at(round))).collect();
        let x = real.normalization().undo(&x, real.shape());
        let origin = Origin { trace, started_from, ..origin(self, lab, Event::NonPrivate, start.elapsed().as_secs_f64()) };
        real.synthetic(x, labels, origin)
    }
}

/// The clusters of one class.
struct Clusters {
    centres: Records,
    /// The centre of every record.
    nearest: Vec<usize>,
    /// Sum of squared distances after every round.
    inertia: Vec<f64>,
}

fn cluster(rows: &Records, count: usize, iterations: usize, rng: &mut Rng) -> Clusters {
    let mut clusters = Clusters { centres: seeds(rows, count, rng), nearest: vec![], inertia: vec![] };
    for _ in 0..iterations {
        let (mut nearest, mut distances) = assign(rows, &clusters.centres);
        fill_empty(&mut nearest, &mut distances, count);
        if nearest == clusters.nearest {
            break;
        }
        clusters.centres = means(rows, &nearest, count);
        clusters.nearest = nearest;
        let centres = clusters.nearest.iter().map(|&k| clusters.centres.row(k));
        clusters.inertia.push(rows.rows().zip(centres).map(|(x, centre)| squared_distance(x, centre)).sum());
    }
    clusters
}

/// The first centres, by k-means++.
fn seeds(rows: &Records, count: usize, rng: &mut Rng) -> Records {
    let mut values = vec![];
    let mut distances = vec![f64::INFINITY; rows.len()];
    let mut chosen = rng.random_range(0..rows.len());
    for _ in 0..count {
        let centre = rows.row(chosen);
        values.extend_from_slice(centre);
        distances.iter_mut().zip(rows.rows()).for_each(|(distance, x)| *distance = distance.min(squared_distance(x, centre)));
        // With every distinct record chosen, all distances are 0 and the draw is the last record; its copy is put to use later.
        let mut left = rng.random::<f64>() * distances.iter().sum::<f64>();
        chosen = distances
            .iter()
            .position(|distance| {
                left -= distance;
                left < 0.0
            })
            .unwrap_or(rows.len() - 1);
    }
    Records { values, width: rows.width }
}

/// The nearest centre of every record (the first of equals), and the squared distance to it.
fn assign(rows: &Records, centres: &Records) -> (Vec<usize>, Vec<f64>) {
    let stride = rows.stride();
    let panels = Panels::pack(&centres.values, stride);
    let norms: Vec<f64> = centres.rows().map(|centre| dot(centre, centre)).collect();
    let parts: Vec<Vec<usize>> = rows
        .values
        .par_chunks(CHUNK * stride)
        .map(|rows| {
            let mut products = vec![0.0; rows.len() / stride * panels.columns()];
            panels.times(rows, stride, &mut products);
            products.chunks_exact(panels.columns()).map(|row| first_of_smallest(&norms, row)).collect()
        })
        .collect();
    let nearest: Vec<usize> = parts.concat();
    let distances = rows.rows().zip(&nearest).map(|(x, &k)| squared_distance(x, centres.row(k))).collect();
    (nearest, distances)
}

/// The centre with the smallest ‖x − c‖² − ‖x‖²; ‖x‖² is the same for all centres.
fn first_of_smallest(norms: &[f64], products: &[f64]) -> usize {
    let distances = norms.iter().zip(products).map(|(norm, product)| norm - 2.0 * product);
    distances.enumerate().min_by(|a, b| a.1.total_cmp(&b.1)).map_or(0, |(k, _)| k)
}

/// Gives every centre without records the one that is farthest from its own, so that there are always as many clusters as asked for.
fn fill_empty(nearest: &mut [usize], distances: &mut [f64], count: usize) {
    let mut sizes = vec![0usize; count];
    nearest.iter().for_each(|&k| sizes[k] += 1);
    for empty in (0..count).filter(|&k| sizes[k] == 0).collect::<Vec<_>>() {
        // As many records as centres: while one is empty, another has two.
        let spare = (0..nearest.len()).filter(|&i| sizes[nearest[i]] > 1);
        let Some(farthest) = spare.min_by(|&a, &b| distances[b].total_cmp(&distances[a])) else { return };
        sizes[nearest[farthest]] -= 1;
        sizes[empty] += 1;
        (nearest[farthest], distances[farthest]) = (empty, 0.0);
    }
}

fn means(rows: &Records, nearest: &[usize], count: usize) -> Records {
    let stride = rows.stride();
    let mut values = vec![0.0; count * stride];
    let mut sizes = vec![0usize; count];
    for (x, &k) in rows.rows().zip(nearest) {
        axpy(1.0, x, &mut values[k * stride..(k + 1) * stride]);
        sizes[k] += 1;
    }
    for (centre, size) in values.chunks_exact_mut(stride).zip(sizes) {
        centre.iter_mut().for_each(|value| *value /= size as f64);
    }
    Records { values, width: rows.width }
}

fn squared_distance(a: &[f64], b: &[f64]) -> f64 {
    let (a, _) = a.as_chunks::<8>(); // padded rows have no rest
    let (b, _) = b.as_chunks::<8>();
    let mut sums = [0.0; 8];
    for (a, b) in a.iter().zip(b) {
        for lane in 0..8 {
            sums[lane] += (a[lane] - b[lane]) * (a[lane] - b[lane]);
        }
    }
    sums.iter().sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Normalization;

    fn lab() -> Lab {
        Lab::on(crate::Device::Cpu).unwrap().quiet()
    }

    /// Records of two values in two classes.
    fn plane(points: &[([f32; 2], u32)]) -> Dataset {
        let x = points.iter().flat_map(|(x, _)| *x).collect();
        let labels = points.iter().map(|(_, label)| *label).collect();
        let names = vec!["a".to_string(), "b".to_string()];
        Dataset::images("plane", x, [2, 1, 1], labels, names).unwrap().with_normalization(Normalization::none(2))
    }

    fn sorted(made: &Dataset, class: usize) -> Vec<Vec<f32>> {
        let mut centres: Vec<Vec<f32>> = made.of_class(class).iter().map(|&i| made.record(i).to_vec()).collect();
        centres.sort_by(|a, b| a.partial_cmp(b).unwrap());
        centres
    }

    #[test]
    fn clusters_that_lie_far_apart_are_found() {
        let mut points = vec![([5.0, 5.0], 1), ([5.0, 7.0], 1), ([7.0, 6.0], 1)];
        for (x, y) in [(0.0, 0.0), (100.0, 0.0), (0.0, 100.0)] {
            points.extend([([x, y - 1.0], 0), ([x, y + 1.0], 0), ([x + 3.0, y], 0)]);
        }
        let real = plane(&points);
        for seed in 0..5 {
            let made = KMeans::new(3).synthesize(&real, &lab().seed(seed)).unwrap();
            assert_eq!(sorted(&made, 0), [[1.0, 0.0], [1.0, 100.0], [101.0, 0.0]]);
            assert_eq!(sorted(&made, 1), [[5.0, 5.0], [5.0, 7.0], [7.0, 6.0]], "as many centres as records");
            let mut from = made.origin().started_from.concat();
            from.sort_unstable();
            assert_eq!(from, (0..12).collect::<Vec<_>>(), "every record stands behind one centre");
        }
    }

    #[test]
    fn inertia_never_increases_and_centres_are_the_means_of_what_they_name() {
        let real = Dataset::toy();
        let made = KMeans::new(4).synthesize(&real, &lab()).unwrap();
        let trace = &made.origin().trace;
        assert!(trace.len() > 2, "{trace:?}");
        // But for the rounding of sums.
        assert!(trace.windows(2).all(|pair| pair[1].1 <= pair[0].1 * (1.0 + 1e-12)), "{trace:?}");
        assert!(trace.last().unwrap().1 < trace[0].1);
        for (i, from) in made.origin().started_from.iter().enumerate() {
            for k in 0..real.features() {
                let mean = from.iter().map(|&r| f64::from(real.record(r)[k])).sum::<f64>() / from.len() as f64;
                // Through the normalised space and back in f32.
                assert!((f64::from(made.record(i)[k]) - mean).abs() < 1e-6);
            }
        }
    }

    #[test]
    fn one_centre_is_the_class_mean() {
        let real = Dataset::toy_table();
        let made = KMeans::new(1).synthesize(&real, &lab()).unwrap();
        for class in 0..2 {
            let members = real.of_class(class);
            assert_eq!(made.origin().started_from[class], members);
            for k in 0..real.features() {
                let mean = members.iter().map(|&i| f64::from(real.record(i)[k])).sum::<f64>() / members.len() as f64;
                assert!((f64::from(made.record(class)[k]) / mean - 1.0).abs() < 1e-5);
            }
        }
    }

    #[test]
    fn copies_of_a_record_still_give_as_many_centres_as_asked_for() {
        let real =
            plane(&[([1.0, 2.0], 0), ([1.0, 2.0], 0), ([1.0, 2.0], 0), ([4.0, 0.0], 0), ([0.0, 0.0], 1), ([9.0, 9.0], 1), ([9.0, 9.0], 1)]);
        for seed in 0..5 {
            let made = KMeans::new(3).synthesize(&real, &lab().seed(seed)).unwrap();
            assert_eq!(made.per_class(), [3, 3]);
            assert_eq!(sorted(&made, 0), [[1.0, 2.0], [1.0, 2.0], [4.0, 0.0]]);
            assert_eq!(sorted(&made, 1), [[0.0, 0.0], [9.0, 9.0], [9.0, 9.0]]);
            assert!(made.origin().started_from.iter().all(|from| !from.is_empty()));
        }
    }

    #[test]
    fn an_empty_cluster_takes_the_record_that_is_farthest_from_its_centre() {
        let mut nearest = [0, 0, 0, 2];
        let mut distances = [1.0, 5.0, 2.0, 9.0];
        fill_empty(&mut nearest, &mut distances, 4);
        // Record 3 is alone with its centre and stays; 1 goes to centre 1, then 2 to centre 3.
        assert_eq!((nearest, distances), ([0, 1, 3, 2], [1.0, 0.0, 0.0, 9.0]));
    }

    #[test]
    fn parameters_out_of_range_are_named() {
        let message = |k_means: KMeans| k_means.synthesize(&Dataset::toy(), &lab()).unwrap_err().to_string();
        assert!(message(KMeans::new(0)).contains("per_class is 0"));
        assert!(message(KMeans::new(1).with_iterations(0)).contains("iterations is 0"));
        assert!(message(KMeans::new(1_000)).contains("1000 asked for"));
    }
}
