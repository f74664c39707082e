//! Small influence, full reconstruction: what one record does to the closed form, and what an adversary reads from it.
//!
//! Of the n records of a class the adversary knows n − 1 and the release S*, of which every record is s_i⁰ + mean(T) − mean(S⁰). The start
//! cancels in the mean: mean(S*) = mean(T). So x_n = n mean(S*) − Σ rest, whatever the start was. In f64 this is exact to rounding; from
//! a release in f32, rounded to 6e-8 of its values, the error is at most about n times that: 3e-5 of the way from black to white for
//! n = 500.

use super::{matched, mean, rows};
use crate::display::{Cell, Figure, ImageGrid, Plot, Show, Table};
use crate::{Dataset, Error, Lab, Result};
use rand::RngExt;
use rand::seq::index;
use serde::{Deserialize, Serialize};
use std::fmt;

/// How far every synthetic record of the class moves when `record` leaves the set and the start stays: ‖x_n − mean(rest)‖ / n, Euclidean,
/// in natural units.
///
/// # Errors
/// [`Error::Config`] for a record that is not there or alone in its class.
///
/// # Example
/// ```
/// use freelunch::{Dataset, condense::linear_matching::influence};
/// assert!(influence(&Dataset::toy(), 0)? < 0.15);
/// # Ok::<(), freelunch::Error>(())
/// ```
pub fn influence(real: &Dataset, record: usize) -> Result<f64> {
    let (_, rest) = class_without(real, record)?;
    Ok(shift(&rows(real, &[record]), &rows(real, &rest)))
}

/// ‖x_n − mean(rest)‖ / n.
fn shift(record: &[f64], rest: &[f64]) -> f64 {
    let d = record.len();
    let n = (rest.len() / d + 1) as f64;
    norm(record.iter().zip(mean(rest, d)).map(|(x, m)| x - m)) / n
}

fn norm(values: impl Iterator<Item = f64>) -> f64 {
    values.map(|v| v * v).sum::<f64>().sqrt()
}

/// The class of a record and the positions of the others in it.
fn class_without(real: &Dataset, record: usize) -> Result<(usize, Vec<usize>)> {
    let Some(&class) = real.labels().get(record) else {
        return Err(Error::config(format!("record {record} of {}", real.name()), format!("expected one below {}", real.len())));
    };
    let mut rest = real.of_class(class as usize);
    rest.retain(|&i| i != record);
    if rest.is_empty() {
        return Err(Error::config(format!("record {record}, alone in its class"), "choose a class with at least 2 records"));
    }
    Ok((class as usize, rest))
}

/// The influence of one record against the number of records of its class.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InfluenceBySize {
    points: Vec<(usize, f64)>,
    record: usize,
    name: String,
    seed: u64,
}

/// The influence of `record` among n records of its class, itself and n − 1 random others, for every n of `sizes`: not by the formula, but
/// as the shift of the closed form, computed with and without the record from the same noise.
///
/// # Errors
/// [`Error::Config`] for a size below 2 or beyond the class, and as [`influence`].
///
/// # Example
/// ```
/// use freelunch::{Dataset, Lab, condense::linear_matching::influence_by_size};
/// let found = influence_by_size(&Dataset::toy(), 0, &[3, 30], &Lab::new()?.quiet())?;
/// assert!(found.points()[1].1 < 0.5 * found.points()[0].1);
/// # Ok::<(), freelunch::Error>(())
/// ```
pub fn influence_by_size(real: &Dataset, record: usize, sizes: &[usize], lab: &Lab) -> Result<InfluenceBySize> {
    let (_, rest) = class_without(real, record)?;
    let d = real.features();
    let mut rng = lab.rng("influence", 0);
    let start: Vec<f64> = (0..2 * d).map(|_| rng.random_range(-1.0..1.0)).collect();
    let mut points = vec![];
    for &n in sizes {
        if n < 2 || n > rest.len() + 1 {
            return Err(Error::config(format!("{n} records of the class"), format!("expected 2 to {}", rest.len() + 1)));
        }
        let others: Vec<usize> = index::sample(&mut lab.rng("influence", n as u64), rest.len(), n - 1).iter().map(|i| rest[i]).collect();
        let without = rows(real, &others);
        let with = [without.clone(), rows(real, &[record])].concat();
        let (with, without) = (matched(&start, &with, d), matched(&start, &without, d));
        points.push((n, norm(with[..d].iter().zip(&without).map(|(a, b)| a - b))));
    }
    Ok(InfluenceBySize { points, record, name: real.name().to_string(), seed: lab.seed_value() })
}

