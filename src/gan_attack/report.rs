//! Whether the images show the class to others, and whether they show more than the class.

mod exchange;
mod figure;
mod similarity;

pub use similarity::Similarity;

use super::GanAttackResult;
use crate::data::Origin;
use crate::leakage::{Leakage, LeakageReport, Metric, Quantiles};
use crate::privacy::Event;
use crate::stats::Rate;
use crate::train::Model;
use crate::{Dataset, Error, Lab, Result};
use serde::{Deserialize, Serialize};
use std::fmt;

/// What [`GanAttackResult::judge`] found. Holds records of the victim: as private as they are.
///
/// # Example
/// ```
/// use freelunch::gan_attack::GanAttack;
/// use freelunch::prelude::*;
/// let lab = Lab::new()?.quiet();
/// let halves = Dataset::toy().members(50, &lab)?;
/// let (victim, others) = (&halves.members, &halves.non_members);
/// let train = Train::new(Arch::mlp()).with_epochs(5);
/// let (model, evaluator) = (train.fit(victim, &lab)?, train.fit(others, &lab)?);
/// let own = others.subset(&others.of_class(0))?;
/// let report = GanAttack::small(3).with_own(&own).invert(&model, 5, &lab)?.judge(&evaluator, victim, others, &lab)?;
/// assert_eq!(report.recognised().of, 100);
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone, Serialize, Deserialize)]
pub struct GanAttackReport {
    result: GanAttackResult,
    class: String,
    victims: usize,
    held_out: usize,
    seed: u64,
    recognised: Rate,
    untrained: Option<Rate>,
    distances: Distances,
    /// Or why images of this kind have none.
    similarity: std::result::Result<Similarity, String>,
    spread: Option<f64>,
    /// Rows of images: generated, nearest of the victim's, nearest held-out.
    twins: [Vec<Vec<f32>>; 3],
}

/// Distances by root mean square per value, as [`Metric::L2`]; all records are of the target class.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Distances {
    /// From each image to the nearest of the victim's records.
    pub to_victim: Quantiles,
    /// From each image to the nearest held-out record.
    pub to_held_out: Quantiles,
    /// The control: from each held-out record, an unrelated one of the class, to the nearest of the victim's.
    pub held_out_to_victim: Quantiles,
    /// Images nearer to the victim's records than to all held-out ones; none when all are equally near.
    pub nearer: Option<Rate>,
    /// What to expect of it when only the class is known: n/(n + m) for n records of the victim and m held out.
    pub nearer_by_chance: f64,
    /// How often 999 random exchanges of the victim's and the held-out records would bring the images as near to the one and as far from
    /// the other, on average. Small: more than the class is lost. Unlike intervals it does not take the images as independent; it takes
    /// both sets as drawn from one population.
    pub p_value: f64,
}

impl GanAttackReport {
    /// Images of each row of the figure.
    const SHOWN: usize = 8;

    pub(super) fn measure(result: &GanAttackResult, evaluator: &Model, victim: &Dataset, held_out: &Dataset, lab: &Lab) -> Result<Self> {
        let target = result.attack().target;
        let made = result.images();
        if made.shape() != victim.shape() {
            let what = format!("{} of shape {:?} against records of {:?}", made.name(), made.shape(), victim.shape());
            return Err(Error::mismatch(what, "decode codes first (result.decoded(&images)), or compare with the victim's own codes"));
        }
        victim.same_kind(held_out)?;
        // The federation may have one class more.
        let as_target = |x: &[f32]| victim.synthetic(x.to_vec(), vec![target as u32; made.len()], Origin::real("GAN attack"));
        let images = as_target(made.x())?;
        let theirs = of_class(victim, target)?;
        let others = of_class(held_out, target)?.with_normalization(theirs.normalization().clone());
        let compared = Leakage::new(Metric::L2).with_neighbours(1).with_holdout(&others).measure(&images, &theirs, lab)?;
        let nearest = |from: &Dataset, to: &Dataset| Leakage::new(Metric::L2).with_neighbours(1).measure(from, to, lab);
        let (outside, control) = (nearest(&images, &others)?, nearest(&others, &theirs)?);
        let untrained = match result.untrained() {
            Some(x) => Some(evaluator.accuracy(&as_target(x)?)?),
            None => None,
        };
        Ok(Self {
            result: result.clone(),
            class: victim.class_names().get(target).cloned().unwrap_or_default(),
            victims: theirs.len(),
            held_out: others.len(),
            seed: lab.seed_value(),
            recognised: evaluator.accuracy(&images)?,
            untrained,
            distances: Distances {
                to_victim: compared.closest(),
                to_held_out: outside.closest(),
                held_out_to_victim: control.closest(),
                nearer: compared.closer_to_training(),
                nearer_by_chance: theirs.len() as f64 / (theirs.len() + others.len()) as f64,
                p_value: exchange::p_value(&images, &theirs, &others, lab)?,
            },
            similarity: Similarity::of(&images, &theirs, &others, lab).map_err(|e| e.to_string()),
            spread: Some(spread(&others)).filter(|of_records| *of_records > 0.0).map(|of_records| spread(&images) / of_records),
            twins: [first(&images), found(&theirs, &compared), found(&others, &outside)],
        })
    }