impl InfluenceBySize {
    /// Records of the class and the shift of every synthetic record.
    #[must_use]
    pub fn points(&self) -> &[(usize, f64)] {
        &self.points
    }
}

impl Show for InfluenceBySize {
    fn figure(&self) -> Figure {
        let points: Vec<(f64, f64)> = self.points.iter().map(|&(n, shift)| (n as f64, shift)).collect();
        // Through the point of the largest n, where the mean of the others is least noisy.
        let scale = points.iter().max_by(|a, b| a.0.total_cmp(&b.0)).map_or(1.0, |(n, shift)| n * shift);
        let falling: Vec<(f64, f64)> = points.iter().map(|&(n, _)| (n, scale / n)).collect();
        Plot::new("Influence of one record")
            .x_label("records of the class (n)")
            .y_label("shift of every synthetic record")
            .log_log()
            .line("1/n", &falling)
            .points("measured", &points)
            .caption(&format!(
                "Record {} of {}, the other n − 1 drawn with seed {}. Small influence is not privacy: the record can be computed from the \
                 release at every n.",
                self.record, self.name, self.seed
            ))
            .figure()
    }
}

/// What an adversary computes who has the release and all records of the class but one, `others` (records of other classes in it are
/// not used): x_n = n mean(S*) − Σ others. It needs neither the start nor the seed.
///
/// # Errors
/// [`Error::Config`] when the class has no record in one of the sets, [`Error::Mismatch`] for sets of different kinds.
///
/// # Example
/// ```
/// use freelunch::condense::linear_matching::reconstruct;
/// use freelunch::prelude::*;
/// let real = Dataset::toy();
/// let released = LinearMatching::new(5).synthesize(&real, &Lab::new()?.quiet())?;
/// let others = real.subset(&(1..real.len()).collect::<Vec<_>>())?; // all but record 0, of class 0
/// let found = reconstruct(&released, &others, 0)?;
/// assert!((found[10] - f64::from(real.record(0)[10])).abs() < 1e-4);
/// # Ok::<(), Error>(())
/// ```
pub fn reconstruct(released: &Dataset, others: &Dataset, class: usize) -> Result<Vec<f64>> {
    released.same_kind(others)?;
    let (made, rest) = (released.of_class(class), others.of_class(class));
    if made.is_empty() || rest.is_empty() {
        let what = format!("class {class} with {} released and {} known records", made.len(), rest.len());
        return Err(Error::config(what, "choose a class with at least 1 of each"));
    }
    Ok(recovered(&rows(released, &made), &rows(others, &rest), released.features()))
}

/// n mean(S*) − Σ rest.
fn recovered(released: &[f64], rest: &[f64], width: usize) -> Vec<f64> {
    let n = (rest.len() / width + 1) as f64;
    mean(released, width).iter().zip(mean(rest, width)).map(|(s, r)| n * s - (n - 1.0) * r).collect()
}

/// Records that were computed from a release, beside the originals.
#[derive(Clone, Serialize, Deserialize)]
pub struct Reconstructions {
    real: Dataset,
    found: Vec<Vec<f64>>,
    /// Records of the class of each.
    sizes: Vec<usize>,
    victims: Vec<usize>,
    method: String,
    seed: u64,
}

/// [`reconstruct`] for each of the `victims`, by an adversary who has `released` and `real` without that one record.
///
/// # Errors
/// As [`reconstruct`] and [`influence`]; [`Error::Config`] for no victim.
pub fn reconstruct_each(released: &Dataset, real: &Dataset, victims: &[usize]) -> Result<Reconstructions> {
    let mut found = vec![];
    let mut sizes = vec![];
    for &victim in victims {
        let (class, rest) = class_without(real, victim)?;
        found.push(reconstruct(released, &real.subset(&rest)?, class)?);
        sizes.push(rest.len() + 1);
    }
    let origin = released.origin();
    Ok(Reconstructions {
        real: real.subset(victims)?,
        found,
        sizes,
        victims: victims.to_vec(),
        method: origin.method.clone(),
        seed: origin.seed,
    })
}

impl Reconstructions {
    /// The largest absolute error of each record, in natural units.
    #[must_use]
    pub fn errors(&self) -> Vec<f64> {
        let of = |i: usize| self.difference(i).into_iter().fold(0.0, f64::max);
        (0..self.found.len()).map(of).collect()
    }

    /// What was computed, in the order of the victims.
    #[must_use]
    pub fn found(&self) -> &[Vec<f64>] {
        &self.found
    }

    fn difference(&self, i: usize) -> Vec<f64> {
        self.found[i].iter().zip(self.real.record(i)).map(|(a, &b)| (a - f64::from(b)).abs()).collect()
    }

    fn table(&self) -> Table {
        let rows = self.victims.iter().zip(&self.sizes).zip(self.errors());
        rows.fold(Table::new(["record", "n", "largest error"]), |table, ((&victim, &n), error)| {
            table.row([Cell::from(victim), Cell::from(n), Cell::from(error)])
        })
    }
}

impl Show for Reconstructions {
    /// Original, recovered and absolute difference of each record.
    fn figure(&self) -> Figure {
        let caption = format!(
            "Released by {} (seed {}). The adversary knows the release and the other n − 1 records of the class, not the start.",
            self.method, self.seed
        );
        let [channels, height, width] = self.real.shape();
        if height * width == 1 || !matches!(channels, 1 | 3) {
            return self.table().figure().captioned(&caption);
        }
        let single = |values: &[f64]| values.iter().map(|&v| v as f32).collect::<Vec<f32>>();
        let errors = self.errors();
        let row = |i: usize| {
            let label = format!("n = {}, error {:.0e}", self.sizes[i], errors[i]);
            (label, vec![self.real.record(i).to_vec(), single(&self.found[i]), single(&self.difference(i))])
        };
        ImageGrid::new((0..self.found.len()).map(row).collect(), self.real.shape())
            .column_captions(&["original", "recovered", "difference"])
            .titled("Reconstruction")
            .captioned(&caption)
            .at_most(460)
            .figure()
    }
}

crate::display::show_inline!(InfluenceBySize, Reconstructions);