    /// What was judged.
    #[must_use]
    pub fn result(&self) -> &GanAttackResult {
        &self.result
    }

    /// The images that the evaluator, which took no part, takes for the target class.
    #[must_use]
    pub fn recognised(&self) -> Rate {
        self.recognised
    }

    /// The control: the same of the generator's images before its first step; none where they were decoded.
    #[must_use]
    pub fn recognised_untrained(&self) -> Option<Rate> {
        self.untrained
    }

    /// Distances to the victim's and to held-out records.
    #[must_use]
    pub fn distances(&self) -> &Distances {
        &self.distances
    }

    /// Structural similarity.
    ///
    /// # Errors
    /// [`Error::Config`] for records that are no images, or smaller than 11×11 pixels: compare [`GanAttackReport::distances`] instead.
    pub fn similarity(&self) -> Result<Similarity> {
        self.similarity.clone().map_err(|what| Error::config(what, "compare distances()"))
    }

    /// How far the images lie from their mean, in terms of held-out records: 0 when the generator makes one image only. None when the
    /// held-out records are all alike.
    #[must_use]
    pub fn spread(&self) -> Option<f64> {
        self.spread
    }

    /// What was done to the privacy of the victim's records on the way: the event of the last model.
    #[must_use]
    pub fn event(&self) -> &Event {
        self.result.images().event()
    }

    /// How far the images lie from the victim's records (median) when an unrelated record of the class lies at 1: about 1 for images that
    /// look like records, more for images that only a classifier takes for the class. None when all records are equal.
    #[must_use]
    pub fn relative_distance(&self) -> Option<f64> {
        let control = self.distances.held_out_to_victim.median;
        (control > 0.0).then(|| self.distances.to_victim.median / control)
    }

    /// What follows from the numbers, in one sentence.
    #[must_use]
    pub fn finding(&self) -> String {
        let seen = match self.untrained {
            Some(control) if self.recognised.low > control.high => "a model that took no part takes them for the class",
            Some(_) => "a model that took no part takes them for the class no more often than what the untrained generator makes",
            None if self.recognised.low > 0.5 => "a model that took no part takes most of them for the class",
            None => "a model that took no part does not take most of them for the class",
        };
        let near = self.relative_distance().map_or_else(String::new, |ratio| {
            format!(", {ratio:.2} times as far from the victim's records as other records of the class are")
        });
        let p = self.distances.p_value;
        let level = if p < 0.05 {
            "they are nearer to the victim's records than chance explains: more than the class is lost"
        } else {
            "they are no nearer to the victim's records than to others of the class: this is the class, not a record"
        };
        format!("Of the images: {seen}{near}; {level} (p = {p:.3}).")
    }
}

/// The records of one class, as records that nothing is known about.
fn of_class(data: &Dataset, class: usize) -> Result<Dataset> {
    if class >= data.classes() {
        let what = format!("the attack's target is class {class}, {} has {} classes", data.name(), data.classes());
        return Err(Error::config(what, "judge with records in the federation's label set"));
    }
    let positions = data.of_class(class);
    if positions.is_empty() {
        let position = format!("class {class} ({})", data.class_names()[class]);
        return Err(Error::data(data.name(), position, "no record of the attack's target", "give records of the class"));
    }
    let part = data.subset(&positions)?;
    part.synthetic(part.x().to_vec(), part.labels().to_vec(), Origin::real(data.name())).map(|made| made.named(data.name()))
}

/// Root mean square distance from the mean, per value.
fn spread(data: &Dataset) -> f64 {
    let (n, d) = (data.len() as f64, data.features());
    let (mut sums, mut squares) = (vec![0.0; d], 0.0);
    for record in data.x().chunks_exact(d) {
        for (sum, &value) in sums.iter_mut().zip(record) {
            *sum += f64::from(value);
        }
    }
    for record in data.x().chunks_exact(d) {
        squares += record.iter().zip(&sums).map(|(&value, sum)| (f64::from(value) - sum / n).powi(2)).sum::<f64>();
    }
    (squares / (n * d as f64)).sqrt()
}

/// The first images.
fn first(data: &Dataset) -> Vec<Vec<f32>> {
    data.x().chunks_exact(data.features()).take(GanAttackReport::SHOWN).map(<[f32]>::to_vec).collect()
}

/// What was found nearest to these.
fn found(data: &Dataset, report: &LeakageReport) -> Vec<Vec<f32>> {
    let nearest = report.records().iter().filter_map(|record| record.nearest.first());
    nearest.take(GanAttackReport::SHOWN).map(|neighbour| data.record(neighbour.record).to_vec()).collect()
}

impl fmt::Debug for GanAttackReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GanAttackReport(class {}, recognised {})", self.class, self.recognised)
    }
}