impl fmt::Debug for Reconstructions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Reconstructions({} records by {})", self.found.len(), self.method)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Device;
    use crate::condense::{Init, LinearMatching};
    use crate::synthesize::Synthesize;

    fn lab() -> Lab {
        Lab::on(Device::Cpu).unwrap().seed(8).quiet()
    }

    fn random(n: usize, d: usize) -> Vec<f64> {
        let mut rng = lab().rng("random", n as u64);
        (0..n * d).map(|_| rng.random_range(0.0..1.0)).collect()
    }

    #[test]
    fn every_synthetic_record_moves_by_the_influence_when_a_record_leaves() {
        let (real, victim) = (Dataset::toy(), 17);
        let expected = influence(&real, victim).unwrap();
        let without = real.subset(&(0..real.len()).filter(|&i| i != victim).collect::<Vec<_>>()).unwrap();
        let method = LinearMatching::new(3).with_init(Init::Noise);
        let [with, without] = [&real, &without].map(|set| method.synthesize(set, &lab()).unwrap());
        for i in 0..with.len() {
            let moved = norm(with.record(i).iter().zip(without.record(i)).map(|(a, b)| f64::from(a - b)));
            let own = with.labels()[i] == real.labels()[victim];
            // 64 values of at most 4, each rounded to 2.4e-7.
            assert!((moved - if own { expected } else { 0.0 }).abs() < 4e-6, "{moved} against {expected}");
        }
    }

    #[test]
    fn influence_is_the_formula_and_falls_as_one_over_n() {
        let real = Dataset::toy();
        let found = influence_by_size(&real, 5, &[30, 10, 2], &lab()).unwrap();
        let &[(30, all), (10, _), (2, pair)] = found.points() else { panic!("{found:?}") };
        assert!((all - influence(&real, 5).unwrap()).abs() < 1e-12);
        let [x, y] = [random(1, 40), random(2, 40)];
        assert!((shift(&x, &y[..40]) - norm(x.iter().zip(&y[..40]).map(|(a, b)| a - b)) / 2.0).abs() < 1e-12);
        // The mean of the rest is noisier for small n, so n times the shift is not quite constant.
        assert!((0.4..1.2).contains(&(30.0 * all / (2.0 * pair))), "{found:?}");
        assert!(influence_by_size(&real, 5, &[31], &lab()).unwrap_err().to_string().contains("2 to 30"));
        assert!(influence(&real, 120).is_err());
        assert!(found.figure().to_text().contains("Small influence is not privacy"));
    }

    #[test]
    fn in_f64_the_record_is_recovered_exactly_whatever_the_start() {
        for (n, d) in [(30, 64), (500, 784)] {
            let (records, start) = (random(n, d), random(7, d));
            let released = matched(&start, &records, d);
            let found = recovered(&released, &records[..(n - 1) * d], d);
            let error = found.iter().zip(&records[(n - 1) * d..]).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
            assert!(error < 1e-9, "{error}");
        }
    }

    #[test]
    fn from_a_release_in_f32_the_error_is_n_roundings() {
        for (n, init) in [(30, Init::Real), (30, Init::Noise), (500, Init::Real), (500, Init::Noise)] {
            let x: Vec<f32> = random(n, 64).into_iter().map(|v| v as f32).collect();
            let real = Dataset::images("random", x, [1, 8, 8], vec![0; n], vec!["a".into()]).unwrap();
            let released = LinearMatching::new(10).with_init(init).synthesize(&real, &lab()).unwrap();
            let found = reconstruct_each(&released, &real, &[0, n - 1]).unwrap();
            // Values below 2 are rounded to 6e-8 each; the mean of ten and n of it: below n · 6e-8.
            assert!(found.errors().iter().all(|&error| error < n as f64 * 6e-8), "n = {n}: {:?}", found.errors());
        }
    }

    #[test]
    fn pictures_stand_beside_each_other_and_what_is_missing_is_named() {
        let (toy, table) = (Dataset::toy(), Dataset::toy_table());
        let released = LinearMatching::new(2).synthesize(&toy, &lab()).unwrap();
        let found = reconstruct_each(&released, &toy, &[0, 1]).unwrap();
        let text = found.figure().to_text();
        assert!(text.contains("6 grey images") && text.contains("n = 30") && text.contains("not the start"), "{text}");
        let made = LinearMatching::new(2).synthesize(&table, &lab()).unwrap();
        let found = reconstruct_each(&made, &table, &[3]).unwrap();
        // Ages and doses up to 200 in f32, times n = 45 at most.
        assert!(found.errors()[0] < 1e-3 && found.figure().to_text().contains("largest error"));
        assert!(reconstruct(&released, &toy, 4).unwrap_err().to_string().contains("class 4"));
        assert!(reconstruct_each(&released, &toy, &[]).is_err() && reconstruct(&released, &table, 0).is_err());
    }
}
